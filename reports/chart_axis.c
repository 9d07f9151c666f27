// SPDX-License-Identifier: MIT
#include "reports/chart_axis.h"

#include <math.h>
#include <string.h>

#include "reports/number.h"

bool axis_is_log(axis_kind kind) { return kind != AXIS_LINEAR && kind != AXIS_FRACTION; }

static axis_range fit_log(double least, double most, double base) {
  const double step = log(base), slack = 1e-9;
  axis_range range = {pow(base, floor(log(least) / step + slack)),
                      pow(base, ceil(log(most) / step - slack))};
  if (range.high <= range.low) range.high = range.low * base;
  return range;
}

// The smallest of 1, 2, 5 times a power of ten that is not below `value`.
static double nice_above(double value) {
  const double decade = pow(10, floor(log10(value)));
  const double times = value / decade;
  return decade * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

// Distance between ticks of a linear axis from 0 to `high`: five to ten of them.
static double linear_step(double high) { return nice_above(high / 8); }

axis_range axis_fit(const chart_panel *panel, bool vertical) {
  const axis_kind kind = vertical ? panel->y.kind : panel->x.kind;
  if (kind == AXIS_FRACTION) return (axis_range){0, 1};
  double least = INFINITY, most = -INFINITY;
  for (size_t s = 0; s < panel->count; s++) {
    const double *values = vertical ? panel->series[s].y : panel->series[s].x;
    for (size_t i = 0; i < panel->series[s].count; i++) {
      if (axis_is_log(kind) && values[i] <= 0) continue;
      least = fmin(least, values[i]);
      most = fmax(most, values[i]);
    }
  }
  if (most < least) return axis_is_log(kind) ? (axis_range){1, 10} : (axis_range){0, 1};
  if (kind == AXIS_LOG2) return (axis_range){least / 1.25, most * 1.25};
  if (axis_is_log(kind)) return fit_log(least, most, 10);
  if (most <= 0) most = 1;
  const double step = linear_step(most);
  return (axis_range){0, ceil(most * 1.02 / step) * step};
}

axis_range axis_widen(axis_kind kind, axis_range range, double times) {
  if (!axis_is_log(kind)) return range;
  return (axis_range){range.low / times, range.high * times};
}

double axis_place(axis_kind kind, axis_range range, double value) {
  if (!axis_is_log(kind)) return (value - range.low) / (range.high - range.low);
  if (value <= 0) return 0;
  return log(value / range.low) / log(range.high / range.low);
}

static const char *tick_text(arena *memory, axis_kind kind, double value) {
  if (kind == AXIS_LOG_TIME) {
    static const char *const units[] = {"ns", "µs", "ms", "s"};
    size_t unit = 0;
    while (unit < 3 && value > 999.5) value /= 1e3, unit++;
    return arena_format(memory, "%.15g %s", round(value * 1e6) / 1e6, units[unit]);
  }
  if (kind == AXIS_LOG_FRACTION || kind == AXIS_FRACTION)
    return arena_format(memory, "%.10g %%%%", value * 100); // gnuplot takes a tick for a format
  if (value >= 1e4) return show_integer(memory, value);
  return arena_format(memory, "%.10g", value);
}

static void tick(text *script, arena *memory, bool *first, axis_kind kind, double value,
                 bool named) {
  text_format(script, "%s\"%s\" %.15g", *first ? "" : ", ",
              named ? tick_text(memory, kind, value) : "", value);
  *first = false;
}

static void ticks_log(text *script, arena *memory, axis_kind kind, axis_range range) {
  // Labels of neighbouring decades touch when there are more than this many on an axis.
  static const int crowded_decades = 6;
  const double base = kind == AXIS_LOG2 ? 2 : 10;
  const int low = (int)ceil(log(range.low) / log(base) - 1e-9);
  const int high = (int)floor(log(range.high) / log(base) + 1e-9);
  const int every = kind != AXIS_LOG2 && high - low > crowded_decades ? 2 : 1;
  bool first = true;
  for (int i = low; i <= high; i++)
    tick(script, memory, &first, kind, pow(base, i), (high - i) % every == 0);
}

void axis_script(text *script, char letter, chart_axis axis, axis_range range) {
  arena memory = {0};
  // Percentages are wide: towards the ticks, away from the panel at the left.
  text_format(script, "set %clabel \"%s\"%s\n", letter, axis.label,
              letter == 'y' && axis.kind != AXIS_LINEAR ? " offset 1.2,0" : "");
  if (axis_is_log(axis.kind)) text_format(script, "set logscale %c\n", letter);
  // gnuplot drops a tick that its own logarithm puts a rounding error outside the range.
  const double slack = axis_is_log(axis.kind) ? 1e-6 : 0;
  text_format(script, "set %crange [%.15g:%.15g]\nset %ctics (", letter, range.low * (1 - slack),
              range.high * (1 + slack), letter);
  if (axis_is_log(axis.kind)) {
    ticks_log(script, &memory, axis.kind, range);
  } else {
    const double step = linear_step(range.high);
    bool first = true;
    for (double i = 0; i * step <= range.high * (1 + 1e-9); i++)
      tick(script, &memory, &first, axis.kind, i * step, true);
  }
  text_add(script, ")\n");
  arena_free(&memory);
}
