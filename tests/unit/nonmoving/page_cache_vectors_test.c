// SPDX-License-Identifier: MIT
// Page caches: the words, requests and results of Go's mpagecache_test.go (1.19), restated. README.md
// lists which of its cases is where.
#include "vector.h"

#include "allocators/base/rng.h"

enum { STEPS = 21, FILLS = 4, FAR = 0x100000 };
#define FULL (~(uint64_t)0)

// ---- taking from a cache ------------------------------------------------------------------------

typedef struct cache_vector {
  const char *name;
  uint64_t free, released;
  struct {
    size_t n;
    int page; // of the cache's 64, or FAIL
    size_t released;
  } steps[STEPS]; // n 0: end of the list
} cache_vector;
enum { FAIL = -1 };

static const cache_vector cache_vectors[] = {
    {"cache:Empty",
     0,
     0,
     {{1, FAIL, 0},
      {2, FAIL, 0},
      {3, FAIL, 0},
      {4, FAIL, 0},
      {5, FAIL, 0},
      {11, FAIL, 0},
      {12, FAIL, 0},
      {16, FAIL, 0},
      {27, FAIL, 0},
      {32, FAIL, 0},
      {43, FAIL, 0},
      {57, FAIL, 0},
      {64, FAIL, 0},
      {121, FAIL, 0}}},
    {"cache:Lo1", 1, 1, {{1, 0, 1}, {1, FAIL, 0}, {10, FAIL, 0}}},
    {"cache:Hi1", 1ull << 63, 1, {{1, 63, 0}, {1, FAIL, 0}, {10, FAIL, 0}}},
    {"cache:Swiss1",
     0x20005555,
     0x5505,
     {{2, FAIL, 0},
      {1, 0, 1},
      {1, 2, 1},
      {1, 4, 0},
      {1, 6, 0},
      {1, 8, 1},
      {1, 10, 1},
      {1, 12, 1},
      {1, 14, 1},
      {1, 29, 0},
      {1, FAIL, 0},
      {10, FAIL, 0}}},
    {"cache:Lo2", 3, 2ull << 62, {{2, 0, 0}, {2, FAIL, 0}, {1, FAIL, 0}}},
    {"cache:Hi2", 3ull << 62, 3ull << 62, {{2, 62, 2}, {2, FAIL, 0}, {1, FAIL, 0}}},
    {"cache:Swiss2",
     0x3333ull << 31,
     0x3030ull << 31,
     {{2, 31, 0}, {2, 35, 2}, {2, 39, 0}, {2, 43, 2}, {2, FAIL, 0}}},
    {"cache:Hi53",
     ((1ull << 53) - 1) << 10,
     0xffffull << 10,
     {{53, 10, 16}, {53, FAIL, 0}, {1, FAIL, 0}}},
    {"cache:Full53", FULL, 0xffffull << 10, {{53, 0, 16}, {53, FAIL, 0}, {1, 53, 0}}},
    {"cache:Full64", FULL, FULL, {{64, 0, 64}, {64, FAIL, 0}, {1, FAIL, 0}}},
    {"cache:FullMixed", FULL, FULL, {{5, 0, 5},     {7, 5, 7},     {1, 12, 1},   {23, 13, 23},
                                     {63, FAIL, 0}, {3, 36, 3},    {3, 39, 3},   {3, 42, 3},
                                     {12, 45, 12},  {11, FAIL, 0}, {4, 57, 4},   {4, FAIL, 0},
                                     {6, FAIL, 0},  {36, FAIL, 0}, {2, 61, 2},   {3, FAIL, 0},
                                     {1, 63, 1},    {4, FAIL, 0},  {2, FAIL, 0}, {62, FAIL, 0},
                                     {1, FAIL, 0}}},
};

static void check_cache(const cache_vector *v) {
  nm_page_cache cache = {.base = AT(BASE, 0), .free = v->free, .scavenged = v->released};
  for (size_t i = 0; i < STEPS && v->steps[i].n > 0; i++) {
    size_t released = 0;
    const size_t page = nm_page_cache_alloc(&cache, v->steps[i].n, &released);
    const size_t expected =
        v->steps[i].page == FAIL ? NM_NO_PAGE : AT(BASE, (size_t)v->steps[i].page);
    if (page != expected) VECTOR_FAIL(v->name, i, "page %zu, expected %zu", page, expected);
    if (released != v->steps[i].released)
      VECTOR_FAIL(v->name, i, "%zu released pages, expected %zu", released, v->steps[i].released);
  }
}

static void test_alloc(void **state) {
  (void)state;
  EACH_VECTOR(cache_vectors, check_cache);
}

// ---- filling a cache ----------------------------------------------------------------------------

typedef struct fill_vector {
  const char *name;
  chunk_state before[VECTOR_CHUNKS];
  struct {
    size_t base;
    uint64_t free, released;
  } fills[FILLS];
  unsigned fill_count;
  chunk_state after[VECTOR_CHUNKS];
} fill_vector;

