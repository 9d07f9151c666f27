// SPDX-License-Identifier: MIT
// Precise marking from the roots with an explicit work queue (runtime/grey.h). The word queued is the
// entry's address: the object may be anywhere, its handle is not going to move while it is marked.
// Mark bits lie outside the entries, so marking does not dirty the lines that mutators read; an object
// without slots is finished when it is marked and never queued.
// I-cp-8: a marked object is in the queue, or has been scanned, or will be found by a rescan after an
//         overflow (Note [mark overflow] in runtime/grey.h).
#include <string.h>

#include "compact/cp_internal.h"

// The one place where a mark bit is set: one marker, so a plain read and write.
static inline bool mark_try(compact_heap *heap, uint32_t index) {
  uint64_t *const word = (uint64_t *)(void *)heap->mark_bits.base + index / CP_WORD_ENTRIES;
  const uint64_t bit = 1ull << (index % CP_WORD_ENTRIES);
  if (*word & bit) return false;
  *word |= bit;
  return true;
}

static inline void mark_ref(compact_heap *heap, heap_ref ref) {
  if (heap_is_null(ref)) return;
  compact_entry *const entry = cp_entry_of(ref);
  HS_ASSERT(cp_entry_is_allocated(heap, ref));
  if (!mark_try(heap, cp_entry_index(heap, entry))) return;
  const uint64_t word = cp_entry_load(entry);
  heap->totals.live_objects++;
  if (HS_UNLIKELY(word & CP_ENTRY_LARGE)) {
    const cp_large *const large = cp_large_at(heap, cp_entry_descriptor(word));
    heap->totals.live_bytes += large->bytes;
    if (large->ref_count > 0) hs_grey_push(&heap->grey, ref.bits);
    return;
  }
  const uint32_t bytes = cp_entry_bytes(word);
  cp_region *const region = cp_region_at(heap, cp_entry_offset(word) >> CP_REGION_SHIFT);
  region->live_bytes += bytes;
  region->live_count++;
  heap->totals.live_bytes += bytes;
  if (cp_entry_refs(word) > 0) hs_grey_push(&heap->grey, ref.bits);
}

static void mark_slots(void *context, heap_ref *slots, size_t count) {
  compact_heap *const heap = context;
  for (size_t i = 0; i < count; i++) mark_ref(heap, slots[i]);
}

static void scan_object(compact_heap *heap, compact_entry *entry) {
  size_t count;
  heap_ref *const slots = cp_object_slots(heap, cp_entry_load(entry), &count);
  mark_slots(heap, slots, count);
}

static void drain(compact_heap *heap) {
  uintptr_t word;
  while (hs_grey_pop(&heap->grey, &word)) scan_object(heap, cp_entry_of((heap_ref){word}));
}

// Work was dropped: scan every marked object again. Terminates, because a round that overflows has
// marked something new.
static void rescan_marked(compact_heap *heap) {
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++) {
    for (uint32_t w = 0; w < CP_SLAB_WORDS; w++) {
      uint64_t bits = cp_mark_at(heap, slab)->words[w];
      for (; bits; bits &= bits - 1) {
        const size_t index = (size_t)slab * CP_SLAB_ENTRIES + w * CP_WORD_ENTRIES + hs_ctz64(bits);
        scan_object(heap, heap->table + index);
        drain(heap);
      }
    }
  }
}

static void mark_pin(void *context, compact_entry *entry) {
  compact_heap *const heap = context;
  mark_ref(heap, cp_ref_of(entry));
  const uint64_t word = cp_entry_load(entry);
  if (!(word & CP_ENTRY_LARGE))
    cp_region_at(heap, cp_entry_offset(word) >> CP_REGION_SHIFT)->pinned++;
}

static void clear(compact_heap *heap) {
  memset(heap->mark_bits.base, 0, (size_t)heap->slab_frontier * sizeof(cp_bits));
  for (uint32_t region = 0; region < heap->region_frontier; region++) {
    cp_region *const r = cp_region_at(heap, region);
    r->live_bytes = r->live_count = r->pinned = 0;
  }
  heap->totals.live_bytes = heap->totals.live_objects = 0;
}

void cp_mark_stw(compact_heap *heap) {
  clear(heap);
  hs_grey_begin(&heap->grey, &heap->grey_pool);
  hs_roots_visit_all_stw(&heap->world, mark_slots, heap);
  cp_pin_visit_stw(heap, mark_pin, heap);
  drain(heap);
  while (hs_load_relaxed(&heap->grey_pool.overflowed)) {
    hs_store_relaxed(&heap->grey_pool.overflowed, 0u);
    rescan_marked(heap);
  }
  hs_grey_end(&heap->grey);
}
