// SPDX-License-Identifier: MIT
// Structures of the non-moving heap and the functions its files offer each other, grouped by file.
//
// Lock order: world collector, world registry, central.lock, scavenge_lock, heap.lock, then the locks
// of the runtime (metadata, grey pool, event log). Locks of two centrals are never held together.
#ifndef NM_INTERNAL_H
#define NM_INTERNAL_H

#include <stdalign.h>

#include "allocators/base/bits.h"
#include "allocators/runtime/background.h"
#include "allocators/runtime/duty.h"
#include "allocators/runtime/limiter.h"
#include "allocators/runtime/marking.h"
#include "allocators/runtime/meta.h"
#include "allocators/runtime/pacer.h"
#include "nonmoving/nm_page.h"
#include "nonmoving/nm_table.h"
#include "nonmoving/nonmoving.h"
#include "nonmoving/nonmoving_inline.h"

enum {
  NM_HEAP_MAGIC = 0x6e6d4870,
  NM_CHUNK_BYTES = NM_CHUNK_PAGES * NM_PAGE_BYTES, // 4 MiB: growth, as in Go
  NM_ARENA_BYTES = 64 << 20,                       // unit of the zeroed watermark, as in Go
  NM_ARENA_PAGES = NM_ARENA_BYTES / NM_PAGE_BYTES,
  NM_PIN_CAPACITY = 1 << 16,
  NM_CLASS_LARGE = 0,
  NM_MAX_BITMAP_WORDS = NM_MAX_OBJECTS / 64,
  NM_SHARDS_MAX = 16, // sets of centrals: 36 KiB each, and a search of what others left visits all
  NM_CHARGE_BYTES = 64 << 10, // 8 spans: 1.6 % of the smallest heap
};
#define NM_SWEEP_RATIO_ONE 4294967296.0 // heap.sweep_ratio is a fixed-point number
// Spans and their pages in one word, so that both are counted at once; a page is one of at most 2^23.
#define NM_UNSWEPT(spans, pages) ((uint64_t)(spans) << 32 | (uint64_t)(pages))

// ---- spans --------------------------------------------------------------------------------------

// A run of pages cut into equal slots, or one large object.
// I-nm-4  a slot is allocated iff it lies below free_index or its alloc bit is set. Bits at and above
//         free_index alone say which slots are free, so freeing needs no free list.
// I-nm-5  a span has two bitmaps of bitmap_words each, at bits_index. The one of index
//         (sweepgen / 2) % 2 holds its alloc bits; the other is zero, or receives the marks of the
//         cycle under way. Sweeping exchanges them by adding 2 to sweepgen.
// I-nm-6  a span is on exactly one list of the central of its class and shard (home tells), or held by
//         one thread. On a list of the parity of its own sweepgen / 2, so that a list is swept or not
//         by the heap's sweepgen.
// I-nm-11 while the heap marks for sweepgen g (mark_gen), a thread whose barrier is BLACK has marked
//         every slot that it hands out of a span of sweepgen g, and the unused slots of its runs; those
//         are unmarked when it gives the span up.
// I-nm-7  live_count is the number of allocated slots whenever no thread holds the span.
typedef struct nm_span {
  struct nm_span *next, *previous; // [lock central.lock] while listed; next: free list of structs
  size_t first_page;               // [const] while in use
  size_t page_count;               // [const] while in use; 0: the struct is free
  size_t ref_count;                // [const] large objects with references: their number
  _Atomic(uint32_t) home;          // [atomic] nm_home_of while on a list of that central, else 0
  uint32_t bits_index;             // [const] while in use; into the bits table, in words
  uint32_t sweepgen;               // [holder] heap sweepgen: swept; 2 less: to be swept
  uint16_t free_index;             // [holder] I-nm-4
  uint16_t live_count;             // [holder] I-nm-7
  uint16_t new_mallocs_count,
      new_frees_count; // [holder] objects that its central does not count yet
  uint8_t span_class;  // [const] while in use
  uint8_t list;        // [lock central.lock] which list, while listed
  uint8_t shard;       // [holder] of the thread that last allocated from it
  bool needs_zero;     // [holder] free slots may hold old data
} nm_span;
_Static_assert(sizeof(nm_span) == HS_CACHE_LINE_BYTES, "threads hold neighbours");

