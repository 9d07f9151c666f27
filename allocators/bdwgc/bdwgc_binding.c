// SPDX-License-Identifier: MIT
// Note [bdwgc numbers]
//   From the library: its heap (sys), unmapped blocks (released), free and unmapped blocks (idle).
//   The library keeps no count of live bytes; heap_alloc is what the last collection marked, found
//   by walking the marked objects, plus what was allocated since (counted when a free list is handed
//   to a thread, so some of it may not be used yet). Right after a collection it is exact.
#include "allocators/bdwgc/bdwgc_binding.h"

#include <gc/gc_mark.h>
#include <stdio.h>
#include <stdlib.h>

#include "allocators/bdwgc/bdwgc_collector.h"
#include "allocators/runtime/stats.h"

enum { BDWGC_PIN_CAPACITY = 1024 }; // pins in force at once, per heap

// Pins are a root range: entries [0, pin_count) hold one reference per pin in force, nested pins
// several times; the rest is null.
struct bdwgc_heap {
  heap_config config; // [const]
  hs_mutex lock;
  size_t pin_count;                  // [lock]
  heap_ref pins[BDWGC_PIN_CAPACITY]; // [lock] scanned as roots
  char version[BDWGC_TEXT_BYTES];    // [const]
  char settings[BDWGC_TEXT_BYTES];   // [const]
};

// Not scanned (allocated by malloc), so the hidden pointer is hidden twice.
struct bdwgc_weak {
  GC_hidden_pointer target; // 0 once the object was found dead
};

// How often the calling thread has entered, over all heaps; the library knows a thread once.
static _Thread_local uint32_t entered_count;
static _Thread_local bool registered_here;

static void range_add(heap_ref *slots, size_t count) {
  if (count > 0) GC_add_roots(slots, slots + count);
}

static void range_remove(heap_ref *slots, size_t count) {
  if (count > 0) GC_remove_roots(slots, slots + count);
}

// ---- life cycle ------------------------------------------------------------------------------------

static void identity_fill(bdwgc_heap *heap) {
  const unsigned number = GC_get_version(); // of the library, not of the header
  char path[BDWGC_PATH_BYTES];
  const char *name = "";
  if (hs_os_mapped_library("libgc.so", path, sizeof path) == 0) {
    name = strrchr(path, '/');
    name = name ? name + 1 : path;
  }
  snprintf(heap->version, sizeof heap->version, "bdwgc %u.%u.%u%s%.80s%s", number >> 16,
           number >> 8 & 0xff, number & 0xff, *name ? " (" : "", name, *name ? ")" : "");
  snprintf(heap->settings, sizeof heap->settings,
           "interior_pointers=%d markers=%d free_space_divisor=%lu atomic=1 "
           "release=3x gcollect_and_unmap stock=%d",
           GC_get_all_interior_pointers(), GC_get_parallel() + 1,
           (unsigned long)GC_get_free_space_divisor(), heap->config.stock != 0);
}

heap_status bdwgc_create(const heap_config *config, bdwgc_heap **out) {
  bdwgc_heap *heap = calloc(1, sizeof *heap);
  if (!heap) return HEAP_NO_MEMORY;
  heap->config = *config;
  const heap_status status = bdwgc_collector_join(config);
  if (status != HEAP_OK) {
    free(heap);
    return status;
  }
  range_add(heap->pins, BDWGC_PIN_CAPACITY);
  identity_fill(heap);
  *out = heap;
  return HEAP_OK;
}

void bdwgc_destroy(bdwgc_heap *heap) {
  if (!heap) return;
  range_remove(heap->pins, BDWGC_PIN_CAPACITY);
  bdwgc_collector_leave(&heap->config);
  free(heap);
}

