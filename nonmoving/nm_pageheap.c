// SPDX-License-Identifier: MIT
// The page heap: pages from a thread's page cache, from the bitmap, or by growing; the counters of
// pages by state; the limit; what is known to be zero.
// Keeps I-nm-9 and I-nm-10.
#include "allocators/base/assert.h"
#include "nonmoving/nm_internal.h"

// Requests of fewer pages are served from the thread's page cache (Go 1.14+).
enum { CACHED_REQUEST_PAGES = 16 };
// What an allocation and the cycle after it may add to the metadata without asking again: table pages,
// grey queues, events. Kept free below the limit, at most a 32nd of it.
static const uint64_t LIMIT_HEADROOM_BYTES = 128 << 10;
enum { LIMIT_HEADROOM_FRACTION = 32 };

static void touch_range(nonmoving_heap *heap, nm_table_id id, size_t first, size_t last,
                        size_t entry_bytes) {
  nm_table_touch(&heap->tables[id], first * entry_bytes, (last + 1 - first) * entry_bytes);
}

// Obtain whole chunks for at least n pages; returns how many pages came, 0 when the OS refuses or the
// range is full. New pages are born released.
static size_t grow_locked(nonmoving_heap *heap, size_t n) {
  const size_t range_pages = heap->range_bytes >> NM_PAGE_SHIFT;
  if (n > range_pages) return 0;
  const size_t pages = hs_align_up(n, NM_CHUNK_PAGES);
  const size_t grown = nm_grown_pages(heap), end = grown + pages;
  if (pages > range_pages - grown) return 0;
  const uint64_t begin_ns = hs_os_now_ns();
  if (!nm_layout_commit_arena(heap, end)) return 0;
  void *const start = (void *)nm_page_address(heap, grown);
  if (hs_os_commit(start, pages << NM_PAGE_SHIFT) != 0) return 0;
  hs_track_free(start, pages << NM_PAGE_SHIFT);
  size_t first = grown / NM_CHUNK_PAGES, last = end / NM_CHUNK_PAGES - 1;
  touch_range(heap, NM_TABLE_CHUNKS, first, last, sizeof(nm_chunk));
  touch_range(heap, NM_TABLE_SCAVENGE, first, last, sizeof(nm_scav_chunk));
  for (unsigned l = NM_LEVELS; l-- > 0; first >>= NM_FANOUT_BITS, last >>= NM_FANOUT_BITS)
    touch_range(heap, (nm_table_id)(NM_TABLE_SUMMARIES + l), first, last, sizeof(nm_sum));
  nm_pages_grow(&heap->pages, grown / NM_CHUNK_PAGES, pages / NM_CHUNK_PAGES);
  hs_store_relaxed(&heap->grown_pages, end);
  hs_owner_add(&heap->counts.released, (uint64_t)pages);
  hs_event_log_add(&heap->log, HS_EVENT_GROW, 0, begin_ns, hs_os_now_ns(), pages << NM_PAGE_SHIFT);
  return pages;
}

static size_t take_pages_locked(nonmoving_heap *heap, nm_thread *thread, size_t n,
                                size_t *scavenged) {
  if (n < CACHED_REQUEST_PAGES) {
    nm_page_cache *const cache = &thread->page_cache;
    if (cache->free == 0) nm_pages_fill_cache(&heap->pages, cache);
    const size_t first = nm_page_cache_alloc(cache, n, scavenged);
    if (first != NM_NO_PAGE) return first;
  }
  return nm_pages_alloc(&heap->pages, n, scavenged);
}

static uint64_t backed_bytes(const nonmoving_heap *heap) {
  return (hs_load_relaxed(&heap->counts.in_use) + hs_load_relaxed(&heap->counts.free))
         << NM_PAGE_SHIFT;
}

// Whether `extra` more pages with memory behind them stay within the limit; returns free memory to the
// OS to make it so.
static bool limit_allows_locked(nonmoving_heap *heap, size_t extra) {
  if (heap->config.limit_bytes == 0) return true;
  const uint64_t whole = (uint64_t)heap->config.limit_bytes;
  const uint64_t limit = whole - hs_min_u64(LIMIT_HEADROOM_BYTES, whole / LIMIT_HEADROOM_FRACTION);
  // Page entries of their own, which few of them have had before, are what grows with the request.
  const uint64_t each = NM_PAGE_BYTES + sizeof(nm_page_entry);
  const uint64_t wanted = backed_bytes(heap) + nm_metadata_bytes(heap) + extra * each;
  if (wanted <= limit) return true;
  const size_t excess = (size_t)hs_div_up((size_t)(wanted - limit), NM_PAGE_BYTES);
  return nm_scavenge_pages_locked(heap, excess) >= excess;
}

void nm_pageheap_note_peak_locked(nonmoving_heap *heap) {
  const uint64_t footprint = backed_bytes(heap) + nm_metadata_bytes(heap);
  if (footprint > hs_load_relaxed(&heap->peak_footprint_bytes))
    hs_store_relaxed(&heap->peak_footprint_bytes, footprint);
}

