// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocators/base/bits.h"
#include "allocators/base/rng.h"
#include "tests/unit/seed.h"

static void test_align_against_division(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(test_seed(1));
  for (int i = 0; i < 10000; i++) {
    const size_t align = (size_t)1 << hs_rng_below(&rng, 20);
    const size_t x = hs_rng_below(&rng, 1ull << 40);
    assert_int_equal(hs_align_down(x, align), x / align * align);
    assert_int_equal(hs_align_up(x, align), (x + align - 1) / align * align);
    assert_int_equal(hs_is_aligned(x, align), x % align == 0);
    assert_int_equal(hs_div_up(x, align), x / align + (x % align != 0));
  }
}

static void test_powers_of_two(void **state) {
  (void)state;
  assert_false(hs_is_pow2(0));
  for (unsigned i = 0; i < 64; i++) {
    const uint64_t x = 1ull << i;
    assert_true(hs_is_pow2(x));
    assert_int_equal(hs_log2_floor(x), i);
    assert_int_equal(hs_ctz64(x), i);
    assert_int_equal(hs_popcount64(x), 1);
    assert_int_equal(hs_popcount64(hs_low_mask(i)), i);
    if (i > 1) assert_false(hs_is_pow2(x + 1));
    if (i > 0) assert_int_equal(hs_log2_floor(x | 1), i);
  }
  assert_int_equal(hs_low_mask(0), 0);
  assert_true(hs_low_mask(64) == UINT64_MAX);
}

static void test_overflow_is_reported(void **state) {
  (void)state;
  size_t out = 77;
  assert_true(hs_mul_fits(SIZE_MAX / 2, 2, &out));
  assert_true(out == SIZE_MAX - 1);
  assert_false(hs_mul_fits(SIZE_MAX / 2 + 1, 2, &out));
  assert_true(hs_add_fits(SIZE_MAX - 1, 1, &out));
  assert_true(out == SIZE_MAX);
  assert_false(hs_add_fits(SIZE_MAX, 1, &out));
}

static void test_min_and_max(void **state) {
  (void)state;
  assert_int_equal(hs_min_size(3, 4), 3);
  assert_int_equal(hs_max_size(3, 4), 4);
  assert_true(hs_min_u64(UINT64_MAX, 1) == 1);
  assert_true(hs_max_u64(UINT64_MAX, 1) == UINT64_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_align_against_division),
      cmocka_unit_test(test_powers_of_two),
      cmocka_unit_test(test_overflow_is_reported),
      cmocka_unit_test(test_min_and_max),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
