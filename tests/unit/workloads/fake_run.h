// SPDX-License-Identifier: MIT
// The services of workloads/workload.h for tests of the modules that workloads share: a heap of the
// bound kind, metrics and checksum kept, and what ends a run caught.
#ifndef TESTS_FAKE_RUN_H
#define TESTS_FAKE_RUN_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "workloads/workload.h"

enum { FAKE_METRICS = 32, FAKE_NAME_BYTES = 64 };

struct workload_run {
  heap *heap;
  heap_thread *thread;
  uint64_t seed, checksum;
  struct {
    char name[FAKE_NAME_BYTES];
    double value;
  } metrics[FAKE_METRICS];
  size_t metric_count, stage_count;
  bool invalid;
  jmp_buf end; // workload_invalid lands here; set it with setjmp
};

int fake_run_setup(void **state);
int fake_run_teardown(void **state);

// Value of a metric, or -1 when there is none.
double fake_run_metric(const workload_run *run, const char *name);

#endif
