// SPDX-License-Identifier: MIT
// Jobs: identity, command line, parameters.
#include "harness/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/cli.h"

static run_job sample_job(void) {
  return (run_job){.workload = "w",
                   .heap = "h",
                   .variant = "",
                   .sets = {"n=2", "mode=copy"},
                   .set_count = 2,
                   .seed = 9,
                   .block = 4};
}

static void test_key_ignores_the_order_of_settings(void **state) {
  (void)state;
  run_job a = sample_job(), b = sample_job();
  b.sets[0] = "mode=copy";
  b.sets[1] = "n=2";
  char *key_a = job_key(&a), *key_b = job_key(&b);
  assert_string_equal(key_a, "w|h||mode=copy n=2|9|4");
  assert_string_equal(key_a, key_b);
  free(key_b);
  b.block = 5;
  key_b = job_key(&b);
  assert_string_not_equal(key_a, key_b);
  free(key_a);
  free(key_b);
}

static void test_title_reads_well(void **state) {
  (void)state;
  run_job job = sample_job();
  job.variant = "stock";
  char *title = job_title(&job);
  assert_string_equal(title, "w on h stock (mode=copy n=2)");
  free(title);
}

static char *joined(char **argv) {
  char *text = cli_format("%s", argv[0]);
  for (size_t i = 1; argv[i]; i++) {
    char *longer = cli_format("%s %s", text, argv[i]);
    free(text);
    text = longer;
  }
  return text;
}

static void test_command_line(void **state) {
  (void)state;
  run_job job = sample_job();
  job.map = true;
  job.sample_ms = 5;
  const catalogue_heap heap = {.name = "h", .program = "/bin/run_h"};
  char **argv = job_command(&job, &heap);
  char *text = joined(argv);
  assert_string_equal(text, "/bin/run_h --workload w --set n=2 --set mode=copy --seed 9 --block 4 "
                            "--variant  --json - --sample-ms 5 --map");
  free(text);
  job_command_free(argv);
}

static void test_variants_choose_program_and_settings(void **state) {
  (void)state;
  run_job job = sample_job();
  catalogue_heap heap = {.name = "h", .program = "/run_h"};
  job.variant = "outline";
  assert_null(job_command(&job, &heap));
  heap.outline = "/run_h_outline";
  char **argv = job_command(&job, &heap);
  assert_string_equal(argv[0], "/run_h_outline");
  job_command_free(argv);
  job.variant = "stock";
  argv = job_command(&job, &heap);
  char *text = joined(argv);
  assert_non_null(strstr(text, "--set stock=1"));
  free(text);
  job_command_free(argv);
  job.variant = "stw";
  argv = job_command(&job, &heap);
  text = joined(argv);
  assert_non_null(strstr(text, "--set gc=stw"));
  free(text);
  job_command_free(argv);
}

// Reference programs know the options of our heaps as numbers, and have no log of events.
static void test_reference_rows_get_plain_numbers(void **state) {
  (void)state;
  run_job job = {.workload = "w",
                 .heap = "go",
                 .variant = "stw",
                 .sets = {"gogc=off", "mode=copy", "memory_limit=1K", "trace=gc,pacer"},
                 .set_count = 4,
                 .timeline = "/tmp/t.json"};
  catalogue_heap heap = {.name = "go", .program = "/run_go"};
  char **argv = job_command(&job, &heap);
  char *text = joined(argv);
  assert_non_null(strstr(text, "--set gogc=-1 --set mode=copy --set memory_limit=1024 "
                               "--set trace=5 --set gc=0"));
  assert_null(strstr(text, "--timeline"));
  free(text);
  job_command_free(argv);
  heap.name = "compact";
  argv = job_command(&job, &heap);
  text = joined(argv);
  assert_non_null(strstr(text, "--set gogc=off "));
  assert_non_null(strstr(text, "--timeline /tmp/t.json"));
  free(text);
  job_command_free(argv);
}

static void test_reference_rows_draw_no_pages(void **state) {
  (void)state;
  run_job job = sample_job();
  job.map = true;
  job.sample_ms = 5;
  const catalogue_heap heap = {.name = "go", .program = "/run_go"};
  char **argv = job_command(&job, &heap);
  char *text = joined(argv);
  assert_null(strstr(text, "--map"));
  assert_non_null(strstr(text, "--sample-ms 5"));
  free(text);
  job_command_free(argv);
}

static void test_params_hold_defaults_and_leave_heap_options_out(void **state) {
  (void)state;
  json_t *workload = json_loads("{\"params\":[{\"name\":\"n\",\"default\":1},"
                                "{\"name\":\"mode\",\"default\":\"none\"},"
                                "{\"name\":\"size\",\"default\":16}]}",
                                0, NULL);
  run_job job = sample_job();
  job.sets[2] = "gogc=50";
  job.set_count = 3;
  json_t *params = job_params(&job, workload);
  char *text = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
  assert_string_equal(text, "{\"mode\":\"copy\",\"n\":2,\"size\":16}");
  free(text);
  json_decref(params);
  json_decref(workload);
}

static void test_unbuilt_runner_is_skipped(void **state) {
  (void)state;
  const run_job job = sample_job();
  const run_catalogue catalogue = {.count = 0};
  json_t *record = job_run(&job, &catalogue);
  assert_string_equal(job_text(record, "status"), "skipped");
  assert_true(job_text(record, "reason")[0]);
  assert_true(job_is_good(record));
  json_decref(record);
}

static void test_list_owns_its_strings(void **state) {
  (void)state;
  char name[] = "w";
  run_job job = sample_job();
  job.workload = name;
  job_list list = {.jobs = NULL};
  for (int i = 0; i < 200; i++) job_list_add(&list, &job);
  name[0] = 'x';
  assert_int_equal(list.count, 200);
  assert_string_equal(list.jobs[199].workload, "w");
  job_list_free(&list);
  assert_null(list.jobs);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_key_ignores_the_order_of_settings),
      cmocka_unit_test(test_title_reads_well),
      cmocka_unit_test(test_command_line),
      cmocka_unit_test(test_variants_choose_program_and_settings),
      cmocka_unit_test(test_reference_rows_get_plain_numbers),
      cmocka_unit_test(test_reference_rows_draw_no_pages),
      cmocka_unit_test(test_params_hold_defaults_and_leave_heap_options_out),
      cmocka_unit_test(test_unbuilt_runner_is_skipped),
      cmocka_unit_test(test_list_owns_its_strings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
