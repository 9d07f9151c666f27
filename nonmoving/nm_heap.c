// SPDX-License-Identifier: MIT
// Creating and destroying a heap, threads, and the operations of the contract that are not on a fast
// path and have no file of their own.
#include "allocators/base/assert.h"
#include "allocators/runtime/config.h"
#include "nonmoving/nm_internal.h"

// Events kept for the record; 40 bytes each, and only written ones cost memory.
enum { EVENT_CAPACITY = 1 << 16 };

static void heap_check(const nonmoving_heap *heap) {
  HS_REQUIRE(heap && heap->magic == NM_HEAP_MAGIC, "not a nonmoving heap, or destroyed already");
}

nm_thread *nm_thread_checked(nonmoving_thread *thread) {
  HS_REQUIRE(thread && thread->base.magic == HS_THREAD_MAGIC,
             "not a registered thread of a nonmoving heap");
  return nm_thread_of(thread);
}

// ---- life-cycle ---------------------------------------------------------------------------------

static size_t heap_struct_bytes(void) {
  return hs_align_up(sizeof(nonmoving_heap), hs_os_page_bytes());
}

static void init_goals(nonmoving_heap *heap) {
  heap->sweepgen = 2; // so that `sweepgen - 2` of a span never wraps
  heap->cores = (unsigned)hs_os_core_count();
  heap->created_ns = hs_os_now_ns();
  hs_limiter_init(&heap->limiter, heap->created_ns, heap->cores);
  hs_pacer_init(&heap->pacer, &heap->config, heap->cores);
  nm_cycle_set_due(heap);
  nm_scavenge_init(heap);
}

heap_status nonmoving_create(const heap_config *config, nonmoving_heap **out) {
  if (hs_os_page_bytes() > NM_PAGE_BYTES) return HEAP_UNSUPPORTED; // pages would share OS pages
  void *memory;
  if (hs_os_map(heap_struct_bytes(), hs_os_page_bytes(), &memory) != 0) return HEAP_NO_MEMORY;
  nonmoving_heap *const heap = memory;
  heap->config = *config;
  hs_os_huge_pages(memory, heap_struct_bytes(), false);
  if (hs_event_log_init(&heap->log, EVENT_CAPACITY) != 0) goto unmap_heap;
  if (!nm_layout_reserve(heap)) goto destroy_log;
  hs_world_init(&heap->world, &heap->log);
  hs_meta_init(&heap->meta);
  init_goals(heap);
  nm_central_init(heap);
  hs_store_relaxed(&heap->log_bytes, (uint64_t)hs_event_log_bytes(&heap->log));
  hs_config_print(config, true, heap->settings, sizeof heap->settings);
  heap->magic = NM_HEAP_MAGIC;
  hs_marking_init(&heap->marking, &heap->world, heap, &nm_marking_ops,
                  hs_pacer_workers(config, heap->cores) - 1);
  if (!hs_grey_pool_prime(&heap->marking.pool) ||
      hs_background_start(&heap->collector, "nm-collector", nm_cycle_background, heap) != 0)
    goto release_layout;
  if (config->scavenge &&
      hs_background_start(&heap->scavenger, "nm-scavenger", nm_scavenge_background, heap) != 0)
    goto stop_collector;
  *out = heap;
  return HEAP_OK;

stop_collector:
  hs_background_stop(&heap->collector);
release_layout:
  hs_marking_destroy(&heap->marking);
  hs_world_destroy(&heap->world);
  nm_layout_release(heap);
destroy_log:
  hs_event_log_destroy(&heap->log);
unmap_heap:
  hs_os_unmap(memory, heap_struct_bytes());
  return HEAP_NO_MEMORY;
}

void nonmoving_destroy(nonmoving_heap *heap) {
  if (!heap) return;
  heap_check(heap);
  hs_world_require_empty(&heap->world);
  hs_background_stop(&heap->collector); // it may be in the middle of a cycle
  hs_background_stop(&heap->scavenger);
  hs_marking_destroy(&heap->marking);
  hs_world_destroy(&heap->world);
  heap->magic = 0;
  hs_meta_destroy(&heap->meta);
  nm_layout_release(heap);
  hs_event_log_destroy(&heap->log);
  hs_os_unmap(heap, heap_struct_bytes());
}

// ---- threads ------------------------------------------------------------------------------------

heap_status nonmoving_thread_enter(nonmoving_heap *heap, nonmoving_thread **out) {
  heap_check(heap);
  hs_mutex_lock(&heap->lock);
  nm_thread *thread = heap->thread_free;
  if (thread) heap->thread_free = thread->next_free;
  hs_mutex_unlock(&heap->lock);
  if (!thread) thread = hs_meta_alloc(&heap->meta, sizeof *thread, HS_CACHE_LINE_BYTES);
  if (!thread) return HEAP_NO_MEMORY;
  thread->heap = heap;
  thread->next_free = NULL;
  thread->hot.ref_flag_bias =
      (uintptr_t)heap->ref_flags - heap->base / sizeof(heap_ref) / 64 * sizeof(uint64_t);
  hs_thread_attach(&heap->world, &thread->hot.base);
  nm_central_join(heap, thread);
  *out = &thread->hot;
  return HEAP_OK;
}

