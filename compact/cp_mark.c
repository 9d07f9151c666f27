// SPDX-License-Identifier: MIT
// The marking loop: from grey words (runtime/grey.h), everything reachable. Several markers at once,
// beside the program or while it is stopped; when and by whom is the business of runtime/marking.h.
// A grey word is an entry's address: the object may be anywhere, its handle is not going to change while
// it is marked. Mark bits lie outside the entries, so marking does not dirty the lines that mutators
// read; an object without slots is finished when it is counted and never queued.
//
// A marker may read an entry and the slots it leads to: it has the reference from a slot that was stored
// with release, from a queue, or from a root under a lock, and the entry was written before. Objects do
// not move while others run.
//
// Note [mark pipeline]
//   Marking is a chase through entries and objects that are rarely in the cache. Two short first-in
//   first-out buffers give each the time of a few others to arrive after a prefetch (Cher, Hosking and
//   Vitek, "Software prefetching for mark-sweep garbage collection", ASPLOS 2004):
//     slot -> mark bit set, entry prefetched -> [entries] -> counted; with slots: queue
//     queue -> object prefetched -> [objects] -> slots scanned
//   Both belong to a slice of marking and are empty at its end: what is left goes into the queue.
//   I-cp-8: an object that a marker has marked is in one of its two buffers, in its slab (below) or in a
//           queue, or has been scanned, or will be found by a rescan after an overflow
//           (Note [mark overflow]).
//
// Note [slab at a time]
//   Objects that were allocated together have neighbouring entries and tend to refer to each other. So a
//   grey object is scanned together with what can be reached from it within its slab of the table, round
//   by round: references into the slab are collected in a bitmap, then merged into the mark bits with one
//   atomic or per word. What that set anew no other marker has; its entries lie side by side, its objects
//   are prefetched all together and then scanned: the next round. Only other references take the way
//   through the buffers. The non-moving heap does the same with its pages.
#include <string.h>

#include "compact/cp_internal.h"

enum {
  // Length of a buffer: a miss takes about 80 ns and a step about 5. A power of two.
  PIPELINE = 16,
  // Objects with more slots are scanned in pieces of this many, a page of them, so that no slice of an
  // assisting thread is longer, and an array's elements are not all queued at once.
  PIECE_REFS = 512,
  // Grey word for a piece: tag, index of the entry, number of the piece.
  PIECE_TAG = 1,
  PIECE_ENTRY_SHIFT = 3,
  PIECE_NUMBER_SHIFT = PIECE_ENTRY_SHIFT + 32,
};

typedef struct fifo {
  uintptr_t words[PIPELINE]; // 0: empty
  uint32_t at;
} fifo;

typedef struct marker {
  compact_heap *heap;
  hs_grey *grey;
  _Atomic(uint64_t) *bits;
  fifo entries, objects; // addresses of entries; grey words
  uint64_t found
      [CP_SLAB_WORDS];  // entries of the slab at hand that were referred to since the last round
  uint32_t found_words; // bit w: found[w] is not 0. All 0 between grey words
  uint32_t live_region; // to be charged with `live`
  uint64_t live;
  hs_marked done;
  uint64_t refs, max_refs; // looked at in this slice, and the slice's budget
  bool renames;            // Note [twins]
} marker;

static marker begin(compact_heap *heap, hs_grey *grey, uint64_t max_refs) {
  return (marker){.heap = heap,
                  .grey = grey,
                  .max_refs = max_refs,
                  .bits = heap->marks,
                  .renames = cp_twin_is_on(heap)};
}

// Puts a word in and takes the oldest out; 0 while the buffer fills.
static inline uintptr_t fifo_pass(fifo *f, uintptr_t word) {
  const uintptr_t oldest = f->words[f->at];
  f->words[f->at] = word;
  f->at = (f->at + 1) % PIPELINE;
  return oldest;
}

// ---- one reference ------------------------------------------------------------------------------

static inline bool mark_try(const marker *m, uint32_t index) {
  _Atomic(uint64_t) *const word = m->bits + index / CP_WORD_ENTRIES;
  const uint64_t bit = 1ull << (index % CP_WORD_ENTRIES);
  if (hs_load_relaxed(word) & bit) return false;
  return (hs_or_acq_rel(word, bit) & bit) == 0; // pairs: rescan
}

