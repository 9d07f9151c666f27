// SPDX-License-Identifier: MIT
// What a heap holds for each byte that is live: caches, sizes that shift, pins, and adversaries
// beside the bounds of theory.
#include <string.h>

#include "reports/metric_table.h"

// ---- raw and after a release --------------------------------------------------------------------

typedef struct phase {
  const char *head, *metric; // metric ends in "rss_ratio"
} phase;

typedef struct density {
  const char *workload;
  const char *words; // what the table shows
  const phase *phases;
  size_t count;
} density;

static const phase sizeshift_phases[] = {
    {"before, raw", "before_raw_rss_ratio"},   {"released", "before_rss_ratio"},
    {"deleted, raw", "deleted_raw_rss_ratio"}, {"released", "deleted_rss_ratio"},
    {"after, raw", "after_raw_rss_ratio"},     {"released", "after_rss_ratio"},
    {"mean before", "before_mean_rss_ratio"},  {"mean after", "after_mean_rss_ratio"}};
static const phase lru_phases[] = {
    {"64-256 B, raw", "small_raw_rss_ratio"},   {"released", "small_rss_ratio"},
    {"512-1024 B, raw", "large_raw_rss_ratio"}, {"released", "large_rss_ratio"},
    {"16-64 B, raw", "tiny_raw_rss_ratio"},     {"released", "tiny_rss_ratio"}};
static const phase redis_phases[] = {{"small values, raw", "small_raw_rss_ratio"},
                                     {"large values, raw", "large_raw_rss_ratio"},
                                     {"after idle time, raw", "idle_raw_rss_ratio"},
                                     {"released", "end_rss_ratio"},
                                     {"mean of the run", "run_mean_rss_ratio"}};
static const phase pins_phases[] = {{"built, raw", "built_raw_rss_ratio"},
                                    {"pinned, raw", "pinned_raw_rss_ratio"},
                                    {"pinned, released", "pinned_rss_ratio"},
                                    {"unpinned, raw", "unpinned_raw_rss_ratio"},
                                    {"unpinned, released", "unpinned_rss_ratio"},
                                    {"pins", "pinned_count"},
                                    {"refused", "refused_pins_count"}};

#define PHASES(list) list, sizeof list / sizeof *list
static const density densities[] = {
    {"sizeshift",
     "Objects change their sizes under a cap on what is live, and between most of them are "
     "deleted. "
     "A heap that cannot move objects keeps the holes of the old sizes.",
     PHASES(sizeshift_phases)},
    {"lru_cache",
     "A cache stays full while the sizes of its values change twice. Every phase replaces all "
     "entries: what is still high at its end are holes of the sizes before, and garbage.",
     PHASES(lru_phases)},
    {"redis_frag",
     "Values double in size under a cap, then the program does nothing for a while. Only the last "
     "stage asks the heap for anything: whatever falls before it, the heap did by itself.",
     PHASES(redis_phases)},
    {"pins",
     "Most objects die, and some of the rest are pinned: they may not move until they are "
     "unpinned. Heaps that never move an object pin at no price: what they give back does not "
     "depend on it.",
     PHASES(pins_phases)},
};
#undef PHASES

// The columns of a table, for the RSS or, where the heap can tell, its footprint.
static size_t density_columns(report *r, const density *d, bool footprint, metric_column *columns) {
  static const char suffix[] = "rss_ratio";
  size_t count = 0;
  for (size_t p = 0; p < d->count; p++) {
    const char *metric = d->phases[p].metric, *at = strstr(metric, suffix);
    if (footprint && !at) continue;
    if (footprint)
      metric = arena_format(r->memory, "%.*sfootprint_ratio", (int)(at - metric), metric);
    columns[count++] = (metric_column){d->phases[p].head, {NULL, metric, NULL}, NULL};
  }
  return count;
}

// The row that holds least in a column; NULL when nobody measured it.
static const group *least_of(report *r, const scenario *s, measure what, estimate *least) {
  const group *best = NULL;
  for (size_t i = 0; i < s->count; i++) {
    const estimate e = measure_estimate(r->memory, &s->groups[i], what);
    if (!e.n || (best && e.median >= least->median)) continue;
    best = &s->groups[i];
    *least = e;
  }
  return best;
}

// Where both heaps under study hold more than somebody else, in words.
static void density_losses(report *r, const scenario *s, const metric_column *columns,
                           size_t count) {
  size_t lost = 0;
  for (size_t c = 0; c < count; c++) {
    estimate least = {0};
    if (show_by_unit(columns[c].what.key) != show_ratio) continue; // a count of pins is no loss
    const group *best = least_of(r, s, columns[c].what, &least);
    if (!best || group_row(best)->ours) continue;
    text_add(&r->out, lost++ ? "; " : "Somebody else holds less than both of our heaps: ");
    text_format(&r->out, "%s (column %zu, %s)", group_label(best), c + 1,
                show_median(r->memory, least, show_ratio));
  }
  if (lost) text_add(&r->out, ".\n\n");
}

static void density_of(report *r, const density *d) {
  const scenario *s;
  text_format(&r->out, "### Memory for each live byte in `%s`\n\n%s\n\n", d->workload, d->words);
  size_t shown = 0;
  for (size_t n = 0; (s = scenario_of(&r->set, d->workload, n)); n++) {
    metric_column columns[METRIC_COLUMNS];
    text_format(&r->out, "%s\n\n", scenario_phrase(r, s));
    const size_t count = density_columns(r, d, false, columns);
    shown += metric_table(r, s, columns, count, NULL);
    density_losses(r, s, columns, count);
    const size_t before = r->out.length;
    text_add(&r->out, "<details><summary>The same of the footprint, where a heap can tell"
                      "</summary>\n\n");
    const size_t footprints = density_columns(r, d, true, columns);
    if (metric_table(r, s, columns, footprints, NULL))
      text_add(&r->out, "</details>\n\n");
    else
      text_cut(&r->out, before);
  }
  if (!shown) report_missing(r, arena_format(r->memory, "no completed run of `%s`", d->workload));
}

