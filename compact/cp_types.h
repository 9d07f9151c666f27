// SPDX-License-Identifier: MIT
// The data of the compacting heap and the invariants of each. Included by cp_internal.h only.
//
// The reservation, one per heap:
//   objects   regions grow up from the bottom, large page runs grow down from the top; they may not
//             meet (I-cp-10). Region 0 is never accessible: location 0 faults.
//   table     the handle table, a quarter of the object space
//   sides     arrays beside them: slab descriptors, allocation and mark bits, region descriptors,
//             page states and descriptors of large objects
#ifndef CP_TYPES_H
#define CP_TYPES_H

#include "allocators/runtime/background.h"
#include "allocators/runtime/limiter.h"
#include "allocators/runtime/marking.h"
#include "allocators/runtime/meta.h"
#include "allocators/runtime/pacer.h"
#include "compact/compact.h"

#define CP_NONE UINT32_MAX

enum {
  CP_HEAP_MAGIC = 0x63704850,
  CP_PAGE_BYTES = 4096,  // unit of footprint; a larger OS page is refused at creation
  CP_GRANULE_BYTES = 8,  // object alignment
  CP_WORD_ENTRIES = 64,  // entries per bitmap word
  CP_SLAB_ENTRIES = 512, // one page of entries, so that an empty slab is a page to give back
  CP_SLAB_WORDS = CP_SLAB_ENTRIES / CP_WORD_ENTRIES,
  CP_SLAB_BYTES = CP_SLAB_ENTRIES * 8,
  CP_REGION_SHIFT = 18, // 256 KiB: copied in tens of microseconds, and 8 largest small objects
  CP_REGION_BYTES = 1 << CP_REGION_SHIFT,
  CP_CHUNK_BYTES = COMPACT_SMALL_BYTES, // zeroed at a time: stays in the L1 cache (I-cp-1)
  CP_PIN_SLOTS = 4096,                  // hash slots for pins; three quarters may be used
};
_Static_assert(CP_SLAB_BYTES == CP_PAGE_BYTES, "a slab is a page");

// ---- entries: see Note [entry] in compact.h -----------------------------------------------------

#define CP_ENTRY_LARGE (1ull << 56)
#define CP_ENTRY_FORWARDED (1ull << 62)
#define CP_FORWARDED_MASK 0x3fffffffu // bits 32-61 of a FORWARDED entry
#define CP_DESCRIPTOR_MASK 0xffffffu  // bits 32-55 of a LARGE entry

static inline uint64_t cp_entry_load(const compact_entry *entry) {
  return hs_load_relaxed(&entry->word); // ordered by how the reference came to be known, or a stop
}
static inline void cp_entry_store(compact_entry *entry, uint64_t word) {
  hs_store_relaxed(&entry->word, word);
}
static inline size_t cp_entry_offset(uint64_t word) {
  return (size_t)(uint32_t)word << COMPACT_GRANULE_SHIFT;
}
static inline uint32_t cp_entry_granules(uint64_t word) {
  return (uint32_t)(word >> COMPACT_SIZE_SHIFT & COMPACT_FIELD_MAX);
}
static inline uint32_t cp_entry_bytes(uint64_t word) {
  return cp_entry_granules(word) << COMPACT_GRANULE_SHIFT;
}
static inline uint32_t cp_entry_refs(uint64_t word) {
  return (uint32_t)(word >> COMPACT_REFS_SHIFT & COMPACT_FIELD_MAX);
}
// The same entry, FORWARDED to the entry of that index.
static inline uint64_t cp_entry_forward(uint64_t word, uint32_t index) {
  return (uint32_t)word | (uint64_t)index << COMPACT_SIZE_SHIFT | CP_ENTRY_FORWARDED;
}
static inline uint32_t cp_entry_forwarded(uint64_t word) {
  return (uint32_t)(word >> COMPACT_SIZE_SHIFT) & CP_FORWARDED_MASK;
}
// The same entry, with the object at that place.
static inline uint64_t cp_entry_place(uint64_t word, size_t offset) {
  return (word & ~(uint64_t)UINT32_MAX) | (uint64_t)offset >> COMPACT_GRANULE_SHIFT;
}
static inline uint32_t cp_entry_descriptor(uint64_t word) {
  return (uint32_t)(word >> COMPACT_SIZE_SHIFT) & CP_DESCRIPTOR_MASK;
}

