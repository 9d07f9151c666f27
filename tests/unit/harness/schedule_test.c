// SPDX-License-Identifier: MIT
// Order of the jobs of a block, and what happens to their records.
#include "harness/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEAPS = 9 };

static void fill(job_list *list) {
  static const char *const heaps[HEAPS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
  for (size_t i = 0; i < HEAPS; i++) {
    const run_job job = {.workload = "w", .heap = heaps[i], .variant = ""};
    job_list_add(list, &job);
  }
}

static void order(uint64_t seed, uint64_t block, char out[HEAPS + 1]) {
  job_list list = {.jobs = NULL};
  fill(&list);
  schedule_shuffle(&list, seed, block);
  for (size_t i = 0; i < HEAPS; i++) {
    out[i] = list.jobs[i].heap[0];
    assert_in_range(list.jobs[i].padding_bytes, 0, JOB_PADDING_LIMIT - 1);
    assert_int_equal(list.jobs[i].order_seed, seed);
  }
  out[HEAPS] = 0;
  job_list_free(&list);
}

static void test_every_job_once_per_block(void **state) {
  (void)state;
  char text[HEAPS + 1];
  for (uint64_t seed = 0; seed < 50; seed++) {
    order(seed, seed, text);
    for (char heap = 'a'; heap < 'a' + HEAPS; heap++) {
      const char *first = strchr(text, heap);
      assert_non_null(first);
      assert_null(strchr(first + 1, heap));
    }
  }
}

static void test_order_depends_on_seed_and_block_only(void **state) {
  (void)state;
  char a[HEAPS + 1], b[HEAPS + 1];
  order(3, 1, a);
  order(3, 1, b);
  assert_string_equal(a, b);
  order(3, 2, b);
  assert_string_not_equal(a, b);
  order(4, 1, b);
  assert_string_not_equal(a, b);
}

static void test_every_heap_comes_first_sometimes(void **state) {
  (void)state;
  unsigned first[HEAPS] = {0};
  char text[HEAPS + 1];
  enum { BLOCKS = 900 }; // 100 expected each; below 50 has a chance of less than 1e-7
  for (uint64_t block = 0; block < BLOCKS; block++) {
    order(1, block, text);
    first[text[0] - 'a']++;
  }
  for (size_t i = 0; i < HEAPS; i++) assert_in_range(first[i], 50, 150);
}

static bool count_record(void *context, const run_job *job, json_t *record) {
  (void)job;
  assert_string_equal(job_text(record, "status"), "skipped");
  return ++*(size_t *)context < 5;
}

static void test_finished_jobs_are_not_run_again(void **state) {
  (void)state;
  job_list list = {.jobs = NULL};
  fill(&list);
  json_t *finished = json_pack("[{s:s,s:s},{s:s,s:s}]", "status", "ok", "job", "w|a|||0|0",
                               "status", "crashed", "job", "w|b|||0|0");
  const run_catalogue catalogue = {.count = 0}; // every job is skipped: no runner
  run_progress progress;
  progress_begin(&progress, NULL, list.count, (double)list.count);
  size_t taken = 0;
  list.count = 4;
  assert_int_equal(schedule_run(&list, &catalogue, finished, &progress, NULL, count_record, &taken),
                   SCHEDULE_OK);
  assert_int_equal(taken, 3); // not a, but b, which had failed
  assert_int_equal(progress.done, 4);
  list.count = HEAPS;
  taken = 0;
  assert_int_equal(schedule_run(&list, &catalogue, NULL, &progress, NULL, count_record, &taken),
                   SCHEDULE_STOPPED); // the sink refused the fifth
  assert_int_equal(taken, 5);
  json_decref(finished);
  job_list_free(&list);
}

static void test_time_left_follows_the_speed_so_far(void **state) {
  (void)state;
  run_progress progress;
  progress_begin(&progress, NULL, 4, 40);
  assert_true(progress_left_s(&progress, progress.begin_ns) < 0); // nothing known yet
  progress_done(&progress, 10, true);
  // 20 s for a quarter: 60 s for the rest.
  assert_float_equal(progress_left_s(&progress, progress.begin_ns + 20000000000ull), 60, 1e-6);
  progress_expect(&progress, 1, 10);
  assert_int_equal(progress.total, 2);
  assert_float_equal(progress_left_s(&progress, progress.begin_ns + 20000000000ull), 20, 1e-6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_job_once_per_block),
      cmocka_unit_test(test_order_depends_on_seed_and_block_only),
      cmocka_unit_test(test_every_heap_comes_first_sometimes),
      cmocka_unit_test(test_finished_jobs_are_not_run_again),
      cmocka_unit_test(test_time_left_follows_the_speed_so_far),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
