// SPDX-License-Identifier: MIT
// Precise marking from the roots with an explicit work queue (runtime/grey.h). The word queued is the
// entry's address: the object may be anywhere, its handle is not going to change while it is marked.
// Mark bits lie outside the entries, so marking does not dirty the lines that mutators read; an object
// without slots is finished when it is counted and never queued.
//
// Note [mark pipeline]
//   Marking is a chase through entries and objects that are rarely in the cache. Two short first-in
//   first-out buffers give each the time of a few others to arrive after a prefetch (Cher, Hosking and
//   Vitek, "Software prefetching for mark-sweep garbage collection", ASPLOS 2004):
//     slot -> mark bit set, entry prefetched -> [entries] -> counted; with slots: queue
//     queue -> object prefetched -> [objects] -> slots scanned
//   I-cp-8: an object whose mark bit is set is in one of the two buffers or in the queue, or has been
//           scanned, or will be found by a rescan after an overflow (Note [mark overflow]).
#include <string.h>

#include "compact/cp_internal.h"

// Length of a buffer: a miss takes about 80 ns and a step about 5. A power of two.
enum { PIPELINE = 16 };

typedef struct fifo {
  compact_entry *slots[PIPELINE]; // NULL: empty
  uint32_t at;
} fifo;

typedef struct marker {
  compact_heap *heap;
  hs_grey *grey;
  uint64_t *bits;
  fifo entries, objects;
  uint64_t live_bytes, live_objects;
} marker;

// Puts an entry in and takes the oldest out; NULL while the buffer fills.
static inline compact_entry *fifo_pass(fifo *f, compact_entry *entry) {
  compact_entry *const oldest = f->slots[f->at];
  f->slots[f->at] = entry;
  f->at = (f->at + 1) % PIPELINE;
  return oldest;
}

// The one place where a mark bit is set: one marker, so a plain read and write.
static inline bool mark_try(marker *m, uint32_t index) {
  uint64_t *const word = m->bits + index / CP_WORD_ENTRIES;
  const uint64_t bit = 1ull << (index % CP_WORD_ENTRIES);
  if (*word & bit) return false;
  *word |= bit;
  return true;
}

// Charges a marked object to its region and queues it if it has slots.
static inline void count_object(marker *m, compact_entry *entry) {
  const uint64_t word = cp_entry_load(entry);
  m->live_objects++;
  if (HS_UNLIKELY(word & CP_ENTRY_LARGE)) {
    const cp_large *const large = cp_large_at(m->heap, cp_entry_descriptor(word));
    m->live_bytes += large->bytes;
    if (large->ref_count > 0) hs_grey_push(m->grey, (uintptr_t)entry);
    return;
  }
  const uint32_t bytes = cp_entry_bytes(word);
  cp_region *const region = cp_region_at(m->heap, cp_entry_offset(word) >> CP_REGION_SHIFT);
  region->live_bytes += bytes;
  region->live_count++;
  m->live_bytes += bytes;
  if (cp_entry_refs(word) > 0) hs_grey_push(m->grey, (uintptr_t)entry);
}

static inline void mark_ref(marker *m, heap_ref ref) {
  if (heap_is_null(ref)) return;
  compact_entry *const entry = cp_entry_of(ref);
  HS_ASSERT(cp_entry_is_allocated(m->heap, ref));
  if (!mark_try(m, cp_entry_index(m->heap, entry))) return;
  HS_PREFETCH(entry);
  compact_entry *const ready = fifo_pass(&m->entries, entry);
  if (ready) count_object(m, ready);
}

static void mark_slots(void *context, heap_ref *slots, size_t count) {
  marker *const m = context;
  for (size_t i = 0; i < count; i++) mark_ref(m, slots[i]);
}

static inline void scan_object(marker *m, compact_entry *entry) {
  size_t count;
  heap_ref *const slots = cp_object_slots(m->heap, cp_entry_load(entry), &count);
  mark_slots(m, slots, count);
}

