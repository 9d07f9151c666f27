// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "allocators/runtime/stats.h"

#define SET(stats, name, value) heap_stats_set((stats), HEAP_STAT_##name, (value))
#define GET(stats, name) ((stats)->value[HEAP_STAT_##name])
#define HAS(stats, name) heap_stats_has((stats), HEAP_STAT_##name)

static void test_names_and_meanings_follow_the_list(void **state) {
  (void)state;
#define CHECK(name, meaning)                                                                       \
  assert_string_equal(heap_stat_name(HEAP_STAT_##name), #name);                                    \
  assert_string_equal(heap_stat_meaning(HEAP_STAT_##name), meaning);
  HEAP_STAT_LIST(CHECK)
#undef CHECK
  assert_null(heap_stat_name(HEAP_STAT_COUNT));
  assert_null(heap_stat_meaning((heap_stat)-1));
}

static heap_stats consistent(void) {
  heap_stats stats = {0};
  SET(&stats, heap_sys_bytes, 1000);
  SET(&stats, heap_inuse_bytes, 600);
  SET(&stats, heap_released_bytes, 300);
  SET(&stats, heap_alloc_bytes, 500);
  SET(&stats, metadata_bytes, 50);
  SET(&stats, mallocs_count, 20);
  SET(&stats, frees_count, 5);
  SET(&stats, heap_objects_count, 15);
  return stats;
}

static void test_derived_numbers(void **state) {
  (void)state;
  heap_stats stats = consistent();
  hs_stats_derive(&stats);
  assert_int_equal(GET(&stats, heap_idle_bytes), 400);
  assert_int_equal(GET(&stats, heap_usage_bytes), 700);
  assert_int_equal(GET(&stats, max_fragmentation_bytes), 100);
  assert_int_equal(GET(&stats, footprint_bytes), 750);
  assert_null(hs_stats_violation(&stats));
}

static void test_absent_inputs_leave_absent_results(void **state) {
  (void)state;
  heap_stats stats = {0};
  SET(&stats, heap_sys_bytes, 1000);
  SET(&stats, metadata_bytes, 10);
  hs_stats_derive(&stats);
  assert_false(HAS(&stats, heap_idle_bytes));
  assert_false(HAS(&stats, heap_usage_bytes));
  assert_false(HAS(&stats, max_fragmentation_bytes));
  assert_false(HAS(&stats, footprint_bytes));
  assert_null(hs_stats_violation(&stats));
}

// Breaks one number of a consistent set and expects the identity to be named.
static void expect_violation(heap_stat which, uint64_t value, const char *text) {
  heap_stats stats = consistent();
  hs_stats_derive(&stats);
  SET(&stats, cycles_count, 4);
  SET(&stats, forced_cycles_count, 4);
  SET(&stats, handle_table_bytes, 50);
  SET(&stats, total_alloc_bytes, 500);
  assert_null(hs_stats_violation(&stats));
  heap_stats_set(&stats, which, value);
  const char *const found = hs_stats_violation(&stats);
  assert_non_null(found);
  if (!strstr(found, text)) fail_msg("expected '%s', found '%s'", text, found);
}

static void test_each_identity_is_checked(void **state) {
  (void)state;
  expect_violation(HEAP_STAT_heap_idle_bytes, 401, "heap_sys = heap_idle + heap_inuse");
  expect_violation(HEAP_STAT_heap_released_bytes, 401, "heap_released <= heap_idle");
  expect_violation(HEAP_STAT_heap_alloc_bytes, 601, "heap_alloc <= heap_inuse");
  expect_violation(HEAP_STAT_mallocs_count, 21, "mallocs = frees + heap_objects");
  expect_violation(HEAP_STAT_total_alloc_bytes, 499, "heap_alloc <= total_alloc");
  expect_violation(HEAP_STAT_heap_usage_bytes, 701, "heap_usage = heap_sys - heap_released");
  expect_violation(HEAP_STAT_max_fragmentation_bytes, 99, "max_fragmentation");
  expect_violation(HEAP_STAT_handle_table_bytes, 51, "handle_table <= metadata");
  expect_violation(HEAP_STAT_footprint_bytes, 751, "footprint = heap_usage + metadata - hollow");
  expect_violation(HEAP_STAT_forced_cycles_count, 5, "forced_cycles <= cycles");
}

static void test_sum_keeps_what_both_have(void **state) {
  (void)state;
  heap_stats a = {0}, b = {0};
  SET(&a, heap_sys_bytes, 10);
  SET(&a, heap_alloc_bytes, 1);
  SET(&b, heap_sys_bytes, 32);
  SET(&b, metadata_bytes, 5);
  hs_stats_sum(&a, &b);
  assert_int_equal(GET(&a, heap_sys_bytes), 42);
  assert_false(HAS(&a, heap_alloc_bytes));
  assert_false(HAS(&a, metadata_bytes));
  assert_int_equal(a.present, 1ull << HEAP_STAT_heap_sys_bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names_and_meanings_follow_the_list),
      cmocka_unit_test(test_derived_numbers),
      cmocka_unit_test(test_absent_inputs_leave_absent_results),
      cmocka_unit_test(test_each_identity_is_checked),
      cmocka_unit_test(test_sum_keeps_what_both_have),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
