// SPDX-License-Identifier: MIT
// Work done per time: churn, bintrees, and the micro-costs of alloc.
#include <math.h>
#include <string.h>

#include "reports/metric_table.h"

// ---- churn and bintrees -------------------------------------------------------------------------

// One row per group: a value, its ratio to nonmoving, CPU time.
static void rate_table(report *r, const scenario *s, measure what, number_show *show,
                       const char *head) {
  const char *const heads[] = {"row",           head,           "ratio to nonmoving", "CPU time",
                               "collector CPU", "peak RSS, MiB"};
  const group *reference = scenario_group(s, "nonmoving", "");
  table t = table_begin(&r->out, "lrrrrr", heads);
  run_counts counts = {0};
  for (size_t i = 0; i < s->count; i++) {
    const group *g = &s->groups[i];
    const estimate value = measure_estimate(r->memory, g, what);
    if (!value.n) continue;
    run_counts_add(&counts, value.n);
    const estimate ratio = measure_ratio(r->memory, g, reference, what);
    const estimate cpu = measure_estimate(r->memory, g, (measure){NULL, "timed_cpu_ns", NULL});
    const estimate rss = measure_estimate(r->memory, g, (measure){NULL, "peak_rss_bytes", NULL});
    table_cell(&t, group_label(g));
    table_cell(&t, show_estimate(r->memory, value, show));
    table_cell(&t, show_estimate(r->memory, ratio, show_ratio));
    table_cell(&t, show_estimate(r->memory, cpu, show_ns));
    size_t n;
    table_cell(&t, cell_collector_share(r, g, &n));
    table_cell(&t, show_estimate(r->memory, rss, show_mib));
  }
  table_end(&t);
  text_add(&r->out, "CPU time is the process's in the timed section. Collector CPU is the share of "
                    "all cores' time that collecting took over the whole run.\n\n");
  report_caption(r, counts);
}

static void floor_line(report *r) {
  const scenario *s;
  for (size_t n = 0; (s = scenario_of(&r->set, "churn", n)); n++) {
    if (!(scenario_number(s, "noalloc") > 0)) continue;
    for (size_t i = 0; i < s->count; i++) {
      const estimate ops =
          measure_estimate(r->memory, &s->groups[i], (measure){NULL, "ops_per_s", NULL});
      const estimate worst =
          measure_estimate(r->memory, &s->groups[i], (measure){NULL, "op_max_ns", NULL});
      if (!ops.n) continue;
      text_format(&r->out,
                  "Floor of the machine (`noalloc=1`: the same loop reuses its node, on %s): %s, "
                  "worst operation %s; %s.\n\n",
                  group_label(&s->groups[i]), show_estimate(r->memory, ops, show_rate),
                  worst.n ? show_estimate(r->memory, worst, show_ns) : "not measured",
                  arena_format(r->memory, "n = %zu", ops.n));
    }
  }
}

static void rate_section(report *r, const char *workload, measure what, number_show *show,
                         const char *head) {
  const scenario *s = scenario_main(&r->set, workload);
  text_format(&r->out, "### Throughput of `%s`\n\n", workload);
  if (!s) {
    report_missing(r, arena_format(r->memory, "no record of `%s`", workload));
    return;
  }
  text_format(&r->out, "%s\n\n", scenario_phrase(r, s));
  rate_table(r, s, what, show, head);
}

// ---- threads ------------------------------------------------------------------------------------

// Whether two scenarios of a workload differ in nothing but their number of threads.
static bool same_but_threads(const scenario *a, const scenario *b) {
  const json_t *left = json_object_get(a->groups[0].records[0].json, "params");
  json_t *moved = json_copy(json_object_get(b->groups[0].records[0].json, "params"));
  json_object_set(moved, "threads", json_object_get(left, "threads"));
  const bool same = json_equal(left, moved);
  json_decref(moved);
  return same;
}

// The scenario that does on one thread what each of two does in `two`; NULL if there is none.
static const scenario *on_one_thread(report *r, const scenario *two) {
  const scenario *s;
  for (size_t n = 0; (s = scenario_of(&r->set, scenario_workload(two), n)); n++)
    if (scenario_number(s, "threads") == 1 && same_but_threads(s, two)) return s;
  return NULL;
}

