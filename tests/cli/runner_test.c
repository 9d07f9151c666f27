// SPDX-License-Identifier: MIT
// A real runner (RUNNER, on libc malloc): its records, exit codes and messages.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/child.h"
#include "harness/cli.h"
#include "harness/job.h"

typedef struct answer {
  int code;
  char *text, error[CHILD_LINE_BYTES];
} answer;

static answer run_program(const char *program, const char *arguments) {
  char *script = cli_format("exec '%s' %s", program, arguments);
  char *const argv[] = {"/bin/sh", "-c", script, NULL};
  const child_request request = {.argv = argv, .timeout_ms = 120000}; // a hang fails, not blocks
  child_result result;
  child_run(&request, &result);
  free(script);
  answer got = {result.exit_code, result.output, ""};
  memcpy(got.error, result.last_error_line, sizeof got.error);
  return got;
}

static answer runner(const char *arguments) { return run_program(getenv("RUNNER"), arguments); }

static json_t *record_from(const char *program, const char *arguments, int code) {
  answer got = run_program(program, arguments);
  assert_int_equal(got.code, code);
  json_t *record = json_loads(got.text, 0, NULL);
  assert_true(json_is_object(record));
  free(got.text);
  return record;
}

static json_t *record_of(const char *arguments, int code) {
  return record_from(getenv("RUNNER"), arguments, code);
}

static void test_list_describes_everything(void **state) {
  (void)state;
  json_t *about = record_of("--list", 0);
  assert_string_equal(job_text(about, "heap"), "libc");
  assert_true(job_text(about, "heap_version")[0]);
  assert_true(json_array_size(json_object_get(about, "workloads")) > 0);
  assert_true(json_array_size(json_object_get(about, "options")) > 0);
  json_decref(about);
}