// ---- arrays in the reservation: cp_side.c -------------------------------------------------------

// Elements are zero until written. Pages are committed as the array grows and counted as touched up
// to the highest element in use (I-cp-7), so that trimming gives them back.
typedef struct cp_side {
  char *base;                      // [const] but for cp_side_swap, under the heap lock
  size_t element_bytes;            // [const]
  size_t reserved_bytes;           // [const]
  size_t committed_bytes;          // [lock heap]
  _Atomic(uint64_t) touched_bytes; // [atomic] written under the heap lock, read by samplers
} cp_side;

// ---- descriptors --------------------------------------------------------------------------------

// I-cp-3: used == number of allocation bits of the slab, all others are free entries; of a slab that
//         nobody owns only when it was counted since the last turn, and of one that a thread owns without
//         the entries that it has taken (slab_taken). All-zero describes a slab that was never used.
typedef struct cp_slab {
  uint16_t used;         // [owner] of the slab, else [lock heap]
  uint8_t flags;         // [lock heap]
  uint8_t turn;          // [lock heap] of the heap, modulo 256, when `used` was counted
  _Atomic(uint8_t) role; // [collector] in a renaming beside the program. Note [twins]
  uint32_t rank; // [collector] of the first entry in use, or the first free one. Note [twins]
} cp_slab;
enum {
  CP_SLAB_OWNED = 1,    // a thread takes words from it
  CP_SLAB_RESIDENT = 2, // its page is charged
};
enum { CP_ROLE_NONE = 0, CP_ROLE_SOURCE = 1, CP_ROLE_TARGET = 2 }; // cp_slab.role

// Bit i of word w: entry 64 w + i.
// Allocation bits change by plain stores of the slab's owner, or become others in a turn; markers may look
// (debug).
// I-cp-11: mark bits change by read-modify-write only while objects are marked. A mark bit is set for an
//          object that a marker found, or by a BLACK thread for the free entries that it holds (I-cp-2).
//          Such an entry is 0 until its object is allocated, and its bit is cleared when it is given
//          back: with caches flushed the marked entries are objects, and all that survive the cycle.
// I-cp-12: outside of a marking nobody reads mark bits; they are cleared before the next one. In between
//          they may serve otherwise. See cp_place.c.
typedef struct cp_bits {
  _Atomic(uint64_t) words[CP_SLAB_WORDS]; // [atomic]
} cp_bits;

typedef enum cp_region_state {
  CP_REGION_FREE = 0, // holds nothing: top == 0
  CP_REGION_OPEN,     // a thread, or the collector as destination, allocates in it
  CP_REGION_CLOSED,   // holds objects; may be opened again while it has room at its end
  CP_REGION_SOURCE,   // to be evacuated in the next stop; nobody allocates in it
  CP_REGION_GUARD,    // region 0
} cp_region_state;

