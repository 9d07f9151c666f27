// SPDX-License-Identifier: MIT
// The marking loop: from grey words (runtime/grey.h), everything reachable. Precise: every object tells
// how many of its slots are references. Several markers at once, beside the program or while it is
// stopped; when and by whom is the business of runtime/marking.h.
//
// A reference finds its mark bit through the page table entry alone; neither the span nor the object
// is touched. What refers to its own page is marked at once (Note [page at a time]), the rest in batches
// (Note [batch]). An object is prefetched when it becomes grey; grey objects pass through a short queue
// between the stack and their scan (Cher, Hosking and Vitek, "Software prefetching for mark-sweep garbage
// collection", ASPLOS 2004).
//
// Spans are neither freed nor swept while objects are marked, so what a page entry says stays true.
// Marks are set by an atomic or, after a test that mostly spares it; everything that a slot leads to was
// written before the slot (heap_store releases, the marker acquires).
#include "allocators/base/assert.h"
#include "allocators/base/bytemap.h"
#include "nonmoving/nm_internal.h"

enum {
  // References marked together, Note [batch]. 64 is slower when the heap fits the caches.
  BATCH_REFS = 16,
  // Objects between the stack and their scan, a power of two: time for the prefetch of what was pushed
  // last to arrive. 1 or 4 are about a third slower on churn.
  SCAN_DELAY = 16,
  // Objects with more references are scanned in pieces of this many, a page of them, so that no slice of
  // an assisting thread is longer than that (Go: oblets of 128 KiB).
  OBLET_REFS = 512,
  OBLET_BYTES = OBLET_REFS * sizeof(heap_ref),
  OBLET_TAG = 1, // grey word: the start of a piece of an object, not an object
  // Objects of one page are scanned together, Note [page at a time].
  PAGE_REFS = NM_PAGE_BYTES / sizeof(heap_ref),
  PAGE_WORDS = NM_MAX_OBJECTS / 64,
  // References that a slice may look at beyond its budget: the page it is at, and what waits in its queue.
  SLICE_EXCESS = PAGE_REFS + SCAN_DELAY,
};
_Static_assert((int)PAGE_WORDS *(int)HS_BYTEMAP_WORD == NM_MAX_OBJECTS, "whole words");
_Static_assert((int)OBLET_REFS <= (int)PAGE_REFS, "no piece exceeds SLICE_EXCESS");

typedef struct marker {
  nonmoving_heap *heap;
  hs_grey *grey;
  uintptr_t base;
  const nm_page_entry *entries;
  _Atomic(uint64_t) *bits;
  unsigned half; // which bitmap of each span receives marks (I-nm-5)
  hs_marked done;
  uint64_t refs;                 // looked at in this slice
  uint8_t found[NM_MAX_OBJECTS]; // byte map of slots of the page at hand; empty between objects
} marker;

static marker begin(nonmoving_heap *heap, hs_grey *grey) {
  return (marker){.heap = heap,
                  .grey = grey,
                  .base = heap->base,
                  .entries = heap->entries,
                  .bits = (_Atomic(uint64_t) *)heap->bits,
                  .half = (hs_load_relaxed(&heap->mark_gen) + 2) / 2 % 2};
}

// ---- one reference ------------------------------------------------------------------------------

typedef struct mark_site {
  _Atomic(uint64_t) *word;
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
  _Atomic(uint64_t) *const word = m->bits + entry->bits_index + m->half * class->words + index / 64;
  return (mark_site){word, 1ull << (index % 64), entry, page};
}

