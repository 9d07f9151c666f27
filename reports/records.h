// SPDX-License-Identifier: MIT
// Records in memory: read strictly from a file of JSON lines (harness/record.md), sorted, and
// grouped. A *scenario* is a workload with its parameters; a *group* is one row of it: every run of
// one heap and variant in that scenario, in order of block. The order of lines in the file has no
// influence on anything rendered.
#ifndef REPORTS_RECORDS_H
#define REPORTS_RECORDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reports/text.h"

typedef struct record {
  json_t *json; // the whole object, owned by the set
  size_t line;  // in the file, from 1
  const char *workload, *heap, *variant, *status, *reason;
  const char *params; // canonical text: keys sorted, numbers normalised
  const char *label;  // "heap" or "heap (variant)"
  int64_t block, seed;
} record;

typedef struct group {
  const record *records; // count >= 1, ascending blocks, any status
  size_t count, ok_count;
} group;

typedef struct scenario {
  const group *groups; // count >= 1, in table order
  size_t count;
} scenario;

typedef struct record_set {
  arena memory;
  record *records;
  size_t count;
  group *groups;
  size_t group_count;
  scenario *scenarios;
  size_t scenario_count;
} record_set;

// Read a file. False with one line in `error` that names the line number when anything is wrong: an
// unreadable file, an empty one, a line that is no JSON object, a missing or mistyped key. The set
// must be freed in either case; zero-initialise it before.
bool record_set_read(record_set *set, const char *path, char *error, size_t error_bytes);
void record_set_free(record_set *set);

// First name of a group, scenario: all its records share these.
static inline const char *group_heap(const group *g) { return g->records[0].heap; }
static inline const char *group_variant(const group *g) { return g->records[0].variant; }
static inline const char *group_label(const group *g) { return g->records[0].label; }
static inline const char *scenario_workload(const scenario *s) {
  return s->groups[0].records[0].workload;
}

// A record that carries measurements.
bool record_ok(const record *r);

// The n-th scenario of a workload, NULL past the last.
const scenario *scenario_of(const record_set *set, const char *workload, size_t n);

// The scenario of a workload that most rows ran and that is no control (`noalloc`, a mitigation);
// NULL when the workload was not run. It stands for the workload in summaries.
const scenario *scenario_main(const record_set *set, const char *workload);

// A row of a scenario; NULL when absent or when no run of it was ok.
const group *scenario_group(const scenario *s, const char *heap, const char *variant);

// A parameter: number, and choice as text; NAN / NULL when absent.
double scenario_number(const scenario *s, const char *name);
const char *scenario_choice(const scenario *s, const char *name);

// "name=value name=value", sorted by name.
const char *scenario_params(const scenario *s);

// Keys of a JSON object, sorted; count in *count.
const char **object_keys(arena *memory, const json_t *object, size_t *count);

#endif
