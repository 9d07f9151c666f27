// SPDX-License-Identifier: MIT
// Laws that the workloads draw sizes and keys from. Integers only: a floating-point logarithm may
// differ in its last bit from one C library to the next, and with it the checksum.
// The Go reference draws the same numbers (reference/go/laws.go).
#ifndef WORKLOAD_LAWS_H
#define WORKLOAD_LAWS_H

#include <stdint.h>

#include "allocators/base/rng.h"

// A size in bytes, each from low to high equally likely.
typedef struct size_law {
  uint64_t low, high;
} size_law;

static inline uint64_t law_uniform(hs_rng *rng, size_law law) {
  return hs_rng_between(rng, law.low, law.high);
}

// A rank in [1, 2^octaves) with probability in proportion to 1 / rank: Zipf's law, exponent 1. Draws
// one of the octaves [2^j, 2^(j+1)), which that law makes about equally likely, and a rank in it, and
// keeps the rank with probability 2^j / rank, so that the law is exact; 1.44 attempts on average.
static inline uint64_t law_zipf(hs_rng *rng, uint64_t octaves) {
  for (;;) {
    const uint64_t octave = 1ull << hs_rng_below(rng, octaves);
    const uint64_t rank = octave + hs_rng_below(rng, octave);
    if (hs_rng_below(rng, rank) < octave) return rank;
  }
}

enum {
  LOG_NORMAL_WORDS = 4,   // words of coin tosses: the number of heads has a deviation of 8
  LOG_NORMAL_UNIT = 56,   // steps of the size for one head more
  LOG_NORMAL_STEPS = 256, // steps that double the size; 8 * 56 / 256 octaves are 1.21 in ln
};

// A size around `median`, at least 1: its natural logarithm is normal, with a standard deviation of
// 1.21. Heads among 256 coins stand for the normal law, a straight line within each octave for the
// exponential (at most 6 % off).
static inline uint64_t law_log_normal(hs_rng *rng, uint64_t median) {
  uint64_t heads = 0;
  for (int word = 0; word < LOG_NORMAL_WORDS; word++)
    heads += (uint64_t)__builtin_popcountll(hs_rng_next(rng));
  // From 0; the middle of the law lies at the centre.
  const uint64_t centre = LOG_NORMAL_WORDS * 32 * LOG_NORMAL_UNIT + LOG_NORMAL_UNIT / 2;
  const uint64_t at = heads * LOG_NORMAL_UNIT + hs_rng_below(rng, LOG_NORMAL_UNIT);
  const uint64_t octaves_below = (centre + LOG_NORMAL_STEPS - 1) / LOG_NORMAL_STEPS;
  const uint64_t from_octave = at + octaves_below * LOG_NORMAL_STEPS - centre;
  const uint64_t octave = from_octave / LOG_NORMAL_STEPS;
  const uint64_t scaled = median * (LOG_NORMAL_STEPS + from_octave % LOG_NORMAL_STEPS);
  const uint64_t size = octave >= octaves_below ? scaled << (octave - octaves_below)
                                                : scaled >> (octaves_below - octave);
  return size < LOG_NORMAL_STEPS ? 1 : size / LOG_NORMAL_STEPS;
}

#endif