// Sets the mark; false when it was set already. Counts the object, and notes that its span has one.
static inline bool mark_try(marker *m, uintptr_t ref, const mark_site *site) {
  if (hs_load_relaxed(site->word) & site->mask) return false;
  if (hs_or_acq_rel(site->word, site->mask) & site->mask) return false; // pairs: rescan
  const nm_page_entry *const entry = site->entry;
  size_t first_page = site->page - entry->page_offset;
  uint64_t bytes = nm_class_bytes[entry->span_class >> 1];
  if (HS_UNLIKELY(entry->span_class >> 1 == NM_CLASS_LARGE)) {
    HS_ASSERT(ref == nm_span_base(m->heap, entry->span));
    first_page = entry->span->first_page;
    bytes = nm_span_bytes(entry->span);
  }
  (void)ref;
  nm_note_marked_page(m->heap, first_page);
  m->done.objects_count++;
  m->done.bytes += bytes;
  return true;
}

// Note [batch]
//   References are collected from several objects; then their mark words are located and prefetched, one
//   load independent of the next; then the words are tested. An object that becomes grey is prefetched
//   here too, and scanned some objects later. On a random graph each of the two shortens marking by
//   more than a third; a long row of references to neighbours, all in the caches, pays for the detour.
typedef struct ref_batch {
  unsigned count;
  uintptr_t refs[BATCH_REFS]; // none null
} ref_batch;

static void mark_batch(marker *m, ref_batch *batch) {
  mark_site sites[BATCH_REFS];
  const unsigned count = batch->count;
  for (unsigned i = 0; i < count; i++) {
    HS_ASSERT(nm_span_find(m->heap, batch->refs[i]) != NULL);
    sites[i] = find_mark(m, batch->refs[i]);
    HS_PREFETCH(sites[i].word);
  }
  batch->count = 0;
  for (unsigned i = 0; i < count; i++) {
    const uintptr_t ref = batch->refs[i];
    if (!mark_try(m, ref, &sites[i]) || (sites[i].entry->span_class & 1) != 0) continue;
    HS_PREFETCH((const void *)ref);
    HS_PREFETCH(&m->heap->ref_flags[(ref - m->base) / sizeof(heap_ref) / 64]);
    const bool large = sites[i].entry->span_class >> 1 == NM_CLASS_LARGE;
    (void)hs_grey_push(m->grey, large ? ref | OBLET_TAG : ref); // dropped: Note [mark overflow]
  }
}

static inline void batch_add(marker *m, ref_batch *batch, uintptr_t ref) {
  batch->refs[batch->count] = ref;
  batch->count += ref != 0;
  if (batch->count == BATCH_REFS) mark_batch(m, batch);
}

static inline void batch_slots(marker *m, ref_batch *batch, const heap_ref *slots, size_t count) {
  for (size_t i = 0; i < count; i++) // pairs: hs_barrier_store
    batch_add(m, batch, hs_load_acquire((const _Atomic(uintptr_t) *)&slots[i].bits));
  m->refs += count;
}

void nm_mark_only(void *context, heap_ref ref) {
  marker m = begin(context, NULL);
  const mark_site site = find_mark(&m, ref.bits);
  if (mark_try(&m, ref.bits, &site)) {
    hs_add_relaxed(&m.heap->marking.objects_count, m.done.objects_count);
    hs_add_relaxed(&m.heap->marking.bytes, m.done.bytes);
  }
}

bool nm_is_marked(void *context, heap_ref ref) {
  const marker m = begin(context, NULL);
  const mark_site site = find_mark(&m, ref.bits);
  return (hs_load_relaxed(site.word) & site.mask) != 0;
}

// ---- one object ---------------------------------------------------------------------------------

