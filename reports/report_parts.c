// SPDX-License-Identifier: MIT
#include "reports/report_parts.h"

#include <math.h>
#include <string.h>

// ---- rows ---------------------------------------------------------------------------------------

static bool params_compatible(const scenario *a, const scenario *b) {
  const json_t *left = json_object_get(a->groups[0].records[0].json, "params");
  const json_t *right = json_object_get(b->groups[0].records[0].json, "params");
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)left, key, value) {
    const json_t *other = json_object_get(right, key);
    if (!other) continue;
    const bool numbers = json_is_number(value) && json_is_number(other);
    if (numbers ? json_number_value(value) != json_number_value(other) : !json_equal(value, other))
      return false;
  }
  return true;
}

static bool heap_is_truth(const char *heap) {
  return strcmp(heap, "go") == 0 || strcmp(heap, "model") == 0;
}

const group *report_group(const report *r, const scenario *s, const char *heap,
                          const char *variant) {
  const group *found = scenario_group(s, heap, variant);
  if (found || !s || !heap_is_truth(heap)) return found;
  const scenario *other;
  for (size_t n = 0; !found && (other = scenario_of(&r->set, scenario_workload(s), n)); n++)
    if (other != s && params_compatible(s, other)) found = scenario_group(other, heap, variant);
  return found;
}

bool group_is_plain(const group *g) {
  return g->ok_count && !*group_variant(g) && strcmp(group_heap(g), "model") != 0;
}

bool group_is_drawn(const group *g) {
  return group_is_plain(g) || (g->ok_count && strcmp(group_variant(g), "stw") == 0);
}

const report_row *group_row(const group *g) {
  return report_row_of_variant(group_heap(g), group_variant(g));
}

const char *scenario_phrase(report *r, const scenario *s) {
  const char *params = scenario_params(s);
  if (!*params) return arena_format(r->memory, "`%s`", scenario_workload(s));
  return arena_format(r->memory, "`%s` (%s)", scenario_workload(s), params);
}

const char *scenario_short(report *r, const scenario *s) {
  const scenario *usual = scenario_main(&r->set, scenario_workload(s));
  const json_t *params = json_object_get(s->groups[0].records[0].json, "params");
  const json_t *others = usual ? json_object_get(usual->groups[0].records[0].json, "params") : NULL;
  const char *name = arena_format(r->memory, "`%s`", scenario_workload(s));
  size_t count;
  const char **keys = object_keys(r->memory, params, &count);
  for (size_t i = 0; i < count; i++) {
    const json_t *value = json_object_get(params, keys[i]);
    if (json_equal(value, json_object_get(others, keys[i]))) continue;
    name = json_is_string(value)
               ? arena_format(r->memory, "%s %s=%s", name, keys[i], json_string_value(value))
               : arena_format(r->memory, "%s %s=%.15g", name, keys[i], json_number_value(value));
  }
  return name;
}

// ---- captions -----------------------------------------------------------------------------------

void run_counts_add(run_counts *counts, size_t n) {
  if (!n) return;
  if (!counts->least || n < counts->least) counts->least = n;
  if (n > counts->most) counts->most = n;
}

const char *run_counts_text(arena *memory, run_counts counts) {
  if (counts.least == counts.most) return arena_format(memory, "n = %zu", counts.least);
  return arena_format(memory, "n = %zu..%zu", counts.least, counts.most);
}

const char *interval_words(run_counts counts) {
  if (counts.most < 6) return "brackets: smallest and largest run";
  if (counts.least >= 6) return "brackets: 95 % interval of the median";
  return "brackets: 95 % interval of the median from six runs on, below that smallest and largest";
}

void report_caption(report *r, run_counts counts) {
  if (!counts.most) return;
  if (counts.most == 1)
    text_add(&r->out, "One run per cell.\n\n");
  else
    text_format(&r->out,
                "Medians, %s runs per cell; %s (left out where it rounds to the median).\n\n",
                run_counts_text(r->memory, counts), interval_words(counts));
}

