// SPDX-License-Identifier: MIT
#include "workloads/reference/model/model_args.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/base/assert.h"

#define COUNT_HIGH (1ull << 28)
#define PARAM_COUNT                                                                                \
  { "count", "objects allocated", 1 << 20, 1, COUNT_HIGH }
#define PARAM_SIZE                                                                                 \
  { "size", "bytes of one object, pointer-free", 16, 1, COUNT_HIGH }
#define PARAM_STEP                                                                                 \
  { "step", "every step-th object is kept", 512, 1, COUNT_HIGH }

static const model_workload model_workloads[] = {
    {"seed_array", "seed example 1", {PARAM_COUNT, PARAM_SIZE}, 2},
    {"seed_pointers", "seed example 2", {PARAM_COUNT, PARAM_SIZE}, 2},
    {"seed_pathological",
     "seed example 3",
     {PARAM_COUNT,
      PARAM_SIZE,
      PARAM_STEP,
      {"next_count", "objects allocated after the drop", 1 << 19, 1, COUNT_HIGH},
      {"next_size", "bytes of one of those", 32, 1, COUNT_HIGH}},
     5},
    {"seed_step", "seed step table", {PARAM_COUNT, PARAM_SIZE, PARAM_STEP}, 3},
    {"seed_copy", "seed remedy by copying", {PARAM_COUNT, PARAM_SIZE, PARAM_STEP}, 3},
};
enum { MODEL_WORKLOADS = sizeof model_workloads / sizeof model_workloads[0] };

static const char model_usage[] =
    "usage: run_model --workload NAME [--set NAME=VALUE]... [--seed N] [--block N]\n"
    "                 [--variant TEXT] [--json FILE]\n"
    "Computes what Go's heap layout gives for a seed program and writes one record.\n";

static bool parse_number(const char *text, uint64_t *out) {
  char *end;
  errno = 0;
  const long long value = strtoll(text, &end, 10);
  if (end == text || *end || errno || value < 0) return false;
  *out = (uint64_t)value;
  return true;
}

static int bad(const char *what, const char *value, const char *wanted) {
  fprintf(stderr, "run_model: %s cannot be '%s': use %s\n", what, value, wanted);
  return MODEL_ARGS_USAGE;
}

static int set_param(model_args *args, size_t at, const char *text) {
  const model_param *param = &args->known->params[at];
  uint64_t value;
  if (parse_number(text, &value) && value >= param->low && value <= param->high) {
    args->values[at] = value;
    return MODEL_ARGS_RUN;
  }
  char wanted[96];
  snprintf(wanted, sizeof wanted, "a number from %llu to %llu", (unsigned long long)param->low,
           (unsigned long long)param->high);
  return bad(param->name, text, wanted);
}

static int set(model_args *args, char *assignment) {
  char *equals = strchr(assignment, '=');
  if (!equals || equals == assignment) return bad("--set", assignment, "the form name=value");
  *equals = 0; // argv may be written
  for (size_t i = 0; args->known && i < args->known->param_count; i++)
    if (strcmp(args->known->params[i].name, assignment) == 0) return set_param(args, i, equals + 1);
  // An option of some other heap, or a parameter of a workload that is not modelled: kept as it is.
  char *end;
  const long long number = strtoll(equals + 1, &end, 10);
  json_object_set_new(args->config, assignment,
                      *end ? json_string(equals + 1) : json_integer(number));
  return MODEL_ARGS_RUN;
}

static int take(model_args *args, const char *name, char *value) {
  if (strcmp(name, "set") == 0) return set(args, value);
  if (strcmp(name, "variant") == 0) args->variant = value;
  if (strcmp(name, "json") == 0) args->json = value;
  if (strcmp(name, "seed") == 0 && !parse_number(value, &args->seed))
    return bad("--seed", value, "a number");
  if (strcmp(name, "block") == 0 && !parse_number(value, &args->block))
    return bad("--block", value, "a number");
  return MODEL_ARGS_RUN;
}

static void list(void) {
  json_t *workloads = json_array();
  for (size_t w = 0; w < MODEL_WORKLOADS; w++) {
    json_t *params = json_array();
    for (size_t p = 0; p < model_workloads[w].param_count; p++) {
      const model_param *param = &model_workloads[w].params[p];
      json_array_append_new(params,
                            json_pack("{s:s,s:s,s:I,s:I,s:I}", "name", param->name, "help",
                                      param->help, "default", (json_int_t)param->fallback, "min",
                                      (json_int_t)param->low, "max", (json_int_t)param->high));
    }
    json_array_append_new(
        workloads, json_pack("{s:s,s:s,s:[],s:o}", "name", model_workloads[w].name, "summary",
                             model_workloads[w].summary, "needs", "params", params));
  }
  json_t *about = json_pack("{s:i,s:i,s:s,s:s,s:[],s:[],s:o}", "schema", 1, "contract", 1, "heap",
                            "model", "heap_version", "Go 1.21 size classes", "capabilities",
                            "options", "workloads", workloads);
  json_dumpf(about, stdout, JSON_COMPACT | JSON_SORT_KEYS);
  puts("");
  json_decref(about);
}

// --workload decides what --set means, so it is looked up first.
static void find_workload(model_args *args, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--workload") == 0 && i + 1 < argc) args->workload = argv[i + 1];
    if (strncmp(argv[i], "--workload=", 11) == 0) args->workload = argv[i] + 11;
  }
  for (size_t w = 0; args->workload && w < MODEL_WORKLOADS; w++)
    if (strcmp(model_workloads[w].name, args->workload) == 0) args->known = &model_workloads[w];
  for (size_t p = 0; args->known && p < args->known->param_count; p++)
    args->values[p] = args->known->params[p].fallback;
}

static int parse_all(model_args *args, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    char *name = argv[i];
    if (strncmp(name, "--", 2) != 0) return bad("an argument", name, "--name value");
    name += 2;
    if (strcmp(name, "list") == 0) return list(), MODEL_ARGS_DONE;
    if (strcmp(name, "help") == 0) return fputs(model_usage, stdout), MODEL_ARGS_DONE;
    if (strcmp(name, "map") == 0) continue;
    char *value = strchr(name, '=');
    if (value)
      *value++ = 0;
    else if (i + 1 < argc)
      value = argv[++i];
    else
      return bad(name, "", "a value after it");
    const int code = take(args, name, value);
    if (code != MODEL_ARGS_RUN) return code;
  }
  if (args->workload) return MODEL_ARGS_RUN;
  fputs("run_model: --workload NAME is missing; --list names them\n", stderr);
  return MODEL_ARGS_USAGE;
}

int model_args_parse(model_args *args, int argc, char **argv) {
  *args = (model_args){.variant = "", .json = "-", .seed = 1, .config = json_object()};
  find_workload(args, argc, argv);
  return parse_all(args, argc, argv);
}

void model_args_free(model_args *args) { json_decref(args->config); }

uint64_t model_args_value(const model_args *args, const char *name) {
  for (size_t i = 0; i < args->known->param_count; i++)
    if (strcmp(args->known->params[i].name, name) == 0) return args->values[i];
  HS_PANIC("workload %s has no parameter '%s'", args->workload, name);
}

json_t *model_args_params_json(const model_args *args) {
  json_t *params = json_object();
  for (size_t i = 0; args->known && i < args->known->param_count; i++)
    json_object_set_new(params, args->known->params[i].name,
                        json_integer((json_int_t)args->values[i]));
  return params;
}
