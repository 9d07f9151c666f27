// SPDX-License-Identifier: MIT
// From runs to numbers: a *measure* names a quantity of a record, a *sample* holds its values over
// the runs of a group, an *estimate* is what a table prints. No sample is ever dropped.
//
// Estimate: the median. Its interval is the smallest and largest value while n < 6, because no
// distribution-free 95 % interval of a median exists below six values (2 * 0.5^n > 0.05); from six
// values on it is the order-statistic interval (sign test) with at least 95 % coverage.
#ifndef REPORTS_STATISTICS_H
#define REPORTS_STATISTICS_H

#include "reports/records.h"

// A quantity: a metric (stage NULL), or a number of a stage; "start" names the measurement before
// the workload allocated. With `baseline` that stage's number is subtracted, within one run.
typedef struct measure {
  const char *stage, *key, *baseline;
} measure;

typedef struct sample {
  size_t count;
  double *value;  // in order of block
  int64_t *block; // of each value
} sample;

typedef struct estimate {
  size_t n; // 0: not measured, the rest is meaningless
  double median, low, high;
  bool interval95; // low..high is a 95 % interval; otherwise the range
} estimate;

// False when the record does not have the quantity.
bool measure_read(const record *r, measure what, double *out);

// Over the ok runs of a group that have the quantity; g may be NULL (an empty sample).
sample measure_sample(arena *memory, const group *g, measure what);

// Block by block top / bottom, where both have a positive value.
sample sample_ratio(arena *memory, const sample *top, const sample *bottom);

estimate sample_estimate(arena *memory, const sample *s);
estimate measure_estimate(arena *memory, const group *g, measure what);
estimate measure_ratio(arena *memory, const group *top, const group *bottom, measure what);

// Share of the time of all cores that the collector took, over each whole run: collections forced by
// stages are in both. Absent where the heap does not count its CPU time.
sample collector_share(arena *memory, const group *g);

// The ranks (from 0) of the order statistics that bound the median of n sorted values with at least
// 95 % confidence. n >= 6.
void median_interval_ranks(size_t n, size_t *low, size_t *high);

// A histogram merged over the runs of a group: lower bounds of buckets, ascending, with counts.
typedef struct distribution {
  size_t count;
  double *low_ns, *events;
  double total;
} distribution;

// `key` is "latency", or "pauses" with a kind ("all").
distribution group_distribution(arena *memory, const group *g, const char *key, const char *kind);

// Smallest bucket bound that at least `fraction` of the events do not exceed; 0 when empty.
double distribution_quantile(const distribution *d, double fraction);

#endif
