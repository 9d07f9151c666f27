// SPDX-License-Identifier: MIT
// Whole processes, start and exit included, as hyperfine timed them: from records that carry its
// export, and from a file times.json (hyperfine --export-json) beside the records.
#include <math.h>
#include <string.h>

#include "reports/files.h"
#include "reports/report_parts.h"

static const double second_ns = 1e9;

static sample times_sample(report *r, const json_t *times, double scale) {
  const size_t count = json_array_size(times);
  sample s = {0, arena_alloc(r->memory, count * sizeof(double)),
              arena_alloc(r->memory, count * sizeof(int64_t))};
  size_t i;
  const json_t *value;
  json_array_foreach(times, i, value) {
    if (json_is_number(value)) s.value[s.count++] = json_number_value(value) * scale;
  }
  return s;
}

static void times_row(report *r, table *t, const char *name, const sample *s, run_counts *counts) {
  const estimate e = sample_estimate(r->memory, s);
  if (!e.n) return;
  run_counts_add(counts, e.n);
  double least = INFINITY, most = -INFINITY;
  for (size_t i = 0; i < s->count; i++) {
    least = fmin(least, s->value[i]);
    most = fmax(most, s->value[i]);
  }
  table_cell(t, name);
  table_cell(t, show_estimate(r->memory, e, show_ns));
  table_cell(t, show_ns(r->memory, least));
  table_cell(t, show_ns(r->memory, most));
  table_cell(t, arena_format(r->memory, "%zu", e.n));
}

static const char *const heads[] = {"row", "median", "fastest", "slowest", "n"};

// The parameters of the timed program; the record of its process adds the program's name to them.
static const char *params_without_workload(report *r, const scenario *s) {
  const char *params = scenario_params(s), *name = strstr(params, "workload=");
  if (!name) return params;
  const char *rest = name + strcspn(name, " ");
  const size_t before = (size_t)(name - params);
  if (!before) return *rest ? rest + 1 : rest;
  return arena_format(r->memory, "%.*s%s", (int)before - 1, params, rest);
}

static size_t times_of_records(report *r) {
  const scenario *s;
  size_t tables = 0;
  for (size_t n = 0; (s = scenario_of(&r->set, "process_time", n)); n++) {
    const char *workload = scenario_choice(s, "workload");
    text_format(&r->out, "**Processes of `%s`** (%s)\n\n", workload ? workload : "unknown",
                params_without_workload(r, s));
    table t = table_begin(&r->out, "lrrrr", heads);
    run_counts counts = {0};
    for (size_t i = 0; i < s->count; i++)
      for (size_t j = 0; j < s->groups[i].count; j++) {
        const record *run = &s->groups[i].records[j];
        if (!record_ok(run)) continue;
        const sample times = times_sample(r, json_object_get(run->json, "times_ns"), 1);
        times_row(r, &t, run->label, &times, &counts);
      }
    table_end(&t);
    report_caption(r, counts);
    tables++;
  }
  return tables;
}

// hyperfine 1.15..1.19 writes { "results": [ { "command", "times": [s, ...], ... } ] }.
static size_t times_of_file(report *r) {
  const char *path = arena_format(r->memory, "%s/times.json", r->records_folder);
  text raw = {0};
  if (!file_read(path, &raw)) {
    text_free(&raw);
    return 0;
  }
  json_t *export = json_loadb(raw.bytes ? raw.bytes : "", raw.length, 0, NULL);
  text_free(&raw);
  const json_t *results = json_object_get(export, "results");
  if (!json_is_array(results)) {
    text_add(&r->out, "*The file times.json beside the records is not an export of hyperfine and "
                      "was left out.*\n\n");
    json_decref(export);
    return 1;
  }
  text_add(&r->out, "**From times.json**\n\n");
  table t = table_begin(&r->out, "lrrrr", heads);
  run_counts counts = {0};
  size_t i;
  const json_t *result;
  json_array_foreach(results, i, result) {
    const char *command = json_string_value(json_object_get(result, "command"));
    const sample times = times_sample(r, json_object_get(result, "times"), second_ns);
    times_row(r, &t, arena_format(r->memory, "`%s`", command ? command : "?"), &times, &counts);
  }
  table_end(&t);
  report_caption(r, counts);
  json_decref(export);
  return 1;
}

void section_times(report *r) {
  text_add(&r->out, "## Whole processes\n\nWall time from start to exit of the process, measured "
                    "from outside by hyperfine.\n\n");
  const size_t tables = times_of_records(r) + times_of_file(r);
  if (!tables) report_missing(r, "no whole-process times (hyperfine was not run)");
}