// What a reference needs to find its mark bit and layout; one per page of a span in use.
// I-nm-8  every page of a span in use has the span in its entry; other entries are all zero.
typedef struct nm_page_entry {
  nm_span *span;       // [lock heap.lock] to write
  uint32_t bits_index; // copy of the span's
  uint8_t span_class;  // copy of the span's
  uint8_t page_offset; // pages from the start of the span; 0 for every page of a large object
} nm_page_entry;
_Static_assert(sizeof(nm_page_entry) == 16, "four entries to a cache line");

typedef struct nm_list {
  nm_span *head, *tail;
} nm_list;

// The spans of one class and shard that no thread holds. Of each pair of lists one is swept and the other is
// not, by the parity of sweepgen / 2; they change roles when a cycle adds 2 to it. Partial spans have a
// pair for each quarter that they are full, fullest first, in the variant fullest_first; else one pair.
enum {
  NM_FULLNESS = 4,
  NM_LIST_PARTIAL = 0,
  NM_LIST_FULL = 2 * NM_FULLNESS,
  NM_LISTS = NM_LIST_FULL + 2,
};
typedef struct nm_central {
  hs_mutex lock;
  nm_list lists[NM_LISTS];             // [lock]
  _Atomic(size_t) counts[NM_LISTS];    // [atomic] written under lock: their lengths
  uint64_t mallocs_count, frees_count; // [lock] objects, cumulative
} nm_central;

// ---- threads ------------------------------------------------------------------------------------

typedef struct nm_thread {
  nonmoving_thread hot;                   // first
  nonmoving_heap *heap;                   // [const]
  struct nm_thread *next_free;            // [lock heap.lock] recycled structs
  nm_page_cache page_cache;               // [owner] or stopped
  unsigned shard;                         // [const] while attached
  uint64_t uncharged_bytes;               // [owner] Note [charging]
  nm_span *spans[NONMOVING_SPAN_CLASSES]; // [owner] or stopped; whose slots hot.runs are
} nm_thread;

static inline nm_thread *nm_thread_of(nonmoving_thread *thread) { return (nm_thread *)thread; }

struct nonmoving_weak {
  hs_weak weak;
  nonmoving_weak *next_free; // [lock heap.lock]
};

// ---- the heap -----------------------------------------------------------------------------------

// Pages by state. [atomic], written under heap.lock, so that a sampling thread may read them.
// I-nm-9   in_use + free + released is the number of grown pages, and released the number of scavenged
//          bits in chunks and page caches.
// I-nm-10  zeroed[a] is the watermark of arena a: its pages at and above were never handed out, so
//          they read as zero.
typedef struct nm_page_counts {
  _Atomic(uint64_t) in_use;   // in spans
  _Atomic(uint64_t) free;     // in no span, with memory behind them
  _Atomic(uint64_t) released; // in no span, without
} nm_page_counts;

typedef enum nm_table_id {
  NM_TABLE_ENTRIES,   // nm_page_entry per page
  NM_TABLE_REF_FLAGS, // 1 bit per word of the heap: the last reference slot of each small object
  NM_TABLE_BITS,      // alloc and mark bitmaps of spans
  NM_TABLE_SPANS,     // nm_span
  NM_TABLE_CHUNKS,    // nm_chunk
  NM_TABLE_SCAVENGE,  // nm_scav_chunk
  NM_TABLE_IN_USE,    // 1 bit per page: first page of a span in use
  NM_TABLE_MARKED,    // 1 bit per page: first page of a span with a mark of the last cycle
  NM_TABLE_ZEROED,    // uint64_t per arena: pages from here on were never handed out
  NM_TABLE_PINS,      // uintptr_t
  NM_TABLE_HOLLOW,    // 1 bit per OS page: given back inside a span in use
  NM_TABLE_SUMMARIES, // first of NM_LEVELS
  NM_TABLE_COUNT = NM_TABLE_SUMMARIES + NM_LEVELS
} nm_table_id;

