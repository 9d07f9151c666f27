// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocators/runtime/config.h"
#include "allocators/runtime/pacer.h"

#define MIB ((uint64_t)1 << 20)

static heap_config with_gogc(int64_t percent) {
  heap_config config = hs_config_default();
  config.gogc_percent = percent;
  return config;
}

static void test_default_doubles(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
  assert_true(hs_pacer_goal_bytes(&config, 100 * MIB, 0) == 200 * MIB);
  assert_true(hs_pacer_goal_bytes(&config, 100 * MIB, 10 * MIB) == 210 * MIB); // roots count once
}

static void test_small_heaps_wait_for_the_minimum(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  assert_true(hs_pacer_goal_bytes(&config, 0, 0) == 4 * MIB);
  assert_true(hs_pacer_goal_bytes(&config, MIB, 0) == 4 * MIB);
  config.gogc_percent = 200; // the minimum scales, as in Go
  assert_true(hs_pacer_goal_bytes(&config, MIB, 0) == 8 * MIB);
  config.gogc_percent = 25;
  assert_true(hs_pacer_goal_bytes(&config, 0, 0) == MIB);
}

static void test_goal_is_always_above_marked(void **state) {
  (void)state;
  for (int64_t percent = 0; percent <= 400; percent += 25) {
    heap_config config = with_gogc(percent);
    config.min_heap_bytes = 0;
    for (uint64_t marked = 0; marked <= 1024 * MIB; marked += 37 * MIB)
      assert_true(hs_pacer_goal_bytes(&config, marked, 0) > marked);
  }
}

static void test_off_never_starts(void **state) {
  (void)state;
  const heap_config config = with_gogc(-1);
  assert_true(hs_pacer_goal_bytes(&config, 100 * MIB, 0) == UINT64_MAX);
}

static void test_limit_caps_but_not_below_marked(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.limit_bytes = (int64_t)(150 * MIB);
  assert_true(hs_pacer_goal_bytes(&config, 50 * MIB, 0) == 100 * MIB);
  assert_true(hs_pacer_goal_bytes(&config, 100 * MIB, 0) == 150 * MIB);
  assert_true(hs_pacer_goal_bytes(&config, 160 * MIB, 0) == 160 * MIB);
  config.gogc_percent = -1; // as GOGC=off with GOMEMLIMIT
  assert_true(hs_pacer_goal_bytes(&config, 10 * MIB, 0) == 150 * MIB);
}

static void test_extremes_saturate(void **state) {
  (void)state;
  heap_config config = with_gogc(100000);
  assert_true(hs_pacer_goal_bytes(&config, UINT64_MAX / 2, UINT64_MAX) == UINT64_MAX);
  config.min_heap_bytes = INT64_MAX;
  assert_true(hs_pacer_goal_bytes(&config, 0, 0) == UINT64_MAX);
  config = with_gogc(100);
  assert_true(hs_pacer_goal_bytes(&config, UINT64_MAX, 0) == UINT64_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_default_doubles),
      cmocka_unit_test(test_small_heaps_wait_for_the_minimum),
      cmocka_unit_test(test_goal_is_always_above_marked),
      cmocka_unit_test(test_off_never_starts),
      cmocka_unit_test(test_limit_caps_but_not_below_marked),
      cmocka_unit_test(test_extremes_saturate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
