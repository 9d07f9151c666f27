// SPDX-License-Identifier: MIT
// Seedable generator for workloads and tests: the same seed gives the same run everywhere.
// xoshiro256** seeded by splitmix64 (Blackman and Vigna, "Scrambled Linear Pseudorandom Number
// Generators", ACM TOMS 2021). Not for cryptography. One generator per thread.
#ifndef HS_BASE_RNG_H
#define HS_BASE_RNG_H

#include <stdint.h>

typedef struct hs_rng {
  uint64_t state[4];
} hs_rng;

// One step of splitmix64: also a good 64-bit mixing function for checksums.
static inline uint64_t hs_mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

static inline hs_rng hs_rng_seed(uint64_t seed) {
  hs_rng rng;
  for (int i = 0; i < 4; i++) {
    rng.state[i] = hs_mix64(seed);
    seed += 0x9e3779b97f4a7c15ull;
  }
  return rng;
}

static inline uint64_t hs_rotl64(uint64_t x, unsigned k) { return (x << k) | (x >> (64 - k)); }

static inline uint64_t hs_rng_next(hs_rng *rng) {
  uint64_t *s = rng->state;
  const uint64_t result = hs_rotl64(s[1] * 5, 7) * 9;
  const uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = hs_rotl64(s[3], 45);
  return result;
}

// Uniform in [0, bound), bound > 0; the bias of the multiply-shift (below bound / 2^64) is
// accepted.
static inline uint64_t hs_rng_below(hs_rng *rng, uint64_t bound) {
  __extension__ typedef unsigned __int128 wide;
  return (uint64_t)(((wide)hs_rng_next(rng) * bound) >> 64);
}

// Uniform in [low, high].
static inline uint64_t hs_rng_between(hs_rng *rng, uint64_t low, uint64_t high) {
  return low + hs_rng_below(rng, high - low + 1);
}

// Uniform in [0, 1).
static inline double hs_rng_unit(hs_rng *rng) {
  return (double)(hs_rng_next(rng) >> 11) * 0x1.0p-53;
}

#endif
