// SPDX-License-Identifier: MIT
// Ranges of axes: everything is inside, and names beside points find room.
#include "reports/chart_axis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static axis_range fit(axis_kind kind, const double *values, size_t count) {
  const chart_series series = {"s", NULL, SERIES_POINTS, count, values, values};
  const chart_panel panel = {"p", {"x", kind}, {"y", kind}, &series, 1};
  return axis_fit(&panel, false);
}

static void test_every_point_is_inside(void **state) {
  (void)state;
  static const double values[] = {120e3, 7e6, 98e6};
  static const axis_kind kinds[] = {AXIS_LINEAR, AXIS_LOG_TIME, AXIS_LOG};
  for (size_t k = 0; k < 3; k++) {
    const axis_range range = fit(kinds[k], values, 3);
    for (size_t i = 0; i < 3; i++) {
      const double place = axis_place(kinds[k], range, values[i]);
      assert_true(place >= 0 && place <= 1);
    }
  }
}

// A point just above a power of ten sits on the axis, and its name across it, without more room.
static void test_widened_range_leaves_room_at_both_ends(void **state) {
  (void)state;
  static const double values[] = {101e3, 99e6};
  const axis_range tight = fit(AXIS_LOG_TIME, values, 2);
  assert_true(axis_place(AXIS_LOG_TIME, tight, values[0]) < 0.01);
  const axis_range wide = axis_widen(AXIS_LOG_TIME, tight, 3);
  assert_true(axis_place(AXIS_LOG_TIME, wide, values[0]) > 0.1);
  assert_true(axis_place(AXIS_LOG_TIME, wide, values[1]) < 0.9);
  const axis_range linear = fit(AXIS_LINEAR, values, 2), same = axis_widen(AXIS_LINEAR, linear, 3);
  assert_true(same.low == linear.low && same.high == linear.high);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_point_is_inside),
      cmocka_unit_test(test_widened_range_leaves_room_at_both_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
