// SPDX-License-Identifier: MIT
// What the scavenger takes and in which order: the states, requests and results of Go's
// mgcscavenge_test.go (1.19 for candidates and requests, 1.21 for the index), restated. README.md lists
// which of its cases is where.
#include "vector.h"

enum { HUGE_PAGE = 256, REQUESTS = 4 }; // pages of 8 KiB: 2 MiB

static const nm_scav_rule FORCED = {.mode = NM_SCAV_FORCED, .align = 1};

// ---- candidates in a chunk ----------------------------------------------------------------------

typedef struct candidate_vector {
  const char *name;
  chunk_state chunk; // of number BASE
  unsigned min;
  size_t max;
  unsigned huge_page;
  range expected;
} candidate_vector;

static void check_candidate(const candidate_vector *v) {
  const nm_chunk chunk = chunk_of(&v->chunk);
  const nm_scav_rule rule = {NM_SCAV_FORCED, v->min, v->huge_page};
  unsigned first = 0;
  const unsigned n = nm_chunk_find_candidate(&chunk, CHUNK - 1, rule, v->max, &first);
  if (n != v->expected.count || (n > 0 && first != v->expected.first))
    VECTOR_FAIL(v->name, v->min, "%u pages at %u, expected %u at %u", n, first, v->expected.count,
                v->expected.first);
}

static const candidate_vector candidate_vectors[] = {
    {"candidate:MixedMin1",
     {BASE, {{0, 40}, {42, CHUNK - 42}}, {{0, 41}, {42, CHUNK - 42}}},
     1,
     CHUNK,
     0,
     {41, 1}},
    {"candidate:MultiMin1",
     {BASE, {{0, 63}, {65, 20}, {87, CHUNK - 87}}, {{86, 1}}},
     1,
     CHUNK,
     0,
     {85, 1}},
    {"candidate:PreserveHugePageBottom",
     {BASE, {{HUGE_PAGE + 2, CHUNK - HUGE_PAGE - 2}}, {{0}}},
     1,
     3,
     HUGE_PAGE,
     {0, HUGE_PAGE + 2}},
    {"candidate:PreserveHugePageMiddle", // of 64 pages, so that there are several
     {BASE, {{0, 64 - 10}, {2 * 64 + 10, CHUNK - (2 * 64 + 10)}}, {{0}}},
     1,
     12,
     64,
     {64, 64 + 10}},
    {"candidate:PreserveHugePageTop",
     {BASE, {{0, CHUNK - HUGE_PAGE}}, {{0}}},
     1,
     1,
     HUGE_PAGE,
     {CHUNK - HUGE_PAGE, HUGE_PAGE}},
    {"candidate:PreserveHugePageAll", {BASE, {{0}}, {{0}}}, 1, 1, CHUNK, {0, CHUNK}},
    {"candidate:PreserveHugePageNone", {BASE, {{0}}, {{0}}}, 1, 1, 2 * CHUNK, {CHUNK - 1, 1}},
};

static void test_candidates(void **state) {
  (void)state;
  EACH_VECTOR(candidate_vectors, check_candidate);
}

// The same patterns for every size m of an OS page.
static void check_candidates_of(unsigned m) {
  const candidate_vector vectors[] = {
      {"candidate:AllFree", {BASE, {{0}}, {{0}}}, m, CHUNK, 0, {0, CHUNK}},
      {"candidate:AllScavenged", {BASE, {{0}}, {{0, CHUNK}}}, m, CHUNK, 0, {0, 0}},
      {"candidate:NoneFree", {BASE, {{0, CHUNK}}, {{CHUNK / 2, CHUNK / 2}}}, m, CHUNK, 0, {0, 0}},
      {"candidate:StartFree", {BASE, {{m, CHUNK - m}}, {{0}}}, m, CHUNK, 0, {0, m}},
      {"candidate:EndFree", {BASE, {{0, CHUNK - m}}, {{0}}}, m, CHUNK, 0, {CHUNK - m, m}},
      {"candidate:Straddle64",
       {BASE, {{0, 64 - m}, {64 + m, CHUNK - (64 + m)}}, {{0}}},
       m,
       2 * m,
       0,
       {64 - m, 2 * m}},
      {"candidate:BottomEdge64WithFull",
       {BASE, {{64, 64}, {128 + 3 * m, CHUNK - (128 + 3 * m)}}, {{1, 10}}},
       m,
       3 * m,
       0,
       {128, 3 * m}},
      {"candidate:BottomEdge64WithPocket",
       {BASE, {{64, 62}, {127, 1}, {128 + 3 * m, CHUNK - (128 + 3 * m)}}, {{1, 10}}},
       m,
       3 * m,
       0,
       {128, 3 * m}},
      {"candidate:Max0", {BASE, {{0}}, {{0, CHUNK - m}}}, m, 0, 0, {CHUNK - m, m}},
  };
  EACH_VECTOR(vectors, check_candidate);
}

static void check_few_candidates_of(unsigned m) {
  const candidate_vector vectors[] = {
      {"candidate:OneFree",
       {BASE, {{0, 40}, {40 + m, CHUNK - (40 + m)}}, {{0}}},
       m,
       CHUNK,
       0,
       {40, m}},
      {"candidate:OneScavenged",
       {BASE, {{0, 40}, {40 + m, CHUNK - (40 + m)}}, {{40, 1}}},
       m,
       CHUNK,
       0,
       {0, 0}},
  };
  EACH_VECTOR(vectors, check_candidate);
}

