// SPDX-License-Identifier: MIT
// Marking: from the roots, everything reachable, with an explicit stack of grey objects. Precise: every
// object tells how many of its slots are references. One marker with the world stopped; the state it
// needs (marker, grey queues, mark bits apart from alloc bits) is that of many.
//
// A reference finds its mark bit through the page table entry alone; neither the span nor the object
// is touched. Grey objects pass through a short queue of prefetches between the stack and their scan
// (Cher, Hosking and Vitek, "Software prefetching for mark-sweep garbage collection", ASPLOS 2004).
#include "allocators/base/assert.h"
#include "nonmoving/nm_internal.h"

enum {
  // Objects between prefetch and scan, a power of two. A third faster on churn than 4; 32 is no better.
  PREFETCH_DEPTH = 16,
  OBLET_BYTES = 128 << 10, // large objects are scanned in pieces of this size (Go: oblets)
  OBLET_REFS = OBLET_BYTES / sizeof(heap_ref),
  OBLET_TAG = 1, // grey word: the start of a piece of a large object, not an object
};

typedef struct marker {
  nonmoving_heap *heap;
  hs_grey grey;
  uintptr_t base;
  const nm_page_entry *entries;
  uint64_t *bits;
  unsigned half; // which bitmap of each span receives marks (I-nm-5)
  uint64_t marked_bytes;
} marker;

// ---- one reference ------------------------------------------------------------------------------

typedef struct mark_site {
  uint64_t *word;
  uint64_t mask;
  const nm_page_entry *entry;
  size_t page;
} mark_site;

static inline mark_site find_mark(const marker *m, uintptr_t ref) {
  const size_t page = (ref - m->base) >> NM_PAGE_SHIFT;
  const nm_page_entry *const entry = &m->entries[page];
  const nm_class *const class = &nm_classes[entry->span_class >> 1];
  const size_t offset = ((size_t)entry->page_offset << NM_PAGE_SHIFT) + (ref & (NM_PAGE_BYTES - 1));
  const uint32_t index = (uint32_t)((offset * class->magic) >> 32); // 0 for large objects
  uint64_t *const word = m->bits + entry->bits_index + m->half * class->words + index / 64;
  return (mark_site){word, 1ull << (index % 64), entry, page};
}

static inline void mark_ref(marker *m, uintptr_t ref) {
  if (ref == 0) return;
  HS_ASSERT(nm_span_find(m->heap, ref) != NULL);
  const mark_site site = find_mark(m, ref);
  if (*site.word & site.mask) return;
  *site.word |= site.mask;
  const nm_page_entry *const entry = site.entry;
  size_t first_page = site.page - entry->page_offset;
  uintptr_t grey = ref;
  if (HS_UNLIKELY(entry->span_class >> 1 == NM_CLASS_LARGE)) {
    first_page = entry->span->first_page;
    m->marked_bytes += nm_span_bytes(entry->span);
    grey |= OBLET_TAG;
  } else {
    m->marked_bytes += nm_class_bytes[entry->span_class >> 1];
  }
  m->heap->marked[first_page / 64] |= 1ull << (first_page % 64);
  if ((entry->span_class & 1) == 0) hs_grey_push(&m->grey, grey);
}

static void mark_slots(marker *m, const heap_ref *slots, size_t count) {
  for (size_t i = 0; i < count; i++)
    mark_ref(m, hs_load_relaxed((const _Atomic(uintptr_t) *)&slots[i].bits));
}

// ---- one object ---------------------------------------------------------------------------------

// The flag of the last reference slot at or after an object is its own: every small object with
// references has one.
static size_t small_ref_count(const nonmoving_heap *heap, uintptr_t object) {
  const size_t bit = (object - heap->base) / sizeof(heap_ref);
  const _Atomic(uint64_t) *word = &heap->ref_flags[bit / 64];
  const uint64_t first = hs_load_relaxed(word) >> (bit % 64);
  if (HS_LIKELY(first != 0)) return hs_ctz64(first) + 1;
  size_t count = 64 - bit % 64;
  uint64_t next;
  for (word++; (next = hs_load_relaxed(word)) == 0; word++) count += 64;
  return count + hs_ctz64(next) + 1;
}

size_t nm_object_ref_count(const nonmoving_heap *heap, const nm_span *span, uintptr_t object) {
  if (!nm_span_is_scan(span)) return 0;
  if (nm_span_size_class(span) == NM_CLASS_LARGE) return span->ref_count;
  return small_ref_count(heap, object);
}

