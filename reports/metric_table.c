// SPDX-License-Identifier: MIT
#include "reports/metric_table.h"

#include "allocators/base/assert.h"

// ---- the table ----------------------------------------------------------------------------------

static const char *column_text(report *r, const metric_column *column, const group *g, size_t *n) {
  *n = 0;
  if (column->cell) return column->cell(r, g, n);
  const estimate e = measure_estimate(r->memory, g, column->what);
  *n = e.n;
  return show_estimate(r->memory, e, show_by_unit(column->what.key));
}

bool metric_table(report *r, const scenario *s, const metric_column *columns, size_t count,
                  bool (*wanted)(const group *g)) {
  HS_REQUIRE(count <= METRIC_COLUMNS, "a table of %zu metrics", count);
  const char *heads[METRIC_COLUMNS + 1] = {"row"}, *cells[METRIC_COLUMNS];
  char align[METRIC_COLUMNS + 2] = "l";
  for (size_t c = 0; c < count; c++) heads[c + 1] = columns[c].head, align[c + 1] = 'r';
  table t = {0};
  run_counts counts = {0};
  size_t rows = 0;
  for (size_t i = 0; s && i < s->count; i++) {
    const group *g = &s->groups[i];
    if (!g->ok_count || (wanted && !wanted(g))) continue;
    bool any = false;
    for (size_t c = 0; c < count; c++) {
      size_t n;
      cells[c] = column_text(r, &columns[c], g, &n);
      run_counts_add(&counts, n);
      any |= n > 0;
    }
    if (!any) continue;
    if (rows++ == 0) t = table_begin(&r->out, align, heads);
    table_cell(&t, group_label(g));
    for (size_t c = 0; c < count; c++) table_cell(&t, cells[c]);
  }
  if (!rows) return false;
  table_end(&t);
  report_caption(r, counts);
  return true;
}

bool scenario_has(report *r, const scenario *s, const char *key) {
  for (size_t i = 0; s && i < s->count; i++)
    if (measure_sample(r->memory, &s->groups[i], (measure){NULL, key, NULL}).count) return true;
  return false;
}

// ---- cells --------------------------------------------------------------------------------------

const char *cell_collector_share(report *r, const group *g, size_t *n) {
  const sample share = collector_share(r->memory, g);
  *n = share.count;
  return show_estimate(r->memory, sample_estimate(r->memory, &share), show_percent);
}

bool delay_known(const group *g, const char *kind) {
  for (size_t i = 0; i < g->count; i++)
    if (record_ok(&g->records[i]) &&
        json_object_get(json_object_get(g->records[i].json, "pauses"), kind))
      return true;
  return false;
}

// Over all runs of the row: a delay that comes once in ten runs must not vanish in a median.
static const char *longest_delay(report *r, const group *g, const char *kind) {
  const distribution d = group_distribution(r->memory, g, "pauses", kind);
  return d.count ? show_ns(r->memory, d.low_ns[d.count - 1]) : NULL;
}

const char *cell_stops(report *r, const group *g, size_t *n) {
  if (!delay_known(g, "stop")) return NULL;
  *n = g->ok_count;
  return show_integer(r->memory, group_distribution(r->memory, g, "pauses", "stop").total);
}

const char *cell_longest_stop(report *r, const group *g, size_t *n) {
  (void)n; // counted with the stops
  return longest_delay(r, g, "stop");
}

const char *cell_longest_handshake(report *r, const group *g, size_t *n) {
  (void)n;
  return longest_delay(r, g, "handshake");
}
