// SPDX-License-Identifier: MIT
// Do the heaps' own numbers explain what the kernel sees, and what do handles cost?
#include <math.h>
#include <string.h>

#include "reports/report_parts.h"

// The bar that a stage passes: RSS explained within this share of it plus this many bytes.
static const double residual_share = 0.02, residual_bytes = 1024.0 * 1024.0;

static const char *const heaps[] = {"nonmoving", "compact"};

typedef struct residuals {
  size_t stages, outside;
  double worst_bytes, worst_share;
} residuals;

static void residual_cells(report *r, table *t, const scenario *s, const char *stage,
                           residuals *found) {
  for (size_t h = 0; h < 2; h++) {
    const group *g = scenario_group(s, heaps[h], "");
    const estimate rss = measure_estimate(r->memory, g, (measure){stage, "rss_bytes", NULL});
    const estimate left = measure_estimate(r->memory, g, (measure){stage, "residual_bytes", NULL});
    table_cell(t, show_median(r->memory, rss, show_mib));
    table_cell(t, show_estimate(r->memory, left, show_mib));
    if (!left.n || !rss.n) continue;
    const double worst = fmax(fabs(left.low), fabs(left.high));
    found[h].stages++;
    found[h].outside += worst > rss.median * residual_share + residual_bytes;
    found[h].worst_bytes = fmax(found[h].worst_bytes, worst);
    found[h].worst_share = fmax(found[h].worst_share, worst / rss.median);
  }
}

static const group *first_of_both(const scenario *s) {
  const group *g = scenario_group(s, heaps[0], "");
  return g ? g : scenario_group(s, heaps[1], "");
}

static void residual_rows(report *r, table *t, residuals *found) {
  for (size_t i = 0; i < r->set.scenario_count; i++) {
    const scenario *s = &r->set.scenarios[i];
    const group *g = first_of_both(s);
    const json_t *stages = NULL;
    for (size_t j = 0; g && j < g->count && !stages; j++)
      if (record_ok(&g->records[j])) stages = json_object_get(g->records[j].json, "stages");
    size_t k;
    const json_t *stage;
    json_array_foreach(stages, k, stage) {
      const char *name = json_string_value(json_object_get(stage, "name"));
      const double step = scenario_number(s, "step");
      const char *mitigation = scenario_choice(s, "mitigation");
      const char *detail = mitigation ? mitigation
                           : strcmp(scenario_workload(s), "seed_step") == 0 && !isnan(step)
                               ? arena_format(r->memory, "step=%.0f", step)
                               : "";
      table_cell(
          t, arena_format(r->memory, "`%s`%s%s", scenario_workload(s), *detail ? " " : "", detail));
      table_cell(t, arena_format(r->memory, "(%s)", name));
      residual_cells(r, t, s, name, found);
    }
  }
}

void section_accounting(report *r) {
  static const char *const heads[] = {"workload",    "stage",       "nonmoving RSS",
                                      "unexplained", "compact RSS", "unexplained"};
  text_add(&r->out,
           "## Memory accounting\n\nAt every stage the kernel's RSS is compared with the sum of "
           "what the heap accounts for (its footprint), the harness's own memory, and the process "
           "before the heap was created. The rest is *unexplained*.\n\n");
  text details = {0};
  const text kept = r->out;
  r->out = details;
  residuals found[2] = {{0}};
  table t = table_begin(&r->out, "llrrrr", heads);
  residual_rows(r, &t, found);
  table_end(&t);
  details = r->out;
  r->out = kept;
  for (size_t h = 0; h < 2; h++) {
    if (!found[h].stages) {
      report_missing(r, arena_format(r->memory, "accounting of %s", heaps[h]));
      continue;
    }
    text_format(&r->out,
                "- `%s`: unexplained at most %s MiB, at most %s of RSS; %zu of %zu stages are "
                "within %s of RSS + %s MiB.\n",
                heaps[h], show_mib(r->memory, found[h].worst_bytes),
                show_percent(r->memory, found[h].worst_share), found[h].stages - found[h].outside,
                found[h].stages, show_percent(r->memory, residual_share),
                show_mib(r->memory, residual_bytes));
  }
  if (found[0].stages + found[1].stages) {
    text_add(&r->out, "\n<details><summary>Every stage, MiB</summary>\n\n");
    text_add(&r->out, details.bytes);
    text_add(&r->out, "</details>\n\n");
  }
  text_free(&details);
}