static void check_unaligned_candidates_of(unsigned m) {
  const candidate_vector vectors[] = {
      {"candidate:MaxUnaligned",
       {BASE, {{0}}, {{0, CHUNK - (2 * m - 1)}}},
       m,
       m - 2,
       0,
       {CHUNK - m, m}},
      {"candidate:SkipSmall",
       {BASE, {{0, 64 - m}, {64, 5}, {70, 11}, {82, CHUNK - 82}}, {{0}}},
       m,
       m,
       0,
       {64 - m, m}},
      {"candidate:SkipMisaligned",
       {BASE, {{0, 64 - m}, {64, 63}, {127 + m, CHUNK - (127 + m)}}, {{0}}},
       m,
       m,
       0,
       {64 - m, m}},
      {"candidate:MaxLessThan", {BASE, {{0}}, {{0, CHUNK - m}}}, m, 1, 0, {CHUNK - m, m}},
  };
  EACH_VECTOR(vectors, check_candidate);
}

static void test_candidates_of_os_pages(void **state) {
  (void)state;
  for (unsigned m = 1; m <= 64; m *= 2) {
    check_candidates_of(m);
    if (m <= 8) check_few_candidates_of(m);
    if (m > 1) check_unaligned_candidates_of(m);
  }
}

// ---- requests to the page allocator -------------------------------------------------------------

typedef struct scavenge_vector {
  const char *name;
  chunk_state before[VECTOR_CHUNKS];
  struct {
    size_t wanted, released; // pages; wanted 0: end of the list
  } requests[REQUESTS];
  chunk_state after[VECTOR_CHUNKS];
} scavenge_vector;

static const scavenge_vector scavenge_vectors[] = {
    {"scavenge:AllFreeUnscavExhaust",
     {{BASE, {{0}}, {{0}}}, {BASE + 1, {{0}}, {{0}}}, {BASE + 2, {{0}}, {{0}}}},
     {{SIZE_MAX, 3 * CHUNK}},
     {{BASE, {{0}}, {{0, CHUNK}}},
      {BASE + 1, {{0}}, {{0, CHUNK}}},
      {BASE + 2, {{0}}, {{0, CHUNK}}}}},
    {"scavenge:NoneFreeUnscavExhaust",
     {{BASE, {{0, CHUNK}}, {{0}}},
      {BASE + 1, {{0}}, {{0, CHUNK}}},
      {BASE + 2, {{0, CHUNK}}, {{0}}}},
     {{SIZE_MAX, 0}},
     {{BASE, {{0, CHUNK}}, {{0}}},
      {BASE + 1, {{0}}, {{0, CHUNK}}},
      {BASE + 2, {{0, CHUNK}}, {{0}}}}},
    {"scavenge:ScavHighestPageFirst",
     {{BASE, {{0}}, {{1, CHUNK - 2}}}},
     {{1, 1}},
     {{BASE, {{0}}, {{1, CHUNK - 1}}}}},
    {"scavenge:ScavMultiple",
     {{BASE, {{0}}, {{1, CHUNK - 2}}}},
     {{1, 1}, {1, 1}},
     {{BASE, {{0}}, {{0, CHUNK}}}}},
    {"scavenge:ScavMultiple2",
     {{BASE, {{0}}, {{1, CHUNK - 2}}}, {BASE + 1, {{0}}, {{0, CHUNK - 2}}}},
     {{2, 2}, {1, 1}, {1, 1}},
     {{BASE, {{0}}, {{0, CHUNK}}}, {BASE + 1, {{0}}, {{0, CHUNK}}}}},
    {"scavenge:ScavDiscontiguous",
     {{BASE, {{0}}, {{1, CHUNK - 2}}}, {BASE + 0xe, {{0}}, {{2, CHUNK - 2}}}},
     {{2, 2}, {SIZE_MAX, 2}, {SIZE_MAX, 0}},
     {{BASE, {{0}}, {{0, CHUNK}}}, {BASE + 0xe, {{0}}, {{0, CHUNK}}}}},
    {"scavenge:ScavAllVeryDiscontiguous",
     {{BASE, {{0}}, {{0}}}, {BASE + 0x1000, {{0}}, {{0}}}},
     {{SIZE_MAX, 2 * CHUNK}, {SIZE_MAX, 0}},
     {{BASE, {{0}}, {{0, CHUNK}}}, {BASE + 0x1000, {{0}}, {{0, CHUNK}}}}},
};

static size_t release(fixture *f, size_t wanted) {
  size_t released = 0, first, n;
  while (released < wanted &&
         (n = nm_pages_scavenge_begin(&f->pages, FORCED, wanted - released, &first)) > 0) {
    nm_pages_scavenge_end(&f->pages, first, n, true);
    released += n;
  }
  return released;
}

static void check_scavenge(const scavenge_vector *v) {
  fixture f = fixture_make(v->before);
  for (size_t i = 0; i < REQUESTS && v->requests[i].wanted > 0; i++) {
    const size_t released = release(&f, v->requests[i].wanted);
    if (released != v->requests[i].released)
      VECTOR_FAIL(v->name, i, "%zu pages, expected %zu", released, v->requests[i].released);
    fixture_check(&f, v->name);
  }
  fixture_expect(&f, v->name, v->after);
  fixture_release(&f);
}

static void test_scavenge(void **state) {
  (void)state;
  EACH_VECTOR(scavenge_vectors, check_scavenge);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_candidates),
      cmocka_unit_test(test_candidates_of_os_pages),
      cmocka_unit_test(test_scavenge),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
