// SPDX-License-Identifier: MIT
// Regions: 256 KiB areas in which objects of all small sizes are bump-allocated. A region is used
// from its start, so one number says which part holds objects, one which part may be dirty and one
// which part is charged (I-cp-4, I-cp-5). The lowest region with room is taken first: the heap stays
// at low addresses, and regions that died in the last cycle are reused while still in the cache.
#include "compact/cp_internal.h"

#include "allocators/base/track.h"

// Room at the end of a region that holds objects for which it is opened again; at least the largest
// small object, so an open region never fails a first allocation.
static const uint32_t MIN_ROOM_BYTES = 32 << 10;
// Address space is made accessible in steps of this size, and in single regions when that fails.
static const size_t COMMIT_BYTES = 4 << 20;
// Looked at in one hold of the lock: some microseconds.
static const uint32_t LOCKED_REGIONS = 256;
// Stress mode cycles through at least this many regions before it reuses an address.
static const uint32_t STRESS_WINDOW = 64;

bool cp_charge(compact_heap *heap, _Atomic(uint64_t) *account, uint64_t bytes, bool reserve) {
  hs_add_relaxed(account, bytes); // a counter: nothing is published through it
  const uint64_t limit = (uint64_t)heap->config.limit_bytes;
  if (limit == 0) return true;
  const uint64_t total =
      hs_load_relaxed(&heap->resident_bytes) + hs_load_relaxed(&heap->table_bytes);
  if (total + (reserve ? (uint64_t)CP_REGION_BYTES : 0) <= limit) return true;
  hs_sub_relaxed(account, bytes);
  return false;
}

bool cp_region_charge(compact_heap *heap, cp_region *region, uint32_t end, bool reserve) {
  const uint32_t resident = (uint32_t)hs_align_up(end, CP_PAGE_BYTES);
  if (resident <= region->resident) return true;
  if (!cp_charge(heap, &heap->resident_bytes, resident - region->resident, reserve)) return false;
  region->resident = resident;
  return true;
}

static bool commit_locked(compact_heap *heap, uint32_t region) {
  const size_t end = (size_t)(region + 1) << CP_REGION_SHIFT;
  if (end > heap->object_bytes - heap->high_committed) return false; // I-cp-10
  if (end <= heap->low_committed) return true;
  size_t to =
      hs_min_size(hs_align_up(end, COMMIT_BYTES),
                  hs_align_down(heap->object_bytes - heap->high_committed, CP_REGION_BYTES));
  if (hs_os_commit(heap->objects + heap->low_committed, to - heap->low_committed) != 0) {
    to = end;
    if (hs_os_commit(heap->objects + heap->low_committed, to - heap->low_committed) != 0)
      return false;
  }
  const uint64_t now_ns = hs_os_now_ns();
  hs_event_log_add(&heap->log, HS_EVENT_GROW, 0, now_ns, now_ns, to - heap->low_committed);
  heap->low_committed = to;
  return true;
}

static uint32_t open_locked(compact_heap *heap, uint32_t region) {
  if (!cp_side_extend(&heap->regions, region + 1) || !commit_locked(heap, region)) return CP_NONE;
  cp_region *const r = cp_region_at(heap, region);
  if (cp_is_stress(heap) && r->state == CP_REGION_FREE && // may have been made inaccessible
      hs_os_commit(cp_region_start(heap, region), CP_REGION_BYTES) != 0)
    return CP_NONE;
  r->state = CP_REGION_OPEN;
  r->turn = (uint8_t)heap->turn;
  if (region >= heap->region_frontier) heap->region_frontier = region + 1;
  cp_peak_note(heap);
  return region;
}

