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

uint64_t cp_side_bytes(const cp_side *side) { return hs_load_relaxed(&side->touched_bytes); }
