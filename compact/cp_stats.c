// SPDX-License-Identifier: MIT
// The numbers: what is charged where (I-cp-7), Go's statistics, and the page map.
// I-cp-7: resident_bytes is the sum of resident over regions and of RESIDENT pages; table_bytes is the
//         number of RESIDENT slabs in bytes; every other page the heap owns is in cp_metadata_bytes.
#include <stddef.h>

#include "allocators/runtime/stats.h"
#include "compact/cp_internal.h"

uint64_t cp_metadata_bytes(const compact_heap *heap) {
  return hs_load_relaxed(&heap->table_bytes) + cp_side_bytes(&heap->slabs) +
         cp_side_bytes(&heap->alloc_bits) + cp_side_bytes(&heap->mark_bits) +
         cp_side_bytes(&heap->regions) + cp_side_bytes(&heap->pages) +
         cp_side_bytes(&heap->larges) + hs_load_relaxed(&heap->side_bytes) +
         hs_load_relaxed(&heap->queue_bytes) + hs_load_relaxed(&heap->fixed_bytes) +
         hs_meta_bytes(&heap->meta);
}

// Counting the log's pages reads them, so it is done where nobody is in a hurry.
void cp_fixed_count(compact_heap *heap) {
  const size_t pins = heap->pins ? CP_PIN_SLOTS * sizeof(cp_pin) : 0;
  const size_t self = hs_align_up(offsetof(compact_heap, log), CP_PAGE_BYTES);
  hs_store_relaxed(&heap->fixed_bytes, self + pins + hs_event_log_bytes(&heap->log));
}

uint64_t compact_footprint(compact_heap *heap) {
  return hs_load_relaxed(&heap->resident_bytes) + cp_metadata_bytes(heap);
}

void cp_peak_note(compact_heap *heap) {
  const uint64_t now = compact_footprint(heap);
  uint64_t peak = hs_load_relaxed(&heap->peak_bytes);
  while (now > peak && !hs_cas_relaxed(&heap->peak_bytes, &peak, now)) continue;
}

// Pages below the tops of regions, and pages of large objects.
static uint64_t inuse_bytes_stw(const compact_heap *heap) {
  uint64_t bytes = hs_load_relaxed(&heap->large_bytes);
  for (uint32_t region = 1; region < heap->region_frontier; region++)
    bytes += hs_align_up(cp_region_at(heap, region)->top, CP_PAGE_BYTES);
  return bytes;
}

static uint64_t hollow_bytes_stw(const compact_heap *heap) {
  uint64_t bytes = 0;
  for (uint32_t region = 1; region < heap->region_frontier; region++)
    bytes += (uint64_t)cp_region_at(heap, region)->hollow * CP_PAGE_BYTES;
  return bytes;
}

static void set_memory(compact_heap *heap, heap_stats *out) {
  const cp_totals *const totals = &heap->totals;
  const uint64_t guard = CP_REGION_BYTES; // never accessible
  const uint64_t sys = heap->low_committed - guard + heap->high_committed;
  heap_stats_set(out, HEAP_STAT_heap_sys_bytes, sys);
  const uint64_t hollow = hollow_bytes_stw(heap);
  heap_stats_set(out, HEAP_STAT_heap_released_bytes,
                 sys - hs_load_relaxed(&heap->resident_bytes) - hollow);
  heap_stats_set(out, HEAP_STAT_hollow_bytes, hollow);
  heap_stats_set(out, HEAP_STAT_heap_inuse_bytes, inuse_bytes_stw(heap));
  heap_stats_set(out, HEAP_STAT_heap_alloc_bytes, totals->live_bytes + totals->since_bytes);
  heap_stats_set(out, HEAP_STAT_metadata_bytes, cp_metadata_bytes(heap));
  heap_stats_set(out, HEAP_STAT_handle_table_bytes, hs_load_relaxed(&heap->table_bytes));
  heap_stats_set(out, HEAP_STAT_peak_footprint_bytes, hs_load_relaxed(&heap->peak_bytes));
}

static void set_history(const compact_heap *heap, heap_stats *out) {
  const cp_totals *const totals = &heap->totals;
  heap_stats_set(out, HEAP_STAT_heap_objects_count, totals->live_objects + totals->since_objects);
  heap_stats_set(out, HEAP_STAT_total_alloc_bytes, totals->alloc_bytes);
  heap_stats_set(out, HEAP_STAT_mallocs_count, totals->alloc_objects);
  heap_stats_set(out, HEAP_STAT_frees_count, totals->frees);
  heap_stats_set(out, HEAP_STAT_next_gc_bytes, hs_pacer_goal(&heap->pacer));
  heap_stats_set(out, HEAP_STAT_cycles_count, totals->cycles);
  heap_stats_set(out, HEAP_STAT_forced_cycles_count, totals->forced_cycles);
  heap_stats_set(out, HEAP_STAT_gc_cpu_ns, totals->gc_cpu_ns);
  heap_stats_set(out, HEAP_STAT_marked_bytes, totals->live_bytes);
  heap_stats_set(out, HEAP_STAT_moved_bytes, totals->moved_bytes);
  heap_stats_set(out, HEAP_STAT_aborted_moves_count, totals->aborted_moves);
  heap_stats_set(out, HEAP_STAT_fallback_stops_count, totals->fallback_stops);
  heap_stats_set(out, HEAP_STAT_renamed_count, totals->renamed_count);
  heap_stats_set(out, HEAP_STAT_scavenged_bytes, totals->scavenged_bytes);
}

static void stop(compact_thread *thread) {
  hs_poll(&thread->base);
  hs_world_enter_collector(thread->base.world, &thread->base);
  hs_world_stop(thread->base.world, &thread->base);
  cp_cache_release_all_stw(thread->heap);
}

