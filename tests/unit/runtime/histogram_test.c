// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocators/base/rng.h"
#include "allocators/runtime/histogram.h"
#include "tests/unit/seed.h"

static hs_histogram histogram, other, both;

static int reset(void **state) {
  (void)state;
  hs_histogram_reset(&histogram);
  hs_histogram_reset(&other);
  hs_histogram_reset(&both);
  return 0;
}

static void test_every_bucket_holds_its_edges(void **state) {
  (void)state;
  for (size_t i = 0; i < HS_HISTOGRAM_BUCKETS; i++) {
    const uint64_t low = hs_histogram_bucket_low(i);
    assert_int_equal(hs_histogram_index(low), i);
    if (i > 0) assert_int_equal(hs_histogram_index(low - 1), i - 1);
    // No bucket is wider than 1/64 of its values.
    if (i + 1 < HS_HISTOGRAM_BUCKETS)
      assert_true((hs_histogram_bucket_low(i + 1) - low - 1) * 64 <= low);
  }
  assert_int_equal(hs_histogram_index(UINT64_MAX), HS_HISTOGRAM_BUCKETS - 1);
}

static void test_empty_has_no_values(void **state) {
  (void)state;
  assert_int_equal(hs_histogram_quantile(&histogram, 0.5), 0);
  hs_histogram_merge(&histogram, &other);
  assert_int_equal(histogram.count, 0);
  assert_int_equal(histogram.min, 0);
}

static void test_one_value_is_every_quantile(void **state) {
  (void)state;
  hs_histogram_add(&histogram, 123456789);
  const double quantiles[] = {0.0, 0.001, 0.5, 0.999, 1.0};
  for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++)
    assert_int_equal(hs_histogram_quantile(&histogram, quantiles[i]), 123456789);
}

static void test_overlong_values_are_kept_exact_at_the_end(void **state) {
  (void)state;
  hs_histogram_add(&histogram, 5);
  hs_histogram_add(&histogram, 1ull << 50);
  assert_int_equal(hs_histogram_quantile(&histogram, 0.5), 5);
  assert_true(hs_histogram_quantile(&histogram, 0.9) == 1ull << 50);
  assert_true(histogram.max == 1ull << 50);
}

static int compare(const void *a, const void *b) {
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

enum { VALUES = 5000 };

// Spread over all magnitudes, as durations are.
static uint64_t random_duration(hs_rng *rng) {
  return hs_rng_next(rng) >> hs_rng_between(rng, 22, 63);
}

static void test_quantiles_against_a_sorted_array(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(test_seed(1));
  static uint64_t values[VALUES];
  uint64_t sum = 0;
  for (int i = 0; i < VALUES; i++) {
    values[i] = random_duration(&rng);
    hs_histogram_add(&histogram, values[i]);
    sum += values[i];
  }
  qsort(values, VALUES, sizeof values[0], compare);
  assert_int_equal(histogram.count, VALUES);
  assert_true(histogram.sum == sum);
  assert_true(histogram.min == values[0]);
  assert_true(histogram.max == values[VALUES - 1]);
  uint64_t last = 0;
  for (int per_mille = 0; per_mille <= 1000; per_mille++) {
    const double q = per_mille / 1000.0;
    // Nearest rank: the smallest value with at least the share q at or below it.
    int rank = (per_mille * VALUES + 999) / 1000;
    if (rank < 1) rank = 1;
    const uint64_t exact = values[rank - 1];
    const uint64_t found = hs_histogram_quantile(&histogram, q);
    assert_true(found >= exact);
    assert_true(found - exact <= exact / 64);
    assert_true(found >= last);
    last = found;
  }
  assert_true(last == histogram.max);
}

static void test_merge_is_adding_to_one(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(test_seed(2));
  for (int i = 0; i < VALUES; i++) {
    const uint64_t value = random_duration(&rng);
    hs_histogram_add(i % 3 ? &histogram : &other, value);
    hs_histogram_add(&both, value);
  }
  hs_histogram_merge(&histogram, &other);
  assert_memory_equal(&histogram, &both, sizeof both);
  hs_histogram_reset(&other);
  hs_histogram_merge(&other, &both); // into an empty one
  assert_memory_equal(&other, &both, sizeof both);
}

static void test_reset_clears_any_contents(void **state) {
  (void)state;
  memset(&histogram, 0xa5, sizeof histogram);
  hs_histogram_reset(&histogram);
  assert_memory_equal(&histogram, &other, sizeof other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_every_bucket_holds_its_edges, reset),
      cmocka_unit_test_setup(test_empty_has_no_values, reset),
      cmocka_unit_test_setup(test_one_value_is_every_quantile, reset),
      cmocka_unit_test_setup(test_overlong_values_are_kept_exact_at_the_end, reset),
      cmocka_unit_test_setup(test_quantiles_against_a_sorted_array, reset),
      cmocka_unit_test_setup(test_merge_is_adding_to_one, reset),
      cmocka_unit_test_setup(test_reset_clears_any_contents, reset),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
