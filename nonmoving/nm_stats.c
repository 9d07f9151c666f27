// SPDX-License-Identifier: MIT
// The MemStats numbers, and heap_map. Counters are kept where they change; here they are added up with
// the world stopped and caches flushed, as Go's ReadMemStats does.
#include "allocators/base/assert.h"
#include "allocators/runtime/stats.h"
#include "nonmoving/nm_internal.h"

// Pages of the heap struct up to its event log, which accounts for itself; and one page of the touched
// bitmap of each table.
static uint64_t fixed_bytes(void) {
  return hs_align_up(offsetof(nonmoving_heap, log), hs_os_page_bytes()) +
         NM_TABLE_COUNT * hs_os_page_bytes();
}

uint64_t nm_metadata_bytes(nonmoving_heap *heap) {
  uint64_t bytes = fixed_bytes() + hs_meta_bytes(&heap->meta) + hs_load_relaxed(&heap->log_bytes) +
                   hs_grey_pool_bytes(&heap->marking.pool);
  for (unsigned id = 0; id < NM_TABLE_COUNT; id++)
    bytes += hs_load_relaxed(&heap->tables[id].used_bytes);
  return bytes;
}

uint64_t nonmoving_footprint(nonmoving_heap *heap) {
  return ((hs_load_relaxed(&heap->counts.in_use) + hs_load_relaxed(&heap->counts.free))
          << NM_PAGE_SHIFT) +
         nm_metadata_bytes(heap) - nm_hollow_bytes(heap);
}

typedef struct object_totals {
  uint64_t mallocs_count, frees_count, mallocs_bytes, frees_bytes;
} object_totals;

static object_totals add_up_objects(nonmoving_heap *heap) {
  const uint64_t tiny = hs_load_relaxed(&heap->tiny_count);
  // Second halves of tiny blocks count as allocated and freed at once: what lives is the block.
  object_totals total = {tiny, tiny, hs_load_relaxed(&heap->large_mallocs_bytes),
                         hs_load_relaxed(&heap->large_frees_bytes)};
  for (unsigned i = 0; i < nm_shard_count(heap) * NM_SPAN_CLASS_COUNT; i++) {
    const unsigned c = i % NM_SPAN_CLASS_COUNT;
    nm_central *const central = &heap->shards[i / NM_SPAN_CLASS_COUNT][c];
    hs_mutex_lock(&central->lock);
    total.mallocs_count += central->mallocs_count;
    total.frees_count += central->frees_count;
    total.mallocs_bytes += central->mallocs_count * nm_classes[c >> 1].bytes; // 0 for large
    total.frees_bytes += central->frees_count * nm_classes[c >> 1].bytes;
    hs_mutex_unlock(&central->lock);
  }
  return total;
}

// Under heap.lock: a stopped world does not stop the scavenger, which moves pages between counters.
static void set_memory_locked(nonmoving_heap *heap, heap_stats *out) {
  HS_ASSERT(hs_mutex_is_held(&heap->lock));
  const uint64_t in_use = hs_load_relaxed(&heap->counts.in_use);
  const uint64_t free = hs_load_relaxed(&heap->counts.free);
  const uint64_t released = hs_load_relaxed(&heap->counts.released);
  hs_store_relaxed(&heap->log_bytes, (uint64_t)hs_event_log_bytes(&heap->log));
  heap_stats_set(out, HEAP_STAT_heap_sys_bytes, (in_use + free + released) << NM_PAGE_SHIFT);
  heap_stats_set(out, HEAP_STAT_heap_released_bytes, released << NM_PAGE_SHIFT);
  heap_stats_set(out, HEAP_STAT_heap_inuse_bytes, in_use << NM_PAGE_SHIFT);
  heap_stats_set(out, HEAP_STAT_metadata_bytes, nm_metadata_bytes(heap));
  if (heap->config.subpage_release)
    heap_stats_set(out, HEAP_STAT_hollow_bytes, nm_hollow_bytes(heap));
  heap_stats_set(out, HEAP_STAT_handle_table_bytes, 0);
  heap_stats_set(out, HEAP_STAT_scavenged_bytes, hs_load_relaxed(&heap->scavenged_bytes));
  nm_pageheap_note_peak_locked(heap);
  heap_stats_set(out, HEAP_STAT_peak_footprint_bytes, hs_load_relaxed(&heap->peak_footprint_bytes));
}

