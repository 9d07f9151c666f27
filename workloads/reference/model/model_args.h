// SPDX-License-Identifier: MIT
// Command line of run_model: that of the runners. Options that mean nothing to a closed form are
// accepted, so that the harness may pass one command line to every row.
#ifndef MODEL_ARGS_H
#define MODEL_ARGS_H

#include <jansson.h>
#include <stdint.h>

enum { MODEL_PARAMS = 5 };

typedef struct model_param {
  const char *name, *help;
  uint64_t fallback, low, high;
} model_param;

// A modelled workload: the same parameters and limits as the workload of that name.
typedef struct model_workload {
  const char *name, *summary;
  model_param params[MODEL_PARAMS];
  size_t param_count;
} model_workload;

typedef struct model_args {
  const char *workload, *variant, *json;
  const model_workload *known; // NULL: not modelled
  uint64_t values[MODEL_PARAMS];
  uint64_t seed, block;
  json_t *config; // --set of names that are no parameter: options of other heaps
} model_args;

// MODEL_ARGS_RUN: go on; MODEL_ARGS_DONE: --list or --help was answered; else the exit code, after
// one line on standard error.
enum { MODEL_ARGS_RUN = -1, MODEL_ARGS_DONE = -2, MODEL_ARGS_USAGE = 2 };
int model_args_parse(model_args *args, int argc, char **argv);
void model_args_free(model_args *args);

uint64_t model_args_value(const model_args *args, const char *name); // aborts on unknown name
json_t *model_args_params_json(const model_args *args);              // a new reference

#endif
