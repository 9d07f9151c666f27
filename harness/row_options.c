// SPDX-License-Identifier: MIT
#include "harness/row_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/runtime/config.h"
#include "harness/cli.h"

enum {
  ROW_DEFAULT_TIMEOUT_S = 300, // far above any default workload
  ROW_TIMEOUT_LIMIT_S = 86400,
  OPTION_SEED = 2000,
  OPTION_TIMEOUT,
  OPTION_LIMIT,
  OPTION_GOGC,
  OPTION_MEMORY_LIMIT
};

static const struct argp_option row_option_list[] = {
    {"heap", 'H', "A,B", 0, "heaps to run on; 'all' adds the reference rows (default: every heap)",
     1},
    {"set", 's', "NAME=VALUE", 0,
     "a parameter of the workload or an option of the heap, e.g. --set gc=stw; repeatable; "
     "'heapduel list' names both with their values",
     1},
    {"gogc", OPTION_GOGC, "PERCENT", 0,
     "growth of the heap, percent of what is live, before a collection; off: none (default 100); "
     "short for --set gogc=PERCENT",
     1},
    {"memory-limit", OPTION_MEMORY_LIMIT, "SIZE", 0,
     "soft limit of the footprint, e.g. 64M, kept by collecting earlier (Go: GOMEMLIMIT); short "
     "for --set memory_limit=SIZE",
     1},
    {"limit", OPTION_LIMIT, "SIZE", 0,
     "hard limit of the heap, e.g. 64M: allocation fails beyond it; short for --set limit=SIZE", 1},
    {"seed", OPTION_SEED, "N", 0, "seed of the workload and of the order (default 1)", 1},
    {"timeout", OPTION_TIMEOUT, "SECONDS", 0, "of one run (default 300)", 1},
    {0}};

row_options row_options_default(void) {
  return (row_options){.seed = 1, .timeout_s = ROW_DEFAULT_TIMEOUT_S};
}

error_t row_number(struct argp_state *state, const char *option, const char *value, int64_t low,
                   int64_t high, int64_t *out) {
  int64_t number;
  if (hs_parse_i64(value, &number) && number >= low && number <= high) {
    *out = number;
    return 0;
  }
  cli_error("%s cannot be '%s'; use a number from %" PRId64 " to %" PRId64, option, value, low,
            high);
  (void)state;
  exit(EXIT_USAGE);
}

static void row_add_set(row_options *options, const char *set) {
  if (options->set_count == JOB_SETS) {
    cli_error("more than %d --set options", JOB_SETS);
    exit(EXIT_USAGE);
  }
  options->sets[options->set_count++] = set;
}

void row_set_short(row_options *options, const char *name, const char *value) {
  if (options->set_count == JOB_SETS) row_add_set(options, ""); // ends the program
  char *text = options->shorts[options->set_count];
  snprintf(text, sizeof options->shorts[0], "%s=%s", name, value);
  row_add_set(options, text);
}

static error_t row_parse(int key, char *value, struct argp_state *state) {
  row_options *options = state->input;
  switch (key) {
  case 'H':
    options->heaps = value;
    return 0;
  case 's':
    row_add_set(options, value);
    return 0;
  case OPTION_LIMIT:
    row_set_short(options, "limit", value);
    return 0;
  case OPTION_GOGC:
    row_set_short(options, "gogc", value);
    return 0;
  case OPTION_MEMORY_LIMIT:
    row_set_short(options, "memory_limit", value);
    return 0;
  case OPTION_SEED:
    return row_number(state, "--seed", value, 0, INT64_MAX, &options->seed);
  case OPTION_TIMEOUT:
    return row_number(state, "--timeout", value, 1, ROW_TIMEOUT_LIMIT_S, &options->timeout_s);
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

const struct argp row_argp = {.options = row_option_list, .parser = row_parse};

// ---- selection ----------------------------------------------------------------------------------

static bool row_add_heap(row_selection *rows, const catalogue_heap *heap) {
  for (size_t i = 0; i < rows->heap_count; i++)
    if (rows->heaps[i] == heap) return true; // named twice
  if (!heap->about && !catalogue_is_reference(heap)) {
    cli_error("%s does not answer; build the whole project again", heap->program);
    return false;
  }
  rows->heaps[rows->heap_count++] = heap;
  return true;
}

static bool row_select_named(const char *names, const run_catalogue *catalogue,
                             row_selection *rows) {
  bool good = true;
  for (const char *at = names; good && *at;) {
    const size_t length = strcspn(at, ",");
    if (length > 0) {
      char *name = cli_format("%.*s", (int)length, at);
      const catalogue_heap *heap = catalogue_heap_need(catalogue, name);
      good = heap && row_add_heap(rows, heap);
      free(name);
    }
    at += length + (at[length] == ',');
  }
  if (good && rows->heap_count == 0) {
    cli_error("--heap names no heap; 'heapduel list' names them");
    return false;
  }
  return good;
}

static bool row_select_heaps(const row_options *options, const run_catalogue *catalogue,
                             row_selection *rows) {
  const bool all = options->heaps && strcmp(options->heaps, "all") == 0;
  if (options->heaps && !all) return row_select_named(options->heaps, catalogue, rows);
  for (size_t i = 0; i < catalogue->count; i++)
    if ((all || !catalogue_is_reference(&catalogue->heaps[i])) &&
        !row_add_heap(rows, &catalogue->heaps[i]))
      return false;
  return true;
}

bool row_select(const row_options *options, const run_catalogue *catalogue, row_selection *out) {
  *out = (row_selection){.heap_count = 0};
  json_t *workload = catalogue_workload_need(catalogue, options->workload);
  if (!workload || !row_select_heaps(options, catalogue, out)) return false;
  for (size_t i = 0; i < options->set_count; i++) {
    char *setting = catalogue_setting(workload, options->sets[i]);
    if (!setting) {
      row_selection_free(out);
      return false;
    }
    out->sets[out->set_count++] = setting;
  }
  return true;
}

void row_selection_free(row_selection *rows) {
  for (size_t i = 0; i < rows->set_count; i++) free(rows->sets[i]);
  rows->set_count = 0;
}