heap_status bdwgc_thread_enter(bdwgc_heap *heap, bdwgc_thread **out) {
  bdwgc_thread *thread = calloc(1, sizeof *thread);
  if (!thread) return HEAP_NO_MEMORY;
  if (entered_count++ == 0 && !GC_thread_is_registered()) {
    struct GC_stack_base base;
    if (GC_get_stack_base(&base) != GC_SUCCESS || GC_register_my_thread(&base) != GC_SUCCESS) {
      entered_count--;
      free(thread);
      return HEAP_NO_MEMORY;
    }
    registered_here = true;
  }
  thread->heap = heap;
  *out = thread;
  return HEAP_OK;
}

void bdwgc_thread_leave(bdwgc_thread *thread) {
  HS_REQUIRE(!thread->frames, "a thread left the heap inside a root frame");
  free(thread);
  if (--entered_count == 0 && registered_here) {
    registered_here = false;
    GC_unregister_my_thread();
  }
}

heap_ref bdwgc_alloc_slow(size_t ref_count, size_t bytes) {
  GC_gcollect();
  if (ref_count > 0) return (heap_ref){(uintptr_t)GC_malloc(bytes)};
  void *address = GC_malloc_atomic(bytes);
  if (address) memset(address, 0, bytes);
  return (heap_ref){(uintptr_t)address};
}

// ---- roots and pins ----------------------------------------------------------------------------------

void bdwgc_root_add(bdwgc_thread *thread, heap_root *root, heap_ref *slots, size_t count) {
  (void)thread;
  for (size_t i = 0; i < count; i++) slots[i] = HEAP_NULL;
  root->slots = slots;
  root->count = count;
  range_add(slots, count);
}

void bdwgc_root_remove(bdwgc_thread *thread, heap_root *root) {
  (void)thread;
  range_remove(root->slots, root->count);
}

void *bdwgc_pin(bdwgc_thread *thread, heap_ref object, size_t ref_count) {
  bdwgc_heap *heap = thread->heap;
  void *address = NULL;
  hs_mutex_lock(&heap->lock);
  if (heap->pin_count < BDWGC_PIN_CAPACITY) {
    heap->pins[heap->pin_count++] = object;
    address = bdwgc_write(thread, object, ref_count);
  }
  hs_mutex_unlock(&heap->lock);
  return address;
}

void bdwgc_unpin(bdwgc_thread *thread, heap_ref object) {
  bdwgc_heap *heap = thread->heap;
  hs_mutex_lock(&heap->lock);
  size_t i = heap->pin_count;
  while (i > 0 && heap->pins[i - 1].bits != object.bits) i--;
  HS_REQUIRE(i > 0, "heap_unpin of an object that is not pinned");
  heap->pins[i - 1] = heap->pins[--heap->pin_count];
  heap->pins[heap->pin_count] = HEAP_NULL;
  hs_mutex_unlock(&heap->lock);
}

// ---- weak references -----------------------------------------------------------------------------------

heap_status bdwgc_weak_create(bdwgc_thread *thread, heap_ref target, bdwgc_weak **out) {
  (void)thread;
  bdwgc_weak *weak = calloc(1, sizeof *weak);
  if (!weak) return HEAP_NO_MEMORY;
  weak->target = GC_HIDE_POINTER((void *)target.bits);
  if (GC_general_register_disappearing_link((void **)&weak->target, (void *)target.bits) !=
      GC_SUCCESS) {
    free(weak);
    return HEAP_NO_MEMORY;
  }
  *out = weak;
  return HEAP_OK;
}

// Under the library's lock: the collector decides and clears the cell in one step.
static void *GC_CALLBACK weak_reveal_locked(void *cell) {
  const bdwgc_weak *weak = cell;
  return weak->target ? GC_REVEAL_POINTER(weak->target) : NULL;
}

heap_ref bdwgc_weak_get(bdwgc_thread *thread, bdwgc_weak *weak) {
  (void)thread;
  return (heap_ref){(uintptr_t)GC_call_with_alloc_lock(weak_reveal_locked, weak)};
}

void bdwgc_weak_destroy(bdwgc_thread *thread, bdwgc_weak *weak) {
  (void)thread;
  if (!weak) return;
  GC_unregister_disappearing_link((void **)&weak->target);
  free(weak);
}

