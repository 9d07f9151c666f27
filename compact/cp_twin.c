// SPDX-License-Identifier: MIT
// Renaming beside the program, as part of a marking, which visits every reference anyway. Sparse slabs become
// sources before it begins, dense ones targets. The first visit of an entry in a source makes its twin, an
// entry in a target with the same content; whoever comes across an old name replaces it. When the
// marking is complete only twins are marked, and the sources are empty.
//
// Note [twins]
//   Between `on` and handshake C an object may have two names, and both entries lead to it: it does not
//   move. An old entry keeps its location and says FORWARDED and where the twin is.
//   I-cp-17: while `on`, whatever a thread whose barrier is on writes into a slot or a root, and whatever is
//            pinned, is a twin if the entry is in a source: the writer makes the twin if there is none. Else
//            a marker might visit the slot between the writer's look at the entry and its store.
//   `on` is set before the first barrier: markers begin when every thread stores current names. So a
//   thread whose barrier is still off may load a twin that another one stored, and has to know that two names
//   may be one: compact_same looks at `on`. Pins, which any thread may set and take away, are renamed under
//   their lock when `on` is set, and look at it under that lock.
//   So a slot that a marker has visited never holds an old name again, and when the marking is complete
//   no slot of a live object does. Then the collector replaces the names in global roots and weak
//   cells, and in handshake C each thread those in its frames, after which it cannot come by another. A name
//   in a frame is that of a live object, which was marked, so it has a twin.
//   I-cp-18: after handshake C no entry of a source is marked, that is, allocated.
//   The n-th entry that is in use in the sources becomes the n-th that is free in the targets, in table order.
//   So neighbours stay neighbours, whatever order they are found in; a twin's place follows from the bitmaps,
//   which nobody changes in slabs that the collector owns, and threads that make the same twin at the same time
//   write the same words. Room for all was set aside: making a twin never fails.
//   No entry of a source is handed out before its slab is given back, after C. Checked by tests/model/renaming.pml.
#include "compact/cp_internal.h"

// ---- choosing -----------------------------------------------------------------------------------

static bool is_free_to_use(const cp_slab *slab) { return !(slab->flags & CP_SLAB_OWNED); }

static void set_role(compact_heap *heap, uint32_t slab, uint8_t role) {
  cp_slab *const s = cp_slab_at(heap, slab);
  hs_store_relaxed(&s->role, role); // published by twins.on
  s->flags |= CP_SLAB_OWNED;        // by the collector: nobody else takes entries from it
}

static bool make_target(compact_heap *heap, uint32_t slab, uint64_t *room) {
  if (!cp_slab_ready_locked(heap, slab)) return false;
  *room += CP_SLAB_ENTRIES - cp_slab_at(heap, slab)->used;
  set_role(heap, slab, CP_ROLE_TARGET);
  return true;
}

// Empties the upper slabs into the free entries of the lower ones.
static uint64_t choose_upper(compact_heap *heap) {
  uint64_t room = 0, moving = 0;
  uint32_t low = 0, high = heap->slab_frontier;
  while (low < high) {
    const cp_slab *const last = cp_slab_at(heap, high - 1);
    if (!is_free_to_use(last) || last->used == 0) {
      high--;
    } else if (moving + last->used <= room) {
      moving += last->used;
      set_role(heap, --high, CP_ROLE_SOURCE);
    } else {
      const cp_slab *const first = cp_slab_at(heap, low);
      if (is_free_to_use(first) && first->used < CP_SLAB_ENTRIES && !make_target(heap, low, &room))
        break;
      low++;
    }
  }
  heap->twins.begin = 0;
  heap->twins.end = low;
  return moving;
}

// Stress mode: everything, into a run of slabs that were empty.
static uint64_t choose_everything(compact_heap *heap, uint64_t entries) {
  enum { WINDOW = 256 }; // slabs to cycle through before one is used again
  const uint32_t frontier = heap->slab_frontier;
  const uint32_t slabs = (uint32_t)hs_div_up(entries, CP_SLAB_ENTRIES);
  uint32_t begin = heap->slab_stress <= WINDOW ? heap->slab_stress : 0;
  for (uint32_t slab = begin; slab < frontier && slab < begin + slabs; slab++)
    if (!is_free_to_use(cp_slab_at(heap, slab)) || cp_slab_at(heap, slab)->used > 0)
      begin = slab + 1;
  heap->twins.begin = begin;
  heap->twins.end = heap->slab_stress = begin + slabs;
  uint64_t room = 0;
  for (uint32_t slab = begin; slab < begin + slabs; slab++)
    if (!make_target(heap, slab, &room)) return 0;
  for (uint32_t slab = 0; slab < frontier; slab++) {
    const cp_slab *const s = cp_slab_at(heap, slab);
    if (is_free_to_use(s) && s->used > 0) set_role(heap, slab, CP_ROLE_SOURCE);
  }
  return entries;
}

