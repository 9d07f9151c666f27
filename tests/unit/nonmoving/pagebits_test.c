// SPDX-License-Identifier: MIT
// Bit arithmetic of one chunk, beyond the vectors taken from Go (README.md).
#include "cm.h"

#include <string.h>

#include "allocators/base/rng.h"
#include "nonmoving/nm_pagebits.h"

static void expect_summary(nm_sum sum, unsigned start, unsigned max, unsigned end) {
  assert_int_equal(nm_sum_start(sum), start);
  assert_int_equal(nm_sum_max(sum), max);
  assert_int_equal(nm_sum_end(sum), end);
}

static nm_sum summarize_slowly(const uint64_t *used) {
  unsigned start = 0, max = 0, run = 0;
  for (unsigned i = 0; i < NM_CHUNK_PAGES; i++) {
    run = used[i / 64] >> (i % 64) & 1 ? 0 : run + 1;
    max = run > max ? run : max;
    start = run == i + 1 ? run : start;
  }
  return nm_sum_pack(start, max, run);
}

// Words that are full, empty, sparse or dense, so that runs of every length occur.
static void random_chunk(hs_rng *rng, uint64_t *used) {
  for (unsigned w = 0; w < NM_CHUNK_WORDS; w++) {
    const uint64_t a = hs_rng_next(rng), b = hs_rng_next(rng);
    switch (hs_rng_below(rng, 5)) {
    case 0:
      used[w] = 0;
      break;
    case 1:
      used[w] = ~0ull;
      break;
    case 2:
      used[w] = a & b & hs_rng_next(rng);
      break;
    case 3:
      used[w] = a | b;
      break;
    default:
      used[w] = a;
    }
  }
}

static void test_random_summaries_and_searches_match_the_slow_way(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(18);
  for (int round = 0; round < 3000; round++) {
    uint64_t used[NM_CHUNK_WORDS];
    random_chunk(&rng, used);
    assert_int_equal(nm_chunk_summarize(used), summarize_slowly(used));
    const unsigned n = (unsigned)hs_rng_between(&rng, 1, 200);
    unsigned expected = NM_NOT_FOUND, run = 0;
    for (unsigned i = 0; i < NM_CHUNK_PAGES && expected == NM_NOT_FOUND; i++) {
      run = used[i / 64] >> (i % 64) & 1 ? 0 : run + 1;
      if (run == n) expected = i + 1 - n;
    }
    assert_int_equal(nm_chunk_find(used, n, 0), expected);
  }
}

static void test_find_in_a_chunk(void **state) {
  (void)state;
  static const unsigned sizes[] = {1, 2, 5, 64, 65, 161, 512};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    uint64_t used[NM_CHUNK_WORDS] = {0};
    assert_int_equal(nm_chunk_find(used, sizes[i], 0), 0);
    memset(used, 0xff, sizeof used);
    assert_int_equal(nm_chunk_find(used, sizes[i], 0), NM_NOT_FOUND);
    const size_t at = NM_CHUNK_PAGES - sizes[i]; // exact fit at the end
    nm_bits_clear_range(used, at, sizes[i]);
    assert_int_equal(nm_chunk_find(used, sizes[i], 0), at);
    if (at > 0) assert_int_equal(nm_chunk_find(used, sizes[i] + 1, 0), NM_NOT_FOUND);
  }
}

static void test_merge_of_children(void **state) {
  (void)state;
  const nm_sum all = nm_sum_pack(512, 512, 512), none = 0;
  const nm_sum left = nm_sum_pack(10, 20, 30), right = nm_sum_pack(40, 41, 5);
  expect_summary(nm_sum_merge((nm_sum[]){all, all}, 2, 512), 1024, 1024, 1024);
  expect_summary(nm_sum_merge((nm_sum[]){none, all}, 2, 512), 0, 512, 512);
  expect_summary(nm_sum_merge((nm_sum[]){all, left}, 2, 512), 522, 522, 30);
  expect_summary(nm_sum_merge((nm_sum[]){left, right}, 2, 512), 10, 70, 5);
  expect_summary(nm_sum_merge((nm_sum[]){left, all, right}, 3, 512), 10, 30 + 512 + 40, 5);
  expect_summary(NM_SUM_ALL_FREE, NM_SUM_MAX, NM_SUM_MAX, NM_SUM_MAX);
  const nm_sum big = nm_sum_pack(NM_SUM_MAX / 2, NM_SUM_MAX / 2, NM_SUM_MAX / 2);
  assert_true(nm_sum_merge((nm_sum[]){big, big}, 2, NM_SUM_MAX / 2) == NM_SUM_ALL_FREE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_random_summaries_and_searches_match_the_slow_way),
      cmocka_unit_test(test_find_in_a_chunk),
      cmocka_unit_test(test_merge_of_children),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