typedef struct nm_cycle_counters { // [collector]
  uint64_t cycles_count, forced_count, cpu_ns, marked_bytes;
  uint64_t live_at_start_bytes; // of the cycle under way, or the last
} nm_cycle_counters;

// The course of one cycle. Times as hs_os_now_ns.
typedef struct nm_cycle_trace {
  uint64_t begin_ns, mark_begin_ns, mark_end_ns, end_ns;
  uint64_t collector_cpu_ns; // of the collector while it marked
  bool forced;
} nm_cycle_trace;

struct nonmoving_heap {
  uint32_t magic; // [const] NM_HEAP_MAGIC
  hs_world world;
  heap_config config;  // [const]
  unsigned cores;      // [const]
  uint64_t created_ns; // [const]
  hs_limiter limiter;  // [collector] for updates
  uintptr_t base;      // [const] of the reserved range; aligned to an arena
  size_t range_bytes;  // [const]

  // Typed views of the tables. [const]
  nm_page_entry *entries;
  uint64_t *bits, *in_use, *zeroed;
  _Atomic(uint64_t) *marked; // written by markers
  _Atomic(uint64_t) *hollow; // written by holders of spans
  // Words are written by the thread that holds their span, and read by others that check an object.
  _Atomic(uint64_t) *ref_flags;
  nm_span *span_structs;
  uintptr_t *pins;

  alignas(HS_CACHE_LINE_BYTES) hs_mutex lock; // the page heap: all down to `pin_count`
  nm_table tables[NM_TABLE_COUNT];
  nm_pages pages;
  size_t span_structs_count;                   // cut from the table so far
  nm_span *span_free;                          // recycled structs
  size_t bits_count;                           // words cut from the bits table
  uint32_t bits_free[NM_MAX_BITMAP_WORDS + 1]; // recycled pairs of bitmaps, by words of one
  nm_thread *thread_free;
  nonmoving_weak *weak_free;
  size_t pin_count;

  nm_page_counts counts;
  _Atomic(size_t) grown_pages;                              // [atomic] written under lock: pages
                                                            // below were obtained from the OS
  _Atomic(uint64_t) peak_footprint_bytes;                   // [atomic] written under lock
  _Atomic(uint64_t) large_mallocs_bytes, large_frees_bytes; // [atomic] cumulative, rounded to pages
  _Atomic(uint64_t) tiny_count;   // [atomic] second halves of tiny blocks, of flushed threads
  _Atomic(uint64_t) spans_in_use; // [atomic] written under lock

  // Written by every thread, hence on a line that holds nothing else. live_bytes: surviving the last
  // cycle, or handed to threads since, but for what Note [charging] says.
  alignas(HS_CACHE_LINE_BYTES) _Atomic(uint64_t) live_bytes; // [atomic]
  _Atomic(uint64_t) black_bytes; // [atomic] of those, slots marked by their threads (I-nm-11)
  _Atomic(uint64_t) unswept;     // [atomic] NM_UNSWEPT of what is still to be swept

  // Read at each span, written rarely.
  alignas(HS_CACHE_LINE_BYTES) _Atomic(uint64_t) hollow_pages; // [atomic] bits of `hollow`
  _Atomic(uint64_t) due_bytes;      // [atomic] live_bytes at which the next cycle starts
  _Atomic(uint32_t) sweepgen;       // [atomic] written under lock, by the collector
  _Atomic(uint32_t) mark_gen;       // [atomic] sweepgen that marking is, or was last, done for
  _Atomic(uint64_t) sweep_ratio;    // [atomic] pages to sweep per byte allocated, in 2^-32
  _Atomic(uint64_t) sweep_basis;    // [atomic] live_bytes when that was computed
  _Atomic(uint64_t) sweep_pages;    // [atomic] pages to sweep when the last cycle ended
  _Atomic(uint32_t) sweep_class;    // [atomic] hint: span classes below have no unswept spans
  _Atomic(uint64_t) reclaim_page;   // [atomic] cursor of the reclaimer
  _Atomic(uint64_t) reclaim_credit; // [atomic] pages reclaimed beyond what was asked for

