// SPDX-License-Identifier: MIT
// A figure: one or two panels of lines or points, drawn by gnuplot as SVG on an opaque card, with the
// plotted points as CSV beside it. Ranges, ticks and labels are computed here; gnuplot is the pen.
#ifndef REPORTS_CHART_H
#define REPORTS_CHART_H

#include <stdbool.h>
#include <stddef.h>

#include "reports/rows.h"
#include "reports/text.h"

typedef enum axis_kind {
  AXIS_LINEAR,       // from 0
  AXIS_LOG_TIME,     // nanoseconds, one tick per decade: 1 µs, 10 µs
  AXIS_LOG_FRACTION, // 1 = 100 %, one tick per decade
  AXIS_LOG2,         // a tick at every power of two
  AXIS_LOG,          // plain numbers, one tick per decade
  AXIS_FRACTION,     // 0 .. 100 %
} axis_kind;

typedef struct chart_axis {
  const char *label; // with unit
  axis_kind kind;
} chart_axis;

typedef enum series_style {
  SERIES_LINE,
  SERIES_POINTS,
  SERIES_LINE_POINTS,
  SERIES_STEPS
} series_style;

typedef struct chart_series {
  const char *label;
  const report_row *row;
  series_style style;
  size_t count;
  const double *x, *y;
} chart_series;

typedef struct chart_panel {
  const char *title;
  chart_axis x, y;
  const chart_series *series;
  size_t count;
} chart_panel;

typedef struct chart {
  const char *name;  // file stem
  const char *title; // becomes the SVG's title element
  const chart_panel *panels;
  size_t count;  // 1 or 2
  bool direct;   // name each line at its right end; otherwise one key at the right
  bool annotate; // scatter: name each point beside it
} chart;

// Where figures go, and whether gnuplot can draw them.
typedef struct figures {
  const char *folder;  // existing
  const char *gnuplot; // program
  bool broken;         // gnuplot failed once: not tried again
  char *error;
  size_t error_bytes;
} figures;

typedef enum chart_result {
  CHART_DRAWN,
  CHART_NO_PEN,       // CSV written, gnuplot cannot run
  CHART_CANNOT_WRITE, // error is set
} chart_result;

chart_result chart_write(figures *out, const chart *c);

#endif
