// SPDX-License-Identifier: MIT
// A thread's cache: one span per class, whose free slots are handed to the fast path as runs of
// adjacent slots; and the slow half of allocation, large objects included.
#include <string.h>

#include "allocators/base/assert.h"
#include "nonmoving/nm_internal.h"

// A run is cleared when it is prepared, so it must not be so long that its end has left the first-level
// cache (32 KiB on what we measure) before it is used. One page of Go's.
enum { ZERO_BATCH_BYTES = 8192 };
// Collections before an allocation is given up: another thread may take what the first one freed.
enum { FAILED_TRIES = 2 };

// ---- runs ---------------------------------------------------------------------------------------

static unsigned next_bit(const uint64_t *bits, unsigned from, unsigned end, bool value) {
  while (from < end) {
    const uint64_t word = (value ? bits[from / 64] : ~bits[from / 64]) & ~hs_low_mask(from % 64);
    if (word != 0) return (unsigned)hs_min_size(from / 64 * 64 + hs_ctz64(word), end);
    from = from / 64 * 64 + 64;
  }
  return end;
}

// Clear the reference flags of [start, limit). Words at its ends may hold flags of other objects.
static void clear_ref_flags(nonmoving_heap *heap, uintptr_t start, uintptr_t limit) {
  const size_t from = (start - heap->base) / sizeof(heap_ref);
  const size_t count = (limit - start) / sizeof(heap_ref), first = from % 64;
  _Atomic(uint64_t) *const words = heap->ref_flags + from / 64;
  for (unsigned w = 0; w * 64ull < first + count; w++)
    hs_store_relaxed(&words[w], hs_load_relaxed(&words[w]) & ~nm_bits_range_mask(w, first, count));
}

static void prepare_run(nonmoving_heap *heap, const nm_span *span, uintptr_t start,
                        uintptr_t limit) {
  hs_track_live((void *)start, limit - start);
  if (span->needs_zero) memset((void *)start, 0, limit - start);
  if (nm_span_is_scan(span)) clear_ref_flags(heap, start, limit);
  hs_track_free((void *)start, limit - start);
}

static unsigned slot_of(const nonmoving_heap *heap, const nm_span *span, uintptr_t address) {
  return nm_class_index(nm_span_size_class(span), address - nm_span_base(heap, span));
}

// Whether slots of a span must be marked as they are handed out (I-nm-11).
static bool allocates_black(const nonmoving_heap *heap, const nm_thread *thread,
                            const nm_span *span) {
  return thread->hot.base.barrier == HS_BARRIER_BLACK &&
         span->sweepgen == hs_load_relaxed(&heap->mark_gen);
}

// Account for slots that a thread took.
static void charge(nonmoving_heap *heap, nm_thread *thread, uint64_t bytes, bool black) {
  thread->uncharged_bytes += bytes;
  if (black) hs_add_relaxed(&heap->black_bytes, bytes);
}

static void subtract_at_most(_Atomic(uint64_t) *counter, uint64_t bytes) {
  uint64_t value = hs_load_relaxed(counter);
  while (!hs_cas_relaxed(counter, &value, value - hs_min_u64(value, bytes))) continue;
}

// Make the next free slots of the cached span available; false when it has none left.
static bool next_run(nonmoving_heap *heap, nm_thread *thread, unsigned span_class) {
  nm_span *const span = thread->spans[span_class];
  nonmoving_run *const run = &thread->hot.runs[span_class];
  const size_t slot_bytes = nm_span_slot_bytes(span);
  const uint64_t *const bits = nm_span_alloc_bits(heap, span);
  const unsigned objects = nm_span_objects(span);
  if (run->next != 0) span->free_index = (uint16_t)slot_of(heap, span, run->next);
  const unsigned first = next_bit(bits, span->free_index, objects, false);
  if (first == objects) return false;
  unsigned end = next_bit(bits, first, objects, true);
  if (span->needs_zero)
    end = (unsigned)hs_min_size(end, first + hs_max_size(1, ZERO_BATCH_BYTES / slot_bytes));
  run->next = nm_span_base(heap, span) + first * slot_bytes;
  run->limit = nm_span_base(heap, span) + end * slot_bytes;
  if (hs_load_relaxed(&heap->hollow_pages) > 0) nm_hollow_fill(heap, run->next, run->limit);
  prepare_run(heap, span, run->next, run->limit);
  const bool black = allocates_black(heap, thread, span);
  if (black) nm_mark_set_black(heap, span, first, end, true);
  charge(heap, thread, (uint64_t)(end - first) * slot_bytes, black);
  return true;
}

