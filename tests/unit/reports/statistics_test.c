// SPDX-License-Identifier: MIT
// Estimates against values computed by hand and against the published table of sign-test ranks.
#include <stdarg.h>
#include <stdint.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "reports/statistics.h"

static void near(double a, double b) {
  if (fabs(a - b) > 1e-9 * fmax(1, fabs(b))) fail_msg("%.17g is not %.17g", a, b);
}

static estimate estimate_of(arena *memory, const double *values, size_t count) {
  sample s = {count, arena_alloc(memory, count * sizeof(double)), NULL};
  for (size_t i = 0; i < count; i++) s.value[i] = values[i];
  return sample_estimate(memory, &s);
}

static void test_median_and_range_of_few(void **state) {
  (void)state;
  arena memory = {0};
  assert_int_equal(estimate_of(&memory, NULL, 0).n, 0);
  const estimate one = estimate_of(&memory, (double[]){4}, 1);
  near(one.median, 4);
  near(one.low, 4);
  const estimate four = estimate_of(&memory, (double[]){9, 1, 3, 5}, 4);
  near(four.median, 4);
  near(four.low, 1);
  near(four.high, 9);
  assert_false(four.interval95);
  arena_free(&memory);
}

static void test_interval_ranks_are_those_of_the_sign_test(void **state) {
  (void)state;
  // n, lower and upper rank counted from 1: standard table for a 95 % interval of the median.
  static const size_t known[][3] = {{6, 1, 6},   {7, 1, 7},   {8, 1, 8},   {9, 2, 8},
                                    {10, 2, 9},  {11, 2, 10}, {12, 3, 10}, {15, 4, 12},
                                    {20, 6, 15}, {25, 8, 18}, {30, 10, 21}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    size_t low, high;
    median_interval_ranks(known[i][0], &low, &high);
    assert_int_equal(low + 1, known[i][1]);
    assert_int_equal(high + 1, known[i][2]);
  }
}

static void test_interval_from_six_values_on(void **state) {
  (void)state;
  arena memory = {0};
  const double values[] = {10, 20, 30, 40, 50, 60, 70, 80, 90};
  const estimate six = estimate_of(&memory, values, 6), nine = estimate_of(&memory, values, 9);
  assert_true(six.interval95);
  near(six.low, 10);
  near(six.high, 60);
  near(nine.low, 20);
  near(nine.high, 80);
  arena_free(&memory);
}

static void test_ratios_pair_within_blocks(void **state) {
  (void)state;
  arena memory = {0};
  double top_value[] = {10, 20, 30}, bottom_value[] = {2, 5, 0};
  int64_t top_block[] = {0, 2, 3}, bottom_block[] = {1, 2, 3};
  const sample top = {3, top_value, top_block}, bottom = {3, bottom_value, bottom_block};
  const sample ratio = sample_ratio(&memory, &top, &bottom);
  assert_int_equal(ratio.count, 1); // block 0 and 1 have no partner, block 3 divides by zero
  near(ratio.value[0], 4);
  assert_int_equal(ratio.block[0], 2);
  arena_free(&memory);
}

static record record_of(json_t *json, const char *status) {
  return (record){.json = json, .status = status, .workload = "w", .heap = "h", .variant = ""};
}

static void test_measures_subtract_within_one_run(void **state) {
  (void)state;
  json_t *json = json_pack("{s:{s:i},s:[{s:s,s:i},{s:s,s:i}],s:{s:f}}", "start", "rss_bytes", 100,
                           "stages", "name", "1", "rss_bytes", 130, "name", "3", "rss_bytes", 170,
                           "metrics", "x_ns", 2.5);
  const record ok = record_of(json, "ok"), failed = record_of(json, "oom");
  double value = -1;
  assert_true(measure_read(&ok, (measure){"3", "rss_bytes", "start"}, &value));
  near(value, 70);
  assert_true(measure_read(&ok, (measure){"3", "rss_bytes", "1"}, &value));
  near(value, 40);
  assert_true(measure_read(&ok, (measure){NULL, "x_ns", NULL}, &value));
  near(value, 2.5);
  assert_false(measure_read(&ok, (measure){"2", "rss_bytes", NULL}, &value));
  assert_false(measure_read(&ok, (measure){"3", "pss_bytes", NULL}, &value));
  assert_false(measure_read(&ok, (measure){"3", "rss_bytes", "2"}, &value));
  assert_false(measure_read(&failed, (measure){"3", "rss_bytes", NULL}, &value));
  json_decref(json);
}

// 30 ms of collecting in a run of 100 ms on 2 cores; a run whose heap does not tell is left out.
static void test_the_collector_is_charged_to_all_cores(void **state) {
  (void)state;
  arena m = {0};
  json_t *told =
      json_pack("{s:[{s:i},{s:i}],s:{s:i},s:{s:s}}", "stages", "gc_cpu_ns", 10000000, "gc_cpu_ns",
                30000000, "metrics", "wall_ns", 100000000, "environment", "cores", "2");
  json_t *silent = json_pack("{s:[{s:i}],s:{s:i},s:{s:s}}", "stages", "rss_bytes", 1, "metrics",
                             "wall_ns", 100000000, "environment", "cores", "2");
  const record records[] = {record_of(told, "ok"), record_of(silent, "ok"), record_of(told, "oom")};
  const group g = {records, 3, 2};
  const sample share = collector_share(&m, &g);
  assert_int_equal(share.count, 1);
  near(share.value[0], 0.15);
  assert_int_equal(collector_share(&m, NULL).count, 0);
  json_decref(told);
  json_decref(silent);
  arena_free(&m);
}

static void test_distributions_merge_runs(void **state) {
  (void)state;
  arena memory = {0};
  json_t *a = json_pack("{s:[[i,i],[i,i]]}", "latency", 10, 90, 100, 9);
  json_t *b = json_pack("{s:[[i,i],[i,i],[i,i]]}", "latency", 10, 900, 50, 0, 1000, 1);
  record records[] = {record_of(a, "ok"), record_of(b, "ok"), record_of(b, "crashed")};
  const group g = {records, 3, 2};
  const distribution d = group_distribution(&memory, &g, "latency", NULL);
  assert_int_equal(d.count, 3);
  near(d.total, 1000);
  near(d.events[0], 990);
  near(distribution_quantile(&d, 0.5), 10);
  near(distribution_quantile(&d, 0.999), 100);
  near(distribution_quantile(&d, 1), 1000);
  assert_int_equal(group_distribution(&memory, &g, "pauses", "all").count, 0);
  json_decref(a);
  json_decref(b);
  arena_free(&memory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_median_and_range_of_few),
      cmocka_unit_test(test_interval_ranks_are_those_of_the_sign_test),
      cmocka_unit_test(test_interval_from_six_values_on),
      cmocka_unit_test(test_ratios_pair_within_blocks),
      cmocka_unit_test(test_measures_subtract_within_one_run),
      cmocka_unit_test(test_the_collector_is_charged_to_all_cores),
      cmocka_unit_test(test_distributions_merge_runs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
