// SPDX-License-Identifier: MIT
// The summary for a terminal: one line per row, columns aligned by visible width.
#include <string.h>

#include "reports/report.h"
#include "reports/report_parts.h"

enum { TERMINAL_COLUMNS = 7, TERMINAL_ROWS_MOST = 32 };

typedef struct grid {
  const char *cells[TERMINAL_ROWS_MOST][TERMINAL_COLUMNS];
  size_t rows;
} grid;

// Letters on the screen: UTF-8 continuation bytes take no place.
static size_t visible_width(const char *string) {
  size_t width = 0;
  for (const char *c = string; *c; c++) width += ((unsigned char)*c & 0xC0u) != 0x80u;
  return width;
}

static void grid_print(const grid *g, FILE *out) {
  size_t widths[TERMINAL_COLUMNS] = {0};
  for (size_t row = 0; row < g->rows; row++)
    for (size_t c = 0; c < TERMINAL_COLUMNS; c++) {
      const size_t width = visible_width(g->cells[row][c]);
      if (width > widths[c]) widths[c] = width;
    }
  for (size_t row = 0; row < g->rows; row++) {
    for (size_t c = 0; c < TERMINAL_COLUMNS; c++) {
      const int pad = (int)(widths[c] - visible_width(g->cells[row][c]));
      if (c == 0)
        fprintf(out, "%s%*s", g->cells[row][c], pad, "");
      else
        fprintf(out, "  %*s%s", pad, "", g->cells[row][c]);
    }
    fputc('\n', out);
  }
}

static const struct {
  const char *top, *bottom, *workload;
  measure what;
  number_show *show;
} terminal_columns[TERMINAL_COLUMNS - 1] = {
    {"left at (3)", "footprint", "seed_pathological", {"3", "footprint_bytes", "1"}, show_mib_unit},
    {"left at (3)", "RSS", "seed_pathological", {"3", "rss_bytes", "start"}, show_mib_unit},
    {"longest", "pause", "churn", {NULL, "pause_max_ns", NULL}, show_ns},
    {"slowest", "operation", "churn", {NULL, "op_max_ns", NULL}, show_ns},
    {"16 B", "garbage", "alloc", {NULL, "imm16_ns", NULL}, show_ns},
    {"churn", "rate", "churn", {NULL, "ops_per_s", NULL}, show_rate},
};

static void grid_row(report *r, grid *g, const char *heap, const char *variant) {
  if (g->rows == TERMINAL_ROWS_MOST) return;
  const char **cells = g->cells[g->rows];
  bool any = false;
  cells[0] = *variant ? arena_format(r->memory, "%s (%s)", heap, variant) : heap;
  for (size_t c = 1; c < TERMINAL_COLUMNS; c++) {
    const scenario *s = scenario_main(&r->set, terminal_columns[c - 1].workload);
    const estimate e = measure_estimate(r->memory, report_group(r, s, heap, variant),
                                        terminal_columns[c - 1].what);
    cells[c] = e.n ? show_median(r->memory, e, terminal_columns[c - 1].show) : "-";
    any |= e.n > 0;
  }
  g->rows += any;
}

report_status report_summary(const char *records, FILE *out, char *error, size_t error_bytes) {
  report r = {.title = ""};
  r.memory = &r.set.memory;
  report_status status = REPORT_BAD_RECORDS;
  if (record_set_read(&r.set, records, error, error_bytes)) {
    grid g = {.rows = 2};
    g.cells[0][0] = g.cells[1][0] = "";
    for (size_t c = 1; c < TERMINAL_COLUMNS; c++) {
      g.cells[0][c] = terminal_columns[c - 1].top;
      g.cells[1][c] = terminal_columns[c - 1].bottom;
    }
    for (size_t i = 0; i < report_row_count; i++)
      if (strcmp(report_rows[i].heap, "model") != 0) {
        grid_row(&r, &g, report_rows[i].heap, "");
        grid_row(&r, &g, report_rows[i].heap, "stw");
        grid_row(&r, &g, report_rows[i].heap, "stock");
      }
    size_t failed = 0, skipped = 0;
    for (size_t i = 0; i < r.set.count; i++) {
      const bool skip = strcmp(r.set.records[i].status, "skipped") == 0;
      skipped += skip;
      failed += !skip && !record_ok(&r.set.records[i]);
    }
    if (g.rows > 2) grid_print(&g, out);
    if (g.rows > 2)
      fputs("\nleft at (3): what the seed's Example 3 still holds when most of it was dropped.\n"
            "pause, operation, rate: churn. (stock): a library's settings as shipped;\n"
            "(stw): our heap with the program stopped while it marks.\n"
            "Medians; - is not measured.\n",
            out);
    fprintf(out, "%zu run%s, %zu failed, %zu skipped\n", r.set.count, r.set.count == 1 ? "" : "s",
            failed, skipped);
    status = ferror(out) ? REPORT_CANNOT_WRITE : REPORT_OK;
    if (status != REPORT_OK) snprintf(error, error_bytes, "cannot write the summary");
  }
  record_set_free(&r.set);
  return status;
}
