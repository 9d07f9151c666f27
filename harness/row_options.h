// SPDX-License-Identifier: MIT
// Options that several commands share: which workload, which heaps, which settings.
#ifndef ROW_OPTIONS_H
#define ROW_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "harness/catalogue.h"
#include "harness/job.h"

typedef struct row_options {
  const char *workload;
  const char *heaps; // "a,b"; NULL: every heap that is built
  const char *sets[JOB_SETS];
  size_t set_count;
  // Texts of --limit and its like, to which some of `sets` point: the struct must not be copied then.
  char shorts[JOB_SETS][64];
  int64_t seed, timeout_s;
} row_options;

row_options row_options_default(void);

// --heap, --set, --limit, --gogc, --memory-limit, --seed, --timeout; its input is a row_options.
extern const struct argp row_argp;

// As --set NAME=VALUE. Ends the program with a usage error when there are too many.
void row_set_short(row_options *options, const char *name, const char *value);

// Parse a number in [low, high] for an option; ends the program with a usage error when it is not.
error_t row_number(struct argp_state *state, const char *option, const char *value, int64_t low,
                   int64_t high, int64_t *out);

// The options, checked against what is built.
typedef struct row_selection {
  const catalogue_heap *heaps[CATALOGUE_HEAPS];
  size_t heap_count;
  char *sets[JOB_SETS]; // canonical; owned
  size_t set_count;
} row_selection;

// False after one line on standard error: an unknown workload, heap, parameter, or a bad value.
bool row_select(const row_options *options, const run_catalogue *catalogue, row_selection *out);
void row_selection_free(row_selection *rows);

#endif