// ---- spans --------------------------------------------------------------------------------------

// Slots of a run that were not used: free again, and not to be found marked by the sweep (I-nm-11).
static void return_run(nonmoving_heap *heap, nm_thread *thread, const nm_span *span,
                       nonmoving_run *run) {
  const uint64_t bytes = run->limit - run->next;
  if (bytes > 0) {
    const unsigned first = slot_of(heap, span, run->next);
    const unsigned end = first + (unsigned)(bytes / nm_span_slot_bytes(span));
    if (allocates_black(heap, thread, span)) {
      nm_mark_set_black(heap, span, first, end, false);
      subtract_at_most(&heap->black_bytes, bytes);
    }
    const uint64_t uncharged = hs_min_u64(bytes, thread->uncharged_bytes);
    thread->uncharged_bytes -= uncharged;
    if (bytes > uncharged) subtract_at_most(&heap->live_bytes, bytes - uncharged);
  }
  *run = (nonmoving_run){0};
}

static void release_span(nonmoving_heap *heap, nm_thread *thread, unsigned span_class) {
  nm_span *const span = thread->spans[span_class];
  nonmoving_run *const run = &thread->hot.runs[span_class];
  if (run->next != 0) span->free_index = (uint16_t)slot_of(heap, span, run->next);
  return_run(heap, thread, span, run);
  thread->spans[span_class] = NULL;
  const unsigned live = nm_span_count_live(heap, span);
  span->new_mallocs_count = (uint16_t)(live - span->live_count);
  span->live_count = (uint16_t)live;
  nm_central_put(heap, span);
}

void nm_cache_flush(nonmoving_heap *heap, nm_thread *thread, bool pages) {
  for (unsigned c = 0; c < NONMOVING_SPAN_CLASSES; c++)
    if (thread->spans[c]) release_span(heap, thread, c);
  thread->hot.tiny = 0; // its block may die in the cycle under way
  hs_add_relaxed(&heap->tiny_count, thread->hot.tiny_count);
  thread->hot.tiny_count = 0;
  nm_cycle_charge(heap, thread);
  if (pages) nm_pageheap_flush_cache(heap, thread);
}

void nm_cache_blacken(nonmoving_heap *heap, nm_thread *thread) {
  thread->hot.tiny = 0; // its block is white, and what is put into it would be
  for (unsigned c = 0; c < NONMOVING_SPAN_CLASSES; c++) {
    const nonmoving_run *const run = &thread->hot.runs[c];
    const nm_span *const span = thread->spans[c];
    if (!span || run->next == run->limit) continue;
    const unsigned first = slot_of(heap, span, run->next);
    const unsigned end = first + (unsigned)((run->limit - run->next) / nm_span_slot_bytes(span));
    nm_mark_set_black(heap, span, first, end, true);
    hs_add_relaxed(&heap->black_bytes, (uint64_t)(run->limit - run->next));
  }
}

void nm_cache_flush_all_stw(nonmoving_heap *heap, bool pages) {
  HS_ASSERT(hs_world_is_stopped(&heap->world));
  HS_WORLD_EACH_THREAD(&heap->world, thread)
  nm_cache_flush(heap, (nm_thread *)thread, pages);
}

