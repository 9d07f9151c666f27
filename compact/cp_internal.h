// SPDX-License-Identifier: MIT
// Internal functions of the compacting heap, grouped by the file that defines them.
// Only compact/cp_*.c and the white-box tests include this header.
#ifndef CP_INTERNAL_H
#define CP_INTERNAL_H

#include "compact/cp_types.h"

// ---- cp_side.c: arrays in the reservation -------------------------------------------------------

void cp_side_init(cp_side *side, char *base, size_t element_bytes, size_t reserved_bytes);
HS_NODISCARD bool cp_side_extend(cp_side *side, size_t count); // elements [0, count) are usable
void cp_side_trim(cp_side *side, size_t count); // elements from count on are zero again
void cp_side_swap(cp_side *a, cp_side *b);      // of one shape; samplers may read meanwhile
uint64_t cp_side_bytes(const cp_side *side);

// ---- cp_handle.c: the handle table --------------------------------------------------------------

// Walks the entries of slabs [slab, end_slab) whose bit is set, in address order.
typedef struct cp_walk {
  const _Atomic(uint64_t) *words;
  uint32_t word, end; // bitmap words
  uint64_t bits;
} cp_walk;

static inline cp_walk cp_walk_bits(const cp_side *bits, uint32_t slab, uint32_t end_slab) {
  return (cp_walk){(const _Atomic(uint64_t) *)(const void *)bits->base, slab * CP_SLAB_WORDS,
                   end_slab * CP_SLAB_WORDS, 0};
}
static inline cp_walk cp_walk_begin(const compact_heap *heap, uint32_t slab, uint32_t end_slab) {
  return cp_walk_bits(&heap->alloc_bits, slab, end_slab);
}
static inline bool cp_walk_next(cp_walk *walk, uint32_t *index) {
  while (walk->bits == 0) {
    if (walk->word == walk->end) return false;
    walk->bits = hs_load_acquire(&walk->words[walk->word++]); // pairs: cp_mark_set_black
  }
  *index = (walk->word - 1) * CP_WORD_ENTRIES + hs_ctz64(walk->bits);
  walk->bits &= walk->bits - 1;
  return true;
}

// Counting bits is a call where the instruction cannot be relied on; words are mostly full or empty.
static inline unsigned cp_count_bits(uint64_t word) {
  if (word == 0) return 0;
  return word == UINT64_MAX ? CP_WORD_ENTRIES : hs_popcount64(word);
}

// A slab with free entries, now owned by the caller; CP_NONE when no more can be had.
uint32_t cp_slab_take_locked(compact_heap *heap);
void cp_slab_give_locked(compact_heap *heap, uint32_t slab);
HS_NODISCARD bool cp_slab_ready_locked(compact_heap *heap, uint32_t slab); // usable and charged
uint64_t cp_slab_free_bytes(compact_heap *heap);                           // charged to empty slabs
// Gives empty slabs back to the OS but for the lowest, of keep_bytes. protect: and makes them inaccessible.
void cp_slab_purge(compact_heap *heap, uint64_t keep_bytes, bool protect);
void cp_slab_count_locked(compact_heap *heap, uint32_t slab); // after a turn. I-cp-3
void cp_handle_clear_dead(compact_heap *heap); // stress mode: entries that are not marked
void cp_handle_turn(compact_heap *heap);       // allocation := marks. Note [bitmap turn]
void cp_handle_count(compact_heap *heap);      // all slabs
bool cp_entry_is_marked(const compact_heap *heap, uint32_t index);
bool cp_entry_is_allocated(const compact_heap *heap, heap_ref ref);

// ---- cp_region.c --------------------------------------------------------------------------------

uint32_t cp_region_take_locked(compact_heap *heap, bool fresh); // OPEN; CP_NONE: no room
void cp_region_give_locked(compact_heap *heap, uint32_t region);
// Charge pages so that [0, end) of an open region may be touched; false: over the limit.
HS_NODISCARD bool cp_region_charge(compact_heap *heap, cp_region *region, uint32_t end,
                                   bool reserve);
void cp_region_free_locked(compact_heap *heap, uint32_t region);
void cp_region_free_dead(compact_heap *heap); // after a turn
// Gives back the pages below top that none of the region's objects lies on; they are all that live in it.
void cp_region_hollow_locked(compact_heap *heap, uint32_t region, const uint32_t *entries,
                             uint32_t count);
