// SPDX-License-Identifier: MIT
// The inline operations as real functions, for the outline build and for debuggers.
#ifndef HEAP_OUTLINE
#define HEAP_OUTLINE 1
#endif
#include "compact/compact_inline.h"
