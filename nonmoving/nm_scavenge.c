// SPDX-License-Identifier: MIT
// Returning free memory to the OS, from high addresses to low, where first fit will want it last. After
// Go's mgcscavenge.go (1.19+ for limits, 1.21+ for density). Who asks:
//   a forced release    everything
//   an allocation       what the hard limit needs; what the soft one and the growth make excess
//   the background      what exceeds the retained goal or 95 % of the soft limit, at 1 % of a CPU
#include "allocators/base/assert.h"
#include "allocators/runtime/trace.h"
#include "nonmoving/nm_internal.h"

enum {
  FORCED_PAGES = NM_CHUNK_PAGES, // to return in one system call: no run is longer
  RETAIN_EXTRA_PERCENT = 10, // beyond the spans of the next cycle's peak (Go: retainExtraPercent)
  RETAIN_MIN_HEAPS = 2,
  LIMIT_SPARE_PERCENT = 5,   // of the soft limit, kept clear (Go: reduceExtraPercent)
  HUGE_PAGE_BYTES = 2 << 20, // x86-64, and AArch64 with 4 KiB pages
};
static const uint64_t QUANTUM_BYTES = 64 << 10; // in the background (Go: scavengeQuantum)
static const double BACKGROUND_SHARE = 0.01;    // of all processors (Go: scavengePercent)

void nm_scavenge_init(nonmoving_heap *heap) {
  hs_duty_init(&heap->scavenge_duty, BACKGROUND_SHARE, heap->cores);
  hs_store_relaxed(&heap->scavenge_goal, UINT64_MAX); // nothing to go by before the first cycle
  hs_store_relaxed(&heap->scavenge_ceiling, UINT64_MAX);
}

static nm_scav_rule rule_for(const nonmoving_heap *heap, nm_scav_mode mode) {
  const size_t align = hs_div_up(hs_os_page_bytes(), NM_PAGE_BYTES);
  const unsigned huge_page = heap->config.huge_pages ? HUGE_PAGE_BYTES / NM_PAGE_BYTES : 0;
  return (nm_scav_rule){.mode = mode, .align = (unsigned)align, .huge_page = huge_page};
}

static bool purge(nonmoving_heap *heap, size_t first, size_t n) {
  const hs_os_purge_mode mode = heap->config.release_free ? HS_OS_PURGE_FREE : HS_OS_PURGE_DONTNEED;
  return hs_os_purge((void *)nm_page_address(heap, first), n << NM_PAGE_SHIFT, mode) == 0;
}

// ---- huge pages ---------------------------------------------------------------------------------

// Whether a run is whole huge pages.
static bool is_whole(size_t first, size_t n) {
  return ((first | n) & (HUGE_PAGE_BYTES / NM_PAGE_BYTES - 1)) == 0;
}

static void advise_chunk_locked(nonmoving_heap *heap, size_t chunk, bool huge) {
  nm_scav_chunk *const scav = &heap->pages.scav.chunks[chunk];
  if (scav->small_pages != huge) return;
  scav->small_pages = !huge;
  hs_os_huge_pages((void *)nm_page_address(heap, chunk * NM_CHUNK_PAGES), NM_CHUNK_BYTES, huge);
}

// A huge page that was touched anywhere brought memory to all of its pages, released ones too. Return that
// again, and let it not come back where a used page shares a huge page with a released one.
static void settle_chunk_locked(nonmoving_heap *heap, size_t chunk) {
  const uint64_t *const bits = heap->pages.chunks[chunk].scavenged;
  for (unsigned start = 0, end; start < NM_CHUNK_PAGES; start = end) {
    const bool released = nm_bit_is_set(bits, start);
    for (end = start + 1; end < NM_CHUNK_PAGES && nm_bit_is_set(bits, end) == released;) end++;
    if (!released) continue;
    if (!is_whole(start, end - start)) advise_chunk_locked(heap, chunk, false);
    (void)purge(heap, chunk * NM_CHUNK_PAGES + start, end - start); // counts as released already
  }
}

// Before a run is returned: were it part of a huge page, the kernel would fill it up again.
static void note_release_locked(nonmoving_heap *heap, size_t first, size_t n) {
  const size_t chunk = first / NM_CHUNK_PAGES;
  if (!heap->config.huge_pages || is_whole(first, n)) return;
  if (heap->pages.scav.chunks[chunk].small_pages) return;
  advise_chunk_locked(heap, chunk, false);
  settle_chunk_locked(heap, chunk);
}

void nm_scavenge_note_use_locked(nonmoving_heap *heap, size_t first, size_t n) {
  if (!heap->config.huge_pages) return;
  for (size_t c = first / NM_CHUNK_PAGES; c <= (first + n - 1) / NM_CHUNK_PAGES; c++)
    if (heap->pages.scav.chunks[c].in_use >= NM_DENSE_PAGES) advise_chunk_locked(heap, c, true);
}

