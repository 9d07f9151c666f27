// SPDX-License-Identifier: MIT
// Example 1 of the seed: one array of values, then only a reference to one element of it.
// An interior reference is the pair (reference to the array, index): whoever holds an element holds
// the array, on every heap, as a Go pointer into a slice does. So point 3 keeps all of it.
#include "workloads/seed.h"

static void seed_array_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  const seed_batch batch = {.number = 0,
                            .count = (size_t)workload_param_value(run, "count"),
                            .size = (size_t)workload_param_value(run, "size")};
  const size_t array_bytes = batch.count * batch.size;
  HEAP_FRAME(t, root, 2);
  heap_ref *const array = &root[0], *const element_holder = &root[1];

  workload_stage(run, "1", 0);

  *array = workload_new(run, t, 0, array_bytes);
  unsigned char *bytes = heap_write(t, *array, 0);
  for (size_t i = 0; i < batch.count; i++)
    content_write(bytes + i * batch.size, batch.size,
                  content_tag(workload_seed(run), batch.number, i));
  workload_stage(run, "2", array_bytes);

  *element_holder = *array; // element 0: (array, 0)
  *array = HEAP_NULL;
  workload_stage(run, "3", array_bytes);
  const unsigned char *read = heap_read(t, *element_holder, 0);
  for (size_t i = 0; i < batch.count; i++) seed_read_object(run, read + i * batch.size, batch, i);

  heap_discard(t, *element_holder);
  *element_holder = HEAP_NULL;
  workload_stage(run, "4", 0);
  HEAP_FRAME_END(t, root);
}

static const workload_param seed_array_params[] = {SEED_PARAM_COUNT, SEED_PARAM_SIZE};

const workload workload_seed_array = {
    .name = "seed_array",
    .summary = "seed example 1: one array of values, one element kept",
    .params = seed_array_params,
    .param_count = sizeof seed_array_params / sizeof seed_array_params[0],
    .run = seed_array_run,
};
