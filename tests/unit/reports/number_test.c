// SPDX-License-Identifier: MIT
// How numbers are written: units, fixed decimals, and no interval that cannot be seen.
#include <stdarg.h>
#include <stdint.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "reports/number.h"

static void test_units(void **state) {
  (void)state;
  arena m = {0};
  assert_string_equal(show_mib(&m, 16.015625 * 1048576), "16.02");
  assert_string_equal(show_mib(&m, -10), "0.00"); // no negative zero
  assert_string_equal(show_mib(&m, -1048576), "-1.00");
  assert_string_equal(show_ns(&m, 12.34), "12.3 ns");
  assert_string_equal(show_ns(&m, 999.4), "999 ns");
  assert_string_equal(show_ns(&m, 999.6), "1.00 µs");
  assert_string_equal(show_ns(&m, 14100), "14.1 µs");
  assert_string_equal(show_ns(&m, 160e3), "160 µs");
  assert_string_equal(show_ns(&m, 2.314e6), "2.31 ms");
  assert_string_equal(show_ns(&m, 1.58e9), "1.58 s");
  assert_string_equal(show_ns(&m, 0), "0.0 ns");
  assert_string_equal(show_rate(&m, 1634567), "1.63 M/s");
  assert_string_equal(show_rate(&m, 23456), "23.5 k/s");
  assert_string_equal(show_ratio(&m, 0.0053), "0.0053×");
  assert_string_equal(show_ratio(&m, 1.634), "1.63×");
  assert_string_equal(show_ratio(&m, 163.4), "163×");
  assert_string_equal(show_integer(&m, 1048576), "1,048,576");
  assert_string_equal(show_integer(&m, -999), "-999");
  assert_string_equal(show_integer(&m, 1000), "1,000");
  assert_string_equal(show_percent(&m, 0.631), "63.1 %");
  arena_free(&m);
}

static void test_the_end_of_a_name_is_its_unit(void **state) {
  (void)state;
  assert_ptr_equal(show_by_unit("op_max_ns"), show_ns);
  assert_ptr_equal(show_by_unit("moved_bytes"), show_mib_unit);
  assert_ptr_equal(show_by_unit("steady_writes_per_s"), show_rate);
  assert_ptr_equal(show_by_unit("end_rss_ratio"), show_ratio);
  assert_ptr_equal(show_by_unit("pause_count"), show_integer);
  assert_ptr_equal(show_by_unit("_ns"), show_integer); // a unit of nothing
}

static void test_estimates(void **state) {
  (void)state;
  arena m = {0};
  assert_null(show_estimate(&m, (estimate){0}, show_ns));
  assert_string_equal(show_estimate(&m, (estimate){3, 12, 11, 14, false}, show_ns_fixed),
                      "12.0 [11.0..14.0]");
  assert_string_equal(show_estimate(&m, (estimate){3, 12, 11.99, 12.01, false}, show_ns_fixed),
                      "12.0");
  arena_free(&m);
}

static void test_tables_escape_cells(void **state) {
  (void)state;
  static const char *const heads[] = {"a", "b"};
  text out = {0};
  table t = table_begin(&out, "lr", heads);
  table_cell(&t, "x|y\nz");
  table_cell(&t, NULL);
  table_cell(&t, "last");
  table_end(&t);
  assert_string_equal(out.bytes,
                      "| a | b |\n|:---|---:|\n| x\\|y z | " REPORT_ABSENT " |\n| last |  |\n\n");
  text_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_units),
      cmocka_unit_test(test_the_end_of_a_name_is_its_unit),
      cmocka_unit_test(test_estimates),
      cmocka_unit_test(test_tables_escape_cells),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