// Next free region in a cycle through the window, so that freed addresses stay unused for long.
static uint32_t take_stress_locked(compact_heap *heap) {
  const uint32_t window =
      heap->region_frontier < STRESS_WINDOW ? STRESS_WINDOW : heap->region_frontier;
  for (uint32_t i = 0; i < window; i++) {
    const uint32_t region = 1 + (heap->region_stress + i) % window;
    if (region >= heap->region_frontier || cp_region_at(heap, region)->state == CP_REGION_FREE) {
      heap->region_stress = (heap->region_stress + i + 1) % window;
      return open_locked(heap, region);
    }
  }
  return open_locked(heap, heap->region_frontier);
}

// The next region with room from the cursor on, of at most `count`; CP_NONE: none of those.
static uint32_t take_next_locked(compact_heap *heap, uint32_t count) {
  const bool reuse = !cp_is_stress(heap); // else a free region is taken in turn, not the lowest
  const uint32_t from = heap->region_cursor;
  const uint32_t end = (uint32_t)hs_min_u64((uint64_t)from + count, heap->region_frontier);
  for (uint32_t region = from; region < end; region++) {
    const cp_region *const r = cp_region_at(heap, region);
    if ((r->state == CP_REGION_FREE && reuse) ||
        (r->state == CP_REGION_CLOSED && r->top + MIN_ROOM_BYTES <= CP_REGION_BYTES)) {
      heap->region_cursor = region + 1;
      return open_locked(heap, region);
    }
  }
  if (end > from) heap->region_cursor = end;
  return CP_NONE;
}

// Looks at LOCKED_REGIONS, then grows, so by 1/256 of the full ones at most; looks at all before it gives up.
uint32_t cp_region_take_locked(compact_heap *heap, bool fresh) {
  if (fresh) return take_stress_locked(heap);
  uint32_t region = take_next_locked(heap, LOCKED_REGIONS);
  if (region == CP_NONE)
    region =
        cp_is_stress(heap) ? take_stress_locked(heap) : open_locked(heap, heap->region_frontier);
  return region != CP_NONE ? region : take_next_locked(heap, UINT32_MAX);
}

void cp_region_give_locked(compact_heap *heap, uint32_t region) {
  cp_region *const r = cp_region_at(heap, region);
  r->state = r->top == 0 ? CP_REGION_FREE : CP_REGION_CLOSED;
  if (region < heap->region_cursor) heap->region_cursor = region;
}

// Charges the hollow pages again: they may be touched from now on.
static void fill_hollow_locked(compact_heap *heap, cp_region *r) {
  hs_add_relaxed(&heap->resident_bytes, (uint64_t)r->hollow * CP_PAGE_BYTES);
  r->hollow = 0;
}

void cp_region_hollow_locked(compact_heap *heap, uint32_t region, const uint32_t *entries,
                             uint32_t count) {
  enum { PAGES = CP_REGION_BYTES / CP_PAGE_BYTES };
  _Static_assert(PAGES == 64, "a bit per page");
  cp_region *const r = cp_region_at(heap, region);
  uint64_t occupied = 0;
  uint32_t top = 0;
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t word = cp_entry_load(heap->table + entries[i]);
    const uint32_t begin = (uint32_t)(cp_entry_offset(word) & (CP_REGION_BYTES - 1));
    const uint32_t end = begin + cp_entry_bytes(word);
    for (uint32_t page = begin / CP_PAGE_BYTES; page * CP_PAGE_BYTES < end; page++)
      occupied |= 1ull << page;
    if (end > top) top = end;
  }
  fill_hollow_locked(heap, r);
  hs_track_free(cp_region_start(heap, region) + top, r->top - top);
  r->top = top; // what is above is garbage
  for (uint32_t page = 0; page * CP_PAGE_BYTES < top; page++) {
    uint32_t end = page;
    while (end * CP_PAGE_BYTES < top && !(occupied >> end & 1)) end++;
    if (end == page) continue;
    const size_t bytes = (size_t)(end - page) * CP_PAGE_BYTES;
    if (hs_os_purge(cp_region_start(heap, region) + (size_t)page * CP_PAGE_BYTES, bytes,
                    HS_OS_PURGE_DONTNEED) != 0)
      break; // stays charged
    r->hollow = (uint8_t)(r->hollow + (end - page));
    hs_sub_relaxed(&heap->resident_bytes, (uint64_t)bytes);
    heap->totals.scavenged_bytes += bytes;
    page = end;
  }
}

