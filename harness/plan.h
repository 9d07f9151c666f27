// SPDX-License-Identifier: MIT
// The default comparison, as data: which rows run which workload with which parameters.
#ifndef PLAN_H
#define PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/catalogue.h"
#include "harness/job.h"

// How long a report may take, and how often timed rows are repeated within that.
typedef struct plan_limits {
  double budget_s;      // whole report, rendering included
  double reserve_s;     // of that, kept for rendering
  double process_s;     // of that, for whole-process times through hyperfine
  uint64_t blocks;      // timed blocks at most
  uint64_t timeout_ms;  // of one run
  int64_t process_runs; // per command, at most
} plan_limits;

plan_limits plan_limits_of(bool quick);

// The jobs of one block: block 0 holds every row, later ones the timed rows only. Rows whose heap is
// not built or does not know the workload are left out. Adds to *out.
void plan_block(const run_catalogue *catalogue, bool quick, uint64_t seed, uint64_t block,
                job_list *out);

// The commands whose whole processes are timed. Adds to *out.
void plan_processes(const run_catalogue *catalogue, bool quick, uint64_t seed, job_list *out);

// Expected seconds of a job on a machine of 2026; only weighs the progress line.
double plan_cost(const run_job *job);

#endif
