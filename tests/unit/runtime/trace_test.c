// SPDX-License-Identifier: MIT
// Vectors marked "Go" are lines that Go 1.19 printed under GODEBUG=gctrace=1,gcpacertrace=1 (durations
// that it was given are ours: it prints fewer digits than it has).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "allocators/runtime/trace.h"

static char line[HS_TRACE_LINE_BYTES];

enum { MB = 1 << 20, KIB = 1 << 10 };

// ---- the gc line --------------------------------------------------------------------------------

static void test_gc_line_is_the_one_go_prints(void **state) {
  (void)state;
  const hs_trace_gc forced = {.cycle = 17,
                              .at_ns = 626999999,
                              .cpu_fraction = 0.0899,
                              .clock_ns = {48999, 5399999, 3001},
                              .cpu_ns = {96000, 999, 1099999, 9599999, 7000},
                              .live_start_bytes = 36 * MB + MB - 1,
                              .live_end_bytes = 36 * MB,
                              .marked_bytes = 8 * MB,
                              .goal_bytes = 53 * MB,
                              .stack_bytes = MB - 1,
                              .procs = 2,
                              .forced = true};
  const char *const expected =
      "gc 17 @0.626s 8%: 0.048+5.3+0.003 ms clock, 0.096+0/1.0/9.5+0.007 ms cpu, "
      "36->36->8 MB, 53 MB goal, 0 MB stacks, 0 MB globals, 2 P (forced)\n"; // Go
  assert_int_equal(hs_trace_gc_format(&forced, line, sizeof line), strlen(expected));
  assert_string_equal(line, expected);

  const hs_trace_gc paced = {.cycle = 5,
                             .at_ns = 118000000,
                             .cpu_fraction = 0.1,
                             .clock_ns = {70000, 16999999, 82000},
                             .cpu_ns = {140000, 390000, 6100000, 11000000, 160000},
                             .live_start_bytes = 27 * MB,
                             .live_end_bytes = 32 * MB,
                             .marked_bytes = 24 * MB,
                             .goal_bytes = 32 * MB,
                             .procs = 2};
  hs_trace_gc_format(&paced, line, sizeof line);
  assert_string_equal(line, "gc 5 @0.118s 10%: 0.070+16+0.082 ms clock, "
                            "0.14+0.39/6.1/11+0.16 ms cpu, 27->32->24 MB, 32 MB goal, "
                            "0 MB stacks, 0 MB globals, 2 P\n"); // Go
}

static void test_gc_line_names_every_field_apart(void **state) {
  (void)state;
  const hs_trace_gc gc = {.cycle = 1,
                          .at_ns = 3661002000000,
                          .cpu_fraction = 1,
                          .clock_ns = {1000000, 2000000, 3000000},
                          .cpu_ns = {4000000, 5000000, 6000000, 7000000, 8000000},
                          .live_start_bytes = 9 * MB,
                          .live_end_bytes = 10 * MB,
                          .marked_bytes = 11 * MB,
                          .goal_bytes = 12 * MB,
                          .stack_bytes = 13 * MB,
                          .global_bytes = 14 * MB,
                          .procs = 15};
  hs_trace_gc_format(&gc, line, sizeof line);
  assert_string_equal(line, "gc 1 @3661.002s 100%: 1.0+2.0+3.0 ms clock, "
                            "4.0+5.0/6.0/7.0+8.0 ms cpu, 9->10->11 MB, 12 MB goal, "
                            "13 MB stacks, 14 MB globals, 15 P\n");
}

static const char *printed_duration(uint64_t ns) {
  static char text[64];
  const hs_trace_gc gc = {.clock_ns = {ns}};
  hs_trace_gc_format(&gc, line, sizeof line);
  assert_int_equal(sscanf(line, "gc 0 @0.000s 0%%: %63[^+]+", text), 1);
  return text;
}