// I-cp-4: objects lie in [0, top); top <= dirty <= region size; bytes at dirty and above are zero.
// I-cp-5: pages below resident are charged to the heap but for hollow ones, and page_up(top) <= resident.
// I-cp-19: hollow pages lie below page_up(top), hold no object, and none will lie there before the region is
//          free: objects that could not be moved (pinned ones) keep a region, not its pages.
// I-cp-13: when marking is complete `live` of a region that no thread holds counts its marked objects:
//          those that markers found and those allocated black, which their threads count.
typedef struct cp_region {
  uint32_t top;      // [owner]
  uint32_t dirty;    // [owner]
  uint32_t resident; // [owner]
  uint32_t list;     // [collector] beginning of its part of the back-map, see cp_evacuate.c
  union {
    _Atomic(uint64_t) live; // [atomic] while objects are marked, bytes and count in one addition
    struct {
      uint32_t live_bytes; // [collector] afterwards
      uint32_t live_count;
    };
  };
  uint16_t pinned; // [collector] pinned objects, at most CP_PIN_SLOTS
  uint8_t source;  // [collector] state is SOURCE; that field is not the collector's alone
  uint8_t turn;    // [lock heap] of the heap, modulo 256, when the region was opened last
  uint8_t state;   // [lock heap] cp_region_state
  uint8_t hollow;  // [lock heap] pages below top without objects, given back. I-cp-19
} cp_region;
_Static_assert(sizeof(cp_region) == 32, "two descriptors per cache line");
#define CP_LIVE(bytes, count) ((uint64_t)(bytes) | (uint64_t)(count) << 32) // for cp_region.live

// A large object: a run of whole pages that never moves. Pages are numbered downwards from the top
// of the object space. A free descriptor has no handle and links the next one in `page`.
typedef struct cp_large {
  _Atomic(compact_entry *)
      handle;     // [lock heap; atomic while handles are renamed] NULL: free descriptor
  uint64_t bytes; // granules in use, in bytes
  uint64_t ref_count;
  uint32_t page, page_count;
} cp_large;

// State of one page of the large part (I-cp-6: USED pages belong to exactly one descriptor).
enum {
  CP_PAGE_USED = 1,
  CP_PAGE_DIRTY = 2,    // may hold old data: clear before use
  CP_PAGE_RESIDENT = 4, // charged
};

typedef struct cp_pin {
  compact_entry *entry; // NULL: free slot
  uint64_t count;
} cp_pin;

// Counters of the heap; a thread's own are added when its cache is released.
typedef struct cp_totals {
  uint64_t alloc_bytes, alloc_objects; // cumulative
  uint64_t live_bytes, live_objects;   // found by the last cycle
  uint64_t since_bytes, since_objects; // allocated after its turn
  uint64_t turn_bytes, turn_objects;   // allocated between its turn and the one before
  uint64_t frees, cycles, forced_cycles;
  uint64_t moved_bytes, renamed_count, scavenged_bytes, gc_cpu_ns;
  uint64_t aborted_moves, fallback_stops; // compaction=concurrent
} cp_totals;

// Renaming beside the program. Note [twins]
typedef struct cp_twins {
  _Atomic(uint32_t) on;   // [atomic] written by the collector: objects may have two names
  uint32_t begin, end;    // [collector] slabs among which the targets are
  _Atomic(uint64_t) made; // [atomic]
} cp_twins;

// What automatic cycles cost, for the pace. Note [thrift] in cp_pace.c.
typedef struct cp_thrift {
  uint64_t since_ns,
      since_cpu_ns; // [collector] end of the last cycle, and what all had cost until then
  double cost;      // [collector] share of the cores, were the room what gogc says
  double saved;     // [collector] part of that room that is not used
} cp_thrift;

// What was in use lately, for what is given back. Note [retention] in cp_retain.c.
typedef struct cp_retention {
  uint64_t peak_bytes; // when a cycle ended, less with time
  uint64_t set_ns;     // when that was set
} cp_retention;

// How much a cycle does for density.
typedef enum cp_effort { CP_EFFORT_AUTOMATIC, CP_EFFORT_FULL, CP_EFFORT_EVERYTHING } cp_effort;

// See cp_idle.c.
typedef struct cp_idle {
  uint64_t seen_bytes;       // [collector thread] since_bytes when it was last seen to change
  uint32_t seen_cycles;      // [collector thread] completed then
  uint64_t seen_ns;          // [collector thread]
  uint32_t done_cycles;      // [collector thread] completed with the last idle cycle
  uint64_t not_before_ns;    // [collector thread] of the next idle cycle
  bool found_much;           // [collector thread] the last idle cycle found much dead
  _Atomic(uint32_t) resting; // [atomic] it sleeps until somebody allocates
} cp_idle;