uint64_t cp_region_free_bytes(compact_heap *heap); // charged to free regions
uint64_t cp_region_purge(compact_heap *heap, uint64_t keep_bytes, bool tails);

// Charge bytes of object or table pages against the limit. reserve: leave what compaction needs.
HS_NODISCARD bool cp_charge(compact_heap *heap, _Atomic(uint64_t) *account, uint64_t bytes,
                            bool reserve);

// ---- cp_large.c ---------------------------------------------------------------------------------

HS_NODISCARD bool cp_large_alloc(compact_heap *heap, size_t ref_count, size_t bytes,
                                 compact_entry *handle);
void cp_large_sweep(compact_heap *heap); // frees those whose handle is unmarked; before the turn
uint64_t cp_large_free_bytes(compact_heap *heap); // charged to free pages
uint64_t cp_large_purge(compact_heap *heap, uint64_t keep_bytes);

// ---- cp_cache.c: what each thread holds ---------------------------------------------------------

HS_NODISCARD bool cp_cache_prepare(compact_thread *thread, size_t bytes); // room and a handle
void cp_cache_count(compact_thread *thread);                // into the thread's counters
void cp_cache_release(compact_thread *thread, bool locked); // gives region and slab back
void cp_cache_release_all_stw(compact_heap *heap);
void cp_cache_blacken(compact_thread *thread);      // the thread has become BLACK
void cp_cache_turn_locked(compact_thread *thread);  // Note [bitmap turn]
void cp_cache_begin_locked(compact_thread *thread); // of a thread that enters

// ---- cp_mark.c ----------------------------------------------------------------------------------

extern const hs_marking_ops cp_marking_ops;
bool cp_mark_prime(compact_heap *heap);
void cp_mark_begin(compact_heap *heap);       // clears marks and counts; barriers are off
void cp_mark_queue_count(compact_heap *heap); // refreshes queue_bytes
// By a thread that allocates black, in the bits it takes for marks.
void cp_mark_set_black(const compact_thread *thread, compact_entry *word, uint64_t entries);
void cp_mark_set_white(const compact_thread *thread, const compact_entry *word, uint64_t entries);

// ---- cp_select.c, cp_evacuate.c, cp_place.c, cp_relocate.c, cp_rename.c -------------------------

// How the handle table is used after a sweep.
typedef struct cp_table_use {
  uint64_t live_entries;
  uint64_t occupied_slabs; // with at least one live entry
  uint64_t top_slab;       // number of the highest of them, plus one
} cp_table_use;

// Where objects go: an open region that is not a source.
typedef struct cp_destination {
  compact_heap *heap;
  uint32_t region; // CP_NONE: none yet
  uint32_t spare;  // follows when that is full, prepared before a stop; CP_NONE: none
  bool fresh;      // only regions that were empty, in stress mode's order
} cp_destination;

static inline cp_destination cp_destination_none(compact_heap *heap, cp_effort effort) {
  return (cp_destination){heap, CP_NONE, CP_NONE, effort == CP_EFFORT_EVERYTHING};
}

// The objects of the regions that a cycle evacuates, found by a pass over the marked entries. Made
// when marking is complete, beside the program or in the stop. It stays true until the next cycle frees
// or renames a handle: nobody allocates in a source, and only its evacuation moves its objects.
typedef struct cp_back_map {
  uint32_t *entries;  // indices of the objects in sources, region by region; NULL: nothing can move
  size_t bytes;       // mapped
  uint32_t next, end; // regions still to be looked at
  uint32_t kept;      // objects of region `next` that were found pinned. cp_evacuate.c
  cp_destination to;  // of stops; heap NULL: none yet
  bool placing;       // sources are chosen, and cp_place_stw makes the rest of the map
} cp_back_map;
// All objects in the order in which they are to lie. Note [placement]
typedef struct cp_order {
  uint32_t *entries; // their indices; NULL: nothing is to be put in order
  size_t bytes;      // mapped
  uint32_t count;
  uint32_t far_objects, far_names; // how many do not lie where they should, behind the one before
} cp_order;

// What moving objects came to.
typedef struct cp_moves {
  uint64_t bytes;
  uint64_t aborted_count; // tries that a writer or a pin thwarted
} cp_moves;

// What the choice of an automatic cycle goes by. Note [selection]
typedef struct cp_budget {
  uint64_t
      room_bytes; // that the pace leaves until the next cycle; UINT64_MAX: there is none to come
  uint64_t cpu_bytes;  // to move, for what is wanted and not needed
  uint64_t soon_bytes; // to move, for what is needed
} cp_budget;

