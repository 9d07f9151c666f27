// SPDX-License-Identifier: MIT
// Size classes: what the build-time table says of each (nm_size_table.h), and lookups.
// A span class is a size class twice: even numbers hold objects with references (scan), odd ones
// objects without (noscan). Class 0 stands for large objects, one to a span.
#ifndef NM_SIZECLASS_H
#define NM_SIZECLASS_H

#include <stddef.h>
#include <stdint.h>

#include "allocators/base/compiler.h"
#include "nonmoving/nm_size_table.h"

enum {
  NM_PAGE_SHIFT = 13, // Go's 8 KiB runtime page, whatever the OS page is
  NM_PAGE_BYTES = 1 << NM_PAGE_SHIFT,
  NM_MAX_SMALL_BYTES = 32768,
  NM_SPAN_CLASS_COUNT = 2 * NM_CLASS_COUNT,
  NM_MAX_OBJECTS = 1024, // per span
};
_Static_assert(NM_CLASS_COUNT == 68 && NM_SPAN_CLASS_COUNT == 136, "Go 1.21 has 136 span classes");

typedef struct nm_class {
  uint32_t bytes;   // of a slot; 0 for class 0
  uint32_t magic;   // object index = offset * magic >> 32
  uint16_t objects; // per span
  uint8_t pages;    // per span
  uint8_t words;    // 64-bit words of a bitmap with one bit per object
} nm_class;
extern const nm_class nm_classes[NM_CLASS_COUNT];

// The class of a small size, 0 <= size <= 32768.
HS_ALWAYS_INLINE unsigned nm_class_of(size_t size) {
  if (size <= NM_FINE_LIMIT) return nm_class_of_fine[(size + NM_FINE_STEP - 1) / NM_FINE_STEP];
  return nm_class_of_coarse[(size - NM_COARSE_BASE + NM_COARSE_STEP - 1) / NM_COARSE_STEP];
}

// Index of the object that contains byte `offset` of a span of this class.
static inline uint32_t nm_class_index(unsigned class, size_t offset) {
  return (uint32_t)((offset * nm_classes[class].magic) >> 32);
}

#endif
