// SPDX-License-Identifier: MIT
// Compaction with the world stopped: every object of the source regions is copied to the end of a
// destination, its entry is changed, and the source is free at once and may be the next destination,
// so the copy reserve is one region whatever the size of the heap. What both ways of moving need is
// here too: the back-map and destinations. (Beside the program: cp_relocate.c.)
// There is no object header, so the way from a region to its entries is a back-map made when needed:
// one pass over the live entries sorts the indices of those in sources by region (a counting sort,
// the counts are known from marking). Within a region that is the order of the handles, which are
// handed out in address order: objects allocated together stay together.
#include <string.h>

#include "allocators/base/track.h"
#include "compact/cp_internal.h"

// ---- the back-map -------------------------------------------------------------------------------

static bool back_map_init(compact_heap *heap, cp_back_map *map, uint64_t objects) {
  map->bytes = hs_align_up(objects * sizeof(uint32_t), CP_PAGE_BYTES);
  void *memory;
  if (hs_os_map(map->bytes, CP_PAGE_BYTES, &memory) != 0) return false;
  map->entries = memory;
  hs_add_relaxed(&heap->side_bytes, (uint64_t)map->bytes);
  return true;
}

void cp_back_map_destroy(compact_heap *heap, cp_back_map *map) {
  if (map->to.heap) cp_destination_close(&map->to);
  if (!map->entries) return;
  hs_os_unmap(map->entries, map->bytes);
  hs_sub_relaxed(&heap->side_bytes, (uint64_t)map->bytes);
  map->entries = NULL;
}

// Entries that threads hold and have not handed out are 0 (I-cp-11), which is in no source; objects that
// are allocated meanwhile are in none either.
static void back_map_fill(compact_heap *heap, cp_back_map *map, const cp_side *live,
                          uint32_t slabs) {
  const uint32_t regions = map->end;
  uint32_t at = 0;
  for (uint32_t region = 1; region < regions; region++) {
    cp_region *const r = cp_region_at(heap, region);
    r->list = at;
    if (r->source) at += r->live_count;
  }
  uint32_t index;
  for (cp_walk walk = cp_walk_bits(live, 0, slabs); cp_walk_next(&walk, &index);) {
    const uint64_t word = cp_entry_load(heap->table + index);
    if (word & CP_ENTRY_LARGE) continue;
    cp_region *const r = cp_region_at(heap, cp_entry_offset(word) >> CP_REGION_SHIFT);
    if (r->source) map->entries[r->list++] = index;
  }
  for (uint32_t region = 1; region < regions; region++) // back to the beginning of each part
    if (cp_region_at(heap, region)->source)
      cp_region_at(heap, region)->list -= cp_region_at(heap, region)->live_count;
}

static void count_pin(void *context, compact_entry *entry) {
  compact_heap *const heap = context;
  const uint64_t word = cp_entry_load(entry);
  if (!(word & CP_ENTRY_LARGE))
    cp_region_at(heap, cp_entry_offset(word) >> CP_REGION_SHIFT)->pinned++;
}

void cp_evacuate_count_pins(compact_heap *heap, uint32_t regions) {
  for (uint32_t region = 1; region < regions; region++) cp_region_at(heap, region)->pinned = 0;
  cp_pin_visit(heap, count_pin, heap);
}

// Marking is complete, the marks have not become allocation bits yet.
void cp_back_map_make(compact_heap *heap, cp_back_map *map, cp_effort effort) {
  hs_mutex_lock(&heap->lock);
  const uint32_t regions = heap->region_frontier, slabs = heap->slab_frontier;
  hs_mutex_unlock(&heap->lock);
  *map = (cp_back_map){.next = 1, .end = regions, .placing = cp_place_is_due(heap, effort)};
  cp_evacuate_count_pins(heap, regions);
  const uint64_t now_ns = hs_os_now_ns();
  const cp_budget budget = cp_select_budget(heap, now_ns - heap->selected_ns);
  heap->course.selection =
      cp_select_sources(heap, regions, map->placing ? CP_EFFORT_EVERYTHING : effort, &budget);
  heap->selected_ns = now_ns;
  const uint64_t objects = heap->course.selection.objects;
  if (objects > 0 && !map->placing && back_map_init(heap, map, objects))
    back_map_fill(heap, map, &heap->mark_bits, slabs);
}

