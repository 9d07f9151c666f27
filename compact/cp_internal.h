// SPDX-License-Identifier: MIT
// Structures and internal functions of the compacting heap, grouped by the file that defines them.
// Only compact/cp_*.c and the white-box tests include this header.
//
// The reservation, one per heap:
//   objects   regions grow up from the bottom, large page runs grow down from the top; they may not
//             meet (I-cp-10). Region 0 is never accessible: location 0 faults.
//   table     the handle table, a quarter of the object space
//   sides     arrays beside them: slab descriptors, allocation and mark bits, region descriptors,
//             page states and descriptors of large objects
#ifndef CP_INTERNAL_H
#define CP_INTERNAL_H

#include "allocators/runtime/grey.h"
#include "allocators/runtime/meta.h"
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
#define CP_ENTRY_FORWARDED (1ull << 57)
#define CP_DESCRIPTOR_MASK 0xffffffu // bits 32-55 of a LARGE entry

static inline uint64_t cp_entry_load(const compact_entry *entry) {
  return hs_load_relaxed(&entry->word); // ordered by the stop of the world, or by the owner
}
static inline void cp_entry_store(compact_entry *entry, uint64_t word) {
  hs_store_relaxed(&entry->word, word);
}
static inline size_t cp_entry_offset(uint64_t word) {
  return (size_t)(uint32_t)word << COMPACT_GRANULE_SHIFT;
}
static inline uint32_t cp_entry_bytes(uint64_t word) {
  return (uint32_t)(word >> COMPACT_SIZE_SHIFT & COMPACT_FIELD_MAX) << COMPACT_GRANULE_SHIFT;
}
static inline uint32_t cp_entry_refs(uint64_t word) {
  return (uint32_t)(word >> COMPACT_REFS_SHIFT & COMPACT_FIELD_MAX);
}
static inline uint32_t cp_entry_descriptor(uint64_t word) {
  return (uint32_t)(word >> COMPACT_SIZE_SHIFT) & CP_DESCRIPTOR_MASK;
}

// ---- cp_side.c: arrays in the reservation -------------------------------------------------------

// Elements are zero until written. Pages are committed as the array grows and counted as touched up
// to the highest element in use (I-cp-7), so that trimming gives them back.
typedef struct cp_side {
  char *base;                      // [const] but for cp_side_swap, world stopped
  size_t element_bytes;            // [const]
  size_t reserved_bytes;           // [const]
  size_t committed_bytes;          // [lock heap]
  _Atomic(uint64_t) touched_bytes; // [atomic] written under the heap lock, read by samplers
} cp_side;

void cp_side_init(cp_side *side, char *base, size_t element_bytes, size_t reserved_bytes);
HS_NODISCARD bool cp_side_extend(cp_side *side, size_t count); // elements [0, count) are usable
void cp_side_trim(cp_side *side, size_t count); // elements from count on are zero again
void cp_side_swap(cp_side *a, cp_side *b);      // of one shape; samplers may read meanwhile
uint64_t cp_side_bytes(const cp_side *side);

// ---- descriptors --------------------------------------------------------------------------------

// I-cp-3: used == number of allocation bits of the slab, all others are free entries. All-zero
//         describes a slab that was never used.
typedef struct cp_slab {
  uint16_t used; // [owner] of the slab, else [lock heap]
  uint8_t flags; // [lock heap]
  uint8_t unused;
} cp_slab;
enum {
  CP_SLAB_OWNED = 1,    // a thread takes words from it
  CP_SLAB_RESIDENT = 2, // its page is charged
};

typedef struct cp_bits {
  uint64_t words[CP_SLAB_WORDS]; // bit i of word w: entry 64 w + i
} cp_bits;

typedef enum cp_region_state {
  CP_REGION_FREE = 0, // holds nothing: top == 0
  CP_REGION_OPEN,     // a thread, or the collector as destination, allocates in it
  CP_REGION_CLOSED,   // holds objects; may be opened again while it has room at its end
  CP_REGION_SOURCE,   // being evacuated
  CP_REGION_GUARD,    // region 0
} cp_region_state;