  nm_cycle_counters cycle; // [collector]
  hs_pacer pacer;
  hs_marking marking;
  hs_background collector;            // [const] after create: cycles, and the rest of the sweep
  uint32_t background_sweepgen;       // [collector thread] whose sweep it has waited for
  _Atomic(bool) collector_dozes;      // [atomic] it will look again by itself
  _Atomic(uint32_t) cycle_epoch;      // [atomic] cycles completed
  _Atomic(uint64_t) overshoot_bytes;  // [atomic] live_bytes beyond which threads wait
  _Atomic(uint32_t) collector_wanted; // [atomic] it was woken and has not started yet
  bool flush_pages;                   // [collector] the answer to C returns page caches too
  hs_meta meta;

  // A thread allocates from the centrals of its own shard and looks into the others when these have
  // nothing: so spans stay with one core, and the lock is mostly free.
  // I-nm-14  there are no more shards than cores, nor than threads were ever in the heap at once.
  _Atomic(uint32_t) shard_count;     // [atomic] written under lock
  nm_central *shards[NM_SHARDS_MAX]; // [const] below shard_count; by span class
  alignas(HS_CACHE_LINE_BYTES) nm_central centrals[NM_SPAN_CLASS_COUNT]; // shard 0

  hs_mutex scavenge_lock;             // held over each piece of background scavenging
  hs_background scavenger;            // [const] after create
  hs_duty scavenge_duty;              // [owner] the scavenger's thread
  _Atomic(uint64_t) scavenge_goal;    // [atomic] bytes of pages that may stay unreleased
  _Atomic(uint64_t) scavenge_ceiling; // [atomic] footprint above which the scavenger works
  _Atomic(uint64_t) scavenged_bytes;  // [atomic] cumulative
  // Of those, what no trace line has told yet. [atomic]
  _Atomic(uint64_t) untold_background_bytes, untold_eager_bytes;
  _Atomic(uint32_t) untold_breakdowns; // of the scavenger's pacing
  _Atomic(uint64_t) log_bytes;         // [atomic] of the event log when last looked at
  void *tables_memory;                 // [const]
  size_t tables_bytes;                 // [const]
  char settings[512];                  // [const]
  hs_event_log log;                    // last: large, and only its used pages cost anything
};

// A span on this page has a marked object. Tested first: mostly it is known.
static inline void nm_note_marked_page(nonmoving_heap *heap, size_t page) {
  _Atomic(uint64_t) *const word = &heap->marked[page / 64];
  const uint64_t mask = 1ull << (page % 64);
  if ((hs_load_relaxed(word) & mask) == 0) hs_or_relaxed(word, mask);
}
static inline size_t nm_grown_pages(const nonmoving_heap *heap) {
  return hs_load_relaxed(&heap->grown_pages);
}
static inline size_t nm_page_of(const nonmoving_heap *heap, uintptr_t address) {
  return (address - heap->base) >> NM_PAGE_SHIFT;
}
static inline uintptr_t nm_page_address(const nonmoving_heap *heap, size_t page) {
  return heap->base + (page << NM_PAGE_SHIFT);
}
static inline uintptr_t nm_span_base(const nonmoving_heap *heap, const nm_span *span) {
  return nm_page_address(heap, span->first_page);
}
static inline size_t nm_span_bytes(const nm_span *span) {
  return span->page_count << NM_PAGE_SHIFT;
}
static inline unsigned nm_span_size_class(const nm_span *span) { return span->span_class >> 1; }
static inline bool nm_span_is_scan(const nm_span *span) { return (span->span_class & 1) == 0; }
static inline size_t nm_span_slot_bytes(const nm_span *span) {
  const unsigned class = nm_span_size_class(span);
  return class == NM_CLASS_LARGE ? nm_span_bytes(span) : nm_classes[class].bytes;
}
static inline unsigned nm_span_objects(const nm_span *span) {
  return nm_classes[nm_span_size_class(span)].objects;
}
static inline unsigned nm_span_words(const nm_span *span) {
  return nm_classes[nm_span_size_class(span)].words;
}
// I-nm-5
static inline uint64_t *nm_span_bitmap(const nonmoving_heap *heap, const nm_span *span,
                                       uint32_t sweepgen) {
  return heap->bits + span->bits_index + (sweepgen / 2 % 2) * nm_span_words(span);
}
static inline uint64_t *nm_span_alloc_bits(const nonmoving_heap *heap, const nm_span *span) {
  return nm_span_bitmap(heap, span, span->sweepgen);
}
static inline uint32_t nm_shard_count(const nonmoving_heap *heap) {
  return hs_load_acquire(&heap->shard_count); // pairs: nm_central_join
}
static inline uint32_t nm_home_of(const nm_span *span) {
  return 1u + span->span_class + (uint32_t)span->shard * NM_SPAN_CLASS_COUNT;
}
static inline nm_central *nm_span_central(const nonmoving_heap *heap, const nm_span *span) {
  return &heap->shards[span->shard][span->span_class];
}
static inline bool nm_bit_is_set(const uint64_t *words, size_t i) {
  return (words[i / 64] >> (i % 64)) & 1;
}
static inline bool nm_span_is_allocated(const nonmoving_heap *heap, const nm_span *span,
                                        unsigned index) {
  return index < span->free_index || nm_bit_is_set(nm_span_alloc_bits(heap, span), index);
}

