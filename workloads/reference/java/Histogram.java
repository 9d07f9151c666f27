// SPDX-License-Identifier: MIT
package heapduel;

import java.util.ArrayList;
import java.util.List;

// allocators/runtime/histogram.h: exact below 64 ns, then 64 linear sub-buckets per octave up to
// 2^42 ns.
final class Histogram {
  private static final int SUB_BITS = 6;
  private static final int MAX_BITS = 42;
  private static final int BUCKETS = (MAX_BITS - SUB_BITS + 1) << SUB_BITS;

  private final long[] buckets = new long[BUCKETS];
  private long count, sum, max;

  long count() {
    return count;
  }

  long sum() {
    return sum;
  }

  long max() {
    return max;
  }

  private static int index(long value) {
    if (value < 1 << SUB_BITS) return (int) value;
    final int octave = 63 - Long.numberOfLeadingZeros(value);
    if (octave >= MAX_BITS) return BUCKETS - 1;
    final int shift = octave - SUB_BITS;
    return ((shift + 1) << SUB_BITS) + (int) (value >> shift) - (1 << SUB_BITS);
  }

  private static long low(int index) {
    if (index < 1 << SUB_BITS) return index;
    final int shift = (index >> SUB_BITS) - 1;
    return (long) ((index & ((1 << SUB_BITS) - 1)) + (1 << SUB_BITS)) << shift;
  }

  void add(long value) {
    buckets[index(value)]++;
    count++;
    sum += value;
    if (value > max) max = value;
  }

  void addAll(Histogram from) {
    for (int i = 0; i < BUCKETS; i++) buckets[i] += from.buckets[i];
    count += from.count;
    sum += from.sum;
    max = Math.max(max, from.max);
  }

  // The upper edge of the bucket that holds the value, never above the maximum.
  long quantile(double q) {
    final long wanted = Math.max(1, (long) Math.ceil(q * count));
    long seen = 0;
    for (int i = 0; i + 1 < BUCKETS; i++) {
      seen += buckets[i];
      if (seen >= wanted) return Math.min(low(i + 1) - 1, max);
    }
    return max;
  }

  // [low_ns, count] of the buckets that hold something, ascending.
  List<List<Long>> pairs() {
    final List<List<Long>> pairs = new ArrayList<>();
    for (int i = 0; i < BUCKETS; i++)
      if (buckets[i] > 0) pairs.add(List.of(low(i), buckets[i]));
    return pairs;
  }
}
