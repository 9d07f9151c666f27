// SPDX-License-Identifier: MIT
// The first screen: the question, the verdict, and every row at one glance.
#include <string.h>

#include "reports/report_parts.h"

// ---- verdict ------------------------------------------------------------------------------------

static void verdict_row(report *r, table *t, const char *workload, const char *key,
                        run_counts *counts) {
  const comparison *c = comparison_find(workload, key);
  const scenario *s = scenario_main(&r->set, workload);
  const group *nm = scenario_group(s, "nonmoving", ""), *cp = scenario_group(s, "compact", "");
  if (!c || !nm || !cp) return;
  const estimate left = measure_estimate(r->memory, nm, c->what);
  const estimate right = measure_estimate(r->memory, cp, c->what);
  const estimate ratio = measure_ratio(r->memory, cp, nm, c->what);
  if (!left.n && !right.n) return;
  run_counts_add(counts, left.n);
  run_counts_add(counts, right.n);
  table_cell(t, arena_format(r->memory, "`%s`: %s", workload, c->title));
  table_cell(t, show_estimate(r->memory, left, c->show));
  table_cell(t, show_estimate(r->memory, right, c->show));
  table_cell(t, show_estimate(r->memory, ratio, show_ratio));
  table_cell(t, ratio.n ? arena_format(r->memory, "%zu", ratio.n) : NULL);
  static const char *const winners[] = {"nonmoving", "neither", "compact"};
  const bool once = ratio.n == 1 && c->kind != COMPARE_BYTES;
  table_cell(t, once ? "observed once" : ratio.n ? winners[comparison_winner(c, ratio) + 1] : NULL);
}

static void verdict(report *r) {
  static const char *const heads[] = {"quantity", "nonmoving", "compact", "compact / nonmoving",
                                      "n",        "better"};
  text_add(&r->out, "### The two heaps, pair by pair\n\n");
  const size_t before = r->out.length;
  table t = table_begin(&r->out, "lrrrrl", heads);
  const size_t header = r->out.length;
  run_counts counts = {0};
  for (size_t i = 0; i < report_verdict_count; i++)
    verdict_row(r, &t, report_verdict[i].workload, report_verdict[i].key, &counts);
  if (r->out.length == header) {
    r->out.length = before;
    r->out.bytes[before] = 0;
    report_missing(r, "no workload has a completed run of both heaps");
    return;
  }
  table_end(&t);
  report_caption(r, counts);
  text_format(
      &r->out,
      "Ratios are taken block by block, n of them, then the median. \"neither\": the bracket "
      "of the ratio includes 1, or its median is within %s of 1. Below six blocks a name means "
      "\"in every block\" and "
      "no more.\n\n",
      show_percent(r->memory, report_threshold));
}

// ---- every row ----------------------------------------------------------------------------------

static const char *two(report *r, estimate a, estimate b) {
  if (!a.n && !b.n) return NULL;
  const char *left = show_median(r->memory, a, show_ns),
             *right = show_median(r->memory, b, show_ns);
  return arena_format(r->memory, "%s / %s", left ? left : REPORT_ABSENT,
                      right ? right : REPORT_ABSENT);
}

static estimate metric(report *r, const group *g, const char *key) {
  return measure_estimate(r->memory, g, (measure){NULL, key, NULL});
}

// One line; false when nothing of it was measured.
static bool rows_row(report *r, table *t, const char *heap, const char *variant) {
  const scenario *seed = scenario_main(&r->set, "seed_pathological");
  const scenario *churn = scenario_main(&r->set, "churn"), *alloc = scenario_main(&r->set, "alloc");
  const group *g = report_group(r, seed, heap, variant);
  const group *c = report_group(r, churn, heap, variant);
  const estimate kept = measure_estimate(r->memory, g, (measure){"3", "footprint_bytes", "1"});
  const estimate rss = measure_estimate(r->memory, g, (measure){"3", "rss_bytes", "start"});
  const estimate ops = metric(r, c, "ops_per_s");
  const estimate garbage = metric(r, report_group(r, alloc, heap, variant), "imm16_ns");
  const char *pauses = two(r, metric(r, c, "pause_p99_ns"), metric(r, c, "pause_max_ns"));
  const char *operations = two(r, metric(r, c, "op_p999_ns"), metric(r, c, "op_max_ns"));
  if (!kept.n && !rss.n && !ops.n && !garbage.n && !pauses && !operations) return false;
  table_cell(t, *variant ? arena_format(r->memory, "%s (%s)", heap, variant) : heap);
  table_cell(t, show_median(r->memory, kept, show_mib));
  table_cell(t, show_median(r->memory, rss, show_mib));
  table_cell(t, pauses);
  table_cell(t, operations);
  table_cell(t, show_median(r->memory, garbage, show_ns_fixed));
  table_cell(t, show_median(r->memory, ops, show_rate));
  return true;
}

static void every_row(report *r) {
  static const char *const heads[] = {"row",
                                      "left at (3), footprint, MiB",
                                      "left at (3), RSS, MiB",
                                      "pause p99 / max",
                                      "op p99.9 / worst",
                                      "16 B garbage, ns",
                                      "churn"};
  text_add(&r->out, "### Every row\n\n");
  table t = table_begin(&r->out, "lrrrrrr", heads);
  size_t rows = 0;
  for (size_t i = 0; i < report_row_count; i++) {
    if (strcmp(report_rows[i].heap, "model") == 0) continue;
    rows += rows_row(r, &t, report_rows[i].heap, "");
    rows += rows_row(r, &t, report_rows[i].heap, "stw");
    rows += rows_row(r, &t, report_rows[i].heap, "stock");
  }
  table_end(&t);
  if (!rows) report_missing(r, "none of seed_pathological, churn and alloc completed");
  text_add(
      &r->out,
      "\"Left at (3)\": what the seed's Example 3 still holds when one object in `step` is kept "
      "and everything free was given back, footprint above its baseline and RSS above the "
      "process's start. Pauses are what the collector says of itself, \"op\" is what the "
      "program saw of single `churn` operations: read them together. A plain row of a library runs "
      "at "
      "its fair best for this comparison (everything free is given back at once), \"(stock)\" is "
      "the "
      "same library with its settings as shipped: what it gains in time it may hold in memory. "
      "\"(stw)\" is our heap with the program stopped while it marks. Medians; intervals are in "
      "the sections below. " REPORT_ABSENT " is not measured, never zero.\n\n");
}

void section_summary(report *r) {
  text_format(&r->out, "# %s\n\n", r->title);
  text_add(&r->out,
           "**What does never moving an object cost in memory, and what does moving it cost "
           "in time?** Two heaps of ours stand behind one contract and run the same "
           "programs: `nonmoving` is laid out like Go's, `compact` moves objects behind "
           "handles. Established allocators, the Go runtime and a closed form stand "
           "beside them.\n\n");
  size_t ok = 0;
  for (size_t i = 0; i < r->set.count; i++) ok += record_ok(&r->set.records[i]);
  text_format(&r->out, "Every number below is computed from %zu records: %zu runs completed",
              r->set.count, ok);
  text_add(&r->out, ok == r->set.count
                        ? ", none failed.\n\n"
                        : "; the others are listed under "
                          "[Failures and exclusions](#failures-and-exclusions).\n\n");
  text_add(&r->out, "## Summary\n\n");
  section_story(r);
  verdict(r);
  every_row(r);
  section_tradeoff(r);
}
