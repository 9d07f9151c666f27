// SPDX-License-Identifier: MIT
#include "harness/catalogue.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/runtime/config.h"
#include "harness/child.h"
#include "harness/cli.h"

// Rows in the order in which reports and lists show them; others follow by name.
static const char *const catalogue_order[] = {
    "nonmoving", "compact", "bdwgc",          "mimalloc", "libc",         "jemalloc", "tcmalloc",
    "go",        "jvm_g1",  "jvm_shenandoah", "jvm_zgc",  "jvm_parallel", "model"};
enum {
  CATALOGUE_ORDER = sizeof catalogue_order / sizeof catalogue_order[0],
  CATALOGUE_TIMEOUT_MS = 20000 // --list does next to nothing; a hung runner must not hang us
};

static size_t catalogue_rank(const char *name) {
  size_t rank = 0;
  while (rank < CATALOGUE_ORDER && strcmp(catalogue_order[rank], name) != 0) rank++;
  return rank;
}

static int catalogue_compare(const void *a, const void *b) {
  const catalogue_heap *x = a, *y = b;
  const size_t rank_x = catalogue_rank(x->name), rank_y = catalogue_rank(y->name);
  if (rank_x != rank_y) return rank_x < rank_y ? -1 : 1;
  return strcmp(x->name, y->name);
}

static json_t *catalogue_ask(const char *program) {
  char *const argv[] = {(char *)program, "--list", NULL};
  const child_request request = {.argv = argv, .timeout_ms = CATALOGUE_TIMEOUT_MS};
  child_result result;
  child_run(&request, &result);
  json_t *about = result.exit_code == 0 ? json_loads(result.output, 0, NULL) : NULL;
  child_result_free(&result);
  if (json_is_object(about)) return about;
  json_decref(about);
  return NULL;
}

static void catalogue_add(run_catalogue *catalogue, const char *folder, const char *file,
                          const char *name) {
  if (catalogue->count == CATALOGUE_HEAPS) return;
  catalogue_heap *heap = &catalogue->heaps[catalogue->count++];
  heap->name = cli_format("%s", name);
  heap->program = cli_format("%s/%s", folder, file);
  heap->outline = cli_format("%s/%s_outline", folder, file);
  if (!cli_can_execute(heap->outline)) {
    free(heap->outline);
    heap->outline = NULL;
  }
}

bool catalogue_load(run_catalogue *catalogue, const char *folder) {
  *catalogue = (run_catalogue){.count = 0};
  DIR *dir = opendir(folder);
  for (struct dirent *entry; dir && (entry = readdir(dir));) {
    if (strncmp(entry->d_name, "run_", 4) == 0 && !strstr(entry->d_name, "_outline"))
      catalogue_add(catalogue, folder, entry->d_name, entry->d_name + 4);
  }
  if (dir) closedir(dir);
  if (catalogue->count == 0) {
    cli_error("no runner (run_<heap>) in %s: build the whole project first", folder);
    return false;
  }
  qsort(catalogue->heaps, catalogue->count, sizeof catalogue->heaps[0], catalogue_compare);
  for (size_t i = 0; i < catalogue->count; i++)
    catalogue->heaps[i].about = catalogue_ask(catalogue->heaps[i].program);
  return true;
}

void catalogue_free(run_catalogue *catalogue) {
  for (size_t i = 0; i < catalogue->count; i++) {
    catalogue_heap *heap = &catalogue->heaps[i];
    free(heap->name);
    free(heap->program);
    free(heap->outline);
    json_decref(heap->about);
  }
  catalogue->count = 0;
}

// ---- finding ------------------------------------------------------------------------------------

const catalogue_heap *catalogue_heap_find(const run_catalogue *catalogue, const char *name) {
  for (size_t i = 0; i < catalogue->count; i++)
    if (strcmp(catalogue->heaps[i].name, name) == 0) return &catalogue->heaps[i];
  return NULL;
}

bool catalogue_is_jvm(const catalogue_heap *heap) {
  static const char prefix[] = "jvm_";
  return strncmp(heap->name, prefix, sizeof prefix - 1) == 0;
}

bool catalogue_is_reference(const catalogue_heap *heap) {
  return strcmp(heap->name, "go") == 0 || strcmp(heap->name, "model") == 0 ||
         catalogue_is_jvm(heap);
}

// Every heap is compiled with all workloads; a reference row may have fewer, so heaps come first.
static json_t *catalogue_workloads(const run_catalogue *catalogue) {
  for (size_t i = 0; i < catalogue->count; i++)
    if (catalogue->heaps[i].about && !catalogue_is_reference(&catalogue->heaps[i]))
      return json_object_get(catalogue->heaps[i].about, "workloads");
  return NULL;
}

json_t *catalogue_workload(const run_catalogue *catalogue, const char *name) {
  size_t index;
  json_t *workload;
  json_array_foreach(catalogue_workloads(catalogue), index, workload) {
    const char *candidate = json_string_value(json_object_get(workload, "name"));
    if (candidate && strcmp(candidate, name) == 0) return workload;
  }
  return NULL;
}