static void threads_row(report *r, table *t, const scenario *one, const scenario *two,
                        const char *heap, run_counts *counts) {
  const measure rate = {NULL, "ops_per_s", NULL};
  const group *single = scenario_group(one, heap, ""), *both = scenario_group(two, heap, "");
  const estimate ratio = measure_ratio(r->memory, both, single, rate);
  if (!ratio.n) return;
  run_counts_add(counts, ratio.n);
  table_cell(t, scenario_workload(two));
  table_cell(t, heap);
  table_cell(t, show_estimate(r->memory, measure_estimate(r->memory, single, rate), show_rate));
  table_cell(t, show_estimate(r->memory, measure_estimate(r->memory, both, rate), show_rate));
  table_cell(t, show_estimate(r->memory, ratio, show_ratio));
}

// Nothing at all without records of two threads: most workloads have but one.
static void threads_table(report *r) {
  static const char *const workloads[] = {"alloc", "mstress"};
  static const char *const heads[] = {"workload", "row", "one thread", "two threads",
                                      "two over one"};
  run_counts counts = {0};
  table t = {0};
  bool begun = false;
  for (size_t w = 0; w < sizeof workloads / sizeof *workloads; w++) {
    const scenario *two;
    for (size_t n = 0; (two = scenario_of(&r->set, workloads[w], n)); n++) {
      const scenario *one = scenario_number(two, "threads") == 2 ? on_one_thread(r, two) : NULL;
      if (!one) continue;
      if (!begun) {
        begun = true;
        text_add(&r->out,
                 "### Throughput on two threads over one\n\n"
                 "Each thread does the same work, so 2.00× is perfect scaling. In `alloc` (64 "
                 "bytes, allocated and dropped) threads share nothing but the heap; in `mstress` "
                 "they drop each other's objects.\n\n");
        t = table_begin(&r->out, "llrrr", heads);
      }
      for (size_t h = 0; h < report_row_count; h++)
        threads_row(r, &t, one, two, report_rows[h].heap, &counts);
    }
  }
  if (!begun) return;
  table_end(&t);
  report_caption(r, counts);
}

// ---- alloc --------------------------------------------------------------------------------------

typedef struct alloc_case {
  const char *key, *words;
} alloc_case;

static const alloc_case alloc_cases[] = {
    {"imm16_ns", "16 B, dies at once"},
    {"pair16_ns", "16 B"},
    {"pair64_ns", "64 B"},
    {"pair256_ns", "256 B"},
    {"pair1024_ns", "1024 B"},
    {"pair8192_ns", "8192 B"},
    {"batch16_ns", "2^20 x 16 B, then dropped"},
    {"deref_ns", "dereference"},
    {"load_ns", "load a reference"},
    {"store_ns", "store a reference"},
};
enum { ALLOC_CASES = sizeof alloc_cases / sizeof *alloc_cases, ALLOC_FIRST_ACCESS = 7 };

// A case may have been run by itself: the scenario of `alloc` with most rows that measured it.
static const scenario *alloc_scenario(report *r, const char *key) {
  const scenario *best = NULL, *s;
  size_t most = 0;
  for (size_t n = 0; (s = scenario_of(&r->set, "alloc", n)); n++) {
    size_t rows = 0;
    for (size_t i = 0; i < s->count; i++)
      rows += measure_sample(r->memory, &s->groups[i], (measure){NULL, key, NULL}).count > 0;
    if (rows > most) most = rows, best = s;
  }
  return best;
}

static const group *alloc_group(report *r, const char *key, const char *heap, const char *variant) {
  const scenario *s = alloc_scenario(r, key);
  return s ? report_group(r, s, heap, variant) : NULL;
}

