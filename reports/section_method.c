// SPDX-License-Identifier: MIT
// Environment, method, and threats to validity.
#include <stdlib.h>
#include <string.h>

#include "reports/report_parts.h"

// ---- environment --------------------------------------------------------------------------------

static const char *value_text(arena *memory, const json_t *value) {
  if (json_is_string(value)) return json_string_value(value);
  char *dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_COMPACT);
  const char *copy = arena_copy(memory, dumped ? dumped : "?");
  free(dumped);
  return copy;
}

typedef struct fact {
  const char *key, *value;
  size_t runs;
} fact;

static int compare_facts(const void *left, const void *right) {
  const fact *a = left, *b = right;
  const int key = strcmp(a->key, b->key);
  return key ? key : strcmp(a->value, b->value);
}

// Distinct (key, value) pairs over all records, sorted, with how many runs had each.
static fact *facts_collect(report *r, size_t *count) {
  size_t room = 0;
  for (size_t i = 0; i < r->set.count; i++)
    room += json_object_size(json_object_get(r->set.records[i].json, "environment"));
  fact *facts = arena_alloc(r->memory, (room + 1) * sizeof *facts);
  size_t all = 0;
  for (size_t i = 0; i < r->set.count; i++) {
    const json_t *environment = json_object_get(r->set.records[i].json, "environment");
    size_t keys_count;
    const char **keys = object_keys(r->memory, environment, &keys_count);
    for (size_t k = 0; k < keys_count; k++)
      facts[all++] =
          (fact){keys[k], value_text(r->memory, json_object_get(environment, keys[k])), 1};
  }
  qsort(facts, all, sizeof *facts, compare_facts);
  *count = 0;
  for (size_t i = 0; i < all; i++) {
    if (*count && compare_facts(&facts[*count - 1], &facts[i]) == 0)
      facts[*count - 1].runs++;
    else
      facts[(*count)++] = facts[i];
  }
  return facts;
}

static void environment(report *r) {
  static const char *const heads[] = {"what", "value", "runs"};
  text_add(&r->out, "## Environment\n\n");
  size_t count;
  const fact *facts = facts_collect(r, &count);
  if (!count) {
    report_missing(r, "the records carry no environment");
    return;
  }
  table t = table_begin(&r->out, "llr", heads);
  for (size_t i = 0; i < count; i++) {
    table_cell(&t, facts[i].key);
    table_cell(&t, facts[i].value);
    table_cell(&t, arena_format(r->memory, "%zu", facts[i].runs));
  }
  table_end(&t);
  text_add(&r->out, "A quantity with several values was different between runs or between programs "
                    "(the reference programs have a compiler of their own).\n\n");
}

// ---- method and threats -------------------------------------------------------------------------

static void method(report *r) {
  size_t blocks = 0;
  for (size_t i = 0; i < r->set.group_count; i++) {
    const group *g = &r->set.groups[i];
    size_t distinct = 1;
    for (size_t j = 1; j < g->count; j++)
      distinct += g->records[j].block != g->records[j - 1].block;
    if (distinct > blocks) blocks = distinct;
  }
  text_format(
      &r->out,
      "## Method\n\nOne fresh process per measurement. Rows run in randomised blocks, each "
      "row once per block, in an order shuffled by a recorded seed; in these records the "
      "most repeated row has %zu blocks. Every workload is bounded by operations, so it does the "
      "same work everywhere, and its checksum must agree on every heap; a run whose "
      "checksum differs is not counted as completed. Byte counts of deterministic programs "
      "do not vary and may have been run once. The whole procedure, with the reasons, is "
      "in [harness/METHOD.md](../../harness/METHOD.md) of the source; the format of the "
      "records is in [harness/record.md](../../harness/record.md).\n\n",
      blocks);
}

static void threats(report *r) {
  text_add(
      &r->out,
      "## Threats to validity\n\n"
      "- **Conflict of interest.** Two of the rows, `nonmoving` and `compact`, are ours, and so "
      "are "
      "the workloads. Foreign allocators run with the settings we judged fairest; their stock "
      "settings are rows too where they were run.\n"
      "- **Construct.** RSS charges a page to the process whether it is needed or not, footprint "
      "trusts the heap's own accounting (the accounting section checks it). "
      "max_fragmentation is an upper bound: free slots can be used again. On malloc-like heaps "
      "the program states each death exactly, which flatters them against collectors that must "
      "find out. bdwgc is conservative and may keep garbage that looks reachable. Pauses are what "
      "a collector logs about itself; the operation clock has a cost of its own and includes "
      "the host's noise.\n"
      "- **Internal.** A shared or virtual machine adds steal time and moves frequencies; "
      "randomised blocks spread that over the rows but do not remove it. Sampling memory over "
      "time disturbs the program a little, on every row alike.\n"
      "- **External.** The seed's programs are worst cases by design; synthetic workloads "
      "overstate fragmentation compared with real programs. One machine, one C library, few "
      "cores, objects without threads. Our heaps were tuned while these workloads were known.\n"
      "- **Conclusion.** Few runs, many comparisons, no correction for their number: a single "
      "\"better\" is weak evidence, a pattern over scenarios is stronger. Distributions of "
      "latency merge all runs of a row. Where the bracket of a ratio includes 1 the report names "
      "neither heap.\n\n");
}

void section_method(report *r) {
  environment(r);
  method(r);
  threats(r);
}