// A run with a free slot for the class; false when no memory can be had. Starts a cycle when due, and
// does the thread's share of marking and sweeping.
static bool refill(nonmoving_heap *heap, nm_thread *thread, unsigned span_class) {
  if (thread->spans[span_class]) {
    if (next_run(heap, thread, span_class)) return true;
    release_span(heap, thread, span_class);
  }
  const size_t bytes = (size_t)nm_classes[span_class >> 1].pages << NM_PAGE_SHIFT;
  const size_t due_bytes = nm_cycle_step(heap, thread, bytes);
  nm_span *const span = nm_central_take(heap, thread, span_class);
  if (due_bytes > 0) // after: what was swept to find the span counts
    nm_sweep_proportional(heap, thread, span_class, due_bytes);
  if (!span) return false;
  thread->spans[span_class] = span;
  const bool found = next_run(heap, thread, span_class);
  HS_REQUIRE(found, "I-nm-7: a partial span of class %u has no free slot", span_class);
  return true;
}

// ---- allocation ---------------------------------------------------------------------------------

static heap_ref alloc_small(nonmoving_heap *heap, nm_thread *thread, size_t ref_count,
                            size_t byte_count) {
  const size_t size = ref_count * sizeof(heap_ref) + byte_count;
  const bool tiny = ref_count == 0 && size <= NM_TINY_BYTES;
  const unsigned class = tiny ? NM_TINY_CLASS : nm_class_of(size);
  const unsigned span_class = 2 * class + (ref_count == 0);
  nonmoving_run *const run = &thread->hot.runs[span_class];
  for (unsigned tries = 0; run->next == run->limit && !refill(heap, thread, span_class); tries++) {
    if (tries == FAILED_TRIES) return HEAP_NULL;
    nm_cycle_run(heap, thread, NM_REASON_FAILED);
  }
  const uintptr_t object = run->next;
  run->next = object + nm_class_bytes[class];
  if (ref_count > 0) nm_flag_last_ref(&thread->hot, object, ref_count);
  if (tiny) thread->hot.tiny = object + NM_TINY_BYTES;
  hs_track_live((void *)object, size);
  if (heap->config.stress) run->limit = run->next; // the next allocation comes here again
  return (heap_ref){object};
}

static heap_ref alloc_large(nonmoving_heap *heap, nm_thread *thread, size_t ref_count,
                            size_t bytes) {
  const unsigned span_class = 2 * NM_CLASS_LARGE + (ref_count == 0);
  if (bytes > heap->range_bytes) return HEAP_NULL;
  const size_t pages = hs_div_up(bytes, NM_PAGE_BYTES);
  const size_t due_bytes = nm_cycle_step(heap, thread, pages << NM_PAGE_SHIFT);
  if (due_bytes > 0) nm_sweep_proportional(heap, thread, span_class, due_bytes);
  nm_span *span;
  for (unsigned tries = 0; !(span = nm_span_alloc(heap, thread, span_class, pages)); tries++) {
    if (tries == FAILED_TRIES) return HEAP_NULL;
    nm_cycle_run(heap, thread, NM_REASON_FAILED);
  }
  void *const object = (void *)nm_span_base(heap, span);
  hs_track_live(object, bytes);
  if (span->needs_zero) memset(object, 0, bytes); // no lock is held
  span->ref_count = ref_count;
  span->free_index = span->live_count = 1;
  span->new_mallocs_count = 1;
  hs_add_relaxed(&heap->large_mallocs_bytes, (uint64_t)nm_span_bytes(span));
  const bool black = allocates_black(heap, thread, span);
  if (black) nm_mark_set_black(heap, span, 0, 1, true);
  charge(heap, thread, nm_span_bytes(span), black);
  nm_cycle_charge(heap, thread); // large enough
  nm_central_put(heap, span);
  return (heap_ref){(uintptr_t)object};
}

heap_ref nonmoving_alloc_slow(nonmoving_thread *hot, size_t ref_count, size_t byte_count) {
  nm_thread *const thread = nm_thread_checked(hot);
  nonmoving_heap *const heap = thread->heap;
  hs_poll(&hot->base);
  if (heap->config.stress) nm_cycle_run(heap, thread, NM_REASON_FORCED);
  size_t ref_bytes, size;
  if (!hs_mul_fits(ref_count, sizeof(heap_ref), &ref_bytes) ||
      !hs_add_fits(ref_bytes, byte_count, &size))
    return HEAP_NULL;
  if (size > NM_MAX_SMALL_BYTES) return alloc_large(heap, thread, ref_count, size);
  return alloc_small(heap, thread, ref_count, byte_count);
}
