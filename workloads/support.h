// SPDX-License-Identifier: MIT
// What the workloads share: the content they write into objects and check when they read it back.
// Every byte of an object is written, so that memory is really touched and resident sizes compare
// between heaps. Content is a function of a tag, so a heap that loses, mixes up or half-copies an
// object is caught (status "invalid") and not only visible as a different checksum.
// The Go reference computes the same values (reference/go/content.go).
#ifndef WORKLOAD_SUPPORT_H
#define WORKLOAD_SUPPORT_H

#include <string.h>

#include "workloads/workload.h"

enum { CONTENT_WORD_BYTES = sizeof(uint64_t) };

// Odd, so consecutive words of one object differ in every bit position sooner or later.
#define CONTENT_STEP 0x9e3779b97f4a7c15ull

// Tag of object `index` of batch `batch` of a run.
static inline uint64_t content_tag(uint64_t seed, uint64_t batch, uint64_t index) {
  return hs_mix64(hs_mix64(seed + batch) + index);
}

// Word w of an object is tag + w * CONTENT_STEP; trailing bytes are the low bytes of the next word.
static inline void content_write(void *bytes, size_t size, uint64_t tag) {
  unsigned char *at = bytes;
  for (; size >= CONTENT_WORD_BYTES; size -= CONTENT_WORD_BYTES, at += CONTENT_WORD_BYTES) {
    memcpy(at, &tag, CONTENT_WORD_BYTES);
    tag += CONTENT_STEP;
  }
  memcpy(at, &tag, size);
}

static inline bool content_matches(const void *bytes, size_t size, uint64_t tag) {
  const unsigned char *at = bytes;
  for (; size >= CONTENT_WORD_BYTES; size -= CONTENT_WORD_BYTES, at += CONTENT_WORD_BYTES) {
    if (memcmp(at, &tag, CONTENT_WORD_BYTES) != 0) return false;
    tag += CONTENT_STEP;
  }
  return memcmp(at, &tag, size) == 0;
}

// One number for the bytes that are there, for the checksum.
static inline uint64_t content_digest(const void *bytes, size_t size) {
  const unsigned char *at = bytes;
  uint64_t digest = size, word;
  for (; size >= CONTENT_WORD_BYTES; size -= CONTENT_WORD_BYTES, at += CONTENT_WORD_BYTES) {
    memcpy(&word, at, CONTENT_WORD_BYTES);
    digest = hs_mix64(digest ^ word);
  }
  word = 0;
  memcpy(&word, at, size);
  return hs_mix64(digest ^ word);
}

#endif