// Of the sources that a placement has left, those stay that are worth emptying in address order.
void cp_back_map_remake_stw(compact_heap *heap, cp_back_map *map, cp_effort effort) {
  uint64_t objects = 0;
  hs_mutex_lock(&heap->lock);
  for (uint32_t region = 1; region < map->end; region++) {
    cp_region *const r = cp_region_at(heap, region);
    if (!r->source) continue;
    r->state = CP_REGION_CLOSED;
    r->source = cp_select_is_source(r, effort);
    if (!r->source) continue;
    r->state = CP_REGION_SOURCE;
    objects += r->live_count;
  }
  heap->region_cursor = 1;
  hs_mutex_unlock(&heap->lock);
  if (objects > 0 && back_map_init(heap, map, objects))
    back_map_fill(heap, map, &heap->alloc_bits, heap->slab_frontier);
}

// ---- destinations -------------------------------------------------------------------------------

static void give_region(cp_destination *to, uint32_t *region) {
  if (*region == CP_NONE) return;
  hs_mutex_lock(&to->heap->lock);
  cp_region_give_locked(to->heap, *region);
  hs_mutex_unlock(&to->heap->lock);
  *region = CP_NONE;
}

static uint32_t take_region(cp_destination *to) {
  hs_mutex_lock(&to->heap->lock);
  const uint32_t region = cp_region_take_locked(to->heap, to->fresh);
  hs_mutex_unlock(&to->heap->lock);
  return region;
}

void cp_destination_close(cp_destination *to) {
  give_region(to, &to->region);
  give_region(to, &to->spare);
}

char *cp_destination_room(cp_destination *to, uint32_t bytes) {
  compact_heap *const heap = to->heap;
  while (true) {
    if (to->region != CP_NONE) {
      cp_region *const r = cp_region_at(heap, to->region);
      const uint32_t end = r->top + bytes;
      if (end <= CP_REGION_BYTES) {
        if (!cp_region_charge(heap, r, end, false)) return NULL;
        char *const start = cp_region_start(heap, to->region) + r->top;
        hs_track_live(start, bytes);
        r->top = end;
        if (r->dirty < end) r->dirty = end;
        return start;
      }
      give_region(to, &to->region);
    }
    to->region = to->spare != CP_NONE ? to->spare : take_region(to);
    to->spare = CP_NONE;
    if (to->region == CP_NONE) return NULL;
  }
}

// Charges and touches the next `bytes` of an open region, or the rest of it; how much that is. What is
// resident was touched before, and above `dirty` it stays zero.
static uint32_t touch_ahead(compact_heap *heap, uint32_t region, uint32_t bytes) {
  cp_region *const r = cp_region_at(heap, region);
  const uint32_t room = CP_REGION_BYTES - r->top;
  if (bytes > room) bytes = room;
  const uint32_t end = r->top + bytes, resident = r->resident;
  if (!cp_region_charge(heap, r, end, true)) return bytes; // the moves may have what is left
  char *const start = cp_region_start(heap, region);
  for (uint32_t at = resident; at < end; at += CP_PAGE_BYTES) {
    hs_track_live(start + at, CP_GRANULE_BYTES);
    hs_store_relaxed((_Atomic(uint64_t) *)(void *)(start + at), (uint64_t)0);
    hs_track_free(start + at, CP_GRANULE_BYTES);
  }
  return bytes;
}

static void destination_prepare(cp_destination *to, uint32_t bytes) {
  if (to->region == CP_NONE) to->region = take_region(to);
  if (to->region == CP_NONE) return;
  const uint32_t touched = touch_ahead(to->heap, to->region, bytes);
  if (touched == bytes) return;
  if (to->spare == CP_NONE) to->spare = take_region(to);
  if (to->spare != CP_NONE) (void)touch_ahead(to->heap, to->spare, bytes - touched);
}

