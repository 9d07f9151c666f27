// SPDX-License-Identifier: MIT
// Spans: their structs and bitmaps, both cut from tables and recycled, and their pages.
#include <string.h>

#include "allocators/base/assert.h"
#include "nonmoving/nm_internal.h"

// ---- structs and bitmaps ------------------------------------------------------------------------

static nm_span *struct_take_locked(nonmoving_heap *heap) {
  nm_span *span = heap->span_free;
  if (span) {
    heap->span_free = span->next;
    span->next = NULL;
    return span;
  }
  const size_t number = heap->span_structs_count;
  nm_table *const table = &heap->tables[NM_TABLE_SPANS];
  if (!nm_table_commit(table, (number + 1) * sizeof(nm_span))) return NULL;
  nm_table_touch(table, number * sizeof(nm_span), sizeof(nm_span));
  heap->span_structs_count = number + 1;
  return &heap->span_structs[number];
}

static void struct_give_locked(nonmoving_heap *heap, nm_span *span) {
  span->page_count = 0;
  span->next = heap->span_free;
  heap->span_free = span;
}

// A zeroed pair of bitmaps of `words` each; 0 when the OS refuses. A free pair holds the index of the
// next one in its first word.
static uint32_t bits_take_locked(nonmoving_heap *heap, unsigned words) {
  const uint32_t recycled = heap->bits_free[words];
  if (recycled != 0) {
    heap->bits_free[words] = (uint32_t)heap->bits[recycled];
    heap->bits[recycled] = 0;
    return recycled;
  }
  const size_t index = heap->bits_count + (heap->bits_count == 0); // index 0 means none
  nm_table *const table = &heap->tables[NM_TABLE_BITS];
  const size_t end = index + 2 * words;
  if (end > UINT32_MAX || !nm_table_commit(table, end * sizeof(uint64_t))) return 0;
  nm_table_touch(table, index * sizeof(uint64_t), 2 * words * sizeof(uint64_t));
  heap->bits_count = end;
  // Note [first touch]
  //   A page of this table holds the bitmaps of a hundred spans, and is not backed by memory until somebody
  //   writes to it. Left to the markers, the first to mark a random graph after the heap has grown would take a
  //   page fault at nearly every reference: hundreds in one slice of an assisting thread, milliseconds.
  heap->bits[index] = heap->bits[end - 1] = 0;
  return (uint32_t)index;
}

static void bits_give_locked(nonmoving_heap *heap, uint32_t index, unsigned words) {
  memset(&heap->bits[index], 0, 2 * words * sizeof(uint64_t));
  heap->bits[index] = heap->bits_free[words];
  heap->bits_free[words] = index;
}

// ---- life-cycle ---------------------------------------------------------------------------------

static void set_entries_locked(nonmoving_heap *heap, nm_span *span) {
  const size_t first = span->first_page, count = span->page_count;
  nm_table_touch(&heap->tables[NM_TABLE_ENTRIES], first * sizeof(nm_page_entry),
                 count * sizeof(nm_page_entry));
  const bool large = nm_span_size_class(span) == NM_CLASS_LARGE;
  for (size_t i = 0; i < count; i++)
    heap->entries[first + i] = (nm_page_entry){.span = span,
                                               .bits_index = span->bits_index,
                                               .span_class = span->span_class,
                                               .page_offset = large ? 0 : (uint8_t)i};
  const size_t byte = first / 64 * sizeof(uint64_t);
  nm_table_touch(&heap->tables[NM_TABLE_IN_USE], byte, sizeof(uint64_t));
  nm_table_touch(&heap->tables[NM_TABLE_MARKED], byte, sizeof(uint64_t));
  heap->in_use[first / 64] |= 1ull << (first % 64);
  if (nm_span_is_scan(span) && !large) {
    const size_t flag_bytes_per_page = NM_PAGE_BYTES / sizeof(heap_ref) / 8;
    nm_table_touch(&heap->tables[NM_TABLE_REF_FLAGS], first * flag_bytes_per_page,
                   count * flag_bytes_per_page);
  }
}