// When regions were last chosen interval_ns ago.
cp_budget cp_select_budget(const compact_heap *heap, uint64_t interval_ns);
// Turns regions below `regions` that are worth evacuating into sources.
cp_selection cp_select_sources(compact_heap *heap, uint32_t regions, cp_effort effort,
                               const cp_budget *budget);
const char *cp_verdict_name(cp_verdict verdict); // static storage
bool cp_select_is_source(const cp_region *region, cp_effort effort);
bool cp_select_renaming(const cp_table_use *use, cp_effort effort);

void cp_back_map_make(compact_heap *heap, cp_back_map *map, cp_effort effort);
void cp_back_map_destroy(compact_heap *heap, cp_back_map *map);
void cp_back_map_remake_stw(compact_heap *heap, cp_back_map *map,
                            cp_effort effort); // after it

// Room for `bytes` at the destination, NULL when no memory can be had.
char *cp_destination_room(cp_destination *to, uint32_t bytes);
void cp_destination_undo(cp_destination *to, uint32_t bytes);
void cp_destination_count(const cp_destination *to, cp_region *source, uint32_t bytes);
void cp_destination_close(cp_destination *to);

// Copied between two looks at the clock: some microseconds, and the least that a stop does, one object apart.
enum { CP_PIECE_BYTES = 4096 };

// Before a stop for moving objects; false: there is nothing to move. Note [short stops] in cp_evacuate.c.
bool cp_evacuate_prepare(compact_heap *heap, cp_back_map *map, cp_effort effort,
                         uint64_t budget_ns);
// Empties sources until that time is over or none is left; false: there are more. Adds bytes moved.
bool cp_evacuate_stw(compact_heap *heap, cp_back_map *map, cp_effort effort, uint64_t until_ns,
                     uint64_t *moved);
// Moves the objects of sources in that order until there is no memory, and frees what becomes empty; bytes.
uint64_t cp_evacuate_in_order_stw(compact_heap *heap, cp_back_map *map, const cp_order *order,
                                  bool fresh);
void cp_evacuate_count_pins(compact_heap *heap, uint32_t regions);
void cp_evacuate_finish(compact_heap *heap, const cp_back_map *map, uint32_t region);

// Entries and objects are rarely in the cache: each is fetched some objects ahead.
static inline void cp_evacuate_prefetch(const compact_heap *heap, const uint32_t *entries,
                                        uint32_t left) {
  enum { ENTRY_AHEAD = 16, OBJECT_AHEAD = 8 };
  if (left > ENTRY_AHEAD) HS_PREFETCH(heap->table + entries[ENTRY_AHEAD]);
  if (left > OBJECT_AHEAD)
    HS_PREFETCH(heap->objects +
                cp_entry_offset(cp_entry_load(heap->table + entries[OBJECT_AHEAD])));
}

// Something in the region could be moved.
static inline bool cp_region_has_movable(const cp_region *region) {
  return region->live_count > region->pinned;
}

// cp_relocate.c: the same beside the program. False: too many objects are left, which are always written, or
// for which there is no memory.
bool cp_relocate(compact_heap *heap, cp_back_map *map, cp_effort effort, cp_moves *moves);
void cp_relocate_give_up(compact_heap *heap,
                         cp_back_map *map); // sources that are left are none any more

// The table is worth renaming. Made before anything was allocated since the sweep.
bool cp_rename_is_due(const compact_heap *heap, uint64_t live_entries, cp_effort effort);
uint64_t cp_rename_stw(compact_heap *heap, uint64_t live_entries, cp_effort effort); // handles
// All of them, into the lowest entries in that order; 0 without memory.
uint64_t cp_rename_in_order_stw(compact_heap *heap, const cp_order *order, cp_effort effort);

// placement=traversal, in the stop of a collection that the program asked for.
bool cp_place_is_due(const compact_heap *heap, cp_effort effort);
// Puts objects in order, as far as there is memory; bytes moved.
uint64_t cp_place_stw(compact_heap *heap, cp_back_map *map, cp_effort effort, cp_order *order);
// Then their handles, and gives the order's memory back; handles renamed.
uint64_t cp_place_names_stw(compact_heap *heap, cp_effort effort, cp_order *order);

// ---- cp_twin.c: renaming while objects are marked ------------------------------------------------

