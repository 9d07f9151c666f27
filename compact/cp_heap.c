// SPDX-License-Identifier: MIT
// Life-cycle: the reservation and its parts, threads, weak cells, identity.
#include "allocators/base/track.h"
#include "allocators/runtime/config.h"
#include "compact/cp_internal.h"

// Location is 32 bits of 8-byte granules. Where so much address space is refused (RLIMIT_AS,
// containers) half is tried, and so on.
static const size_t MAX_OBJECT_BYTES = 32ull << 30;
static const size_t MIN_OBJECT_BYTES = 256ull << 20;
// The table has an entry for every 32 bytes of object space: objects of 16 bytes would exhaust it
// first, at 16 GiB.
static const size_t TABLE_SHARE = 4;
static const size_t RESERVE_ALIGN = 2 << 20; // a huge page, so that none straddles the start
static const size_t LOG_EVENTS = 16384;      // 512 KiB when full

static const char VERSION[] = "0.1.0 handles, concurrent compaction";

// ---- the reservation ----------------------------------------------------------------------------

// Cuts the reservation into its parts; returns its size. base may be NULL to compute the size.
static size_t lay_out(compact_heap *heap, char *base, size_t object_bytes) {
  const size_t table_bytes = object_bytes / TABLE_SHARE;
  const size_t slabs = table_bytes / CP_SLAB_BYTES;
  const struct {
    cp_side *side;
    size_t element_bytes, count;
  } sides[] = {
      {&heap->slabs, sizeof(cp_slab), slabs},
      {&heap->alloc_bits, sizeof(cp_bits), slabs},
      {&heap->mark_bits, sizeof(cp_bits), slabs},
      {&heap->regions, sizeof(cp_region), object_bytes >> CP_REGION_SHIFT},
      {&heap->pages, sizeof(uint8_t), object_bytes / CP_PAGE_BYTES},
      {&heap->larges, sizeof(cp_large), object_bytes / COMPACT_SMALL_BYTES},
  };
  heap->objects = base;
  heap->object_bytes = object_bytes;
  heap->table = (compact_entry *)(void *)(base + object_bytes);
  heap->slab_limit = (uint32_t)slabs;
  size_t offset = object_bytes + table_bytes;
  for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
    const size_t bytes = hs_align_up(sides[i].element_bytes * sides[i].count, CP_PAGE_BYTES);
    cp_side_init(sides[i].side, base + offset, sides[i].element_bytes, bytes);
    offset += bytes;
  }
  return offset;
}

static bool reserve(compact_heap *heap) {
  for (size_t bytes = MAX_OBJECT_BYTES; bytes >= MIN_OBJECT_BYTES; bytes /= 2) {
    static char nowhere[1]; // offsets are computed from a valid pointer and thrown away
    const size_t total = lay_out(heap, nowhere, bytes);
    void *base;
    if (hs_os_reserve(total, RESERVE_ALIGN, &base) != 0) continue;
    hs_os_huge_pages(base, total, false); // else a touched byte could cost 2 MiB
    heap->reservation = base;
    heap->reservation_bytes = total;
    (void)lay_out(heap, base, bytes);
    return true;
  }
  return false;
}

// ---- create and destroy -------------------------------------------------------------------------

static bool config_is_valid(const heap_config *config) {
#define FIELD_IS_VALID(field, name, fallback, low, high, words, help)                              \
  if (config->field < (low) || config->field > (high)) return false;
  HEAP_CONFIG_LIST(FIELD_IS_VALID)
#undef FIELD_IS_VALID
  return true;
}

// Region 0 is the guard: location 0 must fault.
static bool guard_init(compact_heap *heap) {
  if (!cp_side_extend(&heap->regions, 1)) return false;
  cp_region_at(heap, 0)->state = CP_REGION_GUARD;
  heap->region_frontier = heap->region_cursor = 1;
  heap->low_committed = CP_REGION_BYTES;
  return true;
}

heap_status compact_create(const heap_config *config, compact_heap **out) {
  if (!config_is_valid(config)) return HEAP_INVALID;
  if (hs_os_page_bytes() != CP_PAGE_BYTES) return HEAP_UNSUPPORTED;
  void *memory;
  const size_t bytes = hs_align_up(sizeof(compact_heap), CP_PAGE_BYTES);
  if (hs_os_map(bytes, CP_PAGE_BYTES, &memory) != 0) return HEAP_NO_MEMORY;
  compact_heap *const heap = memory;
  heap->config = *config;
  heap->large_free = CP_NONE;
  if (!reserve(heap)) goto undo_map;
  if (!guard_init(heap)) goto undo_reserve;
  // A log without room keeps its histograms: a heap is worth having all the same.
  (void)hs_event_log_init(&heap->log, 0);
  if (hs_event_log_init(&heap->log, LOG_EVENTS) != 0) HS_ASSERT(heap->log.capacity == 0);
  hs_world_init(&heap->world, &heap->log);
  hs_meta_init(&heap->meta);
  (void)hs_config_print(config, true, heap->settings, sizeof heap->settings);
  cp_pace_init(heap);
  cp_fixed_count(heap);
  heap->magic = CP_HEAP_MAGIC;
  hs_marking_init(&heap->marking, &heap->world, heap, &cp_marking_ops,
                  hs_pacer_workers(config, heap->cores) - 1);
  if (!cp_mark_prime(heap) ||
      (cp_is_concurrent(heap) &&
       hs_background_start(&heap->collector, "cp-collector", cp_cycle_background, heap) != 0))
    goto undo_marking;
  *out = heap;
  return HEAP_OK;
undo_marking:
  hs_marking_destroy(&heap->marking);
  hs_meta_destroy(&heap->meta);
  hs_world_destroy(&heap->world);
  hs_event_log_destroy(&heap->log);
undo_reserve:
  hs_os_unmap(heap->reservation, heap->reservation_bytes);
undo_map:
  hs_os_unmap(heap, bytes);
  return HEAP_NO_MEMORY;
}

