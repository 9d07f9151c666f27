// SPDX-License-Identifier: MIT
#include "harness/table.h"

#include <stdlib.h>
#include <string.h>

#include "allocators/base/bits.h"
#include "harness/cli.h"
#include "harness/job.h"

void table_row(text_table *table, const char *const *cells, size_t count) {
  if (table->rows == table->capacity) {
    table->capacity = table->capacity ? 2 * table->capacity : 16;
    table->cells = realloc(table->cells, table->capacity * sizeof *table->cells);
    if (!table->cells) {
      cli_error("out of memory");
      exit(EXIT_JOB_FAILED);
    }
  }
  for (size_t i = 0; i < TABLE_COLUMNS; i++)
    snprintf(table->cells[table->rows][i], TABLE_CELL_BYTES, "%s", i < count ? cells[i] : "");
  if (count > table->columns) table->columns = count;
  table->rows++;
}

// Characters of UTF-8 text: bytes that do not continue one.
static size_t table_width(const char *text) {
  size_t width = 0;
  for (; *text; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
  return width;
}

void table_print(FILE *out, const text_table *table) {
  size_t widths[TABLE_COLUMNS] = {0};
  for (size_t r = 0; r < table->rows; r++)
    for (size_t c = 0; c < table->columns; c++)
      widths[c] = hs_max_size(widths[c], table_width(table->cells[r][c]));
  for (size_t r = 0; r < table->rows; r++) {
    for (size_t c = 0; c < table->columns; c++) {
      const char *const cell = table->cells[r][c];
      const int padding = (int)(widths[c] - table_width(cell));
      if (c == 0)
        fprintf(out, "%s%*s", cell, padding, "");
      else
        fprintf(out, "  %*s%s", padding, "", cell);
    }
    fputc('\n', out);
  }
}

void table_free(text_table *table) {
  free(table->cells);
  *table = (text_table){.cells = NULL};
}

// ---- records ------------------------------------------------------------------------------------

// A metric as text, "-" when the record has none.
static void table_metric(const json_t *record, const char *name, bool is_time,
                         char out[TABLE_CELL_BYTES]) {
  const json_t *metric = json_object_get(json_object_get(record, "metrics"), name);
  char text[24];
  if (!json_is_number(metric))
    snprintf(out, TABLE_CELL_BYTES, "-");
  else
    snprintf(out, TABLE_CELL_BYTES, "%s",
             is_time ? cli_time(json_number_value(metric), text)
                     : cli_bytes(json_number_value(metric), text));
}

static void table_row_name(const json_t *record, char out[TABLE_CELL_BYTES]) {
  const char *variant = job_text(record, "variant");
  snprintf(out, TABLE_CELL_BYTES, "%s%s%s", job_text(record, "heap"), variant[0] ? " " : "",
           variant);
}

static const struct {
  const char *title, *metric;
  bool is_time;
} table_columns[] = {{"time", "timed_wall_ns", true},      {"per op", "ns_per_op", true},
                     {"op p99.99", "op_p9999_ns", true},   {"op max", "op_max_ns", true},
                     {"pause max", "pause_max_ns", true},  {"pauses", "pause_total_ns", true},
                     {"peak RSS", "peak_rss_bytes", false}};
enum { TABLE_METRICS = sizeof table_columns / sizeof table_columns[0] };

static bool table_any_has(const json_t *records, const char *name) {
  size_t index;
  json_t *record;
  json_array_foreach(records, index, record) {
    if (json_is_number(json_object_get(json_object_get(record, "metrics"), name))) return true;
  }
  return false;
}

// One line per record; columns that no record has are left out.
static void table_print_metrics(FILE *out, const json_t *records) {
  text_table table = {.columns = 0};
  char texts[2 + TABLE_METRICS][TABLE_CELL_BYTES] = {"heap", "status"};
  const char *cells[2 + TABLE_METRICS];
  size_t shown[TABLE_METRICS], count = 0;
  for (size_t i = 0; i < 2 + TABLE_METRICS; i++) cells[i] = texts[i];
  for (size_t i = 0; i < TABLE_METRICS; i++) {
    if (!table_any_has(records, table_columns[i].metric)) continue;
    snprintf(texts[2 + count], TABLE_CELL_BYTES, "%s", table_columns[i].title);
    shown[count++] = i;
  }
  table_row(&table, cells, 2 + count);
  size_t index;
  json_t *record;
  json_array_foreach(records, index, record) {
    table_row_name(record, texts[0]);
    snprintf(texts[1], TABLE_CELL_BYTES, "%s", job_text(record, "status"));
    for (size_t i = 0; i < count; i++)
      table_metric(record, table_columns[shown[i]].metric, table_columns[shown[i]].is_time,
                   texts[2 + i]);
    table_row(&table, cells, 2 + count);
  }
  table_print(out, &table);
  table_free(&table);
}

static json_t *table_find_stage(const json_t *record, const char *name) {
  size_t index;
  json_t *stage;
  json_array_foreach(json_object_get(record, "stages"), index, stage) {
    if (strcmp(job_text(stage, "name"), name) == 0) return stage;
  }
  return NULL;
}

// A number of a stage above the same number at the start.
static void table_stage_cell(const json_t *record, const char *stage_name, const char *key,
                             char out[TABLE_CELL_BYTES]) {
  const json_t *value = json_object_get(table_find_stage(record, stage_name), key);
  const json_t *start = json_object_get(json_object_get(record, "start"), key);
  char text[24];
  if (json_is_number(value))
    snprintf(out, TABLE_CELL_BYTES, "%s",
             cli_bytes(json_number_value(value) - json_number_value(start), text));
  else
    snprintf(out, TABLE_CELL_BYTES, "-");
}

// Whether a record is of block 0 and has the number at some stage: further blocks repeat the stages.
static bool table_has_stages(const json_t *record, const char *key) {
  size_t index;
  json_t *stage;
  if (json_integer_value(json_object_get(record, "block")) != 0) return false;
  json_array_foreach(json_object_get(record, "stages"), index, stage) {
    if (json_is_number(json_object_get(stage, key))) return true;
  }
  return false;
}

// The record with most stages: one that ended early has the first of them only.
static const json_t *table_longest(const json_t *records, const char *key) {
  const json_t *longest = NULL;
  size_t index, most = 0;
  json_t *record;
  json_array_foreach(records, index, record) {
    const size_t stages = json_array_size(json_object_get(record, "stages"));
    if (!table_has_stages(record, key) || stages <= most) continue;
    longest = record;
    most = stages;
  }
  return longest;
}

// One line per row, one column per stage.
static void table_print_stages(FILE *out, const json_t *records, const char *key,
                               const char *title) {
  const json_t *longest = table_longest(records, key);
  if (!longest) return;
  const json_t *stages = json_object_get(longest, "stages");
  size_t count = json_array_size(stages), index;
  if (count > TABLE_COLUMNS - 1) count = TABLE_COLUMNS - 1;
  text_table table = {.columns = 0};
  char texts[TABLE_COLUMNS][TABLE_CELL_BYTES] = {"stage"}, text[24];
  const char *cells[TABLE_COLUMNS];
  for (size_t i = 0; i < TABLE_COLUMNS; i++) cells[i] = texts[i];
  for (size_t i = 0; i < count; i++)
    snprintf(texts[1 + i], TABLE_CELL_BYTES, "%s", job_text(json_array_get(stages, i), "name"));
  table_row(&table, cells, 1 + count);
  snprintf(texts[0], TABLE_CELL_BYTES, "live objects");
  for (size_t i = 0; i < count; i++) {
    const json_t *live = json_object_get(json_array_get(stages, i), "live_bytes");
    snprintf(texts[1 + i], TABLE_CELL_BYTES, "%s", cli_bytes(json_number_value(live), text));
  }
  table_row(&table, cells, 1 + count);
  json_t *record;
  json_array_foreach(records, index, record) {
    if (!table_has_stages(record, key)) continue;
    table_row_name(record, texts[0]);
    for (size_t i = 0; i < count; i++)
      table_stage_cell(record, job_text(json_array_get(stages, i), "name"), key, texts[1 + i]);
    table_row(&table, cells, 1 + count);
  }
  fprintf(out, "\n%s\n", title);
  table_print(out, &table);
  table_free(&table);
}

void table_print_records(FILE *out, const json_t *records) {
  if (json_array_size(records) == 0) return;
  table_print_metrics(out, records);
  table_print_stages(out, records, "rss_bytes",
                     "RSS above what the process had before the workload, after a full collection");
  table_print_stages(out, records, "footprint_bytes",
                     "Footprint by the heap's own account, above its start");
  size_t index, noted = 0;
  json_t *record;
  json_array_foreach(records, index, record) {
    const char *reason = job_text(record, "reason");
    if (reason[0])
      fprintf(out, "%s%s: %s, %s\n", noted++ ? "" : "\n", job_text(record, "heap"),
              job_text(record, "status"), reason);
  }
}