void report_missing(report *r, const char *what) {
  text_format(&r->out, "*Not measured: %s.*\n\n", what);
}

void report_chart(report *r, const chart *c, const char *alt) {
  size_t points = 0;
  for (size_t p = 0; p < c->count; p++)
    for (size_t s = 0; s < c->panels[p].count; s++) points += c->panels[p].series[s].count;
  if (!points || r->failed) return;
  switch (chart_write(&r->figures, c)) {
  case CHART_DRAWN:
    text_format(&r->out,
                "![%s](figures/%s.svg)\n\nPoints of the figure: [%s.csv](figures/%s.csv)\n\n", alt,
                c->name, c->name, c->name);
    break;
  case CHART_NO_PEN:
    text_format(&r->out,
                "*Figure left out: `%s` could not run (install gnuplot and render again).* "
                "Its points: [%s.csv](figures/%s.csv)\n\n",
                r->figures.gnuplot, c->name, c->name);
    break;
  case CHART_CANNOT_WRITE:
    r->failed = true;
    break;
  }
}

// ---- comparisons --------------------------------------------------------------------------------

// clang-format off: one comparison per line or two reads as the table it is
const comparison report_comparisons[] = {
    {"seed_pathological",
     "footprint above baseline at point (3)",
     {"3", "footprint_bytes", "1"},
     show_mib_unit,
     COMPARE_BYTES},
    {"seed_pathological",
     "process RSS above start at point (3)",
     {"3", "rss_bytes", "start"},
     show_mib_unit,
     COMPARE_BYTES},
    {"seed_pathological",
     "largest footprint until point (3)",
     {"3", "peak_footprint_bytes", NULL},
     show_mib_unit,
     COMPARE_BYTES},
    {"seed_step",
     "footprint above baseline",
     {"kept", "footprint_bytes", "baseline"},
     show_mib_unit,
     COMPARE_BYTES},
    {"service",
     "RSS above start at the end of the task",
     {"100", "rss_bytes", "start"},
     show_mib_unit,
     COMPARE_BYTES},
    {"service", "wall time", {NULL, "timed_wall_ns", NULL}, show_ns, COMPARE_TIME},
    {NULL, "peak RSS", {NULL, "peak_rss_bytes", NULL}, show_mib_unit, COMPARE_BYTES},
    {NULL, "longest pause", {NULL, "pause_max_ns", NULL}, show_ns, COMPARE_TIME},
    {NULL, "pause, 99th percentile", {NULL, "pause_p99_ns", NULL}, show_ns, COMPARE_TIME},
    {NULL, "sum of pauses", {NULL, "pause_total_ns", NULL}, show_ns, COMPARE_TIME},
    {NULL, "operation, median", {NULL, "op_p50_ns", NULL}, show_ns, COMPARE_TIME},
    {NULL, "operation, 99.9th percentile", {NULL, "op_p999_ns", NULL}, show_ns, COMPARE_TIME},
    {NULL, "worst operation", {NULL, "op_max_ns", NULL}, show_ns, COMPARE_TIME},
    {"churn", "operations per second", {NULL, "ops_per_s", NULL}, show_rate, COMPARE_RATE},
    {"bintrees", "wall time", {NULL, "timed_wall_ns", NULL}, show_ns, COMPARE_TIME},
    {"sizeshift",
     "RSS for each live byte after the shift, released",
     {NULL, "after_rss_ratio", NULL},
     show_ratio,
     COMPARE_BYTES},
    {"lru_cache",
     "RSS for each live byte, last phase, released",
     {NULL, "tiny_rss_ratio", NULL},
     show_ratio,
     COMPARE_BYTES},
    {"redis_frag",
     "RSS for each live byte, mean of the run",
     {NULL, "run_mean_rss_ratio", NULL},
     show_ratio,
     COMPARE_BYTES},
    {"redis_frag",
     "RSS for each live byte after idle time",
     {NULL, "idle_raw_rss_ratio", NULL},
     show_ratio,
     COMPARE_BYTES},
    {"adversary",
     "RSS for each live byte at the end",
     {NULL, "end_rss_ratio", NULL},
     show_ratio,
     COMPARE_BYTES},
    {"pins",
     "RSS for each live byte while pinned, released",
     {NULL, "pinned_rss_ratio", NULL},
     show_ratio,
     COMPARE_BYTES},
    {"pins",
     "RSS for each live byte, unpinned, released",
     {NULL, "unpinned_rss_ratio", NULL},
     show_ratio,
     COMPARE_BYTES},
    {"write_hot",
     "writes per second, nothing to move",
     {NULL, "steady_writes_per_s", NULL},
     show_rate,
     COMPARE_RATE},
    {"write_hot",
     "writes per second while the heap fragments",
     {NULL, "fragmented_writes_per_s", NULL},
     show_rate,
     COMPARE_RATE},
    {"deref",
     "one step, shuffled, after a collection",
     {NULL, "compacted_shuffled_ns", NULL},
     show_ns,
     COMPARE_TIME},
    {"deref",
     "one step, in order, dense",
     {NULL, "dense_sequential_ns", NULL},
     show_ns,
     COMPARE_TIME},
    {"alloc", "16 B garbage, one object", {NULL, "imm16_ns", NULL}, show_ns, COMPARE_TIME},
    {"alloc", "allocate and drop, 64 B", {NULL, "pair64_ns", NULL}, show_ns, COMPARE_TIME},
    {"alloc", "allocate and drop, 1024 B", {NULL, "pair1024_ns", NULL}, show_ns, COMPARE_TIME},
    {"alloc",
     "2^20 x 16 B then dropped, one object",
     {NULL, "batch16_ns", NULL},
     show_ns,
     COMPARE_TIME},
    {"alloc", "one dereference", {NULL, "deref_ns", NULL}, show_ns, COMPARE_TIME},
    {"alloc", "one reference load", {NULL, "load_ns", NULL}, show_ns, COMPARE_TIME},
    {"alloc", "one reference store", {NULL, "store_ns", NULL}, show_ns, COMPARE_TIME},
};
// clang-format on
const size_t report_comparison_count = sizeof report_comparisons / sizeof *report_comparisons;

