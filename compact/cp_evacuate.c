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
  heap->course.selection =
      cp_select_sources(heap, regions, map->placing ? CP_EFFORT_EVERYTHING : effort,
                        cp_select_budget_bytes(heap, now_ns - heap->selected_ns));
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

void cp_destination_close(cp_destination *to) {
  if (to->region == CP_NONE) return;
  hs_mutex_lock(&to->heap->lock);
  cp_region_give_locked(to->heap, to->region);
  hs_mutex_unlock(&to->heap->lock);
  to->region = CP_NONE;
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
      cp_destination_close(to);
    }
    hs_mutex_lock(&heap->lock);
    to->region = cp_region_take_locked(heap, to->fresh);
    hs_mutex_unlock(&heap->lock);
    if (to->region == CP_NONE) return NULL;
  }
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

// Moves objects of one source, in order, until none is left or the time is over; false: no memory.
// The clock is read at most once per CLOCK_BYTES copied: some microseconds.
static bool evacuate_region(compact_heap *heap, const uint32_t *entries, uint32_t region,
                            cp_destination *to, uint64_t until_ns, uint64_t *moved) {
  enum { CLOCK_BYTES = 4096 };
  cp_region *const r = cp_region_at(heap, region);
  uint32_t since_clock = 0;
  while (r->live_count > 0) {
    cp_evacuate_prefetch(heap, entries + r->list, r->live_count);
    const uint64_t before = *moved;
    if (!move_one(heap, heap->table + entries[r->list], r, to, moved)) return false;
    r->list++;
    since_clock += (uint32_t)(*moved - before);
    if (since_clock < CLOCK_BYTES) continue;
    since_clock = 0;
    if (hs_os_now_ns() >= until_ns) return true;
  }
  return true;
}

// The same for a source with pinned objects, which stay and are gathered at the beginning of its part of the map.
// They are few sources, and small, so the clock is not looked at.
static bool evacuate_around_pins(compact_heap *heap, uint32_t *entries, uint32_t region,
                                 cp_destination *to, uint64_t *moved) {
  cp_region *const r = cp_region_at(heap, region);
  const uint32_t count = r->live_count;
  uint32_t kept = 0;
  bool full = false;
  for (uint32_t i = 0; i < count; i++) {
    compact_entry *const entry = heap->table + entries[r->list + i];
    const bool stays = full || cp_pin_is_pinned_stw(heap, entry);
    full = full || (!stays && !move_one(heap, entry, r, to, moved));
    if (stays || full) entries[r->list + kept++] = entries[r->list + i];
  }
  HS_ASSERT(kept == r->live_count);
  return !full;
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
  cp_destination to = {heap, CP_NONE, fresh};
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

// Empties sources until the time is over or none is left; false: there are more. The map stays the caller's:
// to unmap it takes as long as to copy, and need not be in the stop.
bool cp_evacuate_stw(compact_heap *heap, cp_back_map *map, cp_effort effort, uint64_t until_ns,
                     uint64_t *moved) {
  if (map->next == map->end) return true;
  cp_destination to = {heap, CP_NONE, effort == CP_EFFORT_EVERYTHING};
  cp_evacuate_count_pins(heap, map->end); // there may be new ones since the choice
  for (; map->next < map->end && hs_os_now_ns() < until_ns; map->next++) {
    cp_region *const r = cp_region_at(heap, map->next);
    if (!r->source) continue;
    bool room = true;
    if (map->entries && r->pinned > 0)
      room = evacuate_around_pins(heap, map->entries, map->next, &to, moved);
    else if (map->entries)
      room = evacuate_region(heap, map->entries, map->next, &to, until_ns, moved);
    if (room && map->entries && r->pinned == 0 && r->live_count > 0) break; // time is over
    cp_evacuate_finish(heap, map, map->next);
    if (!room) cp_back_map_destroy(heap, map); // the others stay as they are
  }
  cp_destination_close(&to);
  if (map->next < map->end) return false;
  if (map->entries) cp_peak_note(heap);
  return true;
}
