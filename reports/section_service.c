// SPDX-License-Identifier: MIT
// The long-running service: how fragmentation grows, and what each remedy gives.
#include <string.h>

#include "reports/report_parts.h"

static const double mib = 1024.0 * 1024.0;
static const char *const quarters[] = {"25", "50", "75", "100"};
enum { QUARTERS = 4 };

// ---- growth -------------------------------------------------------------------------------------

static void growth(report *r, const scenario *s) {
  chart_series *series = arena_alloc(r->memory, s->count * sizeof *series);
  size_t count = 0;
  for (size_t i = 0; i < s->count; i++) {
    const group *g = &s->groups[i];
    if (!group_is_plain(g)) continue;
    double *x = arena_alloc(r->memory, QUARTERS * sizeof *x);
    double *y = arena_alloc(r->memory, QUARTERS * sizeof *y);
    size_t points = 0;
    for (size_t q = 0; q < QUARTERS; q++) {
      const estimate rss =
          measure_estimate(r->memory, g, (measure){quarters[q], "rss_bytes", "start"});
      if (!rss.n) continue;
      x[points] = (double)(q + 1) / QUARTERS;
      y[points++] = rss.median / mib;
    }
    if (points)
      series[count++] = (chart_series){
          group_label(g), report_row_find(group_heap(g)), SERIES_LINE_POINTS, points, x, y};
  }
  if (!count) return;
  const chart_panel panel = {"service: memory held after collection and release, as the task grows",
                             {"share of the task done", AXIS_FRACTION},
                             {"RSS above start, MiB", AXIS_LINEAR},
                             series,
                             count};
  const chart c = {
      "service_growth", "service: memory held as the task grows", &panel, 1, true, false};
  report_chart(r, &c,
               "Line chart of RSS above start at each quarter of the long-running task, one line "
               "per heap. The table below holds the end points.");
}

// ---- tables -------------------------------------------------------------------------------------

static void held_table(report *r, const scenario *s) {
  static const char *const heads[] = {
      "row",       "live",           "footprint", "footprint / live", "RSS above start",
      "wall time", "worst operation"};
  table t = table_begin(&r->out, "lrrrrrr", heads);
  run_counts counts = {0};
  for (size_t i = 0; i < s->count; i++) {
    const group *g = &s->groups[i];
    if (!g->ok_count) continue;
    const sample live = measure_sample(r->memory, g, (measure){"100", "live_bytes", NULL});
    const sample held = measure_sample(r->memory, g, (measure){"100", "footprint_bytes", NULL});
    const sample ratio = sample_ratio(r->memory, &held, &live);
    const estimate rss = measure_estimate(r->memory, g, (measure){"100", "rss_bytes", "start"});
    run_counts_add(&counts, rss.n);
    table_cell(&t, group_label(g));
    table_cell(&t, show_estimate(r->memory, sample_estimate(r->memory, &live), show_mib));
    table_cell(&t, show_estimate(r->memory, sample_estimate(r->memory, &held), show_mib));
    table_cell(&t, show_estimate(r->memory, sample_estimate(r->memory, &ratio), show_ratio));
    table_cell(&t, show_estimate(r->memory, rss, show_mib));
    static const char *const times[] = {"timed_wall_ns", "op_max_ns"};
    for (size_t k = 0; k < 2; k++)
      table_cell(&t, show_estimate(r->memory,
                                   measure_estimate(r->memory, g, (measure){NULL, times[k], NULL}),
                                   show_ns));
  }
  table_end(&t);
  text_add(&r->out, "MiB, at the end of the task, before it drops what it kept. ");
  report_caption(r, counts);
}

static const scenario *mitigated(const report *r, const char *mitigation) {
  const scenario *s, *best = NULL;
  for (size_t n = 0; (s = scenario_of(&r->set, "service", n)); n++) {
    const char *choice = scenario_choice(s, "mitigation");
    if (choice && strcmp(choice, mitigation) == 0 && (!best || s->count > best->count)) best = s;
  }
  return best;
}

static void mitigation_table(report *r) {
  static const char *const names[] = {"none", "copy", "pool", "array", "separate"};
  static const char *const words[] = {
      "none", "copy: the program copies its survivors when they doubled",
      "pool: buffers of few sizes are reused", "array: values in arrays in place of pointers",
      "separate: the long task on a heap of its own"};
  static const char *const heaps[] = {"nonmoving", "compact"};
  static const char *const heads[] = {"remedy",          "heap",     "live",
                                      "RSS above start", "peak RSS", "wall time"};
  text_add(&r->out, "**Remedies of the program against those of the heap**\n\n");
  table t = table_begin(&r->out, "llrrrr", heads);
  run_counts counts = {0};
  for (size_t m = 0; m < sizeof names / sizeof *names; m++) {
    const scenario *s = mitigated(r, names[m]);
    for (size_t h = 0; h < 2; h++) {
      const group *g = scenario_group(s, heaps[h], "");
      if (!g) continue;
      const estimate rss = measure_estimate(r->memory, g, (measure){"100", "rss_bytes", "start"});
      run_counts_add(&counts, rss.n);
      table_cell(&t, words[m]);
      table_cell(&t, heaps[h]);
      const measure live = {"100", "live_bytes", NULL};
      table_cell(&t, show_estimate(r->memory, measure_estimate(r->memory, g, live), show_mib));
      table_cell(&t, show_estimate(r->memory, rss, show_mib));
      const measure peak = {NULL, "peak_rss_bytes", NULL}, wall = {NULL, "timed_wall_ns", NULL};
      table_cell(&t, show_estimate(r->memory, measure_estimate(r->memory, g, peak), show_mib));
      table_cell(&t, show_estimate(r->memory, measure_estimate(r->memory, g, wall), show_ns));
    }
  }
  table_end(&t);
  text_add(&r->out, "MiB, at the end of the task. ");
  report_caption(r, counts);
}

void section_service(report *r) {
  text_add(
      &r->out,
      "## The long-running service\n\nA task keeps a little of each of many bursts while "
      "unrelated requests come and go: the case that the seed article leaves for later, scaled "
      "to run in seconds.\n\n");
  const scenario *s = scenario_main(&r->set, "service");
  if (!s) {
    report_missing(r, "no record of `service` without a remedy");
    return;
  }
  text_format(&r->out, "%s\n\n", scenario_phrase(r, s));
  growth(r, s);
  held_table(r, s);
  mitigation_table(r);
}
