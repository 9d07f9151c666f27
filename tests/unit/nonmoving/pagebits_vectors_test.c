// SPDX-License-Identifier: MIT
// The bitmap of one chunk: the states, requests and results of Go's mpallocbits_test.go (1.19) and of
// its test of fillAligned, restated. README.md lists which of its cases is where.
#include "vector.h"

#include "allocators/base/rng.h"

enum { STEPS = 12, HALF = CHUNK / 2, QUARTER = CHUNK / 4 };
#define FULL (~(uint64_t)0)

typedef struct bitmap {
  uint64_t words[NM_CHUNK_WORDS];
} bitmap;

// ---- setting ranges -----------------------------------------------------------------------------

typedef struct set_vector {
  const char *name;
  range set;
  bitmap expected;
} set_vector;

static const set_vector set_vectors[] = {
    {"set:OneLow", {0, 1}, {{1}}},
    {"set:OneHigh", {CHUNK - 1, 1}, {{[7] = 1ull << 63}}},
    {"set:Inner", {129, 5}, {{[2] = 0x3e}}},
    {"set:Aligned", {128, 128}, {{[2] = FULL, [3] = FULL}}},
    {"set:Begin", {0, 321}, {{FULL, FULL, FULL, FULL, FULL, 1}}},
    {"set:End", {CHUNK - 193, 193}, {{[4] = 1ull << 63, [5] = FULL, [6] = FULL, [7] = FULL}}},
    {"set:All", {0, CHUNK}, {{FULL, FULL, FULL, FULL, FULL, FULL, FULL, FULL}}},
};

static void check_set(const set_vector *v) {
  bitmap is = {{0}};
  nm_bits_set_range(is.words, v->set.first, v->set.count);
  if (memcmp(&is, &v->expected, sizeof is) != 0) VECTOR_FAIL(v->name, 0, "set bits differ");
  memset(&is, 0xff, sizeof is);
  nm_bits_clear_range(is.words, v->set.first, v->set.count);
  for (unsigned w = 0; w < NM_CHUNK_WORDS; w++)
    if (is.words[w] != ~v->expected.words[w]) VECTOR_FAIL(v->name, w, "cleared bits differ");
}

static void test_set(void **state) {
  (void)state;
  EACH_VECTOR(set_vectors, check_set);
}

// ---- counting -----------------------------------------------------------------------------------

typedef struct count_vector {
  const char *name;
  range set[30];
  struct {
    unsigned first, count, expected;
  } steps[STEPS]; // count 0: end of the list
} count_vector;

static const count_vector count_vectors[] = {
    {"popcount:None",
     {{0}},
     {{0, 1, 0}, {5, 3, 0}, {2, 11, 0}, {QUARTER + 1, HALF, 0}, {0, CHUNK, 0}}},
    {"popcount:All",
     {{0, CHUNK}},
     {{0, 1, 1}, {5, 3, 3}, {2, 11, 11}, {QUARTER + 1, HALF, HALF}, {0, CHUNK, CHUNK}}},
    {"popcount:Half",
     {{HALF, HALF}},
     {{0, 1, 0},
      {5, 3, 0},
      {2, 11, 0},
      {HALF - 1, 1, 0},
      {HALF, 1, 1},
      {HALF + 10, 1, 1},
      {HALF - 1, 2, 1},
      {QUARTER, QUARTER, 0},
      {QUARTER, QUARTER + 1, 1},
      {QUARTER + 1, HALF, QUARTER + 1},
      {0, CHUNK, HALF}}},
    {"popcount:OddBound",
     {{0, 111}},
     {{0, 1, 1},
      {5, 3, 3},
      {2, 11, 11},
      {110, 2, 1},
      {99, 50, 12},
      {110, 1, 1},
      {111, 1, 0},
      {99, 1, 1},
      {120, 1, 0},
      {HALF, HALF, 0},
      {0, CHUNK, 111}}},
    {"popcount:Scattered",
     {{1, 3},   {5, 1},   {7, 1},   {10, 2},  {13, 1},  {15, 4}, {21, 1},  {23, 1},
      {26, 2},  {30, 5},  {36, 2},  {40, 3},  {44, 6},  {51, 1}, {53, 2},  {58, 3},
      {63, 1},  {67, 2},  {71, 10}, {84, 1},  {89, 7},  {99, 2}, {103, 1}, {107, 2},
      {111, 1}, {113, 1}, {115, 1}, {118, 1}, {120, 2}, {125, 5}},
     {{0, 11, 6},
      {0, 64, 39},
      {13, 64, 40},
      {64, 64, 34},
      {0, 128, 73},
      {1, 128, 74},
      {0, CHUNK, 75}}},
};

