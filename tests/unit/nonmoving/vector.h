// SPDX-License-Identifier: MIT
// Test vectors of the page layer: the state of a few chunks as ranges of pages, operations with their
// results, and the state afterwards. Chunks are numbered from BASE. Each vector has a name, which every
// failure prints.
#ifndef NONMOVING_TEST_VECTOR_H
#define NONMOVING_TEST_VECTOR_H

#include "cm.h"

#include <stdlib.h>
#include <string.h>

#include "nonmoving/nm_page.h"

enum { CHUNK = NM_CHUNK_PAGES, BASE = 1, VECTOR_CHUNKS = 9 };

#define AT(chunk, page) ((size_t)(chunk)*CHUNK + (page))
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

typedef struct range {
  unsigned first, count;
} range;

typedef struct chunk_state {
  size_t chunk;               // 0: end of the list
  range used[4], released[4]; // a used page is not released, whatever `released` says
} chunk_state;

#define VECTOR_FAIL(name, step, ...)                                                               \
  do {                                                                                             \
    print_error("vector %s, step %zu: ", (name), (size_t)(step));                                  \
    print_error(__VA_ARGS__);                                                                      \
    print_error("\n");                                                                             \
    fail();                                                                                        \
  } while (0)

// The array of all vectors, run one by one.
#define EACH_VECTOR(vectors, check)                                                                \
  for (size_t vector_number = 0; vector_number < COUNT_OF(vectors); vector_number++)               \
  check(&(vectors)[vector_number])

static inline void ranges_set(uint64_t *bits, const range *ranges, size_t capacity) {
  for (size_t i = 0; i < capacity; i++) // an empty one sets nothing
    nm_bits_set_range(bits, ranges[i].first, ranges[i].count);
}

static inline nm_chunk chunk_of(const chunk_state *state) {
  nm_chunk chunk = {0};
  ranges_set(chunk.used, state->used, COUNT_OF(state->used));
  ranges_set(chunk.scavenged, state->released, COUNT_OF(state->released));
  for (unsigned w = 0; w < NM_CHUNK_WORDS; w++) chunk.scavenged[w] &= ~chunk.used[w];
  return chunk;
}

// ---- a page allocator ---------------------------------------------------------------------------

typedef struct fixture {
  nm_pages pages;
  nm_chunk *chunks;
  nm_scav_chunk *scav_chunks;
  nm_sum *levels[NM_LEVELS];
} fixture;

static inline void *zeroed(size_t count, size_t bytes) {
  void *const memory = calloc(count, bytes); // large ones cost memory only where they are used
  assert_non_null(memory);
  return memory;
}

static inline fixture fixture_make_empty(size_t chunk_capacity) {
  const size_t capacity = hs_align_up(hs_max_size(chunk_capacity, 1), NM_ROOT_CHUNKS);
  fixture f;
  f.chunks = zeroed(capacity, sizeof *f.chunks);
  f.scav_chunks = zeroed(capacity, sizeof *f.scav_chunks);
  for (unsigned l = 0; l < NM_LEVELS; l++)
    f.levels[l] = zeroed(nm_pages_level_count(capacity, l), sizeof(nm_sum));
  nm_pages_init(&f.pages, f.chunks, f.scav_chunks, f.levels, capacity);
  return f;
}

// Make the chunk as described; all its pages have been used and freed before.
static inline void fixture_add(fixture *f, const chunk_state *state) {
  const size_t base = state->chunk * CHUNK;
  const nm_chunk wanted = chunk_of(state);
  nm_pages_grow(&f->pages, state->chunk, 1);
  nm_pages_take(&f->pages, base, CHUNK);
  nm_pages_free(&f->pages, base, CHUNK, false);
  memcpy(f->chunks[state->chunk].scavenged, wanted.scavenged, sizeof wanted.scavenged);
  for (size_t i = 0; i < COUNT_OF(state->used); i++)
    if (state->used[i].count > 0)
      nm_pages_take(&f->pages, base + state->used[i].first, state->used[i].count);
}

static inline fixture fixture_make(const chunk_state *states) {
  size_t end = 0;
  for (size_t i = 0; i < VECTOR_CHUNKS && states[i].chunk > 0; i++)
    end = hs_max_size(end, states[i].chunk + 1);
  fixture f = fixture_make_empty(end);
  for (size_t i = 0; i < VECTOR_CHUNKS && states[i].chunk > 0; i++) fixture_add(&f, &states[i]);
  return f;
}

static inline void fixture_release(fixture *f) {
  free(f->chunks);
  free(f->scav_chunks);
  for (unsigned l = 0; l < NM_LEVELS; l++) free(f->levels[l]);
}

// Whole-heap checks look at every chunk up to the highest, so not where terabytes lie between them.
static inline void fixture_check(const fixture *f, const char *name) {
  if (f->pages.chunk_end > 2 * NM_ROOT_CHUNKS) return;
  const char *const violation = nm_pages_violation(&f->pages);
  if (violation) VECTOR_FAIL(name, 0, "%s", violation);
}

static inline void fixture_expect(const fixture *f, const char *name, const chunk_state *states) {
  fixture_check(f, name);
  for (size_t i = 0; i < VECTOR_CHUNKS && states[i].chunk > 0; i++) {
    const nm_chunk expected = chunk_of(&states[i]), *const is = &f->chunks[states[i].chunk];
    if (memcmp(is->used, expected.used, sizeof is->used) != 0)
      VECTOR_FAIL(name, i, "used pages of chunk %zu differ", states[i].chunk);
    if (memcmp(is->scavenged, expected.scavenged, sizeof is->scavenged) != 0)
      VECTOR_FAIL(name, i, "released pages of chunk %zu differ", states[i].chunk);
  }
}

#endif
