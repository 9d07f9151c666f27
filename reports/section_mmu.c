// SPDX-License-Identifier: MIT
// Minimum mutator utilisation: how much of any stretch of time the collector leaves to the program.
#include <math.h>

#include "reports/report_parts.h"

// Over the runs of a group the smallest utilisation of each window: a minimum stays a minimum.
static chart_series mmu_series(report *r, const group *g) {
  size_t room = 0;
  for (size_t i = 0; i < g->count; i++) {
    const size_t size = json_array_size(json_object_get(g->records[i].json, "mmu"));
    if (size > room) room = size;
  }
  double *x = arena_alloc(r->memory, (room + 1) * sizeof *x);
  double *y = arena_alloc(r->memory, (room + 1) * sizeof *y);
  size_t points = 0;
  for (size_t i = 0; i < g->count; i++) {
    size_t j;
    const json_t *pair;
    if (!record_ok(&g->records[i])) continue;
    json_array_foreach(json_object_get(g->records[i].json, "mmu"), j, pair) {
      const double window = json_number_value(json_array_get(pair, 0));
      const double share = json_number_value(json_array_get(pair, 1));
      size_t at = 0;
      while (at < points && x[at] != window) at++;
      if (at == points && points == room) continue;
      if (at == points) x[points] = window, y[points++] = share;
      y[at] = fmin(y[at], share);
    }
  }
  return (chart_series){group_label(g), group_row(g), SERIES_LINE_POINTS, points, x, y};
}

static void mmu_table(report *r, const chart_series *series, size_t count) {
  // Windows a reader knows: a tenth of a frame, a frame, a tenth of a second, a second.
  static const double windows_ns[] = {1e5, 1e6, 1e7, 1e8, 1e9};
  static const char *const heads[] = {"row", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"};
  table t = table_begin(&r->out, "lrrrrr", heads);
  for (size_t s = 0; s < count; s++) {
    table_cell(&t, series[s].label);
    for (size_t w = 0; w < sizeof windows_ns / sizeof *windows_ns; w++) {
      size_t at = 0;
      while (at < series[s].count && series[s].x[at] != windows_ns[w]) at++;
      table_cell(&t, at < series[s].count ? show_percent(r->memory, series[s].y[at]) : NULL);
    }
  }
  table_end(&t);
  text_add(&r->out, "Smallest over all runs; " REPORT_ABSENT
                    " where no run was longer than the window.\n\n");
}

// A curve from part of the delays would flatter, so such a run has none.
static bool mmu_log_was_full(const group *g) {
  double dropped;
  for (size_t i = 0; i < g->count; i++)
    if (record_ok(&g->records[i]) &&
        measure_read(&g->records[i], (measure){NULL, "events_dropped_count", NULL}, &dropped) &&
        dropped > 0)
      return true;
  return false;
}

void mmu_part(report *r, const scenario *s) {
  chart_series *series = arena_alloc(r->memory, s->count * sizeof *series);
  size_t count = 0;
  const char *full = "";
  for (size_t i = 0; i < s->count; i++) {
    if (!group_is_drawn(&s->groups[i])) continue;
    series[count] = mmu_series(r, &s->groups[i]);
    if (series[count].count > 1)
      count++;
    else if (mmu_log_was_full(&s->groups[i]))
      full = arena_format(r->memory, "%s%s%s", full, *full ? ", " : "", group_label(&s->groups[i]));
  }
  text_format(&r->out, "**Minimum mutator utilisation, `%s`**\n\n", scenario_workload(s));
  if (!count) {
    report_missing(r, "no row of this workload has a collector log with every delay");
    return;
  }
  const char *title =
      arena_format(r->memory, "%s: share of the worst window that is left to the program (MMU)",
                   scenario_workload(s));
  const chart_panel panel = {title,
                             {"length of the window", AXIS_LOG_TIME},
                             {"left to the program", AXIS_FRACTION},
                             series,
                             count};
  const chart c = {
      arena_format(r->memory, "mmu_%s", scenario_workload(s)), title, &panel, 1, true, false};
  report_chart(r, &c,
               "Line chart of minimum mutator utilisation against window length, one line per heap "
               "that keeps a log of pauses. The table below holds the same curve.");
  mmu_table(r, series, count);
  if (*full) text_format(&r->out, "No curve, because the log of events was full: %s.\n\n", full);
}
