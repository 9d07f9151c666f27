// SPDX-License-Identifier: MIT
// Arithmetic on alignments and 64-bit words. Pure functions; any thread.
#ifndef HS_BASE_BITS_H
#define HS_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool hs_is_pow2(uint64_t x) { return x != 0 && (x & (x - 1)) == 0; }

// align must be a power of two. The caller guarantees that x + align does not overflow.
static inline size_t hs_align_up(size_t x, size_t align) { return (x + align - 1) & ~(align - 1); }
static inline size_t hs_align_down(size_t x, size_t align) { return x & ~(align - 1); }
static inline bool hs_is_aligned(size_t x, size_t align) { return (x & (align - 1)) == 0; }

static inline size_t hs_div_up(size_t x, size_t by) { return (x + by - 1) / by; }

// Index of the lowest / highest set bit; x must not be 0.
static inline unsigned hs_ctz64(uint64_t x) { return (unsigned)__builtin_ctzll(x); }
static inline unsigned hs_log2_floor(uint64_t x) { return 63u - (unsigned)__builtin_clzll(x); }
static inline unsigned hs_popcount64(uint64_t x) { return (unsigned)__builtin_popcountll(x); }

// The low n bits set, 0 <= n <= 64.
static inline uint64_t hs_low_mask(unsigned n) { return n >= 64 ? ~0ull : (1ull << n) - 1; }

static inline size_t hs_min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t hs_max_size(size_t a, size_t b) { return a > b ? a : b; }
static inline double hs_max_double(double a, double b) { return a > b ? a : b; }
static inline double hs_min_double(double a, double b) { return a < b ? a : b; }
static inline int64_t hs_max_i64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline uint64_t hs_min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t hs_max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

// a * b and a + b, false when the result does not fit size_t.
static inline bool hs_mul_fits(size_t a, size_t b, size_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}
static inline bool hs_add_fits(size_t a, size_t b, size_t *out) {
  return !__builtin_add_overflow(a, b, out);
}

#endif