bool cp_twin_is_due(compact_heap *heap, cp_effort effort); // as far as the last cycle can tell
bool cp_twin_is_on(const compact_heap *heap);
void cp_twin_begin(compact_heap *heap, cp_effort effort); // chooses slabs; barriers are off
// The current name of an object, made if need be; or without making one. While barriers are on.
compact_entry *cp_twin_of(compact_heap *heap, compact_entry *entry);
compact_entry *cp_twin_if_any(const compact_heap *heap, compact_entry *entry);
void cp_twin_replace_shared(
    compact_heap *heap); // in global roots and weak cells, marking is complete
void cp_twin_replace_frames(compact_heap *heap, hs_thread *thread); // by the thread, or for it
uint64_t cp_twin_end(compact_heap *heap); // barriers are off; handles renamed

// ---- cp_cycle.c ---------------------------------------------------------------------------------

typedef enum cp_reason {
  CP_REASON_DUE,
  CP_REASON_FORCED,
  CP_REASON_NO_MEMORY,
  CP_REASON_IDLE
} cp_reason;
// thread NULL: the collector thread. False: another thread's cycle has served the reason.
bool cp_cycle_run(compact_heap *heap, compact_thread *thread, heap_collect_kind kind,
                  cp_reason reason);
uint64_t cp_cycle_background(void *heap); // hs_background_fn

// ---- cp_pace.c: when to collect -----------------------------------------------------------------

void cp_pace_init(compact_heap *heap);
bool cp_pace_is_due(const compact_heap *heap);
uint64_t cp_pace_live_bytes(const compact_heap *heap);
void cp_pace_begin(compact_heap *heap); // marking begins
void cp_pace_revise(void *heap);        // hs_marking_tick_fn
void cp_pace_end(compact_heap *heap);   // next goal and trigger, from the totals
// A thread wants `bytes`: starts a cycle when due, pays for one under way. A safepoint.
void cp_pace_step(compact_thread *thread, size_t bytes);

// ---- cp_idle.c: cycles for the sake of memory ----------------------------------------------------

uint64_t
cp_idle_step(compact_heap *heap);       // collector thread, outside of cycles; as hs_background_fn
void cp_idle_begin(compact_heap *heap); // threads give back what they hold
HS_COLD void cp_idle_wake(compact_heap *heap);
// A thread has allocated in a slow path.
static inline void cp_idle_notice(compact_heap *heap) {
  if (HS_UNLIKELY(hs_load_relaxed(&heap->idle.resting) != 0)) cp_idle_wake(heap);
}

// ---- cp_trace.c ---------------------------------------------------------------------------------

void cp_trace_begin(const compact_heap *heap); // lines on standard error that the options ask for
void cp_trace_end(const compact_heap *heap);

// ---- cp_retain.c, cp_release.c ------------------------------------------------------------------

// A cycle has ended. Bytes include entries.
typedef struct cp_retain_view {
  uint64_t live_bytes, goal_bytes;
  uint64_t taken_bytes, interval_ns; // by threads since the cycle before, and how long that was
  uint64_t now_ns;
  unsigned cores;
  bool sparing;          // no more than the next cycle needs
  bool gives_back_early; // also what it will need, but not soon
} cp_retain_view;

// Free bytes to keep.
uint64_t cp_retain(cp_retention *retention, const cp_retain_view *view);

// What the cycle under way calls for. Beside the program, or in a stop.
void cp_release(compact_heap *heap);

// ---- cp_pin.c -----------------------------------------------------------------------------------

typedef void (*cp_pin_fn)(void *context, compact_entry *entry);
void cp_pin_visit(compact_heap *heap, cp_pin_fn visit, void *context); // under pin_lock
void cp_pin_rename(compact_heap *heap); // from now on every pin has its current name
bool cp_pin_is_pinned_stw(const compact_heap *heap, const compact_entry *entry);

// ---- cp_stats.c, cp_verify.c --------------------------------------------------------------------

uint64_t cp_metadata_bytes(const compact_heap *heap); // handle table included
void cp_fixed_count(compact_heap *heap);              // refreshes fixed_bytes
void cp_peak_note(compact_heap *heap);
bool cp_verify_stw(compact_heap *heap);
static inline bool cp_is_stress(const compact_heap *heap) { return heap->config.stress != 0; }
static inline bool cp_is_concurrent(const compact_heap *heap) {
  return heap->config.gc == HEAP_GC_CONCURRENT;
}

#endif
