// SPDX-License-Identifier: MIT
#include "workloads/reference/model/size_classes.h"

#include "allocators/base/assert.h"

typedef struct model_class {
  uint64_t bytes, span_bytes;
} model_class;

enum {
  STEP_SMALL = 16,        // bytes between classes from 32 B
  STEP_FROM = 128,        // from here the step is size / STEP_SHARE
  STEP_SHARE = 8,         // at most 1/8 is lost to rounding up
  STEP_LARGE_FROM = 2048, // from here the step is fixed
  STEP_LARGE = 256,
  WASTE_SHARE = 8,  // at most 1/8 of a span is left over at its end
  GROWN_ALIGN = 128 // classes grow into the left-over in multiples of this
};

static uint64_t class_step(uint64_t size, uint64_t step) {
  if ((size & (size - 1)) != 0) return step; // changes at powers of two only
  if (size >= STEP_LARGE_FROM) return STEP_LARGE;
  if (size >= STEP_FROM) return size / STEP_SHARE;
  if (size >= 32) return STEP_SMALL;
  return step;
}

static uint64_t class_span_bytes(uint64_t size) {
  uint64_t span = MODEL_PAGE_BYTES;
  while (span % size > span / WASTE_SHARE) span += MODEL_PAGE_BYTES;
  return span;
}

static void classes_generate(model_class *classes) {
  size_t count = 0;
  for (uint64_t step = 8, size = 8; size <= MODEL_SMALL_BYTES; size += step) {
    step = class_step(size, step);
    const uint64_t span = class_span_bytes(size);
    model_class *last = count > 0 ? &classes[count - 1] : NULL;
    if (last && last->span_bytes == span && span / last->bytes == span / size) {
      last->bytes = size; // as many objects in the same span: the smaller class is useless
      continue;
    }
    HS_REQUIRE(count < MODEL_CLASSES, "the rule gives more than %d size classes", MODEL_CLASSES);
    classes[count++] = (model_class){size, span};
  }
  HS_REQUIRE(count == MODEL_CLASSES, "the rule gives %zu size classes", count);
  for (size_t i = 0; i < count; i++) {
    const uint64_t objects = classes[i].span_bytes / classes[i].bytes;
    const uint64_t grown = classes[i].span_bytes / objects / GROWN_ALIGN * GROWN_ALIGN;
    if (grown > classes[i].bytes) classes[i].bytes = grown;
  }
}

// Objects of one size that fit a tiny block: each is aligned to the largest power of two up to 8
// that divides its size, which the size is a multiple of, so they lie back to back.
static uint64_t tiny_per_block(uint64_t size) { return MODEL_TINY_BYTES / size; }

model_layout model_layout_of(uint64_t size, bool has_pointers) {
  static model_class classes[MODEL_CLASSES];
  if (classes[0].bytes == 0) classes_generate(classes);
  if (size > MODEL_SMALL_BYTES) {
    const uint64_t pages = (size + MODEL_PAGE_BYTES - 1) / MODEL_PAGE_BYTES;
    return (model_layout){pages * MODEL_PAGE_BYTES, pages * MODEL_PAGE_BYTES, 1, 1};
  }
  uint64_t per_slot = 1;
  if (!has_pointers && size < MODEL_TINY_BYTES) {
    per_slot = tiny_per_block(size);
    size = MODEL_TINY_BYTES;
  }
  size_t at = 0;
  while (classes[at].bytes < size) at++;
  const model_class *c = &classes[at];
  return (model_layout){c->bytes, c->span_bytes, c->span_bytes / c->bytes, per_slot};
}