// Why no more regions were chosen. Note [selection]
typedef enum cp_verdict {
  CP_VERDICT_ALL = 0,      // all were, as in a full collection
  CP_VERDICT_DENSE,        // there was no need to begin
  CP_VERDICT_REACHED,      // predicted to be dense afterwards
  CP_VERDICT_BUDGET,       // what is left would take too much CPU time
  CP_VERDICT_SOON,         // what is left would take too long
  CP_VERDICT_FULL_REGIONS, // what is left has too little garbage in it
} cp_verdict;

typedef struct cp_selection {
  uint64_t objects;                                               // in sources
  uint64_t live_bytes, used_bytes, predicted_bytes, moving_bytes; // automatic cycles: of regions
  cp_verdict verdict;
} cp_selection;

// The course of one cycle. Times as hs_os_now_ns.
typedef struct cp_course {
  hs_thread *self; // NULL: the collector thread
  heap_collect_kind kind;
  bool forced, idle;
  uint64_t begin_ns, begin_cpu_ns;
  uint64_t mark_begin_ns, mark_end_ns, end_ns;
  uint64_t marker_cpu_ns;       // of the collector while it marked
  uint64_t live_at_start_bytes; // entries included, as are all bytes that pace cycles
  uint64_t taken_bytes;         // by threads between the last cycle and the end of this one
  uint64_t interval_ns;         // how long that was
  cp_selection selection;       // of regions to empty
  uint64_t moved_bytes, moving_ns, aborted_count; // beside the program
} cp_course;

struct compact_heap {
  uint32_t magic;     // [const]
  heap_config config; // [const]
  hs_world world;
  hs_meta meta;
  hs_marking marking;
  hs_background collector; // [const] after create; runs automatic cycles, gc=concurrent only
  hs_pacer pacer;
  hs_limiter limiter;
  unsigned cores;      // [const]
  uint64_t created_ns; // [const]

  char *reservation;        // [const]
  size_t reservation_bytes; // [const]
  char *objects;            // [const]
  size_t object_bytes;      // [const]
  compact_entry *table;     // [const]
  uint32_t slab_limit;      // [const] slabs of the reserved table

  // Lock order: world collector, registry, world lock, then this one. Never held at a safepoint.
  hs_mutex lock;

  // Of cp_slab, cp_bits, cp_bits; the bits swap roles in a turn. Threads use their own pointers to them.
  cp_side slabs, alloc_bits, mark_bits; // [lock], or the collector
  uint32_t turn;                        // [lock] how many turns there were. Note [bitmap turn]
  uint32_t marked_turn;                 // [collector] when objects were last marked
  _Atomic(uint64_t) *marks; // [collector] the bitmap that this was done in. Note [bitmap turn]
  uint32_t slab_frontier;   // [lock] slabs below may be in use
  uint32_t slab_cursor;     // [lock] no takeable slab below
  uint32_t slab_stress;     // [lock] next slab to rename into, stress mode
  size_t table_committed;   // [lock] bytes

  cp_side regions;          // of cp_region
  uint32_t region_frontier; // [lock] regions below may be in use
  uint32_t region_cursor;   // [lock] no takeable region below
  uint32_t region_stress;   // [lock] next region to move into, stress mode
  size_t low_committed;     // [lock] bytes from the bottom

  cp_side pages;                 // of uint8_t
  cp_side larges;                // of cp_large
  uint32_t page_frontier;        // [lock] pages below may be in use
  uint32_t page_cursor;          // [lock] no free page below
  uint32_t large_count;          // [lock] descriptors ever used
  uint32_t large_free;           // [lock] CP_NONE: none
  size_t high_committed;         // [lock] bytes from the top
  _Atomic(uint64_t) large_bytes; // [atomic] pages in use, in bytes

  cp_twins twins;
  cp_idle idle;
  cp_thrift thrift;
  uint64_t selected_ns;      // [collector] when regions were last chosen
  uint64_t paced_ns;         // [collector] when the pace was last set
  double moved_bytes_per_ns; // [collector] how fast objects were moved, lately

