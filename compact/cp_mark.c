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
//   I-cp-8: an object that a marker has marked is in one of its two buffers, in the batch of its slab (below)
//           or in a queue, or has been scanned, or will be found by a rescan after an overflow
//           (Note [mark overflow]).
//
// Note [slab at a time]
//   Objects that were allocated together have neighbouring entries and tend to refer to each other. So a
//   grey object is scanned together with what can be reached from it within its slab of the table.
//   References into the slab are collected in a byte map, then merged into the mark bits with one
//   atomic or per word. What that set anew no other marker has; its entries lie side by side. Each is looked at
//   once: the object is counted and prefetched, and the entry's content goes into a batch. When the batch is
//   full, or no reference is left to merge, its objects are scanned, but for the last ones, which have just
//   been prefetched: while more were found those wait for what comes next. Only references to other slabs take
//   the way through the buffers. The non-moving heap does the same with its pages.
//   A slice that ends in a slab goes on for SLAB_REFS: to take up the rest one by one would take longer.
#include <string.h>

#include "allocators/base/bytemap.h"
#include "compact/cp_internal.h"

enum {
  // Length of a buffer: a miss takes about 80 ns and a step about 5. A power of two.
  PIPELINE = 16,
  // Objects with more slots are scanned in pieces of this many, a page of them, so that no slice of an
  // assisting thread is longer, and an array's elements are not all queued at once.
  PIECE_REFS = 512,
  // Objects of a slab that are claimed before the first of them is scanned, about, and that wait for the next
  // batch: as many misses as a core can have under way.
  BATCH = 64,
  BATCH_KEPT = 16,
  BATCH_ROOM = BATCH - 1 + CP_WORD_ENTRIES, // a word may come on top of an almost full one
  // References that a slice may look at beyond its budget, of the slab it is at: a slab of pairs, 5 us.
  SLAB_REFS = 2 * CP_SLAB_ENTRIES,
  // Grey word for a piece: tag, index of the entry, number of the piece.
  PIECE_TAG = 1,
  PIECE_ENTRY_SHIFT = 3,
  PIECE_NUMBER_SHIFT = PIECE_ENTRY_SHIFT + 32,
};

static const uint64_t NO_BUDGET = UINT64_MAX / 2; // of references for a slice

typedef struct fifo {
  uintptr_t words[PIPELINE]; // 0: empty
  uint32_t at;
} fifo;

// Marked small objects of one region that are not yet charged to it, nor in `done`.
typedef struct tally {
  uint32_t region;
  uint64_t live; // granules and number, as CP_LIVE
} tally;

typedef struct marker {
  compact_heap *heap;
  hs_grey *grey;
  _Atomic(uint64_t) *bits;
  fifo entries, objects;          // addresses of entries; grey words
  uint8_t found[CP_SLAB_ENTRIES]; // byte map of the slab at hand; empty between grey words
  tally tally;
  hs_marked done;
  uint64_t refs, max_refs; // looked at in this slice, and the slice's budget
  bool renames;            // Note [twins]
} marker;

// Claimed objects of the slab at hand, each with slots and in one piece. Note [slab at a time].
typedef struct batch {
  unsigned count;
  uint64_t words[BATCH_ROOM]; // contents of their entries
} batch;

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

static void charge_region(marker *m, tally t) {
  if (t.live == 0) return;
  const uint64_t bytes = (uint64_t)(uint32_t)t.live << COMPACT_GRANULE_SHIFT, count = t.live >> 32;
  hs_add_relaxed(&cp_region_at(m->heap, t.region)->live,
                 CP_LIVE(bytes, count)); // read when all markers have left
  m->done.bytes += bytes;
  m->done.objects_count += count;
}

// The tally with a small object more; by value, so that a loop keeps it in registers.
static inline tally tally_add(marker *m, tally t, uint64_t word) {
  const uint32_t region = (uint32_t)(cp_entry_offset(word) >> CP_REGION_SHIFT);
  if (HS_UNLIKELY(region != t.region)) {
    charge_region(m, t);
    t = (tally){.region = region};
  }
  t.live += CP_LIVE(cp_entry_granules(word), 1);
  return t;
}

