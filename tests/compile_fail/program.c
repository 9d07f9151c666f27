// SPDX-License-Identifier: MIT
// The smallest program on the contract; including the header makes every check.
#include "allocators/heap.h"

heap_ref program(heap_thread *t);
heap_ref program(heap_thread *t) { return heap_alloc(t, 1, 8); }
