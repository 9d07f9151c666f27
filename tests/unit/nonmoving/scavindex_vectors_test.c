// SPDX-License-Identifier: MIT
// The index of chunks worth scavenging: the operations and results of TestScavengeIndex and
// TestScavChunkDataPack of Go's mgcscavenge_test.go (1.21), restated. README.md lists which of its cases
// is where. An index begins with every chunk dense in the last generation and found empty in this one.
#include "vector.h"

enum { CHUNKS = 64, MARKS = 32 };

typedef struct fake_index {
  nm_scav_index index;
  nm_scav_chunk chunks[BASE + CHUNKS];
} fake_index;

static void take(nm_scav_index *index, size_t first, size_t end) {
  for (size_t page = first; page < end; page = hs_align_down(page + CHUNK, CHUNK))
    nm_scav_index_take(index, page / CHUNK,
                       (unsigned)(hs_min_size(end, hs_align_down(page + CHUNK, CHUNK)) - page));
}

static void give(nm_scav_index *index, size_t first, size_t end) {
  for (size_t page = first; page < end; page = hs_align_down(page + CHUNK, CHUNK)) {
    const size_t part_end = hs_min_size(end, hs_align_down(page + CHUNK, CHUNK));
    nm_scav_index_give(index, page / CHUNK, (unsigned)((part_end - 1) % CHUNK),
                       (unsigned)(part_end - page));
  }
}

static void fake_init(fake_index *fake) {
  memset(fake, 0, sizeof *fake);
  nm_scav_index *const index = &fake->index;
  nm_scav_index_init(index, fake->chunks);
  take(index, AT(BASE, 0), AT(BASE + CHUNKS, 0));
  nm_scav_index_next_generation(index);
  give(index, AT(BASE, 0), AT(BASE + CHUNKS, 0));
  for (size_t c = 0; c < BASE + CHUNKS; c++) fake->chunks[c].candidates = 0;
  for (unsigned mode = 0; mode < NM_SCAV_MODES; mode++) index->cursor[mode] = 0;
  index->freed_end = 0;
}

// A range of pages is used and freed: candidates now, of chunks that were dense before.
static void mark(fake_index *fake, size_t first, size_t end) {
  take(&fake->index, first, end);
  give(&fake->index, first, end);
}

static void expect(fake_index *fake, const char *name, nm_scav_mode mode, size_t step,
                   size_t expected) {
  const size_t page = nm_scav_index_find(&fake->index, mode);
  if (page != expected)
    VECTOR_FAIL(name, step, "page %zu, expected %zu (mode %d)", page, expected, mode);
  if (page != NM_NO_PAGE) nm_scav_index_exhaust(&fake->index, mode, page);
}

typedef struct index_vector {
  const char *name;
  struct {
    size_t first, end;
  } marks[2];               // end 0: end of the list
  size_t top;               // the first page found; 0: none. Then the tops of the chunks below,
  size_t lowest_chunk;      // down to this one.
  bool one_chunk_at_a_time; // mark the range chunk by chunk
} index_vector;

