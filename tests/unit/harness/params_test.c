// SPDX-License-Identifier: MIT
// --set of a runner: parameters of the workload first, then options of the heap.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocators/base/rng.h"
#include "allocators/runtime/config.h"
#include "harness/run.h"

static const workload_param params[] = {
    {"count", "objects", 8, 1, 1 << 20, NULL},
    {"mode", "what to do", 1, 0, 2, "none|copy|pool"},
    {"gogc", "hides the heap option of that name", 7, 0, 9, NULL},
};
static const workload sample = {.name = "sample", .params = params, .param_count = 3};
const workload *const workload_table[] = {&sample, NULL};
const size_t workload_table_count = 1;

static run_options fresh(void) {
  run_options options = {.load = &sample, .config = hs_config_default()};
  run_param_defaults(&sample, options.values);
  return options;
}

static void test_finds_workloads_by_name(void **state) {
  (void)state;
  assert_ptr_equal(run_find_workload("sample"), &sample);
  assert_null(run_find_workload("sampl"));
}

static void test_defaults(void **state) {
  (void)state;
  const run_options options = fresh();
  assert_int_equal(options.values[0], 8);
  assert_int_equal(options.values[1], 1);
}

static void test_sets_numbers_and_choices(void **state) {
  (void)state;
  run_options options = fresh();
  char error[256];
  assert_true(run_set(&options, "count=4K", error, sizeof error));
  assert_int_equal(options.values[0], 4096);
  assert_true(run_set(&options, "mode=pool", error, sizeof error));
  assert_int_equal(options.values[1], 2);
}

static void test_parameter_hides_heap_option(void **state) {
  (void)state;
  run_options options = fresh();
  char error[256];
  assert_true(run_set(&options, "gogc=9", error, sizeof error));
  assert_int_equal(options.values[2], 9);
  assert_int_equal(options.config.gogc_percent, 100);
  assert_true(run_set(&options, "verify=1", error, sizeof error));
  assert_int_equal(options.config.verify, 1);
}

static void test_errors_name_what_is_allowed(void **state) {
  (void)state;
  static const struct {
    const char *assignment, *expected;
  } cases[] = {
      {"count=0", "1 to 1048576"},
      {"count=-1", "1 to 1048576"},
      {"count=1048577", "1 to 1048576"},
      {"count=x", "1 to 1048576"},
      {"count=", "1 to 1048576"},
      {"mode=cop", "none|copy|pool"},
      {"mode=1", "none|copy|pool"},
      {"cnt=1", "count, mode, gogc"},
      {"cnt=1", "min_heap"},
      {"count", "name=value"},
      {"=1", "name=value"},
      {"verify=2", "verify"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    run_options options = fresh();
    const run_options before = options;
    char error[1024] = "";
    assert_false(run_set(&options, cases[i].assignment, error, sizeof error));
    assert_non_null(strstr(error, cases[i].expected));
    assert_null(strchr(error, '\n'));
    assert_memory_equal(&options.values, &before.values, sizeof options.values);
    assert_memory_equal(&options.config, &before.config, sizeof options.config);
  }
}

// Seeded: whatever the text, either a value inside its range is set, or nothing changes and the
// message is one line.
static void test_mutated_assignments_never_set_bad_values(void **state) {
  (void)state;
  static const char *const bases[] = {"count=4096", "mode=copy", "gogc=5", "limit=1G", "stock=1"};
  const uint64_t seed = 20260101;
  hs_rng rng = hs_rng_seed(seed);
  for (int round = 0; round < 20000; round++) {
    char text[64] = ""; // zero behind the text: an edit may lengthen it
    snprintf(text, sizeof text, "%s", bases[hs_rng_below(&rng, 5)]);
    for (uint64_t edits = hs_rng_between(&rng, 1, 3); edits > 0; edits--)
      text[hs_rng_below(&rng, strlen(text) + 1)] = (char)hs_rng_between(&rng, 1, 255);
    text[sizeof text - 1] = 0;
    run_options options = fresh();
    const run_options before = options;
    char error[1024] = "";
    if (run_set(&options, text, error, sizeof error)) {
      assert_in_range(options.values[0], 1, 1 << 20);
      assert_in_range(options.values[1], 0, 2);
      assert_in_range(options.values[2], 0, 9);
    } else {
      assert_true(error[0]);
      assert_memory_equal(&options.values, &before.values, sizeof options.values);
      assert_memory_equal(&options.config, &before.config, sizeof options.config);
    }
  }
}

static void test_messages_are_cut_to_the_buffer(void **state) {
  (void)state;
  run_options options = fresh();
  for (size_t size = 1; size < 200; size++) {
    char *error = malloc(size); // exact, so that a sanitizer sees one byte too many
    assert_false(run_set(&options, "nothing_of_this_name=1", error, size));
    assert_true(memchr(error, 0, size) != NULL);
    free(error);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_finds_workloads_by_name),
      cmocka_unit_test(test_defaults),
      cmocka_unit_test(test_sets_numbers_and_choices),
      cmocka_unit_test(test_parameter_hides_heap_option),
      cmocka_unit_test(test_errors_name_what_is_allowed),
      cmocka_unit_test(test_mutated_assignments_never_set_bad_values),
      cmocka_unit_test(test_messages_are_cut_to_the_buffer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
