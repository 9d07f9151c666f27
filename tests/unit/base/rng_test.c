// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocators/base/rng.h"

// splitmix64 from seed 0: the values published with the reference implementation
// (Steele, Lea, Flood 2014; prng.di.unimi.it). hs_mix64 adds the increment itself.
static void test_mix_gives_the_published_values(void **state) {
  (void)state;
  assert_true(hs_mix64(0) == 0xe220a8397b1dcdafull);
  assert_true(hs_mix64(0x9e3779b97f4a7c15ull) == 0x6e789e6aa1b965f4ull);
  assert_true(hs_mix64(2 * 0x9e3779b97f4a7c15ull) == 0x06c45d188009454full);
}

static void test_same_seed_same_sequence(void **state) {
  (void)state;
  hs_rng a = hs_rng_seed(42), b = hs_rng_seed(42), c = hs_rng_seed(43);
  int differing = 0;
  for (int i = 0; i < 1000; i++) {
    const uint64_t x = hs_rng_next(&a);
    assert_true(x == hs_rng_next(&b));
    differing += x != hs_rng_next(&c);
  }
  assert_true(differing > 990);
}

static void test_ranges_are_kept_and_filled(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(7);
  enum { BOUND = 10, ROUNDS = 10000 };
  int seen[BOUND] = {0};
  for (int i = 0; i < ROUNDS; i++) {
    const uint64_t x = hs_rng_below(&rng, BOUND);
    assert_in_range(x, 0, BOUND - 1);
    seen[x]++;
    assert_in_range(hs_rng_between(&rng, 5, 9), 5, 9);
    const double u = hs_rng_unit(&rng);
    assert_true(u >= 0.0 && u < 1.0);
  }
  // Each value is expected 1000 times with a deviation of 30: these limits are ten deviations off.
  for (int i = 0; i < BOUND; i++) assert_in_range(seen[i], 700, 1300);
  assert_int_equal(hs_rng_below(&rng, 1), 0);
  assert_int_equal(hs_rng_between(&rng, 8, 8), 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mix_gives_the_published_values),
      cmocka_unit_test(test_same_seed_same_sequence),
      cmocka_unit_test(test_ranges_are_kept_and_filled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
