// SPDX-License-Identifier: MIT
// Renaming: the handle table is itself a heap that does not move, so a pattern of survivors can hold
// all of its pages. After marking, live entries outside a dense range of slabs are moved into the free
// entries of that range (the Two-Finger algorithm of Edwards), each leaving its new index behind
// in the old entry; then one pass over all slots and roots replaces what still names an old entry.
// No object moves and no memory is needed. In stress mode the range is a fresh one each time, so that
// every handle changes.
// I-cp-9: a pinned object is not moved. Here its handle keeps its name too, which nobody may rely on.
#include <string.h>

#include "compact/cp_internal.h"

// Stress mode cycles through this many slabs before it reuses one.
static const uint32_t STRESS_WINDOW = 256;

typedef struct renaming {
  compact_heap *heap;
  uint32_t begin, end;          // slabs of the dense range
  uintptr_t range, range_bytes; // the same in addresses: what lies inside keeps its name
  uint32_t slab, word;          // the finger that looks for free entries in the range
  uint64_t renamed;
} renaming;

static bool entry_is_fixed(const compact_heap *heap, const compact_entry *entry) {
  return heap->pin_count > 0 && cp_pin_is_pinned_stw(heap, entry);
}

// ---- the range ----------------------------------------------------------------------------------

static bool range_choose(renaming *r, uint64_t live, cp_effort effort) {
  compact_heap *const heap = r->heap;
  const uint32_t slabs = (uint32_t)hs_div_up(live, CP_SLAB_ENTRIES);
  r->begin = 0;
  if (effort == CP_EFFORT_EVERYTHING && heap->slab_stress + slabs <= STRESS_WINDOW)
    r->begin = heap->slab_stress;
  // As many entries as live ones: what is free inside takes all that is outside.
  r->end = r->begin + slabs;
  for (uint32_t slab = r->begin; slab < r->end; slab++)
    if (!cp_slab_ready_locked(heap, slab)) return false;
  if (effort == CP_EFFORT_EVERYTHING) heap->slab_stress = r->end;
  r->range = (uintptr_t)(heap->table + (size_t)r->begin * CP_SLAB_ENTRIES);
  r->range_bytes = (uintptr_t)(r->end - r->begin) * CP_SLAB_BYTES;
  r->slab = r->begin;
  return true;
}

static compact_entry *range_take(renaming *r) {
  compact_heap *const heap = r->heap;
  for (;; r->slab++, r->word = 0) {
    HS_ASSERT(r->slab < r->end);
    _Atomic(uint64_t) *const words = cp_alloc_at(heap, r->slab)->words;
    for (; r->word < CP_SLAB_WORDS; r->word++) {
      const uint64_t free = ~hs_load_relaxed(&words[r->word]);
      if (free == 0) continue;
      hs_store_relaxed(&words[r->word], ~free | (free & (~free + 1)));
      cp_slab_at(heap, r->slab)->used++;
      return heap->table + (size_t)r->slab * CP_SLAB_ENTRIES + r->word * CP_WORD_ENTRIES +
             hs_ctz64(free);
    }
  }
}

// ---- moving the entries -------------------------------------------------------------------------

static void rename_entry(renaming *r, compact_entry *entry) {
  compact_heap *const heap = r->heap;
  const uint64_t word = cp_entry_load(entry);
  compact_entry *const twin = range_take(r);
  cp_entry_store(twin, word);
  if (word & CP_ENTRY_LARGE) cp_large_at(heap, cp_entry_descriptor(word))->handle = twin;
  cp_entry_store(entry, cp_entry_forward(word, cp_entry_index(heap, twin)));
  const uint32_t index = cp_entry_index(heap, entry);
  _Atomic(uint64_t) *const bits =
      &cp_alloc_at(heap, index / CP_SLAB_ENTRIES)->words[index % CP_SLAB_ENTRIES / CP_WORD_ENTRIES];
  hs_store_relaxed(bits, hs_load_relaxed(bits) & ~(1ull << (index % CP_WORD_ENTRIES)));
  cp_slab_at(heap, index / CP_SLAB_ENTRIES)->used--;
  r->renamed++;
}

static void rename_slabs(renaming *r, uint32_t from, uint32_t to) {
  compact_heap *const heap = r->heap;
  uint32_t index;
  for (cp_walk walk = cp_walk_begin(heap, from, to); cp_walk_next(&walk, &index);)
    if (!entry_is_fixed(heap, heap->table + index)) rename_entry(r, heap->table + index);
}

