// SPDX-License-Identifier: MIT
#include <string.h>

#include "compact/cp_internal.h"

// Pages committed at a time: few system calls, and address space is not memory.
static const size_t COMMIT_BYTES = 64 << 10;

void cp_side_init(cp_side *side, char *base, size_t element_bytes, size_t reserved_bytes) {
  *side = (cp_side){.base = base, .element_bytes = element_bytes, .reserved_bytes = reserved_bytes};
}

bool cp_side_extend(cp_side *side, size_t count) {
  const size_t bytes = hs_align_up(count * side->element_bytes, CP_PAGE_BYTES);
  if (bytes > side->reserved_bytes) return false;
  if (bytes > side->committed_bytes) {
    const size_t to = hs_min_size(hs_align_up(bytes, COMMIT_BYTES), side->reserved_bytes);
    if (hs_os_commit(side->base + side->committed_bytes, to - side->committed_bytes) != 0)
      return false;
    side->committed_bytes = to;
  }
  if (bytes > hs_load_relaxed(&side->touched_bytes)) hs_store_relaxed(&side->touched_bytes, bytes);
  return true;
}

void cp_side_trim(cp_side *side, size_t count) {
  const size_t used = count * side->element_bytes;
  const size_t keep = hs_align_up(used, CP_PAGE_BYTES);
  const size_t touched = hs_load_relaxed(&side->touched_bytes);
  size_t clear_to = hs_min_size(keep, touched);
  if (keep < touched) {
    if (hs_os_purge(side->base + keep, touched - keep, HS_OS_PURGE_DONTNEED) == 0)
      hs_store_relaxed(&side->touched_bytes, keep);
    else
      clear_to = touched;
  }
  if (used < clear_to) memset(side->base + used, 0, clear_to - used);
}

// A sampler that reads both between the two stores counts one of them twice, which is approximate
// enough: nearly always they are equal.
void cp_side_swap(cp_side *a, cp_side *b) {
  HS_ASSERT(a->element_bytes == b->element_bytes && a->reserved_bytes == b->reserved_bytes);
  char *const base = a->base;
  a->base = b->base;
  b->base = base;
  const size_t committed = a->committed_bytes;
  a->committed_bytes = b->committed_bytes;
  b->committed_bytes = committed;
  const uint64_t touched = hs_load_relaxed(&a->touched_bytes);
  hs_store_relaxed(&a->touched_bytes, hs_load_relaxed(&b->touched_bytes));
  hs_store_relaxed(&b->touched_bytes, touched);
}

uint64_t cp_side_bytes(const cp_side *side) { return hs_load_relaxed(&side->touched_bytes); }
