// SPDX-License-Identifier: MIT
// A small set of numbers with a byte for each, 0xff or 0, for loops that add many and then look at all. Adding is
// a plain store: in a bitmap it is a read, an or and a write, and numbers that lie close together wait for
// each other's write. 64 bytes become a word of bits at a time. Not for several threads.
#ifndef HS_BASE_BYTEMAP_H
#define HS_BASE_BYTEMAP_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { HS_BYTEMAP_WORD = 64 }; // bytes that are taken together

static inline void hs_bytemap_add(uint8_t *map, unsigned number) { map[number] = 0xff; }

// The numbers in [64 * word, 64 * word + 64) as bits; they leave the set.
static inline uint64_t hs_bytemap_take_portable(uint8_t *map, unsigned word) {
  const uint64_t GATHER = 0x0102040810204080; // bit 0 of byte i of eight goes to bit 56 + i
  const uint64_t LOWEST = 0x0101010101010101;
  uint8_t *const bytes = map + (unsigned)HS_BYTEMAP_WORD * word;
  uint64_t bits = 0;
  for (unsigned i = 0; i < HS_BYTEMAP_WORD; i += sizeof bits) {
    uint64_t eight; // little-endian
    memcpy(&eight, bytes + i, sizeof eight);
    bits |= (eight & LOWEST) * GATHER >> 56 << i;
  }
  memset(bytes, 0, HS_BYTEMAP_WORD);
  return bits;
}

static inline uint64_t hs_bytemap_take(uint8_t *map, unsigned word) {
#if defined(__SSE2__)
  uint64_t bits = 0;
  for (unsigned i = 0; i < HS_BYTEMAP_WORD; i += sizeof(__m128i)) {
    __m128i *const part = (__m128i *)(void *)(map + (unsigned)HS_BYTEMAP_WORD * word + i);
    bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_loadu_si128(part)) << i;
    _mm_storeu_si128(part, _mm_setzero_si128());
  }
  return bits;
#else
  return hs_bytemap_take_portable(map, word);
#endif
}

#endif