static void check_count(const count_vector *v) {
  bitmap b = {{0}};
  ranges_set(b.words, v->set, COUNT_OF(v->set));
  for (size_t i = 0; i < STEPS && v->steps[i].count > 0; i++) {
    const unsigned is = nm_bits_popcount_range(b.words, v->steps[i].first, v->steps[i].count);
    if (is != v->steps[i].expected)
      VECTOR_FAIL(v->name, i, "%u bits, expected %u", is, v->steps[i].expected);
  }
}

static void test_count(void **state) {
  (void)state;
  EACH_VECTOR(count_vectors, check_count);
}

// ---- summaries ----------------------------------------------------------------------------------

typedef struct summary_vector {
  const char *name;
  range free[3];
  unsigned start, max, end;
} summary_vector;

static const summary_vector summary_vectors[] = {
    {"summary:NoneFree", {{0}}, 0, 0, 0},
    {"summary:OnlyStart", {{0, 10}}, 10, 10, 0},
    {"summary:OnlyEnd", {{CHUNK - 40, 40}}, 0, 40, 40},
    {"summary:StartAndEnd", {{0, 11}, {CHUNK - 23, 23}}, 11, 23, 23},
    {"summary:StartMaxEnd", {{0, 4}, {50, 100}, {CHUNK - 4, 4}}, 4, 100, 4},
    {"summary:OnlyMax", {{1, 20}, {35, 241}, {CHUNK - 50, 30}}, 0, 241, 0},
    {"summary:MultiMax", {{35, 2}, {40, 5}, {100, 5}}, 0, 5, 0},
    {"summary:One", {{2, 1}}, 0, 1, 0},
    {"summary:AllFree", {{0, CHUNK}}, CHUNK, CHUNK, CHUNK},
};

static void check_summary(const summary_vector *v) {
  bitmap used;
  memset(&used, 0xff, sizeof used);
  for (size_t i = 0; i < COUNT_OF(v->free) && v->free[i].count > 0; i++)
    nm_bits_clear_range(used.words, v->free[i].first, v->free[i].count);
  const nm_sum sum = nm_chunk_summarize(used.words);
  if (nm_sum_start(sum) != v->start) VECTOR_FAIL(v->name, 0, "start %u", nm_sum_start(sum));
  if (nm_sum_max(sum) != v->max) VECTOR_FAIL(v->name, 0, "max %u", nm_sum_max(sum));
  if (nm_sum_end(sum) != v->end) VECTOR_FAIL(v->name, 0, "end %u", nm_sum_end(sum));
}

static void test_summaries(void **state) {
  (void)state;
  EACH_VECTOR(summary_vectors, check_summary);
}

static nm_sum summarize_slowly(const bitmap *used) {
  unsigned start = 0, max = 0, run = 0;
  for (unsigned i = 0; i < CHUNK; i++) {
    run = used->words[i / 64] >> (i % 64) & 1 ? 0 : run + 1;
    max = run > max ? run : max;
    start = run == i + 1 ? run : start;
  }
  return nm_sum_pack(start, max, run);
}

static void test_random_summaries(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(18);
  for (size_t round = 0; round < 4000; round++) {
    bitmap used;
    for (unsigned w = 0; w < NM_CHUNK_WORDS; w++) used.words[w] = hs_rng_next(&rng);
    // Of every second one, words that are empty or full: random words alone have no long run.
    for (unsigned w = 0; w < NM_CHUNK_WORDS && round % 2 == 1; w++)
      if (hs_rng_below(&rng, 3) > 0) used.words[w] = hs_rng_below(&rng, 2) == 0 ? 0 : FULL;
    if (nm_chunk_summarize(used.words) != summarize_slowly(&used))
      VECTOR_FAIL("summary:Random", round, "differs from a scan page by page");
  }
}

// ---- finding ------------------------------------------------------------------------------------

typedef struct find_vector {
  const char *name;
  range used[3];
  unsigned n;
  unsigned hits[6], hit_count; // NM_NOT_FOUND: none
  range after[4];
} find_vector;