void cp_region_free_locked(compact_heap *heap, uint32_t region) {
  cp_region *const r = cp_region_at(heap, region);
  char *const start = cp_region_start(heap, region);
  fill_hollow_locked(heap, r);
  r->state = CP_REGION_FREE;
  r->top = r->live_bytes = r->live_count = 0;
  if (region < heap->region_cursor) heap->region_cursor = region;
  if (cp_is_stress(heap)) { // a stale pointer faults at once
    if (hs_os_decommit(start, CP_REGION_BYTES) == 0) {
      hs_sub_relaxed(&heap->resident_bytes, (uint64_t)r->resident);
      r->dirty = r->resident = 0;
    }
  }
  hs_track_free(start, CP_REGION_BYTES);
}

void cp_region_free_dead(compact_heap *heap) {
  hs_mutex_lock(&heap->lock);
  for (uint32_t region = 1; region < heap->region_frontier; region++) {
    const cp_region *const r = cp_region_at(heap, region);
    if (r->state == CP_REGION_CLOSED && r->live_count == 0 && r->turn != (uint8_t)heap->turn)
      cp_region_free_locked(heap, region);
    if (region % LOCKED_REGIONS != 0) continue;
    hs_mutex_unlock(&heap->lock);
    hs_mutex_lock(&heap->lock);
  }
  hs_mutex_unlock(&heap->lock);
}

// Give back [keep, resident) of a region; keep is in whole pages.
static uint64_t purge_one(compact_heap *heap, uint32_t region, uint32_t keep) {
  cp_region *const r = cp_region_at(heap, region);
  const bool lazily = heap->config.release_free != 0;
  const uint32_t bytes = r->resident - keep;
  if (hs_os_purge(cp_region_start(heap, region) + keep, bytes,
                  lazily ? HS_OS_PURGE_FREE : HS_OS_PURGE_DONTNEED) != 0)
    return 0;
  r->resident = keep;
  if (!lazily && r->dirty > keep) r->dirty = keep; // MADV_FREE may keep the old contents
  hs_sub_relaxed(&heap->resident_bytes, (uint64_t)bytes);
  return bytes;
}

uint64_t cp_region_free_bytes(compact_heap *heap) {
  uint64_t bytes = 0;
  hs_mutex_lock(&heap->lock);
  for (uint32_t region = 1; region < heap->region_frontier; region++)
    if (cp_region_at(heap, region)->state == CP_REGION_FREE)
      bytes += cp_region_at(heap, region)->resident;
  hs_mutex_unlock(&heap->lock);
  return bytes;
}

// Keeps the lowest free regions: they are the first to be reused. tails: of regions that are nobody's as well.
// A region is the collector's while its pages are given back, so that nobody has to wait for the system call.
uint64_t cp_region_purge(compact_heap *heap, uint64_t keep_bytes, bool tails) {
  uint64_t kept = 0, purged = 0;
  hs_mutex_lock(&heap->lock);
  for (uint32_t region = 1; region < heap->region_frontier; region++) {
    cp_region *const r = cp_region_at(heap, region);
    if (r->state != CP_REGION_FREE && !(tails && r->state == CP_REGION_CLOSED)) continue;
    if (r->state == CP_REGION_FREE && kept + r->resident <= keep_bytes) {
      kept += r->resident;
      continue;
    }
    const uint32_t end = (uint32_t)hs_align_up(r->top, CP_PAGE_BYTES); // 0 when it is free
    if (r->resident <= end) continue;
    r->state = CP_REGION_OPEN;
    hs_mutex_unlock(&heap->lock);
    purged += purge_one(heap, region, end);
    hs_mutex_lock(&heap->lock);
    cp_region_give_locked(heap, region);
  }
  hs_mutex_unlock(&heap->lock);
  return purged;
}
