// SPDX-License-Identifier: MIT
// Large objects: runs of whole pages at the top of the object space, placed first-fit, never copied.
// Moving them would cost much and gain little: page runs fragment the address space, not memory,
// because every free page can go back to the OS alone. Size and slots are in a descriptor; the handle
// names the descriptor. Pages are numbered downwards from the top.
#include <string.h>

#include "allocators/base/track.h"
#include "compact/cp_internal.h"

// Address space is made accessible in steps of at least this size.
static const size_t COMMIT_BYTES = 1 << 20;
// Pages given back in one hold of the lock: 2 MiB, some 100 us.
static const uint32_t PURGE_PAGES = 512;

static uint8_t *page_states(const compact_heap *heap) { return (uint8_t *)heap->pages.base; }

static char *run_start(const compact_heap *heap, uint32_t page, uint32_t count) {
  return heap->objects + heap->object_bytes - ((size_t)page + count) * CP_PAGE_BYTES;
}

// First fit: the lowest run of free pages, possibly reaching past the frontier.
static uint32_t find_run_locked(compact_heap *heap, uint32_t count) {
  const uint8_t *const states = page_states(heap);
  uint32_t start = heap->page_cursor;
  while (start < heap->page_frontier && states[start] & CP_PAGE_USED) start++;
  heap->page_cursor = start;
  for (uint32_t page = start; page < heap->page_frontier && page - start < count; page++)
    if (states[page] & CP_PAGE_USED) start = page + 1;
  return start;
}

static bool commit_locked(compact_heap *heap, uint32_t end_page) {
  const size_t end = (size_t)end_page * CP_PAGE_BYTES;
  if (end > heap->object_bytes - heap->low_committed) return false; // I-cp-10
  if (end <= heap->high_committed) return true;
  const size_t to =
      hs_min_size(hs_align_up(end, COMMIT_BYTES), heap->object_bytes - heap->low_committed);
  const size_t bytes = to - heap->high_committed;
  if (hs_os_commit(heap->objects + heap->object_bytes - to, bytes) != 0) return false;
  const uint64_t now_ns = hs_os_now_ns();
  hs_event_log_add(&heap->log, HS_EVENT_GROW, 0, now_ns, now_ns, bytes);
  heap->high_committed = to;
  return true;
}

static uint32_t take_descriptor_locked(compact_heap *heap) {
  const uint32_t recycled = heap->large_free;
  if (recycled != CP_NONE) {
    heap->large_free = cp_large_at(heap, recycled)->page;
    return recycled;
  }
  if (heap->large_count > CP_DESCRIPTOR_MASK ||
      !cp_side_extend(&heap->larges, heap->large_count + 1))
    return CP_NONE;
  return heap->large_count++;
}

static void give_descriptor_locked(compact_heap *heap, uint32_t descriptor) {
  *cp_large_at(heap, descriptor) = (cp_large){.page = heap->large_free};
  heap->large_free = descriptor;
}

// Marks the run used and charges it. Returns false, with nothing changed, when memory is short.
static bool take_run_locked(compact_heap *heap, uint32_t page, uint32_t count, bool *dirty) {
  const uint32_t end = page + count;
  uint8_t *const states = page_states(heap);
  uint32_t fresh =
      end - page; // those from the frontier on are all fresh, and may have no state yet
  for (uint32_t i = page; i < end && i < heap->page_frontier; i++)
    fresh -= (states[i] & CP_PAGE_RESIDENT) != 0;
  // The limit first: what it refuses must not have grown anything.
  if (!cp_charge(heap, &heap->resident_bytes, (uint64_t)fresh * CP_PAGE_BYTES, true)) return false;
  if (!commit_locked(heap, end) || !cp_side_extend(&heap->pages, end) ||
      (cp_is_stress(heap) && // may have been made inaccessible
       hs_os_commit(run_start(heap, page, count), (size_t)count * CP_PAGE_BYTES) != 0)) {
    hs_sub_relaxed(&heap->resident_bytes, (uint64_t)fresh * CP_PAGE_BYTES);
    return false;
  }
  *dirty = false;
  for (uint32_t i = page; i < end; i++) {
    *dirty |= (states[i] & CP_PAGE_DIRTY) != 0;
    // The page in its new life is all data: DIRTY from now on.
    states[i] = (uint8_t)(states[i] | CP_PAGE_USED | CP_PAGE_RESIDENT | CP_PAGE_DIRTY);
  }
  if (end > heap->page_frontier) heap->page_frontier = end;
  hs_add_relaxed(&heap->large_bytes, (uint64_t)count * CP_PAGE_BYTES);
  return true;
}