// ---- adversaries --------------------------------------------------------------------------------

typedef struct adversary_kind {
  const char *kind, *words;
} adversary_kind;

static const adversary_kind adversary_kinds[] = {
    {"robson",
     "Robson's program looks at addresses and keeps only objects in the way of the next size. "
     "*Bound* is the address space that no heap can do without if it never moves an object; one "
     "that moves them, or gives the pages of its holes back, may stay below it."},
    {"staircase",
     "One object of each span of Go's size classes stays while the sizes double. *Bound* is what "
     "spans kept by single objects add up to, by formula."},
};

// Sizes at which the program was measured: powers of two within these.
enum { SIZE_LEAST = 16, SIZE_MOST = 32768, SIZES_MOST = 12 };

static const char *size_metric(report *r, unsigned size, const char *what) {
  return arena_format(r->memory, "size_%05u_%s", size, what);
}

// The bound is arithmetic: the same in every row.
static const group *first_completed(const scenario *s) {
  for (size_t i = 0; i < s->count; i++)
    if (s->groups[i].ok_count) return &s->groups[i];
  return NULL;
}

static chart_series size_series(report *r, const group *g, const char *what, const char *label,
                                const report_row *row) {
  double *x = arena_alloc(r->memory, SIZES_MOST * sizeof *x);
  double *y = arena_alloc(r->memory, SIZES_MOST * sizeof *y);
  chart_series line = {label, row, SERIES_LINE_POINTS, 0, x, y};
  for (unsigned size = SIZE_LEAST; size <= SIZE_MOST; size *= 2) {
    const estimate e =
        measure_estimate(r->memory, g, (measure){NULL, size_metric(r, size, what), NULL});
    if (!e.n) continue;
    x[line.count] = size;
    y[line.count++] = e.median;
  }
  return line;
}

static void adversary_figure(report *r, const scenario *s, const char *kind) {
  chart_series *lines = arena_alloc(r->memory, (s->count + 1) * sizeof *lines);
  size_t count = 0;
  // The bound has no heap: it is drawn like the other closed form.
  lines[count++] =
      size_series(r, first_completed(s), "bound_ratio", "bound", report_row_find("model"));
  for (size_t i = 0; i < s->count; i++) {
    const group *g = &s->groups[i];
    if (group_is_plain(g))
      lines[count++] = size_series(r, g, "rss_ratio", group_label(g), group_row(g));
  }
  const char *title = arena_format(r->memory, "Memory for each live byte: %s", kind);
  const chart_panel panel = {title,
                             {"sizes up to, bytes", AXIS_LOG2},
                             {"RSS above start for each live byte", AXIS_LINEAR},
                             lines,
                             count};
  const chart c = {arena_format(r->memory, "adversary_%s", kind), title, &panel, 1, false, false};
  report_chart(r, &c,
               "Line chart of RSS for each live byte over the sizes allocated so far, one line per "
               "heap, and the bound. The table below holds the end of every line.");
}

static void adversary_of(report *r, const scenario *s, const char *words) {
  static const metric_column columns[] = {
      {"bound at the end", {NULL, "end_bound_ratio", NULL}, NULL},
      {"RSS at the end", {NULL, "end_rss_ratio", NULL}, NULL},
      {"footprint at the end", {NULL, "end_footprint_ratio", NULL}, NULL},
      {"RSS, mean over sizes", {NULL, "steps_mean_rss_ratio", NULL}, NULL},
      {"footprint, mean over sizes", {NULL, "steps_mean_footprint_ratio", NULL}, NULL},
      {"largest RSS", {NULL, "steps_peak_rss_bytes", NULL}, NULL}};
  text_format(&r->out, "%s\n\n%s\n\n", words, scenario_phrase(r, s));
  if (first_completed(s)) adversary_figure(r, s, scenario_choice(s, "kind"));
  if (!metric_table(r, s, columns, sizeof columns / sizeof *columns, NULL))
    report_missing(r, "no run of this adversary completed");
}

static void adversaries(report *r) {
  text_add(&r->out, "### Adversaries beside the bounds\n\n");
  const scenario *s;
  size_t shown = 0;
  for (size_t n = 0; (s = scenario_of(&r->set, "adversary", n)); n++)
    for (size_t k = 0; k < sizeof adversary_kinds / sizeof *adversary_kinds; k++) {
      const char *kind = scenario_choice(s, "kind");
      if (!kind || strcmp(kind, adversary_kinds[k].kind) != 0) continue;
      adversary_of(r, s, adversary_kinds[k].words);
      shown++;
    }
  if (!shown) report_missing(r, "no record of `adversary`");
}

void section_density(report *r) {
  text_add(
      &r->out,
      "## What a heap holds for each live byte\n\nRSS above the process's start, divided by "
      "the bytes that the program can reach: 1.00× is a heap without waste. *Raw* is as things "
      "are at that moment, garbage included; *released* is after a full collection that gave "
      "everything free back. A collector is expected to hold more in the raw columns.\n\n");
  for (size_t i = 0; i < sizeof densities / sizeof *densities; i++) density_of(r, &densities[i]);
  adversaries(r);
}