// The flag of the last reference slot at or after an object is its own: every small object with
// references has one.
static inline size_t small_ref_count(const nonmoving_heap *heap, uintptr_t object) {
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

// One piece of an object, whose reference slots end at `limit`. The rest first, so that another marker may
// take it meanwhile. If it is dropped, a rescan does it.
static void scan_piece(marker *m, ref_batch *batch, uintptr_t start, uintptr_t limit) {
  const size_t left = (limit - start) / sizeof(heap_ref);
  if (left > OBLET_REFS) (void)hs_grey_push(m->grey, (start + OBLET_BYTES) | OBLET_TAG);
  const size_t count = hs_min_size(left, OBLET_REFS);
  batch_slots(m, batch, (const heap_ref *)start, count);
  m->done.scanned_bytes += count * sizeof(heap_ref);
}

static void scan_oblet(marker *m, ref_batch *batch, uintptr_t start) {
  const nm_span *const span = nm_span_find(m->heap, start);
  const unsigned class = nm_span_size_class(span);
  uintptr_t object = nm_span_base(m->heap, span);
  if (class != NM_CLASS_LARGE)
    object += nm_class_index(class, start - object) * nm_span_slot_bytes(span);
  const size_t count = nm_object_ref_count(m->heap, span, object);
  scan_piece(m, batch, start, object + count * sizeof(heap_ref));
}

// Note [page at a time]
//   Objects that were allocated together tend to refer to each other: a tree that was built in one go lies
//   in its pages subtree by subtree. So a grey object of a span of one page is scanned together with
//   everything that can be reached from it within the page, round by round: what a round finds is
//   prefetched and collected in a byte map of the page, then merged into the mark bits with one atomic or
//   per word. What that set anew is the next round; no other marker has it. Such references need neither a
//   page entry nor a place in a queue, and the objects of a round are looked at in address order. Every
//   other reference goes to the batch. After the idea of Go's "green tea" marker (golang/go #73581), which
//   queues pages and lets objects in them become grey meanwhile; here objects are queued and none waits.
typedef struct page_scan {
  uintptr_t start; // of the page
  uint32_t slot_bytes, magic;
  uint32_t words; // bit w: word w of found is not empty
  uint8_t *found; // slots that were referred to since the last round: the marker's
  uint64_t claimed_count;
} page_scan;
_Static_assert(PAGE_WORDS <= 32, "page_scan.words has a bit for each");

static inline void scan_in_page(marker *m, ref_batch *batch, page_scan *page, uintptr_t object) {
  const size_t count = small_ref_count(m->heap, object);
  const heap_ref *const slots = (const heap_ref *)object;
  const uintptr_t start = page->start;
  const uint32_t magic = page->magic;
  uint8_t *const found = page->found;
  uint32_t words = 0;
  for (size_t i = 0; i < count; i++) { // pairs: hs_barrier_store
    const uintptr_t ref = hs_load_acquire((const _Atomic(uintptr_t) *)&slots[i].bits);
    const size_t offset = ref - start;
    if (offset >= NM_PAGE_BYTES) { // null, too
      batch_add(m, batch, ref);
      continue;
    }
    const unsigned index = (unsigned)((offset * magic) >> 32);
    hs_bytemap_add(found, index);
    words |= 1u << (index / HS_BYTEMAP_WORD);
    HS_PREFETCH((const void *)ref);
  }
  page->words |= words;
  m->refs += count;
}

// Marks what the last round found in one word of the page; what it had not been marked.
static inline uint64_t claim_found(page_scan *page, _Atomic(uint64_t) *marks, unsigned w) {
  uint64_t claimed = hs_bytemap_take(page->found, w) & ~hs_load_relaxed(&marks[w]);
  if (claimed == 0) return 0;
  claimed &= ~hs_or_acq_rel(&marks[w], claimed); // pairs: rescan
  page->claimed_count += hs_popcount64(claimed);
  return claimed;
}

static void scan_page(marker *m, ref_batch *batch, const nm_page_entry *entry, uintptr_t object) {
  const nm_class *const class = &nm_classes[entry->span_class >> 1];
  page_scan page = {.start = object & ~(uintptr_t)(NM_PAGE_BYTES - 1),
                    .slot_bytes = class->bytes,
                    .magic = class->magic,
                    .found = m->found};
  _Atomic(uint64_t) *const marks = m->bits + entry->bits_index + m->half * class->words;
  scan_in_page(m, batch, &page, object);
  while (page.words != 0) {
    uint64_t claimed[PAGE_WORDS];
    uint32_t words = 0;
    for (uint32_t left = page.words; left != 0; left &= left - 1) {
      const unsigned w = hs_ctz64(left);
      claimed[w] = claim_found(&page, marks, w);
      words |= (uint32_t)(claimed[w] != 0) << w;
    }
    page.words = 0;
    for (; words != 0; words &= words - 1) {
      const unsigned w = hs_ctz64(words);
      const uintptr_t first = page.start + w * 64ull * page.slot_bytes;
      for (uint64_t left = claimed[w]; left != 0; left &= left - 1)
        scan_in_page(m, batch, &page, first + hs_ctz64(left) * page.slot_bytes);
    }
  }
  m->done.objects_count += page.claimed_count;
  m->done.bytes += page.claimed_count * page.slot_bytes;
  m->done.scanned_bytes += (page.claimed_count + 1) * page.slot_bytes;
}

static inline void scan(marker *m, ref_batch *batch, uintptr_t grey) {
  if (HS_UNLIKELY(grey & HS_GREY_TAGS)) {
    const uintptr_t address = grey & ~(uintptr_t)HS_GREY_TAGS;
    if (grey & HS_GREY_REF) {
      m->refs++;
      batch_add(m, batch, address);
    } else {
      scan_oblet(m, batch, address);
    }
    return;
  }
  const nm_page_entry *const entry = &m->entries[nm_page_of(m->heap, grey)];
  const nm_class *const class = &nm_classes[entry->span_class >> 1];
  if (HS_LIKELY(class->pages == 1)) {
    scan_page(m, batch, entry, grey);
    return;
  }
  const size_t count = small_ref_count(m->heap, grey);
  if (HS_UNLIKELY(count > OBLET_REFS)) {
    m->done.scanned_bytes += class->bytes - count * sizeof(heap_ref); // what no piece counts
    scan_piece(m, batch, grey, grey + count * sizeof(heap_ref));
    return;
  }
  batch_slots(m, batch, (const heap_ref *)grey, count);
  m->done.scanned_bytes += class->bytes;
}

// The slice is over: what waits for its prefetch is somebody's next work. An object that finds no room
// is marked, so a rescan scans it; a reference may not be marked yet, and is looked at now.
static void requeue(marker *m, ref_batch *batch, const uintptr_t *queue) {
  for (unsigned i = 0; i < SCAN_DELAY; i++) {
    if (queue[i] == 0) continue;
    if (queue[i] & HS_GREY_REF)
      scan(m, batch, queue[i]);
    else
      (void)hs_grey_push(m->grey, queue[i]);
  }
}

// Looks at SLICE_EXCESS references more than `refs`, at most: the delay of an assisting thread does not
// depend on what the objects are.
hs_marked nm_mark_drain(void *context, hs_grey *grey, uint64_t refs) {
  marker m = begin(context, grey);
  ref_batch batch;
  batch.count = 0;
  uintptr_t queue[SCAN_DELAY] = {0};
  unsigned at = 0, queued = 0;
  for (;;) {
    if (m.refs >= refs) break;
    uintptr_t next = 0;
    if (hs_grey_pop(grey, &next)) {
      queued++;
    } else if (queued == 0) {
      if (batch.count == 0) break;
      mark_batch(&m, &batch);
      continue;
    }
    const uintptr_t oldest = queue[at];
    queue[at] = next;
    at = (at + 1) % SCAN_DELAY;
    if (oldest == 0) continue;
    queued--;
    scan(&m, &batch, oldest);
    hs_grey_balance(grey);
  }
  if (queued > 0) requeue(&m, &batch, queue);
  mark_batch(&m, &batch);
  HS_ASSERT(m.refs <= refs || m.refs - refs <= SLICE_EXCESS);
  return m.done;
}

// ---- after an overflow --------------------------------------------------------------------------

// The same for a slot that is marked but may not be an object yet, as its thread has blackened it and
// not handed it out: 0 when no flag lies within its `words`.
static size_t ref_count_within(const nonmoving_heap *heap, uintptr_t slot, size_t words) {
  const size_t first = (slot - heap->base) / sizeof(heap_ref), end = first + words;
  for (size_t bit = first; bit < end; bit = hs_align_down(bit, 64) + 64) {
    const uint64_t flags = hs_load_relaxed(&heap->ref_flags[bit / 64]) >> (bit % 64);
    if (flags == 0) continue;
    const size_t last = bit + hs_ctz64(flags);
    return last < end ? last - first + 1 : 0;
  }
  return 0;
}

static void rescan_object(marker *m, ref_batch *batch, const nm_span *span, uintptr_t object) {
  const bool large = nm_span_size_class(span) == NM_CLASS_LARGE;
  const size_t words = nm_span_slot_bytes(span) / sizeof(heap_ref);
  const size_t count = large ? span->ref_count : ref_count_within(m->heap, object, words);
  batch_slots(m, batch, (const heap_ref *)object, count);
  m->done.scanned_bytes += count * sizeof(heap_ref);
}

hs_marked nm_mark_rescan(void *context, hs_grey *grey) {
  nonmoving_heap *const heap = context;
  marker m = begin(heap, grey);
  ref_batch batch;
  batch.count = 0;
  for (size_t page = 0; page < nm_grown_pages(heap); page++) {
    hs_mutex_lock(&heap->lock); // spans come meanwhile; none goes
    const nm_span *const span = heap->entries[page].span;
    hs_mutex_unlock(&heap->lock);
    if (!span || span->first_page != page || !nm_span_is_scan(span)) continue;
    _Atomic(uint64_t) *const marks = m.bits + span->bits_index + m.half * nm_span_words(span);
    for (unsigned i = 0; i < nm_span_objects(span); i++) {
      if ((hs_load_acquire(&marks[i / 64]) >> (i % 64) & 1) == 0) continue; // pairs: mark_try
      // Not through the stack, which may have no room for even one entry.
      rescan_object(&m, &batch, span, nm_span_base(heap, span) + i * nm_span_slot_bytes(span));
      mark_batch(&m, &batch);
      const hs_marked more = nm_mark_drain(heap, grey, UINT64_MAX);
      m.done.objects_count += more.objects_count;
      m.done.bytes += more.bytes;
      m.done.scanned_bytes += more.scanned_bytes;
    }
  }
  return m.done;
}

void nm_mark_shade_roots(void *context, hs_grey *grey) {
  nonmoving_heap *const heap = context;
  hs_mutex_lock(&heap->lock); // pins are short, and few
  for (size_t i = 0; i < heap->pin_count; i++)
    hs_marking_shade(&heap->marking, grey, heap->pins[i]);
  hs_mutex_unlock(&heap->lock);
}

// ---- black allocation ---------------------------------------------------------------------------

// Slots [first, end) of a span that its holder allocates in while objects are marked.
void nm_mark_set_black(nonmoving_heap *heap, const nm_span *span, unsigned first, unsigned end,
                       bool black) {
  const unsigned half = (hs_load_relaxed(&heap->mark_gen) + 2) / 2 % 2;
  _Atomic(uint64_t) *const marks =
      (_Atomic(uint64_t) *)heap->bits + span->bits_index + half * nm_span_words(span);
  for (unsigned w = first / 64; w * 64 < end; w++) {
    const uint64_t mask = nm_bits_range_mask(w, first, end - first);
    if (black)
      hs_or_acq_rel(&marks[w], mask); // pairs: rescan
    else
      hs_and_acq_rel(&marks[w], ~mask);
  }
  if (black) nm_note_marked_page(heap, span->first_page);
}
