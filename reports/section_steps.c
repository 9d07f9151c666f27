// SPDX-License-Identifier: MIT
// Fragmentation against step: the seed's published table extended by every row, and its figure.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/published.h"
#include "reports/report_parts.h"

static const double mib = 1024.0 * 1024.0;

typedef struct steps {
  const scenario **list; // ascending steps
  size_t count;
} steps;

static int compare_steps(const void *left, const void *right) {
  const double a = scenario_number(*(const scenario *const *)left, "step");
  const double b = scenario_number(*(const scenario *const *)right, "step");
  return (a > b) - (a < b);
}

// Scenarios of the published object count and size (or the others); not the truth rows' own when
// their parameters already joined another scenario.
static steps steps_collect(report *r, bool published) {
  steps found = {arena_alloc(r->memory, r->set.scenario_count * sizeof *found.list), 0};
  const scenario *s;
  for (size_t n = 0; (s = scenario_of(&r->set, "seed_step", n)); n++) {
    const double count = scenario_number(s, "count"), size = scenario_number(s, "size");
    const bool like_published = (isnan(count) || count == published_step_count) &&
                                (isnan(size) || size == published_step_size);
    if (like_published == published && !isnan(scenario_number(s, "step")))
      found.list[found.count++] = s;
  }
  qsort(found.list, found.count, sizeof *found.list, compare_steps);
  size_t kept = 0; // of scenarios with one step, the one with most rows
  for (size_t i = 0; i < found.count && published; i++) {
    const bool same = kept && compare_steps(&found.list[kept - 1], &found.list[i]) == 0;
    if (!same)
      found.list[kept++] = found.list[i];
    else if (found.list[i]->count > found.list[kept - 1]->count)
      found.list[kept - 1] = found.list[i];
  }
  if (published) found.count = kept;
  return found;
}

static estimate step_value(report *r, const scenario *s, const char *heap, measure what) {
  return measure_estimate(r->memory, report_group(r, s, heap, ""), what);
}

static size_t step_columns(report *r, const steps *all, measure what, const char **heaps) {
  size_t count = 0;
  // Truth rows stand first, as in the other tables of the seed.
  const char *order[16] = {"model", "go"};
  size_t order_count = 2;
  for (size_t i = 0; i < report_row_count; i++)
    if (strcmp(report_rows[i].heap, "model") != 0 && strcmp(report_rows[i].heap, "go") != 0)
      order[order_count++] = report_rows[i].heap;
  for (size_t h = 0; h < order_count; h++) {
    bool any = false;
    for (size_t i = 0; i < all->count; i++)
      any |= step_value(r, all->list[i], order[h], what).n > 0;
    if (any) heaps[count++] = order[h];
  }
  return count;
}

// ---- tables -------------------------------------------------------------------------------------

static void steps_table(report *r, const steps *all, measure what, const char *heading,
                        int published) {
  const char *heaps[16], *heads[18];
  char align[20] = "r";
  const size_t count = step_columns(r, all, what, heaps);
  if (!count) return;
  size_t columns = 0;
  heads[columns++] = "step";
  if (published) heads[columns++] = "published";
  for (size_t h = 0; h < count; h++) heads[columns++] = heaps[h];
  memset(align, 'r', columns);
  align[columns] = 0;
  text_format(&r->out, "**%s**\n\n", heading);
  table t = table_begin(&r->out, align, heads);
  run_counts counts = {0};
  for (size_t i = 0; i < all->count; i++) {
    const double step = scenario_number(all->list[i], "step");
    const published_step *known = published_step_find(step);
    table_cell(&t, arena_format(r->memory, "%.0f", step));
    if (published)
      table_cell(&t, known ? show_mib(r->memory, mib * (published == 1 ? known->usage_mib
                                                                       : known->fragmentation_mib))
                           : NULL);
    for (size_t h = 0; h < count; h++) {
      const estimate e = step_value(r, all->list[i], heaps[h], what);
      if (strcmp(heaps[h], "model") != 0) run_counts_add(&counts, e.n);
      table_cell(&t, show_estimate(r->memory, e, show_mib));
    }
  }
  table_end(&t);
  if (counts.most > 1) report_caption(r, counts); // the section says that one run is the rule
}

