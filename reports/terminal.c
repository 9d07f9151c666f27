// SPDX-License-Identifier: MIT
// The summary for a terminal: one line per row, columns aligned by visible width.
#include <string.h>

#include "harness/table.h"
#include "reports/report.h"
#include "reports/report_parts.h"

enum { TERMINAL_COLUMNS = 7 };

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

static void add_row(report *r, text_table *grid, const char *heap, const char *variant) {
  const char *cells[TERMINAL_COLUMNS];
  bool any = false;
  cells[0] = *variant ? arena_format(r->memory, "%s (%s)", heap, variant) : heap;
  for (size_t c = 1; c < TERMINAL_COLUMNS; c++) {
    const scenario *s = scenario_main(&r->set, terminal_columns[c - 1].workload);
    const estimate e = measure_estimate(r->memory, report_group(r, s, heap, variant),
                                        terminal_columns[c - 1].what);
    cells[c] = e.n ? show_median(r->memory, e, terminal_columns[c - 1].show) : "-";
    any |= e.n > 0;
  }
  if (any) table_row(grid, cells, TERMINAL_COLUMNS);
}

static void add_heading(text_table *grid) {
  const char *top[TERMINAL_COLUMNS] = {""}, *bottom[TERMINAL_COLUMNS] = {""};
  for (size_t c = 1; c < TERMINAL_COLUMNS; c++) {
    top[c] = terminal_columns[c - 1].top;
    bottom[c] = terminal_columns[c - 1].bottom;
  }
  table_row(grid, top, TERMINAL_COLUMNS);
  table_row(grid, bottom, TERMINAL_COLUMNS);
}

report_status report_summary(const char *records, FILE *out, char *error, size_t error_bytes) {
  report r = {.title = ""};
  r.memory = &r.set.memory;
  report_status status = REPORT_BAD_RECORDS;
  if (record_set_read(&r.set, records, error, error_bytes)) {
    text_table grid = {.columns = 0};
    add_heading(&grid);
    for (size_t i = 0; i < report_row_count; i++)
      if (strcmp(report_rows[i].heap, "model") != 0) {
        add_row(&r, &grid, report_rows[i].heap, "");
        add_row(&r, &grid, report_rows[i].heap, "stw");
        add_row(&r, &grid, report_rows[i].heap, "stock");
      }
    size_t failed = 0, skipped = 0;
    for (size_t i = 0; i < r.set.count; i++) {
      const bool skip = strcmp(r.set.records[i].status, "skipped") == 0;
      skipped += skip;
      failed += !skip && !record_ok(&r.set.records[i]);
    }
    if (grid.rows > 2) table_print(out, &grid);
    if (grid.rows > 2)
      fputs("\nleft at (3): what the seed's Example 3 still holds when most of it was dropped.\n"
            "pause, operation, rate: churn. (stock): a library's settings as shipped;\n"
            "(stw): our heap with the program stopped while it marks.\n"
            "Medians; - is not measured.\n",
            out);
    table_free(&grid);
    fprintf(out, "%zu run%s, %zu failed, %zu skipped\n", r.set.count, r.set.count == 1 ? "" : "s",
            failed, skipped);
    status = ferror(out) ? REPORT_CANNOT_WRITE : REPORT_OK;
    if (status != REPORT_OK) snprintf(error, error_bytes, "cannot write the summary");
  }
  record_set_free(&r.set);
  return status;
}