// The last room taken is not needed. Its bytes were written: `dirty` stays.
void cp_destination_undo(cp_destination *to, uint32_t bytes) {
  cp_region *const r = cp_region_at(to->heap, to->region);
  r->top -= bytes;
  hs_track_free(cp_region_start(to->heap, to->region) + r->top, bytes);
}

// An object has gone from the source to the destination.
void cp_destination_count(const cp_destination *to, cp_region *source, uint32_t bytes) {
  cp_region *const into = cp_region_at(to->heap, to->region);
  into->live_bytes += bytes;
  into->live_count++;
  source->live_bytes -= bytes;
  source->live_count--;
}

// ---- moving -------------------------------------------------------------------------------------

static inline void copy_granules(char *to, const char *from, uint32_t bytes) {
  if (bytes > 64) { // a call costs more than a short loop
    memcpy(to, from, bytes);
    return;
  }
  for (uint32_t i = 0; i < bytes; i += CP_GRANULE_BYTES) memcpy(to + i, from + i, CP_GRANULE_BYTES);
}

static bool move_one(compact_heap *heap, compact_entry *entry, cp_region *source,
                     cp_destination *to, uint64_t *moved) {
  const uint64_t word = cp_entry_load(entry);
  const uint32_t bytes = cp_entry_bytes(word);
  char *const copy = cp_destination_room(to, bytes);
  if (!copy) return false;
  copy_granules(copy, heap->objects + cp_entry_offset(word), bytes);
  cp_entry_store(entry, cp_entry_place(word, (size_t)(copy - heap->objects)));
  cp_destination_count(to, source, bytes);
  *moved += bytes;
  return true;
}

// When to end a stop. Note [short stops]
typedef struct stop_clock {
  uint64_t until_ns, piece_ns; // the time that ends it; when the piece began
  uint32_t piece_bytes;        // of the piece, until now
  bool begun;                  // something was moved
} stop_clock;

// Before the next `bytes` are handled: whether that would take too long.
static bool time_is_over(stop_clock *clock, uint32_t bytes) {
  if (clock->until_ns == UINT64_MAX || !clock->begun) return false;
  if (clock->piece_bytes + bytes <= CP_PIECE_BYTES) return false;
  const uint64_t now_ns = hs_os_now_ns(), took_ns = now_ns - clock->piece_ns;
  const uint32_t next_bytes = bytes > CP_PIECE_BYTES ? bytes : CP_PIECE_BYTES;
  const uint64_t next_ns = took_ns * next_bytes / (clock->piece_bytes + 1); // it may be 0
  clock->piece_ns = now_ns;
  clock->piece_bytes = 0;
  return now_ns >= clock->until_ns || next_ns > clock->until_ns - now_ns;
}

typedef enum pass { EMPTIED, OUT_OF_TIME, NO_ROOM } pass;

// Moves the objects of the next source. What is left of it is [list, list + live_count) of the map at any time,
// and begins with `kept` pinned objects.
static pass evacuate_region(compact_heap *heap, cp_back_map *map, stop_clock *clock,
                            uint64_t *moved) {
  cp_region *const r = cp_region_at(heap, map->next);
  while (r->live_count > map->kept) {
    uint32_t *const next = map->entries + r->list + map->kept;
    cp_evacuate_prefetch(heap, next, r->live_count - map->kept);
    compact_entry *const entry = heap->table + *next;
    if (cp_pin_is_pinned_stw(heap, entry)) {
      map->kept++;
      continue;
    }
    const uint32_t bytes = cp_entry_bytes(cp_entry_load(entry));
    if (time_is_over(clock, bytes)) return OUT_OF_TIME;
    if (!move_one(heap, entry, r, &map->to, moved)) return NO_ROOM;
    clock->piece_bytes += bytes;
    clock->begun = true;
    *next = map->entries[r->list++]; // a kept one, or itself
  }
  map->kept = 0;
  return EMPTIED;
}

// A source is done with: free, or with what is left in it open to allocation again.
void cp_evacuate_finish(compact_heap *heap, const cp_back_map *map, uint32_t region) {
  cp_region *const r = cp_region_at(heap, region);
  hs_mutex_lock(&heap->lock);
  r->source = false;
  if (r->live_count == 0) {
    cp_region_free_locked(heap, region);
  } else {
    if (map->entries) cp_region_hollow_locked(heap, region, map->entries + r->list, r->live_count);
    r->state = CP_REGION_CLOSED;
    if (region < heap->region_cursor) heap->region_cursor = region;
  }
  hs_mutex_unlock(&heap->lock);
}

