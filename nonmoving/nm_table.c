// SPDX-License-Identifier: MIT
#include "nonmoving/nm_table.h"

#include "allocators/base/assert.h"
#include "allocators/base/bits.h"

// Accessible prefixes grow in steps, so that a growth of the heap rarely needs a system call here.
static const size_t COMMIT_STEP_BYTES = 1 << 20;

size_t nm_table_bitmap_bytes(size_t capacity_bytes) {
  return hs_div_up(hs_div_up(capacity_bytes, hs_os_page_bytes()), 64) * sizeof(uint64_t);
}

void nm_table_init(nm_table *table, char *base, size_t capacity_bytes, uint64_t *touched) {
  *table = (nm_table){.base = base, .capacity_bytes = capacity_bytes, .touched = touched};
}

bool nm_table_commit(nm_table *table, size_t end_bytes) {
  if (end_bytes <= table->committed_bytes) return true;
  if (end_bytes > table->capacity_bytes) return false;
  const size_t end = hs_min_size(hs_align_up(end_bytes, COMMIT_STEP_BYTES), table->capacity_bytes);
  if (hs_os_commit(table->base + table->committed_bytes, end - table->committed_bytes) != 0)
    return false;
  table->committed_bytes = end;
  return true;
}

void nm_table_touch(nm_table *table, size_t offset, size_t bytes) {
  HS_ASSERT(offset + bytes <= table->committed_bytes);
  if (bytes == 0) return;
  const size_t page_bytes = hs_os_page_bytes();
  for (size_t p = offset / page_bytes; p <= (offset + bytes - 1) / page_bytes; p++) {
    const uint64_t mask = 1ull << (p % 64);
    if (table->touched[p / 64] & mask) continue;
    table->touched[p / 64] |= mask;
    hs_owner_add(&table->used_bytes, (uint64_t)page_bytes);
  }
}
