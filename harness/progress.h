// SPDX-License-Identifier: MIT
// Progress on standard error: one moving line on a terminal (done/total, current job, time left),
// plain lines otherwise (every 5 % or 30 s). Nothing at all when quiet.
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct run_progress {
  FILE *out; // NULL: quiet
  bool moving;
  size_t done, total, failed;
  uint64_t begin_ns, printed_ns;
  size_t printed_percent;
  double done_cost, total_cost; // expected seconds, to weigh jobs; corrected by what they took
} run_progress;

void progress_begin(run_progress *progress, FILE *out, size_t total, double total_cost);

// How much is to be done has changed: `jobs` more of `cost` expected seconds in all.
void progress_expect(run_progress *progress, size_t jobs, double cost);

// A job begins; `title` says which.
void progress_job(run_progress *progress, const char *title);

// It ended after all that was expected of it (cost seconds).
void progress_done(run_progress *progress, double cost, bool good);

// Take the moving line away, so that other text can be printed.
void progress_clear(run_progress *progress);
void progress_end(run_progress *progress);

// Seconds left; negative while nothing is known.
double progress_left_s(const run_progress *progress, uint64_t now_ns);

#endif
