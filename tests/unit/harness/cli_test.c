// SPDX-License-Identifier: MIT
// Suggestions and number formats of the command.
#include "harness/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_distance_counts_edits(void **state) {
  (void)state;
  static const struct {
    const char *a, *b;
    size_t distance;
  } cases[] = {{"", "", 0},           {"abc", "abc", 0},  {"", "abc", 3},          {"abc", "", 3},
               {"churn", "chrun", 1}, {"lbc", "libc", 1}, {"kitten", "sitting", 3}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(cli_distance(cases[i].a, cases[i].b), cases[i].distance);
    assert_int_equal(cli_distance(cases[i].b, cases[i].a), cases[i].distance);
  }
}

static void test_nearest_is_suggested_only_when_near(void **state) {
  (void)state;
  static const char *const names[] = {"seed_array", "seed_pathological", "churn", "alloc"};
  assert_string_equal(cli_nearest("chrun", names, 4), "churn");
  assert_string_equal(cli_nearest("seed_path", names, 4), "seed_pathological");
  assert_string_equal(cli_nearest("alocc", names, 4), "alloc");
  assert_null(cli_nearest("mandelbrot", names, 4));
  assert_null(cli_nearest("churn", names, 0));
  char longest[300];
  memset(longest, 'x', sizeof longest - 1);
  longest[sizeof longest - 1] = 0;
  assert_null(cli_nearest(longest, names, 4));
}

static void test_bytes_and_times_have_units(void **state) {
  (void)state;
  char text[24];
  assert_string_equal(cli_bytes(17, text), "17 B");
  assert_string_equal(cli_bytes(-2048, text), "-2 KiB");
  assert_string_equal(cli_bytes(1.5 * (1 << 20), text), "1.50 MiB");
  assert_string_equal(cli_time(12.5, text), "12.5 ns");
  assert_string_equal(cli_time(3.5e3, text), "3.5 us");
  assert_string_equal(cli_time(45e6, text), "45.00 ms");
  assert_string_equal(cli_time(2e9, text), "2.00 s");
}

static void test_programs_are_found_in_path(void **state) {
  (void)state;
  assert_true(cli_can_execute("sh"));
  assert_true(cli_can_execute("/bin/sh"));
  assert_false(cli_can_execute("/bin/no-such-program"));
  char *path = cli_format("%s", getenv("PATH"));
  setenv("PATH", "", 1);
  assert_false(cli_can_execute("sh"));
  setenv("PATH", path, 1);
  free(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_distance_counts_edits),
      cmocka_unit_test(test_nearest_is_suggested_only_when_near),
      cmocka_unit_test(test_bytes_and_times_have_units),
      cmocka_unit_test(test_programs_are_found_in_path),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
