// SPDX-License-Identifier: MIT
#include "allocators/libc/libc_binding.h"

#include <gnu/libc-version.h>
#include <malloc.h>
#include <stdio.h>

struct libc_heap {
  libc_thread thread; // one description serves every thread: it holds no state
  char version[32];
};

heap_status libc_create(const heap_config *config, libc_heap **out) {
  if (config->limit_bytes > 0) return HEAP_UNSUPPORTED;
  libc_heap *heap = calloc(1, sizeof *heap);
  if (!heap) return HEAP_NO_MEMORY;
  heap->thread.heap = heap;
  snprintf(heap->version, sizeof heap->version, "glibc %s", gnu_get_libc_version());
  *out = heap;
  return HEAP_OK;
}

void libc_destroy(libc_heap *heap) { free(heap); }

heap_status libc_thread_enter(libc_heap *heap, libc_thread **out) {
  *out = &heap->thread;
  return HEAP_OK;
}

void libc_thread_leave(libc_thread *thread) { (void)thread; }

void libc_collect(libc_thread *thread, heap_collect_kind kind) {
  (void)thread;
  if (kind == HEAP_COLLECT_RELEASE) malloc_trim(0);
}

// mallinfo2: arena and hblkhd are obtained from the OS; uordblks and hblkhd are in use. What
// malloc_trim released inside the arena is not subtracted by glibc, so heap_usage would overstate
// and is left absent; RSS tells.
void libc_stats_read(libc_thread *thread, heap_stats *out) {
  (void)thread;
  *out = (heap_stats){0};
  const struct mallinfo2 info = mallinfo2();
  heap_stats_set(out, HEAP_STAT_heap_sys_bytes, info.arena + info.hblkhd);
  heap_stats_set(out, HEAP_STAT_heap_alloc_bytes, info.uordblks + info.hblkhd);
}

heap_identity libc_identify(libc_heap *heap) {
  return (heap_identity){heap->version, "calloc; malloc_trim(0) at stages"};
}
