// SPDX-License-Identifier: MIT
// Whole reports: the same bytes from the same records, clear words for what is missing, tables and
// links that hold together, and nothing half-written.
#include <stdarg.h>
#include <stdint.h>
#include <setjmp.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "reports/files.h"
#include "reports/report.h"

static char *folder;

static int setup(void **state) {
  (void)state;
  folder = fixture_folder();
  return 0;
}

static void remove_tree(const char *path) {
  DIR *dir = opendir(path);
  struct dirent *entry;
  while (dir && (entry = readdir(dir))) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    char below[1024];
    snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
    remove_tree(below);
  }
  if (dir) closedir(dir);
  remove(path);
}

static int teardown(void **state) {
  (void)state;
  remove_tree(folder);
  free(folder);
  return 0;
}

static const char *in_folder(const char *name) {
  static char paths[4][1024];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static char *render(unsigned parts, int blocks, int reverse, const char *gnuplot,
                    const char *name) {
  json_t *records = fixture_records(parts, blocks);
  fixture_write(in_folder("records.jsonl"), records, reverse);
  json_decref(records);
  char error[512] = "";
  const report_options options = {.records = in_folder("records.jsonl"),
                                  .out = in_folder(name),
                                  .title = "fixture | report",
                                  .gnuplot = gnuplot};
  if (report_render(&options, error, sizeof error) != REPORT_OK) fail_msg("%s", error);
  char path[1100];
  snprintf(path, sizeof path, "%s/%s/report.md", folder, name);
  return fixture_slurp(path, NULL);
}

// Names of a folder's files, sorted, joined by spaces.
static char *listing(const char *path) {
  struct dirent **entries;
  const int count = scandir(path, &entries, NULL, alphasort);
  assert_true(count >= 0);
  text out = {0};
  text_add(&out, "");
  for (int i = 0; i < count; i++) {
    if (entries[i]->d_name[0] != '.') text_format(&out, "%s ", entries[i]->d_name);
    free(entries[i]);
  }
  free(entries);
  return out.bytes;
}

static int have_program(const char *name) {
  const char *const arguments[] = {name, "--version", NULL};
  return program_run(name, arguments) == 0;
}

// Every row of every table has as many cells as its header; tables end with a blank line.
static void check_tables(const char *markdown) {
  size_t expected = 0;
  for (const char *line = markdown; *line;) {
    const size_t length = strcspn(line, "\n");
    size_t cells = 0;
    for (size_t i = 0; i < length; i++) cells += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    if (line[0] != '|')
      expected = 0;
    else if (!expected)
      expected = cells;
    else if (cells != expected)
      fail_msg("a row with %zu bars under a header with %zu: %.*s", cells, expected, (int)length,
               line);
    line += length + (line[length] == '\n');
  }
}

static void check_links(const char *markdown, const char *out) {
  size_t found = 0;
  for (const char *at = markdown; (at = strstr(at, "(figures/")); found++) {
    char path[2048];
    at++;
    snprintf(path, sizeof path, "%s/%.*s", out, (int)strcspn(at, ")"), at);
    if (access(path, R_OK) != 0) fail_msg("the report links to %s, which is not there", path);
  }
  assert_true(found > 0);
}

static void check_words(const char *markdown) {
  static const char *const never[] = {" nan", "[nan", "inf ", "(null)", "-0.00", "| |\n| |"};
  for (size_t i = 0; i < sizeof never / sizeof *never; i++)
    if (strstr(markdown, never[i])) fail_msg("the report contains '%s'", never[i]);
}

static void test_same_records_give_the_same_bytes(void **state) {
  (void)state;
  char *first = render(FIXTURE_ALL, 7, 0, NULL, "a");
  char *again = render(FIXTURE_ALL, 7, 1, NULL, "b"); // lines in the opposite order
  assert_string_equal(first, again);
  char *files = listing(in_folder("a/figures")), *files_again = listing(in_folder("b/figures"));
  assert_string_equal(files, files_again);
  for (char *name = strtok(files, " "); name; name = strtok(NULL, " ")) {
    char path[2][1200];
    size_t length[2];
    snprintf(path[0], sizeof path[0], "%s/a/figures/%s", folder, name);
    snprintf(path[1], sizeof path[1], "%s/b/figures/%s", folder, name);
    char *left = fixture_slurp(path[0], &length[0]), *right = fixture_slurp(path[1], &length[1]);
    assert_int_equal(length[0], length[1]);
    assert_memory_equal(left, right, length[0]);
    free(left);
    free(right);
  }
  free(files);
  free(files_again);
  free(first);
  free(again);
}

static void test_a_full_report_holds_together(void **state) {
  (void)state;
  char *markdown = render(FIXTURE_ALL, 3, 0, NULL, "full");
  check_tables(markdown);
  check_words(markdown);
  check_links(markdown, in_folder("full"));
  static const char *const expected[] = {"# fixture | report",     "| nonmoving | 16.02 | 16.22 |",
                                         "| 128 | 16.07 |",        "n/a: needs tracing",
                                         "checksum a\\|b differs", "compact (outline)"};
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    if (!strstr(markdown, expected[i])) fail_msg("the report does not contain '%s'", expected[i]);
  assert_non_null(strstr(markdown, "**Processes of `bintrees`**"));
  assert_true(strlen(markdown) < 300 * 1024);
  char *files = listing(in_folder("full/figures"));
  assert_null(strstr(files, ".partial"));
  assert_null(strstr(files, ".raw"));
  assert_null(strstr(files, ".gnuplot"));
  if (have_program("gnuplot")) assert_non_null(strstr(files, "pauses_churn.svg"));
  free(files);
  free(markdown);
}

// Both collectors of our heaps stand beside each other, and every kind of delay is told apart.
static void test_pauses_are_told_by_kind_and_collector(void **state) {
  (void)state;
  char *markdown = render(FIXTURE_ALL, 3, 0, NULL, "kinds");
  const char *pauses = strstr(markdown, "### Pauses of `churn`");
  assert_non_null(pauses);
  const char *kinds = strstr(pauses, "**Delays by kind**");
  assert_non_null(kinds);
  // 3 runs of the fixture's two pairs; an empty list is zero, which is not "not measured".
  const char *row = strstr(kinds, "\n| nonmoving (stw) | 3 | ");
  assert_non_null(row);
  assert_non_null(strstr(row, " | 21 | 9.22 µs | 0 | – | 0 | – |\n"));
  assert_null(strstr(kinds, "\n| libc | 3 |")); // keeps no log
  const char *mmu = strstr(pauses, "**Minimum mutator utilisation, `churn`**");
  assert_non_null(mmu);
  assert_non_null(strstr(mmu, "\n| nonmoving (stw) | "));
  assert_non_null(strstr(mmu, "No curve, because the log of events was full: compact (stw).\n"));
  assert_non_null(strstr(markdown, "With the program stopped while they mark it is "));
  free(markdown);
  char *points = fixture_slurp(in_folder("kinds/figures/mmu_churn.csv"), NULL);
  assert_non_null(strstr(points, "\"nonmoving\",10000,"));
  assert_non_null(strstr(points, "\"nonmoving (stw)\",10000,"));
  free(points);
}

static void expect_after(const char *markdown, const char *heading, const char *fragment) {
  const char *at = strstr(markdown, heading);
  if (!at) fail_msg("no '%s'", heading);
  const char *end = strstr(at + strlen(heading), "\n##"), *found = strstr(at, fragment);
  if (!found || (end && found > end)) fail_msg("'%s' is not below '%s'", fragment, heading);
}

// Every heap beside ours, raw beside released; the footprint only of heaps that can tell.
static void test_memory_for_each_live_byte(void **state) {
  (void)state;
  char *markdown = render(FIXTURE_ALL, 2, 0, NULL, "density");
  // 1.2 + waste + index of the phase, and 1 + waste; waste is what the made-up row kept, over 8.
  expect_after(markdown, "### Memory for each live byte in `sizeshift`",
               "\n| compact | 1.21× | 1.01× | 2.21× | 1.01× | 3.21× | 1.01× | 1.11× | 2.11× |\n");
  expect_after(markdown, "### Memory for each live byte in `sizeshift`",
               "\n| compact | 1.26× | 1.06× | 2.26× | 1.06× | 3.26× | 1.06× | – | – |\n");
  expect_after(markdown, "### Memory for each live byte in `lru_cache`", "\n| libc | 1.20× | ");
  expect_after(markdown, "### Memory for each live byte in `redis_frag`",
               "\n| mimalloc | 3.25× | 4.25× | 5.25× | 3.05× | 4.65× |\n");
  const char *shown = "holds less than both of our heaps: libc (column 1, 1.20×); libc (column 2";
  expect_after(markdown, "### Memory for each live byte in `lru_cache`", shown);
  assert_null(
      strstr(strstr(markdown, shown) + 1, "holds less than both")); // compact does elsewhere
  expect_after(markdown, "### Memory for each live byte in `pins`", " | 409 | 0 |\n");
  expect_after(markdown, "### Adversaries beside the bounds",
               "\n| nonmoving | 6.50× | 3.00× | 3.05×");
  expect_after(markdown, "### Where `nonmoving` loses", "RSS for each live byte after idle time");
  free(markdown);
  char *points = fixture_slurp(in_folder("density/figures/adversary_robson.csv"), NULL);
  assert_non_null(strstr(points, "\"bound\",32768,6.5"));
  assert_non_null(strstr(points, "\"compact\",16,1"));
  assert_null(strstr(points, "\"model\""));
  free(points);
}

static void test_ways_to_move_stand_side_by_side(void **state) {
  (void)state;
  char *markdown = render(FIXTURE_ALL, 3, 0, NULL, "moving");
  const char *modes = "### Ways to move the objects of `churn`";
  expect_after(markdown, modes, "\n| nonmoving | ");
  // Twice 2 % of the wall time of two cores.
  expect_after(markdown, modes, " | 9.22 µs | 2.0 % |\n");
  expect_after(markdown, modes, "\n| compact (compaction_stw) | 38.50 MiB | 0 | 0 | ");
  const char *stopped = strstr(strstr(markdown, modes), "(stw) |");
  const char *writers = strstr(markdown, "### Writers while objects move");
  assert_true(!stopped || stopped > writers); // gc=stw is no way to move
  expect_after(markdown, "### Writers while objects move",
               "\n| compact (compaction_off) | 20.0 M/s | 15.0 M/s | 0.75× | 0.00 MiB | ");
  expect_after(markdown, "### Following a reference",
               "\n| compact | 2.3 ns | – | – | – | – | 9.8 ns |\n");
  expect_after(markdown, "### Idle time", "\n| compact (idle) | ");
  expect_after(markdown, "### Idle time", " | 24.50 MiB | 16.02 MiB | ");
  expect_after(markdown, "## What was compared", "`subpage_release` gives back");
  free(markdown);
}

// The first screen: what is left, what it cost and what to choose, in words; both settings of a
// library beside each other, named.
static void test_first_screen_tells_the_story(void **state) {
  (void)state;
  char *markdown = render(FIXTURE_ALL, 3, 0, "/nonexistent/gnuplot", "story");
  char *end = strstr(markdown, "### The two heaps, pair by pair");
  assert_non_null(end);
  *end = 0;
  static const char *const expected[] = {"**What is left.**",
                                         "keeps one in 512",
                                         "handle table and all metadata",
                                         "**What it took before",
                                         "**What it costs in pauses.**",
                                         "**What it costs in speed.**",
                                         "**Which to choose",
                                         "`compact` is better in: ",
                                         "memory left after the drop",
                                         "`nonmoving` is better in: "};
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    if (!strstr(markdown, expected[i])) fail_msg("the first screen lacks '%s'", expected[i]);
  *end = '#';
  const char *rows = strstr(markdown, "### Every row");
  assert_non_null(rows);
  assert_non_null(strstr(rows, "\n| mimalloc (stock) | "));
  const char *costs = strstr(markdown, "### Cost of one allocation");
  assert_non_null(costs);
  assert_non_null(strstr(costs, "\n| mimalloc (stock) | "));
  assert_non_null(strstr(costs, "\"(stock)\" is a library with its settings as shipped"));
  free(markdown);
}

static void test_each_part_alone_and_each_part_missing(void **state) {
  (void)state;
  for (unsigned bit = 1; bit < FIXTURE_ALL; bit <<= 1) {
    for (int without = 0; without < 2; without++) {
      const unsigned parts = without ? FIXTURE_ALL & ~bit : bit;
      if (parts == FIXTURE_MAPS || parts == FIXTURE_GO) continue; // nothing by themselves
      char *markdown = render(parts, 1, 0, "/nonexistent/gnuplot", "part");
      check_tables(markdown);
      check_words(markdown);
      assert_non_null(strstr(markdown, "## Reproduce"));
      free(markdown);
    }
  }
}

static void test_says_what_is_missing(void **state) {
  (void)state;
  char *markdown = render(FIXTURE_FAILURES, 1, 0, "/nonexistent/gnuplot", "failures");
  static const char *const expected[] = {"no record of `churn`",
                                         "no record of `write_hot`",
                                         "no completed run of `sizeshift`",
                                         "no record of `seed_pathological`",
                                         "no record of `alloc`",
                                         "hyperfine was not run",
                                         "records: 0 runs completed",
                                         "| `graph` | libc | oom | limit=1 MiB | 2 |",
                                         "no workload has a completed run of both heaps"};
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    if (!strstr(markdown, expected[i])) fail_msg("the report does not say '%s'", expected[i]);
  free(markdown);
}

static void test_without_gnuplot_figures_are_left_out(void **state) {
  (void)state;
  char *markdown = render(FIXTURE_CHURN, 2, 0, "/nonexistent/gnuplot", "penless");
  assert_non_null(strstr(markdown, "`/nonexistent/gnuplot` could not run"));
  assert_null(strstr(markdown, "pauses_churn.svg"));
  check_links(markdown, in_folder("penless")); // the points are there all the same
  free(markdown);
}

static void test_bad_records_write_nothing(void **state) {
  (void)state;
  FILE *file = fopen(in_folder("bad.jsonl"), "w");
  assert_non_null(file);
  fputs("{\"schema\":1,\"workload\":\"w\",\"heap\":\"h\",\"status\":\"ok\"}\n{oops\n", file);
  fclose(file);
  char error[512] = "";
  const report_options options = {.records = in_folder("bad.jsonl"), .out = in_folder("none")};
  assert_int_equal(report_render(&options, error, sizeof error), REPORT_BAD_RECORDS);
  assert_non_null(strstr(error, "bad.jsonl:2: "));
  assert_int_not_equal(access(in_folder("none"), F_OK), 0);
  assert_int_equal(report_summary(in_folder("bad.jsonl"), stderr, error, sizeof error),
                   REPORT_BAD_RECORDS);
}

static void test_says_when_it_cannot_write(void **state) {
  (void)state;
  json_t *records = fixture_records(FIXTURE_SEED, 1);
  fixture_write(in_folder("records.jsonl"), records, 0);
  json_decref(records);
  char error[512] = "";
  report_options options = {.records = in_folder("records.jsonl"), .out = "/dev/null/report"};
  assert_int_equal(report_render(&options, error, sizeof error), REPORT_CANNOT_WRITE);
  assert_non_null(strstr(error, "/dev/null/report"));
  // report.md is a folder: the last file fails, and its partial is removed.
  assert_true(folder_create(in_folder("blocked/report.md/x"), error, sizeof error));
  options.out = in_folder("blocked");
  assert_int_equal(report_render(&options, error, sizeof error), REPORT_CANNOT_WRITE);
  char *files = listing(in_folder("blocked"));
  assert_string_equal(files, "figures report.md ");
  free(files);
}

static void test_times_file_beside_the_records(void **state) {
  (void)state;
  FILE *file = fopen(in_folder("times.json"), "w");
  assert_non_null(file);
  fputs("{\"results\":[{\"command\":\"run_x a|b\",\"mean\":0.5,\"times\":[0.5,0.4,0.7]}]}", file);
  fclose(file);
  char *markdown = render(FIXTURE_SEED, 1, 0, "/nonexistent/gnuplot", "times");
  assert_non_null(
      strstr(markdown, "| `run_x a\\|b` | 500 ms [400 ms..700 ms] | 400 ms | 700 ms | 3 |"));
  free(markdown);
  file = fopen(in_folder("times.json"), "w");
  fputs("{\"results\":", file);
  fclose(file);
  markdown = render(FIXTURE_SEED, 1, 0, "/nonexistent/gnuplot", "times");
  assert_non_null(strstr(markdown, "not an export of hyperfine"));
  free(markdown);
  remove(in_folder("times.json"));
}

static void test_github_markdown_parses(void **state) {
  (void)state;
  if (!have_program("cmark-gfm")) skip();
  char *markdown = render(FIXTURE_ALL, 3, 0, NULL, "gfm");
  size_t tables = 0;
  for (const char *at = markdown; (at = strstr(at, "|:---")) || 0; at++)
    if (at == markdown || at[-1] == '\n') tables++;
  for (const char *at = markdown; (at = strstr(at, "\n|---:")); at++) tables++;
  free(markdown);
  char command[2048];
  snprintf(command, sizeof command, "cmark-gfm --extension table '%s'", in_folder("gfm/report.md"));
  FILE *pipe = popen(command, "r");
  assert_non_null(pipe);
  text html = {0};
  char chunk[4096];
  size_t got;
  while ((got = fread(chunk, 1, sizeof chunk, pipe)) > 0) text_add_bytes(&html, chunk, got);
  assert_int_equal(pclose(pipe), 0);
  size_t rendered = 0;
  for (const char *at = html.bytes; (at = strstr(at, "<table>")); at++) rendered++;
  assert_true(tables > 20);
  assert_int_equal(rendered, tables); // none degraded to text
  text_free(&html);
}

static void test_summary_has_a_line_per_row(void **state) {
  (void)state;
  json_t *records = fixture_records(FIXTURE_ALL, 3);
  fixture_write(in_folder("records.jsonl"), records, 0);
  json_decref(records);
  FILE *file = fopen(in_folder("summary.txt"), "w");
  assert_non_null(file);
  char error[512] = "";
  assert_int_equal(report_summary(in_folder("records.jsonl"), file, error, sizeof error),
                   REPORT_OK);
  fclose(file);
  char *summary = fixture_slurp(in_folder("summary.txt"), NULL);
  static const char *const expected[] = {"\nnonmoving  ",      "\ncompact  ", "\nbdwgc  ",
                                         "\nlibc  ",           "\ngo  ",      "16.02 MiB",
                                         "4 failed, 1 skipped"};
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    if (!strstr(summary, expected[i])) fail_msg("the summary does not contain '%s'", expected[i]);
  assert_null(strstr(summary, "\nmodel"));
  assert_non_null(strstr(summary, "\nmimalloc (stock)  "));
  for (const char *line = summary; *line; line += strcspn(line, "\n") + 1)
    assert_true(strcspn(line, "\n") <= 82); // bytes: a µ takes two, at most twice in a line
  free(summary);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_records_give_the_same_bytes),
      cmocka_unit_test(test_a_full_report_holds_together),
      cmocka_unit_test(test_pauses_are_told_by_kind_and_collector),
      cmocka_unit_test(test_memory_for_each_live_byte),
      cmocka_unit_test(test_ways_to_move_stand_side_by_side),
      cmocka_unit_test(test_first_screen_tells_the_story),
      cmocka_unit_test(test_each_part_alone_and_each_part_missing),
      cmocka_unit_test(test_says_what_is_missing),
      cmocka_unit_test(test_without_gnuplot_figures_are_left_out),
      cmocka_unit_test(test_bad_records_write_nothing),
      cmocka_unit_test(test_says_when_it_cannot_write),
      cmocka_unit_test(test_times_file_beside_the_records),
      cmocka_unit_test(test_github_markdown_parses),
      cmocka_unit_test(test_summary_has_a_line_per_row),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