static bool count_large(marker *m, uint64_t word) {
  const cp_large *const large = cp_large_at(m->heap, cp_entry_descriptor(word));
  m->done.objects_count++;
  m->done.bytes += large->bytes;
  return large->ref_count > 0;
}

// Counts a marked object; true when it has slots.
static inline bool count_object(marker *m, uint64_t word) {
  if (HS_UNLIKELY(word & CP_ENTRY_LARGE)) return count_large(m, word);
  m->tally = tally_add(m, m->tally, word);
  return cp_entry_refs(word) > 0;
}

static inline void queue_object(marker *m, uintptr_t entry) {
  if (count_object(m, cp_entry_load((const compact_entry *)entry))) hs_grey_push(m->grey, entry);
}

static HS_NOINLINE void mark_ref(marker *m, uintptr_t ref) {
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

// References into the slab are only noted, Note [slab at a time]. found_words has a bit for each word of `found`
// that is not 0; what it is afterwards.
static inline uint32_t mark_slots(marker *m, uintptr_t slab, heap_ref *slots, size_t count,
                                  uint32_t found_words, bool renames) {
  uint8_t *const found = m->found;
  for (size_t i = 0; i < count; i++) {
    uintptr_t ref =
        hs_load_acquire((const _Atomic(uintptr_t) *)&slots[i].bits); // pairs: compact_store
    if (HS_UNLIKELY(renames)) ref = rename_slot(m, &slots[i], ref);
    const size_t offset = ref - slab;
    if (offset >= CP_SLAB_BYTES) { // null, too
      if (ref != 0) mark_ref(m, ref);
      continue;
    }
    HS_PREFETCH((const void *)ref);
    const unsigned index = (unsigned)(offset / sizeof(compact_entry));
    hs_bytemap_add(found, index);
    found_words |= 1u << (index / CP_WORD_ENTRIES);
  }
  return found_words;
}

static void mark_only(void *context, heap_ref ref) {
  marker m = begin(context, NULL, 0);
  compact_entry *entry = cp_entry_of(ref);
  if (m.renames) entry = cp_twin_of(m.heap, entry);
  if (!mark_try(&m, cp_entry_index(m.heap, entry))) return;
  (void)count_object(&m, cp_entry_load(entry));
  charge_region(&m, m.tally);
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

// ---- one slab -----------------------------------------------------------------------------------

// Marks what was found in one word of the slab; what had not been marked.
static inline uint64_t claim_found(marker *m, _Atomic(uint64_t) *marks, unsigned w) {
  const uint64_t claimed = hs_bytemap_take(m->found, w) & ~hs_load_relaxed(&marks[w]);
  return claimed == 0 ? 0 : claimed & ~hs_or_acq_rel(&marks[w], claimed); // pairs: rescan
}

// Counts what was claimed in a word. What is to be scanned here goes into the batch, and what is too much for the
// slice is somebody's next work.
static inline void count_claimed(marker *m, batch *b, const compact_entry *slab, unsigned w,
                                 uint64_t claimed) {
  const char *const objects = m->heap->objects;
  const uint64_t limit = m->max_refs + SLAB_REFS;
  uint64_t refs = m->refs, granules = 0;
  tally t = m->tally;
  unsigned count = b->count;
  for (; claimed != 0; claimed &= claimed - 1) {
    const unsigned at = w * CP_WORD_ENTRIES + hs_ctz64(claimed);
    const uint64_t word = cp_entry_load(&slab[at]);
    const uint64_t slots = word >> COMPACT_REFS_SHIFT; // more, if LARGE
    if (HS_UNLIKELY(slots > PIECE_REFS || refs + slots > limit)) {
      m->tally = t;
      queue_object(m, (uintptr_t)&slab[at]);
      t = m->tally;
      continue;
    }
    t = tally_add(m, t, word);
    if (slots == 0) continue;
    HS_PREFETCH(objects + cp_entry_offset(word));
    refs += slots;
    granules += cp_entry_granules(word);
    b->words[count++] = word;
  }
  m->tally = t;
  m->refs = refs;
  m->done.scanned_bytes += granules << COMPACT_GRANULE_SHIFT;
  b->count = count;
}

// Scans the first objects of the batch; what words of `found` have references afterwards.
static inline uint32_t scan_batch(marker *m, batch *b, uintptr_t slab, unsigned count) {
  char *const objects = m->heap->objects;
  const bool renames = m->renames;
  uint32_t found_words = 0;
  for (unsigned i = 0; i < count; i++) {
    const uint64_t word = b->words[i];
    found_words = mark_slots(m, slab, (heap_ref *)(void *)(objects + cp_entry_offset(word)),
                             word >> COMPACT_REFS_SHIFT, found_words, renames);
  }
  b->count -= count;
  memmove(b->words, b->words + count, b->count * sizeof b->words[0]);
  return found_words;
}

// What was found in the slab, and what that leads to.
static void scan_found(marker *m, uintptr_t slab, uint32_t found_words) {
  compact_entry *const entries = (compact_entry *)slab;
  _Atomic(uint64_t) *const marks = m->bits + cp_entry_index(m->heap, entries) / CP_WORD_ENTRIES;
  batch b;
  b.count = 0;
  do {
    for (; found_words != 0 && b.count < BATCH; found_words &= found_words - 1) {
      const unsigned w = hs_ctz64(found_words);
      count_claimed(m, &b, entries, w, claim_found(m, marks, w));
    }
    // Few objects are all there is at the moment: nothing to fetch in between.
    const unsigned kept = b.count > 2 * BATCH_KEPT ? BATCH_KEPT : 0;
    found_words |= scan_batch(m, &b, slab, b.count - kept);
  } while (found_words != 0 || b.count != 0);
}

static inline void scan(marker *m, uintptr_t grey) {
  compact_entry *const entry = entry_of_grey(m, grey);
  const uintptr_t slab = (uintptr_t)entry & ~(uintptr_t)(CP_SLAB_BYTES - 1);
  const uint64_t word = cp_entry_load(entry);
  size_t count;
  heap_ref *slots = cp_object_slots(m->heap, word, &count);
  if (HS_LIKELY(word >> COMPACT_REFS_SHIFT <= PIECE_REFS)) {
    m->done.scanned_bytes += cp_entry_bytes(word);
  } else { // or LARGE
    const size_t first = first_slot_of_grey(grey), left = count - first;
    // The rest first, so that another marker may take it meanwhile. If it is dropped, a rescan does it.
    if (left > PIECE_REFS)
      hs_grey_push(m->grey, piece_word(cp_entry_index(m->heap, entry), first / PIECE_REFS + 1));
    slots += first;
    count = hs_min_size(left, PIECE_REFS);
    m->done.scanned_bytes += count * sizeof(heap_ref);
  }
  m->refs += count;
  const uint32_t found_words = mark_slots(m, slab, slots, count, 0, m->renames);
  if (found_words != 0) scan_found(m, slab, found_words);
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

// The same, by scanning, or when the slice is over by putting it back into the queue.
static bool flush_objects(marker *m) {
  bool any = false;
  for (int i = 0; i < PIPELINE; i++) {
    const uintptr_t ready = fifo_pass(&m->objects, 0);
    if (ready == 0) continue;
    any = true;
    if (m->refs < m->max_refs)
      scan(m, ready);
    else
      hs_grey_push(m->grey, ready);
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
      (void)flush_objects(&m);
      break;
    }
  } while (flush_entries(&m) || flush_objects(&m));
  charge_region(&m, m.tally);
  return m.done;
}

// ---- after an overflow --------------------------------------------------------------------------

static void rescan_marked(marker *m) {
  uint32_t index;
  for (cp_walk walk = cp_walk_bits(&m->heap->mark_bits, 0, m->heap->slab_frontier);
       cp_walk_next(&walk, &index);) {
    size_t count; // not through the queue, which may have no room for even one word
    heap_ref *const slots = cp_object_slots(m->heap, cp_entry_load(m->heap->table + index), &count);
    (void)mark_slots(m, NO_SLAB, slots, count, 0, m->renames);
    (void)flush_entries(m);
    const hs_marked more = drain(m->heap, m->grey, NO_BUDGET);
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
  marker m = begin(heap, grey, NO_BUDGET);
  rescan_marked(&m);
  charge_region(&m, m.tally);
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
