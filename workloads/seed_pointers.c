// SPDX-License-Identifier: MIT
// Example 2 of the seed: the same values allocated one by one behind an array of pointers; one of
// them is kept, the array and all others die.
#include "workloads/seed.h"

static void seed_pointers_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  const seed_batch batch = {.number = 0,
                            .count = (size_t)workload_param_value(run, "count"),
                            .size = (size_t)workload_param_value(run, "size")};
  HEAP_FRAME(t, root, 2);
  heap_ref *const table = &root[0], *const object = &root[1];

  workload_stage(run, "1", 0);

  seed_allocate(run, table, batch);
  workload_stage(run, "2", seed_live_bytes(batch.count, batch.size));
  seed_read(run, *table, batch, 1);

  *object = heap_load(t, *table, 0);
  for (size_t i = 1; i < batch.count; i++) heap_discard(t, heap_load(t, *table, i));
  heap_discard(t, *table);
  *table = HEAP_NULL;
  workload_stage(run, "3", batch.size);
  seed_read_object(run, heap_read(t, *object, 0), batch, 0);

  heap_discard(t, *object);
  HEAP_FRAME_END(t, root);
}

static const workload_param seed_pointers_params[] = {SEED_PARAM_COUNT, SEED_PARAM_SIZE};

const workload workload_seed_pointers = {
    .name = "seed_pointers",
    .summary = "seed example 2: separate objects behind an array of pointers, one kept",
    .params = seed_pointers_params,
    .param_count = sizeof seed_pointers_params / sizeof seed_pointers_params[0],
    .run = seed_pointers_run,
};