static const find_vector find_vectors[] = {
    {"find:AllFree1", {{0}}, 1, {0, 1, 2, 3, 4, 5}, 6, {{0, 6}}},
    {"find:AllFree2", {{0}}, 2, {0, 2, 4, 6, 8, 10}, 6, {{0, 12}}},
    {"find:AllFree5", {{0}}, 5, {0, 5, 10, 15, 20}, 5, {{0, 25}}},
    {"find:AllFree64", {{0}}, 64, {0, 64, 128}, 3, {{0, 192}}},
    {"find:AllFree65", {{0}}, 65, {0, 65, 130}, 3, {{0, 195}}},
    {"find:SomeFree64",
     {{0, 32}, {64, 32}, {100, CHUNK - 100}},
     64,
     {NM_NOT_FOUND},
     1,
     {{0, 32}, {64, 32}, {100, CHUNK - 100}}},
    {"find:NoneFree1", {{0, CHUNK}}, 1, {NM_NOT_FOUND, NM_NOT_FOUND}, 2, {{0, CHUNK}}},
    {"find:NoneFree2", {{0, CHUNK}}, 2, {NM_NOT_FOUND, NM_NOT_FOUND}, 2, {{0, CHUNK}}},
    {"find:NoneFree5", {{0, CHUNK}}, 5, {NM_NOT_FOUND, NM_NOT_FOUND}, 2, {{0, CHUNK}}},
    {"find:NoneFree65", {{0, CHUNK}}, 65, {NM_NOT_FOUND, NM_NOT_FOUND}, 2, {{0, CHUNK}}},
    {"find:ExactFit1",
     {{0, HALF - 3}, {HALF - 2, HALF + 2}},
     1,
     {HALF - 3, NM_NOT_FOUND},
     2,
     {{0, CHUNK}}},
    {"find:ExactFit2",
     {{0, HALF - 3}, {HALF - 1, HALF + 1}},
     2,
     {HALF - 3, NM_NOT_FOUND},
     2,
     {{0, CHUNK}}},
    {"find:ExactFit5",
     {{0, HALF - 3}, {HALF + 2, HALF - 2}},
     5,
     {HALF - 3, NM_NOT_FOUND},
     2,
     {{0, CHUNK}}},
    {"find:ExactFit65",
     {{0, HALF - 31}, {HALF + 34, HALF - 34}},
     65,
     {HALF - 31, NM_NOT_FOUND},
     2,
     {{0, CHUNK}}},
    {"find:SomeFree161", {{0, 185}, {331, 1}}, 161, {332}, 1, {{0, 185}, {331, 162}}},
};

static void check_find(const find_vector *v) {
  bitmap used = {{0}}, after = {{0}};
  ranges_set(used.words, v->used, COUNT_OF(v->used));
  ranges_set(after.words, v->after, COUNT_OF(v->after));
  for (size_t i = 0; i < v->hit_count; i++) {
    const unsigned at = nm_chunk_find(used.words, v->n, 0);
    if (at != v->hits[i]) VECTOR_FAIL(v->name, i, "page %u, expected %u", at, v->hits[i]);
    if (at != NM_NOT_FOUND) nm_bits_set_range(used.words, at, v->n);
  }
  if (memcmp(&used, &after, sizeof used) != 0) VECTOR_FAIL(v->name, v->hit_count, "bits differ");
}

static void test_find(void **state) {
  (void)state;
  EACH_VECTOR(find_vectors, check_find);
}

// ---- clearing -----------------------------------------------------------------------------------

typedef struct clear_vector {
  const char *name;
  range free[3];
  unsigned n, clears[6], clear_count;
  range after[3]; // free ranges
} clear_vector;

static const clear_vector clear_vectors[] = {
    {"clear:SomeFree", {{0, 32}, {64, 32}, {100, 1}}, 1, {32}, 1, {{0, 33}, {64, 32}, {100, 1}}},
    {"clear:NoneFree1", {{0}}, 1, {0, 1, 2, 3, 4, 5}, 6, {{0, 6}}},
    {"clear:NoneFree2", {{0}}, 2, {0, 2, 4, 6, 8, 10}, 6, {{0, 12}}},
    {"clear:NoneFree5", {{0}}, 5, {0, 5, 10, 15, 20}, 5, {{0, 25}}},
    {"clear:NoneFree64", {{0}}, 64, {0, 64, 128}, 3, {{0, 192}}},
    {"clear:NoneFree65", {{0}}, 65, {0, 65, 130}, 3, {{0, 195}}},
};

