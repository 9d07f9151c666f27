// SPDX-License-Identifier: MIT
// The laws that sizes and keys are drawn from, against what their definitions say. Fixed seeds: a
// tolerance is met or not, always.
#include "workloads/laws.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { DRAWS = 1000000, SEED = 11 };

static void test_uniform_reaches_both_ends_evenly(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(SEED);
  const size_law law = {100, 109};
  uint32_t seen[10] = {0};
  for (int i = 0; i < DRAWS; i++) {
    const uint64_t size = law_uniform(&rng, law);
    assert_in_range(size, law.low, law.high);
    seen[size - law.low]++;
  }
  for (size_t i = 0; i < 10; i++) assert_in_range(seen[i], 98000, 102000); // 3 deviations: 900
}

// Rank r has probability 1 / (r * H), H the sum of all 1 / r.
static void test_zipf_draws_rank_r_in_proportion_to_its_inverse(void **state) {
  (void)state;
  enum { OCTAVES = 6, RANKS = 1 << OCTAVES };
  hs_rng rng = hs_rng_seed(SEED);
  double seen[RANKS] = {0}, harmonic = 0;
  for (int i = 0; i < DRAWS; i++) {
    const uint64_t rank = law_zipf(&rng, OCTAVES);
    assert_in_range(rank, 1, RANKS - 1);
    seen[rank]++;
  }
  for (int rank = 1; rank < RANKS; rank++) harmonic += 1.0 / rank;
  for (int rank = 1; rank < RANKS; rank++) {
    const double wanted = DRAWS / (rank * harmonic);
    assert_true(fabs(seen[rank] - wanted) < 5 * sqrt(wanted)); // 5 deviations
  }
}

static void test_zipf_of_one_octave_is_one(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(SEED);
  for (int i = 0; i < 100; i++) assert_int_equal(law_zipf(&rng, 1), 1);
}

// Median and deviation of the logarithm.
static void test_log_normal_has_its_median_and_deviation(void **state) {
  (void)state;
  static const uint64_t medians[] = {40, 160, 768, 100000};
  for (size_t m = 0; m < sizeof medians / sizeof medians[0]; m++) {
    hs_rng rng = hs_rng_seed(SEED + m);
    double sum = 0, squares = 0;
    int below = 0;
    for (int i = 0; i < DRAWS; i++) {
      const uint64_t size = law_log_normal(&rng, medians[m]);
      assert_true(size >= 1);
      below += size < medians[m];
      const double log_size = log((double)size / (double)medians[m]);
      sum += log_size;
      squares += log_size * log_size;
    }
    const double mean = sum / DRAWS, deviation = sqrt(squares / DRAWS - mean * mean);
    assert_in_range(below, DRAWS / 100 * 49, DRAWS / 100 * 51);
    // 1.21 of the law; that sizes are whole bytes widens it where they are small, and the straight
    // lines push the mean off zero.
    assert_true(deviation > 1.20 && deviation < 1.25);
    assert_true(fabs(mean) < 0.05);
  }
}

// Extremes of the tosses stay whole sizes.
static void test_log_normal_stays_whole(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(SEED);
  for (int i = 0; i < 1000; i++) assert_int_equal(law_log_normal(&rng, 0), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_uniform_reaches_both_ends_evenly),
      cmocka_unit_test(test_zipf_draws_rank_r_in_proportion_to_its_inverse),
      cmocka_unit_test(test_zipf_of_one_octave_is_one),
      cmocka_unit_test(test_log_normal_has_its_median_and_deviation),
      cmocka_unit_test(test_log_normal_stays_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