static nm_span *alloc_locked(nonmoving_heap *heap, nm_thread *thread, unsigned span_class,
                             size_t pages) {
  const unsigned words = nm_classes[span_class >> 1].words;
  nm_span *const span = struct_take_locked(heap);
  if (!span) return NULL;
  const uint32_t bits_index = bits_take_locked(heap, words);
  if (bits_index == 0) goto give_struct;
  bool zeroed;
  const size_t first = nm_pageheap_alloc_locked(heap, thread, pages, &zeroed);
  if (first == NM_NO_PAGE) goto give_bits;

  span->first_page = first;
  span->page_count = pages;
  span->ref_count = 0;
  span->bits_index = bits_index;
  span->sweepgen = hs_load_relaxed(&heap->sweepgen); // changes under this lock
  span->free_index = span->live_count = 0;
  span->new_mallocs_count = span->new_frees_count = 0;
  span->span_class = (uint8_t)span_class;
  span->shard = (uint8_t)thread->shard;
  span->needs_zero = !zeroed;
  set_entries_locked(heap, span);
  hs_owner_add(&heap->spans_in_use, (uint64_t)1);
  return span;

give_bits:
  bits_give_locked(heap, bits_index, words);
give_struct:
  struct_give_locked(heap, span);
  return NULL;
}

nm_span *nm_span_alloc(nonmoving_heap *heap, nm_thread *thread, unsigned span_class, size_t pages) {
  if (!nm_sweep_is_done(heap)) nm_sweep_reclaim(heap, pages);
  hs_mutex_lock(&heap->lock);
  nm_span *const span = alloc_locked(heap, thread, span_class, pages);
  hs_mutex_unlock(&heap->lock);
  return span;
}

void nm_span_free(nonmoving_heap *heap, nm_span *span) {
  HS_ASSERT(hs_load_relaxed(&span->home) == 0);
  // Its pages go back as having memory: an overestimate until they are released or used.
  if (hs_load_relaxed(&heap->hollow_pages) > 0)
    nm_hollow_fill(heap, nm_span_base(heap, span), nm_span_base(heap, span) + nm_span_bytes(span));
  hs_mutex_lock(&heap->lock);
  const size_t first = span->first_page, count = span->page_count;
  memset(&heap->entries[first], 0, count * sizeof(nm_page_entry));
  heap->in_use[first / 64] &= ~(1ull << (first % 64));
  hs_owner_add(&heap->spans_in_use, -(uint64_t)1);
  bits_give_locked(heap, span->bits_index, nm_span_words(span));
  struct_give_locked(heap, span);
  nm_pageheap_free_locked(heap, first, count);
  hs_mutex_unlock(&heap->lock);
}

unsigned nm_span_count_live(const nonmoving_heap *heap, const nm_span *span) {
  const uint64_t *const bits = nm_span_alloc_bits(heap, span);
  const unsigned from = span->free_index;
  const unsigned objects = nm_span_objects(span);
  return from + nm_bits_popcount_range(bits, from, objects - from);
}

nm_span *nm_span_find(const nonmoving_heap *heap, uintptr_t address) {
  if (address < heap->base) return NULL;
  const size_t page = nm_page_of(heap, address);
  return page < nm_grown_pages(heap) ? heap->entries[page].span : NULL;
}

void nm_span_check(const nonmoving_heap *heap, const nm_span *span) {
  HS_REQUIRE(span->page_count > 0 && span->span_class < NM_SPAN_CLASS_COUNT, "not a span in use");
  HS_REQUIRE(span->first_page + span->page_count <= nm_grown_pages(heap), "span outside the heap");
  HS_REQUIRE(span->free_index <= nm_span_objects(span), "I-nm-4: free_index past the last slot");
  HS_REQUIRE(nm_span_find(heap, nm_span_base(heap, span)) == span,
             "I-nm-8: the page entry of a span is another's");
}
