// SPDX-License-Identifier: MIT
// A real runner (RUNNER, on libc malloc): its records, exit codes and messages.
#include <setjmp.h>
#include <stdarg.h>
#include <regex.h>
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
  } cases[] = {
      {"", "--workload"},
      {"--workload nothing", "nothing"},
      {"--workload seed_step --set step=0", "from 1 to"},
      {"--workload seed_step --set stp=1", "count, size, step"},
      {"--workload seed_step --seed x", "--seed"},
      {"--workload seed_step --sample-ms -1", "--sample-ms"},
      {"--workload seed_step --gogc fast", "--gogc: heap option gogc cannot be 'fast'"},
      {"--workload seed_step --memory-limit x", "--memory-limit: heap option memory_limit"},
      {"--workload seed_step --trace all", "--trace: heap option trace cannot be 'all'"},
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

static void test_options_of_the_heap_have_short_forms(void **state) {
  (void)state;
  json_t *record = record_of("--workload seed_step --set count=10 --gogc off --memory-limit 64M "
                             "--trace gc,pacer",
                             0);
  const json_t *config = json_object_get(record, "config");
  assert_int_equal(json_integer_value(json_object_get(config, "gogc")), -1);
  assert_int_equal(json_integer_value(json_object_get(config, "memory_limit")), 64 << 20);
  assert_int_equal(json_integer_value(json_object_get(config, "trace")), 5);
  json_decref(record);
}

static json_int_t traced(const char *environment, const char *arguments) {
  char *script = cli_format("%s exec \"$RUNNER\" --workload seed_step --set count=10 %s",
                            environment, arguments);
  char *const argv[] = {"/bin/sh", "-c", script, NULL};
  const child_request request = {.argv = argv, .timeout_ms = 120000};
  child_result result;
  child_run(&request, &result);
  json_t *record = json_loads(result.output, 0, NULL);
  const json_t *trace = json_object_get(json_object_get(record, "config"), "trace");
  const json_int_t value = trace ? json_integer_value(trace) : -result.exit_code;
  json_decref(record);
  child_result_free(&result);
  free(script);
  return value;
}

static void test_environment_is_the_default_of_trace(void **state) {
  (void)state;
  assert_int_equal(traced("HEAPDUEL_TRACE=scav", ""), 2);
  assert_int_equal(traced("HEAPDUEL_TRACE=scav", "--trace gc"), 1);
  assert_int_equal(traced("HEAPDUEL_TRACE=scav", "--set trace=none"), 0);
  assert_int_equal(traced("HEAPDUEL_TRACE=", ""), 0);
  assert_int_equal(traced("HEAPDUEL_TRACE=everything", ""), -2); // usage
}

// Lines that a pattern matches in the standard error of a traced run; every line must match one of the
// three formats of Go.
typedef struct traced_lines {
  size_t gc, scav, pacer;
} traced_lines;

static bool line_is(const char *line, const char *pattern) {
  regex_t regex;
  assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
  const bool found = regexec(&regex, line, 0, NULL, 0) == 0;
  regfree(&regex);
  return found;
}

static traced_lines read_trace(char *text) {
  traced_lines lines = {0, 0, 0};
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
    if (line_is(line,
                "^gc [0-9]+ @[0-9]+\\.[0-9]{3}s [0-9]+%: [0-9.]+\\+[0-9.]+\\+[0-9.]+ ms clock, "
                "[0-9.]+\\+[0-9.]+/[0-9.]+/[0-9.]+\\+[0-9.]+ ms cpu, [0-9]+->[0-9]+->[0-9]+ MB, "
                "[0-9]+ MB goal, [0-9]+ MB stacks, [0-9]+ MB globals, [0-9]+ P( \\(forced\\))?$"))
      lines.gc++;
    else if (line_is(line,
                     "^scav [0-9]+ KiB work \\(bg\\), [0-9]+ KiB work \\(eager\\), [0-9]+ KiB "
                     "now, [0-9]+% util( \\(forced\\)| \\[controller reset\\])?$"))
      lines.scav++;
    else if (line_is(line, "^pacer: "))
      lines.pacer++;
    else
      fail_msg("no line of a trace: %s", line);
  }
  return lines;
}

// The lines go to standard error and the record, which counts the same cycles, to a file.
static void check_trace(const char *program, const char *gc, const char *trace) {
  char path[] = "/tmp/heapduel-runner-XXXXXX";
  const int descriptor = mkstemp(path);
  assert_true(descriptor >= 0);
  close(descriptor);
  char *arguments = cli_format("--workload bintrees --set depth=12 --set min_heap=64K --set gc=%s "
                               "--trace %s --json %s 2>&1",
                               gc, trace, path);
  answer got = run_program(program, arguments);
  free(arguments);
  assert_int_equal(got.code, 0);
  const traced_lines lines = read_trace(got.text);
  free(got.text);
  json_t *record = json_load_file(path, 0, NULL);
  unlink(path);
  const json_t *phases = json_object_get(json_object_get(record, "phases"), "cycle");
  const json_int_t cycles = json_integer_value(json_object_get(phases, "count"));
  json_decref(record);
  assert_true(cycles > 0);
  // A cycle may end between the record and the end of the process.
  if (strstr(trace, "gc")) assert_true((json_int_t)lines.gc >= cycles);
  assert_int_equal(lines.gc > 0, strstr(trace, "gc") != NULL);
  // A heap that compacts may have had nothing to return.
  if (strcmp(program, getenv("NONMOVING")) == 0 || lines.scav > 0)
    assert_int_equal(lines.scav > 0, strstr(trace, "scav") != NULL);
  assert_int_equal(lines.pacer > 0, strstr(trace, "pacer") != NULL);
}

