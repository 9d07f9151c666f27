// SPDX-License-Identifier: MIT
#include "tests/unit/workloads/fake_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/runtime/config.h"

heap *workload_heap(workload_run *run) { return run->heap; }
heap_thread *workload_thread(workload_run *run) { return run->thread; }
uint64_t workload_seed(const workload_run *run) { return run->seed; }

void workload_stage(workload_run *run, const char *name, uint64_t live_bytes) {
  (void)name;
  (void)live_bytes;
  heap_collect(run->thread, HEAP_COLLECT_RELEASE);
  run->stage_count++;
}

void workload_metric(workload_run *run, const char *name, double value) {
  size_t at = 0;
  while (at < run->metric_count && strcmp(run->metrics[at].name, name) != 0) at++;
  if (at == FAKE_METRICS) abort();
  if (at == run->metric_count) run->metric_count++;
  snprintf(run->metrics[at].name, FAKE_NAME_BYTES, "%s", name);
  run->metrics[at].value = value;
}

void workload_checksum_add(workload_run *run, uint64_t value) {
  run->checksum = hs_mix64(run->checksum ^ value);
}

void workload_out_of_memory(workload_run *run) {
  (void)run;
  abort();
}

void workload_invalid(workload_run *run, const char *format, ...) {
  (void)format;
  run->invalid = true;
  longjmp(run->end, 1);
}

int fake_run_setup(void **state) {
  workload_run *run = calloc(1, sizeof *run);
  const heap_config config = hs_config_default();
  if (!run || heap_create(&config, &run->heap) != HEAP_OK) return -1;
  run->seed = 7;
  *state = run;
  return heap_thread_enter(run->heap, &run->thread) == HEAP_OK ? 0 : -1;
}

int fake_run_teardown(void **state) {
  workload_run *run = *state;
  heap_thread_leave(run->thread);
  heap_destroy(run->heap);
  free(run);
  return 0;
}

double fake_run_metric(const workload_run *run, const char *name) {
  for (size_t i = 0; i < run->metric_count; i++)
    if (strcmp(run->metrics[i].name, name) == 0) return run->metrics[i].value;
  return -1;
}