void nonmoving_thread_leave(nonmoving_thread *hot) {
  nm_thread *const thread = nm_thread_checked(hot);
  nonmoving_heap *const heap = thread->heap;
  hs_poll(&hot->base);
  nm_cache_flush(heap, thread, true);
  hs_thread_detach(&hot->base);
  hs_mutex_lock(&heap->lock);
  thread->next_free = heap->thread_free;
  heap->thread_free = thread;
  hs_mutex_unlock(&heap->lock);
}

void nonmoving_blocking_begin(nonmoving_thread *thread) { hs_blocking_begin(&thread->base); }
void nonmoving_blocking_end(nonmoving_thread *thread) { hs_blocking_end(&thread->base); }

// ---- roots, pins, weak cells --------------------------------------------------------------------

void nonmoving_root_add(nonmoving_thread *thread, heap_root *root, heap_ref *slots, size_t count) {
  hs_root_add(&nm_thread_checked(thread)->heap->world, root, slots, count);
}

void nonmoving_root_remove(nonmoving_thread *thread, heap_root *root) {
  hs_root_remove(&nm_thread_checked(thread)->hot.base, root);
}

// Objects never move; a pin is a root. Pins nest by being listed once each.
void *nonmoving_pin(nonmoving_thread *thread, heap_ref object, size_t ref_count) {
  nonmoving_heap *const heap = nm_thread_checked(thread)->heap;
  if (thread->base.barrier != HS_BARRIER_OFF) hs_shade(&thread->base, object.bits);
  hs_mutex_lock(&heap->lock);
  const bool room = heap->pin_count < NM_PIN_CAPACITY;
  if (room) {
    nm_table_touch(&heap->tables[NM_TABLE_PINS], heap->pin_count * sizeof(uintptr_t),
                   sizeof(uintptr_t));
    heap->pins[heap->pin_count++] = object.bits;
  }
  hs_mutex_unlock(&heap->lock);
  return room ? nonmoving_write(thread, object, ref_count) : NULL;
}

void nonmoving_unpin(nonmoving_thread *thread, heap_ref object) {
  nonmoving_heap *const heap = nm_thread_checked(thread)->heap;
  if (thread->base.barrier != HS_BARRIER_OFF) hs_shade(&thread->base, object.bits);
  hs_mutex_lock(&heap->lock);
  size_t i = heap->pin_count; // from the end: pins are short and nested
  while (i > 0 && heap->pins[i - 1] != object.bits) i--;
  HS_REQUIRE(i > 0, "an object was unpinned that is not pinned");
  heap->pins[i - 1] = heap->pins[--heap->pin_count];
  hs_mutex_unlock(&heap->lock);
}

heap_status nonmoving_weak_create(nonmoving_thread *hot, heap_ref target, nonmoving_weak **out) {
  nonmoving_heap *const heap = nm_thread_checked(hot)->heap;
  HS_REQUIRE(!heap_is_null(target), "a weak cell needs an object");
  hs_mutex_lock(&heap->lock);
  nonmoving_weak *weak = heap->weak_free;
  if (weak) heap->weak_free = weak->next_free;
  hs_mutex_unlock(&heap->lock);
  if (!weak) weak = hs_meta_alloc(&heap->meta, sizeof *weak, sizeof(uint64_t));
  if (!weak) return HEAP_NO_MEMORY;
  hs_weak_link(&heap->world, &weak->weak, target);
  hs_poll(&hot->base);
  *out = weak;
  return HEAP_OK;
}

heap_ref nonmoving_weak_get(nonmoving_thread *thread, nonmoving_weak *weak) {
  return hs_weak_get(&thread->base, &weak->weak);
}

void nonmoving_weak_destroy(nonmoving_thread *thread, nonmoving_weak *weak) {
  nonmoving_heap *const heap = nm_thread_checked(thread)->heap;
  hs_weak_unlink(&weak->weak);
  hs_mutex_lock(&heap->lock);
  weak->next_free = heap->weak_free;
  heap->weak_free = weak;
  hs_mutex_unlock(&heap->lock);
}

// ---- collection, identity -----------------------------------------------------------------------

void nonmoving_collect(nonmoving_thread *hot, heap_collect_kind kind) {
  nm_thread *const thread = nm_thread_checked(hot);
  HS_REQUIRE(kind <= HEAP_COLLECT_RELEASE, "unknown kind of collection %d", (int)kind);
  hs_poll(&hot->base);
  nm_cycle_run(thread->heap, thread,
               kind == HEAP_COLLECT_RELEASE ? NM_REASON_RELEASE : NM_REASON_FORCED);
}

const hs_event_log *nonmoving_events(nonmoving_heap *heap) { return &heap->log; }

heap_identity nonmoving_identify(nonmoving_heap *heap) {
  return (heap_identity){"0.1.0 (Go 1.21 layout)", heap->settings};
}