// Numbers the entries in use of sources, and the free ones of targets: `rank` is that of a slab's first.
static void rank_entries(compact_heap *heap) {
  uint32_t source_rank = 0, target_rank = 0;
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++) {
    cp_slab *const s = cp_slab_at(heap, slab);
    const uint8_t role = hs_load_relaxed(&s->role);
    s->rank = role == CP_ROLE_SOURCE ? source_rank : target_rank;
    if (role == CP_ROLE_SOURCE) source_rank += s->used;
    if (role == CP_ROLE_TARGET) target_rank += CP_SLAB_ENTRIES - (uint32_t)s->used;
  }
  HS_ASSERT(source_rank <= target_rank);
}

static cp_table_use use_locked(compact_heap *heap) {
  cp_table_use use = {0};
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++) {
    const cp_slab *const s = cp_slab_at(heap, slab);
    if (!is_free_to_use(s) || s->used == 0) continue;
    use.live_entries += s->used;
    use.occupied_slabs++;
    use.top_slab = slab + 1;
  }
  return use;
}

static void give_back_locked(compact_heap *heap, bool renamed) {
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++) {
    cp_slab *const s = cp_slab_at(heap, slab);
    const uint8_t role = hs_load_relaxed(&s->role);
    if (role == CP_ROLE_NONE) continue;
    const bool source = role == CP_ROLE_SOURCE && renamed;
    hs_store_relaxed(&s->role, (uint8_t)CP_ROLE_NONE);
    s->flags &= (uint8_t)~CP_SLAB_OWNED;
    cp_slab_count_locked(heap, slab);
    HS_REQUIRE(!source || s->used == 0, "an entry of slab %u was not renamed", slab); // I-cp-18
    for (uint32_t i = 0; source && cp_is_stress(heap) && i < CP_SLAB_ENTRIES; i++)
      cp_entry_store(heap->table + (size_t)slab * CP_SLAB_ENTRIES + i, 0); // a stale name faults
  }
  heap->slab_cursor = 0;
}

bool cp_twin_is_on(const compact_heap *heap) { return hs_load_acquire(&heap->twins.on) != 0; }

bool cp_twin_is_due(compact_heap *heap, cp_effort effort) {
  hs_mutex_lock(&heap->lock);
  const cp_table_use use = use_locked(heap);
  hs_mutex_unlock(&heap->lock);
  return heap->config.renaming && cp_select_renaming(&use, effort);
}

void cp_twin_begin(compact_heap *heap, cp_effort effort) {
  hs_mutex_lock(&heap->lock);
  const cp_table_use use = use_locked(heap);
  uint64_t moving = 0;
  if (cp_select_renaming(&use, effort))
    moving = effort == CP_EFFORT_EVERYTHING ? choose_everything(heap, use.live_entries)
                                            : choose_upper(heap);
  if (moving == 0)
    give_back_locked(heap, false); // targets that were chosen in vain
  else
    rank_entries(heap);
  hs_mutex_unlock(&heap->lock);
  hs_store_relaxed(&heap->twins.made, (uint64_t)0);
  if (moving > 0) cp_pin_rename(heap);
}

// ---- while objects are marked -------------------------------------------------------------------

// How many entries before this one are in use in its slab.
static uint32_t used_before(const compact_heap *heap, uint32_t index) {
  const _Atomic(uint64_t) *const words = cp_alloc_at(heap, index / CP_SLAB_ENTRIES)->words;
  const uint32_t last = index % CP_SLAB_ENTRIES / CP_WORD_ENTRIES;
  uint32_t count = 0;
  for (uint32_t word = 0; word < last; word++)
    count += hs_popcount64(hs_load_relaxed(&words[word]));
  const uint64_t below = (1ull << (index % CP_WORD_ENTRIES)) - 1;
  return count + hs_popcount64(hs_load_relaxed(&words[last]) & below);
}

// The last target slab whose rank is not above: a binary search, as ranks ascend in the range. Slabs in it that
// are no targets have the rank of the next one that is.
static uint32_t slab_of_rank(const compact_heap *heap, uint32_t rank) {
  uint32_t low = heap->twins.begin, high = heap->twins.end;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (cp_slab_at(heap, middle)->rank <= rank)
      low = middle;
    else
      high = middle;
  }
  HS_ASSERT(hs_load_relaxed(&cp_slab_at(heap, low)->role) == CP_ROLE_TARGET);
  return low;
}