static const fill_vector fill_vectors[] = {
    {"fill:AllFree",
     {{BASE, {{0}}, {{1, 1}, {64, 64}}}},
     {{AT(BASE, 0), FULL, 2},
      {AT(BASE, 64), FULL, FULL},
      {AT(BASE, 128), FULL, 0},
      {AT(BASE, 192), FULL, 0}},
     4,
     {{BASE, {{0, 256}}, {{0}}}}},
    {"fill:ManyArena",
     {{BASE, {{0, CHUNK}}, {{0, CHUNK}}},
      {BASE + 1, {{0, CHUNK}}, {{0, CHUNK}}},
      {BASE + 2, {{0, CHUNK - 64}}, {{0}}}},
     {{AT(BASE + 2, CHUNK - 64), FULL, 0}},
     1,
     {{BASE, {{0, CHUNK}}, {{0}}},
      {BASE + 1, {{0, CHUNK}}, {{0}}},
      {BASE + 2, {{0, CHUNK}}, {{0}}}}},
    {"fill:NotContiguous",
     {{BASE, {{0, CHUNK}}, {{0, CHUNK}}}, {BASE + 0xff, {{0}}, {{31, 67}}}},
     {{AT(BASE + 0xff, 0), FULL, ((1ull << 33) - 1) << 31}},
     1,
     {{BASE, {{0, CHUNK}}, {{0, CHUNK}}}, {BASE + 0xff, {{0, 64}}, {{64, 34}}}}},
    {"fill:First",
     {{BASE, {{0, 32}, {33, 31}, {96, 32}}, {{1, 4}, {31, 5}, {66, 2}}}},
     {{AT(BASE, 0), 1ull << 32, 1ull << 32}, {AT(BASE, 64), (1ull << 32) - 1, 3 << 2}},
     2,
     {{BASE, {{0, 128}}, {{0}}}}},
    {"fill:Fail",
     {{BASE, {{0, CHUNK}}, {{0}}}},
     {{0, 0, 0}, {0, 0, 0}, {0, 0, 0}},
     3,
     {{BASE, {{0, CHUNK}}, {{0}}}}},
    {"fill:RetainScavBits",
     {{BASE, {{0, 1}, {10, 2}}, {{0, 4}, {11, 1}}}},
     {{AT(BASE, 0), ~(1ull | 3ull << 10), 7 << 1}},
     1,
     {{BASE, {{0, 64}}, {{0, 1}, {11, 1}}}}},
    {"fill:DiscontiguousMappedSumBoundary",
     {{511, {{0, CHUNK - 1}}, {{0}}}, {FAR, {{1, CHUNK - 1}}, {{0}}}},
     {{AT(511, CHUNK - 64), 1ull << 63, 0}, {AT(FAR, 0), 1, 0}, {0, 0, 0}},
     3,
     {{511, {{0, CHUNK}}, {{0}}}, {FAR, {{0, CHUNK}}, {{0}}}}},
};

static void check_fill(const fill_vector *v) {
  fixture f = fixture_make(v->before);
  for (size_t i = 0; i < v->fill_count; i++) {
    nm_page_cache cache = {0};
    nm_pages_fill_cache(&f.pages, &cache);
    if (cache.base != v->fills[i].base)
      VECTOR_FAIL(v->name, i, "base %zu, expected %zu", cache.base, v->fills[i].base);
    if (cache.free != v->fills[i].free) VECTOR_FAIL(v->name, i, "free pages differ");
    if (cache.scavenged != v->fills[i].released) VECTOR_FAIL(v->name, i, "released pages differ");
    fixture_check(&f, v->name);
  }
  fixture_expect(&f, v->name, v->after);
  fixture_release(&f);
}

static void test_fill(void **state) {
  (void)state;
  EACH_VECTOR(fill_vectors, check_fill);
}

// ---- flushing a cache ---------------------------------------------------------------------------

static void check_flush(const char *name, unsigned word, uint64_t free, uint64_t released) {
  const chunk_state before[VECTOR_CHUNKS] = {{BASE, {{word * 64, 64}}, {{0}}}};
  fixture f = fixture_make(before);
  nm_page_cache cache = {.base = AT(BASE, word * 64), .free = free, .scavenged = released};
  nm_pages_flush_cache(&f.pages, &cache);
  const nm_chunk *const chunk = &f.chunks[BASE];
  for (unsigned w = 0; w < NM_CHUNK_WORDS; w++) {
    if (chunk->used[w] != (w == word ? ~free : 0)) VECTOR_FAIL(name, w, "used pages differ");
    if (chunk->scavenged[w] != (w == word ? released : 0))
      VECTOR_FAIL(name, w, "released pages differ");
  }
  if (cache.free != 0 || cache.scavenged != 0) VECTOR_FAIL(name, 0, "the cache is not empty");
  fixture_check(&f, name);
  fixture_release(&f);
}

static void test_flush(void **state) {
  (void)state;
  check_flush("flush:Empty", 0, 0, 0);
  check_flush("flush:Full", 0, FULL, FULL);
  hs_rng rng = hs_rng_seed(19);
  for (int round = 0; round < 100; round++) {
    const uint64_t free = hs_rng_next(&rng);
    check_flush("flush:Random", (unsigned)hs_rng_below(&rng, NM_CHUNK_WORDS), free,
                hs_rng_next(&rng) & free);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alloc),
      cmocka_unit_test(test_fill),
      cmocka_unit_test(test_flush),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
