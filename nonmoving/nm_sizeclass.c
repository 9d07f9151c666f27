// SPDX-License-Identifier: MIT
#include "nonmoving/nm_sizeclass.h"

#define NM_CLASS_ROW(class, slot_bytes, span_pages, span_objects, divide_magic)                    \
  [class] = {.bytes = slot_bytes,                                                                  \
             .magic = divide_magic,                                                                \
             .objects = span_objects,                                                              \
             .pages = span_pages,                                                                  \
             .words = (span_objects + 63) / 64},
const nm_class nm_classes[NM_CLASS_COUNT] = {NM_CLASS_LIST(NM_CLASS_ROW)};