// ---- the price of handles -----------------------------------------------------------------------

// The stage at which a workload holds most, as the workload itself says.
static const char *fullest_stage(const group *g) {
  const char *best = NULL;
  double most = -1;
  for (size_t j = 0; j < g->count && !best; j++) {
    size_t k;
    const json_t *stage;
    if (!record_ok(&g->records[j])) continue;
    json_array_foreach(json_object_get(g->records[j].json, "stages"), k, stage) {
      const double live = json_number_value(json_object_get(stage, "live_bytes"));
      if (live <= most) continue;
      most = live;
      best = json_string_value(json_object_get(stage, "name"));
    }
  }
  return best;
}

static void handle_row(report *r, table *t, const scenario *s, run_counts *counts) {
  const group *nm = scenario_group(s, "nonmoving", ""), *cp = scenario_group(s, "compact", "");
  const char *stage = fullest_stage(cp);
  if (!stage) return;
  const measure table_bytes = {stage, "handle_table_bytes", NULL};
  const measure metadata = {stage, "metadata_bytes", NULL};
  const estimate peak_nm =
      measure_estimate(r->memory, nm, (measure){stage, "peak_footprint_bytes", NULL});
  const estimate peak_cp =
      measure_estimate(r->memory, cp, (measure){stage, "peak_footprint_bytes", NULL});
  run_counts_add(counts, peak_cp.n);
  table_cell(t, arena_format(r->memory, "`%s` (%s)", scenario_workload(s), stage));
  table_cell(t, show_estimate(r->memory, measure_estimate(r->memory, cp, table_bytes), show_mib));
  table_cell(t, show_estimate(r->memory, measure_estimate(r->memory, cp, metadata), show_mib));
  table_cell(t, show_estimate(r->memory, measure_estimate(r->memory, nm, metadata), show_mib));
  table_cell(t, show_estimate(r->memory, peak_cp, show_mib));
  table_cell(t, show_estimate(r->memory, peak_nm, show_mib));
}

void section_handles(report *r) {
  static const char *const heads[] = {"workload (fullest stage)", "handle table",
                                      "compact metadata",         "nonmoving metadata",
                                      "compact peak footprint",   "nonmoving peak footprint"};
  static const char *const workloads[] = {
      "seed_pathological", "seed_pointers", "seed_array", "churn", "service", "bintrees"};
  text_add(&r->out,
           "## The price of handles\n\nA reference of `compact` names a table entry: one more load "
           "on each access, and memory for the table, which is part of its metadata and of its "
           "footprint at every stage and at the peak.\n\n");
  table t = {0};
  run_counts counts = {0};
  size_t rows = 0;
  for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
    const scenario *s = scenario_main(&r->set, workloads[i]);
    if (!scenario_group(s, "compact", "")) continue;
    if (rows++ == 0) t = table_begin(&r->out, "lrrrrr", heads);
    handle_row(r, &t, s, &counts);
  }
  if (!rows) {
    report_missing(r, "no completed run of compact");
    return;
  }
  table_end(&t);
  text_add(&r->out, "MiB, at the stage with most live bytes. ");
  report_caption(r, counts);
  const scenario *alloc = scenario_main(&r->set, "alloc");
  static const char *const keys[] = {"deref_ns", "load_ns", "store_ns"};
  static const char *const words[] = {"a dereference", "a reference load", "a reference store"};
  for (size_t k = 0; k < 3; k++) {
    const estimate ratio =
        measure_ratio(r->memory, scenario_group(alloc, "compact", ""),
                      scenario_group(alloc, "nonmoving", ""), (measure){NULL, keys[k], NULL});
    if (!ratio.n) continue;
    text_format(&r->out, "- %s on `compact` takes %s the time of one on `nonmoving` (n = %zu).\n",
                words[k], show_estimate(r->memory, ratio, show_ratio), ratio.n);
  }
  text_add(&r->out, "\n");
}
