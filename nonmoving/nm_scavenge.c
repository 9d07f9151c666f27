// SPDX-License-Identifier: MIT
// Returning free memory to the OS, from high addresses to low, where first fit will want it last.
// Three callers: a forced release (everything), an allocation at the limit (the excess), and the
// background thread (what exceeds the retained goal, at about 1 % of one CPU, as Go since 1.13).
#include "allocators/base/assert.h"
#include "nonmoving/nm_internal.h"

enum {
  QUANTUM_PAGES = 8,  // 64 KiB per system call in the background (Go: scavengeQuantum)
  FORCED_PAGES = 512, // a whole chunk per system call otherwise
  DENSE_PAGES = 496,  // the background thread leaves fuller chunks alone: 96.875 % (Go 1.21+)
  DENSE_NEVER = NM_CHUNK_PAGES + 1,
};
static const uint64_t BURST_NS = 1000 * 1000; // work this long, then sleep (Go: 1 ms)
static const uint64_t SLEEP_PER_WORK = 99;    // so that work takes 1 % of the time

static int purge(nonmoving_heap *heap, size_t first, size_t n) {
  const hs_os_purge_mode mode = heap->config.release_free ? HS_OS_PURGE_FREE : HS_OS_PURGE_DONTNEED;
  return hs_os_purge((void *)nm_page_address(heap, first), n << NM_PAGE_SHIFT, mode);
}

// The pages were taken out of the bitmap; they go back, released unless the OS refused.
static void finish_locked(nonmoving_heap *heap, size_t first, size_t n, bool released) {
  nm_pages_free(&heap->pages, first, n, released);
  if (!released) return;
  hs_owner_add(&heap->counts.free, -(uint64_t)n);
  hs_owner_add(&heap->counts.released, (uint64_t)n);
  hs_add_relaxed(&heap->scavenged_bytes, (uint64_t)n << NM_PAGE_SHIFT);
}

size_t nm_scavenge_pages_locked(nonmoving_heap *heap, size_t page_count) {
  size_t released = 0, first = 0, n;
  while (released < page_count &&
         (n = nm_pages_find_unscavenged(&heap->pages, SIZE_MAX,
                                        hs_min_size(FORCED_PAGES, page_count - released),
                                        DENSE_NEVER, &first)) > 0) {
    nm_pages_take(&heap->pages, first, n);
    const bool ok = purge(heap, first, n) == 0;
    finish_locked(heap, first, n, ok);
    if (!ok) break; // the same pages would be found again
    released += n;
  }
  return released;
}

uint64_t nm_scavenge_all(nonmoving_heap *heap) {
  const uint64_t begin_ns = hs_os_now_ns();
  hs_mutex_lock(&heap->scavenge_lock); // a piece the background thread has taken comes back first
  hs_mutex_lock(&heap->lock);
  const uint64_t bytes = (uint64_t)nm_scavenge_pages_locked(heap, SIZE_MAX) << NM_PAGE_SHIFT;
  hs_mutex_unlock(&heap->lock);
  hs_mutex_unlock(&heap->scavenge_lock);
  if (bytes > 0)
    hs_event_log_add(&heap->log, HS_EVENT_SCAVENGE, 0, begin_ns, hs_os_now_ns(), bytes);
  return bytes;
}

// ---- background ---------------------------------------------------------------------------------

static bool retains_too_much(nonmoving_heap *heap) {
  const uint64_t backed =
      (hs_load_relaxed(&heap->counts.in_use) + hs_load_relaxed(&heap->counts.free))
      << NM_PAGE_SHIFT;
  return backed > hs_load_relaxed(&heap->scavenge_goal);
}

// One piece; the system call is made without the heap lock. False: nothing left to release.
static bool release_quantum(nonmoving_heap *heap) {
  hs_mutex_lock(&heap->scavenge_lock);
  hs_mutex_lock(&heap->lock);
  size_t first = 0;
  const size_t n =
      nm_pages_find_unscavenged(&heap->pages, SIZE_MAX, QUANTUM_PAGES, DENSE_PAGES, &first);
  if (n > 0) nm_pages_take(&heap->pages, first, n);
  hs_mutex_unlock(&heap->lock);
  bool released = false;
  if (n > 0) {
    released = purge(heap, first, n) == 0;
    hs_mutex_lock(&heap->lock);
    finish_locked(heap, first, n, released);
    hs_mutex_unlock(&heap->lock);
  }
  hs_mutex_unlock(&heap->scavenge_lock);
  return released;
}

uint64_t nm_scavenge_background(void *context) {
  nonmoving_heap *const heap = context;
  const uint64_t begin_ns = hs_os_now_ns();
  const uint64_t before = hs_load_relaxed(&heap->scavenged_bytes);
  bool more = true;
  uint64_t worked_ns = 0;
  while (worked_ns < BURST_NS && retains_too_much(heap) && (more = release_quantum(heap)))
    worked_ns = hs_os_now_ns() - begin_ns;
  const uint64_t bytes = hs_load_relaxed(&heap->scavenged_bytes) - before;
  if (bytes > 0)
    hs_event_log_add(&heap->log, HS_EVENT_SCAVENGE, 0, begin_ns, hs_os_now_ns(), bytes);
  if (!more || !retains_too_much(heap)) return HS_BACKGROUND_IDLE;
  return worked_ns * SLEEP_PER_WORK;
}
