// SPDX-License-Identifier: MIT
// The seed's Examples 1-3 and its remedy: published, model, real Go, and every heap, stage by stage.
#include <math.h>
#include <string.h>

#include "reports/published.h"
#include "reports/report_parts.h"

enum { STAGE_LIMIT = 16 };
static const double mib = 1024.0 * 1024.0;

typedef struct example {
  const char *workload, *heading, *story;
} example;

static const example examples[] = {
    {"seed_array", "Example 1: an array of values",
     "(1) nothing yet, (2) one array is allocated, (3) only a pointer into it is kept, (4) nothing "
     "is kept."},
    {"seed_pointers", "Example 2: an array of pointers",
     "(1) nothing yet, (2) every object allocated by itself, with an array of pointers, (3) one "
     "object is kept."},
    {"seed_pathological", "Example 3: the pathological case",
     "(1) nothing yet, (2) objects and their array of pointers, (3) every `step`-th object is "
     "kept, "
     "(4) as many bytes again in objects of another size."},
    {"seed_copy", "The remedy: survivors copied by the program",
     "(1) to (3) as in Example 3, (4) every survivor was reallocated and copied by the program "
     "itself."},
};

typedef struct quantity {
  const char *key, *baseline, *heading;
  bool published_usage, published_fragmentation;
} quantity;

static const quantity quantities[] = {
    {"heap_usage_bytes", "1", "heap_usage above stage (1), MiB", true, false},
    {"max_fragmentation_bytes", "1", "max_fragmentation above stage (1), MiB", false, true},
    {"rss_bytes", "start", "process RSS above its start, MiB", false, false},
};

// ---- columns ------------------------------------------------------------------------------------

// Truth first, then the heaps in table order.
static size_t column_heaps(const report *r, const scenario *s, const char **heaps) {
  size_t count = 0;
  static const char *const truth[] = {"model", "go"};
  for (size_t i = 0; i < 2; i++)
    if (report_group(r, s, truth[i], "")) heaps[count++] = truth[i];
  for (size_t i = 0; i < report_row_count; i++) {
    const char *heap = report_rows[i].heap;
    if (strcmp(heap, "model") != 0 && strcmp(heap, "go") != 0 && scenario_group(s, heap, ""))
      heaps[count++] = heap;
  }
  return count;
}

// Stage names in the order of the first complete run that has any.
static size_t scenario_stages(const scenario *s, const char **names) {
  size_t count = 0;
  for (size_t g = 0; g < s->count && !count; g++) {
    for (size_t i = 0; i < s->groups[g].count && !count; i++) {
      const record *run = &s->groups[g].records[i];
      size_t j;
      const json_t *stage;
      if (!record_ok(run)) continue;
      json_array_foreach(json_object_get(run->json, "stages"), j, stage) {
        if (count < STAGE_LIMIT) names[count++] = json_string_value(json_object_get(stage, "name"));
      }
    }
  }
  return count;
}

static double published_value(const example *e, const quantity *q, const char *stage) {
  const published_stage *at = published_stage_find(e->workload, stage);
  const published_stage *base = published_stage_find(e->workload, "1");
  if (!at || !base) return NAN;
  if (q->published_usage) return at->usage_mib - base->usage_mib;
  if (q->published_fragmentation) return at->fragmentation_mib - base->fragmentation_mib;
  return NAN;
}

// ---- one table ----------------------------------------------------------------------------------

static void quantity_table(report *r, const example *e, const scenario *s, const quantity *q) {
  const char *heaps[16], *stages[STAGE_LIMIT];
  const size_t heap_count = column_heaps(r, s, heaps), stage_count = scenario_stages(s, stages);
  const char *heads[18], *shown[16];
  char align[20] = "l";
  size_t columns = 0, shown_count = 0;
  heads[columns++] = "stage";
  const bool published = !isnan(published_value(e, q, "3"));
  if (published) heads[columns++] = "published";
  for (size_t h = 0; h < heap_count; h++) {
    bool any = false;
    for (size_t i = 0; i < stage_count; i++)
      any |= measure_estimate(r->memory, report_group(r, s, heaps[h], ""),
                              (measure){stages[i], q->key, q->baseline})
                 .n > 0;
    if (any) heads[columns++] = shown[shown_count++] = heaps[h];
  }
  if (!shown_count) return;
  memset(align + 1, 'r', columns - 1);
  align[columns] = 0;
  text_format(&r->out, "**%s**\n\n", q->heading);
  table t = table_begin(&r->out, align, heads);
  run_counts counts = {0};
  for (size_t i = 0; i < stage_count; i++) {
    table_cell(&t, arena_format(r->memory, "(%s)", stages[i]));
    const double known = published_value(e, q, stages[i]);
    if (published) table_cell(&t, isnan(known) ? NULL : show_mib(r->memory, known * mib));
    for (size_t h = 0; h < shown_count; h++) {
      const group *g = report_group(r, s, shown[h], "");
      const estimate value =
          measure_estimate(r->memory, g, (measure){stages[i], q->key, q->baseline});
      if (strcmp(shown[h], "model") != 0) run_counts_add(&counts, value.n);
      table_cell(&t, show_estimate(r->memory, value, show_mib));
    }
  }
  table_end(&t);
  if (counts.most > 1) report_caption(r, counts); // the section says that one run is the rule
}