static void test_record_is_complete(void **state) {
  (void)state;
  json_t *record = record_of("--workload seed_step --set count=4K --set step=64 --seed 5 --block 2 "
                             "--variant label",
                             0);
  static const char *const keys[] = {"workload", "heap",  "variant",  "heap_version", "params",
                                     "config",   "seed",  "block",    "checksum",     "metrics",
                                     "stages",   "start", "contract", "environment"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    assert_non_null(json_object_get(record, keys[i]));
  assert_string_equal(job_text(record, "status"), "ok");
  assert_string_equal(job_text(record, "variant"), "label");
  const json_t *params = json_object_get(record, "params");
  assert_int_equal(json_integer_value(json_object_get(params, "count")), 4096);
  assert_int_equal(json_integer_value(json_object_get(params, "size")), 16); // a default
  const json_t *stage = json_array_get(json_object_get(record, "stages"), 0);
  assert_string_equal(job_text(stage, "name"), "baseline");
  assert_true(json_integer_value(json_object_get(stage, "rss_bytes")) > 0);
  const json_t *metrics = json_object_get(record, "metrics");
  static const char *const numbers[] = {"wall_ns",        "user_ns",       "sys_ns",
                                        "peak_rss_bytes", "timed_wall_ns", "minor_faults_count"};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    assert_true(json_is_number(json_object_get(metrics, numbers[i])));
  json_decref(record);
}

static void test_same_seed_same_checksum(void **state) {
  (void)state;
  json_t *a = record_of("--workload seed_step --set count=1000", 0);
  json_t *b = record_of("--workload seed_step --set count=1000", 0);
  json_t *c = record_of("--workload seed_step --set count=1000 --seed 2", 0);
  assert_string_equal(job_text(a, "checksum"), job_text(b, "checksum"));
  assert_string_not_equal(job_text(a, "checksum"), job_text(c, "checksum"));
  json_decref(a);
  json_decref(b);
  json_decref(c);
}

static void test_unsupported_configuration_is_skipped(void **state) {
  (void)state;
  json_t *record = record_of("--workload seed_step --set limit=1G", 0);
  assert_string_equal(job_text(record, "status"), "skipped");
  assert_string_equal(job_text(record, "reason"), "needs a heap limit");
  json_decref(record);
}

// The reason says what ran out and what to do.
static void test_limit_that_is_too_small_is_a_row(void **state) {
  (void)state;
  const char *const programs[] = {getenv("NONMOVING"), getenv("COMPACT")};
  for (size_t i = 0; i < 2; i++) {
    json_t *record = record_from(programs[i], "--workload seed_array --set limit=100000", 3);
    assert_string_equal(job_text(record, "status"), "oom");
    assert_string_equal(job_text(record, "reason"),
                        "out of memory under limit=100000; raise it with --set limit=BYTES");
    json_decref(record);
  }
}

static void test_no_memory_is_a_row(void **state) {
  (void)state;
  // 2^56 bytes in one object: more than any address space. A sanitizer would abort there.
  char *script = cli_format("export ASAN_OPTIONS=allocator_may_return_null=1 "
                            "TSAN_OPTIONS=allocator_may_return_null=1; exec \"$RUNNER\" "
                            "--workload seed_array --set count=256M --set size=256M");
  char *const argv[] = {"/bin/sh", "-c", script, NULL};
  const child_request request = {.argv = argv, .timeout_ms = 120000};
  child_result result;
  child_run(&request, &result);
  json_t *record = json_loads(result.output, 0, NULL);
  assert_int_equal(result.exit_code, 3);
  assert_string_equal(job_text(record, "status"), "oom");
  assert_null(json_object_get(record, "checksum"));
  json_decref(record);
  child_result_free(&result);
  free(script);
}

static void test_mistakes_exit_with_2_and_one_line(void **state) {
  (void)state;
  static const struct {
    const char *arguments, *needle;
  } cases[] = {{"", "--workload"},
               {"--workload nothing", "nothing"},
               {"--workload seed_step --set step=0", "from 1 to"},
               {"--workload seed_step --set stp=1", "count, size, step"},
               {"--workload seed_step --seed x", "--seed"},
               {"--workload seed_step --sample-ms -1", "--sample-ms"},
               {"--workload seed_step extra", "extra"},
               {"--workload seed_step --frobnicate", "--frobnicate"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    answer got = runner(cases[i].arguments);
    assert_int_equal(got.code, 2);
    assert_non_null(strstr(got.error, cases[i].needle));
    assert_string_equal(got.text, "");
    free(got.text);
  }
}

static void test_unwritable_record_is_an_error(void **state) {
  (void)state;
  answer got = runner("--workload seed_step --set count=10 --json /no/such/folder/file");
  assert_int_equal(got.code, 3);
  assert_non_null(strstr(got.error, "/no/such/folder/file"));
  free(got.text);
}

static void test_series_is_sampled(void **state) {
  (void)state;
  json_t *record = record_of("--workload seed_array --sample-ms 1", 0);
  const json_t *series = json_object_get(record, "series");
  assert_true(json_array_size(series) > 0);
  assert_int_equal(json_array_size(json_array_get(series, 0)), 3);
  json_decref(record);
}

// ---- the two heaps ------------------------------------------------------------------------------

static json_int_t number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  assert_true(json_is_integer(value));
  return json_integer_value(value);
}

static void check_collector_record(const char *program) {
  json_t *record =
      record_from(program, "--workload bintrees --set depth=12 --set min_heap=64K --map", 0);
  assert_string_equal(job_text(record, "status"), "ok");
  const json_t *metrics = json_object_get(record, "metrics");
  assert_true(number(metrics, "pause_count") > 0);
  assert_true(number(metrics, "pause_total_ns") >= number(metrics, "pause_max_ns"));
  assert_true(json_is_true(json_object_get(record, "forced_pauses_excluded")));
  assert_true(json_array_size(json_object_get(json_object_get(record, "pauses"), "stop")) > 0);
  const json_t *mmu = json_object_get(record, "mmu");
  assert_true(json_array_size(mmu) > 0);
  for (size_t i = 0; i < json_array_size(mmu); i++) {
    const double fraction = json_number_value(json_array_get(json_array_get(mmu, i), 1));
    assert_true(fraction >= 0 && fraction <= 1);
  }
  assert_int_equal(json_object_size(json_object_get(record, "map")),
                   json_array_size(json_object_get(record, "stages")));
  json_decref(record);
}

static void test_collectors_report_pauses_and_maps(void **state) {
  (void)state;
  check_collector_record(getenv("NONMOVING"));
  check_collector_record(getenv("COMPACT"));
}

// The promise of the report: RSS is explained by what is accounted for, within 2 % and 1 MiB.
static void check_accounting(const char *program, const char *arguments) {
  json_t *record = record_from(program, arguments, 0), *stage;
  size_t index;
  json_array_foreach(json_object_get(record, "stages"), index, stage) {
    const json_int_t rss = number(stage, "rss_bytes"), residual = number(stage, "residual_bytes");
    if (llabs(residual) > rss / 50 + (1 << 20))
      fail_msg("%s %s, stage %s: RSS %lld, unexplained %lld", program, arguments,
               job_text(stage, "name"), (long long)rss, (long long)residual);
  }
  json_decref(record);
}

static void test_memory_accounting_closes(void **state) {
  (void)state;
  static const char *const runs[] = {
      "--workload seed_pathological",
      "--workload seed_copy",
      "--workload churn --set n=16 --set ops=100000 --sample-ms 5",
      "--workload service --set entries=100",
      "--workload service --set mitigation=separate --set entries=100",
  };
  if (getenv("SANITIZED")) skip(); // shadow memory is RSS too
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
    check_accounting(getenv("NONMOVING"), runs[i]);
    check_accounting(getenv("COMPACT"), runs[i]);
  }
}

static void test_verification_is_asked_for(void **state) {
  (void)state;
  static const char arguments[] = "--workload bintrees --set depth=8 --set verify=1";
  json_decref(record_from(getenv("NONMOVING"), arguments, 0));
  json_decref(record_from(getenv("COMPACT"), arguments, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_list_describes_everything),
      cmocka_unit_test(test_record_is_complete),
      cmocka_unit_test(test_same_seed_same_checksum),
      cmocka_unit_test(test_unsupported_configuration_is_skipped),
      cmocka_unit_test(test_limit_that_is_too_small_is_a_row),
      cmocka_unit_test(test_no_memory_is_a_row),
      cmocka_unit_test(test_mistakes_exit_with_2_and_one_line),
      cmocka_unit_test(test_unwritable_record_is_an_error),
      cmocka_unit_test(test_series_is_sampled),
      cmocka_unit_test(test_collectors_report_pauses_and_maps),
      cmocka_unit_test(test_memory_accounting_closes),
      cmocka_unit_test(test_verification_is_asked_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
