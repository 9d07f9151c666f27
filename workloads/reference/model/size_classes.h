// SPDX-License-Identifier: MIT
// Go's size classes from the rule that its authors generate them by (Go 1.21, runtime/mksizeclasses),
// so that the model shares nothing with the heap it is compared with.
#ifndef MODEL_SIZE_CLASSES_H
#define MODEL_SIZE_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  MODEL_PAGE_BYTES = 8192,
  MODEL_SMALL_BYTES = 32768, // larger objects get pages of their own
  MODEL_TINY_BYTES = 16,     // pointer-free objects below this share blocks of this size
  MODEL_CLASSES = 67,
};

// How objects of one size are laid out: `slots` slots of slot_bytes in a span of span_bytes, and
// `per_slot` objects in one slot (more than one only in tiny blocks).
typedef struct model_layout {
  uint64_t slot_bytes, span_bytes, slots, per_slot;
} model_layout;

model_layout model_layout_of(uint64_t size, bool has_pointers);

#endif