static void start(compact_thread *thread) {
  hs_world_start(thread->base.world);
  hs_world_leave_collector(thread->base.world);
}

void compact_stats_read(compact_thread *thread, heap_stats *out) {
  compact_heap *const heap = thread->heap;
  *out = (heap_stats){0};
  stop(thread);
  cp_fixed_count(heap);
  cp_peak_note(heap);
  set_memory(heap, out);
  set_history(heap, out);
  start(thread);
  hs_stats_derive(out);
}

bool compact_verify(compact_thread *thread) {
  stop(thread);
  const bool sound = cp_verify_stw(thread->heap);
  start(thread);
  return sound;
}

// ---- the page map -------------------------------------------------------------------------------

typedef struct page_counts {
  uint32_t *live; // bytes of objects per page of the region part, region 0 included
  size_t bytes;   // mapped
} page_counts;

static void count_object(page_counts *counts, size_t offset, uint32_t bytes) {
  while (bytes > 0) {
    const uint32_t here = (uint32_t)hs_min_size(bytes, CP_PAGE_BYTES - offset % CP_PAGE_BYTES);
    counts->live[offset / CP_PAGE_BYTES] += here;
    offset += here;
    bytes -= here;
  }
}

static bool counts_init(const compact_heap *heap, page_counts *counts) {
  const size_t pages = (size_t)heap->region_frontier * (CP_REGION_BYTES / CP_PAGE_BYTES);
  counts->bytes = hs_align_up(pages * sizeof *counts->live, CP_PAGE_BYTES);
  void *memory;
  if (hs_os_map(counts->bytes, CP_PAGE_BYTES, &memory) != 0) return false;
  counts->live = memory;
  uint32_t index;
  for (cp_walk walk = cp_walk_begin(heap, 0, heap->slab_frontier); cp_walk_next(&walk, &index);) {
    const uint64_t word = cp_entry_load(heap->table + index);
    if (!(word & CP_ENTRY_LARGE)) count_object(counts, cp_entry_offset(word), cp_entry_bytes(word));
  }
  return true;
}

static void visit_regions(const compact_heap *heap, const page_counts *counts, heap_map_fn visit,
                          void *context) {
  for (uint32_t region = 1; region < heap->region_frontier; region++) {
    const cp_region *const r = cp_region_at(heap, region);
    for (uint32_t at = 0; at < CP_REGION_BYTES; at += CP_PAGE_BYTES) {
      const size_t offset = ((size_t)region << CP_REGION_SHIFT) + at;
      const heap_map_page page = {
          .address = (uintptr_t)heap->objects + offset,
          .page_bytes = CP_PAGE_BYTES,
          .live_bytes = counts->live[offset / CP_PAGE_BYTES],
          .resident = at < r->resident &&
                      (r->hollow == 0 || at >= r->top || counts->live[offset / CP_PAGE_BYTES] > 0)};
      visit(context, &page);
    }
  }
}

// The bytes of a large object are on the first pages of its run, by address.
static uint32_t large_page_live(const cp_large *large, uint32_t i) {
  const uint64_t before = (uint64_t)i * CP_PAGE_BYTES;
  return (uint32_t)hs_min_u64(large->bytes - before, CP_PAGE_BYTES);
}

// Address order is from the highest page number down. Descriptors are found by a pass per object,
// which a map of a few thousand large objects can afford.
static const cp_large *large_of_page(const compact_heap *heap, uint32_t page) {
  for (uint32_t i = 0; i < heap->large_count; i++) {
    const cp_large *const large = cp_large_at(heap, i);
    if (large->handle && page >= large->page && page < large->page + large->page_count)
      return large;
  }
  return NULL;
}

static void visit_runs(const compact_heap *heap, heap_map_fn visit, void *context) {
  const uint8_t *const states = (const uint8_t *)heap->pages.base;
  const char *const top = heap->objects + heap->object_bytes;
  const cp_large *large = NULL;
  for (uint32_t number = heap->page_frontier; number-- > 0;) {
    const bool used = states[number] & CP_PAGE_USED;
    if (used && !(large && number >= large->page && number < large->page + large->page_count))
      large = large_of_page(heap, number);
    const uint32_t last = large ? large->page + large->page_count - 1 : 0;
    const heap_map_page page = {.address = (uintptr_t)top - ((uintptr_t)number + 1) * CP_PAGE_BYTES,
                                .page_bytes = CP_PAGE_BYTES,
                                .live_bytes = used ? large_page_live(large, last - number) : 0,
                                .resident = (states[number] & CP_PAGE_RESIDENT) != 0};
    visit(context, &page);
  }
}

static void visit_table(const compact_heap *heap, heap_map_fn visit, void *context) {
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++) {
    const cp_slab *const s = cp_slab_at(heap, slab);
    const heap_map_page page = {.address =
                                    (uintptr_t)(heap->table + (size_t)slab * CP_SLAB_ENTRIES),
                                .page_bytes = CP_SLAB_BYTES,
                                .live_bytes = s->used * (uint32_t)sizeof(compact_entry),
                                .resident = (s->flags & CP_SLAB_RESIDENT) != 0,
                                .metadata = true};
    visit(context, &page);
  }
}

bool compact_map(compact_thread *thread, heap_map_fn visit, void *context) {
  compact_heap *const heap = thread->heap;
  stop(thread);
  page_counts counts;
  const bool mapped = counts_init(heap, &counts);
  if (mapped) {
    visit_regions(heap, &counts, visit, context);
    visit_runs(heap, visit, context);
    visit_table(heap, visit, context);
    hs_os_unmap(counts.live, counts.bytes);
  }
  start(thread);
  return mapped;
}