static void test_durations_have_two_digits_and_are_cut(void **state) {
  (void)state;
  static const struct {
    uint64_t ns;
    const char *text;
  } cases[] = {
      {0, "0"},         {999, "0"},         {1000, "0.001"},        {1999, "0.001"},
      {9999, "0.009"},  {10000, "0.010"},   {52900, "0.052"},       {99999, "0.099"},
      {100000, "0.10"}, {109999, "0.10"},   {770000, "0.77"},       {999999, "0.99"},
      {1000000, "1.0"}, {1199999, "1.1"},   {9999999, "9.9"},       {10000000, "10"},
      {10999999, "10"}, {123999999, "123"}, {59999000000, "59999"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_string_equal(printed_duration(cases[i].ns), cases[i].text);
}

// What tools that read gctrace lines look for: every number is a group.
static void test_gc_line_is_parsed_by_a_reader_of_go(void **state) {
  (void)state;
  static const char pattern[] =
      "^gc ([0-9]+) @([0-9]+\\.[0-9]{3})s ([0-9]+)%: ([0-9.]+)\\+([0-9.]+)\\+([0-9.]+) ms clock, "
      "([0-9.]+)\\+([0-9.]+)/([0-9.]+)/([0-9.]+)\\+([0-9.]+) ms cpu, "
      "([0-9]+)->([0-9]+)->([0-9]+) MB, ([0-9]+) MB goal, ([0-9]+) MB stacks, "
      "([0-9]+) MB globals, ([0-9]+) P( \\(forced\\))?\n$";
  enum { GROUPS = 20 };
  regex_t regex;
  regmatch_t groups[GROUPS];
  assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED), 0);
  for (uint64_t step = 1; step < (uint64_t)1 << 40; step *= 3) { // every magnitude of every number
    const hs_trace_gc gc = {.cycle = step,
                            .at_ns = step * 7,
                            .cpu_fraction = 1.0 / (double)step,
                            .clock_ns = {step, step * 5, step / 5},
                            .cpu_ns = {step * 2, step / 2, step * 3, step / 3, step},
                            .live_start_bytes = step,
                            .live_end_bytes = step * 11,
                            .marked_bytes = step / 11,
                            .goal_bytes = step * 13,
                            .procs = 4,
                            .forced = step % 2 != 0};
    hs_trace_gc_format(&gc, line, sizeof line);
    assert_int_equal(regexec(&regex, line, GROUPS, groups, 0), 0);
    assert_int_equal(strtoull(line + groups[1].rm_so, NULL, 10), gc.cycle);
    assert_int_equal(strtoull(line + groups[13].rm_so, NULL, 10), gc.live_end_bytes / MB);
    assert_true(fabs(strtod(line + groups[5].rm_so, NULL) * 1e6 - (double)gc.clock_ns[1]) <=
                (double)gc.clock_ns[1] / 10 + 1000); // two digits, 1 us
    assert_int_equal(groups[19].rm_so >= 0, gc.forced);
  }
  regfree(&regex);
}

// ---- the other lines ----------------------------------------------------------------------------

static void test_scav_line(void **state) {
  (void)state;
  hs_trace_scav scav = {.background_bytes = 128 * KIB + KIB - 1,
                        .eager_bytes = 64 * KIB,
                        .released_bytes = 2640 * KIB,
                        .in_use_bytes = 769,
                        .retained_bytes = 1000};
  const char *const expected =
      "scav 128 KiB work (bg), 64 KiB work (eager), 2640 KiB now, 76% util\n";
  assert_int_equal(hs_trace_scav_format(&scav, line, sizeof line), strlen(expected));
  assert_string_equal(line, expected);
  scav.controller_reset = true;
  hs_trace_scav_format(&scav, line, sizeof line);
  assert_non_null(strstr(line, "% util [controller reset]\n"));
  scav.forced = true; // the forced release says that and nothing else
  hs_trace_scav_format(&scav, line, sizeof line);
  assert_non_null(strstr(line, "% util (forced)\n"));
  scav = (hs_trace_scav){.retained_bytes = 0};
  hs_trace_scav_format(&scav, line, sizeof line);
  assert_string_equal(line, "scav 0 KiB work (bg), 0 KiB work (eager), 0 KiB now, 0% util\n");
  scav = (hs_trace_scav){.in_use_bytes = UINT64_MAX, .retained_bytes = UINT64_MAX};
  hs_trace_scav_format(&scav, line, sizeof line);
  assert_non_null(strstr(line, " 100% util\n"));
}

static void test_pacer_lines_are_the_ones_go_prints(void **state) {
  (void)state;
  const hs_trace_pacer_begin begin = {.assist_ratio = 7026584,
                                      .scan_bytes = 6 * MB,
                                      .live_bytes = 12 * MB,
                                      .goal_bytes = 10 * MB,
                                      .fractional_fraction = 0.25};
  hs_trace_pacer_begin_format(&begin, line, sizeof line);
  assert_string_equal(line, "pacer: assist ratio=+7.026584e+006 (scan 6 MB in 12->10 MB) "
                            "workers=0++2.500000e-001\n"); // Go
  hs_trace_pacer_end end = {.cpu_fraction = 0.25,
                            .goal_fraction = 0.25,
                            .heap_work_bytes = 9067360,
                            .stack_work_bytes = 2488,
                            .global_work_bytes = 221552,
                            .expected_work_bytes = 8652336,
                            .trigger_bytes = 21665217,
                            .live_bytes = 23613520,
                            .goal_bytes = 23613520 + 1867176,
                            .cons_mark = 0.2917871};
  const char *const expected =
      "pacer: 25% CPU (25 exp.) for 9067360+2488+221552 B work (8652336 B exp.) in 21665217 B -> "
      "23613520 B (∆goal -1867176, cons/mark +2.917871e-001)\n"; // Go
  assert_int_equal(hs_trace_pacer_end_format(&end, line, sizeof line), strlen(expected));
  assert_string_equal(line, expected);
  end.controller_reset = true;
  end.cons_mark = -0.1243077;
  hs_trace_pacer_end_format(&end, line, sizeof line);
  assert_non_null(strstr(line, "cons/mark -1.243077e-001)[controller reset]\n"));
}

