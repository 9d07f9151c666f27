// SPDX-License-Identifier: MIT
// Child processes: output, exit, signal, deadline.
#include "harness/child.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static child_result shell(const char *script, uint64_t timeout_ms, size_t padding_bytes) {
  char *const argv[] = {"sh", "-c", (char *)script, NULL};
  const child_request request = {
      .argv = argv, .timeout_ms = timeout_ms, .padding_bytes = padding_bytes};
  child_result result;
  child_run(&request, &result);
  return result;
}

static void test_output_and_exit_code(void **state) {
  (void)state;
  child_result result = shell("echo one; echo two; exit 7", 0, 0);
  assert_int_equal(result.start_error, 0);
  assert_int_equal(result.exit_code, 7);
  assert_int_equal(result.signal, 0);
  assert_string_equal(result.output, "one\ntwo\n");
  assert_true(result.wall_ns > 0);
  child_result_free(&result);
}

static void test_keeps_the_last_error_line(void **state) {
  (void)state;
  child_result result = shell("echo first >&2; echo last >&2; echo out", 0, 0);
  assert_string_equal(result.last_error_line, "last");
  assert_string_equal(result.output, "out\n");
  child_result_free(&result);
  result = shell("i=0; while [ $i -lt 300 ]; do printf abc >&2; i=$((i+1)); done", 0, 0);
  assert_int_equal(strlen(result.last_error_line), CHILD_LINE_BYTES - 1);
  child_result_free(&result);
}

// What the child says goes to our standard error as it is, and its last line is still known.
static void test_copies_standard_error(void **state) {
  (void)state;
  char path[] = "/tmp/heapduel-child-XXXXXX";
  const int descriptor = mkstemp(path), saved = dup(STDERR_FILENO);
  assert_true(descriptor >= 0 && saved >= 0);
  assert_true(dup2(descriptor, STDERR_FILENO) >= 0);
  char *const argv[] = {"sh", "-c", "echo one >&2; echo out; echo two >&2", NULL};
  const child_request request = {.argv = argv, .copy_stderr = true};
  child_result result;
  child_run(&request, &result);
  dup2(saved, STDERR_FILENO);
  close(saved);
  char text[64] = "";
  assert_int_equal(pread(descriptor, text, sizeof text - 1, 0), 8);
  assert_string_equal(text, "one\ntwo\n");
  assert_string_equal(result.last_error_line, "two");
  assert_string_equal(result.output, "out\n");
  child_result_free(&result);
  close(descriptor);
  unlink(path);
}

static void test_large_output_arrives_whole(void **state) {
  (void)state;
  child_result result = shell("head -c 3000000 /dev/zero | tr '\\0' x", 0, 0);
  assert_int_equal(result.output_bytes, 3000000);
  assert_int_equal(strlen(result.output), 3000000);
  child_result_free(&result);
}

static void test_signal_is_reported(void **state) {
  (void)state;
  child_result result = shell("kill -SEGV $$", 0, 0);
  assert_int_equal(result.signal, SIGSEGV);
  assert_int_equal(result.exit_code, -1);
  child_result_free(&result);
}

static void test_deadline_kills_the_whole_group(void **state) {
  (void)state;
  // The grandchild holds the pipe open: only killing the group ends the run.
  child_result result = shell("echo begun; sleep 1000 & wait", 50, 0);
  assert_true(result.timed_out);
  assert_int_equal(result.signal, SIGKILL);
  assert_true(result.wall_ns < 100000000000ull); // not the 1000 s of the child
  child_result_free(&result);
}

static void test_missing_program(void **state) {
  (void)state;
  char *const argv[] = {"/no/such/program", NULL};
  const child_request request = {.argv = argv};
  child_result result;
  child_run(&request, &result);
  assert_int_equal(result.start_error, ENOENT);
  assert_int_equal(result.exit_code, -1);
  assert_string_equal(result.output, "");
  child_result_free(&result);
}

static void test_padding_has_its_length(void **state) {
  (void)state;
  for (size_t bytes = 0; bytes < 4096; bytes += 1365) {
    child_result result = shell("printf %s \"$HEAPDUEL_PADDING\"", 0, bytes);
    assert_int_equal(result.output_bytes, bytes);
    child_result_free(&result);
  }
}

static void test_no_input(void **state) {
  (void)state;
  child_result result = shell("cat; echo end", 0, 0);
  assert_string_equal(result.output, "end\n");
  child_result_free(&result);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_output_and_exit_code),
      cmocka_unit_test(test_keeps_the_last_error_line),
      cmocka_unit_test(test_copies_standard_error),
      cmocka_unit_test(test_large_output_arrives_whole),
      cmocka_unit_test(test_signal_is_reported),
      cmocka_unit_test(test_deadline_kills_the_whole_group),
      cmocka_unit_test(test_missing_program),
      cmocka_unit_test(test_padding_has_its_length),
      cmocka_unit_test(test_no_input),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