static void charge_region(marker *m) {
  if (m->live == 0) return;
  hs_add_relaxed(&cp_region_at(m->heap, m->live_region)->live,
                 m->live); // read when all markers have left
  m->live = 0;
}

// Charges a marked object to its region, in one sum with those before it; true when it has slots.
static inline bool count_object(marker *m, uint64_t word) {
  m->done.objects_count++;
  if (HS_UNLIKELY(word & CP_ENTRY_LARGE)) {
    const cp_large *const large = cp_large_at(m->heap, cp_entry_descriptor(word));
    m->done.bytes += large->bytes;
    return large->ref_count > 0;
  }
  const uint32_t bytes = cp_entry_bytes(word);
  const uint32_t region = (uint32_t)(cp_entry_offset(word) >> CP_REGION_SHIFT);
  if (region != m->live_region) charge_region(m);
  m->live_region = region;
  m->live += CP_LIVE(bytes, 1);
  m->done.bytes += bytes;
  return cp_entry_refs(word) > 0;
}

static inline void queue_object(marker *m, uintptr_t entry) {
  if (count_object(m, cp_entry_load((const compact_entry *)entry))) hs_grey_push(m->grey, entry);
}

static inline void mark_ref(marker *m, uintptr_t ref) {
  if (ref == 0) return;
  compact_entry *const entry = cp_entry_of((heap_ref){ref});
  HS_ASSERT(cp_entry_is_allocated(m->heap, (heap_ref){ref}));
  if (!mark_try(m, cp_entry_index(m->heap, entry))) return;
  HS_PREFETCH(entry);
  const uintptr_t ready = fifo_pass(&m->entries, ref);
  if (ready) queue_object(m, ready);
}

// The current name of what the slot holds goes into the slot, unless the program has stored another meanwhile,
// which is a current name as well (I-cp-17).
static uintptr_t rename_slot(marker *m, heap_ref *slot, uintptr_t ref) {
  if (ref == 0) return ref;
  const uintptr_t name = (uintptr_t)cp_twin_of(m->heap, cp_entry_of((heap_ref){ref}));
  uintptr_t expected = ref;
  if (name != ref)
    (void)hs_cas_acq_rel((_Atomic(uintptr_t) *)&slot->bits, &expected, name); // pairs: compact_load
  return name;
}

static const uintptr_t NO_SLAB = UINTPTR_MAX - CP_SLAB_BYTES; // no reference lies in it

// References into the slab are only noted, Note [slab at a time].
static inline void mark_slots(marker *m, uintptr_t slab, heap_ref *slots, size_t count) {
  const bool renames = m->renames;
  uint32_t found_words = m->found_words;
  for (size_t i = 0; i < count; i++) {
    uintptr_t ref =
        hs_load_acquire((const _Atomic(uintptr_t) *)&slots[i].bits); // pairs: compact_store
    if (HS_UNLIKELY(renames)) ref = rename_slot(m, &slots[i], ref);
    const size_t offset = ref - slab;
    if (offset >= CP_SLAB_BYTES) { // null, too
      mark_ref(m, ref);
      continue;
    }
    HS_PREFETCH((const void *)ref);
    const unsigned index = (unsigned)(offset / sizeof(compact_entry));
    m->found[index / CP_WORD_ENTRIES] |= 1ull << (index % CP_WORD_ENTRIES);
    found_words |= 1u << (index / CP_WORD_ENTRIES);
  }
  m->found_words = found_words;
  m->refs += count;
}

static void mark_only(void *context, heap_ref ref) {
  marker m = begin(context, NULL, 0);
  compact_entry *entry = cp_entry_of(ref);
  if (m.renames) entry = cp_twin_of(m.heap, entry);
  if (!mark_try(&m, cp_entry_index(m.heap, entry))) return;
  (void)count_object(&m, cp_entry_load(entry));
  charge_region(&m);
  hs_add_relaxed(&m.heap->marking.objects_count, m.done.objects_count);
  hs_add_relaxed(&m.heap->marking.bytes, m.done.bytes);
}