// Takes everything out of a buffer; false when it was empty.
static bool flush_entries(marker *m) {
  bool any = false;
  for (int i = 0; i < PIPELINE; i++) {
    compact_entry *const ready = fifo_pass(&m->entries, NULL);
    if (!ready) continue;
    count_object(m, ready);
    any = true;
  }
  return any;
}

static bool flush_objects(marker *m) {
  bool any = false;
  for (int i = 0; i < PIPELINE; i++) {
    compact_entry *const ready = fifo_pass(&m->objects, NULL);
    if (!ready) continue;
    scan_object(m, ready);
    any = true;
  }
  return any;
}

static void drain(marker *m) {
  do {
    uintptr_t word;
    while (hs_grey_pop(m->grey, &word)) {
      compact_entry *const entry = cp_entry_of((heap_ref){word});
      HS_PREFETCH(m->heap->objects + cp_entry_offset(cp_entry_load(entry)));
      compact_entry *const ready = fifo_pass(&m->objects, entry);
      if (ready) scan_object(m, ready);
    }
  } while (flush_entries(m) || flush_objects(m));
}

// The queue grows by the graph's shape: its size goes with the table and the regions into the peak.
static void queue_count(compact_heap *heap) {
  hs_store_relaxed(&heap->queue_bytes, (uint64_t)hs_grey_pool_bytes(&heap->grey_pool));
}

// One chunk of the queue is had at creation and after a release, so that the depth of a marking that
// gets no memory is that of a chunk and not one: rescans stay rare.
bool cp_mark_prime(compact_heap *heap) {
  hs_grey grey;
  uintptr_t word;
  hs_grey_begin(&grey, &heap->grey_pool);
  hs_grey_push(&grey, 1); // any word
  const bool primed = hs_grey_pop(&grey, &word);
  hs_grey_end(&grey);
  hs_store_relaxed(&heap->grey_pool.overflowed, 0u);
  queue_count(heap);
  return primed;
}

// Work was dropped: scan every marked object again. Terminates, because a round that overflows has
// marked something new.
static void rescan_marked(marker *m) {
  for (uint32_t word = 0; word < m->heap->slab_frontier * CP_SLAB_WORDS; word++) {
    for (uint64_t bits = m->bits[word]; bits; bits &= bits - 1) {
      scan_object(m, m->heap->table + (size_t)word * CP_WORD_ENTRIES + hs_ctz64(bits));
      drain(m);
    }
  }
}

static void mark_pin(void *context, compact_entry *entry) {
  marker *const m = context;
  mark_ref(m, cp_ref_of(entry));
  const uint64_t word = cp_entry_load(entry);
  if (!(word & CP_ENTRY_LARGE))
    cp_region_at(m->heap, cp_entry_offset(word) >> CP_REGION_SHIFT)->pinned++;
}

static void clear(compact_heap *heap) {
  memset(heap->mark_bits.base, 0, (size_t)heap->slab_frontier * sizeof(cp_bits));
  for (uint32_t region = 0; region < heap->region_frontier; region++) {
    cp_region *const r = cp_region_at(heap, region);
    r->live_bytes = r->live_count = r->pinned = 0;
  }
}

void cp_mark_stw(compact_heap *heap) {
  clear(heap);
  marker m = {.heap = heap, .grey = &heap->grey, .bits = (uint64_t *)(void *)heap->mark_bits.base};
  hs_grey_begin(&heap->grey, &heap->grey_pool);
  hs_roots_visit_all_stw(&heap->world, mark_slots, &m);
  cp_pin_visit_stw(heap, mark_pin, &m);
  drain(&m);
  while (hs_load_relaxed(&heap->grey_pool.overflowed)) {
    hs_store_relaxed(&heap->grey_pool.overflowed, 0u);
    rescan_marked(&m);
  }
  hs_grey_end(&heap->grey);
  queue_count(heap);
  cp_peak_note(heap);
  heap->totals.live_bytes = m.live_bytes;
  heap->totals.live_objects = m.live_objects;
}
