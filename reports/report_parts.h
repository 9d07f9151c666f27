// SPDX-License-Identifier: MIT
// What the sections of a report share: the records, the text so far, the figures, and the small
// questions that several sections ask. Internal to reports/.
#ifndef REPORTS_REPORT_PARTS_H
#define REPORTS_REPORT_PARTS_H

#include "reports/chart.h"
#include "reports/number.h"
#include "reports/records.h"
#include "reports/statistics.h"

typedef struct report {
  record_set set;
  arena *memory; // the set's
  text out;      // report.md
  figures figures;
  const char *title;
  const char *records_folder; // where times.json may lie
  bool failed;                // a file could not be written; figures.error says which
} report;

// ---- sections, in the order of the report -------------------------------------------------------

void section_summary(report *r);    // section_summary.c
void section_story(report *r);      // section_story.c
void section_compared(report *r);   // section_compared.c
void section_reading(report *r);    //   how to read
void section_seed(report *r);       // section_seed.c
void section_steps(report *r);      // section_steps.c
void section_maps(report *r);       // section_maps.c
void section_pauses(report *r);     // section_pauses.c
void section_tradeoff(report *r);   // section_tradeoff.c
void section_throughput(report *r); // section_throughput.c
void section_moving(report *r);     // section_moving.c
void section_memory(report *r);     // section_memory.c
void section_density(report *r);    // section_density.c
void section_service(report *r);    // section_service.c
void section_times(report *r);      // section_times.c
void section_accounting(report *r); // section_accounting.c
void section_handles(report *r);    //   the price of handles
void section_losses(report *r);     // section_losses.c
void section_method(report *r);     // section_method.c: environment, method, threats
void section_failures(report *r);   // section_failures.c: failures, reproduce

// Part of section_pauses (section_mmu.c): figure and table of one workload.
void mmu_part(report *r, const scenario *s);

// ---- shared questions (report_parts.c) ----------------------------------------------------------

// A row of a scenario. The truth rows (`go`, `model`) are also found in another scenario of the same
// workload whose parameters do not contradict this one: their producers may know fewer parameters.
const group *report_group(const report *r, const scenario *s, const char *heap,
                          const char *variant);

// "n = 5", "n = 3..5" over groups seen so far; zero-initialise.
typedef struct run_counts {
  size_t least, most;
} run_counts;
void run_counts_add(run_counts *counts, size_t n); // n == 0 does not count
const char *run_counts_text(arena *memory, run_counts counts);

// How an estimate's interval is to be read, as a sentence fragment for captions.
const char *interval_words(run_counts counts);

// The caption below a table: "Medians of n = 5 runs; brackets: smallest and largest."
void report_caption(report *r, run_counts counts);

// "Not measured: <what>." as a paragraph.
void report_missing(report *r, const char *what);

// Draw a chart and embed it with its alternative text and the link to its data.
void report_chart(report *r, const chart *c, const char *alt);

// Names of a scenario as a phrase: "`churn` with n=20 ops=2000000".
const char *scenario_phrase(report *r, const scenario *s);

// The same in short: the name alone for the scenario that stands for its workload, otherwise with the
// parameters that differ from that one's.
const char *scenario_short(report *r, const scenario *s);

// Rows whose variant is plain, of heaps that are run (not the model).
bool group_is_plain(const group *g);

// Those, and the rows of our heaps with the program stopped while they mark (`stw`): what figures of
// pauses show.
bool group_is_drawn(const group *g);
const report_row *group_row(const group *g); // its colour, marker and dash

// ---- the quantities by which the two heaps are compared -----------------------------------------

typedef enum comparison_kind {
  COMPARE_BYTES, // less is better; deterministic, so that one run tells
  COMPARE_TIME,  // less is better; one run tells nothing
  COMPARE_RATE,  // more is better; one run tells nothing
} comparison_kind;

typedef struct comparison {
  const char *workload; // NULL: every workload that has the quantity
  const char *title;
  measure what;
  number_show *show;
  comparison_kind kind;
} comparison;

extern const comparison report_comparisons[];
extern const size_t report_comparison_count;

// The comparison of a workload by its key; NULL when there is none.
const comparison *comparison_find(const char *workload, const char *key);

// The comparisons that make the verdict on the first screen.
typedef struct verdict_line {
  const char *workload, *key;
  const char *matter; // what a reader would care about, for a list in a sentence
} verdict_line;

extern const verdict_line report_verdict[];
extern const size_t report_verdict_count;

// Differences of the median ratio below this share are not called differences.
extern const double report_threshold;

// Who is better by a ratio compact / nonmoving: -1 nonmoving, +1 compact, 0 neither (the interval of
// the ratio includes 1, its median is within the threshold of 1, or a time was observed only once).
int comparison_winner(const comparison *c, estimate ratio);

#endif
