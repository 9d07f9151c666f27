// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/runtime/config.h"
#include "harness/run.h"

static const struct {
  unsigned bit;
  const char *name;   // in `heapduel list`
  const char *phrase; // in "needs ..."
} run_capabilities[] = {
    {HEAP_CAP_TRACES, "traces", "tracing"},
    {HEAP_CAP_MOVES, "moves", "moving objects"},
    {HEAP_CAP_FREES, "frees", "explicit freeing"},
    {HEAP_CAP_CONSERVATIVE, "conservative", "conservative marking"},
    {HEAP_CAP_WEAK, "weak", "weak references"},
    {HEAP_CAP_LIMIT, "limit", "a heap limit"},
    {HEAP_CAP_THREADS, "threads", "several threads"},
    {HEAP_CAP_MAP, "map", "a page map"},
    {HEAP_CAP_VERIFY, "verify", "verification"},
};
enum { RUN_CAPABILITIES = sizeof run_capabilities / sizeof run_capabilities[0] };

void run_missing(unsigned needs, unsigned has, char *out, size_t out_bytes) {
  size_t used = 0;
  out[0] = 0;
  for (size_t i = 0; i < RUN_CAPABILITIES && used < out_bytes; i++)
    if (needs & ~has & run_capabilities[i].bit)
      used += (size_t)snprintf(out + used, out_bytes - used, "%s%s", used ? ", " : "",
                               run_capabilities[i].phrase);
}

static json_t *run_capability_names(unsigned bits) {
  json_t *array = json_array();
  for (size_t i = 0; i < RUN_CAPABILITIES; i++)
    if (bits & run_capabilities[i].bit)
      json_array_append_new(array, json_string(run_capabilities[i].name));
  return array;
}

static json_t *run_list_options(void) {
  json_t *array = json_array();
  size_t count;
  const hs_config_option *options = hs_config_options(&count);
  for (size_t i = 0; i < count; i++)
    json_array_append_new(array, json_pack("{s:s,s:s,s:s,s:I,s:I,s:I}", "name", options[i].name,
                                           "help", options[i].help, "words", options[i].words,
                                           "default", (json_int_t)options[i].fallback, "min",
                                           (json_int_t)options[i].low, "max",
                                           (json_int_t)options[i].high));
  return array;
}

static json_t *run_list_param(const workload_param *param) {
  json_t *object = json_pack("{s:s,s:s}", "name", param->name, "help", param->help);
  if (!param->choices) {
    json_object_set_new(object, "default", json_integer((json_int_t)param->fallback));
    json_object_set_new(object, "min", json_integer((json_int_t)param->low));
    json_object_set_new(object, "max", json_integer((json_int_t)param->high));
    return object;
  }
  json_t *choices = json_array();
  size_t length;
  const char *choice;
  for (uint64_t i = 0; (choice = run_choice(param->choices, i, &length)); i++) {
    json_array_append_new(choices, json_stringn(choice, length));
    if (i == param->fallback) json_object_set_new(object, "default", json_stringn(choice, length));
  }
  json_object_set_new(object, "choices", choices);
  return object;
}

static json_t *run_list_workloads(void) {
  json_t *array = json_array();
  for (size_t i = 0; i < workload_table_count; i++) {
    const workload *load = workload_table[i];
    json_t *params = json_array();
    for (size_t p = 0; p < load->param_count; p++)
      json_array_append_new(params, run_list_param(&load->params[p]));
    json_array_append_new(array, json_pack("{s:s,s:s,s:o,s:o}", "name", load->name, "summary",
                                           load->summary, "needs",
                                           run_capability_names(load->needs), "params", params));
  }
  return array;
}

void run_list(void) {
  json_t *object = json_pack("{s:i,s:i,s:s,s:o,s:o,s:o}", "schema", RECORD_SCHEMA, "contract",
                             HEAP_CONTRACT_VERSION, "heap", HEAP_NAME, "capabilities",
                             run_capability_names(HEAP_CAPS), "options", run_list_options(),
                             "workloads", run_list_workloads());
  const heap_config config = hs_config_default();
  heap *created;
  if (heap_create(&config, &created) == HEAP_OK) {
    const heap_identity identity = heap_identify(created);
    json_object_set_new(object, "heap_version", json_string(identity.version));
    json_object_set_new(object, "heap_settings", json_string(identity.settings));
    heap_destroy(created);
  }
  char *line = record_line(object);
  puts(line ? line : "{}");
  free(line);
  json_decref(object);
}
