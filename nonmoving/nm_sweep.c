// SPDX-License-Identifier: MIT
// Sweeping: the mark bits of the last cycle become the alloc bits, the old alloc bits are cleared for
// the next cycle's marks. No object is touched and no free list is built. Spans are swept when a thread
// wants their class (nm_central.c), when pages are wanted (here), and all before the next cycle.
#include <string.h>

#include "allocators/base/assert.h"
#include "nonmoving/nm_internal.h"

// The share of the sweep that one allocation may have to do: bounds its delay to some microseconds. What
// it leaves, later ones do.
enum { PROPORTIONAL_SPANS = 32 };
// A thread that is less behind than this sweeps only what it will use itself, of its class and shard:
// what threads on other cores left is theirs to sweep, as long as they do.
enum { PROPORTIONAL_SLACK_PAGES = 64 };
enum { KEEP_NONE = NM_SPAN_CLASS_COUNT };

// To those who only ask whether to help, a hint: every span is guarded by its lock. The collector, which
// marks next, must see what other threads swept.
bool nm_sweep_is_done(const nonmoving_heap *heap) {
  return hs_load_acquire(&heap->unswept) == 0; // pairs: nm_sweep_count
}

uint64_t nm_sweep_done_pages(const nonmoving_heap *heap) {
  return hs_load_relaxed(&heap->sweep_pages) - (uint32_t)hs_load_relaxed(&heap->unswept);
}

// Overwrite or poison the slots that died, so that a stale reference shows.
static void bury(nonmoving_heap *heap, const nm_span *span, const uint64_t *alloc,
                 const uint64_t *marks) {
  const size_t slot_bytes = nm_span_slot_bytes(span);
  for (unsigned i = 0; i < nm_span_objects(span); i++) {
    if (nm_bit_is_set(marks, i) || !(i < span->free_index || nm_bit_is_set(alloc, i))) continue;
    char *const slot = (char *)nm_span_base(heap, span) + i * slot_bytes;
    if (heap->config.stress) {
      hs_track_live(slot, slot_bytes);
      memset(slot, HS_TRACK_DEAD_BYTE, slot_bytes);
    }
    hs_track_free(slot, slot_bytes);
  }
}

static unsigned count_marks(const nonmoving_heap *heap, const nm_span *span, const uint64_t *alloc,
                            const uint64_t *marks) {
  const unsigned words = nm_span_words(span);
  unsigned live = 0;
  for (unsigned w = 0; w < words; w++) {
    const uint64_t zombies = marks[w] & ~(alloc[w] | nm_bits_range_mask(w, 0, span->free_index));
    HS_REQUIRE(zombies == 0, "a reference to a free slot was found: object %u of %zu bytes at %p",
               w * 64 + hs_ctz64(zombies), nm_span_slot_bytes(span),
               (void *)nm_span_base(heap, span));
    live += hs_popcount64(marks[w]);
  }
  return live;
}

bool nm_sweep_span(nonmoving_heap *heap, nm_span *span, bool keep) {
  const uint32_t sweepgen = span->sweepgen + 2;
  HS_ASSERT(sweepgen == hs_load_relaxed(&heap->sweepgen));
  uint64_t *const alloc = nm_span_alloc_bits(heap, span);
  const uint64_t *const marks = nm_span_bitmap(heap, span, sweepgen);
  const unsigned live = count_marks(heap, span, alloc, marks);
  const unsigned freed = span->live_count - live;
  if (freed > 0 && (HS_TRACK_ASAN || heap->config.stress)) bury(heap, span, alloc, marks);

  memset(alloc, 0, nm_span_words(span) * sizeof(uint64_t));
  span->free_index = 0;
  span->live_count = (uint16_t)live;
  span->sweepgen = sweepgen; // exchanges the bitmaps (I-nm-5)
  if (freed > 0) {
    span->needs_zero = true;
    span->new_frees_count = (uint16_t)freed;
    if (nm_span_size_class(span) == NM_CLASS_LARGE)
      hs_add_relaxed(&heap->large_frees_bytes, nm_span_bytes(span));
  }
  const bool stays = live > 0 || keep;
  if (!stays) {
    nm_central_count(nm_span_central(heap, span), 0, freed);
    nm_span_free(heap, span);
  }
  return stays;
}

void nm_sweep_count(nonmoving_heap *heap, size_t spans, size_t pages) {
  const uint64_t swept = NM_UNSWEPT(spans, pages);
  if (hs_sub_acq_rel(&heap->unswept, swept) != swept) return; // pairs: nm_sweep_all
  nm_trace_swept(heap);
  nm_scavenge_trace(heap, false);
}

// Sweep a held span and let it go. Its pages; *freed: if they came free.
static size_t sweep_away(nonmoving_heap *heap, nm_span *span, bool keep, bool *freed) {
  const size_t pages = span->page_count;
  const bool stays = nm_sweep_span(heap, span, keep);
  if (stays) nm_central_put(heap, span);
  *freed = !stays;
  return pages;
}