// Raise the watermarks over [first, first + n); true when all of it was above them (I-nm-10).
static bool claim_never_used_locked(nonmoving_heap *heap, size_t first, size_t n) {
  bool never_used = true;
  for (size_t page = first, end = first + n; page < end;) {
    const size_t arena = page / NM_ARENA_PAGES;
    const size_t arena_end = hs_min_size(end, (arena + 1) * NM_ARENA_PAGES);
    nm_table_touch(&heap->tables[NM_TABLE_ZEROED], arena * sizeof(uint64_t), sizeof(uint64_t));
    if (page < heap->zeroed[arena]) never_used = false;
    heap->zeroed[arena] = hs_max_u64(heap->zeroed[arena], arena_end);
    page = arena_end;
  }
  return never_used;
}

// Return what makes the heap larger than it should be, now that `scavenged` pages will get memory again
// and `growth` pages were added (Go: allocSpan). A growth proves that the holes are too small for what
// is wanted, so as much of them goes; the soft limit asks for its excess whatever that costs.
static void balance_locked(nonmoving_heap *heap, size_t scavenged, size_t growth) {
  const uint64_t limit = (uint64_t)heap->config.memory_limit_bytes;
  const uint64_t backed = backed_bytes(heap), goal = hs_load_relaxed(&heap->scavenge_goal);
  uint64_t over_limit = 0;
  if (limit > 0 && !hs_limiter_limiting(&heap->limiter)) {
    const uint64_t footprint = nonmoving_footprint(heap) + scavenged * sizeof(nm_page_entry);
    over_limit = footprint > limit ? footprint - limit : 0;
  }
  const uint64_t grown = (uint64_t)growth << NM_PAGE_SHIFT;
  const uint64_t before = backed - ((uint64_t)scavenged << NM_PAGE_SHIFT);
  uint64_t over_goal = 0;
  if (growth > 0 && goal != UINT64_MAX && before + grown > goal)
    over_goal = hs_min_u64(grown, before + grown - goal);
  const uint64_t excess = hs_max_u64(over_limit, over_goal);
  if (excess > 0)
    nm_scavenge_assist_locked(heap, (size_t)hs_div_up((size_t)excess, NM_PAGE_BYTES),
                              over_limit > 0 ? NM_SCAV_FORCED : NM_SCAV_BACKGROUND);
}

size_t nm_pageheap_alloc_locked(nonmoving_heap *heap, nm_thread *thread, size_t n, bool *zeroed) {
  HS_ASSERT(hs_mutex_is_held(&heap->lock));
  size_t scavenged = 0, growth = 0;
  size_t first = take_pages_locked(heap, thread, n, &scavenged);
  if (first == NM_NO_PAGE) {
    growth = grow_locked(heap, n);
    if (growth == 0) return NM_NO_PAGE;
    first = nm_pages_alloc(&heap->pages, n, &scavenged);
  }
  if (scavenged > 0 && !limit_allows_locked(heap, scavenged)) {
    // A mixed run goes back as backed, an overestimate until the collection that follows releases it.
    nm_pages_free(&heap->pages, first, n, scavenged == n);
    if (scavenged < n) {
      hs_owner_add(&heap->counts.free, (uint64_t)scavenged);
      hs_owner_add(&heap->counts.released, -(uint64_t)scavenged);
    }
    return NM_NO_PAGE;
  }
  hs_owner_add(&heap->counts.in_use, (uint64_t)n);
  hs_owner_add(&heap->counts.free, -(uint64_t)(n - scavenged));
  hs_owner_add(&heap->counts.released, -(uint64_t)scavenged);
  // The kernel hands out zeroes after MADV_DONTNEED, old data perhaps after MADV_FREE (Go 1.26's rule).
  const bool never_used = claim_never_used_locked(heap, first, n);
  *zeroed = never_used || (scavenged == n && !heap->config.release_free);
  nm_scavenge_note_use_locked(heap, first, n);
  if (scavenged > 0) {
    balance_locked(heap, scavenged, growth);
    nm_pageheap_note_peak_locked(heap);
  }
  return first;
}

void nm_pageheap_free_locked(nonmoving_heap *heap, size_t first, size_t n) {
  HS_ASSERT(hs_mutex_is_held(&heap->lock));
  hs_track_free((void *)nm_page_address(heap, first), n << NM_PAGE_SHIFT);
  nm_pages_free(&heap->pages, first, n, false);
  hs_owner_add(&heap->counts.in_use, -(uint64_t)n);
  hs_owner_add(&heap->counts.free, (uint64_t)n);
}

void nm_pageheap_flush_cache(nonmoving_heap *heap, nm_thread *thread) {
  hs_mutex_lock(&heap->lock);
  nm_pages_flush_cache(&heap->pages, &thread->page_cache);
  hs_mutex_unlock(&heap->lock);
}