static void test_pacer_sweep_line(void **state) {
  (void)state;
  hs_trace_pacer_sweep sweep = {.live_bytes = 34 * MB + 5,
                                .allocated_bytes = 3 * MB,
                                .swept_page_count = 1024,
                                .pages_per_byte = 1.0 / 8192};
  hs_trace_pacer_sweep_format(&sweep, line, sizeof line);
  assert_string_equal(line, "pacer: sweep done at heap size 34MB; allocated 3MB during sweep; "
                            "swept 1024 pages at +1.220703e-004 pages/byte\n");
  static const struct {
    double value;
    const char *text;
  } cases[] = {{0, "at +0.000000e+000 p"},
               {INFINITY, "at +Inf p"},
               {-INFINITY, "at -Inf p"},
               {NAN, "at NaN p"},
               {1.5e300, "at +1.500000e+300 p"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    sweep.pages_per_byte = cases[i].value;
    hs_trace_pacer_sweep_format(&sweep, line, sizeof line);
    assert_non_null(strstr(line, cases[i].text));
  }
}

// ---- size and output ----------------------------------------------------------------------------

static void test_no_line_is_longer_than_its_buffer(void **state) {
  (void)state;
  hs_trace_gc gc;
  memset(&gc, 0xff, sizeof gc); // the largest of every unsigned number
  gc.cpu_fraction = 1e6;
  gc.forced = true;
  hs_trace_pacer_end end;
  memset(&end, 0xff, sizeof end);
  end.cpu_fraction = end.goal_fraction = 1e6;
  end.cons_mark = -1.234567e-300;
  end.controller_reset = true;
  const size_t gc_length = hs_trace_gc_format(&gc, line, sizeof line);
  assert_int_equal(line[gc_length - 1], '\n'); // the end is there: nothing was cut
  assert_int_equal(line[gc_length], '\0');
  const size_t end_length = hs_trace_pacer_end_format(&end, line, sizeof line);
  assert_int_equal(line[end_length - 1], '\n');
}

static void test_a_small_buffer_cuts_the_line(void **state) {
  (void)state;
  const hs_trace_gc gc = {.cycle = 123};
  char small[8] = "unsaid!";
  assert_int_equal(hs_trace_gc_format(&gc, small, 7), 6);
  assert_string_equal(small, "gc 123");
  assert_int_equal(hs_trace_gc_format(&gc, small, 0), 0);
  assert_string_equal(small, "gc 123");
}

// A datagram socket would show it too, but a pipe keeps the boundary of a packet only with O_DIRECT;
// what is checked is that the whole line arrives on standard error, unbuffered.
static void test_emit_writes_the_line_to_standard_error(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  const int saved = dup(STDERR_FILENO);
  assert_true(saved >= 0);
  assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
  hs_trace_emit("scav 1\n", 7);
  dup2(saved, STDERR_FILENO);
  close(saved), close(ends[1]);
  char text[64] = "";
  assert_int_equal(read(ends[0], text, sizeof text), 7); // one read sees all of it
  assert_string_equal(text, "scav 1\n");
  close(ends[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gc_line_is_the_one_go_prints),
      cmocka_unit_test(test_gc_line_names_every_field_apart),
      cmocka_unit_test(test_durations_have_two_digits_and_are_cut),
      cmocka_unit_test(test_gc_line_is_parsed_by_a_reader_of_go),
      cmocka_unit_test(test_scav_line),
      cmocka_unit_test(test_pacer_lines_are_the_ones_go_prints),
      cmocka_unit_test(test_pacer_sweep_line),
      cmocka_unit_test(test_no_line_is_longer_than_its_buffer),
      cmocka_unit_test(test_a_small_buffer_cuts_the_line),
      cmocka_unit_test(test_emit_writes_the_line_to_standard_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
