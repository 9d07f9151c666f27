// SPDX-License-Identifier: MIT
// Giving pages back: the states and requests of Go's mpagealloc_test.go (1.19), restated. README.md
// lists which of its cases is where.
#include "vector.h"

enum { FREES = 5, HALF = CHUNK / 2 };

typedef struct free_vector {
  const char *name;
  size_t n;
  chunk_state before[VECTOR_CHUNKS];
  size_t frees[FREES]; // first pages; 0: end of the list
  chunk_state after[VECTOR_CHUNKS];
} free_vector;

static const free_vector free_vectors[] = {
    {"free:Free1",
     1,
     {{BASE, {{0, CHUNK}}, {{0}}}},
     {AT(BASE, 0), AT(BASE, 1), AT(BASE, 2), AT(BASE, 3), AT(BASE, 4)},
     {{BASE, {{5, CHUNK - 5}}, {{0}}}}},
    {"free:ManyArena1",
     1,
     {{BASE, {{0, CHUNK}}, {{0}}},
      {BASE + 1, {{0, CHUNK}}, {{0}}},
      {BASE + 2, {{0, CHUNK}}, {{0}}}},
     {AT(BASE, HALF), AT(BASE + 1, 0), AT(BASE + 2, CHUNK - 1)},
     {{BASE, {{0, HALF}, {HALF + 1, HALF - 1}}, {{0}}},
      {BASE + 1, {{1, CHUNK - 1}}, {{0}}},
      {BASE + 2, {{0, CHUNK - 1}}, {{0}}}}},
    {"free:Free2",
     2,
     {{BASE, {{0, CHUNK}}, {{0}}}},
     {AT(BASE, 0), AT(BASE, 2), AT(BASE, 4), AT(BASE, 6), AT(BASE, 8)},
     {{BASE, {{10, CHUNK - 10}}, {{0}}}}},
    {"free:Straddle2",
     2,
     {{BASE, {{CHUNK - 1, 1}}, {{0}}}, {BASE + 1, {{0, 1}}, {{0}}}},
     {AT(BASE, CHUNK - 1)},
     {{BASE, {{0}}, {{0}}}, {BASE + 1, {{0}}, {{0}}}}},
    {"free:Free5",
     5,
     {{BASE, {{0, CHUNK}}, {{0}}}},
     {AT(BASE, 0), AT(BASE, 5), AT(BASE, 10), AT(BASE, 15), AT(BASE, 20)},
     {{BASE, {{25, CHUNK - 25}}, {{0}}}}},
    {"free:Free64",
     64,
     {{BASE, {{0, CHUNK}}, {{0}}}},
     {AT(BASE, 0), AT(BASE, 64), AT(BASE, 128)},
     {{BASE, {{192, CHUNK - 192}}, {{0}}}}},
    {"free:Free65",
     65,
     {{BASE, {{0, CHUNK}}, {{0}}}},
     {AT(BASE, 0), AT(BASE, 65), AT(BASE, 130)},
     {{BASE, {{195, CHUNK - 195}}, {{0}}}}},
    {"free:FreePallocChunkPages",
     CHUNK,
     {{BASE, {{0, CHUNK}}, {{0}}}},
     {AT(BASE, 0)},
     {{BASE, {{0}}, {{0}}}}},
    {"free:StraddlePallocChunkPages",
     CHUNK,
     {{BASE, {{HALF, HALF}}, {{0}}}, {BASE + 1, {{0, HALF}}, {{0}}}},
     {AT(BASE, HALF)},
     {{BASE, {{0}}, {{0}}}, {BASE + 1, {{0}}, {{0}}}}},
    {"free:StraddlePallocChunkPages+1",
     CHUNK + 1,
     {{BASE, {{0, CHUNK}}, {{0}}}, {BASE + 1, {{0, CHUNK}}, {{0}}}},
     {AT(BASE, HALF)},
     {{BASE, {{0, HALF}}, {{0}}}, {BASE + 1, {{HALF + 1, HALF - 1}}, {{0}}}}},
    {"free:FreePallocChunkPages*2",
     CHUNK * 2,
     {{BASE, {{0, CHUNK}}, {{0}}}, {BASE + 1, {{0, CHUNK}}, {{0}}}},
     {AT(BASE, 0)},
     {{BASE, {{0}}, {{0}}}, {BASE + 1, {{0}}, {{0}}}}},
    {"free:StraddlePallocChunkPages*2",
     CHUNK * 2,
     {{BASE, {{0, CHUNK}}, {{0}}},
      {BASE + 1, {{0, CHUNK}}, {{0}}},
      {BASE + 2, {{0, CHUNK}}, {{0}}}},
     {AT(BASE, HALF)},
     {{BASE, {{0, HALF}}, {{0}}}, {BASE + 1, {{0}}, {{0}}}, {BASE + 2, {{HALF, HALF}}, {{0}}}}},
    {"free:AllFreePallocChunkPages*7+5",
     CHUNK * 7 + 5,
     {{BASE, {{0, CHUNK}}, {{0}}},
      {BASE + 1, {{0, CHUNK}}, {{0}}},
      {BASE + 2, {{0, CHUNK}}, {{0}}},
      {BASE + 3, {{0, CHUNK}}, {{0}}},
      {BASE + 4, {{0, CHUNK}}, {{0}}},
      {BASE + 5, {{0, CHUNK}}, {{0}}},
      {BASE + 6, {{0, CHUNK}}, {{0}}},
      {BASE + 7, {{0, CHUNK}}, {{0}}}},
     {AT(BASE, 0)},
     {{BASE, {{0}}, {{0}}},
      {BASE + 1, {{0}}, {{0}}},
      {BASE + 2, {{0}}, {{0}}},
      {BASE + 3, {{0}}, {{0}}},
      {BASE + 4, {{0}}, {{0}}},
      {BASE + 5, {{0}}, {{0}}},
      {BASE + 6, {{0}}, {{0}}},
      {BASE + 7, {{5, CHUNK - 5}}, {{0}}}}},
};