const comparison *comparison_find(const char *workload, const char *key) {
  for (size_t i = 0; i < report_comparison_count; i++) {
    const comparison *c = &report_comparisons[i];
    if ((!c->workload || strcmp(c->workload, workload) == 0) && strcmp(c->what.key, key) == 0)
      return c;
  }
  return NULL;
}

const verdict_line report_verdict[] = {
    {"seed_pathological", "footprint_bytes", "memory left after the drop"},
    {"seed_pathological", "rss_bytes", "RSS left after the drop"},
    {"seed_pathological", "peak_footprint_bytes", "peak memory before the drop"},
    {"churn", "pause_p99_ns", "pauses of `churn` (99th percentile)"},
    {"churn", "pause_max_ns", "the longest pause of `churn`"},
    {"churn", "op_max_ns", "the slowest operation of `churn`"},
    {"churn", "ops_per_s", "operations per second of `churn`"},
    {"alloc", "imm16_ns", "16-byte garbage"},
    {"alloc", "deref_ns", "dereferences"},
    {"bintrees", "timed_wall_ns", "time of `bintrees`"},
    {"service", "rss_bytes", "memory of the long-running `service`"},
    {"service", "timed_wall_ns", "time of `service`"},
};
const size_t report_verdict_count = sizeof report_verdict / sizeof *report_verdict;

// A difference below a few percent is within what layout and host noise do between builds.
const double report_threshold = 0.03;

int comparison_winner(const comparison *c, estimate ratio) {
  if (!ratio.n || (ratio.low <= 1 && ratio.high >= 1)) return 0;
  if (fabs(ratio.median - 1) < report_threshold) return 0;
  if (c->kind != COMPARE_BYTES && ratio.n < 2) return 0;
  const bool compact_less = ratio.high < 1;
  return compact_less != (c->kind == COMPARE_RATE) ? 1 : -1;
}
