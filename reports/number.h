// SPDX-License-Identifier: MIT
// How numbers are written. Fixed decimals per kind of number, so that a re-rendered report has the
// same bytes and a changed number shows in a diff.
#ifndef REPORTS_NUMBER_H
#define REPORTS_NUMBER_H

#include "reports/statistics.h"

typedef const char *number_show(arena *memory, double value);

const char *show_mib(arena *memory, double bytes);      // "16.02", no unit
const char *show_mib_unit(arena *memory, double bytes); // "16.02 MiB"
const char *show_ns(arena *memory, double ns);          // "812 ns", "14.1 µs", "2.31 ms", "1.58 s"
const char *show_ns_fixed(arena *memory, double ns);    // "12.3", nanoseconds without unit
const char *show_seconds(arena *memory, double seconds);
const char *show_rate(arena *memory, double per_second);  // "1.63 M/s"
const char *show_ratio(arena *memory, double ratio);      // "0.52×"
const char *show_percent(arena *memory, double fraction); // "63.1 %"
const char *show_integer(arena *memory, double value);    // "1,048,576"

// How a number is written whose name ends in its unit, as every metric's does: _ns, _bytes, _per_s,
// _ratio; anything else is a count.
number_show *show_by_unit(const char *name);

// "16.02", or "16.02 [15.98..16.10]" when the interval is visible at the written precision. NULL
// (which a table shows as absent) when nothing was measured.
const char *show_estimate(arena *memory, estimate e, number_show *show);

// The median alone, NULL when absent.
const char *show_median(arena *memory, estimate e, number_show *show);

#endif
