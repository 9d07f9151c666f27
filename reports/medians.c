// SPDX-License-Identifier: MIT
// Several runs of each row as one table for a terminal.
#include <string.h>

#include "harness/job.h"
#include "harness/table.h"
#include "reports/number.h"
#include "reports/report.h"

enum { ROWS_MAX = (TABLE_COLUMNS - 1) / 2 }; // a column of medians and one of ratios each

typedef struct medians {
  arena memory;
  const json_t *records;
  const char *rows[ROWS_MAX]; // names of heaps, in order; all runs of a call have one variant
  size_t row_count;
  text_table table;
} medians;

static bool is_good(const json_t *run) { return strcmp(job_text(run, "status"), "ok") == 0; }

// False: no heap was run twice.
static bool find_rows(medians *m) {
  size_t index, count = 0, most = 0;
  json_t *run;
  json_array_foreach(m->records, index, run) {
    if (!is_good(run)) continue;
    const char *const heap = job_text(run, "heap");
    if (m->row_count == 0 || strcmp(m->rows[m->row_count - 1], heap) != 0) {
      if (m->row_count == ROWS_MAX) break;
      m->rows[m->row_count++] = heap;
      count = 0;
    }
    if (++count > most) most = count;
  }
  return most > 1;
}

// A metric, or with `kind` the longest delay of that kind.
static const json_t *value_of(const json_t *run, const char *name, const char *kind) {
  const json_t *const from = kind ? json_object_get(json_object_get(run, "phases"), kind)
                                  : json_object_get(run, "metrics");
  return json_object_get(from, name);
}

static sample values_of(medians *m, const char *row, const char *name, const char *kind) {
  const size_t most = json_array_size(m->records);
  sample s = {.value = arena_alloc(&m->memory, most * sizeof(double)),
              .block = arena_alloc(&m->memory, most * sizeof(int64_t))};
  size_t index;
  json_t *run;
  json_array_foreach(m->records, index, run) {
    const json_t *const value = value_of(run, name, kind);
    if (strcmp(job_text(run, "heap"), row) != 0 || !is_good(run) || !json_is_number(value))
      continue;
    s.block[s.count] = json_integer_value(json_object_get(run, "block"));
    s.value[s.count++] = json_number_value(value);
  }
  return s;
}

static void add_line(medians *m, const char *title, const char *name, const char *kind) {
  const char *cells[TABLE_COLUMNS] = {title};
  size_t count = 1;
  sample first = {0};
  for (size_t i = 0; i < m->row_count; i++) {
    const sample s = values_of(m, m->rows[i], name, kind);
    const char *const shown =
        show_estimate(&m->memory, sample_estimate(&m->memory, &s), show_by_unit(name));
    cells[count++] = shown ? shown : "-";
    if (i == 0) {
      first = s;
      continue;
    }
    const sample ratio = sample_ratio(&m->memory, &s, &first);
    const char *const times =
        show_median(&m->memory, sample_estimate(&m->memory, &ratio), show_ratio);
    cells[count++] = times ? times : "";
  }
  table_row(&m->table, cells, count);
}

static void add_heading(medians *m) {
  const char *cells[TABLE_COLUMNS] = {"median [range]"};
  size_t count = 1;
  for (size_t i = 0; i < m->row_count; i++) {
    cells[count++] = m->rows[i];
    if (i > 0) cells[count++] = "";
  }
  table_row(&m->table, cells, count);
}

// The names that any record has in an object, each once and in the order of their first appearance.
static json_t *names_in(const json_t *records, const char *object) {
  json_t *const names = json_object();
  size_t index;
  json_t *run, *value;
  const char *name;
  json_array_foreach(records, index, run) {
    json_object_foreach(json_object_get(run, object), name, value)
        json_object_set_new(names, name, json_true());
  }
  return names;
}

static void add_lines(medians *m) {
  const char *name;
  json_t *value;
  json_t *const metrics = names_in(m->records, "metrics"), *const kinds =
                                                               names_in(m->records, "phases");
  json_object_foreach(metrics, name, value) add_line(m, name, name, NULL);
  json_object_foreach(kinds, name, value) {
    char title[TABLE_CELL_BYTES];
    snprintf(title, sizeof title, "longest %s", name);
    add_line(m, title, "max_ns", name);
  }
  json_decref(metrics);
  json_decref(kinds);
}

void report_medians(const json_t *records, FILE *out) {
  medians m = {.records = records};
  if (find_rows(&m)) {
    add_heading(&m);
    add_lines(&m);
    fputc('\n', out);
    table_print(out, &m.table);
    if (m.row_count > 1)
      fprintf(out, "A number followed by \303\227 is the ratio to %s, the median of the blocks.\n",
              m.rows[0]);
  }
  table_free(&m.table);
  arena_free(&m.memory);
}
