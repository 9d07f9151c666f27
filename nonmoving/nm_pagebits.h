// SPDX-License-Identifier: MIT
// Bit arithmetic of the page allocator: one chunk is 512 pages, a bitmap of 8 words with 1 = used.
// Pure functions. After Go's mpallocbits.go (1.14+, golang/go #35112).
#ifndef NM_PAGEBITS_H
#define NM_PAGEBITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators/base/bits.h"

enum {
  NM_CHUNK_PAGES = 512, // 4 MiB: unit of growth, of bitmaps and of summaries
  NM_CHUNK_WORDS = NM_CHUNK_PAGES / 64,
  NM_NOT_FOUND = NM_CHUNK_PAGES, // no such page of a chunk
};

// Lowest index at which n consecutive ones start in x, 1 <= n <= 64; 64 when there is none.
// Shrinks every run of ones by n-1, doubling the step, so it takes log2(n) rounds.
static inline unsigned nm_bits_find_run(uint64_t x, unsigned n) {
  unsigned left = n - 1;
  for (unsigned step = 1; left > 0 && x != 0; step *= 2) {
    const unsigned shift = left < step ? left : step;
    x &= x >> shift;
    left -= shift;
  }
  return x == 0 ? 64 : hs_ctz64(x);
}

static inline unsigned nm_bits_trailing_ones(uint64_t x) { return ~x == 0 ? 64 : hs_ctz64(~x); }
static inline unsigned nm_bits_leading_ones(uint64_t x) {
  return ~x == 0 ? 64 : 63 - hs_log2_floor(~x);
}

// The bits of word w that lie in the range [start, start + count) of a bitmap.
static inline uint64_t nm_bits_range_mask(unsigned w, size_t start, size_t count) {
  const size_t low = (size_t)w * 64, end = start + count;
  if (end <= low || start >= low + 64) return 0;
  const unsigned from = start > low ? (unsigned)(start - low) : 0;
  const unsigned to = end < low + 64 ? (unsigned)(end - low) : 64;
  return hs_low_mask(to) & ~hs_low_mask(from);
}

static inline unsigned nm_bits_popcount_range(const uint64_t *words, size_t start, size_t count) {
  unsigned total = 0;
  for (unsigned w = (unsigned)(start / 64); w * 64ull < start + count; w++)
    total += hs_popcount64(words[w] & nm_bits_range_mask(w, start, count));
  return total;
}

static inline void nm_bits_set_range(uint64_t *words, size_t start, size_t count) {
  for (unsigned w = (unsigned)(start / 64); w * 64ull < start + count; w++)
    words[w] |= nm_bits_range_mask(w, start, count);
}

static inline void nm_bits_clear_range(uint64_t *words, size_t start, size_t count) {
  for (unsigned w = (unsigned)(start / 64); w * 64ull < start + count; w++)
    words[w] &= ~nm_bits_range_mask(w, start, count);
}

// First run of n free pages (n <= 512) in a chunk at or above page `from`; NM_NOT_FOUND if none.
static inline unsigned nm_chunk_find(const uint64_t used[NM_CHUNK_WORDS], unsigned n,
                                     unsigned from) {
  unsigned run = 0, start = 0; // the free run that reaches the end of the previous word
  for (unsigned w = from / 64; w < NM_CHUNK_WORDS; w++) {
    uint64_t free = ~used[w];
    if (w == from / 64) free &= ~hs_low_mask(from % 64);
    const unsigned low = nm_bits_trailing_ones(free);
    if (run == 0) start = w * 64;
    if (run + low >= n) return start;
    if (low == 64) {
      run += 64;
      continue;
    }
    if (n <= 64) {
      const unsigned at = nm_bits_find_run(free, n);
      if (at < 64) return w * 64 + at;
    }
    run = nm_bits_leading_ones(free);
    start = (w + 1) * 64 - run;
  }
  return NM_NOT_FOUND;
}

// ---- scavenging ---------------------------------------------------------------------------------

// Every aligned group of m bits that has a bit set in x, filled; m is a power of two, 1 .. 64. Each
// round gives both halves of a group twice as long what either has.
static inline uint64_t nm_bits_fill_aligned(uint64_t x, unsigned m) {
  for (unsigned half = 1; half < m; half *= 2) {
    const uint64_t low_halves = ~0ull / ((1ull << half) + 1);
    x |= (x & low_halves) << half | (x >> half & low_halves);
  }
  return x;
}

// ---- summaries ----------------------------------------------------------------------------------

// Free pages at the low edge, longest free run, free pages at the high edge of a range of up to 2^21
// pages. Packed 21 bits each; a range of 2^21 free pages is the top bit alone.
typedef uint64_t nm_sum;
enum { NM_SUM_BITS = 21, NM_SUM_MAX = 1 << NM_SUM_BITS };
#define NM_SUM_ALL_FREE (1ull << 63)

static inline nm_sum nm_sum_pack(unsigned start, unsigned max, unsigned end) {
  if (max == NM_SUM_MAX) return NM_SUM_ALL_FREE;
  return (nm_sum)start | (nm_sum)max << NM_SUM_BITS | (nm_sum)end << (2 * NM_SUM_BITS);
}
static inline unsigned nm_sum_start(nm_sum s) {
  return s == NM_SUM_ALL_FREE ? NM_SUM_MAX : (unsigned)(s & (NM_SUM_MAX - 1));
}
static inline unsigned nm_sum_max(nm_sum s) {
  return s == NM_SUM_ALL_FREE ? NM_SUM_MAX : (unsigned)(s >> NM_SUM_BITS & (NM_SUM_MAX - 1));
}
static inline unsigned nm_sum_end(nm_sum s) {
  return s == NM_SUM_ALL_FREE ? NM_SUM_MAX : (unsigned)(s >> (2 * NM_SUM_BITS) & (NM_SUM_MAX - 1));
}

static inline nm_sum nm_chunk_summarize(const uint64_t used[NM_CHUNK_WORDS]) {
  unsigned start = 0, max = 0, run = 0;
  bool at_start = true;
  for (unsigned w = 0; w < NM_CHUNK_WORDS; w++) {
    uint64_t free = ~used[w];
    for (unsigned left = 64; left > 0;) {
      const unsigned ones = (unsigned)hs_min_size(nm_bits_trailing_ones(free), left);
      run += ones;
      left -= ones;
      if (left == 0) break;
      if (at_start) start = run;
      at_start = false;
      if (run > max) max = run;
      run = 0;
      free = ones < 64 ? free >> ones : 0;
      const unsigned zeros = free == 0 ? left : (unsigned)hs_min_size(hs_ctz64(free), left);
      left -= zeros;
      free = zeros < 64 ? free >> zeros : 0;
    }
  }
  if (at_start) start = run;
  if (run > max) max = run;
  return nm_sum_pack(start, max, run);
}

// The summary of adjacent ranges of child_pages each.
static inline nm_sum nm_sum_merge(const nm_sum *children, unsigned count, unsigned child_pages) {
  unsigned start = nm_sum_start(children[0]), max = nm_sum_max(children[0]);
  unsigned end = nm_sum_end(children[0]);
  for (unsigned i = 1; i < count; i++) {
    const unsigned s = nm_sum_start(children[i]), m = nm_sum_max(children[i]);
    if (start == i * child_pages) start += s;
    if (end + s > max) max = end + s;
    if (m > max) max = m;
    end = s == child_pages ? end + child_pages : nm_sum_end(children[i]);
  }
  return nm_sum_pack(start, max, end);
}

#endif
