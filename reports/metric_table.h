// SPDX-License-Identifier: MIT
// A table of metrics: one line for each row of a scenario, one column for each quantity. Internal to
// reports/.
#ifndef REPORTS_METRIC_TABLE_H
#define REPORTS_METRIC_TABLE_H

#include "reports/report_parts.h"

// What a cell shows that is no metric. *n is how many runs are in it; NULL is "not measured".
typedef const char *metric_cell(report *r, const group *g, size_t *n);

// A column is written by the unit in which its key ends, unless `cell` writes it.
typedef struct metric_column {
  const char *head;
  measure what;
  metric_cell *cell;
} metric_column;

enum { METRIC_COLUMNS = 12 };

// Rows that `wanted` accepts (NULL: all) and that have at least one of the quantities. Appends table
// and caption; false, and nothing, when there is no such row. At most METRIC_COLUMNS columns.
bool metric_table(report *r, const scenario *s, const metric_column *columns, size_t count,
                  bool (*wanted)(const group *g));

// Whether any row of a scenario has a metric; s may be NULL.
bool scenario_has(report *r, const scenario *s, const char *key);

// Cells: the collector's share of all cores' time; stops, the longest of them, the longest handshake.
metric_cell cell_collector_share, cell_stops, cell_longest_stop, cell_longest_handshake;

// Whether a completed run of the row keeps a log that knows this kind of delay: without such a delay
// it holds an empty list.
bool delay_known(const group *g, const char *kind);

#endif