// ---- nm_heap.c ----------------------------------------------------------------------------------
uint64_t nm_metadata_bytes(nonmoving_heap *heap);
nm_thread *nm_thread_checked(nonmoving_thread *thread);

// ---- nm_layout.c --------------------------------------------------------------------------------
// Reserve the range and the tables; false when the OS refuses (nothing stays reserved).
HS_NODISCARD bool nm_layout_reserve(nonmoving_heap *heap);
void nm_layout_release(nonmoving_heap *heap);
HS_NODISCARD bool nm_layout_commit_arena(nonmoving_heap *heap, size_t end_page);

// ---- nm_span.c ----------------------------------------------------------------------------------
// A span in use, held by the caller; NULL when no memory can be had. pages: of a large object.
nm_span *nm_span_alloc(nonmoving_heap *heap, nm_thread *thread, unsigned span_class, size_t pages);
void nm_span_free(nonmoving_heap *heap, nm_span *span);
unsigned nm_span_count_live(const nonmoving_heap *heap, const nm_span *span);
// The span whose pages hold an address, or NULL.
nm_span *nm_span_find(const nonmoving_heap *heap, uintptr_t address);
void nm_span_check(const nonmoving_heap *heap, const nm_span *span);

// ---- nm_pageheap.c ------------------------------------------------------------------------------
// n pages, or NM_NO_PAGE. *zeroed: all of them read as zero.
size_t nm_pageheap_alloc_locked(nonmoving_heap *heap, nm_thread *thread, size_t n, bool *zeroed);
void nm_pageheap_free_locked(nonmoving_heap *heap, size_t first, size_t n);
void nm_pageheap_flush_cache(nonmoving_heap *heap, nm_thread *thread);
void nm_pageheap_note_peak_locked(nonmoving_heap *heap);

// ---- nm_central.c -------------------------------------------------------------------------------
void nm_central_init(nonmoving_heap *heap);
// Choose the shard of a thread that attached; makes one if it is to have its own and memory allows.
void nm_central_join(nonmoving_heap *heap, nm_thread *thread);
// A span of the class with a free slot, held by the caller; NULL when no memory can be had.
nm_span *nm_central_take(nonmoving_heap *heap, nm_thread *thread, unsigned span_class);
// Give back a held span; its central counts what the holder allocated and found dead.
void nm_central_put(nonmoving_heap *heap, nm_span *span);
// Take an unswept span of the class, from the first of `shards` shards, `shard` and those after it, that
// has one; NULL if none was seen.
nm_span *nm_central_take_unswept(nonmoving_heap *heap, unsigned shard, unsigned span_class,
                                 unsigned shards);
