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

typedef struct back_map {
  uint32_t *entries; // indices of the objects in sources, region by region
  size_t bytes;      // mapped
} back_map;

// Where objects go: an open region that is not a source.
typedef struct destination {
  compact_heap *heap;
  uint32_t region; // CP_NONE: none yet
  bool fresh;      // only regions that were empty, in stress mode's order
} destination;

static bool back_map_init(compact_heap *heap, back_map *map, uint64_t objects) {
  map->bytes = hs_align_up(objects * sizeof(uint32_t), CP_PAGE_BYTES);
  void *memory;
  if (hs_os_map(map->bytes, CP_PAGE_BYTES, &memory) != 0) return false;
  map->entries = memory;
  hs_add_relaxed(&heap->side_bytes, (uint64_t)map->bytes);
  return true;
}

static void back_map_destroy(compact_heap *heap, back_map *map) {
  hs_os_unmap(map->entries, map->bytes);
  hs_sub_relaxed(&heap->side_bytes, (uint64_t)map->bytes);
}

static void back_map_fill(compact_heap *heap, back_map *map) {
  uint32_t at = 0;
  for (uint32_t region = 1; region < heap->region_frontier; region++) {
    cp_region *const r = cp_region_at(heap, region);
    r->list = at;
    if (r->state == CP_REGION_SOURCE) at += r->live_count;
  }
  uint32_t index;
  for (cp_walk walk = cp_walk_begin(heap, 0, heap->slab_frontier); cp_walk_next(&walk, &index);) {
    const uint64_t word = cp_entry_load(heap->table + index);
    if (word & CP_ENTRY_LARGE) continue;
    cp_region *const r = cp_region_at(heap, cp_entry_offset(word) >> CP_REGION_SHIFT);
    if (r->state == CP_REGION_SOURCE) map->entries[r->list++] = index;
  }
}

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

// Moves all objects of one source; false: out of room, the rest stays and the region with it.
static bool evacuate_region(compact_heap *heap, const back_map *map, uint32_t region,
                            destination *to, uint64_t *moved) {
  cp_region *const r = cp_region_at(heap, region);
  const uint32_t count = r->live_count;
  for (uint32_t i = r->list - count; i < r->list; i++) {
    compact_entry *const entry = heap->table + map->entries[i];
    const uint64_t word = cp_entry_load(entry);
    const uint32_t bytes = cp_entry_bytes(word);
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

uint64_t cp_evacuate_stw(compact_heap *heap, cp_effort effort) {
  const uint64_t objects = cp_select_sources_stw(heap, effort);
  if (objects == 0) return 0;
  back_map map = {0};
  uint64_t moved = 0;
  const bool mapped = back_map_init(heap, &map, objects);
  destination to = {heap, CP_NONE, effort == CP_EFFORT_EVERYTHING};
  bool room = mapped;
  if (mapped) back_map_fill(heap, &map);
  heap->region_cursor = 1;
  for (uint32_t region = 1; region < heap->region_frontier; region++) {
    cp_region *const r = cp_region_at(heap, region);
    if (r->state != CP_REGION_SOURCE) continue;
    if (room) room = evacuate_region(heap, &map, region, &to, &moved);
    if (r->state == CP_REGION_SOURCE) r->state = CP_REGION_CLOSED; // not this time
  }
  destination_close(&to);
  if (mapped) {
    cp_peak_note(heap);
    back_map_destroy(heap, &map);
  }
  return moved;
}
