// SPDX-License-Identifier: MIT
// Log-linear histogram of durations: exact below 64 ns, then 64 linear sub-buckets per octave (at
// most 1.6 % wide) up to 2^42 ns (73 min); larger values count in the last bucket. Min, max, count
// and sum are exact. Fixed size, no allocation; single writer. The idea is HdrHistogram's (Tene).
#ifndef HS_RUNTIME_HISTOGRAM_H
#define HS_RUNTIME_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "allocators/base/bits.h"

enum {
  HS_HISTOGRAM_SUB_BITS = 6,
  HS_HISTOGRAM_MAX_BITS = 42,
  HS_HISTOGRAM_BUCKETS = (HS_HISTOGRAM_MAX_BITS - HS_HISTOGRAM_SUB_BITS + 1)
                         << HS_HISTOGRAM_SUB_BITS,
};

// All zero is empty; min and max are 0 while it is.
typedef struct hs_histogram {
  uint64_t count, sum, min, max;
  uint64_t buckets[HS_HISTOGRAM_BUCKETS];
} hs_histogram;

void hs_histogram_reset(hs_histogram *histogram);

static inline size_t hs_histogram_index(uint64_t value) {
  if (value < (1u << HS_HISTOGRAM_SUB_BITS)) return (size_t)value;
  const unsigned octave = hs_log2_floor(value);
  if (octave >= HS_HISTOGRAM_MAX_BITS) return HS_HISTOGRAM_BUCKETS - 1;
  const unsigned shift = octave - HS_HISTOGRAM_SUB_BITS;
  const uint64_t sub = (value >> shift) - (1u << HS_HISTOGRAM_SUB_BITS);
  return ((size_t)(shift + 1) << HS_HISTOGRAM_SUB_BITS) + (size_t)sub;
}

static inline void hs_histogram_add(hs_histogram *histogram, uint64_t value) {
  histogram->buckets[hs_histogram_index(value)]++;
  if (value > histogram->max) histogram->max = value;
  if (value < histogram->min || histogram->count == 0) histogram->min = value;
  histogram->count++;
  histogram->sum += value;
}

// Smallest value counted in a bucket, and the smallest of the next one.
uint64_t hs_histogram_bucket_low(size_t index);

// The value at quantile q in [0, 1]: upper edge of the bucket, never above max. 0 when empty.
uint64_t hs_histogram_quantile(const hs_histogram *histogram, double q);
void hs_histogram_merge(hs_histogram *into, const hs_histogram *from);

#endif
