// SPDX-License-Identifier: MIT
// Delays without those that the harness provoked itself.
#include "harness/pauses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static hs_event_log *new_log(size_t capacity) {
  hs_event_log *log = calloc(1, sizeof *log);
  assert_int_equal(hs_event_log_init(log, capacity), 0);
  return log;
}

static void free_log(hs_event_log *log) {
  hs_event_log_destroy(log);
  free(log);
}

static void stop(hs_event_log *log, uint64_t begin_ns, uint64_t length_ns) {
  hs_event_log_add(log, HS_EVENT_STOP, 1, begin_ns, begin_ns + length_ns, 0);
}

static void test_rows_are_exactly_the_kinds_a_mutator_feels(void **state) {
  (void)state;
  assert_string_equal(pauses_row_name(0), "all");
  size_t kinds = 0;
  for (int kind = 0; kind < HS_EVENT_KIND_COUNT; kind++) {
    if (!hs_event_kind_is_pause((hs_event_kind)kind)) continue;
    kinds++;
    bool found = false;
    for (size_t row = 1; row < PAUSES_ROWS; row++)
      found |= strcmp(pauses_row_name(row), hs_event_kind_name((hs_event_kind)kind)) == 0;
    assert_true(found);
  }
  assert_int_equal(kinds, PAUSES_ROWS - 1);
}

static void test_phases_and_losses_of_a_full_log(void **state) {
  (void)state;
  hs_event_log *log = new_log(2);
  assert_int_equal(pauses_dropped(NULL), 0);
  assert_int_equal(pauses_dropped(log), 0);
  for (uint64_t i = 1; i <= 5; i++) stop(log, 100 * i, i);
  assert_int_equal(pauses_dropped(log), 3);
  const pauses_phase stops = pauses_phase_of(log, HS_EVENT_STOP);
  assert_int_equal(stops.count, 5);
  assert_int_equal(stops.total_ns, 15);
  assert_int_equal(stops.max_ns, 5);
  assert_int_equal(pauses_phase_of(log, HS_EVENT_MARK).count, 0);
  free_log(log);
}

static void test_skipped_delays_are_not_counted(void **state) {
  (void)state;
  hs_event_log *log = new_log(16);
  run_pauses *pauses = calloc(1, sizeof *pauses);
  stop(log, 100, 10);
  pauses_count(pauses, log); // a stage begins
  stop(log, 200, 5000);      // the forced collection
  pauses_skip(pauses, log);  // it ends
  stop(log, 9000, 20);
  hs_event_log_add(log, HS_EVENT_MARK, 0, 9000, 9900, 0); // no delay
  pauses_count(pauses, log);
  assert_int_equal(pauses->counted[0].count, 2);
  assert_int_equal(pauses->counted[0].sum, 30);
  assert_int_equal(pauses->counted[0].max, 20); // exact below 64 ns
  assert_int_equal(pauses->counted[0].min, 10);
  assert_int_equal(pauses->counted[1].count, 2);
  assert_int_equal(pauses->counted[2].count, 0);
  free(pauses);
  free_log(log);
}

static void test_largest_delay_is_exact_when_new(void **state) {
  (void)state;
  hs_event_log *log = new_log(4);
  run_pauses *pauses = calloc(1, sizeof *pauses);
  stop(log, 0, 123457);
  pauses_count(pauses, log);
  assert_int_equal(pauses->counted[0].max, 123457);
  free(pauses);
  free_log(log);
}

static void test_counting_twice_adds_nothing(void **state) {
  (void)state;
  hs_event_log *log = new_log(4);
  run_pauses *pauses = calloc(1, sizeof *pauses);
  stop(log, 0, 10);
  pauses_count(pauses, log);
  pauses_count(pauses, log);
  pauses_count(pauses, NULL); // a heap without a log
  assert_int_equal(pauses->counted[0].count, 1);
  free(pauses);
  free_log(log);
}

static double fraction_at(const pauses_mmu_point *points, size_t count, uint64_t window_ns) {
  for (size_t i = 0; i < count; i++)
    if (points[i].window_ns == window_ns) return points[i].fraction;
  fail_msg("no point for the window");
  return 0;
}

static void test_mmu_of_one_pause(void **state) {
  (void)state;
  hs_event_log *log = new_log(4);
  stop(log, 1000000, 50000); // 50 us
  const hs_event_log *logs[] = {log, NULL};
  pauses_mmu_point points[PAUSES_MMU_POINTS];
  const size_t count = pauses_mmu(logs, 2, (pauses_window){0, 10000000}, NULL, 0, points);
  assert_float_equal(fraction_at(points, count, 10000), 0.0, 1e-9);
  assert_float_equal(fraction_at(points, count, 100000), 0.5, 1e-9);
  assert_float_equal(fraction_at(points, count, 1000000), 0.95, 1e-9);
  assert_int_equal(points[count - 1].window_ns, 10000000); // none longer than the section
  free_log(log);
}

static void test_mmu_cuts_stages_out_of_the_time_axis(void **state) {
  (void)state;
  hs_event_log *log = new_log(4);
  // 20 us of pause, a stage of 1 s with a forced pause in it, then 20 us again right after it.
  stop(log, 1000000, 20000);
  stop(log, 500000000, 100000000);
  stop(log, 1001020000, 20000);
  const pauses_window stage = {1020000, 1001020000};
  const hs_event_log *logs[] = {log};
  pauses_mmu_point points[PAUSES_MMU_POINTS];
  const size_t count = pauses_mmu(logs, 1, (pauses_window){0, 1010000000}, &stage, 1, points);
  // On the axis without the stage the two pauses touch: 40 us in a row.
  assert_float_equal(fraction_at(points, count, 20000), 0.0, 1e-9);
  assert_float_equal(fraction_at(points, count, 100000), 0.6, 1e-9);
  assert_true(points[count - 1].window_ns <= 10000000); // 10 ms are left of the section
  free_log(log);
}

static void test_no_curve_from_a_log_that_dropped_events(void **state) {
  (void)state;
  hs_event_log *log = new_log(2);
  for (uint64_t i = 0; i < 3; i++) stop(log, 1000 * i, 10);
  const hs_event_log *logs[] = {log};
  pauses_mmu_point points[PAUSES_MMU_POINTS];
  assert_int_equal(pauses_mmu(logs, 1, (pauses_window){0, 1000000}, NULL, 0, points), 0);
  free_log(log);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows_are_exactly_the_kinds_a_mutator_feels),
      cmocka_unit_test(test_phases_and_losses_of_a_full_log),
      cmocka_unit_test(test_skipped_delays_are_not_counted),
      cmocka_unit_test(test_largest_delay_is_exact_when_new),
      cmocka_unit_test(test_counting_twice_adds_nothing),
      cmocka_unit_test(test_mmu_of_one_pause),
      cmocka_unit_test(test_mmu_cuts_stages_out_of_the_time_axis),
      cmocka_unit_test(test_no_curve_from_a_log_that_dropped_events),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