// Take this one if it is still unswept and on a list. It may have been freed since the caller saw it.
bool nm_central_take_this_unswept(nonmoving_heap *heap, nm_span *span);
// Take a swept span off one list of partial ones, 0 <= quarter < NM_FULLNESS, or NULL; *count: how many
// it held.
nm_span *nm_central_take_quarter(nonmoving_heap *heap, nm_central *central, unsigned quarter,
                                 size_t *count);
void nm_central_count(nm_central *central, uint64_t mallocs, uint64_t frees);

// ---- nm_cache.c ---------------------------------------------------------------------------------
// Return what a thread caches (spans, tiny block; page cache too if asked). Owner, or it is stopped.
void nm_cache_flush(nonmoving_heap *heap, nm_thread *thread, bool pages);
// Blacken the unused slots of a thread whose barrier became BLACK. Likewise.
void nm_cache_blacken(nonmoving_heap *heap, nm_thread *thread);
void nm_cache_flush_all_stw(nonmoving_heap *heap, bool pages);

// ---- nm_mark.c ----------------------------------------------------------------------------------
// What marking.h asks of a heap (hs_marking_ops). Marks go to the bitmap that is not the alloc bits of
// mark_gen; every span is swept.
hs_marked nm_mark_drain(void *heap, hs_grey *grey, uint64_t refs);
hs_marked nm_mark_rescan(void *heap, hs_grey *grey);
void nm_mark_only(void *heap, heap_ref ref);
bool nm_is_marked(void *heap, heap_ref ref);
void nm_mark_shade_roots(void *heap, hs_grey *grey);
// Mark or unmark slots [first, end) of a span of mark_gen that the caller holds. I-nm-11.
void nm_mark_set_black(nonmoving_heap *heap, const nm_span *span, unsigned first, unsigned end,
                       bool black);
// Number of reference slots of the object at an address.
size_t nm_object_ref_count(const nonmoving_heap *heap, const nm_span *span, uintptr_t object);

// ---- nm_sweep.c ---------------------------------------------------------------------------------
// Sweep a held unswept span. False: it was empty and has been freed (never when keep is set).
bool nm_sweep_span(nonmoving_heap *heap, nm_span *span, bool keep);
// To be called for spans so swept once each is on its list, free, or held by a thread: when the count of
// unswept spans is 0, the background sweep is done with all of them.
void nm_sweep_count(nonmoving_heap *heap, size_t spans, size_t pages);
uint64_t
nm_sweep_all(nonmoving_heap *heap); // returns the number of spans swept here; waits for others
// Sweep up to `spans` spans of any class; false when none is left to take.
bool nm_sweep_some(nonmoving_heap *heap, unsigned spans);
// A thread got `bytes` more: its share of the sweep, so that all is done before the next cycle. Empty
// spans of its own class are kept for it: it will want them next.
void nm_sweep_proportional(nonmoving_heap *heap, const nm_thread *thread, unsigned span_class,
                           size_t bytes);
uint64_t nm_sweep_done_pages(const nonmoving_heap *heap); // since the last cycle
// Before taking npages: sweep spans without a mark until as many pages came back, or all are swept.
void nm_sweep_reclaim(nonmoving_heap *heap, size_t npages);
bool nm_sweep_is_done(const nonmoving_heap *heap);

