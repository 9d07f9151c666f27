// SPDX-License-Identifier: MIT
// Which regions to empty and when to rename: policy only, no effect but the choice. Freeing one byte
// of a region with live fraction u costs u / (1 - u) bytes copied.
#include "compact/cp_internal.h"

// An automatic cycle empties regions below 75 % live: at most 3 bytes are copied per byte freed, and
// what is left behind wastes at most a third of the live bytes. Garbage in a region can be reused in
// no other way.
static const uint32_t AUTOMATIC_LIVE_PERCENT = 75;
// A full collection goes to 94 %: what stays behind is within the 2-5 % of a dense heap on average.
static const uint32_t FULL_LIVE_PERCENT = 94;
// Below these many bytes of garbage nothing is gained in pages.
static const uint32_t AUTOMATIC_MIN_GARBAGE_BYTES = 16 << 10;
static const uint32_t FULL_MIN_GARBAGE_BYTES = CP_PAGE_BYTES;

bool cp_select_is_source(const cp_region *region, cp_effort effort) {
  if (region->state != CP_REGION_CLOSED || region->pinned > 0) return false;
  if (effort == CP_EFFORT_EVERYTHING) return true;
  const bool full = effort == CP_EFFORT_FULL;
  const uint32_t garbage = region->top - region->live_bytes;
  if (garbage < (full ? FULL_MIN_GARBAGE_BYTES : AUTOMATIC_MIN_GARBAGE_BYTES)) return false;
  const uint32_t percent = full ? FULL_LIVE_PERCENT : AUTOMATIC_LIVE_PERCENT;
  return (uint64_t)region->live_bytes * 100 < (uint64_t)region->top * percent;
}

uint64_t cp_select_sources(compact_heap *heap, uint32_t regions, cp_effort effort) {
  uint64_t objects = 0;
  hs_mutex_lock(&heap->lock);
  for (uint32_t region = 1; region < regions; region++) {
    cp_region *const r = cp_region_at(heap, region);
    if (!cp_select_is_source(r, effort) || r->live_count == 0) continue; // the sweep frees it
    r->state = CP_REGION_SOURCE;
    r->source = true;
    objects += r->live_count;
  }
  hs_mutex_unlock(&heap->lock);
  return objects;
}

// Free entries of sparse slabs serve new objects, so an automatic cycle renames only when the table is
// less than a quarter used, which shows that the program has shrunk, and when the gain is worth a
// pass over the live objects.
static const uint64_t AUTOMATIC_SPARSENESS = 4;
static const uint64_t AUTOMATIC_MIN_SLABS = 64;

bool cp_select_renaming(const cp_table_use *use, cp_effort effort) {
  const uint64_t needed = hs_div_up(use->live_entries, CP_SLAB_ENTRIES);
  if (effort == CP_EFFORT_EVERYTHING) return use->live_entries > 0;
  // One entry at the top of the table holds its page, and the side arrays up to there.
  if (effort == CP_EFFORT_FULL) return use->top_slab > needed;
  return use->occupied_slabs > AUTOMATIC_SPARSENESS * needed + AUTOMATIC_MIN_SLABS;
}
