// SPDX-License-Identifier: MIT
// Ranges and ticks of a chart's axes, from the data. Internal to the chart.
#ifndef REPORTS_CHART_AXIS_H
#define REPORTS_CHART_AXIS_H

#include "reports/chart.h"

typedef struct axis_range {
  double low, high;
} axis_range;

bool axis_is_log(axis_kind kind);

// The range that shows every value of the panel; `vertical` picks y. Values that a logarithmic axis
// cannot show (zero, negative) do not count.
axis_range axis_fit(const chart_panel *panel, bool vertical);

// Position of a value in the range, 0 .. 1.
double axis_place(axis_kind kind, axis_range range, double value);

// `set xrange`, `set xtics` and the label ('x' or 'y').
void axis_script(text *script, char letter, chart_axis axis, axis_range range);

// A logarithmic range, `times` lower and higher; others unchanged.
axis_range axis_widen(axis_kind kind, axis_range range, double times);

#endif
