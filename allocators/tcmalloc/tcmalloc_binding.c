// SPDX-License-Identifier: MIT
#include "allocators/tcmalloc/tcmalloc_binding.h"

#include <gperftools/malloc_extension_c.h>

#include "allocators/malloc_like_heap.h"
#include "allocators/runtime/stats.h"

heap_status tcmalloc_create(const heap_config *config, tcmalloc_heap **out) {
  tcmalloc_heap *heap = NULL;
  const heap_status status = malloc_like_create(config, &heap);
  if (status != HEAP_OK) return status;
  int major = 0, minor = 0;
  const char *patch = "";
  tc_version(&major, &minor, &patch);
  char version[MALLOC_LIKE_TEXT_BYTES];
  snprintf(version, sizeof version, "gperftools %d.%d%s", major, minor, patch ? patch : "");
  malloc_like_version(heap, version, "libtcmalloc");
  snprintf(heap->settings, sizeof heap->settings,
           "alloc=tc_calloc release=MarkThreadIdle+ReleaseFreeMemory stock=%d", heap->stock);
  *out = heap;
  return HEAP_OK;
}

// Marking the thread idle empties its cache into the central lists, so that whole spans can go.
void tcmalloc_collect(tcmalloc_thread *thread, heap_collect_kind kind) {
  (void)thread;
  if (kind != HEAP_COLLECT_RELEASE) return;
  MallocExtension_MarkThreadIdle();
  MallocExtension_ReleaseFreeMemory();
  MallocExtension_MarkThreadBusy();
}

static bool property_read(const char *name, uint64_t *out) {
  size_t value = 0;
  if (!MallocExtension_GetNumericProperty(name, &value)) return false;
  *out = value;
  return true;
}

// generic.heap_size is all address space obtained; pageheap free and unmapped pages are in no span
// (idle), unmapped ones are released. current_allocated_bytes excludes every cache.
void tcmalloc_stats_read(tcmalloc_thread *thread, heap_stats *out) {
  (void)thread;
  *out = (heap_stats){0};
  uint64_t sys, allocated, free_pages, unmapped;
  if (!property_read("generic.heap_size", &sys) ||
      !property_read("generic.current_allocated_bytes", &allocated) ||
      !property_read("tcmalloc.pageheap_free_bytes", &free_pages) ||
      !property_read("tcmalloc.pageheap_unmapped_bytes", &unmapped))
    return;
  heap_stats_set(out, HEAP_STAT_heap_sys_bytes, sys);
  heap_stats_set(out, HEAP_STAT_heap_released_bytes, unmapped);
  heap_stats_set(out, HEAP_STAT_heap_inuse_bytes, sys - free_pages - unmapped);
  heap_stats_set(out, HEAP_STAT_heap_alloc_bytes, allocated);
  hs_stats_derive(out);
  // Read one by one while other threads allocate: numbers that contradict each other are none.
  if (hs_stats_violation(out)) *out = (heap_stats){0};
}

uint64_t tcmalloc_footprint(tcmalloc_heap *heap) {
  (void)heap;
  uint64_t sys, unmapped;
  return property_read("generic.heap_size", &sys) &&
                 property_read("tcmalloc.pageheap_unmapped_bytes", &unmapped)
             ? sys - unmapped
             : 0;
}