// ---- nm_cycle.c ---------------------------------------------------------------------------------
typedef enum nm_reason {
  NM_REASON_TRIGGER, // live_bytes reached the goal
  NM_REASON_FORCED,  // the program asked
  NM_REASON_RELEASE, // the program asked, and wants memory returned
  NM_REASON_FAILED,  // an allocation could not be met
} nm_reason;
void nm_cycle_run(nonmoving_heap *heap, nm_thread *self, nm_reason reason);
// Publish what the pacer committed to.
void nm_cycle_set_due(nonmoving_heap *heap);
// A thread wants `bytes`: starts a cycle when due, pays for one under way. Safepoint in gc=stw.
// What it is to pay for: more than `bytes` if it did not have to pay for earlier ones, or 0.
size_t nm_cycle_step(nonmoving_heap *heap, nm_thread *thread, size_t bytes);
uint64_t nm_cycle_background(void *heap); // hs_background_fn
static inline bool nm_cycle_is_due(const nonmoving_heap *heap) {
  return hs_load_relaxed(&heap->live_bytes) >= hs_load_relaxed(&heap->due_bytes);
}
// Note [charging]
//   live_bytes only paces the collector, so it need not be exact; and it is one cache line for all threads. A
//   thread adds up what it takes of free slots (uncharged_bytes) and adds that to live_bytes when it comes
//   for a span: at each while it is the only one ever, or while objects are marked and the pace matters;
//   else when it has taken NM_CHARGE_BYTES. Only then does it look whether a cycle is due.
static inline void nm_cycle_charge(nonmoving_heap *heap, nm_thread *thread) {
  if (thread->uncharged_bytes > 0) hs_add_relaxed(&heap->live_bytes, thread->uncharged_bytes);
  thread->uncharged_bytes = 0;
}
extern const hs_marking_ops nm_marking_ops;

// ---- nm_trace.c ---------------------------------------------------------------------------------
// Lines on standard error, if the option trace wants them: a cycle begins to mark, a cycle is over, its
// sweep is done.
void nm_trace_begin(const nonmoving_heap *heap);
void nm_trace_end(const nonmoving_heap *heap, const nm_cycle_trace *cycle);
void nm_trace_swept(const nonmoving_heap *heap);

// ---- nm_scavenge.c ------------------------------------------------------------------------------
void nm_scavenge_init(nonmoving_heap *heap); // of zeroed memory; heap.cores is set
// Release everything that is free; returns the bytes.
uint64_t nm_scavenge_all(nonmoving_heap *heap);
// Release about page_count pages, whatever their chunk holds, under heap.lock throughout; returns the
// number released.
size_t nm_scavenge_pages_locked(nonmoving_heap *heap, size_t page_count);
// The same as a service to an allocation: heap.lock is dropped over each purge.
void nm_scavenge_assist_locked(nonmoving_heap *heap, size_t page_count, nm_scav_mode mode);
// Pages came into use: ask for huge pages again where their chunk became dense.
void nm_scavenge_note_use_locked(nonmoving_heap *heap, size_t first, size_t n);
// Marking has ended, so spans in use are at their peak: set what may stay unreleased from the heap goals
// of the cycle that ends and the one that begins, and make what was freed since the last call eligible.
// Once per cycle, by the collector.
void nm_scavenge_note_cycle(nonmoving_heap *heap, uint64_t old_goal_bytes, uint64_t new_goal_bytes);
uint64_t nm_scavenge_background(void *heap); // hs_background_fn
// A scavtrace line, if the heap is to print them: when all is swept, and after a forced release.
void nm_scavenge_trace(nonmoving_heap *heap, bool forced);

// More is retained than the goals allow.
bool nm_scavenge_is_due(nonmoving_heap *heap);

// ---- nm_hollow.c --------------------------------------------------------------------------------
// Give back what no allocated slot of a partial span touches; returns bytes. No-op without the option.
uint64_t nm_hollow_release(nonmoving_heap *heap);
// Slots in [start, limit) are about to be handed out by the holder of their span.
void nm_hollow_fill(nonmoving_heap *heap, uintptr_t start, uintptr_t limit);
static inline uint64_t nm_hollow_bytes(const nonmoving_heap *heap) {
  return hs_load_relaxed(&heap->hollow_pages) * hs_os_page_bytes();
}

// ---- nm_stats.c, nm_map.c, nm_verify.c ----------------------------------------------------------
void nm_stats_fill_stw(nonmoving_heap *heap, heap_stats *out);
// Verify with the world stopped and caches flushed. exact: a collection has just ended, so that every
// allocated object must be reachable.
bool nm_verify_stw(nonmoving_heap *heap, bool exact);

#endif
