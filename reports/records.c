// SPDX-License-Identifier: MIT
#include "reports/records.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/base/assert.h"
#include "reports/rows.h"

// The version of harness/record.md that this reader understands.
enum { RECORD_SCHEMA = 1 };

// What the reader needs to say where it stands.
typedef struct reader {
  record_set *set;
  const char *path;
  size_t line, capacity;
  char *error;
  size_t error_bytes;
} reader;

static bool reader_fail(reader *in, const char *format, const char *detail) {
  int used = snprintf(in->error, in->error_bytes, "%s:%zu: ", in->path, in->line);
  if (used < 0 || (size_t)used >= in->error_bytes) return false;
  char *rest = in->error + used;
  const size_t room = in->error_bytes - (size_t)used;
  char what[256];
  snprintf(what, sizeof what, format, detail);
  snprintf(rest, room, "%s; repair or remove this line", what);
  for (char *c = in->error; *c; c++)
    if (*c == '\n') *c = ' ';
  return false;
}

// ---- one record ---------------------------------------------------------------------------------

static const char *const record_statuses[] = {"ok",  "crashed", "timeout",
                                              "oom", "invalid", "skipped"};

static bool status_known(const char *status) {
  for (size_t i = 0; i < sizeof record_statuses / sizeof *record_statuses; i++)
    if (strcmp(record_statuses[i], status) == 0) return true;
  return false;
}

// Keys that must have a JSON type wherever they appear.
static bool record_types_check(reader *in, const json_t *json) {
  static const struct {
    const char *key;
    json_type type;
  } typed[] = {
      {"params", JSON_OBJECT},       {"config", JSON_OBJECT},
      {"start", JSON_OBJECT},        {"stages", JSON_ARRAY},
      {"metrics", JSON_OBJECT},      {"latency", JSON_ARRAY},
      {"pauses", JSON_OBJECT},       {"mmu", JSON_ARRAY},
      {"phases", JSON_OBJECT},       {"series", JSON_ARRAY},
      {"map", JSON_OBJECT},          {"environment", JSON_OBJECT},
      {"heap_version", JSON_STRING}, {"heap_settings", JSON_STRING},
      {"reason", JSON_STRING},       {"checksum", JSON_STRING},
  };
  for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
    const json_t *value = json_object_get(json, typed[i].key);
    if (value && json_typeof(value) != typed[i].type)
      return reader_fail(in, "key \"%s\" has the wrong type", typed[i].key);
  }
  size_t i;
  const json_t *stage;
  json_array_foreach(json_object_get(json, "stages"), i, stage) {
    if (!json_is_string(json_object_get(stage, "name")))
      return reader_fail(in, "a stage without a \"%s\"", "name");
  }
  return true;
}

static const char *record_string(reader *in, const json_t *json, const char *key, bool needed) {
  const char *value = json_string_value(json_object_get(json, key));
  if (value && (!needed || *value)) return value;
  if (!needed) return "";
  reader_fail(in, "key \"%s\" is missing or no string", key);
  return NULL;
}

// Parameters as canonical text, so that 3 and 3.0 and any order of keys name the same scenario.
static const char *params_canonical(arena *memory, const json_t *params) {
  if (!params) return "";
  size_t count;
  const char **keys = object_keys(memory, params, &count);
  text t = {0};
  for (size_t i = 0; i < count; i++) {
    const json_t *value = json_object_get(params, keys[i]);
    if (i) text_add(&t, " ");
    if (json_is_number(value))
      text_format(&t, "%s=%.15g", keys[i], json_number_value(value));
    else if (json_is_string(value))
      text_format(&t, "%s=%s", keys[i], json_string_value(value));
    else
      text_format(&t, "%s=%s", keys[i], json_is_true(value) ? "1" : "0");
  }
  const char *copy = arena_copy(memory, t.bytes ? t.bytes : "");
  text_free(&t);
  return copy;
}

