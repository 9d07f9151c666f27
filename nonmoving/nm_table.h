// SPDX-License-Identifier: MIT
// Flat tables: arrays indexed by page, chunk or number over the whole reserved range. Address space is
// reserved at once, made accessible as the heap grows, and charged by the OS page when first used, so
// that metadata_bytes is what the kernel charges too.
#ifndef NM_TABLE_H
#define NM_TABLE_H

#include "allocators/os/os.h"

typedef struct nm_table {
  char *base;                   // [const]
  size_t capacity_bytes;        // [const]
  size_t committed_bytes;       // [lock heap.lock] accessible prefix
  uint64_t *touched;            // [lock heap.lock] one bit per OS page that was used
  _Atomic(uint64_t) used_bytes; // [atomic] touched pages, written under heap.lock
} nm_table;

// Bytes of the touched bitmap of a table, a multiple of 8.
size_t nm_table_bitmap_bytes(size_t capacity_bytes);

void nm_table_init(nm_table *table, char *base, size_t capacity_bytes, uint64_t *touched);

// Make [0, end_bytes) accessible; false when the OS refuses or the table is too small.
HS_NODISCARD bool nm_table_commit(nm_table *table, size_t end_bytes);

// Charge [offset, offset + bytes), which will be written.
void nm_table_touch(nm_table *table, size_t offset, size_t bytes);

#endif