// ---- agreement with model and Go ----------------------------------------------------------------

typedef struct disagreement {
  size_t pairs;
  double worst_bytes;
} disagreement;

static void disagreement_add(report *r, disagreement *d, const scenario *s, const char *truth,
                             const char *key, const char *baseline) {
  const char *stages[STAGE_LIMIT];
  const size_t count = scenario_stages(s, stages);
  for (size_t i = 0; i < count; i++) {
    const measure what = {stages[i], key, baseline};
    const estimate ours = measure_estimate(r->memory, report_group(r, s, "nonmoving", ""), what);
    const estimate known = measure_estimate(r->memory, report_group(r, s, truth, ""), what);
    if (!ours.n || !known.n || strcmp(stages[i], baseline) == 0) continue;
    d->pairs++;
    d->worst_bytes = fmax(d->worst_bytes, fabs(ours.median - known.median));
  }
}

static void agreement(report *r, const char *truth, const char *name) {
  disagreement usage = {0}, fragmentation = {0};
  for (size_t i = 0; i < r->set.scenario_count; i++) {
    const scenario *s = &r->set.scenarios[i];
    if (strncmp(scenario_workload(s), "seed_", 5) != 0) continue;
    const char *baseline = strcmp(scenario_workload(s), "seed_step") == 0 ? "baseline" : "1";
    disagreement_add(r, &usage, s, truth, "heap_usage_bytes", baseline);
    disagreement_add(r, &fragmentation, s, truth, "max_fragmentation_bytes", baseline);
  }
  if (!usage.pairs) {
    report_missing(r,
                   arena_format(r->memory, "agreement of nonmoving with %s (no such row)", name));
    return;
  }
  text_format(&r->out,
              "Agreement of `nonmoving` with %s, over all stages above the baseline and all steps: "
              "largest difference %s MiB in heap_usage (%zu pairs)",
              name, show_mib(r->memory, usage.worst_bytes), usage.pairs);
  if (fragmentation.pairs)
    text_format(&r->out, ", %s MiB in max_fragmentation (%zu pairs)",
                show_mib(r->memory, fragmentation.worst_bytes), fragmentation.pairs);
  text_add(&r->out, ".\n\n");
}

// ---- point (3) in full --------------------------------------------------------------------------

static void point_three(report *r, const scenario *s) {
  static const char *const heads[] = {"row",       "heap_usage",  "max_fragmentation", "metadata",
                                      "footprint", "peak so far", "RSS above start"};
  static const measure columns[] = {
      {"3", "heap_usage_bytes", "1"},      {"3", "max_fragmentation_bytes", "1"},
      {"3", "metadata_bytes", NULL},       {"3", "footprint_bytes", "1"},
      {"3", "peak_footprint_bytes", NULL}, {"3", "rss_bytes", "start"}};
  text_add(&r->out,
           "<details><summary>Point (3) in full, every row and variant, MiB</summary>\n\n");
  table t = table_begin(&r->out, "lrrrrrr", heads);
  run_counts counts = {0};
  for (size_t i = 0; i < s->count; i++) {
    const group *g = &s->groups[i];
    if (!g->ok_count) continue;
    table_cell(&t, group_label(g));
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
      const estimate e = measure_estimate(r->memory, g, columns[c]);
      run_counts_add(&counts, e.n);
      table_cell(&t, show_estimate(r->memory, e, show_mib));
    }
  }
  table_end(&t);
  text_add(&r->out, "heap_usage, max_fragmentation and footprint are above stage (1); metadata and "
                    "the peak are absolute.\n\n");
  report_caption(r, counts);
  text_add(&r->out, "</details>\n\n");
}

void section_seed(report *r) {
  text_add(&r->out,
           "## The seed's programs\n\nFrom *Memory Fragmentation in Go* (2023). \"published\" is "
           "what the article printed for go1.21.3, \"model\" is arithmetic for Go's layout, \"go\" "
           "is the Go runtime of this machine. Columns without a value are left out: a malloc does "
           "not know its heap_usage, so RSS is the quantity that every row has. Where no caption "
           "says otherwise a "
           "cell is one run: these byte counts are deterministic.\n\n");
  bool any = false;
  for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
    const example *e = &examples[i];
    const scenario *s = scenario_main(&r->set, e->workload);
    text_format(&r->out, "### %s\n\n", e->heading);
    if (!s) {
      report_missing(r, arena_format(r->memory, "no record of `%s`", e->workload));
      continue;
    }
    any = true;
    text_format(&r->out, "%s: %s\n\n", scenario_phrase(r, s), e->story);
    for (size_t q = 0; q < sizeof quantities / sizeof *quantities; q++)
      quantity_table(r, e, s, &quantities[q]);
    if (strcmp(e->workload, "seed_pathological") == 0) point_three(r, s);
  }
  if (!any) return;
  text_add(&r->out, "### Agreement\n\n");
  agreement(r, "model", "the closed form");
  agreement(r, "go", "real Go");
}
