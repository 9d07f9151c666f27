// SPDX-License-Identifier: MIT
#include "reports/files.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

bool folder_create(const char *path, char *error, size_t error_bytes) {
  arena memory = {0};
  char *partial = arena_copy(&memory, path);
  int failed = 0;
  for (char *c = partial + 1; *partial && !failed; c++) {
    if (*c != '/' && *c != 0) continue;
    const char kept = *c;
    *c = 0;
    if (mkdir(partial, 0777) != 0 && errno != EEXIST) failed = errno;
    *c = kept;
    if (!kept) break;
  }
  arena_free(&memory);
  struct stat info;
  if (!failed && (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))) failed = ENOTDIR;
  if (failed)
    snprintf(error, error_bytes, "cannot create the folder %s: %s; choose another with -o", path,
             strerror(failed));
  return !failed;
}

bool file_write(const char *path, const char *bytes, size_t count, char *error,
                size_t error_bytes) {
  arena memory = {0};
  const char *beside = arena_format(&memory, "%s.partial", path);
  FILE *file = fopen(beside, "w");
  int failed = file ? 0 : errno;
  if (file) {
    if (count && fwrite(bytes, 1, count, file) != count) failed = errno ? errno : EIO;
    if (fclose(file) != 0 && !failed) failed = errno;
    if (!failed && rename(beside, path) != 0) failed = errno;
    if (failed) unlink(beside);
  }
  arena_free(&memory);
  if (failed) snprintf(error, error_bytes, "cannot write %s: %s", path, strerror(failed));
  return !failed;
}

bool file_read(const char *path, text *out) {
  FILE *file = fopen(path, "r");
  if (!file) return false;
  char chunk[1 << 14];
  size_t got;
  while ((got = fread(chunk, 1, sizeof chunk, file)) > 0) text_add_bytes(out, chunk, got);
  const bool good = !ferror(file);
  fclose(file);
  return good;
}

int program_run(const char *program, const char *const *arguments) {
  arena memory = {0};
  const char *path = getenv("PATH");
  char *environment[] = {arena_copy(&memory, "LC_ALL=C.UTF-8"),
                         arena_format(&memory, "PATH=%s", path ? path : "/usr/bin:/bin"), NULL};
  size_t count = 0;
  while (arguments[count]) count++;
  char **copies = arena_alloc(&memory, (count + 1) * sizeof *copies);
  for (size_t i = 0; i < count; i++) copies[i] = arena_copy(&memory, arguments[i]);
  posix_spawn_file_actions_t actions;
  int failed = posix_spawn_file_actions_init(&actions);
  int status = -1;
  if (!failed) {
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t child;
    failed = posix_spawnp(&child, program, &actions, NULL, copies, environment);
    posix_spawn_file_actions_destroy(&actions);
    if (!failed) {
      while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
      status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
  }
  arena_free(&memory);
  return status;
}