static const index_vector index_vectors[] = {
    {"index:Uninitialized", {{0, 0}}, 0, BASE, false},
    {"index:OnePage", {{AT(BASE, 3), AT(BASE, 4)}}, AT(BASE, 3), BASE, false},
    {"index:FirstPage", {{AT(BASE, 0), AT(BASE, 1)}}, AT(BASE, 0), BASE, false},
    {"index:SeveralPages", {{AT(BASE, 9), AT(BASE, 14)}}, AT(BASE, 13), BASE, false},
    {"index:WholeChunk", {{AT(BASE, 0), AT(BASE + 1, 0)}}, AT(BASE, CHUNK - 1), BASE, false},
    {"index:LastPage", {{AT(BASE, CHUNK - 1), AT(BASE + 1, 0)}}, AT(BASE, CHUNK - 1), BASE, false},
    {"index:TwoChunks", {{AT(BASE, 128), AT(BASE + 1, 128)}}, AT(BASE + 1, 127), BASE, false},
    {"index:TwoChunksOffset",
     {{AT(BASE + 7, 128), AT(BASE + 8, 129)}},
     AT(BASE + 8, 128),
     BASE + 7,
     false},
    {"index:SevenChunksOffset",
     {{AT(BASE + 6, 11), AT(BASE + 13, 15)}},
     AT(BASE + 13, 14),
     BASE + 6,
     false},
    {"index:ThirtyTwoChunks",
     {{AT(BASE, 0), AT(BASE + 32, 0)}},
     AT(BASE + 31, CHUNK - 1),
     BASE,
     false},
    {"index:ThirtyTwoChunksOffset",
     {{AT(BASE + 3, 0), AT(BASE + 35, 0)}},
     AT(BASE + 34, CHUNK - 1),
     BASE + 3,
     false},
    {"index:Mark", {{AT(BASE, 0), AT(BASE + 32, 0)}}, AT(BASE + 31, CHUNK - 1), BASE, true},
    {"index:MarkIdempotentOneChunk",
     {{AT(BASE, 0), AT(BASE + 1, 0)}, {AT(BASE, 0), AT(BASE + 1, 0)}},
     AT(BASE, CHUNK - 1),
     BASE,
     false},
    {"index:MarkIdempotentThirtyTwoChunks",
     {{AT(BASE, 0), AT(BASE + 32, 0)}, {AT(BASE, 0), AT(BASE + 32, 0)}},
     AT(BASE + 31, CHUNK - 1),
     BASE,
     false},
    {"index:MarkIdempotentThirtyTwoChunksOffset",
     {{AT(BASE + 4, 0), AT(BASE + 31, 0)}, {AT(BASE + 5, 0), AT(BASE + 36, 0)}},
     AT(BASE + 35, CHUNK - 1),
     BASE + 4,
     false},
};

static void mark_all(fake_index *fake, const index_vector *v) {
  for (size_t i = 0; i < COUNT_OF(v->marks) && v->marks[i].end > 0; i++) {
    const size_t first = v->marks[i].first, end = v->marks[i].end;
    const size_t step = v->one_chunk_at_a_time ? CHUNK : end - first;
    for (size_t page = first; page < end; page += step) mark(fake, page, page + step);
  }
}

static void expect_all(fake_index *fake, const index_vector *v, nm_scav_mode mode) {
  size_t page = v->top, step = 0;
  while (page != 0) {
    expect(fake, v->name, mode, step++, page);
    page = page / CHUNK > v->lowest_chunk ? page / CHUNK * CHUNK - 1 : 0;
  }
  expect(fake, v->name, mode, step, NM_NO_PAGE);
}

static void check_index(const index_vector *v) {
  fake_index fake;
  fake_init(&fake);
  mark_all(&fake, v);
  expect(&fake, v->name, NM_SCAV_BACKGROUND, 0, NM_NO_PAGE); // freed in this generation
  nm_scav_index_next_generation(&fake.index);
  expect_all(&fake, v, NM_SCAV_BACKGROUND);
  fake_init(&fake);
  mark_all(&fake, v);
  expect_all(&fake, v, NM_SCAV_FORCED);
}

static void test_index(void **state) {
  (void)state;
  EACH_VECTOR(index_vectors, check_index);
}

static void test_marks_between_searches(void **state) {
  (void)state;
  for (unsigned mode = 0; mode < NM_SCAV_MODES; mode++) {
    fake_index fake;
    fake_init(&fake);
    for (size_t i = 0; i < MARKS; i++) {
      mark(&fake, AT(BASE + i, 0), AT(BASE + i + 1, 0));
      if (mode == NM_SCAV_BACKGROUND) nm_scav_index_next_generation(&fake.index);
      expect(&fake, "index:MarkInterleaved", mode, i, AT(BASE + i, CHUNK - 1));
    }
    expect(&fake, "index:MarkInterleaved", mode, MARKS, NM_NO_PAGE);
  }
}

