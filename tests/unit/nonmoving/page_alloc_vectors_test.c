// SPDX-License-Identifier: MIT
// Taking and giving back pages: the states, requests and results of Go's mpagealloc_test.go (1.19),
// restated. README.md lists which of its cases is where.
#include "vector.h"

enum { STEPS = 9, HALF = CHUNK / 2, FAR = 0x100000 }; // FAR chunks are 4 TiB apart

// ---- growing ------------------------------------------------------------------------------------

typedef struct grow_vector {
  const char *name;
  unsigned chunks[36]; // from BASE + this, grown one at a time; each below the next
  unsigned count;
} grow_vector;

static const grow_vector grow_vectors[] = {
    {"grow:One", {0}, 1},
    {"grow:Contiguous2", {0, 1}, 2},
    {"grow:Contiguous5", {0, 1, 2, 3, 4}, 5},
    {"grow:Discontiguous", {0, 2, 4}, 3},
    {"grow:Mixed", {0, 1, 2, 4}, 4},
    {"grow:WildlyDiscontiguous", {0, 1, 0x10, 0x21}, 4},
    {"grow:ManyDiscontiguous",
     {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32,
      34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62, 64},
     33},
    {"grow:ExtremelyDiscontiguous", {0, FAR}, 2},
};

// Ranges are not listed in this allocator: a run of adjacent chunks shows as one allocation that fits,
// and one page more does not.
static void check_grow(const grow_vector *v) {
  fixture f = fixture_make_empty(BASE + v->chunks[v->count - 1] + 1);
  for (unsigned i = 0; i < v->count; i++) nm_pages_grow(&f.pages, BASE + v->chunks[i], 1);
  fixture_check(&f, v->name);
  size_t longest = 0;
  for (unsigned i = 0, run = 0; i < v->count; i++) {
    run = i > 0 && v->chunks[i] == v->chunks[i - 1] + 1 ? run + 1 : 1;
    longest = hs_max_size(longest, run);
  }
  size_t released = 0;
  if (nm_pages_alloc(&f.pages, longest * CHUNK + 1, &released) != NM_NO_PAGE)
    VECTOR_FAIL(v->name, 0, "chunks that are not adjacent were joined");
  for (unsigned i = 0; i < v->count;) { // first fit takes the runs from the lowest up
    unsigned run = 1;
    while (i + run < v->count && v->chunks[i + run] == v->chunks[i] + run) run++;
    const size_t page = nm_pages_alloc(&f.pages, run * CHUNK, &released);
    if (page != AT(BASE + v->chunks[i], 0)) VECTOR_FAIL(v->name, i, "got page %zu", page);
    if (released != run * CHUNK) VECTOR_FAIL(v->name, i, "new pages are born released");
    i += run;
  }
  if (nm_pages_alloc(&f.pages, 1, &released) != NM_NO_PAGE) VECTOR_FAIL(v->name, v->count, "more");
  fixture_release(&f);
}

static void test_grow(void **state) {
  (void)state;
  EACH_VECTOR(grow_vectors, check_grow);
}

// ---- allocating ---------------------------------------------------------------------------------

typedef struct alloc_vector {
  const char *name;
  chunk_state before[VECTOR_CHUNKS];
  struct {
    size_t n, page, released; // n 0: end of the list
  } steps[STEPS];
  chunk_state after[VECTOR_CHUNKS]; // the released pages of `before` that are still free stay so
} alloc_vector;

