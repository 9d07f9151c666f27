// SPDX-License-Identifier: MIT
#include "reports/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double mib_bytes = 1024.0 * 1024.0;

// Rounds to the printed precision first, so that a tiny negative difference is not printed "-0.00".
static const char *fixed(arena *memory, double value, int decimals, const char *unit) {
  const double scale = pow(10, decimals);
  double rounded = round(value * scale) / scale;
  if (rounded == 0) rounded = 0; // drops the sign of a negative zero
  return arena_format(memory, "%.*f%s", decimals, rounded, unit);
}

// Three significant digits of a positive number, never in exponent form.
static const char *digits3(arena *memory, double value, const char *unit) {
  const double size = fabs(value);
  return fixed(memory, value, size < 9.995 ? 2 : size < 99.95 ? 1 : 0, unit);
}

const char *show_mib(arena *memory, double bytes) {
  return fixed(memory, bytes / mib_bytes, 2, "");
}

const char *show_mib_unit(arena *memory, double bytes) {
  return fixed(memory, bytes / mib_bytes, 2, " MiB");
}

const char *show_ns(arena *memory, double ns) {
  if (ns < 99.95) return fixed(memory, ns, 1, " ns");
  if (ns < 999.5) return fixed(memory, ns, 0, " ns");
  if (ns < 999.5e3) return digits3(memory, ns / 1e3, " µs");
  if (ns < 999.5e6) return digits3(memory, ns / 1e6, " ms");
  return digits3(memory, ns / 1e9, " s");
}

const char *show_ns_fixed(arena *memory, double ns) {
  return fixed(memory, ns, fabs(ns) < 99.95 ? 1 : 0, "");
}

const char *show_seconds(arena *memory, double seconds) { return show_ns(memory, seconds * 1e9); }

const char *show_rate(arena *memory, double per_second) {
  if (per_second >= 1e6) return digits3(memory, per_second / 1e6, " M/s");
  if (per_second >= 1e3) return digits3(memory, per_second / 1e3, " k/s");
  return digits3(memory, per_second, " /s");
}

const char *show_ratio(arena *memory, double ratio) {
  const double size = fabs(ratio);
  return fixed(memory, ratio, size < 0.0995 ? 4 : size < 9.995 ? 2 : size < 99.95 ? 1 : 0, "×");
}

const char *show_percent(arena *memory, double fraction) {
  return fixed(memory, fraction * 100, 1, " %");
}

const char *show_integer(arena *memory, double value) {
  char plain[40];
  snprintf(plain, sizeof plain, "%.0f", value);
  const size_t length = strlen(plain), sign = plain[0] == '-';
  char *out = arena_alloc(memory, 2 * length + 1), *o = out;
  for (size_t i = 0; i < length; i++) {
    if (i > sign && (length - i) % 3 == 0) *o++ = ',';
    *o++ = plain[i];
  }
  return out;
}

number_show *show_by_unit(const char *name) {
  static const struct {
    const char *unit;
    number_show *show;
  } units[] = {
      {"_ns", show_ns}, {"_bytes", show_mib_unit}, {"_per_s", show_rate}, {"_ratio", show_ratio}};
  const size_t length = strlen(name);
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    const size_t unit = strlen(units[i].unit);
    if (length > unit && strcmp(name + length - unit, units[i].unit) == 0) return units[i].show;
  }
  return show_integer;
}

const char *show_median(arena *memory, estimate e, number_show *show) {
  return e.n ? show(memory, e.median) : NULL;
}

const char *show_estimate(arena *memory, estimate e, number_show *show) {
  if (!e.n) return NULL;
  const char *median = show(memory, e.median);
  const char *low = show(memory, e.low), *high = show(memory, e.high);
  if (strcmp(low, median) == 0 && strcmp(high, median) == 0) return median;
  return arena_format(memory, "%s [%s..%s]", median, low, high);
}
