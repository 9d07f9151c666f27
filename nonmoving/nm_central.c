// SPDX-License-Identifier: MIT
// Per span class: the spans that no thread holds, by how full they are and whether they are swept.
// A thread that needs a span tries, as in Go's mcentral: a swept partial one; up to a hundred unswept
// ones, swept on the way; a new one. There is a set of these lists, a shard, for every thread or core,
// and before a new span is made the lists of all shards are tried.
#include "allocators/base/assert.h"
#include "nonmoving/nm_internal.h"

// Bounds the time of one refill; the space it may cost is one new span where a hundred full ones were
// looked at, that is 1 % (Go 1.16+, mcentral.go).
enum { SWEEP_BUDGET_SPANS = 100 };

// I-nm-6. A thread that reads an old sweepgen takes a span that is to be swept for one that is not yet:
// then it has not answered C, and gives it back before it does (I-nm-11 holds meanwhile).
static unsigned parity(uint32_t sweepgen) { return sweepgen / 2 % 2; }

static unsigned swept_index(const nonmoving_heap *heap) {
  return parity(hs_load_acquire(&heap->sweepgen)); // pairs: turn_sweepgen
}

static void list_push(nm_central *central, unsigned list, nm_span *span) {
  nm_list *const into = &central->lists[list];
  span->list = (uint8_t)list;
  span->next = NULL;
  span->previous = into->tail;
  hs_owner_add(&central->counts[list], (size_t)1);
  if (into->tail)
    into->tail->next = span;
  else
    into->head = span;
  into->tail = span;
  hs_store_release(&span->home, nm_home_of(span)); // pairs: take_this_unswept
}

static void list_remove(nm_central *central, nm_span *span) {
  nm_list *const from = &central->lists[span->list];
  if (span->previous)
    span->previous->next = span->next;
  else
    from->head = span->next;
  if (span->next)
    span->next->previous = span->previous;
  else
    from->tail = span->previous;
  span->next = span->previous = NULL;
  hs_owner_add(&central->counts[span->list], -(size_t)1);
  hs_store_relaxed(&span->home, 0u);
}

// The first swept, or unswept, span of the lists below `end`. Which these are is read under the lock: who
// put a span of a new sweepgen here had seen it, so a swept span is never taken for an unswept one.
// Lists that seem empty are not worth the lock: who must have every span looks again (nm_sweep_all).
static nm_span *pop(nonmoving_heap *heap, nm_central *central, bool swept, unsigned end) {
  unsigned list = swept ? swept_index(heap) : 1 - swept_index(heap);
  while (list < end && hs_load_relaxed(&central->counts[list]) == 0) list += 2;
  if (list >= end) return NULL;
  nm_span *span = NULL;
  hs_mutex_lock(&central->lock);
  list = swept ? swept_index(heap) : 1 - swept_index(heap);
  for (; list < end && !span; list += 2) span = central->lists[list].head;
  if (span) list_remove(central, span);
  hs_mutex_unlock(&central->lock);
  return span;
}

// The i-th central of a class that a thread of `shard` tries: first its own.
static nm_central *nth(const nonmoving_heap *heap, unsigned shard, unsigned i,
                       unsigned span_class) {
  return &heap->shards[(shard + i) % nm_shard_count(heap)][span_class];
}

static bool span_is_full(const nm_span *span) { return span->live_count == nm_span_objects(span); }

static unsigned list_of(const nonmoving_heap *heap, const nm_span *span) {
  if (span_is_full(span)) return NM_LIST_FULL + parity(span->sweepgen);
  unsigned emptiness = 0; // in quarters
  if (heap->config.fullest_first)
    emptiness = NM_FULLNESS - 1 - span->live_count * NM_FULLNESS / nm_span_objects(span);
  return NM_LIST_PARTIAL + 2 * emptiness + parity(span->sweepgen);
}

// Sweep up to *budget spans of a central. Returns the first with a free slot, unless `all`.
static nm_span *sweep_central(nonmoving_heap *heap, nm_central *central, unsigned *budget,
                              bool all) {
  for (; *budget > 0; --*budget) {
    nm_span *const span = pop(heap, central, false, NM_LISTS);
    if (!span) break;
    const size_t pages = span->page_count;
    const bool stays = nm_sweep_span(heap, span, !all);
    const bool taken = stays && !all && !span_is_full(span);
    if (stays && !taken) nm_central_put(heap, span);
    nm_sweep_count(heap, 1, pages);
    if (taken) return span;
  }
  return NULL;
}

