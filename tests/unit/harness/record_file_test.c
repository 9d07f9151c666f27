// SPDX-License-Identifier: MIT
// Files of records: whole lines only, clear errors, resume.
#include "harness/record_file.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "allocators/base/rng.h"
#include "harness/cli.h"

static char folder[] = "/tmp/heapduel-records-XXXXXX";

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  char *command = cli_format("rm -r %s", folder);
  const int code = system(command);
  free(command);
  return code;
}

static json_t *sample(int block) {
  return json_pack("{s:i,s:s,s:s,s:s,s:i,s:s}", "schema", 1, "workload", "w", "heap", "h", "status",
                   "ok", "block", block, "job", block ? "k1" : "k0");
}

static void append_text(const char *path, const char *text) {
  FILE *file = fopen(path, "a");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void test_appended_records_are_read_back(void **state) {
  (void)state;
  char *path = cli_format("%s/a.jsonl", folder), error[512];
  for (int block = 0; block < 3; block++) {
    json_t *record = sample(block);
    assert_true(record_file_append(path, record));
    json_decref(record);
  }
  json_t *records = record_file_read(path, error, sizeof error);
  assert_int_equal(json_array_size(records), 3);
  assert_true(record_file_has(records, "k0"));
  assert_false(record_file_has(records, "k2"));
  json_decref(records);
  free(path);
}

static void test_interrupted_line_is_ignored_then_replaced(void **state) {
  (void)state;
  char *path = cli_format("%s/b.jsonl", folder), error[512];
  json_t *record = sample(0);
  assert_true(record_file_append(path, record));
  append_text(path, "{\"schema\":1,\"workl");
  json_t *records = record_file_read(path, error, sizeof error);
  assert_int_equal(json_array_size(records), 1);
  json_decref(records);
  assert_true(record_file_append(path, record)); // takes the torn line off first
  records = record_file_read(path, error, sizeof error);
  assert_int_equal(json_array_size(records), 2);
  json_decref(records);
  json_decref(record);
  free(path);
}

static void test_bad_lines_are_named(void **state) {
  (void)state;
  static const char *const bad[] = {
      "nonsense\n",
      "[1]\n",
      "{}\n",
      "{\"schema\":2,\"workload\":\"w\",\"heap\":\"h\",\"status\":\"ok\"}\n",
      "{\"schema\":1,\"workload\":\"w\",\"heap\":\"h\"}\n",
      "{\"schema\":1,\"workload\":3,\"heap\":\"h\",\"status\":\"ok\"}\n"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    char text[256], error[512] = "";
    snprintf(text, sizeof text,
             "{\"schema\":1,\"workload\":\"w\",\"heap\":\"h\",\"status\":\"ok\"}\n%s", bad[i]);
    assert_null(record_file_parse(text, strlen(text), "file", error, sizeof error));
    assert_non_null(strstr(error, "file:2"));
    assert_null(strchr(error, '\n'));
  }
}

static void test_unreadable_files(void **state) {
  (void)state;
  char error[512];
  assert_null(record_file_read("/no/such/file", error, sizeof error));
  assert_non_null(strstr(error, "/no/such/file"));
  assert_null(record_file_read(folder, error, sizeof error)); // a folder
  json_t *record = sample(0);
  assert_false(record_file_append("/no/such/folder/file", record));
  assert_int_equal(errno, ENOENT);
  json_decref(record);
}

static void test_replace_is_whole_or_nothing(void **state) {
  (void)state;
  char *path = cli_format("%s/c.jsonl", folder), *beside = cli_format("%s.tmp", path), error[512];
  json_t *records = json_array();
  json_array_append_new(records, sample(0));
  json_array_append_new(records, sample(1));
  assert_true(record_file_replace(path, records));
  json_t *back = record_file_read(path, error, sizeof error);
  assert_true(json_equal(records, back));
  assert_int_equal(access(beside, F_OK), -1);
  assert_false(record_file_replace("/no/such/folder/file", records));
  json_decref(back);
  json_decref(records);
  free(beside);
  free(path);
}

// A file that cannot grow takes a part of the line: that part must not stay.
static void test_full_disk_leaves_whole_lines(void **state) {
  (void)state;
  char *path = cli_format("%s/full.jsonl", folder);
  json_t *record = sample(0);
  assert_true(record_file_append(path, record));
  struct stat before, after;
  assert_int_equal(stat(path, &before), 0);
  struct rlimit old, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  small = (struct rlimit){(rlim_t)before.st_size + 10, old.rlim_max};
  void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  const bool appended = record_file_append(path, record);
  const int error = errno;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, handler);
  assert_false(appended);
  assert_int_equal(error, EFBIG);
  assert_int_equal(stat(path, &after), 0);
  assert_int_equal(after.st_size, before.st_size);
  json_decref(record);
  free(path);
}

static void test_failed_records_are_not_finished(void **state) {
  (void)state;
  json_t *records = json_pack("[{s:s,s:s},{s:s,s:s}]", "status", "timeout", "job", "a", "status",
                              "skipped", "job", "b");
  assert_false(record_file_has(records, "a"));
  assert_true(record_file_has(records, "b"));
  json_decref(records);
}

// Seeded mutations of a good file: either an error of one line that names the file, or records that
// have all that a record must have.
static void test_mutated_files_never_give_bad_records(void **state) {
  (void)state;
  char *lines[3];
  size_t length = 0;
  char base[1024] = "";
  for (int i = 0; i < 3; i++) {
    json_t *record = sample(i);
    lines[i] = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
    length += (size_t)snprintf(base + length, sizeof base - length, "%s\n", lines[i]);
    free(lines[i]);
    json_decref(record);
  }
  hs_rng rng = hs_rng_seed(42);
  for (int round = 0; round < 20000; round++) {
    char *text = malloc(length); // exact, so that a sanitizer sees one byte too many
    memcpy(text, base, length);
    for (uint64_t edits = hs_rng_between(&rng, 1, 4); edits > 0; edits--)
      text[hs_rng_below(&rng, length)] = (char)hs_rng_below(&rng, 256);
    const size_t cut = hs_rng_below(&rng, 4) == 0 ? (size_t)hs_rng_below(&rng, length) : length;
    char error[512] = "";
    json_t *records = record_file_parse(text, cut, "file", error, sizeof error), *record;
    size_t index;
    if (!records) {
      assert_int_equal(strncmp(error, "file:", 5), 0);
      assert_null(strchr(error, '\n'));
    }
    json_array_foreach(records, index, record) {
      assert_true(json_is_string(json_object_get(record, "workload")));
      assert_true(json_is_string(json_object_get(record, "heap")));
      assert_true(json_is_string(json_object_get(record, "status")));
      assert_int_equal(json_integer_value(json_object_get(record, "schema")), 1);
    }
    json_decref(records);
    free(text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_appended_records_are_read_back),
      cmocka_unit_test(test_interrupted_line_is_ignored_then_replaced),
      cmocka_unit_test(test_bad_lines_are_named),
      cmocka_unit_test(test_unreadable_files),
      cmocka_unit_test(test_replace_is_whole_or_nothing),
      cmocka_unit_test(test_full_disk_leaves_whole_lines),
      cmocka_unit_test(test_failed_records_are_not_finished),
      cmocka_unit_test(test_mutated_files_never_give_bad_records),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