static compact_entry *entry_of_rank(const compact_heap *heap, uint32_t rank) {
  const uint32_t slab = slab_of_rank(heap, rank);
  const _Atomic(uint64_t) *const words = cp_alloc_at(heap, slab)->words;
  uint32_t left = rank - cp_slab_at(heap, slab)->rank;
  for (uint32_t word = 0; word < CP_SLAB_WORDS; word++) {
    uint64_t free = ~hs_load_relaxed(&words[word]);
    const uint32_t count = hs_popcount64(free);
    if (left >= count) {
      left -= count;
      continue;
    }
    while (left-- > 0) free &= free - 1;
    return heap->table + (size_t)slab * CP_SLAB_ENTRIES + word * CP_WORD_ENTRIES + hs_ctz64(free);
  }
  HS_UNREACHABLE();
}

static uint64_t make_twin(compact_heap *heap, compact_entry *entry) {
  uint64_t word = hs_load_acquire(&entry->word); // pairs: the exchange below
  if (word & CP_ENTRY_FORWARDED) return word;
  const uint32_t index = cp_entry_index(heap, entry);
  const uint32_t rank = cp_slab_at(heap, index / CP_SLAB_ENTRIES)->rank + used_before(heap, index);
  compact_entry *const twin = entry_of_rank(heap, rank);
  cp_entry_store(twin, word);
  if (word & CP_ENTRY_LARGE)
    hs_store_relaxed(&cp_large_at(heap, cp_entry_descriptor(word))->handle, twin);
  const uint64_t forwarded = cp_entry_forward(word, cp_entry_index(heap, twin));
  if (hs_cas_acq_rel(&entry->word, &word, forwarded)) // else another thread has done the same
    hs_add_relaxed(&heap->twins.made, (uint64_t)1);
  return forwarded;
}

static bool is_in_source(const compact_heap *heap, const compact_entry *entry) {
  const uint32_t slab = cp_entry_index(heap, entry) / CP_SLAB_ENTRIES;
  return hs_load_relaxed(&cp_slab_at(heap, slab)->role) == CP_ROLE_SOURCE;
}

compact_entry *cp_twin_of(compact_heap *heap, compact_entry *entry) {
  if (!is_in_source(heap, entry)) return entry;
  uint64_t word = hs_load_acquire(&entry->word); // pairs: make_twin
  if (!(word & CP_ENTRY_FORWARDED)) word = make_twin(heap, entry);
  return heap->table + cp_entry_forwarded(word);
}

compact_entry *cp_twin_if_any(const compact_heap *heap, compact_entry *entry) {
  if (!cp_twin_is_on(heap) || !is_in_source(heap, entry)) return entry;
  const uint64_t word = hs_load_acquire(&entry->word); // pairs: make_twin
  return word & CP_ENTRY_FORWARDED ? heap->table + cp_entry_forwarded(word) : entry;
}

HS_COLD heap_ref compact_name_slow(const compact_thread *thread, heap_ref ref) {
  compact_heap *const heap = thread->heap;
  return heap_is_null(ref) || !cp_twin_is_on(heap) ? ref
                                                   : cp_ref_of(cp_twin_of(heap, cp_entry_of(ref)));
}

HS_COLD void compact_store_slow(compact_thread *thread, _Atomic(uintptr_t) *slot, heap_ref value) {
  const bool renames = hs_load_acquire(thread->two_names) != 0;
  const heap_ref name = HS_UNLIKELY(renames) ? compact_name_slow(thread, value) : value;
  hs_barrier_store_slow(&thread->base, slot, name.bits);
}

// ---- when the marking is complete ---------------------------------------------------------------

static heap_ref new_name(void *context, heap_ref ref) {
  return cp_ref_of(cp_twin_if_any(context, cp_entry_of(ref)));
}

void cp_twin_replace_shared(compact_heap *heap) {
  if (cp_twin_is_on(heap)) hs_roots_replace(&heap->world, new_name, heap);
}

static void replace_slots(void *context, heap_ref *slots, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!heap_is_null(slots[i])) slots[i] = new_name(context, slots[i]);
}

void cp_twin_replace_frames(compact_heap *heap, hs_thread *thread) {
  if (cp_twin_is_on(heap)) hs_roots_visit_thread(thread, replace_slots, heap);
}

uint64_t cp_twin_end(compact_heap *heap) {
  if (!cp_twin_is_on(heap)) return 0;
  hs_mutex_lock(&heap->lock);
  give_back_locked(heap, true);
  hs_mutex_unlock(&heap->lock);
  hs_store_release(&heap->twins.on,
                   0u); // every name is a current one: what threads see does not matter
  return hs_load_relaxed(&heap->twins.made);
}