// ---- collecting and numbers --------------------------------------------------------------------------

// The library unmaps a free block only when it has stayed free through two collections, so that one
// call releases nothing of what just died.
enum { BDWGC_RELEASE_ROUNDS = 3 };

void bdwgc_collect(bdwgc_thread *thread, heap_collect_kind kind) {
  (void)thread;
  const int rounds = kind == HEAP_COLLECT_RELEASE ? BDWGC_RELEASE_ROUNDS : 1;
  for (int round = 0; round < rounds; round++) {
    if (kind == HEAP_COLLECT_RELEASE) {
      GC_gcollect_and_unmap();
    } else {
      GC_gcollect();
    }
    // Counted when done, so that a reader never sees more forced cycles than cycles.
    hs_add_acq_rel(&bdwgc_shared.forced_count, 1); // pairs: bdwgc_stats_read
  }
}

typedef struct bdwgc_census {
  struct GC_prof_stats_s numbers;
  uint64_t marked_bytes, marked_count;
} bdwgc_census;

static void GC_CALLBACK census_visit(void *object, size_t bytes, void *context) {
  (void)object;
  bdwgc_census *census = context;
  census->marked_bytes += bytes;
  census->marked_count++;
}

static void *GC_CALLBACK census_take_locked(void *context) {
  bdwgc_census *census = context;
  GC_get_prof_stats_unsafe(&census->numbers, sizeof census->numbers);
  GC_enumerate_reachable_objects_inner(census_visit, census);
  return NULL;
}

void bdwgc_stats_read(bdwgc_thread *thread, heap_stats *out) {
  (void)thread;
  *out = (heap_stats){0};
  bdwgc_census census = {0};
  const uint64_t forced = hs_load_acquire(&bdwgc_shared.forced_count); // before the cycles
  GC_call_with_alloc_lock(census_take_locked, &census);
  const struct GC_prof_stats_s *n = &census.numbers;
  heap_stats_set(out, HEAP_STAT_heap_sys_bytes, n->heapsize_full);
  heap_stats_set(out, HEAP_STAT_heap_released_bytes, n->unmapped_bytes);
  heap_stats_set(out, HEAP_STAT_heap_inuse_bytes, n->heapsize_full - n->free_bytes_full);
  // A collection also marks the free objects that threads hold in their own lists, so that the sum
  // can exceed what was ever allocated when that is little.
  const uint64_t total = n->allocd_bytes_before_gc + n->bytes_allocd_since_gc;
  heap_stats_set(out, HEAP_STAT_heap_alloc_bytes,
                 hs_min_u64(census.marked_bytes + n->bytes_allocd_since_gc, total));
  if (n->bytes_allocd_since_gc == 0)
    heap_stats_set(out, HEAP_STAT_heap_objects_count, census.marked_count);
  heap_stats_set(out, HEAP_STAT_metadata_bytes, n->obtained_from_os_bytes - n->heapsize_full);
  heap_stats_set(out, HEAP_STAT_total_alloc_bytes, total);
  heap_stats_set(out, HEAP_STAT_cycles_count, n->gc_no);
  heap_stats_set(out, HEAP_STAT_forced_cycles_count, forced);
  heap_stats_set(out, HEAP_STAT_marked_bytes, census.marked_bytes);
  hs_stats_derive(out);
}

// The library's unsynchronised getters: a torn sum is possible and harmless in a sample.
uint64_t bdwgc_footprint(bdwgc_heap *heap) {
  (void)heap;
  return GC_get_obtained_from_os_bytes() - GC_get_unmapped_bytes();
}

const hs_event_log *bdwgc_events(bdwgc_heap *heap) {
  (void)heap;
  return &bdwgc_shared.log;
}

heap_identity bdwgc_identify(bdwgc_heap *heap) {
  return (heap_identity){heap->version, heap->settings};
}