  hs_mutex pin_lock;  // innermost
  cp_pin *pins;       // [lock pin_lock] CP_PIN_SLOTS, mapped at the first pin
  uint32_t pin_count; // [lock pin_lock]

  // Accounting, read without a lock by samplers (I-cp-7).
  _Atomic(uint64_t) resident_bytes; // [atomic] object pages
  _Atomic(uint64_t) table_bytes;    // [atomic] pages of the handle table
  _Atomic(uint64_t) side_bytes;     // [atomic] transient arrays of the collector
  _Atomic(uint64_t) queue_bytes;    // [atomic] the marker's queue, as the last cycle left it
  _Atomic(uint64_t) fixed_bytes;    // [atomic] this struct, log, pins: as last counted
  _Atomic(uint64_t) peak_bytes;     // [atomic] largest footprint at a growth

  // Pace: bytes of objects and of their entries.
  _Atomic(uint64_t) marked_bytes;  // [atomic] found live by the last cycle
  _Atomic(uint64_t) since_bytes;   // [atomic] taken by threads since then
  _Atomic(uint64_t) trigger_bytes; // [atomic] the next cycle is due at this many since then
  _Atomic(uint32_t) wanted;        // [atomic] the collector thread has been asked for a cycle
  _Atomic(bool) cycles_are_small;  // [atomic] the last one did little but mark
  _Atomic(uint32_t)
      cycles_count; // [atomic] completed, modulo 2^32; ends the wait of stalled threads
  _Atomic(uint64_t) black_bytes; // [atomic] objects allocated black in this marking, see I-cp-13
  _Atomic(uint64_t) black_count; // [atomic] how many
  cp_course course;              // [collector] of the cycle under way, or the last
  cp_retention retention;        // [collector]
  cp_totals totals;              // [lock]; the collector while stopped

  compact_thread *free_threads; // [lock]
  compact_weak *free_weaks;     // [lock]
  char settings[512];           // [const]
  hs_event_log log;             // last: its histograms are large and mostly untouched
};

static inline cp_slab *cp_slab_at(const compact_heap *heap, uint32_t slab) {
  return (cp_slab *)(void *)heap->slabs.base + slab;
}
static inline cp_bits *cp_alloc_at(const compact_heap *heap, uint32_t slab) {
  return (cp_bits *)(void *)heap->alloc_bits.base + slab;
}
static inline cp_bits *cp_mark_at(const compact_heap *heap, uint32_t slab) {
  return (cp_bits *)(void *)heap->mark_bits.base + slab;
}
static inline cp_region *cp_region_at(const compact_heap *heap, size_t region) {
  return (cp_region *)(void *)heap->regions.base + region;
}
static inline cp_large *cp_large_at(const compact_heap *heap, uint32_t descriptor) {
  return (cp_large *)(void *)heap->larges.base + descriptor;
}
static inline char *cp_region_start(const compact_heap *heap, size_t region) {
  return heap->objects + (region << CP_REGION_SHIFT);
}
static inline char *cp_large_start(const compact_heap *heap, const cp_large *large) {
  return heap->objects + heap->object_bytes -
         ((size_t)large->page + large->page_count) * CP_PAGE_BYTES;
}
static inline uint32_t cp_entry_index(const compact_heap *heap, const compact_entry *entry) {
  return (uint32_t)(entry - heap->table);
}
static inline heap_ref cp_ref_of(compact_entry *entry) { return (heap_ref){(uintptr_t)entry}; }
static inline compact_entry *cp_entry_of(heap_ref ref) { return (compact_entry *)ref.bits; }

// Reference slots of an object and how many.
static inline heap_ref *cp_object_slots(const compact_heap *heap, uint64_t word, size_t *count) {
  *count = word & CP_ENTRY_LARGE ? cp_large_at(heap, cp_entry_descriptor(word))->ref_count
                                 : cp_entry_refs(word);
  return (heap_ref *)(void *)(heap->objects + cp_entry_offset(word));
}

#endif
