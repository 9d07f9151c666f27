// SPDX-License-Identifier: MIT
// The heap verifier: everything that DESIGN.md calls an invariant, with the world stopped and caches
// flushed. Finishes the sweep first, so that "allocated" means one thing; marks into the free bitmaps
// of the spans and clears them again.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "allocators/base/assert.h"
#include "allocators/runtime/stats.h"
#include "nonmoving/nm_internal.h"

HS_PRINTF(1, 2) static bool report(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("heapduel: nonmoving: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  return false;
}

// ---- spans and pages ----------------------------------------------------------------------------

typedef struct recount {
  uint64_t used, free, released, hollow, spans, objects_bytes;
} recount;

static bool verify_span(nonmoving_heap *heap, const nm_span *span) {
  nm_span_check(heap, span);
  const uint64_t *const other = nm_span_bitmap(heap, span, span->sweepgen + 2);
  for (unsigned w = 0; w < nm_span_words(span); w++)
    if (other[w] != 0)
      return report("I-nm-5: stray marks in the span at page %zu", span->first_page);
  if (span->sweepgen != hs_load_relaxed(&heap->sweepgen))
    return report("I-nm-5: the span at page %zu is not swept", span->first_page);
  if (nm_span_count_live(heap, span) != span->live_count)
    return report("I-nm-7: the span at page %zu has %u live slots, its count says %u",
                  span->first_page, nm_span_count_live(heap, span), span->live_count);
  if (span->shard >= nm_shard_count(heap) || hs_load_relaxed(&span->home) != nm_home_of(span))
    return report("I-nm-6: the span at page %zu is not on its list", span->first_page);
  if (!nm_bit_is_set(heap->in_use, span->first_page))
    return report("the in-use bit of the span at page %zu is clear", span->first_page);
  for (size_t i = 0; i < span->page_count; i++) {
    const nm_page_entry *const entry = &heap->entries[span->first_page + i];
    if (entry->span != span || entry->bits_index != span->bits_index ||
        entry->span_class != span->span_class)
      return report("I-nm-8: the entry of page %zu differs from its span", span->first_page + i);
    if (!nm_pages_is_used(&heap->pages, span->first_page + i))
      return report("page %zu belongs to a span and is free", span->first_page + i);
  }
  return true;
}

static bool verify_pages(nonmoving_heap *heap, recount *count) {
  const size_t os_pages = (nm_grown_pages(heap) << NM_PAGE_SHIFT) / hs_os_page_bytes();
  for (size_t w = 0; w < hs_div_up(os_pages, 64); w++)
    count->hollow += hs_popcount64(hs_load_relaxed(&heap->hollow[w]));
  const char *const violation = nm_pages_violation(&heap->pages);
  if (violation) return report("%s", violation);
  for (size_t page = 0; page < nm_grown_pages(heap); page++) {
    const nm_span *const span = heap->entries[page].span;
    if (span) {
      count->used++;
      if (page != span->first_page) continue;
      count->spans++;
      count->objects_bytes += (uint64_t)span->live_count * nm_span_slot_bytes(span);
      if (!verify_span(heap, span)) return false;
      continue;
    }
    if (nm_pages_is_used(&heap->pages, page))
      return report("page %zu is used and belongs to no span", page);
    if (nm_bit_is_set(heap->in_use, page)) return report("the in-use bit of page %zu is set", page);
    if (nm_pages_is_scavenged(&heap->pages, page))
      count->released++;
    else
      count->free++;
  }
  return true;
}

// The lists of one central, in *listed the number of spans there.
static bool verify_central(const nonmoving_heap *heap, unsigned shard, unsigned span_class,
                           uint64_t *listed) {
  const nm_central *const central = &heap->shards[shard][span_class];
  const unsigned swept = hs_load_relaxed(&heap->sweepgen) / 2 % 2;
  for (unsigned l = 0; l < NM_LISTS; l++) {
    const nm_span *previous = NULL;
    size_t length = 0;
    for (const nm_span *s = central->lists[l].head; s; previous = s, s = s->next, length++) {
      const bool full = s->live_count == nm_span_objects(s);
      if (s->previous != previous || s->list != l || s->span_class != span_class ||
          s->shard != shard)
        return report("I-nm-6: list %u of span class %u, shard %u is broken", l, span_class, shard);
      if (l % 2 != swept || full != (l >= NM_LIST_FULL))
        return report("I-nm-6: the span at page %zu is on the wrong list", s->first_page);
    }
    if (length != hs_load_relaxed(&central->counts[l]))
      return report("I-nm-6: list %u of span class %u, shard %u has %zu spans, its count says %zu",
                    l, span_class, shard, length, hs_load_relaxed(&central->counts[l]));
    *listed += length;
  }
  return true;
}

static bool verify_lists(const nonmoving_heap *heap, const recount *count) {
  uint64_t listed = 0;
  if (nm_shard_count(heap) > heap->cores)
    return report("I-nm-14: there are %u shards on %u cores", nm_shard_count(heap), heap->cores);
  for (unsigned shard = 0; shard < nm_shard_count(heap); shard++)
    for (unsigned c = 0; c < NM_SPAN_CLASS_COUNT; c++)
      if (!verify_central(heap, shard, c, &listed)) return false;
  if (listed != count->spans)
    return report("I-nm-6: %llu spans are in use, %llu are listed",
                  (unsigned long long)count->spans, (unsigned long long)listed);
  return true;
}

static bool verify_counts(nonmoving_heap *heap, const recount *count) {
  const struct {
    const char *name;
    uint64_t counted, kept;
  } pairs[] = {
      {"pages in use", count->used, hs_load_relaxed(&heap->counts.in_use)},
      {"free pages", count->free, hs_load_relaxed(&heap->counts.free)},
      {"released pages", count->released, hs_load_relaxed(&heap->counts.released)},
      {"hollow OS pages", count->hollow, hs_load_relaxed(&heap->hollow_pages)},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
    if (pairs[i].counted != pairs[i].kept)
      return report("I-nm-9: %llu %s, the counter says %llu", (unsigned long long)pairs[i].counted,
                    pairs[i].name, (unsigned long long)pairs[i].kept);
  heap_stats stats;
  nm_stats_fill_stw(heap, &stats);
  const char *const violation = hs_stats_violation(&stats);
  if (violation) return report("statistics: %s does not hold", violation);
  if (stats.value[HEAP_STAT_heap_alloc_bytes] != count->objects_bytes)
    return report("statistics: heap_alloc is %llu, live slots take %llu bytes",
                  (unsigned long long)stats.value[HEAP_STAT_heap_alloc_bytes],
                  (unsigned long long)count->objects_bytes);
  return true;
}

// ---- references ---------------------------------------------------------------------------------

typedef struct reference_check {
  nonmoving_heap *heap;
  bool sound;
} reference_check;

static bool reference_is_sound(const nonmoving_heap *heap, uintptr_t ref) {
  const nm_span *const span = nm_span_find(heap, ref);
  if (!span) return report("reference %p points outside every span", (void *)ref);
  const size_t slot_bytes = nm_span_slot_bytes(span);
  const size_t offset = ref - nm_span_base(heap, span), index = offset / slot_bytes;
  if (index >= nm_span_objects(span) || !nm_span_is_allocated(heap, span, (unsigned)index))
    return report("reference %p points to a free slot", (void *)ref);
  const bool tiny = span->span_class == 2 * NM_TINY_CLASS + 1 && offset % NM_TINY_BYTES == 0;
  if (offset % slot_bytes != 0 && !tiny)
    return report("reference %p points inside an object", (void *)ref);
  return true;
}

static void check_slots(void *context, heap_ref *slots, size_t count) {
  reference_check *const check = context;
  for (size_t i = 0; i < count; i++)
    if (slots[i].bits != 0 && !reference_is_sound(check->heap, slots[i].bits)) check->sound = false;
}

// Every reference from a root or from an allocated object leads to an allocated one, hence so does
// every path.
static bool verify_references(nonmoving_heap *heap, bool all_live) {
  reference_check check = {heap, true};
  hs_roots_visit_all_stw(&heap->world, check_slots, &check);
  for (size_t page = 0; page < nm_grown_pages(heap) && all_live; page++) {
    const nm_span *const span = heap->entries[page].span;
    if (!span || page != span->first_page || !nm_span_is_scan(span)) continue;
    for (unsigned i = 0; i < nm_span_objects(span); i++) {
      if (!nm_span_is_allocated(heap, span, i)) continue;
      const uintptr_t object = nm_span_base(heap, span) + i * nm_span_slot_bytes(span);
      const size_t refs = nm_object_ref_count(heap, span, object);
      if (refs == 0 || refs * sizeof(heap_ref) > nm_span_slot_bytes(span))
        return report("object %p claims %zu references", (void *)object, refs);
      check_slots(&check, (heap_ref *)object, refs);
    }
  }
  return check.sound;
}

static void shade_slots(void *context, heap_ref *slots, size_t count) {
  nonmoving_heap *const heap = ((reference_check *)context)->heap;
  hs_grey grey;
  hs_grey_begin(&grey, &heap->marking.pool);
  for (size_t i = 0; i < count; i++) hs_marking_shade(&heap->marking, &grey, slots[i].bits);
  hs_grey_end(&grey);
}

static void mark_again_stw(nonmoving_heap *heap) {
  hs_grey_pool *const pool = &heap->marking.pool;
  reference_check check = {heap, true};
  hs_store_relaxed(&heap->mark_gen, hs_load_relaxed(&heap->sweepgen));
  hs_roots_visit_all_stw(&heap->world, shade_slots, &check);
  hs_grey grey;
  hs_grey_begin(&grey, pool);
  nm_mark_shade_roots(heap, &grey);
  (void)nm_mark_drain(heap, &grey, UINT64_MAX);
  while (hs_load_relaxed(&pool->overflowed)) {
    hs_store_relaxed(&pool->overflowed, 0u);
    (void)nm_mark_rescan(heap, &grey);
  }
  hs_grey_end(&grey);
}

// Mark again: what is marked must be allocated; right after a collection the reverse holds too.
static bool verify_reachability(nonmoving_heap *heap, bool exact) {
  bool sound = true;
  const uint32_t mark_gen = hs_load_relaxed(&heap->mark_gen);
  mark_again_stw(heap);
  for (size_t page = 0; page < nm_grown_pages(heap); page++) {
    const nm_span *const span = heap->entries[page].span;
    if (!span || page != span->first_page) continue;
    uint64_t *const marks = nm_span_bitmap(heap, span, span->sweepgen + 2);
    for (unsigned i = 0; i < nm_span_objects(span) && sound; i++) {
      const bool marked = nm_bit_is_set(marks, i);
      const bool allocated = nm_span_is_allocated(heap, span, i);
      if (marked && !allocated)
        sound = report("slot %u of the span at page %zu is reachable and free", i, page);
      if (exact && allocated && !marked)
        sound = report("slot %u of the span at page %zu outlived its reachability", i, page);
    }
    memset(marks, 0, nm_span_words(span) * sizeof(uint64_t));
  }
  hs_store_relaxed(&heap->mark_gen, mark_gen);
  return sound;
}

bool nm_verify_stw(nonmoving_heap *heap, bool exact) {
  HS_ASSERT(hs_world_is_stopped(&heap->world));
  recount count = {0};
  nm_sweep_all(heap);
  hs_mutex_lock(&heap->scavenge_lock); // pages under a madvise are used and in no span
  // Objects that died since the last sweep may refer to slots that were used again since, so the slots
  // of all allocated objects mean something only when every allocated object is reachable.
  const bool sound = verify_pages(heap, &count) && verify_lists(heap, &count) &&
                     verify_counts(heap, &count) && verify_references(heap, exact) &&
                     verify_reachability(heap, exact);
  hs_mutex_unlock(&heap->scavenge_lock);
  return sound;
}
