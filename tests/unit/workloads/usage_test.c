// SPDX-License-Identifier: MIT
// Memory in proportion to what is live, on the nonmoving heap, whose footprint is known.
#include "workloads/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/workloads/fake_run.h"

enum { LIVE_BYTES = 16 << 20 };

static void assert_about(double value, double wanted) {
  assert_true(value > 0.95 * wanted && value < 1.15 * wanted);
}

// A sanitizer's shadow is in RSS.
static void assert_rss_about(double value, double wanted) {
  if (!getenv("SANITIZED")) assert_about(value, wanted);
}

// An object as large as what is said to be live: one byte for each, and nothing after it died.
static void test_ratios_count_growth_over_live(void **state) {
  workload_run *run = *state;
  heap_thread *t = run->thread;
  HEAP_FRAME(t, root, 1);
  const usage u = usage_begin(run);
  root[0] = workload_new(run, t, 0, LIVE_BYTES);
  memset(heap_write(t, root[0], 0), 1, LIVE_BYTES);
  usage_mark(&u, "full", LIVE_BYTES);
  assert_about(fake_run_metric(run, "full_raw_footprint_ratio"), 1);
  assert_rss_about(fake_run_metric(run, "full_raw_rss_ratio"), 1);
  assert_true(fake_run_metric(run, "full_footprint_ratio") < 0); // no stage, no such metric

  root[0] = HEAP_NULL;
  usage_stage(&u, "end", LIVE_BYTES);
  assert_int_equal(run->stage_count, 1);
  assert_about(fake_run_metric(run, "end_raw_footprint_ratio"), 1);
  assert_true(fake_run_metric(run, "end_footprint_ratio") < 0.05);
  HEAP_FRAME_END(t, root);
}

static void test_samples_have_mean_and_peak(void **state) {
  workload_run *run = *state;
  heap_thread *t = run->thread;
  HEAP_FRAME(t, root, 1);
  usage u = usage_begin(run);
  usage_sample(&u, LIVE_BYTES); // nothing yet
  root[0] = workload_new(run, t, 0, LIVE_BYTES);
  memset(heap_write(t, root[0], 0), 1, LIVE_BYTES);
  usage_sample(&u, LIVE_BYTES / 2); // two bytes for each live one
  usage_report(&u, "run");
  assert_about(fake_run_metric(run, "run_mean_footprint_ratio"), 1);
  assert_rss_about(fake_run_metric(run, "run_mean_rss_ratio"), 1);
  assert_about(fake_run_metric(run, "run_peak_footprint_bytes"), LIVE_BYTES);
  assert_rss_about(fake_run_metric(run, "run_peak_rss_bytes"), LIVE_BYTES);

  usage_sample(&u, LIVE_BYTES); // the report began anew, above the same start
  usage_report(&u, "again");
  assert_about(fake_run_metric(run, "again_mean_footprint_ratio"), 1);
  HEAP_FRAME_END(t, root);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_ratios_count_growth_over_live, fake_run_setup,
                                      fake_run_teardown),
      cmocka_unit_test_setup_teardown(test_samples_have_mean_and_peak, fake_run_setup,
                                      fake_run_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
