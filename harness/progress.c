// SPDX-License-Identifier: MIT
#include "harness/progress.h"

#include <string.h>
#include <sys/ioctl.h>

#include "allocators/os/os.h"
#include "harness/cli.h"

enum {
  PROGRESS_PLAIN_PERCENT = 5, // a plain line at least every 5 % ...
  PROGRESS_PLAIN_S = 30,      // ... or 30 s: enough for a log, little enough to read
  PROGRESS_QUIET_S = 2,       // but nothing that lasts less needs a line
  PROGRESS_LINE_COLUMNS = 80  // when the terminal does not say
};

void progress_begin(run_progress *progress, FILE *out, size_t total, double total_cost) {
  *progress = (run_progress){.out = out,
                             .moving = out && cli_is_interactive(out),
                             .total = total,
                             .total_cost = total_cost,
                             .begin_ns = hs_os_now_ns()};
  progress->printed_ns = progress->begin_ns;
}

void progress_expect(run_progress *progress, size_t jobs, double cost) {
  progress->total = progress->done + jobs;
  progress->total_cost = progress->done_cost + cost;
}

double progress_left_s(const run_progress *progress, uint64_t now_ns) {
  if (progress->done_cost <= 0) return -1;
  const double spent_s = (double)(now_ns - progress->begin_ns) / 1e9;
  const double left = progress->total_cost - progress->done_cost;
  return left <= 0 ? 0 : spent_s / progress->done_cost * left;
}

static int progress_columns(FILE *out) {
  struct winsize size;
  if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return PROGRESS_LINE_COLUMNS;
}

static void progress_print(run_progress *progress, const char *title, uint64_t now_ns) {
  char left[32] = "", failed[32] = "", line[512];
  const double left_s = progress_left_s(progress, now_ns);
  if (left_s >= 0) snprintf(left, sizeof left, ", about %.0f s left", left_s);
  if (progress->failed) snprintf(failed, sizeof failed, ", %zu failed", progress->failed);
  snprintf(line, sizeof line, "%zu/%zu%s%s%s%s", progress->done, progress->total, left, failed,
           title[0] ? ": " : "", title);
  if (progress->moving)
    fprintf(progress->out, "\r\033[K%.*s", progress_columns(progress->out) - 1, line);
  else
    fprintf(progress->out, "heapduel: %s\n", line);
  fflush(progress->out);
  progress->printed_ns = now_ns;
}

void progress_job(run_progress *progress, const char *title) {
  if (!progress->out) return;
  const uint64_t now_ns = hs_os_now_ns();
  if (progress->moving) {
    progress_print(progress, title, now_ns);
    return;
  }
  const size_t percent = progress->total ? 100 * progress->done / progress->total : 0;
  const uint64_t silent_s = (now_ns - progress->printed_ns) / 1000000000;
  const bool stepped = percent >= progress->printed_percent + PROGRESS_PLAIN_PERCENT;
  if (silent_s < (stepped ? PROGRESS_QUIET_S : PROGRESS_PLAIN_S)) return;
  progress->printed_percent = percent;
  progress_print(progress, title, now_ns);
}

void progress_done(run_progress *progress, double cost, bool good) {
  progress->done++;
  progress->failed += !good;
  progress->done_cost += cost;
}

void progress_clear(run_progress *progress) {
  if (!progress->out || !progress->moving) return;
  fputs("\r\033[K", progress->out);
  fflush(progress->out);
}

void progress_end(run_progress *progress) {
  if (!progress->out) return;
  progress_clear(progress);
  char failed[32] = "";
  if (progress->failed) snprintf(failed, sizeof failed, ", %zu failed", progress->failed);
  fprintf(progress->out, "heapduel: %zu of %zu runs in %.0f s%s\n", progress->done, progress->total,
          (double)(hs_os_now_ns() - progress->begin_ns) / 1e9, failed);
}