static const alloc_vector alloc_vectors[] = {
    {"alloc:AllFree1",
     {{BASE, {{0}}, {{0, 1}, {2, 2}}}},
     {{1, AT(BASE, 0), 1},
      {1, AT(BASE, 1), 0},
      {1, AT(BASE, 2), 1},
      {1, AT(BASE, 3), 1},
      {1, AT(BASE, 4), 0}},
     {{BASE, {{0, 5}}, {{0}}}}},
    {"alloc:ManyArena1",
     {{BASE, {{0, CHUNK}}, {{0, CHUNK}}},
      {BASE + 1, {{0, CHUNK}}, {{0, CHUNK}}},
      {BASE + 2, {{0, CHUNK - 1}}, {{0, CHUNK}}}},
     {{1, AT(BASE + 2, CHUNK - 1), 1}},
     {{BASE, {{0, CHUNK}}, {{0}}},
      {BASE + 1, {{0, CHUNK}}, {{0}}},
      {BASE + 2, {{0, CHUNK}}, {{0}}}}},
    {"alloc:NotContiguous1",
     {{BASE, {{0, CHUNK}}, {{0, CHUNK}}}, {BASE + 0xff, {{0}}, {{0, CHUNK}}}},
     {{1, AT(BASE + 0xff, 0), 1}},
     {{BASE, {{0, CHUNK}}, {{0}}}, {BASE + 0xff, {{0, 1}}, {{0, CHUNK}}}}},
    {"alloc:AllFree2",
     {{BASE, {{0}}, {{0, 3}, {7, 1}}}},
     {{2, AT(BASE, 0), 2},
      {2, AT(BASE, 2), 1},
      {2, AT(BASE, 4), 0},
      {2, AT(BASE, 6), 1},
      {2, AT(BASE, 8), 0}},
     {{BASE, {{0, 10}}, {{0}}}}},
    {"alloc:Straddle2",
     {{BASE, {{0, CHUNK - 1}}, {{CHUNK - 1, 1}}}, {BASE + 1, {{1, CHUNK - 1}}, {{0}}}},
     {{2, AT(BASE, CHUNK - 1), 1}},
     {{BASE, {{0, CHUNK}}, {{0}}}, {BASE + 1, {{0, CHUNK}}, {{0}}}}},
    {"alloc:AllFree5",
     {{BASE, {{0}}, {{0, 8}, {9, 1}, {17, 5}}}},
     {{5, AT(BASE, 0), 5},
      {5, AT(BASE, 5), 4},
      {5, AT(BASE, 10), 0},
      {5, AT(BASE, 15), 3},
      {5, AT(BASE, 20), 2}},
     {{BASE, {{0, 25}}, {{0}}}}},
    {"alloc:AllFree64",
     {{BASE, {{0}}, {{21, 1}, {63, 65}}}},
     {{64, AT(BASE, 0), 2}, {64, AT(BASE, 64), 64}, {64, AT(BASE, 128), 0}},
     {{BASE, {{0, 192}}, {{0}}}}},
    {"alloc:AllFree65",
     {{BASE, {{0}}, {{129, 1}}}},
     {{65, AT(BASE, 0), 0}, {65, AT(BASE, 65), 1}, {65, AT(BASE, 130), 0}},
     {{BASE, {{0, 195}}, {{0}}}}},
    {"alloc:ExhaustPallocChunkPages-3",
     {{BASE, {{0}}, {{10, 1}}}},
     {{CHUNK - 3, AT(BASE, 0), 1},
      {CHUNK - 3, NM_NO_PAGE, 0},
      {1, AT(BASE, CHUNK - 3), 0},
      {2, AT(BASE, CHUNK - 2), 0},
      {1, NM_NO_PAGE, 0},
      {CHUNK - 3, NM_NO_PAGE, 0}},
     {{BASE, {{0, CHUNK}}, {{0}}}}},
    {"alloc:AllFreePallocChunkPages",
     {{BASE, {{0}}, {{0, 1}, {CHUNK - 1, 1}}}},
     {{CHUNK, AT(BASE, 0), 2}, {CHUNK, NM_NO_PAGE, 0}, {1, NM_NO_PAGE, 0}},
     {{BASE, {{0, CHUNK}}, {{0}}}}},
    {"alloc:StraddlePallocChunkPages",
     {{BASE, {{0, HALF}}, {{0}}}, {BASE + 1, {{HALF, HALF}}, {{3, 100}}}},
     {{CHUNK, AT(BASE, HALF), 100}, {CHUNK, NM_NO_PAGE, 0}, {1, NM_NO_PAGE, 0}},
     {{BASE, {{0, CHUNK}}, {{0}}}, {BASE + 1, {{0, CHUNK}}, {{0}}}}},
    {"alloc:StraddlePallocChunkPages+1",
     {{BASE, {{0, HALF}}, {{0, CHUNK}}}, {BASE + 1, {{0}}, {{0, CHUNK}}}},
     {{CHUNK + 1, AT(BASE, HALF), CHUNK + 1},
      {CHUNK, NM_NO_PAGE, 0},
      {1, AT(BASE + 1, HALF + 1), 1}},
     {{BASE, {{0, CHUNK}}, {{0}}}, {BASE + 1, {{0, HALF + 2}}, {{0, CHUNK}}}}},
    {"alloc:AllFreePallocChunkPages*2",
     {{BASE, {{0}}, {{0}}}, {BASE + 1, {{0}}, {{0}}}},
     {{CHUNK * 2, AT(BASE, 0), 0}, {CHUNK * 2, NM_NO_PAGE, 0}, {1, NM_NO_PAGE, 0}},
     {{BASE, {{0, CHUNK}}, {{0}}}, {BASE + 1, {{0, CHUNK}}, {{0}}}}},
    {"alloc:NotContiguousPallocChunkPages*2",
     {{BASE, {{0}}, {{0, CHUNK}}}, {BASE + 0x40, {{0}}, {{0}}}, {BASE + 0x41, {{0}}, {{0}}}},
     {{CHUNK * 2, AT(BASE + 0x40, 0), 0}, {21, AT(BASE, 0), 21}, {1, AT(BASE, 21), 1}},
     {{BASE, {{0, 22}}, {{0, CHUNK}}},
      {BASE + 0x40, {{0, CHUNK}}, {{0}}},
      {BASE + 0x41, {{0, CHUNK}}, {{0}}}}},
    {"alloc:StraddlePallocChunkPages*2",
     {{BASE, {{0, HALF}}, {{0, 7}}},
      {BASE + 1, {{0}}, {{3, 5}, {121, 10}}},
      {BASE + 2, {{HALF, HALF}}, {{HALF + 12, 2}}}},
     {{CHUNK * 2, AT(BASE, HALF), 15}, {CHUNK * 2, NM_NO_PAGE, 0}, {1, NM_NO_PAGE, 0}},
     {{BASE, {{0, CHUNK}}, {{0}}},
      {BASE + 1, {{0, CHUNK}}, {{0}}},
      {BASE + 2, {{0, CHUNK}}, {{0}}}}},
    {"alloc:StraddlePallocChunkPages*5/4",
     {{BASE, {{0, CHUNK}}, {{0, CHUNK}}},
      {BASE + 1, {{0, CHUNK * 3 / 4}}, {{HALF, CHUNK / 4 + 1}}},
      {BASE + 2, {{0, CHUNK * 3 / 4}}, {{CHUNK / 3, 1}}},
      {BASE + 3, {{0}}, {{CHUNK * 2 / 3, 1}}}},
     {{CHUNK * 5 / 4, AT(BASE + 2, CHUNK * 3 / 4), 1},
      {CHUNK * 5 / 4, NM_NO_PAGE, 0},
      {1, AT(BASE + 1, CHUNK * 3 / 4), 1}},
     {{BASE, {{0, CHUNK}}, {{0}}},
      {BASE + 1, {{0, CHUNK * 3 / 4 + 1}}, {{0}}},
      {BASE + 2, {{0, CHUNK}}, {{0}}},
      {BASE + 3, {{0, CHUNK}}, {{0}}}}},
    {"alloc:AllFreePallocChunkPages*7+5",
     {{BASE, {{0}}, {{50, 1}}},
      {BASE + 1, {{0}}, {{31, 1}}},
      {BASE + 2, {{0}}, {{7, 1}}},
      {BASE + 3, {{0}}, {{200, 1}}},
      {BASE + 4, {{0}}, {{3, 1}}},
      {BASE + 5, {{0}}, {{51, 1}}},
      {BASE + 6, {{0}}, {{20, 1}}},
      {BASE + 7, {{0}}, {{1, 1}}}},
     {{CHUNK * 7 + 5, AT(BASE, 0), 8}, {CHUNK * 7 + 5, NM_NO_PAGE, 0}, {1, AT(BASE + 7, 5), 0}},
     {{BASE, {{0, CHUNK}}, {{0}}},
      {BASE + 1, {{0, CHUNK}}, {{0}}},
      {BASE + 2, {{0, CHUNK}}, {{0}}},
      {BASE + 3, {{0, CHUNK}}, {{0}}},
      {BASE + 4, {{0, CHUNK}}, {{0}}},
      {BASE + 5, {{0, CHUNK}}, {{0}}},
      {BASE + 6, {{0, CHUNK}}, {{0}}},
      {BASE + 7, {{0, 6}}, {{0}}}}},
    // A leaf summary at the end of an OS page of summaries (512 of them), the next one far away.
    {"alloc:DiscontiguousMappedSumBoundary",
     {{511, {{0}}, {{0}}}, {FAR, {{0}}, {{0}}}},
     {{CHUNK - 1, AT(511, 0), 0},
      {1, AT(511, CHUNK - 1), 0},
      {1, AT(FAR, 0), 0},
      {CHUNK - 1, AT(FAR, 1), 0},
      {1, NM_NO_PAGE, 0}},
     {{511, {{0, CHUNK}}, {{0}}}, {FAR, {{0, CHUNK}}, {{0}}}}},
    // golang/go #40191: a search address between chunks, where no summary was ever written.
    {"alloc:DiscontiguousBadSearchAddr",
     {{BASE, {{0, CHUNK - 1}}, {{0}}},
      {BASE + FAR + 0x503, {{0, CHUNK - 10}, {CHUNK - 1, 1}}, {{0}}},
      {BASE + 2 * FAR, {{0}}, {{0}}}},
     {{1, AT(BASE, CHUNK - 1), 0},
      {100, AT(BASE + 2 * FAR, 0), 0},
      {9, AT(BASE + FAR + 0x503, CHUNK - 10), 0}},
     {{BASE, {{0, CHUNK}}, {{0}}},
      {BASE + FAR + 0x503, {{0, CHUNK}}, {{0}}},
      {BASE + 2 * FAR, {{0, 100}}, {{0}}}}},
};

