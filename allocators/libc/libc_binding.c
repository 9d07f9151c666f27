// SPDX-License-Identifier: MIT
#include "allocators/libc/libc_binding.h"

#include <gnu/libc-version.h>
#include <malloc.h>

#include "allocators/malloc_like_heap.h"

heap_status libc_create(const heap_config *config, libc_heap **out) {
  libc_heap *heap = NULL;
  const heap_status status = malloc_like_create(config, &heap);
  if (status != HEAP_OK) return status;
  char version[MALLOC_LIKE_TEXT_BYTES];
  snprintf(version, sizeof version, "glibc %s", gnu_get_libc_version());
  malloc_like_version(heap, version, "libc.so");
  snprintf(heap->settings, sizeof heap->settings, "alloc=calloc release=malloc_trim(0)");
  *out = heap;
  return HEAP_OK;
}

void libc_collect(libc_thread *thread, heap_collect_kind kind) {
  (void)thread;
  if (kind == HEAP_COLLECT_RELEASE) malloc_trim(0);
}

// mallinfo2, summed by glibc over all arenas: arena and hblkhd (mapped alone) were obtained from the
// OS; uordblks and hblkhd are in use, chunk headers included. Chunks in a thread's tcache count as
// in use. What malloc_trim released inside an arena is not subtracted by glibc, so heap_usage would
// overstate and is left absent; the RSS of the record tells.
void libc_stats_read(libc_thread *thread, heap_stats *out) {
  (void)thread;
  *out = (heap_stats){0};
  const struct mallinfo2 info = mallinfo2();
  if (info.arena + info.hblkhd == 0) return; // malloc is not glibc's (a sanitizer's)
  heap_stats_set(out, HEAP_STAT_heap_sys_bytes, info.arena + info.hblkhd);
  heap_stats_set(out, HEAP_STAT_heap_alloc_bytes, info.uordblks + info.hblkhd);
}

uint64_t libc_footprint(libc_heap *heap) {
  (void)heap;
  return 0;
}
