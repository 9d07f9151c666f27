// SPDX-License-Identifier: MIT
// Page maps: they show what the record says, stay small, and refuse records without a map.
#include <stdarg.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "reports/figure.h"

static char *folder, *path;

static int setup(void **state) {
  (void)state;
  folder = fixture_folder();
  path = malloc(strlen(folder) + 20);
  sprintf(path, "%s/map.svg", folder);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  remove(path);
  assert_int_equal(remove(folder), 0); // nothing else was left in it
  free(path);
  free(folder);
  return 0;
}

static size_t occurrences(const char *in, const char *what) {
  size_t count = 0;
  for (const char *at = in; (at = strstr(at, what)); at++) count++;
  return count;
}

static json_t *record_with(json_t *pages) {
  return json_pack("{s:s,s:s,s:[{s:s}],s:{s:o}}", "heap", "com<pact", "workload", "w", "stages",
                   "name", "2", "map", "2", pages);
}

static void test_draws_runs_of_equal_pages(void **state) {
  (void)state;
  // Three full pages, one released, one metadata, one empty but resident, one nearly empty.
  json_t *record = record_with(
      json_pack("[[i,i,i],[i,i,i],[i,i,i],[i,i,i],[i,i,i],[i,i,i],[i,i,i]]", 8192, 8192, 1, 8192,
                8192, 1, 8192, 8192, 1, 0, 8192, 0, 0, 8192, 3, 0, 8192, 1, 16, 8192, 1));
  char error[256] = "";
  assert_int_equal(page_map_write_record(record, path, error, sizeof error), REPORT_OK);
  char *svg = fixture_slurp(path, NULL);
  assert_int_equal(occurrences(svg, "<path "), 4); // full, metadata, empty, nearly empty
  assert_int_equal(occurrences(svg, "h15v5h-15z"), 1);
  assert_int_equal(occurrences(svg, "h5v5h-5z"), 3);
  assert_non_null(strstr(svg, "com&lt;pact, w, stage (2)"));
  assert_null(strstr(svg, "com<pact"));
  free(svg);
  json_decref(record);
}

static void test_many_pages_stay_below_200_kb(void **state) {
  (void)state;
  json_t *pages = json_array();
  for (int i = 0; i < 64 * 1024; i++) // 512 MiB, alternating shades: the worst case for runs
    json_array_append_new(pages, json_pack("[i,i,i]", (i / 16 % 8) * 1024, 8192, 1));
  json_t *record = record_with(pages);
  char error[256] = "";
  assert_int_equal(page_map_write_record(record, path, error, sizeof error), REPORT_OK);
  size_t length;
  char *svg = fixture_slurp(path, &length);
  assert_true(length < 200 * 1024);
  assert_non_null(strstr(svg, "one cell: 128 KiB"));
  free(svg);
  json_decref(record);
}

// A map that is full must not cover its frame, and no text may run into the shades.
static void test_frame_and_legend_stand_free(void **state) {
  (void)state;
  json_t *pages = json_array();
  for (int i = 0; i < 960; i++) json_array_append_new(pages, json_pack("[i,i,i]", 8192, 8192, 1));
  json_t *record = record_with(pages);
  char error[256] = "";
  assert_int_equal(page_map_write_record(record, path, error, sizeof error), REPORT_OK);
  char *svg = fixture_slurp(path, NULL);
  const char *cells = strstr(svg, "<path"), *frame = strstr(svg, "fill=\"none\"");
  assert_non_null(cells);
  assert_non_null(frame);
  assert_true(frame > cells); // drawn over them
  assert_non_null(strstr(svg, "text-anchor=\"end\">objects on a page: few<"));
  free(svg);
  json_decref(record);
}

static void test_refuses_records_without_a_map(void **state) {
  (void)state;
  json_t *record =
      json_pack("{s:s,s:s,s:[{s:s}]}", "heap", "libc", "workload", "w", "stages", "name", "2");
  char error[256] = "";
  remove(path);
  assert_int_equal(page_map_write_record(record, path, error, sizeof error), REPORT_BAD_RECORDS);
  assert_non_null(strstr(error, "--map"));
  const page_map panel = {record, "2", NULL};
  assert_int_equal(page_map_write(&panel, 1, 1, path, error, sizeof error), REPORT_BAD_RECORDS);
  assert_null(fopen(path, "r"));
  json_decref(record);
}

static void test_says_when_it_cannot_write(void **state) {
  (void)state;
  json_t *record = record_with(json_pack("[[i,i,i]]", 1, 8192, 1));
  char error[256] = "";
  assert_int_equal(page_map_write_record(record, "/nonexistent/map.svg", error, sizeof error),
                   REPORT_CANNOT_WRITE);
  assert_non_null(strstr(error, "/nonexistent/map.svg"));
  json_decref(record);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_draws_runs_of_equal_pages),
      cmocka_unit_test(test_many_pages_stay_below_200_kb),
      cmocka_unit_test(test_frame_and_legend_stand_free),
      cmocka_unit_test(test_refuses_records_without_a_map),
      cmocka_unit_test(test_says_when_it_cannot_write),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