nm_span *nm_central_take(nonmoving_heap *heap, nm_thread *thread, unsigned span_class) {
  const unsigned shards = nm_shard_count(heap);
  unsigned budget = SWEEP_BUDGET_SPANS;
  for (unsigned i = 0; i < shards; i++) {
    nm_central *const central = nth(heap, thread->shard, i, span_class);
    // To choose the fullest, how full they are must be known.
    if (heap->config.fullest_first) (void)sweep_central(heap, central, &budget, true);
    nm_span *span = pop(heap, central, true, NM_LIST_FULL);
    if (!span) span = sweep_central(heap, central, &budget, false);
    if (!span) continue;
    span->shard = (uint8_t)thread->shard;
    return span;
  }
  return nm_span_alloc(heap, thread, span_class, nm_classes[span_class >> 1].pages);
}

void nm_central_put(nonmoving_heap *heap, nm_span *span) {
  nm_central *const central = nm_span_central(heap, span);
  const unsigned list = list_of(heap, span);
  hs_mutex_lock(&central->lock);
  central->mallocs_count += span->new_mallocs_count;
  central->frees_count += span->new_frees_count;
  span->new_mallocs_count = span->new_frees_count = 0;
  list_push(central, list, span);
  hs_mutex_unlock(&central->lock);
}

nm_span *nm_central_take_unswept(nonmoving_heap *heap, unsigned shard, unsigned span_class,
                                 unsigned shards) {
  nm_span *span = NULL;
  for (unsigned i = 0; i < shards && !span; i++)
    span = pop(heap, nth(heap, shard, i, span_class), false, NM_LISTS);
  return span;
}

nm_span *nm_central_take_quarter(nonmoving_heap *heap, nm_central *central, unsigned quarter,
                                 size_t *count) {
  hs_mutex_lock(&central->lock);
  const unsigned list = NM_LIST_PARTIAL + 2 * quarter + swept_index(heap);
  nm_span *const span = central->lists[list].head;
  *count = hs_load_relaxed(&central->counts[list]);
  if (span) list_remove(central, span);
  hs_mutex_unlock(&central->lock);
  return span;
}

bool nm_central_take_this_unswept(nonmoving_heap *heap, nm_span *span) {
  const uint32_t home = hs_load_relaxed(&span->home);
  if (home == 0) return false;
  const uint32_t shard = (home - 1) / NM_SPAN_CLASS_COUNT;
  HS_REQUIRE(shard < nm_shard_count(heap), "I-nm-6: a span says it is on a list that is none");
  nm_central *const central = &heap->shards[shard][(home - 1) % NM_SPAN_CLASS_COUNT];
  hs_mutex_lock(&central->lock);
  // home is this central's number only while the span is on one of its lists, which is so under its
  // lock; the struct may have been freed and used again meanwhile.
  const bool ours = hs_load_acquire(&span->home) == home && // pairs: list_push
                    span->list % 2 != swept_index(heap);
  if (ours) list_remove(central, span);
  hs_mutex_unlock(&central->lock);
  return ours;
}

void nm_central_count(nm_central *central, uint64_t mallocs, uint64_t frees) {
  hs_mutex_lock(&central->lock);
  central->mallocs_count += mallocs;
  central->frees_count += frees;
  hs_mutex_unlock(&central->lock);
}

// ---- shards -------------------------------------------------------------------------------------

void nm_central_init(nonmoving_heap *heap) {
  heap->shards[0] = heap->centrals;
  hs_store_release(&heap->shard_count, 1u); // pairs: nm_shard_count
}

void nm_central_join(nonmoving_heap *heap, nm_thread *thread) {
  const unsigned wanted =
      (thread->hot.base.id - 1) % (unsigned)hs_min_size(heap->cores, NM_SHARDS_MAX);
  hs_mutex_lock(&heap->lock);
  unsigned count = hs_load_relaxed(&heap->shard_count);
  // The fullest of all spans is one central's to know.
  if (wanted >= count && !heap->config.fullest_first) {
    nm_central *const shard =
        hs_meta_alloc(&heap->meta, NM_SPAN_CLASS_COUNT * sizeof *shard, HS_CACHE_LINE_BYTES);
    if (shard) {
      heap->shards[count++] = shard;
      hs_store_release(&heap->shard_count, count); // pairs: nm_shard_count
    }
  }
  thread->shard = wanted % count;
  hs_mutex_unlock(&heap->lock);
}