static bool is_marked(void *context, heap_ref ref) {
  const compact_heap *const heap = context;
  return cp_entry_is_marked(heap, cp_entry_index(heap, cp_twin_if_any(heap, cp_entry_of(ref))));
}

// ---- one object ---------------------------------------------------------------------------------

static inline uintptr_t piece_word(uint32_t index, uint64_t number) {
  return PIECE_TAG | (uintptr_t)index << PIECE_ENTRY_SHIFT | number << PIECE_NUMBER_SHIFT;
}

static inline compact_entry *entry_of_grey(const marker *m, uintptr_t grey) {
  if (HS_LIKELY((grey & HS_GREY_TAGS) == 0)) return (compact_entry *)grey;
  return m->heap->table + (uint32_t)(grey >> PIECE_ENTRY_SHIFT);
}

static inline size_t first_slot_of_grey(uintptr_t grey) {
  return (grey & HS_GREY_TAGS) == 0 ? 0 : (size_t)(grey >> PIECE_NUMBER_SHIFT) * PIECE_REFS;
}

// Marks what was found in one word of the slab; what had not been marked.
static inline uint64_t claim_found(marker *m, _Atomic(uint64_t) *marks, unsigned w) {
  const uint64_t claimed = m->found[w] & ~hs_load_relaxed(&marks[w]);
  m->found[w] = 0;
  return claimed == 0 ? 0 : claimed & ~hs_or_acq_rel(&marks[w], claimed); // pairs: rescan
}

// Counts what was claimed; of that, what is to be scanned here, prefetched.
static inline uint64_t count_claimed(marker *m, const compact_entry *entries, uint64_t claimed) {
  uint64_t scans = 0;
  for (; claimed != 0; claimed &= claimed - 1) {
    const unsigned i = hs_ctz64(claimed);
    const uint64_t word = cp_entry_load(&entries[i]);
    if (!count_object(m, word)) continue;
    if (HS_UNLIKELY(word & CP_ENTRY_LARGE) || cp_entry_refs(word) > PIECE_REFS) {
      hs_grey_push(m->grey, (uintptr_t)&entries[i]);
      continue;
    }
    HS_PREFETCH(m->heap->objects + cp_entry_offset(word));
    scans |= 1ull << i;
  }
  return scans;
}

// One object of at most PIECE_REFS slots; when the slice is over, somebody's next work.
static inline void scan_in_slab(marker *m, compact_entry *entry) {
  if (HS_UNLIKELY(m->refs >= m->max_refs)) {
    hs_grey_push(m->grey, (uintptr_t)entry);
    return;
  }
  const uint64_t word = cp_entry_load(entry);
  mark_slots(m, (uintptr_t)entry & ~(uintptr_t)(CP_SLAB_BYTES - 1),
             (heap_ref *)(void *)(m->heap->objects + cp_entry_offset(word)), cp_entry_refs(word));
  m->done.scanned_bytes += cp_entry_bytes(word);
}

// What was found in the slab, and what that leads to.
static void scan_found(marker *m, uintptr_t slab) {
  compact_entry *const entries = (compact_entry *)slab;
  _Atomic(uint64_t) *const marks = m->bits + cp_entry_index(m->heap, entries) / CP_WORD_ENTRIES;
  while (m->found_words != 0) {
    uint64_t scans[CP_SLAB_WORDS];
    uint32_t words = 0;
    for (uint32_t left = m->found_words; left != 0; left &= left - 1) {
      const unsigned w = hs_ctz64(left);
      scans[w] = count_claimed(m, entries + w * CP_WORD_ENTRIES, claim_found(m, marks, w));
      words |= (uint32_t)(scans[w] != 0) << w;
    }
    m->found_words = 0;
    for (; words != 0; words &= words - 1) {
      const unsigned w = hs_ctz64(words);
      for (uint64_t left = scans[w]; left != 0; left &= left - 1)
        scan_in_slab(m, entries + w * CP_WORD_ENTRIES + hs_ctz64(left));
    }
  }
}

