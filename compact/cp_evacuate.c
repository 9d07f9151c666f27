// SPDX-License-Identifier: MIT
// Compaction with the world stopped: every object of the source regions is copied to the end of a
// destination, its entry is changed, and the source is free at once and may be the next destination,
// so the copy reserve is one region whatever the size of the heap.
// There is no object header, so the way from a region to its entries is a back-map made when needed:
// one pass over the live entries sorts the indices of those in sources by region (a counting sort,
// the counts are known from marking). Within a region that is the order of the handles, which are
// handed out in address order: objects allocated together stay together.
#include <string.h>

#include "allocators/base/track.h"
#include "compact/cp_internal.h"

// Where objects go: an open region that is not a source.
typedef struct destination {
  compact_heap *heap;
  uint32_t region; // CP_NONE: none yet
  bool fresh;      // only regions that were empty, in stress mode's order
} destination;

// ---- the back-map -------------------------------------------------------------------------------

static bool back_map_init(compact_heap *heap, cp_back_map *map, uint64_t objects) {
  map->bytes = hs_align_up(objects * sizeof(uint32_t), CP_PAGE_BYTES);
  void *memory;
  if (hs_os_map(map->bytes, CP_PAGE_BYTES, &memory) != 0) return false;
  map->entries = memory;
  hs_add_relaxed(&heap->side_bytes, (uint64_t)map->bytes);
  return true;
}

static void back_map_destroy(compact_heap *heap, cp_back_map *map) {
  hs_os_unmap(map->entries, map->bytes);
  hs_sub_relaxed(&heap->side_bytes, (uint64_t)map->bytes);
  map->entries = NULL;
}

// Entries that threads hold and have not handed out are 0 (I-cp-11), which is in no source; objects that
// are allocated meanwhile are in none either.
static void back_map_fill(compact_heap *heap, cp_back_map *map, uint32_t regions, uint32_t slabs) {
  uint32_t at = 0;
  for (uint32_t region = 1; region < regions; region++) {
    cp_region *const r = cp_region_at(heap, region);
    r->list = at;
    if (r->source) at += r->live_count;
  }
  uint32_t index;
  for (cp_walk walk = cp_walk_bits(&heap->mark_bits, 0, slabs); cp_walk_next(&walk, &index);) {
    const uint64_t word = cp_entry_load(heap->table + index);
    if (word & CP_ENTRY_LARGE) continue;
    cp_region *const r = cp_region_at(heap, cp_entry_offset(word) >> CP_REGION_SHIFT);
    if (r->source) map->entries[r->list++] = index;
  }
}

static void count_pin(void *context, compact_entry *entry) {
  compact_heap *const heap = context;
  const uint64_t word = cp_entry_load(entry);
  if (!(word & CP_ENTRY_LARGE))
    cp_region_at(heap, cp_entry_offset(word) >> CP_REGION_SHIFT)->pinned++;
}

static void count_pins(compact_heap *heap, uint32_t regions) {
  for (uint32_t region = 1; region < regions; region++) cp_region_at(heap, region)->pinned = 0;
  cp_pin_visit(heap, count_pin, heap);
}

// Marking is complete, the marks have not become allocation bits yet.
void cp_back_map_make(compact_heap *heap, cp_back_map *map, cp_effort effort) {
  hs_mutex_lock(&heap->lock);
  const uint32_t regions = heap->region_frontier, slabs = heap->slab_frontier;
  hs_mutex_unlock(&heap->lock);
  *map = (cp_back_map){.next = 1, .end = regions};
  count_pins(heap, regions);
  const uint64_t objects = cp_select_sources(heap, regions, effort);
  if (objects > 0 && back_map_init(heap, map, objects)) back_map_fill(heap, map, regions, slabs);
}

// ---- moving -------------------------------------------------------------------------------------

static void destination_close(destination *to) {
  if (to->region != CP_NONE) cp_region_give_locked(to->heap, to->region);
  to->region = CP_NONE;
}

// Room for `bytes` at the destination, NULL when no memory can be had.
static char *destination_room(destination *to, uint32_t bytes) {
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
      destination_close(to);
    }
    to->region = cp_region_take_locked(heap, to->fresh);
    if (to->region == CP_NONE) return NULL;
  }
}

static inline void copy_granules(char *to, const char *from, uint32_t bytes) {
  if (bytes > 64) { // a call costs more than a short loop
    memcpy(to, from, bytes);
    return;
  }
  for (uint32_t i = 0; i < bytes; i += CP_GRANULE_BYTES) memcpy(to + i, from + i, CP_GRANULE_BYTES);
}

// Entries and objects are rarely in the cache: each is fetched this many objects ahead.
enum { ENTRY_AHEAD = 16, OBJECT_AHEAD = 8 };

static inline void prefetch(const compact_heap *heap, const uint32_t *entries, uint32_t left) {
  if (left > ENTRY_AHEAD) HS_PREFETCH(heap->table + entries[ENTRY_AHEAD]);
  if (left > OBJECT_AHEAD)
    HS_PREFETCH(heap->objects +
                cp_entry_offset(cp_entry_load(heap->table + entries[OBJECT_AHEAD])));
}

// Moves all objects of one source; false: out of room, the rest stays and the region with it.
static bool evacuate_region(compact_heap *heap, const uint32_t *entries, uint32_t region,
                            destination *to, uint64_t *moved) {
  cp_region *const r = cp_region_at(heap, region);
  const uint32_t count = r->live_count;
  for (uint32_t i = 0; i < count; i++) {
    prefetch(heap, entries + i, count - i);
    compact_entry *const entry = heap->table + entries[i];
    const uint64_t word = cp_entry_load(entry);
    const uint32_t bytes = cp_entry_bytes(word);
    HS_ASSERT(cp_entry_offset(word) >> CP_REGION_SHIFT == region);
    char *const copy = destination_room(to, bytes);
    if (!copy) return false;
    copy_granules(copy, heap->objects + cp_entry_offset(word), bytes);
    cp_entry_store(entry, (word & ~(uint64_t)UINT32_MAX) |
                              (uint64_t)(copy - heap->objects) >> COMPACT_GRANULE_SHIFT);
    cp_region *const into = cp_region_at(heap, to->region);
    into->live_bytes += bytes;
    into->live_count++;
    r->live_bytes -= bytes;
    r->live_count--;
    *moved += bytes;
  }
  cp_region_free_stw(heap, region);
  return true;
}

// Empties sources until the time is over or none is left; false: there are more.
bool cp_evacuate_stw(compact_heap *heap, cp_back_map *map, cp_effort effort, uint64_t until_ns,
                     uint64_t *moved) {
  if (map->next == map->end) return true;
  destination to = {heap, CP_NONE, effort == CP_EFFORT_EVERYTHING};
  count_pins(heap, map->end); // there may be new ones since the choice
  heap->region_cursor = 1;
  for (; map->next < map->end && hs_os_now_ns() < until_ns; map->next++) {
    cp_region *const r = cp_region_at(heap, map->next);
    if (!r->source) continue;
    r->source = false;
    if (map->entries && r->pinned == 0 &&
        !evacuate_region(heap, map->entries + r->list - r->live_count, map->next, &to, moved))
      back_map_destroy(heap, map); // no room: the others stay as they are
    if (r->state == CP_REGION_SOURCE) r->state = CP_REGION_CLOSED; // not this time
  }
  destination_close(&to);
  if (map->next < map->end) return false;
  if (map->entries) {
    cp_peak_note(heap);
    back_map_destroy(heap, map);
  }
  return true;
}
