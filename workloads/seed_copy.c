// SPDX-License-Identifier: MIT
// The remedy of the seed's author: Example 3 up to point 3, then the program itself allocates every
// survivor again, copies it and drops the old one (point 4). A heap that never moves an object gets
// compacted by hand: the copies fill the gaps of a few pages and all others become free.
#include "workloads/seed.h"

// Replaces every object of the array by a copy; the array itself stays.
static void seed_copy_survivors(workload_run *run, heap_ref *kept, size_t count, size_t size) {
  heap_thread *t = workload_thread(run);
  for (size_t i = 0; i < count; i++) {
    const heap_ref copy = workload_new(run, t, 0, size);
    const heap_ref old = heap_load(t, *kept, i);
    memcpy(heap_write(t, copy, 0), heap_read(t, old, 0), size);
    heap_store(t, *kept, i, copy);
    heap_discard(t, old);
  }
}

static void seed_copy_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  const seed_batch batch = {.number = 0,
                            .count = (size_t)workload_param_value(run, "count"),
                            .size = (size_t)workload_param_value(run, "size")};
  const size_t step = (size_t)workload_param_value(run, "step");
  const size_t kept_count = seed_kept_count(batch.count, step);
  HEAP_FRAME(t, root, 2);
  heap_ref *const table = &root[0], *const kept = &root[1];

  workload_stage(run, "1", 0);

  seed_allocate(run, table, batch);
  workload_stage(run, "2", seed_live_bytes(batch.count, batch.size));

  seed_keep(run, kept, table, batch.count, step);
  workload_stage(run, "3", seed_live_bytes(kept_count, batch.size));

  seed_copy_survivors(run, kept, kept_count, batch.size);
  workload_stage(run, "4", seed_live_bytes(kept_count, batch.size));
  seed_read(run, *kept, batch, step);

  seed_drop(run, kept, kept_count);
  HEAP_FRAME_END(t, root);
}

static const workload_param seed_copy_params[] = {
    SEED_PARAM_COUNT,
    SEED_PARAM_SIZE,
    SEED_PARAM_STEP,
};

const workload workload_seed_copy = {
    .name = "seed_copy",
    .summary = "seed remedy: example 3, then the program copies every survivor itself",
    .params = seed_copy_params,
    .param_count = sizeof seed_copy_params / sizeof seed_copy_params[0],
    .run = seed_copy_run,
};