// I-cp-4: objects lie in [0, top); top <= dirty <= region size; bytes at dirty and above are zero.
// I-cp-5: pages below resident are charged to the heap, and page_up(top) <= resident.
typedef struct cp_region {
  uint32_t state;      // [lock heap] cp_region_state
  uint32_t top;        // [owner]
  uint32_t dirty;      // [owner]
  uint32_t resident;   // [owner]
  uint32_t live_bytes; // [stw] found by the last marking
  uint32_t live_count; // [stw] objects, likewise
  uint32_t pinned;     // [stw] pinned objects, set at the start of a cycle
  uint32_t list;       // [stw] end of its part of the back-map, see cp_evacuate.c
} cp_region;
_Static_assert(sizeof(cp_region) == 32, "two descriptors per cache line");

// A large object: a run of whole pages that never moves. Pages are numbered downwards from the top
// of the object space. A free descriptor has no handle and links the next one in `page`.
typedef struct cp_large {
  compact_entry *handle; // [lock heap] its only entry; NULL: free descriptor
  uint64_t bytes;        // granules in use, in bytes
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
  uint64_t since_bytes, since_objects; // allocated after it
  uint64_t frees, cycles, forced_cycles;
  uint64_t moved_bytes, renamed_count, scavenged_bytes, gc_cpu_ns;
} cp_totals;

struct compact_heap {
  uint32_t magic;     // [const]
  heap_config config; // [const]
  hs_world world;
  hs_meta meta;
  hs_grey_pool grey_pool;
  hs_grey grey; // [stw] the marker's end

  char *reservation;        // [const]
  size_t reservation_bytes; // [const]
  char *objects;            // [const]
  size_t object_bytes;      // [const]
  compact_entry *table;     // [const]
  uint32_t slab_limit;      // [const] slabs of the reserved table

  // Lock order: world collector, registry, world lock, then this one. Never held at a safepoint.
  hs_mutex lock;

  cp_side slabs, alloc_bits, mark_bits; // of cp_slab, cp_bits, cp_bits; the bits swap roles
  uint32_t slab_frontier;               // [lock] slabs below may be in use
  uint32_t slab_cursor;                 // [lock] no takeable slab below
  uint32_t slab_stress;                 // [lock] next slab to rename into, stress mode
  size_t table_committed;               // [lock] bytes

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

