// SPDX-License-Identifier: MIT
// The seed's step table: count pointer-free objects, every step-th kept through an array of
// count / step pointers, measured before anything was allocated and after the rest died. The table
// printed in the seed is the difference of the two stages.
#include "workloads/seed.h"

static void seed_step_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  const seed_batch batch = {.number = 0,
                            .count = (size_t)workload_param_value(run, "count"),
                            .size = (size_t)workload_param_value(run, "size")};
  const size_t step = (size_t)workload_param_value(run, "step");
  const size_t kept_count = seed_kept_count(batch.count, step);
  HEAP_FRAME(t, root, 2);
  heap_ref *const table = &root[0], *const kept = &root[1];

  workload_stage(run, "baseline", 0);
  seed_allocate(run, table, batch);
  seed_keep(run, kept, table, batch.count, step);
  workload_stage(run, "kept", seed_live_bytes(kept_count, batch.size));
  seed_read(run, *kept, batch, step);

  seed_drop(run, kept, kept_count);
  HEAP_FRAME_END(t, root);
}

static const workload_param seed_step_params[] = {
    SEED_PARAM_COUNT,
    SEED_PARAM_SIZE,
    SEED_PARAM_STEP,
};

const workload workload_seed_step = {
    .name = "seed_step",
    .summary = "seed step table: every step-th of many equal objects kept",
    .params = seed_step_params,
    .param_count = sizeof seed_step_params / sizeof seed_step_params[0],
    .run = seed_step_run,
};
