// SPDX-License-Identifier: MIT
#include "nonmoving/nm_scavindex.h"

#include "allocators/base/assert.h"

void nm_scav_index_init(nm_scav_index *index, nm_scav_chunk *chunks) {
  *index = (nm_scav_index){.chunks = chunks};
}

// Keep what the chunk held when the generation began, at its first change in it.
static void enter_generation(nm_scav_chunk *chunk, uint32_t generation) {
  if (chunk->generation == generation) return;
  chunk->last_in_use = chunk->in_use & (2 * NM_CHUNK_PAGES - 1);
  chunk->generation = generation;
}

void nm_scav_index_take(nm_scav_index *index, size_t chunk_number, unsigned count) {
  nm_scav_chunk *const chunk = &index->chunks[chunk_number];
  HS_ASSERT(chunk->in_use + count <= NM_CHUNK_PAGES);
  enter_generation(chunk, index->generation);
  chunk->in_use = (uint16_t)(chunk->in_use + count);
  if (chunk->in_use == NM_CHUNK_PAGES) chunk->candidates = 0;
}

static void raise(size_t *end, size_t to) {
  if (*end < to) *end = to;
}

void nm_scav_index_restore(nm_scav_index *index, size_t chunk_number, unsigned last) {
  const size_t end = chunk_number * NM_CHUNK_PAGES + last + 1;
  index->chunks[chunk_number].candidates = 1;
  raise(&index->freed_end, end);
  raise(&index->cursor[NM_SCAV_FORCED], end);
}

void nm_scav_index_give(nm_scav_index *index, size_t chunk_number, unsigned last, unsigned count) {
  nm_scav_chunk *const chunk = &index->chunks[chunk_number];
  HS_ASSERT(chunk->in_use >= count && last < NM_CHUNK_PAGES);
  enter_generation(chunk, index->generation);
  chunk->in_use = (uint16_t)(chunk->in_use - count);
  nm_scav_index_restore(index, chunk_number, last);
}

void nm_scav_index_next_generation(nm_scav_index *index) {
  index->generation++;
  raise(&index->cursor[NM_SCAV_BACKGROUND], index->freed_end);
  index->freed_end = 0;
}

static bool is_eligible(const nm_scav_chunk *chunk, uint32_t generation, nm_scav_mode mode) {
  if (!chunk->candidates) return false;
  if (mode == NM_SCAV_FORCED) return true;
  if (chunk->in_use >= NM_DENSE_PAGES) return false;
  // A record of an older generation did not change since: it held then what it holds now.
  return chunk->generation != generation || chunk->last_in_use < NM_DENSE_PAGES;
}

size_t nm_scav_index_find(nm_scav_index *index, nm_scav_mode mode) {
  size_t *const cursor = &index->cursor[mode];
  while (*cursor > 0) {
    const size_t page = *cursor - 1, chunk = page / NM_CHUNK_PAGES;
    if (is_eligible(&index->chunks[chunk], index->generation, mode)) return page;
    *cursor = chunk * NM_CHUNK_PAGES;
  }
  return NM_NO_PAGE;
}

void nm_scav_index_exhaust(nm_scav_index *index, nm_scav_mode mode, size_t page) {
  const size_t chunk = page / NM_CHUNK_PAGES;
  // A background search starts below what this generation freed, which a forced one must find (I-nm-13).
  const bool saw_all = index->cursor[NM_SCAV_FORCED] <= page + 1 || mode == NM_SCAV_FORCED ||
                       page % NM_CHUNK_PAGES == NM_CHUNK_PAGES - 1;
  if (saw_all) index->chunks[chunk].candidates = 0;
  index->cursor[mode] = chunk * NM_CHUNK_PAGES;
}