void nm_stats_fill_stw(nonmoving_heap *heap, heap_stats *out) {
  *out = (heap_stats){0};
  const object_totals objects = add_up_objects(heap);
  heap_stats_set(out, HEAP_STAT_heap_alloc_bytes, objects.mallocs_bytes - objects.frees_bytes);
  heap_stats_set(out, HEAP_STAT_heap_objects_count, objects.mallocs_count - objects.frees_count);
  heap_stats_set(out, HEAP_STAT_total_alloc_bytes, objects.mallocs_bytes);
  heap_stats_set(out, HEAP_STAT_mallocs_count, objects.mallocs_count);
  heap_stats_set(out, HEAP_STAT_frees_count, objects.frees_count);
  hs_mutex_lock(&heap->lock);
  set_memory_locked(heap, out);
  hs_mutex_unlock(&heap->lock);
  heap_stats_set(out, HEAP_STAT_next_gc_bytes, hs_pacer_goal(&heap->pacer));
  heap_stats_set(out, HEAP_STAT_cycles_count, heap->cycle.cycles_count);
  heap_stats_set(out, HEAP_STAT_forced_cycles_count, heap->cycle.forced_count);
  heap_stats_set(out, HEAP_STAT_gc_cpu_ns, heap->cycle.cpu_ns);
  heap_stats_set(out, HEAP_STAT_marked_bytes, heap->cycle.marked_bytes);
  heap_stats_set(out, HEAP_STAT_moved_bytes, 0);
  heap_stats_set(out, HEAP_STAT_renamed_count, 0);
  hs_stats_derive(out);
}

// ---- observation with the world stopped ---------------------------------------------------------

static nonmoving_heap *observe_begin(nonmoving_thread *hot, bool pages) {
  nonmoving_heap *const heap = nm_thread_checked(hot)->heap;
  hs_poll(&hot->base);
  hs_world_enter_collector(&heap->world, &hot->base);
  hs_world_stop(&heap->world, &hot->base);
  nm_cache_flush_all_stw(heap, pages);
  return heap;
}

static void observe_end(nonmoving_heap *heap) {
  hs_world_start(&heap->world);
  hs_world_leave_collector(&heap->world);
}

void nonmoving_stats_read(nonmoving_thread *thread, heap_stats *out) {
  nonmoving_heap *const heap = observe_begin(thread, false);
  nm_stats_fill_stw(heap, out);
  observe_end(heap);
}

bool nonmoving_verify(nonmoving_thread *thread) {
  nonmoving_heap *const heap = observe_begin(thread, true);
  const bool sound = nm_verify_stw(heap, false);
  observe_end(heap);
  return sound;
}

// Bytes of allocated slots of a span that lie on the page at `start`.
static uint32_t live_bytes_on_page(const nonmoving_heap *heap, const nm_span *span,
                                   uintptr_t start) {
  const size_t slot_bytes = nm_span_slot_bytes(span);
  const size_t low = start - nm_span_base(heap, span), high = low + NM_PAGE_BYTES;
  size_t bytes = 0;
  for (size_t i = low / slot_bytes; i < nm_span_objects(span) && i * slot_bytes < high; i++) {
    if (!nm_span_is_allocated(heap, span, (unsigned)i)) continue;
    const size_t from = hs_max_size(low, i * slot_bytes);
    bytes += hs_min_size(high, (i + 1) * slot_bytes) - from;
  }
  return (uint32_t)bytes;
}

bool nonmoving_map(nonmoving_thread *thread, heap_map_fn visit, void *context) {
  nonmoving_heap *const heap = observe_begin(thread, true);
  hs_mutex_lock(&heap->scavenge_lock); // or pages under a madvise would look used
  for (size_t page = 0; page < nm_grown_pages(heap); page++) {
    const nm_span *const span = heap->entries[page].span;
    const uintptr_t address = nm_page_address(heap, page);
    const heap_map_page shown = {
        .address = address,
        .page_bytes = NM_PAGE_BYTES,
        .live_bytes = span ? live_bytes_on_page(heap, span, address) : 0,
        .resident = span || !nm_pages_is_scavenged(&heap->pages, page),
    };
    visit(context, &shown);
  }
  hs_mutex_unlock(&heap->scavenge_lock);
  observe_end(heap);
  return true;
}

size_t nonmoving_ref_count_slow(nonmoving_thread *thread, heap_ref object) {
  const nonmoving_heap *const heap = nm_thread_of(thread)->heap;
  HS_REQUIRE(!heap_is_null(object), "the null reference was dereferenced");
  const nm_span *const span = nm_span_find(heap, object.bits);
  HS_REQUIRE(span, "%p is no object of this heap", (void *)object.bits);
  return nm_object_ref_count(heap, span, object.bits);
}