// A runner built with calls instead of inlined operations may be named <heap>_outline: the same heap
// in another variant.
static void record_name_variant(arena *memory, record *r) {
  static const char suffix[] = "_outline";
  const size_t length = strlen(r->heap), tail = sizeof suffix - 1;
  if (!*r->variant && length > tail && strcmp(r->heap + length - tail, suffix) == 0) {
    char *heap = arena_copy(memory, r->heap);
    heap[length - tail] = 0;
    r->heap = heap;
    r->variant = "outline";
  }
  r->label = *r->variant ? arena_format(memory, "%s (%s)", r->heap, r->variant) : r->heap;
}

static bool record_parse(reader *in, json_t *json, record *r) {
  *r = (record){.json = json, .line = in->line};
  if (!json_is_object(json)) return reader_fail(in, "not a JSON object%s", "");
  const json_t *schema = json_object_get(json, "schema");
  if (!json_is_integer(schema)) return reader_fail(in, "key \"%s\" is missing", "schema");
  if (json_integer_value(schema) != RECORD_SCHEMA)
    return reader_fail(in, "unknown \"%s\": written by another version", "schema");
  if (!(r->workload = record_string(in, json, "workload", true))) return false;
  if (!(r->heap = record_string(in, json, "heap", true))) return false;
  if (!(r->status = record_string(in, json, "status", true))) return false;
  if (!status_known(r->status)) return reader_fail(in, "unknown status \"%s\"", r->status);
  if (!record_types_check(in, json)) return false;
  r->variant = record_string(in, json, "variant", false);
  r->reason = record_string(in, json, "reason", false);
  r->block = json_integer_value(json_object_get(json, "block"));
  r->seed = json_integer_value(json_object_get(json, "seed"));
  r->params = params_canonical(&in->set->memory, json_object_get(json, "params"));
  record_name_variant(&in->set->memory, r);
  return true;
}

static bool line_is_blank(const char *line) { return line[strspn(line, " \t\r\n")] == 0; }

static bool reader_take_line(reader *in, const char *line, size_t length) {
  record_set *set = in->set;
  json_error_t problem;
  json_t *json = json_loadb(line, length, JSON_REJECT_DUPLICATES, &problem);
  if (!json) return reader_fail(in, "not a JSON object: %s", problem.text);
  if (set->count == in->capacity) {
    in->capacity = in->capacity ? in->capacity * 2 : 64;
    record *larger = realloc(set->records, in->capacity * sizeof *larger);
    HS_REQUIRE(larger, "report: out of memory");
    set->records = larger;
  }
  // Counted at once, so that record_set_free releases it whatever the checks find.
  record *r = &set->records[set->count++];
  return record_parse(in, json, r);
}

// ---- order and grouping -------------------------------------------------------------------------