// Sources become empty one by one, the most of them late: the copies need as much memory again as what they
// were made of.
uint64_t cp_evacuate_in_order_stw(compact_heap *heap, cp_back_map *map, const cp_order *order,
                                  bool fresh) {
  cp_destination to = {heap, CP_NONE, CP_NONE, fresh};
  uint64_t moved = 0;
  for (uint32_t i = 0; i < order->count; i++) {
    cp_evacuate_prefetch(heap, order->entries + i, order->count - i);
    compact_entry *const entry = heap->table + order->entries[i];
    const uint64_t word = cp_entry_load(entry);
    if (word & CP_ENTRY_LARGE) continue;
    const uint32_t region = (uint32_t)(cp_entry_offset(word) >> CP_REGION_SHIFT);
    cp_region *const r = cp_region_at(heap, region);
    if (!r->source || (r->pinned > 0 && cp_pin_is_pinned_stw(heap, entry))) continue;
    if (!move_one(heap, entry, r, &to, &moved)) break;
    if (r->live_count == 0) cp_evacuate_finish(heap, map, region);
  }
  cp_destination_close(&to);
  return moved;
}

// Note [short stops]
//   A stop is to last no longer than its budget, so only what needs the stop is in it.
//   Before it  the first source is looked up, and of destinations as much is charged and touched as a stop can fill:
//              a page fault takes as long as copying some KiB.
//   In it      the clock is read before a piece of CP_PIECE_BYTES, or an object that is larger, and the
//              stop ends when the piece would take longer than is left, at the speed of the last one. One
//              object is moved in any case. A source that becomes empty is free at once, which is cheap, and may be
//              a destination. Descriptors that are passed over count as bytes; pins are looked up object by object.
//   After it   what is logged; and when no source is left (cp_relocate_give_up) the pages around pinned objects are
//              given back and the map is unmapped, with a system call each.
//   Destinations stay open from stop to stop.
bool cp_evacuate_prepare(compact_heap *heap, cp_back_map *map, cp_effort effort,
                         uint64_t budget_ns) {
  while (map->next < map->end && !(map->entries && cp_region_at(heap, map->next)->source))
    map->next++;
  if (map->next == map->end) return false;
  if (!map->to.heap) map->to = cp_destination_none(heap, effort);
  const double bytes = (double)budget_ns * heap->moved_bytes_per_ns;
  destination_prepare(&map->to, bytes < CP_REGION_BYTES ? (uint32_t)bytes : CP_REGION_BYTES);
  return true;
}

// Empties sources until the time is over or none is left; false: there are more. Without a limit of time all sources
// are finished; with one, those that cannot be emptied are left to cp_relocate_give_up.
bool cp_evacuate_stw(compact_heap *heap, cp_back_map *map, cp_effort effort, uint64_t until_ns,
                     uint64_t *moved) {
  if (map->next == map->end) return true;
  if (!map->to.heap) map->to = cp_destination_none(heap, effort);
  const bool limited = until_ns != UINT64_MAX;
  stop_clock clock = {.until_ns = until_ns, .piece_ns = hs_os_now_ns()};
  bool room = map->entries != NULL;
  for (; map->next < map->end; map->next++) {
    cp_region *const r = cp_region_at(heap, map->next);
    if (limited && (!room || time_is_over(&clock, sizeof *r))) break;
    clock.piece_bytes += sizeof *r;
    if (!r->source) continue;
    const pass result = room ? evacuate_region(heap, map, &clock, moved) : NO_ROOM;
    if (result == OUT_OF_TIME) break;
    if (result == NO_ROOM) room = false; // the others stay as they are
    if (r->live_count == 0 || !limited) cp_evacuate_finish(heap, map, map->next);
  }
  if (limited && !room) map->next = map->end;
  if (map->next < map->end) return false;
  if (map->entries) cp_peak_note(heap);
  return true;
}