static void check_free(const free_vector *v) {
  fixture f = fixture_make(v->before);
  for (size_t i = 0; i < FREES && v->frees[i] > 0; i++) {
    nm_pages_free(&f.pages, v->frees[i], v->n, false);
    fixture_check(&f, v->name);
  }
  fixture_expect(&f, v->name, v->after);
  // What was freed can be had again. First fit may begin lower, where a hole was before.
  size_t released = 1;
  const size_t page = nm_pages_alloc(&f.pages, v->n, &released);
  if (page > v->frees[0]) VECTOR_FAIL(v->name, 0, "page %zu, expected %zu", page, v->frees[0]);
  if (released != 0) VECTOR_FAIL(v->name, 0, "freed pages are not released");
  fixture_release(&f);
}

static void test_giving_back(void **state) {
  (void)state;
  EACH_VECTOR(free_vectors, check_free);
}

// ---- both ---------------------------------------------------------------------------------------

typedef struct mixed_vector {
  const char *name;
  unsigned chunks;
  struct {
    char what; // 'a'lloc, 'f'ree, 0: end of the list
    size_t n, page;
  } steps[9];
} mixed_vector;

static const mixed_vector mixed_vectors[] = {
    {"alloc-and-free:Chunks8",
     8,
     {{'a', 8 * CHUNK, AT(BASE, 0)},
      {'f', 8 * CHUNK, AT(BASE, 0)},
      {'a', 8 * CHUNK, AT(BASE, 0)},
      {'f', 8 * CHUNK, AT(BASE, 0)},
      {'a', 8 * CHUNK, AT(BASE, 0)},
      {'f', 8 * CHUNK, AT(BASE, 0)},
      {'a', 1, AT(BASE, 0)},
      {'f', 1, AT(BASE, 0)},
      {'a', 8 * CHUNK, AT(BASE, 0)}}},
};

static void check_mixed(const mixed_vector *v) {
  fixture f = fixture_make_empty(BASE + v->chunks);
  nm_pages_grow(&f.pages, BASE, v->chunks);
  for (size_t i = 0; i < COUNT_OF(v->steps) && v->steps[i].what != 0; i++) {
    if (v->steps[i].what == 'f') {
      nm_pages_free(&f.pages, v->steps[i].page, v->steps[i].n, false);
      continue;
    }
    size_t released;
    const size_t page = nm_pages_alloc(&f.pages, v->steps[i].n, &released);
    if (page != v->steps[i].page)
      VECTOR_FAIL(v->name, i, "page %zu, expected %zu", page, v->steps[i].page);
    fixture_check(&f, v->name);
  }
  fixture_release(&f);
}

static void test_alloc_and_free(void **state) {
  (void)state;
  EACH_VECTOR(mixed_vectors, check_mixed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_giving_back),
      cmocka_unit_test(test_alloc_and_free),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