void compact_destroy(compact_heap *heap) {
  if (!heap) return;
  HS_REQUIRE(heap->magic == CP_HEAP_MAGIC, "not a heap, or destroyed already");
  hs_mutex_lock(&heap->world.lock);
  const unsigned threads = heap->world.thread_count;
  hs_mutex_unlock(&heap->world.lock);
  HS_REQUIRE(threads == 0, "a heap was destroyed while %u threads are registered", threads);
  hs_background_stop(&heap->collector); // it may be in a cycle, which needs the world
  hs_world_destroy(&heap->world);
  hs_marking_destroy(&heap->marking);
  heap->magic = 0;
  hs_meta_destroy(&heap->meta);
  hs_event_log_destroy(&heap->log);
  if (heap->pins) hs_os_unmap(heap->pins, CP_PIN_SLOTS * sizeof(cp_pin));
  // What was poisoned may be mapped by somebody else tomorrow.
  hs_track_live(heap->objects, heap->low_committed);
  hs_track_live(heap->objects + heap->object_bytes - heap->high_committed, heap->high_committed);
  hs_os_unmap(heap->reservation, heap->reservation_bytes);
  hs_os_unmap(heap, hs_align_up(sizeof(compact_heap), CP_PAGE_BYTES));
}

// ---- threads ------------------------------------------------------------------------------------

heap_status compact_thread_enter(compact_heap *heap, compact_thread **out) {
  HS_REQUIRE(heap->magic == CP_HEAP_MAGIC, "a thread entered a heap that does not exist");
  hs_mutex_lock(&heap->lock);
  compact_thread *thread = heap->free_threads;
  if (thread) heap->free_threads = thread->next_free;
  hs_mutex_unlock(&heap->lock);
  // Whole cache lines each: the fast path of two threads must not share one.
  if (!thread)
    thread = hs_meta_alloc(&heap->meta, hs_align_up(sizeof *thread, HS_CACHE_LINE_BYTES),
                           HS_CACHE_LINE_BYTES);
  if (!thread) return HEAP_NO_MEMORY;
  *thread = (compact_thread){.objects = heap->objects,
                             .next = heap->objects,
                             .limit = heap->objects,
                             .chunk = heap->objects,
                             .handle_word = heap->table,
                             .heap = heap,
                             .two_names = &heap->twins.on,
                             .region = CP_NONE,
                             .slab = CP_NONE};
  hs_mutex_lock(&heap->lock);
  cp_cache_begin_locked(thread);
  hs_mutex_unlock(&heap->lock);
  hs_thread_attach(&heap->world, &thread->base);
  *out = thread;
  return HEAP_OK;
}

void compact_thread_leave(compact_thread *thread) {
  compact_heap *const heap = thread->heap;
  hs_poll(&thread->base);
  cp_cache_release(thread, false);
  hs_thread_detach(&thread->base);
  hs_mutex_lock(&heap->lock);
  thread->next_free = heap->free_threads;
  heap->free_threads = thread;
  hs_mutex_unlock(&heap->lock);
}

// ---- weak cells ---------------------------------------------------------------------------------

heap_status compact_weak_create(compact_thread *thread, heap_ref target, compact_weak **out) {
  compact_heap *const heap = thread->heap;
  HS_REQUIRE(!heap_is_null(target), "a weak cell needs an object");
  hs_mutex_lock(&heap->lock);
  compact_weak *weak = heap->free_weaks;
  if (weak) heap->free_weaks = weak->next_free;
  hs_mutex_unlock(&heap->lock);
  if (!weak) weak = hs_meta_alloc(&heap->meta, sizeof *weak, _Alignof(compact_weak));
  if (!weak) return HEAP_NO_MEMORY;
  // No safepoint between the caller's load of the target and this, so the target is current.
  hs_weak_link(&heap->world, &weak->base, compact_name(thread, target));
  *out = weak;
  return HEAP_OK;
}

void compact_weak_destroy(compact_thread *thread, compact_weak *weak) {
  compact_heap *const heap = thread->heap;
  hs_weak_unlink(&weak->base);
  hs_mutex_lock(&heap->lock);
  weak->next_free = heap->free_weaks;
  heap->free_weaks = weak;
  hs_mutex_unlock(&heap->lock);
}

// ---- observation --------------------------------------------------------------------------------

const hs_event_log *compact_events(compact_heap *heap) { return &heap->log; }

heap_identity compact_identify(compact_heap *heap) {
  return (heap_identity){VERSION, heap->settings};
}