static void catalogue_unknown(const char *what, const char *name, const char *const *names,
                              size_t count) {
  const char *nearest = cli_nearest(name, names, count);
  if (nearest)
    cli_error("there is no %s '%s'; did you mean %s? ('heapduel list' names all)", what, name,
              nearest);
  else
    cli_error("there is no %s '%s'; 'heapduel list' names all", what, name);
}

const catalogue_heap *catalogue_heap_need(const run_catalogue *catalogue, const char *name) {
  const catalogue_heap *heap = catalogue_heap_find(catalogue, name);
  if (heap) return heap;
  const char *names[CATALOGUE_HEAPS];
  for (size_t i = 0; i < catalogue->count; i++) names[i] = catalogue->heaps[i].name;
  catalogue_unknown("heap", name, names, catalogue->count);
  return NULL;
}

json_t *catalogue_workload_need(const run_catalogue *catalogue, const char *name) {
  json_t *found = catalogue_workload(catalogue, name);
  if (found) return found;
  json_t *all = catalogue_workloads(catalogue), *workload;
  const size_t count = json_array_size(all);
  const char **names = cli_allocate((count + 1) * sizeof *names);
  size_t index, kept = 0;
  json_array_foreach(all, index, workload) {
    const char *text = json_string_value(json_object_get(workload, "name"));
    if (text) names[kept++] = text;
  }
  catalogue_unknown("workload", name, names, kept);
  free(names);
  return NULL;
}

// ---- settings -----------------------------------------------------------------------------------

static char *catalogue_choice(json_t *choices, const char *name, const char *value) {
  char allowed[256] = "";
  size_t index, used = 0;
  json_t *choice;
  json_array_foreach(choices, index, choice) {
    const char *text = json_string_value(choice);
    if (!text) continue;
    if (strcmp(text, value) == 0) return cli_format("%s=%s", name, value);
    if (used < sizeof allowed)
      used +=
          (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", used ? ", " : "", text);
  }
  cli_error("parameter %s cannot be '%s'; use one of %s", name, value, allowed);
  return NULL;
}

static char *catalogue_number(json_t *param, const char *name, const char *value) {
  const json_int_t low = json_integer_value(json_object_get(param, "min"));
  const json_int_t high = json_integer_value(json_object_get(param, "max"));
  int64_t number;
  if (hs_parse_i64(value, &number) && number >= low && number <= high)
    return cli_format("%s=%" PRId64, name, number);
  cli_error("parameter %s cannot be '%s'; use a number from %lld to %lld", name, value,
            (long long)low, (long long)high);
  return NULL;
}

static char *catalogue_option(const char *name, const char *value, bool *known) {
  heap_config config = hs_config_default();
  char error[256];
  const hs_config_result result = hs_config_set(&config, name, value, error, sizeof error);
  *known = result != HS_CONFIG_UNKNOWN;
  if (result == HS_CONFIG_OK) return cli_format("%s=%s", name, value);
  if (result == HS_CONFIG_BAD_VALUE) cli_error("%s", error);
  return NULL;
}

static void catalogue_unknown_setting(json_t *workload, const char *name) {
  char names[512] = "";
  size_t index, used = 0, count;
  json_t *param;
  json_array_foreach(json_object_get(workload, "params"), index, param) {
    const char *text = json_string_value(json_object_get(param, "name"));
    if (text && used < sizeof names)
      used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", text);
  }
  if (used < sizeof names)
    used += (size_t)snprintf(names + used, sizeof names - used, "%sheap options ",
                             used ? "; " : "none; ");
  const hs_config_option *options = hs_config_options(&count);
  for (size_t i = 0; i < count && used < sizeof names; i++)
    used +=
        (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", options[i].name);
  cli_error("workload %s has no parameter '%s'; it has %s",
            json_string_value(json_object_get(workload, "name")), name, names);
}

char *catalogue_setting(json_t *workload, const char *assignment) {
  const char *equals = strchr(assignment, '=');
  if (!equals || equals == assignment) {
    cli_error("--set needs name=value, not '%s'", assignment);
    return NULL;
  }
  char *name = cli_format("%.*s", (int)(equals - assignment), assignment), *setting = NULL;
  const char *value = equals + 1;
  size_t index;
  json_t *param, *found = NULL;
  json_array_foreach(json_object_get(workload, "params"), index, param) {
    const char *text = json_string_value(json_object_get(param, "name"));
    if (text && strcmp(text, name) == 0) found = param;
  }
  bool known = true;
  if (found) {
    json_t *choices = json_object_get(found, "choices");
    setting =
        choices ? catalogue_choice(choices, name, value) : catalogue_number(found, name, value);
  } else {
    setting = catalogue_option(name, value, &known);
  }
  if (!known) catalogue_unknown_setting(workload, name);
  free(name);
  return setting;
}
