// SPDX-License-Identifier: MIT
// The life cycle that explicit-free adapters share: one description of the process-wide allocator,
// which serves every thread because it holds no state. Included by an adapter's .c file after its
// binding header.
#include <stdio.h>
#include <stdlib.h>

#include "allocators/os/os.h"

enum {
  MALLOC_LIKE_TEXT_BYTES = 160, // of a version or settings line; a longer one is cut
  MALLOC_LIKE_PATH_BYTES = 512, // of the path of a mapped library; a longer one is not shown
};

struct MALLOC_LIKE(heap) {
  MALLOC_LIKE(thread) thread;
  bool stock; // [const] the library keeps its own default settings
  char version[MALLOC_LIKE_TEXT_BYTES];
  char settings[MALLOC_LIKE_TEXT_BYTES];
};

void MALLOC_LIKE(destroy)(MALLOC_LIKE_HEAP *heap) { free(heap); }

heap_status MALLOC_LIKE(thread_enter)(MALLOC_LIKE_HEAP *heap, MALLOC_LIKE_THREAD **out) {
  *out = &heap->thread;
  return HEAP_OK;
}

void MALLOC_LIKE(thread_leave)(MALLOC_LIKE_THREAD *thread) { (void)thread; }

heap_identity MALLOC_LIKE(identify)(MALLOC_LIKE_HEAP *heap) {
  return (heap_identity){heap->version, heap->settings};
}

// A description with its thread; the caller fills in version and settings. These libraries have no
// limit on their heap, and a limit that is not honoured must not be accepted in silence.
static heap_status malloc_like_create(const heap_config *config, MALLOC_LIKE_HEAP **out) {
  if (config->limit_bytes > 0) return HEAP_UNSUPPORTED;
  MALLOC_LIKE_HEAP *heap = calloc(1, sizeof *heap);
  if (!heap) return HEAP_NO_MEMORY;
  heap->thread.heap = heap;
  heap->stock = config->stock != 0;
  *out = heap;
  return HEAP_OK;
}

// "1.2.3 (libname.so.1.2.3)": what the library says of itself and the file that is mapped.
static inline void malloc_like_version(MALLOC_LIKE_HEAP *heap, const char *version,
                                       const char *library) {
  char path[MALLOC_LIKE_PATH_BYTES];
  if (hs_os_mapped_library(library, path, sizeof path) == 0) {
    const char *name = path;
    for (const char *c = path; *c; c++)
      if (*c == '/') name = c + 1;
    snprintf(heap->version, sizeof heap->version, "%.80s (%.70s)", version, name);
  } else {
    snprintf(heap->version, sizeof heap->version, "%.80s", version);
  }
}