static int compare_integers(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int compare_scenarios(const record *a, const record *b) {
  const int workload = strcmp(a->workload, b->workload);
  return workload ? workload : strcmp(a->params, b->params);
}

static int compare_rows(const record *a, const record *b) {
  const size_t order_a = report_row_order(a->heap), order_b = report_row_order(b->heap);
  if (order_a != order_b) return order_a < order_b ? -1 : 1;
  const int heap = strcmp(a->heap, b->heap);
  return heap ? heap : strcmp(a->variant, b->variant);
}

static int compare_records(const void *left, const void *right) {
  const record *a = left, *b = right;
  int order = compare_scenarios(a, b);
  if (!order) order = compare_rows(a, b);
  if (!order) order = compare_integers(a->block, b->block);
  if (!order) order = compare_integers(a->seed, b->seed);
  if (!order) order = compare_integers((int64_t)a->line, (int64_t)b->line);
  return order;
}

static void record_set_group(record_set *set) {
  qsort(set->records, set->count, sizeof *set->records, compare_records);
  set->groups = arena_alloc(&set->memory, set->count * sizeof *set->groups);
  set->scenarios = arena_alloc(&set->memory, set->count * sizeof *set->scenarios);
  for (size_t i = 0; i < set->count; i++) {
    const record *r = &set->records[i];
    const bool same_scenario = i > 0 && compare_scenarios(r - 1, r) == 0;
    const bool same_group = same_scenario && compare_rows(r - 1, r) == 0;
    if (!same_group) set->groups[set->group_count++] = (group){r, 0, 0};
    group *g = &set->groups[set->group_count - 1];
    g->count++;
    g->ok_count += record_ok(r);
    if (!same_scenario) set->scenarios[set->scenario_count++] = (scenario){g, 0};
    if (!same_group) set->scenarios[set->scenario_count - 1].count++;
  }
}

bool record_set_read(record_set *set, const char *path, char *error, size_t error_bytes) {
  FILE *file = fopen(path, "r");
  if (!file) {
    snprintf(error, error_bytes, "cannot read %s: %s", path, strerror(errno));
    return false;
  }
  reader in = {.set = set, .path = path, .error = error, .error_bytes = error_bytes};
  char *line = NULL;
  size_t room = 0;
  ssize_t length;
  bool good = true;
  errno = 0;
  while (good && (length = getline(&line, &room, file)) >= 0) {
    in.line++;
    if (!line_is_blank(line)) good = reader_take_line(&in, line, (size_t)length);
  }
  if (good && ferror(file)) {
    snprintf(error, error_bytes, "cannot read %s: %s", path, strerror(errno));
    good = false;
  }
  if (good && set->count == 0) {
    snprintf(error, error_bytes, "%s holds no record; run `heapduel run ... --json %s` first", path,
             path);
    good = false;
  }
  free(line);
  fclose(file);
  if (good) record_set_group(set);
  return good;
}

void record_set_free(record_set *set) {
  for (size_t i = 0; i < set->count; i++) json_decref(set->records[i].json);
  free(set->records);
  arena_free(&set->memory);
  *set = (record_set){0};
}

// ---- questions ----------------------------------------------------------------------------------

bool record_ok(const record *r) { return strcmp(r->status, "ok") == 0; }

const scenario *scenario_of(const record_set *set, const char *workload, size_t n) {
  for (size_t i = 0; i < set->scenario_count; i++)
    if (strcmp(scenario_workload(&set->scenarios[i]), workload) == 0 && n-- == 0)
      return &set->scenarios[i];
  return NULL;
}

static bool scenario_is_control(const scenario *s) {
  const char *mitigation = scenario_choice(s, "mitigation");
  return scenario_number(s, "noalloc") > 0 || (mitigation && strcmp(mitigation, "none") != 0);
}

static size_t scenario_ok_rows(const scenario *s) {
  size_t rows = 0;
  for (size_t i = 0; i < s->count; i++) rows += s->groups[i].ok_count > 0;
  return rows;
}

const scenario *scenario_main(const record_set *set, const char *workload) {
  const scenario *best = NULL, *s;
  for (size_t n = 0; (s = scenario_of(set, workload, n)); n++)
    if (!scenario_is_control(s) && (!best || scenario_ok_rows(s) > scenario_ok_rows(best)))
      best = s;
  return best;
}

const group *scenario_group(const scenario *s, const char *heap, const char *variant) {
  if (!s) return NULL;
  for (size_t i = 0; i < s->count; i++) {
    const group *g = &s->groups[i];
    if (g->ok_count && strcmp(group_heap(g), heap) == 0 && strcmp(group_variant(g), variant) == 0)
      return g;
  }
  return NULL;
}

static const json_t *scenario_param(const scenario *s, const char *name) {
  return json_object_get(json_object_get(s->groups[0].records[0].json, "params"), name);
}

double scenario_number(const scenario *s, const char *name) {
  const json_t *value = scenario_param(s, name);
  return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

const char *scenario_choice(const scenario *s, const char *name) {
  return json_string_value(scenario_param(s, name));
}

const char *scenario_params(const scenario *s) { return s->groups[0].records[0].params; }

static int compare_strings(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **object_keys(arena *memory, const json_t *object, size_t *count) {
  *count = json_object_size(object);
  const char **keys = arena_alloc(memory, (*count + 1) * sizeof *keys);
  size_t n = 0;
  // jansson's iteration takes a non-const object but does not change it.
  json_t *walk = (json_t *)(uintptr_t)object;
  for (void *i = json_object_iter(walk); i; i = json_object_iter_next(walk, i))
    keys[n++] = json_object_iter_key(i);
  qsort(keys, n, sizeof *keys, compare_strings);
  return keys;
}