static void steps_others(report *r) {
  const steps all = steps_collect(r, false);
  if (!all.count) return;
  static const char *const heads[] = {
      "row", "count", "size", "step", "heap_usage", "max_fragmentation", "RSS above start"};
  text_add(&r->out, "<details><summary>Other counts and sizes, MiB above baseline</summary>\n\n");
  table t = table_begin(&r->out, "lrrrrrr", heads);
  for (size_t i = 0; i < all.count; i++) {
    for (size_t g = 0; g < all.list[i]->count; g++) {
      const group *rows = &all.list[i]->groups[g];
      if (!rows->ok_count) continue;
      table_cell(&t, group_label(rows));
      static const char *const names[] = {"count", "size", "step"};
      for (size_t p = 0; p < 3; p++)
        table_cell(&t, show_integer(r->memory, scenario_number(all.list[i], names[p])));
      static const measure columns[] = {{"kept", "heap_usage_bytes", "baseline"},
                                        {"kept", "max_fragmentation_bytes", "baseline"},
                                        {"kept", "rss_bytes", "start"}};
      for (size_t c = 0; c < 3; c++)
        table_cell(
            &t, show_estimate(r->memory, measure_estimate(r->memory, rows, columns[c]), show_mib));
    }
  }
  table_end(&t);
  text_add(&r->out, "</details>\n\n");
}

// ---- figure -------------------------------------------------------------------------------------

static chart_panel steps_panel(report *r, const steps *all, measure what, const char *title,
                               const char *y_label) {
  const char *heaps[16];
  const size_t count = step_columns(r, all, what, heaps);
  chart_series *series = arena_alloc(r->memory, (count + 1) * sizeof *series);
  for (size_t h = 0; h < count; h++) {
    double *x = arena_alloc(r->memory, all->count * sizeof *x);
    double *y = arena_alloc(r->memory, all->count * sizeof *y);
    size_t points = 0;
    for (size_t i = 0; i < all->count; i++) {
      const estimate e = step_value(r, all->list[i], heaps[h], what);
      if (!e.n) continue;
      x[points] = scenario_number(all->list[i], "step");
      y[points++] = e.median / mib;
    }
    const bool model = strcmp(heaps[h], "model") == 0;
    series[h] = (chart_series){model ? "closed form" : heaps[h],
                               report_row_find(heaps[h]),
                               model ? SERIES_LINE : SERIES_LINE_POINTS,
                               points,
                               x,
                               y};
  }
  return (chart_panel){title,
                       {"step: every step-th object is kept", AXIS_LOG2},
                       {y_label, AXIS_LINEAR},
                       series,
                       count};
}

void section_steps(report *r) {
  static const measure usage = {"kept", "heap_usage_bytes", "baseline"};
  static const measure fragmentation = {"kept", "max_fragmentation_bytes", "baseline"};
  static const measure rss = {"kept", "rss_bytes", "start"};
  text_add(&r->out, "### Fragmentation against step\n\n");
  const steps all = steps_collect(r, true);
  if (!all.count) {
    report_missing(r, "no record of `seed_step` with the published count and size");
    steps_others(r);
    return;
  }
  text_format(&r->out, "`seed_step`: %s objects of %s B, every step-th kept.\n\n",
              show_integer(r->memory, published_step_count),
              show_integer(r->memory, published_step_size));
  if (all.count > 1) {
    const chart_panel panels[] = {
        steps_panel(r, &all, usage, "seed_step: what the heap says, heap_usage",
                    "MiB above baseline"),
        steps_panel(r, &all, rss, "seed_step: what the kernel says, RSS", "MiB above start")};
    const chart c = {
        "fragmentation_step", "seed_step: memory still held against step", panels, 2, true, false};
    report_chart(r, &c,
                 "Two line charts of the memory still held after keeping every step-th object, "
                 "against step: heap_usage with the closed form, and process RSS. The tables below "
                 "hold the same numbers.");
  }
  steps_table(r, &all, usage, "heap_usage above baseline, MiB", 1);
  steps_table(r, &all, fragmentation, "max_fragmentation above baseline, MiB", 2);
  steps_table(r, &all, rss, "process RSS above its start, MiB", 0);
  steps_others(r);
}
