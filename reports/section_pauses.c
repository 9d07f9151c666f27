// SPDX-License-Identifier: MIT
// Pauses, and beside them always the latency that the program itself observed.
#include <math.h>
#include <string.h>

#include "reports/metric_table.h"

// ---- figure -------------------------------------------------------------------------------------

// Share of events that lasted at least x, at every bucket bound; buckets start at 1 ns on the axis.
static chart_series ccdf(report *r, const group *g, const char *key, const char *kind) {
  const distribution d = group_distribution(r->memory, g, key, kind);
  double *x = arena_alloc(r->memory, (d.count + 1) * sizeof *x);
  double *y = arena_alloc(r->memory, (d.count + 1) * sizeof *y);
  double left = d.total;
  for (size_t i = 0; i < d.count; i++) {
    x[i] = fmax(1, d.low_ns[i]);
    y[i] = left / d.total;
    left -= d.events[i];
  }
  return (chart_series){group_label(g), group_row(g), SERIES_LINE, d.count, x, y};
}

static void pause_figure(report *r, const scenario *s) {
  chart_series *pauses = arena_alloc(r->memory, s->count * sizeof *pauses);
  chart_series *latency = arena_alloc(r->memory, s->count * sizeof *latency);
  size_t count = 0, pause_points = 0;
  for (size_t i = 0; i < s->count; i++) {
    const group *g = &s->groups[i];
    if (!group_is_drawn(g)) continue;
    pauses[count] = ccdf(r, g, "pauses", "all");
    latency[count] = ccdf(r, g, "latency", NULL);
    pause_points += pauses[count].count;
    count++;
  }
  const char *workload = scenario_workload(s);
  const chart_panel panels[] = {
      {arena_format(r->memory, "%s: pauses, as collectors log them", workload),
       {"length of a pause", AXIS_LOG_TIME},
       {"share of pauses at least as long", AXIS_LOG_FRACTION},
       pauses,
       count},
      {arena_format(r->memory, "%s: operations, as the program timed them", workload),
       {"time of an operation", AXIS_LOG_TIME},
       {"share of operations at least as long", AXIS_LOG_FRACTION},
       latency,
       count}};
  const chart c = {arena_format(r->memory, "pauses_%s", workload),
                   arena_format(r->memory, "%s: how long pauses and operations last", workload),
                   pause_points ? panels : panels + 1,
                   pause_points ? 2 : 1,
                   false,
                   false};
  report_chart(r, &c,
               "Two log-log charts side by side: the share of collector pauses, and of operations "
               "as timed by the program, that last at least as long as the horizontal axis says. "
               "The tables below hold the percentiles.");
}

// ---- tables -------------------------------------------------------------------------------------

static void pause_tables(report *r, const scenario *s) {
  static const metric_column pauses[] = {{"pauses", {NULL, "pause_count", NULL}, NULL},
                                         {"p50", {NULL, "pause_p50_ns", NULL}, NULL},
                                         {"p99", {NULL, "pause_p99_ns", NULL}, NULL},
                                         {"longest", {NULL, "pause_max_ns", NULL}, NULL},
                                         {"sum", {NULL, "pause_total_ns", NULL}, NULL},
                                         {"collector CPU", {0}, cell_collector_share}};
  static const metric_column latency[] = {{"p50", {NULL, "op_p50_ns", NULL}, NULL},
                                          {"p99", {NULL, "op_p99_ns", NULL}, NULL},
                                          {"p99.9", {NULL, "op_p999_ns", NULL}, NULL},
                                          {"p99.99", {NULL, "op_p9999_ns", NULL}, NULL},
                                          {"worst", {NULL, "op_max_ns", NULL}, NULL}};
  text_add(&r->out, "**Pauses, as the collectors log them**\n\n");
  if (!metric_table(r, s, pauses, sizeof pauses / sizeof *pauses, NULL))
    report_missing(r, "no row of this workload keeps a log of pauses");
  text_add(&r->out, "**Operations, as the program timed them**\n\n");
  if (!metric_table(r, s, latency, sizeof latency / sizeof *latency, NULL))
    report_missing(r, "this workload does not time single operations");
}

// ---- delays by kind -----------------------------------------------------------------------------

static const char *const delay_kinds[] = {"stop", "handshake", "assist", "stall"};
enum { DELAY_KINDS = sizeof delay_kinds / sizeof *delay_kinds };