static void check_alloc(const alloc_vector *v) {
  fixture f = fixture_make(v->before);
  for (size_t i = 0; i < STEPS && v->steps[i].n > 0; i++) {
    size_t released = 0;
    const size_t page = nm_pages_alloc(&f.pages, v->steps[i].n, &released);
    if (page != v->steps[i].page)
      VECTOR_FAIL(v->name, i, "page %zu, expected %zu", page, v->steps[i].page);
    if (released != v->steps[i].released)
      VECTOR_FAIL(v->name, i, "%zu released pages, expected %zu", released, v->steps[i].released);
    fixture_check(&f, v->name);
  }
  fixture_expect(&f, v->name, v->after);
  fixture_release(&f);
}

static void test_alloc(void **state) {
  (void)state;
  EACH_VECTOR(alloc_vectors, check_alloc);
}

// ---- exhausting ---------------------------------------------------------------------------------

typedef struct exhaust_vector {
  const char *name;
  size_t n;
} exhaust_vector;

static const exhaust_vector exhaust_vectors[] = {
    {"exhaust:1", 1},       {"exhaust:2", 2},       {"exhaust:3", 3},       {"exhaust:4", 4},
    {"exhaust:5", 5},       {"exhaust:8", 8},       {"exhaust:16", 16},     {"exhaust:64", 64},
    {"exhaust:1024", 1024}, {"exhaust:1025", 1025}, {"exhaust:2048", 2048}, {"exhaust:2049", 2049},
};

static void check_exhaust(const exhaust_vector *v) {
  enum { CHUNKS = 4 };
  fixture f = fixture_make_empty(BASE + CHUNKS);
  nm_pages_grow(&f.pages, BASE, CHUNKS);
  const size_t fits = CHUNKS * CHUNK / v->n;
  for (size_t i = 0; i <= fits; i++) {
    size_t released;
    const size_t expected = i < fits ? AT(BASE, i * v->n) : NM_NO_PAGE;
    const size_t page = nm_pages_alloc(&f.pages, v->n, &released);
    if (page != expected) VECTOR_FAIL(v->name, i, "page %zu, expected %zu", page, expected);
  }
  for (size_t p = 0; p < CHUNKS * CHUNK; p++)
    if (nm_pages_is_used(&f.pages, AT(BASE, p)) != (p < fits * v->n))
      VECTOR_FAIL(v->name, p, "page %zu is in the wrong state", p);
  fixture_check(&f, v->name);
  fixture_release(&f);
}

static void test_exhaust(void **state) {
  (void)state;
  EACH_VECTOR(exhaust_vectors, check_exhaust);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_grow),
      cmocka_unit_test(test_alloc),
      cmocka_unit_test(test_exhaust),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