// ---- replacing the names ------------------------------------------------------------------------

static inline heap_ref new_name(const renaming *r, heap_ref ref) {
  if (ref.bits - r->range < r->range_bytes || heap_is_null(ref)) return ref;
  const uint64_t word = cp_entry_load(cp_entry_of(ref));
  if (!(word & CP_ENTRY_FORWARDED)) return ref; // pinned
  return cp_ref_of(r->heap->table + cp_entry_forwarded(word));
}

static void replace_slots(void *context, heap_ref *slots, size_t count) {
  const renaming *const r = context;
  for (size_t i = 0; i < count; i++) slots[i] = new_name(r, slots[i]);
}

static heap_ref replace_weak(void *context, heap_ref target) { return new_name(context, target); }

static void replace_in_object(renaming *r, uint64_t word) {
  size_t count;
  heap_ref *const slots = cp_object_slots(r->heap, word, &count);
  replace_slots(r, slots, count);
}

// Objects are visited in the order of their handles, which need not be that of their places: each is
// prefetched and visited LAG objects later.
static void replace_all(renaming *r) {
  enum { LAG = 16 };
  compact_heap *const heap = r->heap;
  uint64_t ahead[LAG] = {0}; // entry words; none is 0
  uint32_t index, at = 0;
  for (cp_walk walk = cp_walk_begin(heap, 0, heap->slab_frontier); cp_walk_next(&walk, &index);) {
    const uint64_t word = cp_entry_load(heap->table + index);
    if (!(word & CP_ENTRY_LARGE) && cp_entry_refs(word) == 0) continue;
    HS_PREFETCH(heap->objects + cp_entry_offset(word));
    if (ahead[at]) replace_in_object(r, ahead[at]);
    ahead[at] = word;
    at = (at + 1) % LAG;
  }
  for (uint32_t i = 0; i < LAG; i++)
    if (ahead[i]) replace_in_object(r, ahead[i]);
  hs_roots_visit_all_stw(&heap->world, replace_slots, r);
  hs_weak_visit_stw(&heap->world, replace_weak, r);
}

// Stress mode: a reference that was not replaced, as in a C variable of the program, then reads a free
// entry, whose location 0 faults.
static void clear_old(renaming *r) {
  compact_heap *const heap = r->heap;
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++) {
    if (!(cp_slab_at(heap, slab)->flags & CP_SLAB_RESIDENT)) continue;
    for (uint32_t i = 0; i < CP_SLAB_ENTRIES; i++) {
      compact_entry *const entry = heap->table + (size_t)slab * CP_SLAB_ENTRIES + i;
      if (cp_entry_load(entry) & CP_ENTRY_FORWARDED) cp_entry_store(entry, 0);
    }
  }
}

// ---- all names, in a given order ----------------------------------------------------------------

// The next entry of the range for an object whose name changes.
static uint32_t next_index(const renaming *r, uint32_t index) {
  while (entry_is_fixed(r->heap, r->heap->table + index)) index++;
  return index;
}

// The entries are both where names come from and where they go: their words are kept in `words` until no
// old name is left. 0: the name stays.
static void forward_all(renaming *r, const cp_order *order, uint64_t *words) {
  enum { ENTRY_AHEAD = 16 };
  compact_heap *const heap = r->heap;
  uint32_t to = r->begin * CP_SLAB_ENTRIES;
  for (uint32_t i = 0; i < order->count; i++) {
    if (order->count - i > ENTRY_AHEAD) HS_PREFETCH(heap->table + order->entries[i + ENTRY_AHEAD]);
    compact_entry *const entry = heap->table + order->entries[i];
    if (entry_is_fixed(heap, entry)) continue;
    words[i] = cp_entry_load(entry);
    to = next_index(r, to);
    cp_entry_store(entry, cp_entry_forward(words[i], to++));
    r->renamed++;
  }
}

static void prefetch_names(const compact_heap *heap, uint64_t word) {
  enum { FEW = 4 };
  if (word == 0) return;
  size_t count;
  const heap_ref *const slots = cp_object_slots(heap, word, &count);
  for (size_t i = 0; i < count && i < FEW; i++) HS_PREFETCH(cp_entry_of(slots[i]));
}