// Sweep one span of the lowest class that has an unswept one, of `shard` if there is one; its pages, 0
// when there is none. An empty span of class `keep` is kept for its class. Not counted yet.
static size_t sweep_one(nonmoving_heap *heap, unsigned shard, unsigned keep) {
  uint32_t class = hs_load_relaxed(&heap->sweep_class);
  for (; class < NM_SPAN_CLASS_COUNT; class ++) {
    nm_span *const span = nm_central_take_unswept(heap, shard, class, nm_shard_count(heap));
    bool freed;
    if (span) return sweep_away(heap, span, class == keep, &freed);
    hs_store_relaxed(&heap->sweep_class, class + 1); // only a hint: nm_sweep_all tries them all
  }
  return 0;
}

// The same for the class `keep` and the shard alone.
static size_t sweep_own(nonmoving_heap *heap, unsigned shard, unsigned keep) {
  nm_span *const span = nm_central_take_unswept(heap, shard, keep, 1);
  bool freed;
  return span ? sweep_away(heap, span, true, &freed) : 0;
}

bool nm_sweep_some(nonmoving_heap *heap, unsigned spans) {
  for (; spans > 0 && !nm_sweep_is_done(heap); spans--) {
    const size_t pages = sweep_one(heap, 0, KEEP_NONE);
    if (pages == 0) return false;
    nm_sweep_count(heap, 1, pages);
  }
  return spans == 0;
}

uint64_t nm_sweep_all(nonmoving_heap *heap) {
  uint64_t swept = 0;
  // Spans that other threads took are swept when the count is 0: soon, because they wait for nothing.
  for (; !nm_sweep_is_done(heap); hs_os_yield()) {
    hs_store_relaxed(&heap->sweep_class, 0u);
    for (size_t pages; (pages = sweep_one(heap, 0, KEEP_NONE)) > 0; swept++)
      nm_sweep_count(heap, 1, pages);
  }
  return swept;
}

// Sweep until `owed` pages are swept since the last cycle.
static void sweep_up_to(nonmoving_heap *heap, unsigned shard, unsigned span_class, uint64_t owed) {
  const uint64_t all = hs_load_relaxed(&heap->sweep_pages);
  const uint64_t slack = owed < all ? PROPORTIONAL_SLACK_PAGES : 0;
  uint64_t done = nm_sweep_done_pages(heap);
  size_t spans = 0, pages = 0;
  for (; spans < PROPORTIONAL_SPANS && done + pages < owed; spans++) {
    size_t more = sweep_own(heap, shard, span_class);
    if (more == 0 && done + pages + slack < owed) more = sweep_one(heap, shard, span_class);
    if (more == 0) break;
    pages += more;
  }
  if (spans > 0) nm_sweep_count(heap, spans, pages);
}

void nm_sweep_proportional(nonmoving_heap *heap, const nm_thread *thread, unsigned span_class,
                           size_t bytes) {
  if (nm_sweep_is_done(heap)) return;
  const uint64_t live = hs_load_relaxed(&heap->live_bytes) + bytes;
  const uint64_t basis = hs_load_relaxed(&heap->sweep_basis);
  if (live <= basis) return;
  const double ratio = (double)hs_load_relaxed(&heap->sweep_ratio) / NM_SWEEP_RATIO_ONE;
  sweep_up_to(heap, thread->shard, span_class, (uint64_t)((double)(live - basis) * ratio));
}

// ---- reclaiming pages ---------------------------------------------------------------------------

// The next span at or after *page, below end, that is in use and has no mark; advances *page past it.
static nm_span *next_unmarked(nonmoving_heap *heap, size_t *page, size_t end) {
  nm_span *span = NULL;
  hs_mutex_lock(&heap->lock);
  while (*page < end) {
    const uint64_t marked = hs_load_relaxed(&heap->marked[*page / 64]);
    const uint64_t candidates =
        (heap->in_use[*page / 64] & ~marked) & ~hs_low_mask((unsigned)(*page % 64));
    if (candidates == 0) {
      *page = hs_align_down(*page, 64) + 64;
      continue;
    }
    const size_t found = hs_align_down(*page, 64) + hs_ctz64(candidates);
    span = heap->entries[found].span;
    *page = found + 1;
    break;
  }
  hs_mutex_unlock(&heap->lock);
  return span;
}

// Take up to `wanted` pages of credit that an earlier reclaimer left.
static size_t take_credit(nonmoving_heap *heap, size_t wanted) {
  uint64_t credit = hs_load_relaxed(&heap->reclaim_credit);
  while (credit > 0) {
    const uint64_t taken = hs_min_u64(credit, wanted);
    if (hs_cas_relaxed(&heap->reclaim_credit, &credit, credit - taken)) return (size_t)taken;
  }
  return 0;
}

void nm_sweep_reclaim(nonmoving_heap *heap, size_t npages) {
  size_t reclaimed = take_credit(heap, npages);
  while (reclaimed < npages && !nm_sweep_is_done(heap)) {
    size_t page = (size_t)hs_add_relaxed(&heap->reclaim_page, NM_CHUNK_PAGES);
    if (page >= nm_grown_pages(heap)) return;
    const size_t end = page + NM_CHUNK_PAGES;
    for (nm_span *span; (span = next_unmarked(heap, &page, end)) != NULL;) {
      if (!nm_central_take_this_unswept(heap, span)) continue;
      bool freed;
      const size_t pages = sweep_away(heap, span, false, &freed);
      nm_sweep_count(heap, 1, pages);
      if (freed) reclaimed += pages;
    }
  }
  if (reclaimed > npages) hs_add_relaxed(&heap->reclaim_credit, (uint64_t)(reclaimed - npages));
}