bool cp_large_alloc(compact_heap *heap, size_t ref_count, size_t bytes, compact_entry *handle) {
  if (bytes > heap->object_bytes) return false;
  const uint32_t count = (uint32_t)hs_div_up(bytes, CP_PAGE_BYTES);
  bool dirty;
  hs_mutex_lock(&heap->lock);
  const uint32_t descriptor = take_descriptor_locked(heap);
  const uint32_t page = find_run_locked(heap, count);
  if (descriptor == CP_NONE || !take_run_locked(heap, page, count, &dirty)) {
    if (descriptor != CP_NONE) give_descriptor_locked(heap, descriptor);
    hs_mutex_unlock(&heap->lock);
    return false;
  }
  *cp_large_at(heap, descriptor) = (cp_large){.handle = handle,
                                              .bytes = hs_align_up(bytes, CP_GRANULE_BYTES),
                                              .ref_count = ref_count,
                                              .page = page,
                                              .page_count = count};
  cp_peak_note(heap);
  hs_mutex_unlock(&heap->lock);
  char *const start = run_start(heap, page, count);
  hs_track_live(start, (size_t)count * CP_PAGE_BYTES);
  if (dirty) memset(start, 0, (size_t)count * CP_PAGE_BYTES);
  cp_entry_store(handle, (uint64_t)(start - heap->objects) >> COMPACT_GRANULE_SHIFT |
                             (uint64_t)descriptor << COMPACT_SIZE_SHIFT | CP_ENTRY_LARGE);
  return true;
}

static void free_run(compact_heap *heap, const cp_large *large) {
  uint8_t *const states = page_states(heap);
  char *const start = cp_large_start(heap, large);
  const size_t bytes = (size_t)large->page_count * CP_PAGE_BYTES;
  const bool gone = cp_is_stress(heap) && hs_os_decommit(start, bytes) == 0;
  for (uint32_t i = large->page; i < large->page + large->page_count; i++)
    states[i] = gone ? 0 : CP_PAGE_DIRTY | CP_PAGE_RESIDENT;
  if (gone) hs_sub_relaxed(&heap->resident_bytes, (uint64_t)bytes);
  if (large->page < heap->page_cursor) heap->page_cursor = large->page;
  hs_sub_relaxed(&heap->large_bytes, (uint64_t)bytes);
  hs_track_free(start, bytes);
}

void cp_large_sweep(compact_heap *heap) {
  hs_mutex_lock(&heap->lock);
  for (uint32_t i = 0; i < heap->large_count; i++) {
    const cp_large *const large = cp_large_at(heap, i);
    if (!large->handle) continue;
    if (cp_entry_is_marked(heap, cp_entry_index(heap, large->handle))) continue;
    free_run(heap, large);
    give_descriptor_locked(heap, i);
    hs_mutex_unlock(&heap->lock); // others may wait for memory
    hs_mutex_lock(&heap->lock);
  }
  hs_mutex_unlock(&heap->lock);
}

uint64_t cp_large_free_bytes(compact_heap *heap) {
  const uint8_t *const states = page_states(heap);
  uint64_t bytes = 0;
  hs_mutex_lock(&heap->lock);
  for (uint32_t page = heap->page_cursor; page < heap->page_frontier; page++)
    if ((states[page] & (CP_PAGE_USED | CP_PAGE_RESIDENT)) == CP_PAGE_RESIDENT)
      bytes += CP_PAGE_BYTES;
  hs_mutex_unlock(&heap->lock);
  return bytes;
}

// Gives back runs of free resident pages, but those nearest to the top, which are reused first. Pages are in use
// while they are given back, so that nobody has to wait for the system call.
uint64_t cp_large_purge(compact_heap *heap, uint64_t keep_bytes) {
  const bool lazily = heap->config.release_free != 0;
  uint8_t *const states = page_states(heap);
  uint64_t kept = 0, purged = 0;
  hs_mutex_lock(&heap->lock);
  for (uint32_t page = 0; page < heap->page_frontier; page++) {
    if (states[page] & CP_PAGE_USED || !(states[page] & CP_PAGE_RESIDENT)) continue;
    kept += CP_PAGE_BYTES;
    if (kept <= keep_bytes) continue;
    uint32_t end = page + 1;
    while (end < heap->page_frontier && end - page < PURGE_PAGES && !(states[end] & CP_PAGE_USED) &&
           states[end] & CP_PAGE_RESIDENT)
      end++;
    const size_t bytes = (size_t)(end - page) * CP_PAGE_BYTES;
    for (uint32_t i = page; i < end; i++) states[i] |= CP_PAGE_USED;
    hs_mutex_unlock(&heap->lock);
    const bool gone = hs_os_purge(run_start(heap, page, end - page), bytes,
                                  lazily ? HS_OS_PURGE_FREE : HS_OS_PURGE_DONTNEED) == 0;
    hs_mutex_lock(&heap->lock);
    for (uint32_t i = page; i < end; i++) states[i] &= (uint8_t)~CP_PAGE_USED;
    if (page < heap->page_cursor) heap->page_cursor = page;
    if (gone) {
      memset(states + page, lazily ? CP_PAGE_DIRTY : 0, end - page); // FREE may keep old contents
      hs_sub_relaxed(&heap->resident_bytes, (uint64_t)bytes);
      purged += bytes;
    }
    page = end - 1;
  }
  hs_mutex_unlock(&heap->lock);
  return purged;
}
