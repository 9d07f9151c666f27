// SPDX-License-Identifier: MIT
// Note [mimalloc purging]
//   mimalloc delays giving pages back. Version 2.0.x has no call that flushes what is delayed:
//   mi_collect(true) leaves freed spans resident for good when nothing is freed later, so the delay
//   must be 0 from the start for a release to release. Later versions purge what is pending in a
//   forced mi_collect, so they keep their delay while the program runs and lose it only at a
//   release; the second call purges what the first one handed to the arenas.
// Note [mimalloc numbers]
//   mi_process_info counts committed memory, which includes spans never touched, and heap walks see
//   the calling thread's pages only. Neither is the heap's use, so no statistic is stated.
#include "allocators/mimalloc/mimalloc_binding.h"

#include "allocators/malloc_like_heap.h"

#if MI_MALLOC_VERSION >= 210
#define MIMALLOC_PURGE_DELAY mi_option_purge_delay
enum { MIMALLOC_FLUSHES = 1 };
#else
#define MIMALLOC_PURGE_DELAY mi_option_decommit_delay
enum { MIMALLOC_FLUSHES = 0 };
#endif

heap_status mimalloc_create(const heap_config *config, mimalloc_heap **out) {
  mimalloc_heap *heap = NULL;
  const heap_status status = malloc_like_create(config, &heap);
  if (status != HEAP_OK) return status;
  if (!MIMALLOC_FLUSHES && !heap->stock) mi_option_set(MIMALLOC_PURGE_DELAY, 0);
  char version[MALLOC_LIKE_TEXT_BYTES];
  const int number = mi_version(); // 209 is 2.0.9, 30105 is 3.1.5
  if (number >= 10000) {
    snprintf(version, sizeof version, "mimalloc %d.%d.%d", number / 10000, number / 100 % 100,
             number % 100);
  } else {
    snprintf(version, sizeof version, "mimalloc %d.%d.%d", number / 100, number / 10 % 10,
             number % 10);
  }
  malloc_like_version(heap, version, "libmimalloc");
  snprintf(heap->settings, sizeof heap->settings,
           "alloc=mi_zalloc release=2x mi_collect(true) purge_delay_ms=%ld%s stock=%d",
           mi_option_get(MIMALLOC_PURGE_DELAY),
           MIMALLOC_FLUSHES && !heap->stock ? " (0 at release)" : "", heap->stock);
  *out = heap;
  return HEAP_OK;
}

void mimalloc_collect(mimalloc_thread *thread, heap_collect_kind kind) {
  if (kind != HEAP_COLLECT_RELEASE) return;
  const long delay = mi_option_get(MIMALLOC_PURGE_DELAY);
  if (!thread->heap->stock) mi_option_set(MIMALLOC_PURGE_DELAY, 0);
  mi_collect(true);
  mi_collect(true);
  mi_option_set(MIMALLOC_PURGE_DELAY, delay);
}

void mimalloc_stats_read(mimalloc_thread *thread, heap_stats *out) {
  (void)thread;
  *out = (heap_stats){0}; // Note [mimalloc numbers]
}

uint64_t mimalloc_footprint(mimalloc_heap *heap) {
  (void)heap;
  return 0;
}