static void scan_oblet(marker *m, uintptr_t start) {
  const nm_span *const span = nm_span_find(m->heap, start);
  const size_t done = (start - nm_span_base(m->heap, span)) / sizeof(heap_ref);
  const size_t left = span->ref_count - done;
  // The rest first, so that another marker could take it meanwhile.
  if (left > OBLET_REFS) hs_grey_push(&m->grey, (start + OBLET_BYTES) | OBLET_TAG);
  mark_slots(m, (const heap_ref *)start, hs_min_size(left, OBLET_REFS));
}

static inline void scan(marker *m, uintptr_t grey) {
  if (HS_UNLIKELY(grey & OBLET_TAG))
    scan_oblet(m, grey & ~(uintptr_t)OBLET_TAG);
  else
    mark_slots(m, (const heap_ref *)grey, small_ref_count(m->heap, grey));
}

static void drain(marker *m) {
  uintptr_t queue[PREFETCH_DEPTH] = {0};
  unsigned at = 0, queued = 0;
  for (;;) {
    uintptr_t next = 0;
    if (hs_grey_pop(&m->grey, &next)) {
      HS_PREFETCH((const void *)next);
      HS_PREFETCH(&m->heap->ref_flags[(next - m->base) / sizeof(heap_ref) / 64]);
      queued++;
    } else if (queued == 0) {
      return;
    }
    const uintptr_t oldest = queue[at];
    queue[at] = next;
    at = (at + 1) % PREFETCH_DEPTH;
    if (oldest == 0) continue;
    queued--;
    scan(m, oldest);
  }
}

// ---- everything ---------------------------------------------------------------------------------

static void mark_root_slots(void *context, heap_ref *slots, size_t count) {
  mark_slots(context, slots, count);
}

// Scan every marked object with references again. See Note [mark overflow] in runtime/grey.h.
static void rescan_marked(marker *m) {
  nonmoving_heap *const heap = m->heap;
  for (size_t page = 0; page < nm_grown_pages(heap); page++) {
    const nm_span *const span = heap->entries[page].span;
    if (!span || span->first_page != page || !nm_span_is_scan(span)) continue;
    const uint64_t *const marks = m->bits + span->bits_index + m->half * nm_span_words(span);
    const bool large = nm_span_size_class(span) == NM_CLASS_LARGE;
    for (unsigned i = 0; i < nm_span_objects(span); i++) {
      if (!nm_bit_is_set(marks, i)) continue;
      const uintptr_t object = nm_span_base(heap, span) + i * nm_span_slot_bytes(span);
      // Not through the stack, which may have no room for even one entry.
      mark_slots(m, (const heap_ref *)object,
                 large ? span->ref_count : small_ref_count(heap, object));
      drain(m);
    }
  }
}

static marker begin(nonmoving_heap *heap) {
  marker m = {.heap = heap,
              .base = heap->base,
              .entries = heap->entries,
              .bits = heap->bits,
              .half = (hs_load_relaxed(&heap->sweepgen) + 2) / 2 % 2};
  hs_grey_begin(&m.grey, &heap->grey);
  return m;
}

nm_marked nm_mark_stw(nonmoving_heap *heap) {
  HS_ASSERT(hs_world_is_stopped(&heap->world) && nm_sweep_is_done(heap));
  for (size_t w = 0; w < hs_div_up(nm_grown_pages(heap), 64); w++)
    if (heap->marked[w] != 0) heap->marked[w] = 0;
  marker m = begin(heap);
  hs_roots_visit_all_stw(&heap->world, mark_root_slots, &m);
  for (size_t i = 0; i < heap->pin_count; i++) mark_ref(&m, heap->pins[i]);
  drain(&m);
  while (hs_load_relaxed(&heap->grey.overflowed)) {
    hs_store_relaxed(&heap->grey.overflowed, 0u);
    rescan_marked(&m);
  }
  hs_grey_end(&m.grey);
  return (nm_marked){.bytes = m.marked_bytes};
}

bool nm_is_marked_stw(nonmoving_heap *heap, heap_ref ref) {
  const marker m = {.heap = heap,
                    .base = heap->base,
                    .entries = heap->entries,
                    .bits = heap->bits,
                    .half = (hs_load_relaxed(&heap->sweepgen) + 2) / 2 % 2};
  const mark_site site = find_mark(&m, ref.bits);
  return (*site.word & site.mask) != 0;
}
