// SPDX-License-Identifier: MIT
#include "allocators/runtime/trace.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "allocators/base/assert.h"
#include "allocators/base/bits.h"
#include "allocators/base/compiler.h"

enum { NUMBER_BYTES = 32 }; // a formatted duration or fraction

// ---- numbers as Go prints them ------------------------------------------------------------------

// Go's fmtNSAsMS.
static const char *duration(uint64_t ns, char out[NUMBER_BYTES]) {
  static const uint64_t whole_ms_from_ns = 10000000, us_ns = 1000;
  if (ns >= whole_ms_from_ns) {
    snprintf(out, NUMBER_BYTES, "%" PRIu64, ns / 1000000);
    return out;
  }
  unsigned value = (unsigned)(ns / us_ns), unit = 1000; // the value is value / unit ms
  int decimals = 3;
  for (; value >= 100; value /= 10, unit /= 10) decimals--;
  if (value == 0)
    snprintf(out, NUMBER_BYTES, "0");
  else
    snprintf(out, NUMBER_BYTES, "%u.%0*u", value / unit, decimals, value % unit);
  return out;
}

// Go's print of a float64: always a sign, six decimals, at least three digits of exponent.
static const char *real(double value, char out[NUMBER_BYTES]) {
  if (!isfinite(value)) return isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  snprintf(out, NUMBER_BYTES, "%+.6e", value);
  char *const exponent = strchr(out, 'e');
  if (exponent && strlen(exponent) == 4) // "e+07"
    memmove(exponent + 3, exponent + 2, 3), exponent[2] = '0';
  return out;
}

static int percent(double fraction) { return (int)(fraction * 100); }
static uint64_t mb(uint64_t bytes) { return bytes >> 20; }
static uint64_t kib(uint64_t bytes) { return bytes >> 10; }

// The length of what snprintf left in out.
HS_PRINTF(3, 4)
static size_t print(char *out, size_t bytes, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int length = vsnprintf(out, bytes, format, arguments);
  va_end(arguments);
  if (length < 0 || bytes == 0) return 0;
  return hs_min_size((size_t)length, bytes - 1);
}

// ---- lines --------------------------------------------------------------------------------------

size_t hs_trace_gc_format(const hs_trace_gc *trace, char *out, size_t bytes) {
  char clock[HS_TRACE_CLOCKS][NUMBER_BYTES], cpu[HS_TRACE_CPUS][NUMBER_BYTES];
  for (int i = 0; i < HS_TRACE_CLOCKS; i++) duration(trace->clock_ns[i], clock[i]);
  for (int i = 0; i < HS_TRACE_CPUS; i++) duration(trace->cpu_ns[i], cpu[i]);
  const uint64_t at_ms = trace->at_ns / 1000000;
  return print(out, bytes,
               "gc %" PRIu64 " @%" PRIu64 ".%03" PRIu64 "s %d%%: %s+%s+%s ms clock, "
               "%s+%s/%s/%s+%s ms cpu, %" PRIu64 "->%" PRIu64 "->%" PRIu64 " MB, %" PRIu64
               " MB goal, %" PRIu64 " MB stacks, %" PRIu64 " MB globals, %" PRIu32 " P%s\n",
               trace->cycle, at_ms / 1000, at_ms % 1000, percent(trace->cpu_fraction), clock[0],
               clock[1], clock[2], cpu[0], cpu[1], cpu[2], cpu[3], cpu[4],
               mb(trace->live_start_bytes), mb(trace->live_end_bytes), mb(trace->marked_bytes),
               mb(trace->goal_bytes), mb(trace->stack_bytes), mb(trace->global_bytes), trace->procs,
               trace->forced ? " (forced)" : "");
}

size_t hs_trace_scav_format(const hs_trace_scav *trace, char *out, size_t bytes) {
  // In double: in_use * 100 may not fit 64 bits, and whole percent need no more digits.
  const double used =
      trace->retained_bytes == 0 ? 0 : (double)trace->in_use_bytes / (double)trace->retained_bytes;
  const char *const note = trace->forced             ? " (forced)"
                           : trace->controller_reset ? " [controller reset]"
                                                     : "";
  return print(out, bytes,
               "scav %" PRIu64 " KiB work (bg), %" PRIu64 " KiB work (eager), %" PRIu64
               " KiB now, %d%% util%s\n",
               kib(trace->background_bytes), kib(trace->eager_bytes), kib(trace->released_bytes),
               percent(used), note);
}

size_t hs_trace_pacer_begin_format(const hs_trace_pacer_begin *trace, char *out, size_t bytes) {
  char ratio[NUMBER_BYTES], fraction[NUMBER_BYTES];
  return print(out, bytes,
               "pacer: assist ratio=%s (scan %" PRIu64 " MB in %" PRIu64 "->%" PRIu64
               " MB) workers=%" PRIu64 "+%s\n",
               real(trace->assist_ratio, ratio), mb(trace->scan_bytes), mb(trace->live_bytes),
               mb(trace->goal_bytes), trace->dedicated_count,
               real(trace->fractional_fraction, fraction));
}

size_t hs_trace_pacer_end_format(const hs_trace_pacer_end *trace, char *out, size_t bytes) {
  char cons_mark[NUMBER_BYTES];
  return print(
      out, bytes,
      "pacer: %d%% CPU (%d exp.) for %" PRIu64 "+%" PRIu64 "+%" PRIu64 " B work (%" PRIu64
      " B exp.) in %" PRIu64 " B -> %" PRIu64 " B (\u2206goal %" PRId64 ", cons/mark %s)%s\n",
      percent(trace->cpu_fraction), percent(trace->goal_fraction), trace->heap_work_bytes,
      trace->stack_work_bytes, trace->global_work_bytes, trace->expected_work_bytes,
      trace->trigger_bytes, trace->live_bytes, (int64_t)(trace->live_bytes - trace->goal_bytes),
      real(trace->cons_mark, cons_mark), trace->controller_reset ? "[controller reset]" : "");
}

size_t hs_trace_pacer_sweep_format(const hs_trace_pacer_sweep *trace, char *out, size_t bytes) {
  char rate[NUMBER_BYTES];
  return print(out, bytes,
               "pacer: sweep done at heap size %" PRIu64 "MB; allocated %" PRIu64
               "MB during sweep; swept %" PRIu64 " pages at %s pages/byte\n",
               mb(trace->live_bytes), mb(trace->allocated_bytes), trace->swept_page_count,
               real(trace->pages_per_byte, rate));
}

void hs_trace_emit(const char *line, size_t length) {
  HS_REQUIRE(length < HS_TRACE_LINE_BYTES, "a trace line of %zu bytes", length);
  // Standard error is never buffered (C17 7.21.3), so the C library writes the line as one piece.
  fwrite(line, 1, length, stderr);
}
