// SPDX-License-Identifier: MIT
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "allocators/runtime/config.h"
#include "harness/run.h"

const workload *run_find_workload(const char *name) {
  for (size_t i = 0; i < workload_table_count; i++)
    if (strcmp(workload_table[i]->name, name) == 0) return workload_table[i];
  return NULL;
}

void run_param_defaults(const workload *load, uint64_t *values) {
  HS_REQUIRE(load->param_count <= RUN_PARAMS, "workload %s has more than %d parameters", load->name,
             RUN_PARAMS);
  for (size_t i = 0; i < load->param_count; i++) values[i] = load->params[i].fallback;
}

const char *run_choice(const char *choices, uint64_t index, size_t *length) {
  const char *at = choices;
  for (; index > 0; index--) {
    at = strchr(at, '|');
    if (!at) return NULL;
    at++;
  }
  *length = strcspn(at, "|");
  return at;
}

static bool run_set_choice(const workload_param *param, const char *value, uint64_t *out,
                           char *error, size_t error_bytes) {
  size_t length;
  const char *choice;
  for (uint64_t i = 0; (choice = run_choice(param->choices, i, &length)); i++) {
    if (strlen(value) != length || strncmp(choice, value, length) != 0) continue;
    *out = i;
    return true;
  }
  snprintf(error, error_bytes, "parameter %s cannot be '%s': use one of %s", param->name, value,
           param->choices);
  return false;
}

static bool run_set_number(const workload_param *param, const char *value, uint64_t *out,
                           char *error, size_t error_bytes) {
  int64_t number;
  if (hs_parse_i64(value, &number) && number >= 0 && (uint64_t)number >= param->low &&
      (uint64_t)number <= param->high) {
    *out = (uint64_t)number;
    return true;
  }
  snprintf(error, error_bytes,
           "parameter %s cannot be '%s': use a number from %" PRIu64 " to %" PRIu64, param->name,
           value, param->low, param->high);
  return false;
}

// Append the names of every parameter and heap option: the answer to an unknown name.
static void run_list_names(const workload *load, char *out, size_t out_bytes) {
  size_t used = strlen(out), count;
  for (size_t i = 0; i < load->param_count && used < out_bytes; i++)
    used +=
        (size_t)snprintf(out + used, out_bytes - used, "%s %s", i ? "," : "", load->params[i].name);
  if (used < out_bytes)
    used += (size_t)snprintf(out + used, out_bytes - used, "; heap options are");
  const hs_config_option *options = hs_config_options(&count);
  for (size_t i = 0; i < count && used < out_bytes; i++)
    used += (size_t)snprintf(out + used, out_bytes - used, "%s %s", i ? "," : "", options[i].name);
}

bool run_set(run_options *options, const char *assignment, char *error, size_t error_bytes) {
  const char *equals = strchr(assignment, '=');
  if (!equals || equals == assignment) {
    snprintf(error, error_bytes, "'%s' is not of the form name=value", assignment);
    return false;
  }
  char name[RECORD_NAME_BYTES];
  const size_t length = (size_t)(equals - assignment);
  if (length < sizeof name) {
    memcpy(name, assignment, length);
    name[length] = 0;
    for (size_t i = 0; i < options->load->param_count; i++) {
      const workload_param *param = &options->load->params[i];
      if (strcmp(param->name, name) != 0) continue;
      return param->choices
                 ? run_set_choice(param, equals + 1, &options->values[i], error, error_bytes)
                 : run_set_number(param, equals + 1, &options->values[i], error, error_bytes);
    }
    const hs_config_result result =
        hs_config_set(&options->config, name, equals + 1, error, error_bytes);
    if (result != HS_CONFIG_UNKNOWN) return result == HS_CONFIG_OK;
  }
  snprintf(error, error_bytes, "workload %s has no parameter '%.*s'; its parameters are",
           options->load->name, (int)hs_min_size(length, RECORD_NAME_BYTES), assignment);
  run_list_names(options->load, error, error_bytes);
  return false;
}