static bool alloc_row(report *r, table *t, const char *heap, const char *variant, size_t first,
                      size_t end, run_counts *counts) {
  const char *cells[ALLOC_CASES];
  bool any = false;
  for (size_t c = first; c < end; c++) {
    const char *key = alloc_cases[c].key;
    const estimate e =
        measure_estimate(r->memory, alloc_group(r, key, heap, variant), (measure){NULL, key, NULL});
    run_counts_add(counts, e.n);
    cells[c] = show_median(r->memory, e, show_ns_fixed);
    any |= e.n > 0;
  }
  if (!any) return false;
  table_cell(t, *variant ? arena_format(r->memory, "%s (%s)", heap, variant) : heap);
  for (size_t c = first; c < end; c++) table_cell(t, cells[c]);
  return true;
}

// Cases [first, end), one line per row.
static void alloc_table(report *r, size_t first, size_t end, const char *title) {
  static const char *const variants[] = {"", "stock", "outline"};
  const char *heads[ALLOC_CASES + 1] = {"row"};
  char align[ALLOC_CASES + 2] = "l";
  for (size_t c = first; c < end; c++) {
    heads[c - first + 1] = alloc_cases[c].words;
    align[c - first + 1] = 'r';
  }
  align[end - first + 1] = 0;
  text_format(&r->out, "**%s, ns**\n\n", title);
  table t = table_begin(&r->out, align, heads);
  run_counts counts = {0};
  for (size_t h = 0; h < report_row_count; h++)
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++)
      alloc_row(r, &t, report_rows[h].heap, variants[v], first, end, &counts);
  table_end(&t);
  text_format(&r->out, "Medians, %s per cell.\n\n", run_counts_text(r->memory, counts));
}

static void alloc_ratio_table(report *r) {
  static const char *const heads[] = {"case",
                                      "nonmoving, ns",
                                      "compact, ns",
                                      "compact / nonmoving",
                                      "nonmoving outline / inline",
                                      "compact outline / inline"};
  text_add(&r->out, "<details><summary>Intervals, ratios, and what inlining gives</summary>\n\n");
  table t = table_begin(&r->out, "lrrrrr", heads);
  for (size_t c = 0; c < ALLOC_CASES; c++) {
    const char *key = alloc_cases[c].key;
    const measure what = {NULL, key, NULL};
    const group *nm = alloc_group(r, key, "nonmoving", ""),
                *cp = alloc_group(r, key, "compact", "");
    if (!nm && !cp) continue;
    table_cell(&t, alloc_cases[c].words);
    table_cell(&t, show_estimate(r->memory, measure_estimate(r->memory, nm, what), show_ns_fixed));
    table_cell(&t, show_estimate(r->memory, measure_estimate(r->memory, cp, what), show_ns_fixed));
    table_cell(&t, show_estimate(r->memory, measure_ratio(r->memory, cp, nm, what), show_ratio));
    table_cell(&t,
               show_estimate(
                   r->memory,
                   measure_ratio(r->memory, alloc_group(r, key, "nonmoving", "outline"), nm, what),
                   show_ratio));
    table_cell(&t, show_estimate(r->memory,
                                 measure_ratio(r->memory, alloc_group(r, key, "compact", "outline"),
                                               cp, what),
                                 show_ratio));
  }
  table_end(&t);
  text_add(&r->out, "</details>\n\n");
}

void section_throughput(report *r) {
  text_add(&r->out, "## Throughput\n\n");
  rate_section(r, "churn", (measure){NULL, "ops_per_s", NULL}, show_rate, "operations");
  floor_line(r);
  rate_section(r, "bintrees", (measure){NULL, "timed_wall_ns", NULL}, show_ns, "wall time");
  threads_table(r);
  text_add(&r->out, "### Cost of one allocation, one access\n\n");
  if (!scenario_of(&r->set, "alloc", 0)) {
    report_missing(r, "no record of `alloc`");
    return;
  }
  text_add(&r->out,
           "The cost of collection is included. \"(stock)\" is a library with its settings as "
           "shipped, \"(outline)\" one of our heaps with its operations called instead of "
           "inlined. Intervals and ratios of our two heaps are in the table after these.\n\n");
  alloc_table(r, 0, ALLOC_FIRST_ACCESS, "One object, allocated and dropped");
  alloc_table(r, ALLOC_FIRST_ACCESS, ALLOC_CASES, "One access");
  alloc_ratio_table(r);
}
