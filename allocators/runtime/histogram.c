// SPDX-License-Identifier: MIT
#include "allocators/runtime/histogram.h"

void hs_histogram_reset(hs_histogram *histogram) {
  histogram->count = histogram->sum = histogram->min = histogram->max = 0;
  // Only words that are not zero are written: pages of a fresh mapping stay untouched.
  for (size_t i = 0; i < HS_HISTOGRAM_BUCKETS; i++)
    if (histogram->buckets[i] != 0) histogram->buckets[i] = 0;
}

uint64_t hs_histogram_bucket_low(size_t index) {
  const size_t octave = index >> HS_HISTOGRAM_SUB_BITS;
  const uint64_t sub = index & hs_low_mask(HS_HISTOGRAM_SUB_BITS);
  if (octave == 0) return sub;
  return ((1ull << HS_HISTOGRAM_SUB_BITS) + sub) << (octave - 1);
}

uint64_t hs_histogram_quantile(const hs_histogram *histogram, double q) {
  if (histogram->count == 0) return 0;
  if (q >= 1.0) return histogram->max;
  if (q <= 0.0) return histogram->min;
  // The smallest rank that covers the share q (nearest-rank definition), 1-based.
  // A product that is a whole number but for the rounding of q (0.009 * 5000) is that number.
  const double share = q * (double)histogram->count * (1.0 - 0x1p-50);
  uint64_t rank = (uint64_t)share;
  if ((double)rank < share) rank++;
  rank = hs_min_u64(hs_max_u64(rank, 1), histogram->count);
  uint64_t seen = 0;
  for (size_t i = 0; i < HS_HISTOGRAM_BUCKETS - 1; i++) {
    seen += histogram->buckets[i];
    if (seen >= rank) return hs_min_u64(hs_histogram_bucket_low(i + 1) - 1, histogram->max);
  }
  return histogram->max; // the last bucket is open-ended
}

void hs_histogram_merge(hs_histogram *into, const hs_histogram *from) {
  if (from->count == 0) return;
  for (size_t i = 0; i < HS_HISTOGRAM_BUCKETS; i++)
    if (from->buckets[i] != 0) into->buckets[i] += from->buckets[i];
  into->min = into->count == 0 ? from->min : hs_min_u64(into->min, from->min);
  into->max = hs_max_u64(into->max, from->max);
  into->count += from->count;
  into->sum += from->sum;
}
