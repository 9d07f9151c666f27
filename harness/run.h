// SPDX-License-Identifier: MIT
// One run of one workload on the heap this runner was built for. Compiled once per heap.
#ifndef RUN_H
#define RUN_H

#include <setjmp.h>

#include "allocators/base/assert.h"

#include "harness/pauses.h"
#include "harness/record.h"
#include "harness/run_memory.h"
#include "harness/sampler.h"
#include "workloads/workload.h"

enum {
  RUN_PARAMS = 32,         // parameters of one workload
  RUN_HEAPS = 2,           // the heap, and the one of workload_heap_extra
  RUN_DEFAULT_SEED = 1,    // any fixed number: two runs without --seed are comparable
  RUN_MAP_PAGES = 1 << 20, // pages kept for --map over all stages; 12 MiB of address space
};

// What the command line asks of a runner.
typedef struct run_options {
  const workload *load;
  uint64_t values[RUN_PARAMS]; // of load->params, by position
  heap_config config;
  uint64_t seed, block, sample_ms; // sample_ms 0: no series
  const char *variant;
  const char *json;     // path, "-" for standard output
  const char *timeline; // path; NULL: none
  bool map, list;
} run_options;

// One heap under test and its delays.
typedef struct run_heap {
  heap *heap;
  heap_thread *thread;
  run_pauses *pauses;
} run_heap;

struct workload_run {
  const run_options *options;
  run_heap heaps[RUN_HEAPS];
  _Atomic(uint32_t) heap_count; // [atomic] read by the sampler
  run_memory memory;
  run_sampler sampler;
  run_record record;
  record_param params[RUN_PARAMS];
  hs_histogram *latency;
  record_page *pages; // RUN_MAP_PAGES entries, resident where used; NULL without --map
  size_t page_count;
  uint64_t begin_ns;
  pauses_window windows[RECORD_STAGES]; // of the stages

  bool timing, timed;                                     // inside a section; has there been one
  uint64_t section_wall_ns, section_cpu_ns;               // where the open section began
  uint64_t stage_wall_ns, stage_cpu_ns;                   // spent in stages of the open section
  uint64_t timed_wall_ns, timed_cpu_ns, timed_operations; // sums of the closed ones
  pauses_window timed_span;

  uint64_t checksum;
  uint64_t progress_done, progress_total;
  jmp_buf end; // workload_out_of_memory and workload_invalid land in run_workload
};

// ---- runner_args.c ------------------------------------------------------------------------------

// Parse the command line. On a mistake prints one line on standard error and returns false.
bool run_options_parse(run_options *options, int argc, char **argv);

// ---- runner_params.c ----------------------------------------------------------------------------

const workload *run_find_workload(const char *name);
void run_param_defaults(const workload *load, uint64_t *values);

// Set "name=value" as a parameter of the workload or, when it has none of that name, as an option of
// the heap. On a mistake nothing changes and `error` is one line with what is allowed.
bool run_set(run_options *options, const char *assignment, char *error, size_t error_bytes);

// Text of choice `index` in "none|copy|pool"; NULL past the end.
const char *run_choice(const char *choices, uint64_t index, size_t *length);

// ---- runner_list.c ------------------------------------------------------------------------------

// What this runner is and can do, as one JSON object on standard output: for `heapduel list`.
void run_list(void);

// Words for the capability bits in `needs` that `has` lacks ("tracing, threads").
void run_missing(unsigned needs, unsigned has, char *out, size_t out_bytes);

// ---- runner_timeline.c --------------------------------------------------------------------------

// Write the timeline of the finished run to options->timeline. False after one line.
bool run_write_timeline(const workload_run *run);

// ---- runner_services.c --------------------------------------------------------------------------

// Everything the run needs resident before the first measurement; false: no memory.
bool run_prepare(workload_run *run, const run_options *options);

// Numbers of the kernel and the heaps now, without a collection.
void run_measure(workload_run *run, record_stage *out, const char *name, uint64_t live_bytes);

// Register heap `at` (created and entered) with the measurements.
void run_heap_opened(workload_run *run, size_t at);

// Count the delays since the last stage.
void run_count_pauses(workload_run *run);

#endif