// Make released memory what it counts as, throughout the heap.
static void settle_huge_pages_locked(nonmoving_heap *heap) {
  if (!heap->config.huge_pages) return;
  for (size_t c = 0; c < heap->pages.chunk_end; c++)
    if (!heap->pages.scav.chunks[c].small_pages) settle_chunk_locked(heap, c);
}

// ---- pieces -------------------------------------------------------------------------------------

typedef enum lock_use { KEEP_LOCK, DROP_LOCK } lock_use;

// Release up to about max_pages in one system call; 0: there is no more, or the OS refused.
static size_t release_run_locked(nonmoving_heap *heap, nm_scav_mode mode, size_t max_pages,
                                 lock_use lock) {
  HS_ASSERT(hs_mutex_is_held(&heap->lock));
  size_t first = 0;
  const size_t n = nm_pages_scavenge_begin(&heap->pages, rule_for(heap, mode), max_pages, &first);
  if (n == 0) return 0;
  note_release_locked(heap, first, n);
  if (lock == DROP_LOCK) hs_mutex_unlock(&heap->lock);
  const bool released = purge(heap, first, n);
  if (lock == DROP_LOCK) hs_mutex_lock(&heap->lock);
  nm_pages_scavenge_end(&heap->pages, first, n, released);
  if (!released) return 0; // the same pages would be found again
  hs_owner_add(&heap->counts.free, -(uint64_t)n);
  hs_owner_add(&heap->counts.released, (uint64_t)n);
  hs_add_relaxed(&heap->scavenged_bytes, (uint64_t)n << NM_PAGE_SHIFT);
  return n;
}

static size_t release_locked(nonmoving_heap *heap, nm_scav_mode mode, size_t page_count,
                             size_t piece_pages, lock_use lock) {
  size_t released = 0, n;
  while (released < page_count &&
         (n = release_run_locked(heap, mode, hs_min_size(piece_pages, page_count - released),
                                 lock)) > 0)
    released += n;
  return released;
}

static void log_release(nonmoving_heap *heap, uint64_t begin_ns, uint64_t bytes) {
  if (bytes > 0)
    hs_event_log_add(&heap->log, HS_EVENT_SCAVENGE, 0, begin_ns, hs_os_now_ns(), bytes);
}

// ---- eager --------------------------------------------------------------------------------------

static size_t release_eagerly_locked(nonmoving_heap *heap, nm_scav_mode mode, size_t page_count,
                                     lock_use lock) {
  const size_t released = release_locked(heap, mode, page_count, FORCED_PAGES, lock);
  hs_add_relaxed(&heap->untold_eager_bytes, (uint64_t)released << NM_PAGE_SHIFT);
  return released;
}

size_t nm_scavenge_pages_locked(nonmoving_heap *heap, size_t page_count) {
  return release_eagerly_locked(heap, NM_SCAV_FORCED, page_count, KEEP_LOCK);
}

void nm_scavenge_assist_locked(nonmoving_heap *heap, size_t page_count, nm_scav_mode mode) {
  const uint64_t begin_ns = hs_os_now_ns();
  const size_t released = release_eagerly_locked(heap, mode, page_count, DROP_LOCK);
  hs_limiter_add_assist(&heap->limiter, hs_os_now_ns() - begin_ns);
  log_release(heap, begin_ns, (uint64_t)released << NM_PAGE_SHIFT);
}

uint64_t nm_scavenge_all(nonmoving_heap *heap) {
  const uint64_t begin_ns = hs_os_now_ns();
  hs_mutex_lock(&heap->scavenge_lock); // a piece the background thread has taken comes back first
  hs_mutex_lock(&heap->lock);
  const uint64_t bytes = (uint64_t)nm_scavenge_pages_locked(heap, SIZE_MAX) << NM_PAGE_SHIFT;
  settle_huge_pages_locked(heap);
  hs_mutex_unlock(&heap->lock);
  hs_mutex_unlock(&heap->scavenge_lock);
  log_release(heap, begin_ns, bytes);
  nm_scavenge_trace(heap, true);
  return bytes;
}

// ---- goals --------------------------------------------------------------------------------------

static uint64_t backed_bytes(const nonmoving_heap *heap) {
  return (hs_load_relaxed(&heap->counts.in_use) + hs_load_relaxed(&heap->counts.free))
         << NM_PAGE_SHIFT;
}

