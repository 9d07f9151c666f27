// SPDX-License-Identifier: MIT
// Example 3 of the seed: of count objects every step-th is kept, then half as many objects of twice
// the size are allocated. At step 512 a heap of 8 KiB pages that never moves an object keeps every
// page for one 16-byte survivor (point 3), and the larger objects cannot use the gaps (point 4).
#include "workloads/seed.h"

// The heap has `idle_ms` to itself before it is asked to collect: what does it do unasked?
static void seed_rest(workload_run *run, uint64_t start_bytes) {
  const uint64_t idle_ms = workload_param_value(run, "idle_ms");
  if (idle_ms == 0) return;
  const uint64_t end_ns = workload_now_ns() + idle_ms * 1000000;
  while (workload_now_ns() < end_ns) heap_poll(workload_thread(run));
  const uint64_t now_bytes = heap_footprint(workload_heap(run));
  if (now_bytes > 0)
    workload_metric(run, "idle_above_start_bytes", (double)now_bytes - (double)start_bytes);
}

static void seed_pathological_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  const seed_batch first = {.number = 0,
                            .count = (size_t)workload_param_value(run, "count"),
                            .size = (size_t)workload_param_value(run, "size")};
  const seed_batch second = {.number = 1,
                             .count = (size_t)workload_param_value(run, "next_count"),
                             .size = (size_t)workload_param_value(run, "next_size")};
  const size_t step = (size_t)workload_param_value(run, "step");
  const size_t kept_count = seed_kept_count(first.count, step);
  HEAP_FRAME(t, root, 3);
  heap_ref *const table = &root[0], *const kept = &root[1], *const next = &root[2];

  workload_stage(run, "1", 0);
  const uint64_t start_bytes = heap_footprint(workload_heap(run));

  seed_allocate(run, table, first);
  workload_stage(run, "2", seed_live_bytes(first.count, first.size));
  seed_read(run, *table, first, 1);

  seed_keep(run, kept, table, first.count, step);
  seed_rest(run, start_bytes);
  workload_stage(run, "3", seed_live_bytes(kept_count, first.size));
  seed_read(run, *kept, first, step);

  seed_allocate(run, next, second);
  workload_stage(run, "4",
                 seed_live_bytes(kept_count, first.size) +
                     seed_live_bytes(second.count, second.size));
  seed_read(run, *kept, first, step);
  seed_read(run, *next, second, 1);

  seed_drop(run, next, second.count);
  seed_drop(run, kept, kept_count);
  HEAP_FRAME_END(t, root);
}

static const workload_param seed_pathological_params[] = {
    SEED_PARAM_COUNT,
    SEED_PARAM_SIZE,
    SEED_PARAM_STEP,
    {"next_count", "objects allocated after the drop", 1 << 19, 1, SEED_COUNT_HIGH, NULL},
    {"next_size", "bytes of one of those", 32, 1, SEED_SIZE_HIGH, NULL},
    {"idle_ms", "time for the heap to itself before it is asked to collect after the drop, ms", 0,
     0, 60000, NULL},
};

const workload workload_seed_pathological = {
    .name = "seed_pathological",
    .summary = "seed example 3: every 512th object kept, then larger objects allocated",
    .params = seed_pathological_params,
    .param_count = sizeof seed_pathological_params / sizeof seed_pathological_params[0],
    .run = seed_pathological_run,
};