// Dense now, dense when the generation began, or neither: one chunk through three generations.
static void test_dense_chunks_wait(void **state) {
  (void)state;
  fake_index fake;
  memset(&fake, 0, sizeof fake);
  nm_scav_index *const index = &fake.index;
  const char *const name = "index:dense";
  nm_scav_index_init(index, fake.chunks);
  take(index, AT(BASE, 0), AT(BASE, CHUNK));
  give(index, AT(BASE, NM_DENSE_PAGES), AT(BASE, CHUNK)); // 496 in use
  nm_scav_index_next_generation(index);
  expect(&fake, name, NM_SCAV_BACKGROUND, 0, NM_NO_PAGE); // dense now
  give(index, AT(BASE, 100), AT(BASE, 101));
  expect(&fake, name, NM_SCAV_BACKGROUND, 1, NM_NO_PAGE); // was dense at the turn
  nm_scav_index_next_generation(index);
  assert_int_equal(nm_scav_index_find(index, NM_SCAV_BACKGROUND), AT(BASE, 100));
  take(index, AT(BASE, 100), AT(BASE, 101)); // dense again at once
  expect(&fake, name, NM_SCAV_BACKGROUND, 2, NM_NO_PAGE);
  expect(&fake, name, NM_SCAV_FORCED, 3, AT(BASE, CHUNK - 1));
}

// A sparse chunk that the program goes on using stays eligible.
static void test_sparse_chunks_do_not_wait(void **state) {
  (void)state;
  fake_index fake;
  memset(&fake, 0, sizeof fake);
  nm_scav_index *const index = &fake.index;
  nm_scav_index_init(index, fake.chunks);
  take(index, AT(BASE, 0), AT(BASE, 40));
  give(index, AT(BASE, 20), AT(BASE, 40));
  nm_scav_index_next_generation(index);
  take(index, AT(BASE, 20), AT(BASE, 30));
  expect(&fake, "index:sparse", NM_SCAV_BACKGROUND, 0, AT(BASE, 39));
}

// Freed above the background cursor while it is in the chunk: hidden from it until the next generation,
// but never from a forced search.
static void test_a_forced_search_misses_nothing(void **state) {
  (void)state;
  fake_index fake;
  fake_init(&fake);
  const char *const name = "index:freed above the cursor";
  mark(&fake, AT(BASE, 10), AT(BASE, 20));
  nm_scav_index_next_generation(&fake.index);
  assert_int_equal(nm_scav_index_find(&fake.index, NM_SCAV_BACKGROUND), AT(BASE, 19));
  mark(&fake, AT(BASE, 30), AT(BASE, 40));
  nm_scav_index_exhaust(&fake.index, NM_SCAV_BACKGROUND, AT(BASE, 19));
  expect(&fake, name, NM_SCAV_BACKGROUND, 0, NM_NO_PAGE);
  expect(&fake, name, NM_SCAV_FORCED, 1, AT(BASE, 39));
  expect(&fake, name, NM_SCAV_FORCED, 2, NM_NO_PAGE);
}

static void test_records_hold_their_extremes(void **state) {
  (void)state;
  const struct {
    uint32_t generation;
    uint16_t in_use;
    unsigned last_in_use, flags;
  } rows[] = {{1918237402, 512, 512, 3}, {UINT32_MAX, 12, 0, 0}, {0, 0, 512, 1}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    nm_scav_chunk chunk = {0};
    chunk.generation = rows[i].generation;
    chunk.in_use = rows[i].in_use;
    chunk.last_in_use = rows[i].last_in_use & 0x3fffu;
    chunk.candidates = rows[i].flags & 1u;
    chunk.small_pages = (rows[i].flags >> 1) & 1u;
    assert_int_equal(chunk.generation, rows[i].generation);
    assert_int_equal(chunk.in_use, rows[i].in_use);
    assert_int_equal(chunk.last_in_use, rows[i].last_in_use);
    assert_int_equal(chunk.candidates, rows[i].flags & 1);
    assert_int_equal(chunk.small_pages, rows[i].flags >> 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_index),
      cmocka_unit_test(test_marks_between_searches),
      cmocka_unit_test(test_dense_chunks_wait),
      cmocka_unit_test(test_sparse_chunks_do_not_wait),
      cmocka_unit_test(test_a_forced_search_misses_nothing),
      cmocka_unit_test(test_records_hold_their_extremes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