static inline void scan(marker *m, uintptr_t grey) {
  compact_entry *const entry = entry_of_grey(m, grey);
  const uintptr_t slab = (uintptr_t)entry & ~(uintptr_t)(CP_SLAB_BYTES - 1);
  const uint64_t word = cp_entry_load(entry);
  size_t count;
  heap_ref *const slots = cp_object_slots(m->heap, word, &count);
  if (HS_LIKELY(count <= PIECE_REFS)) {
    mark_slots(m, slab, slots, count);
    m->done.scanned_bytes += cp_entry_bytes(word);
  } else {
    const size_t first = first_slot_of_grey(grey), left = count - first;
    // The rest first, so that another marker may take it meanwhile. If it is dropped, a rescan does it.
    if (left > PIECE_REFS)
      hs_grey_push(m->grey, piece_word(cp_entry_index(m->heap, entry), first / PIECE_REFS + 1));
    mark_slots(m, slab, slots + first, hs_min_size(left, PIECE_REFS));
    m->done.scanned_bytes += hs_min_size(left, PIECE_REFS) * sizeof(heap_ref);
  }
  if (m->found_words != 0) scan_found(m, slab);
}

// ---- a slice ------------------------------------------------------------------------------------

// Takes everything out of the buffer; false when it was empty.
static bool flush_entries(marker *m) {
  bool any = false;
  for (int i = 0; i < PIPELINE; i++) {
    const uintptr_t ready = fifo_pass(&m->entries, 0);
    if (ready) queue_object(m, ready);
    any |= ready != 0;
  }
  return any;
}

// The same, by scanning, or by putting it back into the queue.
static bool flush_objects(marker *m, bool scans) {
  bool any = false;
  for (int i = 0; i < PIPELINE; i++) {
    const uintptr_t ready = fifo_pass(&m->objects, 0);
    if (ready && scans)
      scan(m, ready);
    else if (ready)
      hs_grey_push(m->grey, ready);
    any |= ready != 0;
  }
  return any;
}

static inline void step(marker *m, uintptr_t grey) {
  if (HS_UNLIKELY(grey & HS_GREY_REF)) {
    m->refs++;
    uintptr_t ref = grey & ~(uintptr_t)HS_GREY_TAGS;
    if (HS_UNLIKELY(m->renames)) ref = (uintptr_t)cp_twin_of(m->heap, (compact_entry *)ref);
    mark_ref(m, ref);
    return;
  }
  HS_PREFETCH(m->heap->objects + cp_entry_offset(cp_entry_load(entry_of_grey(m, grey))) +
              first_slot_of_grey(grey) * sizeof(heap_ref));
  const uintptr_t ready = fifo_pass(&m->objects, grey);
  if (ready) scan(m, ready);
  hs_grey_balance(m->grey);
}

static hs_marked drain(void *context, hs_grey *grey, uint64_t refs) {
  marker m = begin(context, grey, refs);
  do {
    uintptr_t word;
    while (m.refs < refs && hs_grey_pop(grey, &word)) step(&m, word);
    if (m.refs >= refs) { // the slice is over
      (void)flush_entries(&m);
      (void)flush_objects(&m, false);
      break;
    }
  } while (flush_entries(&m) || flush_objects(&m, true));
  charge_region(&m);
  return m.done;
}

// ---- after an overflow --------------------------------------------------------------------------

static void rescan_marked(marker *m) {
  uint32_t index;
  for (cp_walk walk = cp_walk_bits(&m->heap->mark_bits, 0, m->heap->slab_frontier);
       cp_walk_next(&walk, &index);) {
    size_t count; // not through the queue, which may have no room for even one word
    heap_ref *const slots = cp_object_slots(m->heap, cp_entry_load(m->heap->table + index), &count);
    mark_slots(m, NO_SLAB, slots, count);
    (void)flush_entries(m);
    const hs_marked more = drain(m->heap, m->grey, UINT64_MAX);
    m->done.objects_count += more.objects_count;
    m->done.bytes += more.bytes;
    m->done.scanned_bytes += more.scanned_bytes;
  }
}

// Work was dropped: scan every marked object again. Terminates, because a round that overflows has
// marked something new. In a stop with caches flushed, so that what is marked is an object (I-cp-11);
// this is what having no memory costs.
static hs_marked rescan(void *context, hs_grey *grey) {
  compact_heap *const heap = context;
  const bool stops = !hs_world_is_stopped(&heap->world);
  if (stops) hs_world_stop(&heap->world, heap->course.self);
  cp_cache_release_all_stw(heap);
  marker m = begin(heap, grey, UINT64_MAX);
  rescan_marked(&m);
  charge_region(&m);
  if (stops) hs_world_start(&heap->world);
  return m.done;
}

