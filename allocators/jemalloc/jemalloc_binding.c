// SPDX-License-Identifier: MIT
#include "allocators/jemalloc/jemalloc_binding.h"

#include <jemalloc/jemalloc.h>

#include "allocators/malloc_like_heap.h"
#include "allocators/runtime/stats.h"

// The pseudo-arena "all" in mallctl names (MALLCTL_ARENAS_ALL of jemalloc.h).
#define JEMALLOC_PURGE_ALL "arena." HS_STRING(MALLCTL_ARENAS_ALL) ".purge"

heap_status jemalloc_create(const heap_config *config, jemalloc_heap **out) {
  jemalloc_heap *heap = NULL;
  const heap_status status = malloc_like_create(config, &heap);
  if (status != HEAP_OK) return status;
  const char *number = "?";
  size_t bytes = sizeof number;
  mallctl("version", &number, &bytes, NULL, 0);
  char version[MALLOC_LIKE_TEXT_BYTES];
  snprintf(version, sizeof version, "jemalloc %s", number);
  malloc_like_version(heap, version, "libjemalloc");
  snprintf(heap->settings, sizeof heap->settings,
           "alloc=calloc release=tcache.flush+arena.all.purge stock=%d", heap->stock);
  *out = heap;
  return HEAP_OK;
}

void jemalloc_collect(jemalloc_thread *thread, heap_collect_kind kind) {
  (void)thread;
  if (kind != HEAP_COLLECT_RELEASE) return;
  mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
  mallctl(JEMALLOC_PURGE_ALL, NULL, NULL, NULL, 0);
}

static bool stat_read(const char *name, uint64_t *out) {
  size_t value = 0, bytes = sizeof value;
  if (mallctl(name, &value, &bytes, NULL, 0) != 0) return false;
  *out = value;
  return true;
}

// Refresh the numbers; they are otherwise those of the last refresh.
static bool stats_refresh(void) {
  uint64_t epoch = 1;
  size_t bytes = sizeof epoch;
  return mallctl("epoch", &epoch, &bytes, &epoch, sizeof epoch) == 0;
}

// Absent when the library was built without statistics. active: pages of extents in use. resident:
// active, dirty pages kept for reuse and the allocator's own metadata, so it is the footprint (an
// upper bound: pages of an active extent that were never touched are counted).
void jemalloc_stats_read(jemalloc_thread *thread, heap_stats *out) {
  (void)thread;
  *out = (heap_stats){0};
  uint64_t allocated, active, resident, metadata;
  if (!stats_refresh() || !stat_read("stats.allocated", &allocated) ||
      !stat_read("stats.active", &active) || !stat_read("stats.resident", &resident) ||
      !stat_read("stats.metadata", &metadata) || resident < metadata)
    return;
  heap_stats_set(out, HEAP_STAT_heap_inuse_bytes, active);
  heap_stats_set(out, HEAP_STAT_heap_alloc_bytes, allocated);
  heap_stats_set(out, HEAP_STAT_max_fragmentation_bytes, active - allocated);
  heap_stats_set(out, HEAP_STAT_heap_usage_bytes, resident - metadata);
  heap_stats_set(out, HEAP_STAT_metadata_bytes, metadata);
  heap_stats_set(out, HEAP_STAT_footprint_bytes, resident);
  // Read one by one while other threads allocate: numbers that contradict each other are none.
  if (hs_stats_violation(out)) *out = (heap_stats){0};
}

uint64_t jemalloc_footprint(jemalloc_heap *heap) {
  (void)heap;
  uint64_t resident;
  return stats_refresh() && stat_read("stats.resident", &resident) ? resident : 0;
}