// Objects lie mostly in the order, the entries that their slots name do not.
static void replace_in_order(renaming *r, const cp_order *order, const uint64_t *words) {
  enum { OBJECT_AHEAD = 32, NAMES_AHEAD = 16 };
  compact_heap *const heap = r->heap;
  for (uint32_t i = 0; i < order->count; i++) {
    if (order->count - i > OBJECT_AHEAD)
      HS_PREFETCH(heap->objects + cp_entry_offset(words[i + OBJECT_AHEAD]));
    if (order->count - i > NAMES_AHEAD) prefetch_names(heap, words[i + NAMES_AHEAD]);
    replace_in_object(r, words[i] ? words[i] : cp_entry_load(heap->table + order->entries[i]));
  }
  hs_roots_visit_all_stw(&heap->world, replace_slots, r);
  hs_weak_visit_stw(&heap->world, replace_weak, r);
}

static void allocate_bit(compact_heap *heap, uint32_t index) {
  const uint32_t slab = index / CP_SLAB_ENTRIES;
  _Atomic(uint64_t) *const bits =
      &cp_alloc_at(heap, slab)->words[index % CP_SLAB_ENTRIES / CP_WORD_ENTRIES];
  hs_store_relaxed(bits, hs_load_relaxed(bits) | 1ull << (index % CP_WORD_ENTRIES));
  cp_slab_at(heap, slab)->used++;
}

static void install_all(const renaming *r, const cp_order *order, const uint64_t *words) {
  compact_heap *const heap = r->heap;
  memset(heap->alloc_bits.base, 0, (size_t)heap->slab_frontier * sizeof(cp_bits));
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++) cp_slab_at(heap, slab)->used = 0;
  uint32_t to = r->begin * CP_SLAB_ENTRIES;
  for (uint32_t i = 0; i < order->count; i++) {
    uint32_t index = order->entries[i];
    if (words[i]) {
      index = to = next_index(r, to);
      to++;
      cp_entry_store(heap->table + index, words[i]);
      if (words[i] & CP_ENTRY_LARGE)
        cp_large_at(heap, cp_entry_descriptor(words[i]))->handle = heap->table + index;
    }
    allocate_bit(heap, index);
  }
}

uint64_t cp_rename_in_order_stw(compact_heap *heap, const cp_order *order, cp_effort effort) {
  renaming r = {.heap = heap};
  const size_t bytes = hs_align_up((size_t)order->count * sizeof(uint64_t), CP_PAGE_BYTES);
  void *words;
  if (hs_os_map(bytes, CP_PAGE_BYTES, &words) != 0) return 0;
  hs_add_relaxed(&heap->side_bytes, (uint64_t)bytes);
  if (range_choose(&r, order->count, effort)) {
    r.range_bytes = 0; // no name stays because of where it is
    forward_all(&r, order, words);
    replace_in_order(&r, order, words);
    install_all(&r, order, words);
    if (cp_is_stress(heap)) clear_old(&r);
    cp_peak_note(heap);
  }
  hs_os_unmap(words, bytes);
  hs_sub_relaxed(&heap->side_bytes, (uint64_t)bytes);
  return r.renamed;
}

// ---- when ---------------------------------------------------------------------------------------

static cp_table_use table_use(const compact_heap *heap, uint64_t live_entries) {
  cp_table_use use = {.live_entries = live_entries};
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++) {
    if (cp_slab_at(heap, slab)->used == 0) continue;
    use.occupied_slabs++;
    use.top_slab = slab + 1;
  }
  return use;
}

bool cp_rename_is_due(const compact_heap *heap, uint64_t live_entries, cp_effort effort) {
  const cp_table_use use = table_use(heap, live_entries);
  return heap->config.renaming && cp_select_renaming(&use, effort);
}

uint64_t cp_rename_stw(compact_heap *heap, uint64_t live_entries, cp_effort effort) {
  if (!cp_rename_is_due(heap, live_entries, effort)) return 0;
  renaming r = {.heap = heap};
  if (!range_choose(&r, live_entries, effort)) return 0; // no memory: not this time
  const uint32_t frontier = heap->slab_frontier;
  rename_slabs(&r, 0, r.begin);
  rename_slabs(&r, r.end, frontier);
  if (r.renamed > 0) {
    replace_all(&r);
    if (cp_is_stress(heap)) clear_old(&r);
  }
  return r.renamed;
}
