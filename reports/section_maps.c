// SPDX-License-Identifier: MIT
// Page occupancy of both heaps before and after the drop of the seed's Example 3.
#include "reports/figure.h"
#include "reports/report_parts.h"

// The first ok run of a heap on Example 3 whose map has both stages.
static const record *mapped_run(const report *r, const char *heap) {
  const scenario *s;
  for (size_t n = 0; (s = scenario_of(&r->set, "seed_pathological", n)); n++) {
    const group *g = scenario_group(s, heap, "");
    for (size_t i = 0; g && i < g->count; i++) {
      const json_t *map = json_object_get(g->records[i].json, "map");
      if (json_object_get(map, "2") && json_object_get(map, "3")) return &g->records[i];
    }
  }
  return NULL;
}

typedef struct occupancy {
  size_t resident, occupied;
  double live, bytes;
} occupancy;

static occupancy occupancy_of(const json_t *pages) {
  enum { RESIDENT = 1, METADATA = 2 }; // flags of harness/record.md
  occupancy o = {0};
  size_t i;
  const json_t *page;
  json_array_foreach(pages, i, page) {
    const json_int_t flags = json_integer_value(json_array_get(page, 2));
    if (!(flags & RESIDENT) || (flags & METADATA)) continue;
    o.resident++;
    o.occupied += json_number_value(json_array_get(page, 0)) > 0;
    o.live += json_number_value(json_array_get(page, 0));
    o.bytes += json_number_value(json_array_get(page, 1));
  }
  return o;
}

static void occupancy_table(report *r, const page_map *panels, size_t count) {
  static const char *const heads[] = {
      "heap",           "stage", "page, KiB",    "resident object pages",
      "with an object", "MiB",   "of it objects"};
  table t = table_begin(&r->out, "lrrrrrr", heads);
  for (size_t i = 0; i < count; i++) {
    const occupancy o =
        occupancy_of(json_object_get(json_object_get(panels[i].record, "map"), panels[i].stage));
    table_cell(&t, json_string_value(json_object_get(panels[i].record, "heap")));
    table_cell(&t, arena_format(r->memory, "(%s)", panels[i].stage));
    table_cell(&t, o.resident ? arena_format(r->memory, "%.4g", o.bytes / (double)o.resident / 1024)
                              : NULL);
    table_cell(&t, show_integer(r->memory, (double)o.resident));
    table_cell(&t, show_integer(r->memory, (double)o.occupied));
    table_cell(&t, show_mib(r->memory, o.bytes));
    table_cell(&t, o.bytes > 0 ? show_percent(r->memory, o.live / o.bytes) : NULL);
  }
  table_end(&t);
}

// "512", or "step" when the record does not say.
static const char *show_step(report *r, const json_t *run) {
  const json_t *step = json_object_get(json_object_get(run, "params"), "step");
  return json_is_number(step) ? show_integer(r->memory, json_number_value(step)) : "step";
}

void section_maps(report *r) {
  static const char *const heaps[] = {"nonmoving", "compact"};
  text_add(&r->out, "### Pages before and after\n\n");
  page_map panels[4];
  size_t count = 0;
  for (size_t h = 0; h < 2; h++) {
    const record *run = mapped_run(r, heaps[h]);
    if (!run) continue;
    panels[count++] = (page_map){
        run->json, "2", arena_format(r->memory, "%s, Example 3 (2): everything is kept", heaps[h])};
    panels[count++] =
        (page_map){run->json, "3",
                   arena_format(r->memory, "%s, Example 3 (3): every %s-th object is kept",
                                heaps[h], show_step(r, run->json))};
  }
  if (!count) {
    report_missing(r, "no record of `seed_pathological` was made with `--map`");
    return;
  }
  const char *path = arena_format(r->memory, "%s/page_maps.svg", r->figures.folder);
  if (page_map_write(panels, count, 2, path, r->figures.error, r->figures.error_bytes) !=
      REPORT_OK) {
    r->failed = true;
    return;
  }
  text_add(&r->out, "![Page occupancy maps of both heaps at stages (2) and (3) of Example 3; "
                    "the table below counts the same pages.](figures/page_maps.svg)\n\n");
  occupancy_table(r, panels, count);
  text_add(&r->out,
           "The map shows the pages that a heap hands out, and those of its tables that lie "
           "among them (the handle table of compact). All metadata is counted in \"Point "
           "(3) in full\" above.\n\n");
}
