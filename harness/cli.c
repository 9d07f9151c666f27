// SPDX-License-Identifier: MIT
#include "harness/cli.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocators/base/bits.h"

int cli_error(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("heapduel: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  return EXIT_USAGE;
}

HS_NORETURN static void cli_no_memory(void) {
  cli_error("out of memory");
  exit(EXIT_JOB_FAILED);
}

void *cli_allocate(size_t bytes) {
  void *memory = calloc(1, bytes ? bytes : 1);
  if (!memory) cli_no_memory();
  return memory;
}

char *cli_format(const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *text;
  if (vasprintf(&text, format, args) < 0) cli_no_memory();
  va_end(args);
  return text;
}

// ---- programs -----------------------------------------------------------------------------------

const char *cli_program_folder(void) {
  static char folder[PATH_MAX];
  if (folder[0]) return folder;
  const ssize_t length = readlink("/proc/self/exe", folder, sizeof folder - 1);
  if (length <= 0) return ".";
  folder[length] = 0;
  char *slash = strrchr(folder, '/');
  if (slash) *slash = 0;
  return folder;
}

bool cli_can_execute(const char *program) {
  if (strchr(program, '/')) return access(program, X_OK) == 0;
  const char *path = getenv("PATH");
  for (const char *at = path ? path : ""; *at;) {
    const size_t length = strcspn(at, ":");
    char *candidate = cli_format("%.*s/%s", (int)length, at, program);
    const bool found = length > 0 && access(candidate, X_OK) == 0;
    free(candidate);
    if (found) return true;
    at += length + (at[length] == ':');
  }
  return false;
}

bool cli_make_folder(const char *path) {
  char *copy = cli_format("%s", path);
  bool good = true;
  for (char *at = copy + 1; good && *at; at++) {
    if (*at != '/') continue;
    *at = 0;
    good = mkdir(copy, 0777) == 0 || errno == EEXIST;
    *at = '/';
  }
  good = good && (mkdir(copy, 0777) == 0 || errno == EEXIST);
  free(copy);
  struct stat about;
  if (good && stat(path, &about) == 0 && !S_ISDIR(about.st_mode)) {
    errno = ENOTDIR;
    good = false;
  }
  if (good && access(path, W_OK | X_OK) == 0) return true;
  cli_error("cannot write to folder %s: %s; choose another with -o DIR", path, strerror(errno));
  return false;
}

// ---- suggestions --------------------------------------------------------------------------------

enum { CLI_NAME_LIMIT = 64 }; // longer names are not compared

size_t cli_distance(const char *a, const char *b) {
  const size_t n = strlen(a), m = strlen(b);
  if (n > CLI_NAME_LIMIT || m > CLI_NAME_LIMIT) return SIZE_MAX;
  // Three rows of the optimal string alignment table: two back for swaps, last, current.
  size_t rows[3][CLI_NAME_LIMIT + 1] = {{0}};
  for (size_t j = 0; j <= m; j++) rows[0][j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t *row = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      row[j] =
          hs_min_size(hs_min_size(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = hs_min_size(row[j], before[j - 2] + 1);
    }
  }
  return rows[n % 3][m];
}

const char *cli_nearest(const char *wrong, const char *const *names, size_t count) {
  const char *best = NULL;
  size_t best_distance = SIZE_MAX;
  for (size_t i = 0; i < count; i++) {
    size_t distance = cli_distance(wrong, names[i]);
    // What is typed may also be the beginning: "seed_path" for "seed_pathological".
    if (strlen(wrong) >= 3 && strncmp(wrong, names[i], strlen(wrong)) == 0) distance = 1;
    if (distance < best_distance) {
      best_distance = distance;
      best = names[i];
    }
  }
  // A third of the letters may be wrong, at least two.
  return best_distance <= hs_max_size(2, strlen(wrong) / 3) ? best : NULL;
}

// ---- text ---------------------------------------------------------------------------------------

bool cli_is_interactive(FILE *stream) {
  return isatty(fileno(stream)) && !getenv("NO_COLOR") && !getenv("CI");
}

const char *cli_bytes(double bytes, char out[24]) {
  const double size = bytes < 0 ? -bytes : bytes;
  if (size >= 1 << 20)
    snprintf(out, 24, "%.2f MiB", bytes / (1 << 20));
  else if (size >= 1 << 10)
    snprintf(out, 24, "%.0f KiB", bytes / (1 << 10));
  else
    snprintf(out, 24, "%.0f B", bytes);
  return out;
}

const char *cli_time(double ns, char out[24]) {
  if (ns >= 1e9)
    snprintf(out, 24, "%.2f s", ns / 1e9);
  else if (ns >= 1e6)
    snprintf(out, 24, "%.2f ms", ns / 1e6);
  else if (ns >= 1e3)
    snprintf(out, 24, "%.1f us", ns / 1e3);
  else
    snprintf(out, 24, "%.1f ns", ns);
  return out;
}

// ---- interrupts ---------------------------------------------------------------------------------

static volatile sig_atomic_t cli_interrupt_flag;

static void cli_on_interrupt(int number) {
  (void)number;
  cli_interrupt_flag = 1;
}

void cli_catch_interrupts(void) {
  struct sigaction action = {.sa_handler = cli_on_interrupt}; // no SA_RESTART: waits end
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void) { return cli_interrupt_flag != 0; }
