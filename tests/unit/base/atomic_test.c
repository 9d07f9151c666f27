// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocators/base/atomic.h"
#include "allocators/base/track.h"

static void test_operations_return_the_old_value(void **state) {
  (void)state;
  _Atomic(uint64_t) word = 0;
  assert_int_equal(hs_add_acq_rel(&word, 5), 0);
  assert_int_equal(hs_sub_relaxed(&word, 2), 5);
  assert_int_equal(hs_or_acq_rel(&word, 8), 3);
  assert_int_equal(hs_and_acq_rel(&word, 9), 11);
  assert_int_equal(hs_exchange_acq_rel(&word, 1), 9);
  hs_owner_add(&word, 41);
  assert_int_equal(hs_load_acquire(&word), 42);
}

static void test_compare_and_swap_refreshes_expected(void **state) {
  (void)state;
  _Atomic(uint32_t) word = 3;
  uint32_t expected = 4;
  assert_false(hs_cas_acq_rel(&word, &expected, 5));
  assert_int_equal(expected, 3);
  assert_true(hs_cas_acq_rel(&word, &expected, 5));
  assert_int_equal(hs_load_relaxed(&word), 5);
}

static void test_tracking_leaves_contents_alone(void **state) {
  (void)state;
  uint64_t words[64];
  for (uint64_t i = 0; i < 64; i++) words[i] = i;
  hs_track_free(words, sizeof words);
  hs_track_live(words, sizeof words);
  for (uint64_t i = 0; i < 64; i++) assert_int_equal(words[i], i);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_operations_return_the_old_value),
      cmocka_unit_test(test_compare_and_swap_refreshes_expected),
      cmocka_unit_test(test_tracking_leaves_contents_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