  _Atomic(uint64_t) since_bytes; // [atomic] taken by threads since the last cycle, entries included
  _Atomic(uint64_t) trigger_bytes; // [atomic] the next cycle is due at this many
  uint64_t goal_bytes;             // [stw]
  uint64_t retained_bytes;         // [stw] free bytes kept for the next cycles, see cp_release.c
  cp_totals totals;                // [lock]; the collector while stopped

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

// ---- cp_handle.c: the handle table --------------------------------------------------------------

// Walks the entries whose allocation bit is set, in address order.
typedef struct cp_walk {
  const compact_heap *heap;
  uint32_t word, end; // bitmap words
  uint64_t bits;
} cp_walk;

static inline cp_walk cp_walk_begin(const compact_heap *heap, uint32_t slab, uint32_t end_slab) {
  return (cp_walk){heap, slab * CP_SLAB_WORDS, end_slab * CP_SLAB_WORDS, 0};
}
static inline bool cp_walk_next(cp_walk *walk, uint32_t *index) {
  const uint64_t *const words = (const uint64_t *)(const void *)walk->heap->alloc_bits.base;
  while (walk->bits == 0) {
    if (walk->word == walk->end) return false;
    walk->bits = words[walk->word++];
  }
  *index = (walk->word - 1) * CP_WORD_ENTRIES + hs_ctz64(walk->bits);
  walk->bits &= walk->bits - 1;
  return true;
}

// A slab with free entries, now owned by the caller; CP_NONE when no more can be had.
uint32_t cp_slab_take_locked(compact_heap *heap);
void cp_slab_give_locked(compact_heap *heap, uint32_t slab);
HS_NODISCARD bool cp_slab_ready_locked(compact_heap *heap, uint32_t slab); // usable and charged
void cp_slab_purge_stw(compact_heap *heap, bool protect); // empty slabs go back to the OS
uint64_t cp_handle_sweep_stw(compact_heap *heap);         // allocation := marks; live entries
bool cp_entry_is_marked(const compact_heap *heap, uint32_t index);
bool cp_entry_is_allocated(const compact_heap *heap, heap_ref ref);

// ---- cp_region.c --------------------------------------------------------------------------------

uint32_t cp_region_take_locked(compact_heap *heap, bool fresh); // OPEN; CP_NONE: no room
void cp_region_give_locked(compact_heap *heap, uint32_t region);
// Charge pages so that [0, end) of an open region may be touched; false: over the limit.
HS_NODISCARD bool cp_region_charge(compact_heap *heap, cp_region *region, uint32_t end,
                                   bool reserve);
void cp_region_free_stw(compact_heap *heap, uint32_t region);
void cp_region_free_dead_stw(compact_heap *heap);
uint64_t cp_region_free_bytes_stw(const compact_heap *heap); // charged to free regions
uint64_t cp_region_purge_stw(compact_heap *heap, uint64_t keep_bytes, bool tails);

// Charge bytes of object or table pages against the limit. reserve: leave what compaction needs.
HS_NODISCARD bool cp_charge(compact_heap *heap, _Atomic(uint64_t) *account, uint64_t bytes,
                            bool reserve);

// ---- cp_large.c ---------------------------------------------------------------------------------

HS_NODISCARD bool cp_large_alloc(compact_heap *heap, size_t ref_count, size_t bytes,
                                 compact_entry *handle);
uint64_t cp_large_sweep_stw(compact_heap *heap);            // frees those whose handle is unmarked
uint64_t cp_large_free_bytes_stw(const compact_heap *heap); // charged to free pages
uint64_t cp_large_purge_stw(compact_heap *heap, uint64_t keep_bytes);

// ---- cp_cache.c: what each thread holds ---------------------------------------------------------

HS_NODISCARD bool cp_cache_prepare(compact_thread *thread, size_t bytes); // room and a handle
void cp_cache_count(compact_thread *thread);                // into the thread's counters
void cp_cache_release(compact_thread *thread, bool locked); // gives region and slab back

// ---- cp_mark.c ----------------------------------------------------------------------------------

bool cp_mark_prime(compact_heap *heap);
void cp_mark_stw(compact_heap *heap); // mark bits, live bytes per region, totals.live_*

// ---- cp_select.c, cp_evacuate.c, cp_rename.c ----------------------------------------------------

typedef enum cp_effort { CP_EFFORT_AUTOMATIC, CP_EFFORT_FULL, CP_EFFORT_EVERYTHING } cp_effort;

// How the handle table is used after a sweep.
typedef struct cp_table_use {
  uint64_t live_entries;
  uint64_t occupied_slabs; // with at least one live entry
  uint64_t top_slab;       // number of the highest of them, plus one
} cp_table_use;

// Turns regions worth evacuating into sources; returns the number of objects in them.
uint64_t cp_select_sources_stw(compact_heap *heap, cp_effort effort);
bool cp_select_is_source(const cp_region *region, cp_effort effort);
bool cp_select_renaming(const cp_table_use *use, cp_effort effort);
uint64_t cp_evacuate_stw(compact_heap *heap, cp_effort effort);                      // bytes moved
uint64_t cp_rename_stw(compact_heap *heap, uint64_t live_entries, cp_effort effort); // handles

// ---- cp_cycle.c ---------------------------------------------------------------------------------

typedef enum cp_reason { CP_REASON_DUE, CP_REASON_FORCED, CP_REASON_NO_MEMORY } cp_reason;
void cp_cycle_run(compact_thread *thread, heap_collect_kind kind, cp_reason reason);
bool cp_cycle_is_due(compact_heap *heap);
void cp_cycle_schedule(compact_heap *heap, uint64_t roots_bytes); // next trigger

// ---- cp_release.c -------------------------------------------------------------------------------

void cp_release_stw(compact_heap *heap, heap_collect_kind kind);

// ---- cp_pin.c -----------------------------------------------------------------------------------

typedef void (*cp_pin_fn)(void *context, compact_entry *entry);
void cp_pin_visit_stw(compact_heap *heap, cp_pin_fn visit, void *context);
bool cp_pin_is_pinned_stw(const compact_heap *heap, const compact_entry *entry);

// ---- cp_stats.c, cp_verify.c --------------------------------------------------------------------

uint64_t cp_metadata_bytes(const compact_heap *heap); // handle table included
void cp_fixed_count(compact_heap *heap);              // refreshes fixed_bytes
void cp_peak_note(compact_heap *heap);
bool cp_verify_stw(compact_heap *heap);
static inline bool cp_is_stress(const compact_heap *heap) { return heap->config.stress != 0; }

#endif
