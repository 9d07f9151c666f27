// SPDX-License-Identifier: MIT
// Death tests: run a function in a child process and require that it aborts with a message of the
// suite ("heapduel: FILE:LINE: ...") that contains the given text.
#ifndef HS_TESTS_DEATH_DEATH_H
#define HS_TESTS_DEATH_DEATH_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

// Whatever the child printed on standard error, terminated; returns the status of waitpid.
static inline int death_run(void (*run)(void), char *text, size_t text_bytes) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL); // cmocka catches some signals
    dup2(ends[1], STDERR_FILENO);
    run();
    _exit(0); // survived
  }
  close(ends[1]);
  size_t length = 0;
  ssize_t count;
  while ((count = read(ends[0], text + length, text_bytes - 1 - length)) > 0)
    length += (size_t)count;
  text[length] = '\0';
  close(ends[0]);
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return status;
}

static inline void expect_death(void (*run)(void), const char *message) {
  char text[4096];
  const int status = death_run(run, text, sizeof text);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
    fail_msg("no abort (status %#x), expected '%s'; printed: %s", (unsigned)status, message, text);
  if (strncmp(text, "heapduel: ", 10) != 0 || !strstr(text, message))
    fail_msg("expected '%s', printed: %s", message, text);
}

#endif
