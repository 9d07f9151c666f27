// SPDX-License-Identifier: MIT
// Renders a set of records (harness/record.md) as a Markdown report with SVG figures. Pure: the same
// records give the same bytes; no clock, no environment, no heap.
#ifndef REPORT_H
#define REPORT_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

typedef enum report_status {
  REPORT_OK = 0,
  REPORT_BAD_RECORDS,  // unreadable or malformed input
  REPORT_CANNOT_WRITE, // output folder or file
} report_status;

typedef struct report_options {
  const char *records; // path of records.jsonl
  const char *out;     // folder, created when missing; receives report.md and figures/*.svg, *.csv
  const char *title;   // NULL: "heapduel report"
  const char *gnuplot; // program, NULL: "gnuplot"; when it cannot run, figures are left out and the
                       // report says so
} report_options;

// Write report.md and figures. On error `error` holds one line that says what is wrong and what to
// do; no half-written file is left (files are written beside and renamed).
report_status report_render(const report_options *options, char *error, size_t error_bytes);

// The summary table for a terminal, from the same records.
report_status report_summary(const char *records, FILE *out, char *error, size_t error_bytes);

// Several runs of one workload: a line per metric, and per kind of delay for the longest of it. Per heap the
// median of its runs that are ok, their range (see statistics.h), and the median over the blocks of the ratio to
// the first heap. records: an array, all runs of a heap together. Prints nothing when no heap has two.
void report_medians(const json_t *records, FILE *out);

#endif
