// SPDX-License-Identifier: MIT
// Giving memory back. A release gives back every free page: free regions, the charged ends of others,
// free page runs, empty slabs, the ends of the side arrays, the marker's queues. Other cycles keep
// what the program will need before the next one and give back the rest.
#include "compact/cp_internal.h"

// What a thousand small cycles a second free and need is not looked at more often.
static const uint64_t INTERVAL_NS = 10 * 1000 * 1000;
// Less than this is not worth the system calls and the faults that follow; nor is this part of what is in use.
static const uint64_t HYSTERESIS_BYTES = 512 << 10, HYSTERESIS_FRACTION = 16;

// The marker's queue is not given back while it is this small.
static const size_t QUEUE_KEPT_BYTES = 4 * CP_PAGE_BYTES;

static void trim_frontiers(compact_heap *heap) {
  for (; heap->slab_frontier > 0; heap->slab_frontier--) {
    const cp_slab *const last = cp_slab_at(heap, heap->slab_frontier - 1);
    if (last->flags != 0 || last->used > 0) break; // in this order: a count is its owner's
  }
  while (heap->region_frontier > 1) {
    const cp_region *const last = cp_region_at(heap, heap->region_frontier - 1);
    if (last->state != CP_REGION_FREE || last->resident > 0 || last->dirty > 0) break;
    heap->region_frontier--;
  }
  const uint8_t *const states = (const uint8_t *)heap->pages.base;
  while (heap->page_frontier > 0 && states[heap->page_frontier - 1] == 0) heap->page_frontier--;
  heap->slab_cursor = hs_min_u64(heap->slab_cursor, heap->slab_frontier) & UINT32_MAX;
  heap->region_cursor = hs_min_u64(heap->region_cursor, heap->region_frontier) & UINT32_MAX;
  heap->page_cursor = hs_min_u64(heap->page_cursor, heap->page_frontier) & UINT32_MAX;
}

// The free descriptors at the end go; the list of free ones is made anew from those that stay.
static void trim_descriptors(compact_heap *heap) {
  while (heap->large_count > 0 && !cp_large_at(heap, heap->large_count - 1)->handle)
    *cp_large_at(heap, --heap->large_count) = (cp_large){.handle = NULL};
  heap->large_free = CP_NONE;
  for (uint32_t i = heap->large_count; i-- > 0;) {
    cp_large *const large = cp_large_at(heap, i);
    if (large->handle) continue;
    large->page = heap->large_free;
    heap->large_free = i;
  }
}

static void release_all(compact_heap *heap) {
  cp_totals *const totals = &heap->totals;
  totals->scavenged_bytes += cp_region_purge(heap, 0, true);
  totals->scavenged_bytes += cp_large_purge(heap, 0);
  cp_slab_purge(heap, 0, false);
  if (hs_grey_pool_bytes(&heap->marking.pool) > QUEUE_KEPT_BYTES) {
    hs_grey_pool_trim(&heap->marking.pool);
    (void)cp_mark_prime(heap); // without it the next marking may be slow, not wrong
  }
  hs_mutex_lock(&heap->lock);
  trim_frontiers(heap);
  trim_descriptors(heap);
  cp_side_trim(&heap->slabs, heap->slab_frontier);
  cp_side_trim(&heap->alloc_bits, heap->slab_frontier);
  cp_side_trim(&heap->mark_bits, heap->slab_frontier);
  cp_side_trim(&heap->regions, heap->region_frontier);
  cp_side_trim(&heap->pages, heap->page_frontier);
  cp_side_trim(&heap->larges, heap->large_count);
  hs_mutex_unlock(&heap->lock);
}

// What paces cycles is objects and entries; of these bytes, those of objects, if the new are like the live ones.
static uint64_t share_of_objects(const compact_heap *heap, uint64_t bytes) {
  const uint64_t marked = hs_load_relaxed(&heap->marked_bytes), objects = heap->totals.live_bytes;
  return objects == 0 || objects >= marked
             ? bytes
             : (uint64_t)((double)bytes * (double)objects / (double)marked);
}

typedef struct free_memory {
  uint64_t regions, runs, slabs; // bytes
} free_memory;

static uint64_t less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

static free_memory count_free(compact_heap *heap) {
  return (free_memory){cp_region_free_bytes(heap), cp_large_free_bytes(heap),
                       cp_slab_free_bytes(heap)};
}

// What to keep, of that much in all.
static free_memory divide(const compact_heap *heap, const free_memory *free, uint64_t bytes) {
  const uint64_t objects = share_of_objects(heap, bytes), entries = bytes - objects;
  // Entries are taken from slabs that are in use first.
  const uint64_t in_use = less(hs_load_relaxed(&heap->table_bytes), free->slabs);
  const uint64_t room = less(in_use, heap->totals.live_objects * sizeof(compact_entry));
  // Runs serve large objects only, regions small ones: each keeps its share.
  const uint64_t half = objects / 2;
  const uint64_t regions = half + less(half, free->runs);
  return (free_memory){.regions = regions,
                       .runs = objects - hs_min_u64(free->regions, regions),
                       .slabs = less(entries, room)};
}

static void release_excess(compact_heap *heap) {
  const cp_course *const course = &heap->course;
  // Memory is short, or the program has asked for the collection.
  const bool sparing = heap->pacer.memory_limited || course->forced;
  const cp_retain_view view = {.live_bytes = hs_load_relaxed(&heap->marked_bytes),
                               .goal_bytes = hs_pacer_goal(&heap->pacer),
                               .taken_bytes = course->taken_bytes,
                               .interval_ns = course->interval_ns,
                               .now_ns = hs_os_now_ns(),
                               .cores = heap->cores,
                               .sparing = sparing,
                               .gives_back_early = !sparing && cp_is_concurrent(heap)};
  if (!heap->config.scavenge || view.goal_bytes == UINT64_MAX) return;
  if (!sparing && view.now_ns - heap->retention.set_ns < INTERVAL_NS) return;
  const uint64_t keep = cp_retain(&heap->retention, &view);
  const free_memory free = count_free(heap), kept = divide(heap, &free, keep);
  const uint64_t excess =
      less(free.regions + free.runs, share_of_objects(heap, keep)) + less(free.slabs, kept.slabs);
  if (excess <= hs_max_u64(HYSTERESIS_BYTES, heap->retention.peak_bytes / HYSTERESIS_FRACTION))
    return;
  heap->totals.scavenged_bytes += cp_region_purge(heap, kept.regions, false);
  heap->totals.scavenged_bytes += cp_large_purge(heap, kept.runs);
  cp_slab_purge(heap, kept.slabs, false);
}

void cp_release(compact_heap *heap) {
  if (cp_is_stress(heap))
    cp_slab_purge(heap, 0, true); // regions and runs were made inaccessible when they were freed
  else if (heap->course.kind == HEAP_COLLECT_RELEASE || heap->course.idle)
    release_all(heap);
  else
    release_excess(heap);
}
