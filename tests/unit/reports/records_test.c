// SPDX-License-Identifier: MIT
// Strict reading: every malformed line is refused with its number, and order does not matter.
#include <stdarg.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "reports/records.h"

#define GOOD                                                                                       \
  "{\"schema\":1,\"workload\":\"w\",\"heap\":\"compact\",\"status\":\"ok\",\"block\":0,"           \
  "\"params\":{\"n\":3,\"mode\":\"x\"}}\n"

static char *folder, *path;

static int setup(void **state) {
  (void)state;
  folder = fixture_folder();
  path = malloc(strlen(folder) + 20);
  sprintf(path, "%s/records.jsonl", folder);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  remove(path);
  remove(folder);
  free(path);
  free(folder);
  return 0;
}

static void put(const char *content) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(content, file);
  fclose(file);
}

static void test_refuses_each_malformed_line_with_its_number(void **state) {
  (void)state;
  static const struct {
    const char *line, *says;
  } bad[] = {
      {"{\"schema\":1,\"workload\":\"w\"", "not a JSON object"},
      {"[1,2]", "not a JSON object"},
      {"3", "not a JSON object"},
      {"{\"workload\":\"w\",\"heap\":\"h\",\"status\":\"ok\"}", "schema"},
      {"{\"schema\":2,\"workload\":\"w\",\"heap\":\"h\",\"status\":\"ok\"}", "another version"},
      {"{\"schema\":1,\"heap\":\"h\",\"status\":\"ok\"}", "workload"},
      {"{\"schema\":1,\"workload\":\"w\",\"heap\":\"\",\"status\":\"ok\"}", "heap"},
      {"{\"schema\":1,\"workload\":\"w\",\"heap\":\"h\"}", "status"},
      {"{\"schema\":1,\"workload\":\"w\",\"heap\":\"h\",\"status\":\"fine\"}", "unknown status"},
      {"{\"schema\":1,\"workload\":\"w\",\"heap\":\"h\",\"status\":\"ok\",\"metrics\":[]}",
       "wrong type"},
      {"{\"schema\":1,\"workload\":\"w\",\"heap\":\"h\",\"status\":\"ok\",\"stages\":[{}]}",
       "name"},
      {"{\"schema\":1,\"schema\":1,\"workload\":\"w\",\"heap\":\"h\",\"status\":\"ok\"}",
       "duplicate"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char content[1024], error[256] = "";
    snprintf(content, sizeof content, GOOD "\n%s\n" GOOD, bad[i].line);
    put(content);
    record_set set = {.count = 0};
    assert_false(record_set_read(&set, path, error, sizeof error));
    record_set_free(&set);
    if (!strstr(error, ":3: ") || !strstr(error, bad[i].says) || strchr(error, '\n'))
      fail_msg("for %s the message was: %s", bad[i].line, error);
  }
}

static void test_refuses_missing_and_empty_files(void **state) {
  (void)state;
  char error[256] = "";
  record_set set = {.count = 0};
  assert_false(record_set_read(&set, "/nonexistent/records.jsonl", error, sizeof error));
  assert_non_null(strstr(error, "/nonexistent/records.jsonl"));
  put("\n  \n");
  assert_false(record_set_read(&set, path, error, sizeof error));
  assert_non_null(strstr(error, "no record"));
  record_set_free(&set);
}

static void test_survives_every_truncation(void **state) {
  (void)state;
  static const char line[] = GOOD;
  for (size_t length = 1; length < sizeof line - 2; length++) {
    char part[sizeof line], error[256] = "";
    memcpy(part, line, length);
    part[length] = 0;
    put(part);
    record_set set = {.count = 0};
    assert_false(record_set_read(&set, path, error, sizeof error));
    assert_non_null(strstr(error, ":1: "));
    record_set_free(&set);
  }
}

static void test_equal_parameters_make_one_scenario(void **state) {
  (void)state;
  put(GOOD "{\"schema\":1,\"workload\":\"w\",\"heap\":\"libc\",\"status\":\"oom\",\"block\":1,"
           "\"params\":{\"mode\":\"x\",\"n\":3.0}}\n"
           "{\"schema\":1,\"workload\":\"w\",\"heap\":\"libc\",\"status\":\"ok\",\"block\":0,"
           "\"params\":{\"mode\":\"y\",\"n\":3}}\n");
  char error[256] = "";
  record_set set = {.count = 0};
  assert_true(record_set_read(&set, path, error, sizeof error));
  assert_int_equal(set.scenario_count, 2);
  const scenario *s = scenario_of(&set, "w", 0);
  assert_string_equal(scenario_params(s), "mode=x n=3");
  assert_int_equal(s->count, 2);
  assert_non_null(scenario_group(s, "compact", ""));
  assert_null(scenario_group(s, "libc", "")); // its only run failed
  assert_null(scenario_of(&set, "w", 2));
  record_set_free(&set);
}

static void test_outline_runner_is_a_variant_of_its_heap(void **state) {
  (void)state;
  put("{\"schema\":1,\"workload\":\"w\",\"heap\":\"compact_outline\",\"status\":\"ok\"}\n");
  char error[256] = "";
  record_set set = {.count = 0};
  assert_true(record_set_read(&set, path, error, sizeof error));
  assert_string_equal(set.records[0].heap, "compact");
  assert_string_equal(set.records[0].variant, "outline");
  assert_string_equal(set.records[0].label, "compact (outline)");
  record_set_free(&set);
}

static void test_rows_are_in_table_order_whatever_the_file(void **state) {
  (void)state;
  json_t *records = fixture_records(FIXTURE_CHURN | FIXTURE_GO, 3);
  for (int reverse = 0; reverse < 2; reverse++) {
    char error[256] = "";
    record_set set = {.count = 0};
    fixture_write(path, records, reverse);
    assert_true(record_set_read(&set, path, error, sizeof error));
    const scenario *s = scenario_main(&set, "churn");
    assert_int_equal((int)scenario_number(s, "noalloc"), 0); // the floor does not stand for churn
    static const char *const order[] = {"nonmoving", "nonmoving (stw)", "compact", "compact (stw)",
                                        "bdwgc",     "mimalloc",        "libc",    "go"};
    assert_int_equal(s->count, 8);
    for (size_t i = 0; i < s->count; i++) {
      assert_string_equal(group_label(&s->groups[i]), order[i]);
      assert_int_equal(s->groups[i].count, 3);
      for (int b = 0; b < 3; b++) assert_int_equal(s->groups[i].records[b].block, b);
    }
    record_set_free(&set);
  }
  json_decref(records);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_refuses_each_malformed_line_with_its_number),
      cmocka_unit_test(test_refuses_missing_and_empty_files),
      cmocka_unit_test(test_survives_every_truncation),
      cmocka_unit_test(test_equal_parameters_make_one_scenario),
      cmocka_unit_test(test_outline_runner_is_a_variant_of_its_heap),
      cmocka_unit_test(test_rows_are_in_table_order_whatever_the_file),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
