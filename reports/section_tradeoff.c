// SPDX-License-Identifier: MIT
// Footprint against pause: the one figure that shows both prices at once.
#include <string.h>

#include "reports/report_parts.h"

static const double mib = 1024.0 * 1024.0;

static chart_panel scatter(report *r, const scenario *s, const char *key, const char *title,
                           const char *label) {
  chart_series *series = arena_alloc(r->memory, s->count * sizeof *series);
  size_t count = 0;
  for (size_t i = 0; i < s->count; i++) {
    const group *g = &s->groups[i];
    if (!group_is_drawn(g)) continue;
    const estimate time = measure_estimate(r->memory, g, (measure){NULL, key, NULL});
    const estimate rss = measure_estimate(r->memory, g, (measure){NULL, "peak_rss_bytes", NULL});
    if (!time.n || !rss.n || time.median <= 0) continue;
    double *point = arena_alloc(r->memory, 2 * sizeof *point);
    point[0] = time.median;
    point[1] = rss.median / mib;
    series[count++] =
        (chart_series){group_label(g), group_row(g), SERIES_POINTS, 1, &point[0], &point[1]};
  }
  return (chart_panel){
      title, {label, AXIS_LOG_TIME}, {"peak RSS, MiB", AXIS_LINEAR}, series, count};
}

void section_tradeoff(report *r) {
  const scenario *s = scenario_main(&r->set, "churn");
  text_add(&r->out, "### Memory against time lost\n\n");
  if (!s) {
    report_missing(r, "no record of `churn`");
    return;
  }
  const chart_panel panels[] = {
      scatter(r, s, "pause_max_ns", "churn: what collectors say", "longest pause"),
      scatter(r, s, "op_max_ns", "churn: what the program saw", "worst operation")};
  if (!panels[1].count) {
    report_missing(r, "no row of `churn` has both a worst operation and a peak RSS");
    return;
  }
  const bool both = panels[0].count > 0;
  const chart c = {"tradeoff_churn",
                   "churn: peak memory against the longest delay",
                   both ? panels : panels + 1,
                   both ? 2 : 1,
                   false,
                   true};
  report_chart(r, &c,
               "Scatter of peak RSS against the longest collector pause, and against the worst "
               "operation the program observed, one point per heap; lower left is better. The "
               "values are in the tables of memory over time and of pauses.");
  text_format(&r->out, "%s; medians over runs, lower left is better.\n\n", scenario_phrase(r, s));
}
