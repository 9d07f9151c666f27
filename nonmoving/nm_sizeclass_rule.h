// SPDX-License-Identifier: MIT
// The rule that generates the size classes (Go 1.21, mksizeclasses; re-implemented from its
// description). Pure functions; used by the build-time generator and by the unit test.
//
// Candidates grow by an alignment that follows the size; a span is the smallest number of pages that
// wastes at most an eighth at its end; a candidate that would get the same pages and the same number
// of objects as its predecessor replaces it; at last each class grows into the waste of its span.
#ifndef NM_SIZECLASS_RULE_H
#define NM_SIZECLASS_RULE_H

#include <stdint.h>

#include "allocators/base/bits.h"

enum {
  NM_RULE_PAGE_BYTES = 8192,
  NM_RULE_MAX_SMALL_BYTES = 32768,
  NM_RULE_MAX_CLASSES = 80,  // room; the rule makes 67 and class 0
  NM_RULE_GROW_BYTES = 128,  // classes grow in multiples of this
  NM_RULE_TAIL_FRACTION = 8, // at most 1/8 of a span is wasted at its end
};

typedef struct nm_rule_class {
  uint32_t bytes, pages, objects;
} nm_rule_class;

static inline uint32_t nm_rule_align(uint32_t size, uint32_t align) {
  if (!hs_is_pow2(size)) return align;
  if (size >= 2048) return 256;
  if (size >= 128) return size / 8;
  if (size >= 32) return 16;
  return align;
}

static inline uint32_t nm_rule_span_bytes(uint32_t size) {
  uint32_t span = NM_RULE_PAGE_BYTES;
  while (span % size > span / NM_RULE_TAIL_FRACTION) span += NM_RULE_PAGE_BYTES;
  return span;
}

// Fills classes[1..]; returns the number of classes, class 0 (large objects) included.
static inline uint32_t nm_rule_generate(nm_rule_class classes[NM_RULE_MAX_CLASSES]) {
  uint32_t count = 1;
  classes[0] = (nm_rule_class){0, 0, 0};
  uint32_t align = 8;
  for (uint32_t size = align; size <= NM_RULE_MAX_SMALL_BYTES; size += align) {
    align = nm_rule_align(size, align);
    const uint32_t span = nm_rule_span_bytes(size);
    const nm_rule_class next = {size, span / NM_RULE_PAGE_BYTES, span / size};
    const nm_rule_class *before = &classes[count - 1];
    if (count > 1 && before->pages == next.pages && before->objects == next.objects)
      classes[count - 1] = next;
    else
      classes[count++] = next;
  }
  for (uint32_t i = 1; i < count; i++) {
    const uint32_t span = classes[i].pages * NM_RULE_PAGE_BYTES;
    const uint32_t grown = span / classes[i].objects / NM_RULE_GROW_BYTES * NM_RULE_GROW_BYTES;
    if (grown > classes[i].bytes) classes[i].bytes = grown;
  }
  return count;
}

// (offset * magic) >> 32 is offset / size for every offset within a span.
static inline uint32_t nm_rule_magic(uint32_t size) { return UINT32_MAX / size + 1; }

#endif
