// SPDX-License-Identifier: MIT
// The record writer: what a runner measured, as JSON.
#include "harness/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static run_record *new_record(void) {
  run_record *record = calloc(1, sizeof *record);
  record->workload = "w";
  record->heap = "h";
  record->variant = "";
  record->stages = calloc(RECORD_STAGES, sizeof *record->stages);
  return record;
}

static void free_record(run_record *record) {
  free(record->stages);
  free(record);
}

static json_int_t integer(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  assert_true(json_is_integer(value));
  return json_integer_value(value);
}

static void test_ok_has_a_checksum_and_no_reason(void **state) {
  (void)state;
  run_record *record = new_record();
  record->checksum = 0xabc;
  json_t *json = record_to_json(record);
  assert_string_equal(json_string_value(json_object_get(json, "checksum")), "0000000000000abc");
  assert_null(json_object_get(json, "reason"));
  assert_int_equal(integer(json, "schema"), 1);
  json_decref(json);
  free_record(record);
}

static void test_failure_has_a_reason_and_no_checksum(void **state) {
  (void)state;
  run_record *record = new_record();
  record->status = RECORD_OOM;
  snprintf(record->reason, sizeof record->reason, "out of memory");
  json_t *json = record_to_json(record);
  assert_null(json_object_get(json, "checksum"));
  assert_string_equal(json_string_value(json_object_get(json, "status")), "oom");
  assert_string_equal(json_string_value(json_object_get(json, "reason")), "out of memory");
  json_decref(json);
  free_record(record);
}

static void test_skipped_has_no_measurements(void **state) {
  (void)state;
  run_record *record = new_record();
  record->status = RECORD_SKIPPED;
  json_t *json = record_to_json(record);
  assert_null(json_object_get(json, "metrics"));
  assert_null(json_object_get(json, "stages"));
  json_decref(json);
  free_record(record);
}

static void test_residual_is_what_accounts_do_not_explain(void **state) {
  (void)state;
  run_record *record = new_record();
  record->base_rss_bytes = 1000;
  record->stage_count = 1;
  record_stage *stage = &record->stages[0];
  snprintf(stage->name, sizeof stage->name, "2");
  heap_stats_set(&stage->stats, HEAP_STAT_footprint_bytes, 500);
  stage->harness_bytes = 30;
  stage->memory_known = true;
  stage->memory.rss_bytes = 1520;
  json_t *json = record_to_json(record);
  const json_t *written = json_array_get(json_object_get(json, "stages"), 0);
  assert_int_equal(integer(written, "accounted_bytes"), 1530);
  assert_int_equal(integer(written, "residual_bytes"), -10); // signed
  assert_int_equal(integer(written, "rss_bytes"), 1520);
  assert_null(json_object_get(written, "heap_sys_bytes")); // absent, not zero
  json_decref(json);
  free_record(record);
}

static void test_heap_without_footprint_has_no_residual(void **state) {
  (void)state;
  run_record *record = new_record();
  record->stage_count = 1;
  record->stages[0].memory_known = true;
  json_t *json = record_to_json(record);
  const json_t *written = json_array_get(json_object_get(json, "stages"), 0);
  assert_null(json_object_get(written, "accounted_bytes"));
  assert_null(json_object_get(written, "residual_bytes"));
  json_decref(json);
  free_record(record);
}

static void test_later_metric_replaces_earlier(void **state) {
  (void)state;
  run_record *record = new_record();
  record_metric_set(record, "a_ns", 1);
  record_metric_set(record, "b_ns", 2.5);
  record_metric_set(record, "a_ns", 3);
  assert_int_equal(record->metric_count, 2);
  json_t *json = record_to_json(record);
  const json_t *metrics = json_object_get(json, "metrics");
  assert_int_equal(integer(metrics, "a_ns"), 3); // whole numbers are integers
  assert_true(json_is_real(json_object_get(metrics, "b_ns")));
  json_decref(json);
  free_record(record);
}

static void test_latency_is_written_by_bucket(void **state) {
  (void)state;
  run_record *record = new_record();
  hs_histogram *latency = calloc(1, sizeof *latency);
  for (int i = 0; i < 3; i++) hs_histogram_add(latency, 7);
  hs_histogram_add(latency, 40);
  record->latency = latency;
  record_metrics_derive(record);
  json_t *json = record_to_json(record);
  char *text = json_dumps(json_object_get(json, "latency"), JSON_COMPACT);
  assert_string_equal(text, "[[7,3],[40,1]]");
  assert_int_equal(integer(json_object_get(json, "metrics"), "op_max_ns"), 40);
  assert_int_equal(integer(json_object_get(json, "metrics"), "op_count"), 4);
  free(text);
  json_decref(json);
  free(latency);
  free_record(record);
}

static void test_choices_are_written_by_name(void **state) {
  (void)state;
  run_record *record = new_record();
  const record_param params[] = {{.name = "n", .value = 5},
                                 {.name = "m", .choice = "copy|pool", .choice_length = 4}};
  record->params = params;
  record->param_count = 2;
  json_t *json = record_to_json(record);
  char *text = json_dumps(json_object_get(json, "params"), JSON_COMPACT | JSON_SORT_KEYS);
  assert_string_equal(text, "{\"m\":\"copy\",\"n\":5}");
  free(text);
  json_decref(json);
  free_record(record);
}

static void test_map_and_series_are_arrays(void **state) {
  (void)state;
  run_record *record = new_record();
  record->stage_count = 1;
  snprintf(record->stages[0].name, RECORD_NAME_BYTES, "kept");
  record_map map = {1, 2};
  const record_page pages[] = {{9, 9, 9}, {16, 4096, 1}, {0, 4096, 2}};
  record->maps = &map;
  record->pages = pages;
  const sampler_sample sample = {10, 20, 30};
  record->samples = &sample;
  record->sample_count = 1;
  json_t *json = record_to_json(record);
  char *text = json_dumps(json_object_get(json, "map"), JSON_COMPACT);
  assert_string_equal(text, "{\"kept\":[[16,4096,1],[0,4096,2]]}");
  free(text);
  text = json_dumps(json_object_get(json, "series"), JSON_COMPACT);
  assert_string_equal(text, "[[10,20,30]]");
  free(text);
  json_decref(json);
  free_record(record);
}

static void test_line_is_one_line_with_sorted_keys(void **state) {
  (void)state;
  json_t *json = json_pack("{s:i,s:f,s:s}", "z", 1, "a", 0.1, "m", "x\ny");
  char *line = record_line(json);
  assert_string_equal(line, "{\"a\":0.1,\"m\":\"x\\ny\",\"z\":1}");
  free(line);
  json_decref(json);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ok_has_a_checksum_and_no_reason),
      cmocka_unit_test(test_failure_has_a_reason_and_no_checksum),
      cmocka_unit_test(test_skipped_has_no_measurements),
      cmocka_unit_test(test_residual_is_what_accounts_do_not_explain),
      cmocka_unit_test(test_heap_without_footprint_has_no_residual),
      cmocka_unit_test(test_later_metric_replaces_earlier),
      cmocka_unit_test(test_latency_is_written_by_bucket),
      cmocka_unit_test(test_choices_are_written_by_name),
      cmocka_unit_test(test_map_and_series_are_arrays),
      cmocka_unit_test(test_line_is_one_line_with_sorted_keys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