static void test_collectors_trace_as_go_does(void **state) {
  (void)state;
  const char *const programs[] = {getenv("NONMOVING"), getenv("COMPACT")};
  static const char *const kinds[] = {"gc", "scav", "pacer", "gc,scav,pacer", "none"};
  for (size_t p = 0; p < 2; p++)
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
      check_trace(programs[p], "stw", kinds[i]);
      check_trace(programs[p], "concurrent", kinds[i]);
    }
}

// Read a timeline back: what the collector did is on its track, and stages are marked.
static void check_timeline(const char *program, const char *gc) {
  char path[] = "/tmp/heapduel-runner-XXXXXX";
  const int descriptor = mkstemp(path);
  assert_true(descriptor >= 0);
  close(descriptor);
  char *arguments = cli_format("--workload bintrees --set depth=12 --set min_heap=64K --set gc=%s "
                               "--sample-ms 1 --timeline %s",
                               gc, path);
  json_t *record = record_from(program, arguments, 0);
  free(arguments);
  json_t *timeline = json_load_file(path, 0, NULL), *event;
  unlink(path);
  assert_true(json_is_object(timeline));
  size_t index, cycles = 0, markers = 0, samples = 0;
  json_array_foreach(json_object_get(timeline, "traceEvents"), index, event) {
    const char *phase = job_text(event, "ph"), *name = job_text(event, "name");
    cycles += phase[0] == 'X' && strcmp(name, "cycle") == 0;
    markers += phase[0] == 'i';
    samples += phase[0] == 'C' && strcmp(name, "RSS") == 0;
  }
  const json_t *phases = json_object_get(json_object_get(record, "phases"), "cycle");
  // A collection may end between the two readings.
  assert_true(cycles > 0 &&
              (json_int_t)cycles >= json_integer_value(json_object_get(phases, "count")));
  assert_int_equal(markers, json_array_size(json_object_get(record, "stages")));
  assert_true(samples > 0);
  json_decref(timeline);
  json_decref(record);
}

static void test_timeline_shows_the_run(void **state) {
  (void)state;
  check_timeline(getenv("NONMOVING"), "stw");
  check_timeline(getenv("NONMOVING"), "concurrent");
  check_timeline(getenv("COMPACT"), "stw");
  check_timeline(getenv("COMPACT"), "concurrent");
}

static void test_unwritable_record_is_an_error(void **state) {
  (void)state;
  answer got = runner("--workload seed_step --set count=10 --json /no/such/folder/file");
  assert_int_equal(got.code, 3);
  assert_non_null(strstr(got.error, "/no/such/folder/file"));
  free(got.text);
  got = runner("--workload seed_step --set count=10 --timeline /no/such/folder/line");
  assert_int_equal(got.code, 3);
  assert_non_null(strstr(got.error, "/no/such/folder/line: No such file"));
  assert_non_null(strstr(got.text, "checksum")); // the record is not lost
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

static json_t *collector_record(const char *program, const char *gc) {
  char *arguments =
      cli_format("--workload bintrees --set depth=12 --set min_heap=64K --map --set gc=%s", gc);
  json_t *record = record_from(program, arguments, 0);
  free(arguments);
  assert_string_equal(job_text(record, "status"), "ok");
  char *setting = cli_format("gc=%s", gc);
  assert_non_null(strstr(job_text(record, "heap_settings"), setting));
  free(setting);
  assert_true(json_is_true(json_object_get(record, "forced_pauses_excluded")));
  const json_t *mmu = json_object_get(record, "mmu");
  assert_true(json_array_size(mmu) > 0);
  for (size_t i = 0; i < json_array_size(mmu); i++) {
    const double fraction = json_number_value(json_array_get(json_array_get(mmu, i), 1));
    assert_true(fraction >= 0 && fraction <= 1);
  }
  assert_int_equal(json_object_size(json_object_get(record, "map")),
                   json_array_size(json_object_get(record, "stages")));
  return record;
}

// Both collectors answer for their delays; only one of them must have stopped the program.
static void check_collector_records(const char *program) {
  json_t *record = collector_record(program, "stw");
  const json_t *metrics = json_object_get(record, "metrics");
  assert_true(number(metrics, "pause_count") > 0);
  assert_true(number(metrics, "pause_total_ns") >= number(metrics, "pause_max_ns"));
  assert_true(json_array_size(json_object_get(json_object_get(record, "pauses"), "stop")) > 0);
  json_decref(record);
  record = collector_record(program, "concurrent");
  const json_t *cycles = json_object_get(json_object_get(record, "phases"), "cycle");
  assert_true(number(cycles, "count") > 0);
  assert_true(json_is_object(json_object_get(record, "pauses")));
  json_decref(record);
}

static void test_collectors_report_pauses_and_maps(void **state) {
  (void)state;
  check_collector_records(getenv("NONMOVING"));
  check_collector_records(getenv("COMPACT"));
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
      cmocka_unit_test(test_options_of_the_heap_have_short_forms),
      cmocka_unit_test(test_environment_is_the_default_of_trace),
      cmocka_unit_test(test_collectors_trace_as_go_does),
      cmocka_unit_test(test_timeline_shows_the_run),
      cmocka_unit_test(test_unwritable_record_is_an_error),
      cmocka_unit_test(test_series_is_sampled),
      cmocka_unit_test(test_collectors_report_pauses_and_maps),
      cmocka_unit_test(test_memory_accounting_closes),
      cmocka_unit_test(test_verification_is_asked_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
