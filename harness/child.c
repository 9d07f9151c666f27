// SPDX-License-Identifier: MIT
// Note [layout bias]
//   Where the stack of a process begins depends on the size of its environment, and that alone can
//   change times by several percent (Mytkowicz et al., "Producing Wrong Data Without Doing Anything
//   Obviously Wrong!", ASPLOS 2009). Each run gets padding of a random length, so that the bias
//   becomes noise between runs instead of a constant of one row.
#include "harness/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocators/os/os.h"
#include "harness/cli.h"

extern char **environ;

enum { CHILD_READ_BYTES = 1 << 16, CHILD_NO_LIMIT_MS = -1 };

typedef struct child_streams {
  int out, err; // read ends; -1 when closed
  size_t capacity;
  size_t line_length;
  bool line_done; // the line ended: the next byte starts a new one
  bool copy_err;
} child_streams;

// The environment of the child: ours plus the padding. The strings stay ours.
static char **child_environment(size_t padding_bytes, char **padding) {
  size_t count = 0;
  while (environ[count]) count++;
  char **variables = cli_allocate((count + 2) * sizeof *variables);
  memcpy(variables, environ, count * sizeof *variables);
  *padding = cli_format("HEAPDUEL_PADDING=%*s", (int)padding_bytes, "");
  memset(*padding + strlen("HEAPDUEL_PADDING="), 'x', padding_bytes);
  variables[count] = *padding;
  return variables;
}

static int child_spawn(const child_request *request, const int out[2], const int err[2],
                       pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  error = posix_spawnattr_init(&attributes);
  if (error) goto destroy_actions;
  // Its own process group: an interrupt at the terminal reaches us alone, and a deadline can kill
  // everything the child started.
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGINT);
  sigaddset(&defaults, SIGTERM);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
  char *padding, **environment = child_environment(request->padding_bytes, &padding);
  error = posix_spawnp(pid, request->argv[0], &actions, &attributes, request->argv, environment);
  free(environment);
  free(padding);
  posix_spawnattr_destroy(&attributes);
destroy_actions:
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

static void child_keep_output(child_result *result, child_streams *streams, const char *bytes,
                              size_t count) {
  if (result->output_bytes + count > CHILD_OUTPUT_LIMIT) return;
  if (result->output_bytes + count + 1 > streams->capacity) {
    streams->capacity = 2 * (result->output_bytes + count + 1);
    char *larger = cli_allocate(streams->capacity);
    if (result->output) memcpy(larger, result->output, result->output_bytes);
    free(result->output);
    result->output = larger;
  }
  memcpy(result->output + result->output_bytes, bytes, count);
  result->output_bytes += count;
}

static void child_keep_error(child_result *result, child_streams *streams, const char *bytes,
                             size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (bytes[i] == '\n') {
      streams->line_done = true;
      continue;
    }
    if (streams->line_done) streams->line_length = 0;
    streams->line_done = false;
    if (streams->line_length + 1 >= CHILD_LINE_BYTES) continue;
    result->last_error_line[streams->line_length++] = bytes[i];
    result->last_error_line[streams->line_length] = 0;
  }
}

// Read what is there; closes the stream at its end.
static void child_drain(child_result *result, child_streams *streams, int *fd) {
  static char bytes[CHILD_READ_BYTES];
  const ssize_t count = read(*fd, bytes, sizeof bytes);
  if (count > 0 && fd == &streams->out) child_keep_output(result, streams, bytes, (size_t)count);
  if (count > 0 && fd == &streams->err) {
    child_keep_error(result, streams, bytes, (size_t)count);
    if (streams->copy_err) fwrite(bytes, 1, (size_t)count, stderr);
  }
  if (count > 0 || (count < 0 && (errno == EINTR || errno == EAGAIN))) return;
  close(*fd);
  *fd = -1;
}

// Follow both streams until they end, the deadline passes or the user interrupts. SIGINT is let
// through only while waiting in ppoll, so it cannot arrive between the check and the wait.
static void child_follow(child_result *result, child_streams *streams, uint64_t deadline_ns) {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, &before);
  while (streams->out >= 0 || streams->err >= 0) {
    if (cli_interrupted()) {
      result->interrupted = true;
      break;
    }
    const uint64_t now_ns = hs_os_now_ns();
    if (deadline_ns && now_ns >= deadline_ns) {
      result->timed_out = true;
      break;
    }
    struct pollfd fds[2] = {{.fd = streams->out, .events = POLLIN},
                            {.fd = streams->err, .events = POLLIN}};
    const uint64_t left_ns = deadline_ns ? deadline_ns - now_ns : 0;
    const struct timespec left = {(time_t)(left_ns / 1000000000), (long)(left_ns % 1000000000)};
    if (ppoll(fds, 2, deadline_ns ? &left : NULL, &before) <= 0) continue;
    if (fds[0].revents) child_drain(result, streams, &streams->out);
    if (fds[1].revents) child_drain(result, streams, &streams->err);
  }
  sigprocmask(SIG_SETMASK, &before, NULL);
}

static void child_reap(child_result *result, pid_t pid) {
  if (result->timed_out || result->interrupted) kill(-pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    if (cli_interrupted()) kill(-pid, SIGKILL); // it closed its streams but lives on
  }
  if (WIFEXITED(status)) result->exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result->signal = WTERMSIG(status);
}

void child_run(const child_request *request, child_result *result) {
  *result = (child_result){.exit_code = -1};
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0) {
    result->start_error = errno;
    return;
  }
  if (pipe2(err, O_CLOEXEC) != 0) {
    result->start_error = errno;
    close(out[0]), close(out[1]);
    return;
  }
  const uint64_t begin_ns = hs_os_now_ns();
  pid_t pid = 0;
  result->start_error = child_spawn(request, out, err, &pid);
  close(out[1]), close(err[1]);
  child_streams streams = {.out = out[0], .err = err[0], .copy_err = request->copy_stderr};
  if (result->start_error == 0) {
    child_follow(result, &streams,
                 request->timeout_ms ? begin_ns + request->timeout_ms * 1000000 : 0);
    child_reap(result, pid);
  }
  if (streams.out >= 0) close(streams.out);
  if (streams.err >= 0) close(streams.err);
  if (!result->output) result->output = cli_allocate(1);
  result->output[result->output_bytes] = 0;
  result->wall_ns = hs_os_now_ns() - begin_ns;
}

void child_result_free(child_result *result) {
  free(result->output);
  result->output = NULL;
}
