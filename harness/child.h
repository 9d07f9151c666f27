// SPDX-License-Identifier: MIT
// A child process with a deadline: what it printed, how it ended. One at a time, so that nothing
// else of ours runs beside a measurement.
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  CHILD_LINE_BYTES = 400,        // kept of the last line on standard error
  CHILD_OUTPUT_LIMIT = 256 << 20 // bytes of standard output: a runaway child does not eat memory
};

typedef struct child_request {
  char *const *argv;    // argv[0] is the path, or a name looked up in PATH
  uint64_t timeout_ms;  // 0: none
  size_t padding_bytes; // length of an extra environment variable, see Note [layout bias]
  bool copy_stderr;     // also write standard error to ours as it comes
} child_request;

typedef struct child_result {
  int start_error; // errno when it could not be started, else 0
  int exit_code;   // -1 when it did not exit by itself
  int signal;      // that ended it, else 0
  bool timed_out, interrupted;
  char *output; // of standard output, NUL-terminated; free with child_result_free
  size_t output_bytes;
  char last_error_line[CHILD_LINE_BYTES];
  uint64_t wall_ns;
} child_result;

// Run to the end, the deadline or an interrupt (cli_interrupted); in the latter cases the whole
// process group is killed. Always fills in *result.
void child_run(const child_request *request, child_result *result);
void child_result_free(child_result *result);

#endif
