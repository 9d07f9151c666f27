// SPDX-License-Identifier: MIT
// A job: one run that is wanted, and its execution in a fresh process.
#ifndef JOB_H
#define JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/catalogue.h"

enum { JOB_SETS = 12, JOB_PADDING_LIMIT = 4096 };

// Strings are borrowed: they outlive the job (plan data, arguments, or a job_list that owns them).
typedef struct run_job {
  const char *workload, *heap, *variant;
  const char *sets[JOB_SETS]; // "name=value", in canonical form
  size_t set_count;
  uint64_t seed, block, sample_ms, timeout_ms;
  bool map;
  bool copy_stderr;     // trace lines are to be seen
  const char *timeline; // path for the runner's timeline; NULL: none
  uint64_t order_seed;  // of the shuffled order, see schedule.h
  size_t padding_bytes; // of the environment; child.c Note [layout bias]
} run_job;

// What identifies a finished job in a file of records: row, parameters and block. malloc'ed. Two jobs
// with equal keys measure the same thing.
char *job_key(const run_job *job);

// "bintrees on compact" or "seed_step on libc (step=128)". malloc'ed.
char *job_title(const run_job *job);

// Command line of the runner, NULL-terminated, for this job: malloc'ed with all its strings. NULL
// when the row has no runner for the variant.
char **job_command(const run_job *job, const catalogue_heap *heap);
void job_command_free(char **argv);

// Every parameter of the workload (as the catalogue describes it; NULL: none known), defaults
// included, as a record states them. A new reference.
json_t *job_params(const run_job *job, json_t *workload);

// Run the job and return its record, always an object (a new reference): what the runner wrote, or a
// synthesised one with status crashed, timeout, oom or invalid. NULL: interrupted by the user.
json_t *job_run(const run_job *job, const run_catalogue *catalogue);

// Text of a string member, "" when absent.
const char *job_text(const json_t *record, const char *key);

// Whether a record counts as done: status ok or skipped.
bool job_is_good(const json_t *record);

// A list that owns copies of its strings.
typedef struct job_list {
  run_job *jobs;
  size_t count, capacity;
} job_list;

void job_list_add(job_list *list, const run_job *job);
void job_list_free(job_list *list);

#endif