// What each kind of delay came to. Sums over runs: a delay that comes once in ten runs must not
// vanish in a median.
static void delay_table(report *r, const scenario *s) {
  static const char *const heads[] = {"row",     "runs",    "stops",   "longest", "handshakes",
                                      "longest", "assists", "longest", "stalls",  "longest"};
  const size_t before = r->out.length;
  text_add(&r->out, "**Delays by kind**\n\n");
  table t = table_begin(&r->out, "lrrrrrrrrr", heads);
  size_t rows = 0;
  for (size_t i = 0; i < s->count; i++) {
    const group *g = &s->groups[i];
    size_t known = 0;
    for (size_t k = 0; k < DELAY_KINDS; k++) known += delay_known(g, delay_kinds[k]);
    if (!known) continue;
    rows++;
    table_cell(&t, group_label(g));
    table_cell(&t, show_integer(r->memory, (double)g->ok_count));
    for (size_t k = 0; k < DELAY_KINDS; k++) {
      const distribution d = group_distribution(r->memory, g, "pauses", delay_kinds[k]);
      const bool told = delay_known(g, delay_kinds[k]);
      table_cell(&t, told ? show_integer(r->memory, d.total) : NULL);
      table_cell(&t, d.count ? show_ns(r->memory, d.low_ns[d.count - 1]) : NULL);
    }
  }
  table_end(&t);
  text_add(&r->out, "Counts over all runs of the row, and the longest of them (to 1.6 %, the width "
                    "of a bucket). A stop holds up every thread from the request to the resume; a "
                    "handshake is what one thread does for the collector at a safepoint, counted "
                    "above 1 µs; an assist is marking that a thread does to pay for what it "
                    "allocates; a stall is an allocation that waits.\n\n");
  if (!rows) text_cut(&r->out, before);
}

// Number of a phase, summed (or the largest, for max_ns) over the ok runs of a group.
static double phase_number(const group *g, const char *kind, const char *key) {
  double total = 0;
  const bool largest = strcmp(key, "max_ns") == 0;
  for (size_t i = 0; i < g->count; i++) {
    if (!record_ok(&g->records[i])) continue;
    const json_t *phase = json_object_get(json_object_get(g->records[i].json, "phases"), kind);
    const double value = json_number_value(json_object_get(phase, key));
    total = largest ? fmax(total, value) : total + value;
  }
  return total;
}

static void phase_table(report *r, const scenario *s) {
  static const char *const heads[] = {"row", "phase", "count", "total", "longest"};
  const size_t before = r->out.length;
  text_add(&r->out, "<details><summary>Phases of the collectors, summed over runs, "
                    "collections forced by stages included</summary>\n\n");
  table t = table_begin(&r->out, "llrrr", heads);
  size_t rows = 0;
  for (size_t i = 0; i < s->count; i++) {
    const group *g = &s->groups[i];
    if (!g->ok_count) continue;
    size_t run = 0;
    while (!record_ok(&g->records[run])) run++;
    size_t count;
    const char **kinds =
        object_keys(r->memory, json_object_get(g->records[run].json, "phases"), &count);
    for (size_t k = 0; k < count; k++) {
      if (phase_number(g, kinds[k], "count") <= 0) continue;
      rows++;
      table_cell(&t, group_label(g));
      table_cell(&t, kinds[k]);
      table_cell(&t, show_integer(r->memory, phase_number(g, kinds[k], "count")));
      table_cell(&t, show_ns(r->memory, phase_number(g, kinds[k], "total_ns")));
      table_cell(&t, show_ns(r->memory, phase_number(g, kinds[k], "max_ns")));
    }
  }
  table_end(&t);
  text_add(&r->out, "</details>\n\n");
  if (!rows) text_cut(&r->out, before);
}

void section_pauses(report *r) {
  static const char *const workloads[] = {"churn", "service", "bintrees"};
  text_add(&r->out, "## Pauses and observed latency\n\nA pause is what a collector says of itself, "
                    "over the whole run, set-up and warm-up included; an operation is what the "
                    "program timed, after its warm-up. So a pause can be longer than every "
                    "operation. Rows without a collector log appear only in the second. "
                    "\"(stw)\" is one of our heaps with the program stopped while it marks.\n\n");
  for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
    const scenario *s = scenario_main(&r->set, workloads[i]);
    text_format(&r->out, "### Pauses of `%s`\n\n", workloads[i]);
    if (!s) {
      report_missing(r, arena_format(r->memory, "no record of `%s`", workloads[i]));
      continue;
    }
    text_format(&r->out, "%s\n\n", scenario_phrase(r, s));
    if (scenario_has(r, s, "op_max_ns")) pause_figure(r, s);
    pause_tables(r, s);
    delay_table(r, s);
    phase_table(r, s);
    if (i == 0) mmu_part(r, s);
  }
}
