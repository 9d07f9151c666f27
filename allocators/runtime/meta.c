// SPDX-License-Identifier: MIT
#include "allocators/runtime/meta.h"

#include "allocators/base/assert.h"
#include "allocators/base/bits.h"

// Address space per chunk. Its pages cost memory once they are handed out.
static const size_t CHUNK_BYTES = 1 << 20;
static const size_t MAX_ALIGN = 4096;

typedef struct hs_meta_chunk {
  struct hs_meta_chunk *next; // [const]
  size_t bytes;               // [const] mapped
} hs_meta_chunk;

void hs_meta_init(hs_meta *meta) { *meta = (hs_meta){0}; }

void hs_meta_destroy(hs_meta *meta) {
  for (hs_meta_chunk *chunk = meta->chunks; chunk;) {
    hs_meta_chunk *const next = chunk->next;
    hs_os_unmap(chunk, chunk->bytes);
    chunk = next;
  }
  *meta = (hs_meta){0};
}

// A new chunk with room for `bytes` at any alignment; NULL when the OS refuses.
static hs_meta_chunk *map_chunk(size_t bytes, size_t align) {
  size_t needed;
  if (!hs_add_fits(bytes, sizeof(hs_meta_chunk) + align + hs_os_page_bytes(), &needed)) return NULL;
  const size_t mapped_bytes =
      hs_max_size(CHUNK_BYTES, hs_align_down(needed, hs_os_page_bytes()) + hs_os_page_bytes());
  void *mapped;
  if (hs_os_map(mapped_bytes, hs_os_page_bytes(), &mapped) != 0) return NULL;
  hs_os_huge_pages(mapped, mapped_bytes, false); // or a touched byte might cost 2 MiB
  hs_meta_chunk *const chunk = mapped;
  chunk->bytes = mapped_bytes;
  return chunk;
}

// Start of an aligned piece in the open chunk, NULL when it does not fit.
static char *find_room_locked(const hs_meta *meta, size_t bytes, size_t align) {
  if (!meta->next) return NULL;
  const size_t at = (size_t)(uintptr_t)meta->next;
  const size_t skip = hs_align_up(at, align) - at;
  const size_t room = (size_t)(meta->limit - meta->next);
  return skip <= room && bytes <= room - skip ? meta->next + skip : NULL;
}

static void count_pages_locked(hs_meta *meta, const char *from, const char *to) {
  const size_t page = hs_os_page_bytes();
  const size_t before = hs_align_up((size_t)(uintptr_t)from, page);
  const size_t after = hs_align_up((size_t)(uintptr_t)to, page);
  hs_owner_add(&meta->used_bytes, (uint64_t)(after - before));
}

void *hs_meta_alloc(hs_meta *meta, size_t bytes, size_t align) {
  HS_REQUIRE(hs_is_pow2(align) && align <= MAX_ALIGN, "metadata aligned to %zu bytes", align);
  hs_mutex_lock(&meta->lock);
  char *start = find_room_locked(meta, bytes, align);
  if (!start) {
    hs_meta_chunk *const chunk = map_chunk(bytes, align);
    if (chunk) {
      chunk->next = meta->chunks;
      meta->chunks = chunk;
      // The rest of the old chunk is lost; it was never touched.
      meta->next = (char *)chunk + sizeof *chunk;
      meta->limit = (char *)chunk + chunk->bytes;
      count_pages_locked(meta, (char *)chunk, meta->next);
      start = find_room_locked(meta, bytes, align);
    }
  }
  if (start) {
    count_pages_locked(meta, meta->next, start + bytes);
    meta->next = start + bytes;
  }
  hs_mutex_unlock(&meta->lock);
  return start;
}

uint64_t hs_meta_bytes(const hs_meta *meta) { return hs_load_relaxed(&meta->used_bytes); }