// ---- begin, roots, black allocation -------------------------------------------------------------

// The queue grows by the graph's shape: its size goes with the table and the regions into the peak.
void cp_mark_queue_count(compact_heap *heap) {
  hs_store_relaxed(&heap->queue_bytes, (uint64_t)hs_grey_pool_bytes(&heap->marking.pool));
}

// One chunk of the queue is had at creation and after a release, so that the depth of a marking that
// gets no memory is that of a chunk and not one: rescans stay rare.
bool cp_mark_prime(compact_heap *heap) {
  hs_grey_pool *const pool = &heap->marking.pool;
  hs_grey grey;
  uintptr_t word;
  hs_grey_begin(&grey, pool);
  hs_grey_push(&grey, sizeof word); // any word
  const bool primed = hs_grey_pop(&grey, &word);
  hs_grey_end(&grey);
  hs_store_relaxed(&pool->overflowed, 0u);
  cp_mark_queue_count(heap);
  return primed;
}

void cp_mark_begin(compact_heap *heap) {
  hs_mutex_lock(
      &heap->lock); // slabs and regions that are added meanwhile have neither marks nor counts
  const uint32_t slabs = heap->slab_frontier, regions = heap->region_frontier;
  hs_mutex_unlock(&heap->lock);
  memset(heap->mark_bits.base, 0, (size_t)slabs * sizeof(cp_bits)); // I-cp-12
  for (uint32_t region = 0; region < regions; region++)
    hs_store_relaxed(&cp_region_at(heap, region)->live, (uint64_t)0);
  hs_store_relaxed(&heap->black_bytes, (uint64_t)0);
  hs_store_relaxed(&heap->black_count, (uint64_t)0);
  // Nobody else writes these, and threads read them when their barrier is on.
  heap->marked_turn = heap->turn;
  heap->marks = (_Atomic(uint64_t) *)(void *)heap->mark_bits.base;
}

typedef struct shading {
  hs_marking *marking;
  hs_grey *grey;
} shading;

static void shade_pin(void *context, compact_entry *entry) {
  const shading *const s = context;
  hs_marking_shade(s->marking, s->grey, (uintptr_t)entry);
}

static void shade_roots(void *context, hs_grey *grey) {
  compact_heap *const heap = context;
  cp_pin_visit(heap, shade_pin, &(shading){&heap->marking, grey});
}

static _Atomic(uint64_t) *marks_of(const compact_thread *thread, const compact_entry *word) {
  const uint32_t index = cp_entry_index(thread->heap, word);
  return &thread->mark_bits[index / CP_SLAB_ENTRIES]
              .words[index % CP_SLAB_ENTRIES / CP_WORD_ENTRIES];
}

// Entries of a word that a BLACK thread may hand out. Zero first: I-cp-11.
void cp_mark_set_black(const compact_thread *thread, compact_entry *word, uint64_t entries) {
  for (uint64_t bits = entries; bits; bits &= bits - 1) cp_entry_store(word + hs_ctz64(bits), 0);
  hs_or_acq_rel(marks_of(thread, word), entries); // pairs: cp_walk_next
}

void cp_mark_set_white(const compact_thread *thread, const compact_entry *word, uint64_t entries) {
  hs_and_acq_rel(marks_of(thread, word), ~entries);
}

static void thread_black(void *heap, hs_thread *thread) {
  (void)heap;
  cp_cache_blacken((compact_thread *)thread);
}

static void thread_off(void *context, hs_thread *base) {
  compact_heap *const heap = context;
  cp_twin_replace_frames(heap, base);
  hs_mutex_lock(&heap->lock);
  cp_cache_turn_locked((compact_thread *)base);
  hs_mutex_unlock(&heap->lock);
}

const hs_marking_ops cp_marking_ops = {
    .drain = drain,
    .mark_only = mark_only,
    .rescan = rescan,
    .is_marked = is_marked,
    .shade_roots = shade_roots,
    .thread_black = thread_black,
    .thread_off = thread_off,
};
