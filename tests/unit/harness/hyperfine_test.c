// SPDX-License-Identifier: MIT
// Reading hyperfine's export in the shapes of several versions, and quoting for its word splitting.
#include "harness/hyperfine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocators/base/rng.h"

static const run_catalogue no_catalogue = {.count = 0};

static job_list two_jobs(void) {
  job_list list = {.jobs = NULL};
  const run_job a = {.workload = "w", .heap = "a", .variant = ""};
  const run_job b = {.workload = "w", .heap = "b", .variant = ""};
  job_list_add(&list, &a);
  job_list_add(&list, &b);
  return list;
}

static json_t *read_text(const char *text, char error[512]) {
  job_list list = two_jobs();
  error[0] = 0;
  json_t *records =
      hyperfine_records(text, strlen(text), &list, &no_catalogue, "hyperfine 1.15.0", error, 512);
  job_list_free(&list);
  return records;
}

static json_int_t metric(const json_t *record, const char *name) {
  return json_integer_value(json_object_get(json_object_get(record, "metrics"), name));
}

// 1.15: seconds; 1.19 adds memory and lets stddev be null for a single run.
static void test_reads_old_and_new_exports(void **state) {
  (void)state;
  char error[512];
  json_t *records = read_text(
      "{\"results\":[{\"command\":\"x\",\"mean\":0.002,\"stddev\":0.0001,\"median\":0.0019,"
      "\"user\":0.001,\"system\":0.0005,\"min\":0.0018,\"max\":0.0025,\"times\":[0.0018,0.0025],"
      "\"exit_codes\":[0,0]},{\"command\":\"y\",\"mean\":1,\"stddev\":null,\"median\":1.0,"
      "\"user\":0.5,\"system\":0.1,\"min\":1.0,\"max\":1.0,\"times\":[1.0],"
      "\"memory_usage_byte\":[123456],\"exit_codes\":[0]}]}",
      error);
  assert_int_equal(json_array_size(records), 2);
  const json_t *old = json_array_get(records, 0), *new = json_array_get(records, 1);
  assert_int_equal(metric(old, "process_mean_ns"), 2000000);
  assert_int_equal(metric(old, "process_min_ns"), 1800000);
  assert_int_equal(metric(old, "process_runs_count"), 2);
  assert_string_equal(job_text(old, "workload"), "process_time");
  assert_string_equal(job_text(old, "heap"), "a");
  assert_string_equal(job_text(json_object_get(old, "params"), "workload"), "w");
  assert_int_equal(metric(new, "process_mean_ns"), 1000000000);
  assert_null(json_object_get(json_object_get(new, "metrics"), "process_stddev_ns"));
  json_decref(records);
}

static void test_failing_command_is_a_failed_row(void **state) {
  (void)state;
  char error[512];
  json_t *records = read_text("{\"results\":[{\"mean\":1,\"times\":[1],\"exit_codes\":[0]},"
                              "{\"mean\":1,\"times\":[1,1],\"exit_codes\":[0,null]}]}",
                              error);
  assert_string_equal(job_text(json_array_get(records, 0), "status"), "ok");
  assert_string_equal(job_text(json_array_get(records, 1), "status"), "crashed");
  json_decref(records);
}

static void test_other_shapes_are_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "nonsense",
                                    "[]",
                                    "{}",
                                    "{\"results\":{}}",
                                    "{\"results\":[]}",
                                    "{\"results\":[{\"mean\":1}]}",
                                    "{\"results\":[{\"mean\":1},{\"mean\":\"1\"}]}",
                                    "{\"results\":[{\"mean\":1},null]}"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    char error[512];
    assert_null(read_text(bad[i], error));
    assert_true(error[0]);
    assert_null(strchr(error, '\n'));
  }
}

static void test_mutated_exports_do_not_crash(void **state) {
  (void)state;
  static const char base[] = "{\"results\":[{\"mean\":0.5,\"stddev\":null,\"times\":[0.5,1e3],"
                             "\"exit_codes\":[0]},{\"mean\":2,\"times\":[2],\"exit_codes\":[1]}]}";
  hs_rng rng = hs_rng_seed(11);
  for (int round = 0; round < 5000; round++) {
    char text[sizeof base], error[512];
    memcpy(text, base, sizeof base);
    for (uint64_t edits = hs_rng_between(&rng, 1, 4); edits > 0; edits--)
      text[hs_rng_below(&rng, sizeof base - 1)] = (char)hs_rng_between(&rng, 1, 126);
    json_t *records = read_text(text, error);
    assert_true(records ? json_array_size(records) == 2 : error[0] != 0);
    json_decref(records);
  }
}

static void test_words_are_quoted(void **state) {
  (void)state;
  static const char *const pairs[][2] = {{"/usr/bin/run_a", "/usr/bin/run_a"},
                                         {"n=3", "n=3"},
                                         {"", "''"},
                                         {"a b", "'a b'"},
                                         {"it's", "'it'\\''s'"},
                                         {"$(x)", "'$(x)'"}};
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    char *quoted = hyperfine_quote(pairs[i][0]);
    assert_string_equal(quoted, pairs[i][1]);
    free(quoted);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reads_old_and_new_exports),
      cmocka_unit_test(test_failing_command_is_a_failed_row),
      cmocka_unit_test(test_other_shapes_are_refused),
      cmocka_unit_test(test_mutated_exports_do_not_crash),
      cmocka_unit_test(test_words_are_quoted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
