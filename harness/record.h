// SPDX-License-Identifier: MIT
// What one run measured, and its form as a JSON object (record.md). The numbers live in memory that
// was resident before the run began; JSON is built once, at the end.
#ifndef RECORD_H
#define RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators/heap_stats.h"
#include "allocators/heap_types.h"
#include "allocators/os/os.h"
#include "harness/pauses.h"
#include "harness/sampler.h"

enum {
  RECORD_SCHEMA = 1,
  RECORD_STAGES = 256,    // a workload with more stages is a mistake
  RECORD_NAME_BYTES = 48, // of a stage or a metric, with its terminator
  RECORD_METRICS = 96,    // the fixed ones and at most ~64 of a workload
  RECORD_REASON_BYTES = 256
};

// X(enumerator, text)
#define RECORD_STATUS_LIST(X)                                                                      \
  X(OK, "ok")                                                                                      \
  X(CRASHED, "crashed")                                                                            \
  X(TIMEOUT, "timeout")                                                                            \
  X(OOM, "oom")                                                                                    \
  X(INVALID, "invalid")                                                                            \
  X(SKIPPED, "skipped")

typedef enum record_status {
#define RECORD_STATUS_ENUM(name, text) RECORD_##name,
  RECORD_STATUS_LIST(RECORD_STATUS_ENUM)
#undef RECORD_STATUS_ENUM
} record_status;

const char *record_status_name(record_status status);

// Numbers at one instant.
typedef struct record_stage {
  char name[RECORD_NAME_BYTES];
  uint64_t time_ns; // since the run began
  uint64_t live_bytes;
  heap_stats stats;
  bool memory_known;
  hs_os_memory memory;
  uint64_t harness_bytes;
} record_stage;

// One page of heap_map, as kept until the record is written.
typedef struct record_page {
  uint32_t live_bytes, page_bytes, flags; // flags: 1 resident, 2 metadata
} record_page;

// Pages of one stage: a range of the common page buffer.
typedef struct record_map {
  size_t first, count;
} record_map;

typedef struct record_metric {
  char name[RECORD_NAME_BYTES];
  double value;
} record_metric;

// A parameter of the workload: a number, or a choice by name.
typedef struct record_param {
  const char *name;
  const char *choice; // NULL: `value` counts
  size_t choice_length;
  uint64_t value;
} record_param;

typedef struct run_record {
  const char *workload, *heap, *variant;
  heap_identity identity; // strings, or NULLs before the heap exists
  const record_param *params;
  size_t param_count;
  heap_config config;
  uint64_t seed, block;
  record_status status;
  char reason[RECORD_REASON_BYTES];
  uint64_t checksum;

  uint64_t base_rss_bytes; // of the process before the heap was created, harness memory taken off
  bool started;
  record_stage start;
  record_stage *stages; // RECORD_STAGES entries
  size_t stage_count;
  record_map *maps; // one per stage, or NULL
  const record_page *pages;
  record_metric metrics[RECORD_METRICS];
  size_t metric_count;

  const hs_histogram *latency; // NULL or empty: none
  const run_pauses *pauses;    // NULL: the heap keeps no event log
  pauses_mmu_point mmu[PAUSES_MMU_POINTS];
  size_t mmu_count;
  const hs_event_log *log; // phases
  const sampler_sample *samples;
  size_t sample_count;
} run_record;

// Set a metric; a later value of a name replaces the earlier one. Aborts when the table is full.
void record_metric_set(run_record *record, const char *name, double value);

// Quantiles of the two distributions as metrics (op_p50_ns ..., pause_p50_ns ...).
void record_metrics_derive(run_record *record);

// A new reference. NULL only when malloc fails.
json_t *record_to_json(const run_record *record);

// {"kernel": "6.1.0", ...}: facts of the machine, the compiler and the build. A new reference.
json_t *record_environment(void);

// JSON in the one form that records are written in: sorted keys, one line, no trailing newline.
// malloc'ed, the caller frees it.
char *record_line(const json_t *json);

#endif
