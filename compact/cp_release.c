// SPDX-License-Identifier: MIT
// Giving memory back. A release gives back every free page: free regions, the charged ends of others,
// free page runs, empty slabs, the ends of the side arrays, the marker's queues. Other cycles keep
// what the program will need before the next one and give back the rest.
#include "compact/cp_internal.h"

// The amount kept falls by half a cycle: a program whose live heap goes up and down within a few cycles
// does not pay for giving back and faulting in the same pages each time.
static const unsigned RETAIN_DECAY_SHIFT = 1;
// Less than this is not worth the system calls and the faults that follow.
static const uint64_t HYSTERESIS_BYTES = 512 << 10;

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
  cp_slab_purge(heap, false);
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

static void release_excess(compact_heap *heap) {
  const uint64_t goal = hs_pacer_goal(&heap->pacer);
  if (!heap->config.scavenge || goal == UINT64_MAX) return;
  const uint64_t marked = hs_load_relaxed(&heap->marked_bytes);
  uint64_t needed = goal > marked ? goal - marked : 0;
  // A cycle may have come to its end beyond its goal. Under a memory limit nothing is kept for that.
  if (!heap->pacer.memory_limited)
    needed = hs_max_u64(needed, hs_min_u64(heap->course.taken_bytes, needed + needed / 4));
  const uint64_t wanted = share_of_objects(
      heap, needed); // Go's scavenger keeps 10 % more, for what does not fit its spans
  heap->retained_bytes -= heap->retained_bytes >> RETAIN_DECAY_SHIFT;
  if (heap->retained_bytes < wanted || heap->pacer.memory_limited) heap->retained_bytes = wanted;
  const uint64_t keep = heap->retained_bytes;
  const uint64_t in_regions = cp_region_free_bytes(heap);
  const uint64_t in_runs = cp_large_free_bytes(heap);
  if (in_regions + in_runs <= keep + HYSTERESIS_BYTES) return;
  // Runs serve large objects only, regions small ones: each keeps its share.
  const uint64_t keep_regions = keep / 2 + (in_runs < keep / 2 ? keep / 2 - in_runs : 0);
  const uint64_t keep_runs = keep - hs_min_u64(in_regions, keep_regions);
  heap->totals.scavenged_bytes += cp_region_purge(heap, keep_regions, false);
  heap->totals.scavenged_bytes += cp_large_purge(heap, keep_runs);
  cp_slab_purge(heap, false);
}

void cp_release(compact_heap *heap) {
  if (cp_is_stress(heap))
    cp_slab_purge(heap, true); // regions and runs were made inaccessible when they were freed
  else if (heap->course.kind == HEAP_COLLECT_RELEASE || heap->course.idle)
    release_all(heap);
  else
    release_excess(heap);
}
