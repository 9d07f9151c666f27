// SPDX-License-Identifier: MIT
// Memory over time: RSS as sampled while churn and service run.
#include <math.h>

#include "reports/report_parts.h"

static const double mib = 1024.0 * 1024.0;
static const double second_ns = 1e9;

// More points than this cannot be told apart in a figure of this width.
enum { SERIES_POINTS_MOST = 600 };

// The first ok run with samples stands for its row; the CSV says which points.
static const json_t *group_series(const group *g) {
  for (size_t i = 0; i < g->count; i++) {
    const json_t *series = json_object_get(g->records[i].json, "series");
    if (record_ok(&g->records[i]) && json_array_size(series) > 1) return series;
  }
  return NULL;
}

// Thinned by keeping the sample with the largest RSS of each stretch, so that peaks survive.
static chart_series series_make(report *r, const group *g, const json_t *samples) {
  const size_t count = json_array_size(samples);
  const size_t stretch = (count + SERIES_POINTS_MOST - 1) / SERIES_POINTS_MOST;
  double *x = arena_alloc(r->memory, (count / stretch + 1) * sizeof *x);
  double *y = arena_alloc(r->memory, (count / stretch + 1) * sizeof *y);
  size_t points = 0;
  for (size_t i = 0; i < count; i += stretch) {
    double best = -1, at = 0;
    for (size_t j = i; j < count && j < i + stretch; j++) {
      const json_t *one = json_array_get(samples, j);
      const double rss = json_number_value(json_array_get(one, 1));
      if (rss <= best) continue;
      best = rss;
      at = json_number_value(json_array_get(one, 0));
    }
    x[points] = at / second_ns;
    y[points++] = best / mib;
  }
  return (chart_series){group_label(g), report_row_find(group_heap(g)), SERIES_LINE, points, x, y};
}

static void memory_table(report *r, const scenario *s) {
  static const char *const heads[] = {
      "row",       "peak RSS", "peak footprint", "RSS at the last stage", "footprint there",
      "live there"};
  table t = table_begin(&r->out, "lrrrrr", heads);
  run_counts counts = {0};
  for (size_t i = 0; i < s->count; i++) {
    const group *g = &s->groups[i];
    if (!group_is_plain(g)) continue;
    const json_t *stages = json_object_get(g->records[0].json, "stages");
    for (size_t j = 0; j < g->count && !json_array_size(stages); j++)
      stages = json_object_get(g->records[j].json, "stages");
    const size_t stage_count = json_array_size(stages);
    const char *last =
        stage_count
            ? json_string_value(json_object_get(json_array_get(stages, stage_count - 1), "name"))
            : NULL;
    const estimate peak = measure_estimate(r->memory, g, (measure){NULL, "peak_rss_bytes", NULL});
    run_counts_add(&counts, peak.n);
    table_cell(&t, group_label(g));
    table_cell(&t, show_estimate(r->memory, peak, show_mib));
    static const char *const keys[] = {"peak_footprint_bytes", "rss_bytes", "footprint_bytes",
                                       "live_bytes"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
      const estimate e =
          last ? measure_estimate(r->memory, g, (measure){last, keys[k], NULL}) : (estimate){0};
      table_cell(&t, show_estimate(r->memory, e, show_mib));
    }
  }
  table_end(&t);
  text_add(&r->out, "MiB. ");
  report_caption(r, counts);
}

static void memory_of(report *r, const char *workload, const char *title) {
  const scenario *s = scenario_main(&r->set, workload);
  text_format(&r->out, "### `%s`\n\n", workload);
  if (!s) {
    report_missing(r, arena_format(r->memory, "no record of `%s`", workload));
    return;
  }
  text_format(&r->out, "%s\n\n", scenario_phrase(r, s));
  chart_series *series = arena_alloc(r->memory, s->count * sizeof *series);
  size_t count = 0;
  const char *undrawn = "";
  for (size_t i = 0; i < s->count; i++) {
    if (!group_is_plain(&s->groups[i])) continue;
    const json_t *samples = group_series(&s->groups[i]);
    if (samples)
      series[count++] = series_make(r, &s->groups[i], samples);
    else
      undrawn = arena_format(r->memory, "%s%s%s", undrawn, *undrawn ? ", " : "",
                             group_label(&s->groups[i]));
  }
  if (count) {
    title = arena_format(r->memory, "%s: %s", workload, title);
    const chart_panel panel = {title,
                               {"time since the program began, s", AXIS_LINEAR},
                               {"process RSS, MiB", AXIS_LINEAR},
                               series,
                               count};
    const chart c = {
        arena_format(r->memory, "memory_%s", workload), title, &panel, 1, false, false};
    report_chart(r, &c,
                 arena_format(r->memory,
                              "Line chart of process RSS over time while %s runs, one line per "
                              "heap. Peaks and final values are in the table below.",
                              workload));
    text_add(&r->out,
             "One run per row is drawn: the first completed one. A fall at the end is the last "
             "stage, which collects and gives back.\n\n");
    if (*undrawn) text_format(&r->out, "Rows without samples, not drawn: %s.\n\n", undrawn);
  } else {
    report_missing(r, "memory over time (no record has a series)");
  }
  memory_table(r, s);
}

void section_memory(report *r) {
  text_add(&r->out, "## Memory over time\n\n");
  memory_of(r, "churn", "RSS while churn replaces nodes");
  memory_of(r, "service", "RSS while the long-running task grows");
}
