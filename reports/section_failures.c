// SPDX-License-Identifier: MIT
// Every run that did not complete, and how to make the report again.
#include <string.h>

#include "reports/report_parts.h"

// Rows of a scenario that carry different checksums; a workload's answer may not depend on the heap.
static size_t checksum_rows(report *r, table *t) {
  static const char *const heads[] = {"scenario", "row", "checksum", "differs from"};
  size_t rows = 0;
  for (size_t i = 0; i < r->set.scenario_count; i++) {
    const scenario *s = &r->set.scenarios[i];
    const char *first = NULL;
    for (size_t g = 0; g < s->count; g++) {
      for (size_t j = 0; j < s->groups[g].count; j++) {
        const record *run = &s->groups[g].records[j];
        const char *sum = json_string_value(json_object_get(run->json, "checksum"));
        if (!record_ok(run) || !sum) continue;
        if (!first) first = sum;
        if (strcmp(first, sum) == 0 || run->seed != s->groups[0].records[0].seed) continue;
        if (rows++ == 0) *t = table_begin(&r->out, "llll", heads);
        table_cell(t, scenario_phrase(r, s));
        table_cell(t, run->label);
        table_cell(t, sum);
        table_cell(t, first);
      }
    }
  }
  if (rows) table_end(t);
  return rows;
}

static size_t failures(report *r) {
  static const char *const heads[] = {"scenario", "row", "status", "reason", "block"};
  table t = {0};
  size_t rows = 0;
  for (size_t i = 0; i < r->set.count; i++) {
    const record *run = &r->set.records[i];
    if (record_ok(run)) continue;
    if (rows++ == 0) t = table_begin(&r->out, "llllr", heads);
    const bool skipped = strcmp(run->status, "skipped") == 0;
    const char *reason = *run->reason ? run->reason : "not stated";
    table_cell(&t, *run->params ? arena_format(r->memory, "`%s` (%s)", run->workload, run->params)
                                : arena_format(r->memory, "`%s`", run->workload));
    table_cell(&t, run->label);
    table_cell(&t, run->status);
    table_cell(&t, skipped ? arena_format(r->memory, "n/a: %s", reason) : reason);
    table_cell(&t, arena_format(r->memory, "%lld", (long long)run->block));
  }
  if (rows) table_end(&t);
  return rows;
}

static void absent_rows(report *r) {
  text_add(&r->out, "Rows without any record: ");
  size_t absent = 0;
  for (size_t i = 0; i < report_row_count; i++) {
    bool found = false;
    for (size_t j = 0; j < r->set.count && !found; j++)
      found = strcmp(r->set.records[j].heap, report_rows[i].heap) == 0;
    if (found) continue;
    text_format(&r->out, "%s%s", absent ? ", " : "", report_rows[i].heap);
    absent++;
  }
  text_add(&r->out, absent ? " (not installed, not built, or not asked for).\n\n" : "none.\n\n");
}

void section_failures(report *r) {
  text_add(&r->out, "## Failures and exclusions\n\n");
  if (!failures(r)) text_add(&r->out, "Every run completed. ");
  text_add(&r->out, "No completed run was excluded.\n\n");
  table t = {0};
  if (checksum_rows(r, &t))
    text_add(&r->out, "**The checksums above disagree: these runs computed something else, and "
                      "their numbers must not be compared.**\n\n");
  absent_rows(r);
  text_add(&r->out,
           "## Reproduce\n\n"
           "```sh\n"
           "./heapduel report -o out/again                        # run the default comparison\n"
           "./heapduel report --records records.jsonl -o out/same # render these records again\n"
           "```\n\n"
           "Rendering is pure: the same records give the same bytes. The points of every figure "
           "are in `figures/*.csv`; `heapduel report` keeps the records "
           "beside its report as `records.jsonl`.\n");
}
