// SPDX-License-Identifier: MIT
// Memory in proportion to what is live, as metrics of a run: how much a heap holds for each byte that
// the program can reach. Two readings, both above what they were when the usage began: the heap's own
// footprint (absent where the heap cannot state it) and the RSS of the process.
//   <name>_raw_footprint_ratio, <name>_raw_rss_ratio    at one moment, garbage included
//   <name>_footprint_ratio, <name>_rss_ratio            after stage <name>, which collects and releases
//   <name>_mean_footprint_ratio, <name>_mean_rss_ratio  over samples, each of the same weight
//   <name>_peak_footprint_bytes, <name>_peak_rss_bytes  largest sample
// Main thread only; no call but usage_stage is a safepoint.
#ifndef WORKLOAD_USAGE_H
#define WORKLOAD_USAGE_H

#include "workloads/workload.h"

typedef struct usage_reading {
  uint64_t footprint_bytes, rss_bytes;
} usage_reading;

typedef struct usage {
  workload_run *run;
  usage_reading start;
  // Since the last usage_report.
  usage_reading peak;
  double footprint_ratio_sum, rss_ratio_sum;
  uint64_t sample_count;
} usage;

usage usage_begin(workload_run *run);

// The raw metrics of this moment; live_bytes > 0.
void usage_mark(const usage *u, const char *name, uint64_t live_bytes);

// The metrics after a stage that the caller has just made; live_bytes > 0.
void usage_settled(const usage *u, const char *name, uint64_t live_bytes);

// One sample for mean and peak.
void usage_sample(usage *u, uint64_t live_bytes);

// Metrics of the samples since the last report; at least one.
void usage_report(usage *u, const char *name);

// usage_mark, then stage `name`, then the metrics after it. A safepoint, as the stage is.
void usage_stage(const usage *u, const char *name, uint64_t live_bytes);

#endif