// Spans in use now, scaled as the heap goal is, and a little more. UINT64_MAX (do nothing) when that much
// is not retained: growth until the next cycle is expected, and no reason to give anything back. A heap
// about its minimum size keeps twice that: a thousand small cycles a second would give back and fault in
// the same pages (Go has no such floor).
static uint64_t retained_goal(const nonmoving_heap *heap, uint64_t old_goal, uint64_t new_goal) {
  const bool scales = old_goal != 0 && old_goal != UINT64_MAX && new_goal != UINT64_MAX;
  if (!scales && old_goal != new_goal) return UINT64_MAX; // collection was turned on or off
  const double growth = scales ? (double)new_goal / (double)old_goal : 1;
  const double in_use = (double)(hs_load_relaxed(&heap->counts.in_use) << NM_PAGE_SHIFT);
  const double goal = hs_max_double(in_use * growth * (1 + RETAIN_EXTRA_PERCENT / 100.0),
                                    RETAIN_MIN_HEAPS * (double)heap->config.min_heap_bytes);
  const double retained = (double)backed_bytes(heap);
  if (retained < goal + (double)hs_os_page_bytes()) return UINT64_MAX;
  return hs_align_up((uint64_t)goal, hs_os_page_bytes());
}

static uint64_t footprint_ceiling(nonmoving_heap *heap) {
  const uint64_t limit = (uint64_t)heap->config.memory_limit_bytes;
  if (limit == 0) return UINT64_MAX;
  const uint64_t ceiling = limit / 100 * (100 - LIMIT_SPARE_PERCENT);
  return nonmoving_footprint(heap) > ceiling ? ceiling : UINT64_MAX;
}

void nm_scavenge_note_cycle(nonmoving_heap *heap, uint64_t old_goal_bytes,
                            uint64_t new_goal_bytes) {
  hs_store_relaxed(&heap->scavenge_goal, retained_goal(heap, old_goal_bytes, new_goal_bytes));
  hs_store_relaxed(&heap->scavenge_ceiling, footprint_ceiling(heap));
  hs_mutex_lock(&heap->lock);
  nm_scav_index_next_generation(&heap->pages.scav);
  hs_mutex_unlock(&heap->lock);
}

// ---- background ---------------------------------------------------------------------------------

static bool retains_little(void *context) {
  nonmoving_heap *const heap = context;
  const uint64_t ceiling = hs_load_relaxed(&heap->scavenge_ceiling);
  return backed_bytes(heap) <= hs_load_relaxed(&heap->scavenge_goal) &&
         (ceiling == UINT64_MAX || nonmoving_footprint(heap) <= ceiling);
}

bool nm_scavenge_is_due(nonmoving_heap *heap) { return !retains_little(heap); }

static uint64_t release_unit(void *context, uint64_t unit_bytes, uint64_t *took_ns) {
  nonmoving_heap *const heap = context;
  const uint64_t begin_ns = hs_os_now_ns();
  const size_t pages = unit_bytes >> NM_PAGE_SHIFT;
  hs_mutex_lock(&heap->scavenge_lock);
  hs_mutex_lock(&heap->lock);
  const size_t released = release_locked(heap, NM_SCAV_BACKGROUND, pages, pages, DROP_LOCK);
  hs_mutex_unlock(&heap->lock);
  hs_mutex_unlock(&heap->scavenge_lock);
  const uint64_t bytes = (uint64_t)released << NM_PAGE_SHIFT;
  hs_add_relaxed(&heap->untold_background_bytes, bytes);
  *took_ns = hs_os_now_ns() - begin_ns;
  return bytes;
}

uint64_t nm_scavenge_background(void *context) {
  nonmoving_heap *const heap = context;
  hs_duty *const duty = &heap->scavenge_duty;
  const hs_duty_work work = {release_unit, retains_little, heap, QUANTUM_BYTES};
  const uint64_t begin_ns = hs_os_now_ns();
  hs_duty_wake(duty, begin_ns);
  if (hs_duty_take_breakdown(duty)) hs_add_relaxed(&heap->untold_breakdowns, 1u);
  const uint64_t bytes = hs_duty_burst(duty, &work);
  log_release(heap, begin_ns, bytes);
  return bytes == 0 ? HS_BACKGROUND_IDLE : hs_duty_sleep_ns(duty, hs_os_now_ns());
}

// ---- trace --------------------------------------------------------------------------------------

void nm_scavenge_trace(nonmoving_heap *heap, bool forced) {
  if ((heap->config.trace & HEAP_TRACE_SCAV) == 0) return;
  const hs_trace_scav trace = {
      .background_bytes = hs_exchange_acq_rel(&heap->untold_background_bytes, (uint64_t)0),
      .eager_bytes = hs_exchange_acq_rel(&heap->untold_eager_bytes, (uint64_t)0),
      .released_bytes = hs_load_relaxed(&heap->counts.released) << NM_PAGE_SHIFT,
      .in_use_bytes = hs_load_relaxed(&heap->counts.in_use) << NM_PAGE_SHIFT,
      .retained_bytes = backed_bytes(heap),
      .forced = forced,
      .controller_reset = hs_exchange_acq_rel(&heap->untold_breakdowns, 0u) > 0};
  char line[HS_TRACE_LINE_BYTES];
  hs_trace_emit(line, hs_trace_scav_format(&trace, line, sizeof line));
}
