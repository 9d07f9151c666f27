// SPDX-License-Identifier: MIT
// Memory for a heap's own structures: bump-allocated from mapped chunks, zeroed, never freed until
// the heap is destroyed (descriptors are recycled by their owners). Every byte handed out is
// counted, because it is charged to the heap. Thread-safe.
#ifndef HS_RUNTIME_META_H
#define HS_RUNTIME_META_H

#include <stddef.h>

#include "allocators/os/os.h"

typedef struct hs_meta {
  hs_mutex lock;
  struct hs_meta_chunk *chunks; // [lock]
  char *next, *limit;           // [lock]
  _Atomic(uint64_t) used_bytes; // [atomic] resident: handed out, rounded to pages per chunk
} hs_meta;

void hs_meta_init(hs_meta *meta);
void hs_meta_destroy(hs_meta *meta);

// Zeroed memory aligned to `align` (power of two <= 4096); NULL when the OS refuses.
void *hs_meta_alloc(hs_meta *meta, size_t bytes, size_t align);
uint64_t hs_meta_bytes(const hs_meta *meta);

#endif