static void check_clear(const clear_vector *v) {
  bitmap free = {{0}}, after = {{0}}, used;
  ranges_set(free.words, v->free, COUNT_OF(v->free));
  ranges_set(after.words, v->after, COUNT_OF(v->after));
  for (unsigned w = 0; w < NM_CHUNK_WORDS; w++) used.words[w] = ~free.words[w];
  for (size_t i = 0; i < v->clear_count; i++) nm_bits_clear_range(used.words, v->clears[i], v->n);
  for (unsigned w = 0; w < NM_CHUNK_WORDS; w++)
    if (used.words[w] != ~after.words[w]) VECTOR_FAIL(v->name, w, "bits differ");
}

static void test_clear(void **state) {
  (void)state;
  EACH_VECTOR(clear_vectors, check_clear);
}

// ---- runs and groups of a word ------------------------------------------------------------------

typedef struct run_vector {
  const char *name;
  uint64_t word;
  unsigned n, at; // at 64: there is none
} run_vector;

static const run_vector run_vectors[] = {
    {"run:1 at the top", 0x8000000000000000, 1, 63},
    {"run:2 at the top", 0xc000010001010000, 2, 62},
    {"run:2 below", 0xc000010001030000, 2, 16},
    {"run:3 at the top", 0xe000030001030000, 3, 61},
    {"run:3 below", 0xe000030001070000, 3, 16},
    {"run:16 at the top", 0xffff03ff01070000, 16, 48},
    {"run:16 at the bottom", 0xffff03ff0107ffff, 16, 0},
    {"run:16 nowhere", 0x0fff03ff01079fff, 16, 64},
};

static void check_run(const run_vector *v) {
  const unsigned at = nm_bits_find_run(v->word, v->n);
  if (at != v->at) VECTOR_FAIL(v->name, 0, "bit %u, expected %u", at, v->at);
}

static void test_runs(void **state) {
  (void)state;
  for (unsigned n = 1; n <= 64; n++) {
    check_run(&(run_vector){"run:all ones", FULL, n, 0});
    check_run(&(run_vector){"run:all zeros", 0, n, 64});
  }
  EACH_VECTOR(run_vectors, check_run);
}

static uint64_t fill_slowly(uint64_t x, unsigned m) {
  uint64_t filled = 0;
  for (unsigned i = 0; i < 64; i += m)
    if ((x >> i & hs_low_mask(m)) != 0) filled |= hs_low_mask(m) << i;
  return filled;
}

static void check_fill(const char *name, size_t step, uint64_t x, unsigned m) {
  const uint64_t filled = nm_bits_fill_aligned(x, m);
  if (filled != fill_slowly(x, m))
    VECTOR_FAIL(name, step, "groups of %u of %016llx give %016llx", m, (unsigned long long)x,
                (unsigned long long)filled);
}

static void test_fill_aligned(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(27);
  for (unsigned m = 1; m <= 64; m *= 2) {
    const uint64_t fixed[] = {
        0, 0x00000000ffffffff, 0xffffffff00000000, 0x8000000000000001,
        1, 0xf00000000000000f, 0xf00000010050000f, 0xffffffffffffffff,
        2, 0xb02b9effcf137016, 0x3975a076a9fbff18, 0x0f8c88ec3b81506e,
        8, 0x60f14d80ef2fa0e6, 1ull << (m - 1),    m < 64 ? 1ull << m : 0,
    };
    for (size_t i = 0; i < COUNT_OF(fixed); i++) check_fill("fill-aligned:fixed", i, fixed[i], m);
    for (size_t round = 0; round < 1000; round++) {
      uint64_t sparse = 0; // of its groups about half are empty
      for (unsigned at = 0; at < 64; at += m)
        if (hs_rng_below(&rng, 2) == 0) sparse |= (hs_rng_next(&rng) & hs_low_mask(m)) << at;
      check_fill("fill-aligned:random", round, hs_rng_next(&rng), m);
      check_fill("fill-aligned:sparse", round, sparse, m);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_set),       cmocka_unit_test(test_count),
      cmocka_unit_test(test_summaries), cmocka_unit_test(test_random_summaries),
      cmocka_unit_test(test_find),      cmocka_unit_test(test_clear),
      cmocka_unit_test(test_runs),      cmocka_unit_test(test_fill_aligned),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
