// SPDX-License-Identifier: MIT
// The seed programs in terms of the counted heap, and the record. Command line and record are those
// of the runners (harness/record.md); the numbers are above the baseline, which is zero here.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/reference/model/model_args.h"
#include "workloads/reference/model/model_heap.h"

enum { POINTER_BYTES = 8 };

typedef struct model_run {
  const model_args *args;
  model_heap heap;
  json_t *stages;
} model_run;

static uint64_t param(const model_run *run, const char *name) {
  return model_args_value(run->args, name);
}

static void stage(model_run *run, const char *name, uint64_t live_bytes) {
  const model_totals totals = model_measure(&run->heap);
  json_array_append_new(
      run->stages,
      json_pack("{s:s,s:I,s:I,s:I,s:I,s:I}", "name", name, "live_bytes", (json_int_t)live_bytes,
                "heap_usage_bytes", (json_int_t)totals.usage_bytes, "heap_inuse_bytes",
                (json_int_t)totals.usage_bytes, "heap_alloc_bytes", (json_int_t)totals.alloc_bytes,
                "max_fragmentation_bytes", (json_int_t)(totals.usage_bytes - totals.alloc_bytes)));
}

static uint64_t kept_count(const model_run *run) {
  return (param(run, "count") - 1) / param(run, "step") + 1;
}

static uint64_t live_bytes(uint64_t count, uint64_t size) { return count * (POINTER_BYTES + size); }

static model_batch allocate_table(model_run *run, uint64_t count) {
  return model_allocate(&run->heap, 1, count * POINTER_BYTES, true);
}

static model_batch allocate_objects(model_run *run) {
  return model_allocate(&run->heap, param(run, "count"), param(run, "size"), false);
}

static void model_seed_array(model_run *run) {
  const uint64_t bytes = param(run, "count") * param(run, "size");
  stage(run, "1", 0);
  model_batch array = model_allocate(&run->heap, 1, bytes, false);
  stage(run, "2", bytes);
  stage(run, "3", bytes); // the element holds the array
  model_drop(&array);
  stage(run, "4", 0);
}

static void model_seed_pointers(model_run *run) {
  const uint64_t count = param(run, "count"), size = param(run, "size");
  stage(run, "1", 0);
  model_batch table = allocate_table(run, count), objects = allocate_objects(run);
  stage(run, "2", live_bytes(count, size));
  model_keep(&objects, count);
  model_drop(&table);
  stage(run, "3", size);
  model_drop(&objects);
}

// Points 1 to 3 of Example 3, and the step table, which names its stages otherwise.
static void allocate_and_keep(model_run *run, model_batch *objects, model_batch *kept,
                              const char *const names[3]) {
  const uint64_t count = param(run, "count"), size = param(run, "size");
  stage(run, names[0], 0);
  model_batch table = allocate_table(run, count);
  *objects = allocate_objects(run);
  if (names[1]) stage(run, names[1], live_bytes(count, size));
  *kept = allocate_table(run, kept_count(run));
  model_keep(objects, param(run, "step"));
  model_drop(&table);
  stage(run, names[2], live_bytes(kept_count(run), size));
}

static void model_seed_pathological(model_run *run) {
  const uint64_t next_count = param(run, "next_count"), next_size = param(run, "next_size");
  model_batch objects, kept;
  allocate_and_keep(run, &objects, &kept, (const char *const[]){"1", "2", "3"});
  model_batch table = allocate_table(run, next_count);
  model_batch next = model_allocate(&run->heap, next_count, next_size, false);
  stage(run, "4",
        live_bytes(kept_count(run), param(run, "size")) + live_bytes(next_count, next_size));
  model_drop(&next), model_drop(&table), model_drop(&kept), model_drop(&objects);
}

static void model_seed_step(model_run *run) {
  model_batch objects, kept;
  allocate_and_keep(run, &objects, &kept, (const char *const[]){"baseline", NULL, "kept"});
  model_drop(&kept), model_drop(&objects);
}

static void model_seed_copy(model_run *run) {
  model_batch objects, kept;
  allocate_and_keep(run, &objects, &kept, (const char *const[]){"1", "2", "3"});
  model_batch copies = model_allocate(&run->heap, kept_count(run), param(run, "size"), false);
  model_drop(&objects);
  stage(run, "4", live_bytes(kept_count(run), param(run, "size")));
  model_drop(&copies), model_drop(&kept);
}

static const struct {
  const char *workload;
  void (*run)(model_run *run);
} model_programs[] = {
    {"seed_array", model_seed_array},
    {"seed_pointers", model_seed_pointers},
    {"seed_pathological", model_seed_pathological},
    {"seed_step", model_seed_step},
    {"seed_copy", model_seed_copy},
};
enum { MODEL_PROGRAMS = sizeof model_programs / sizeof model_programs[0] };

static json_t *model_record(const model_args *args) {
  json_t *record = json_pack("{s:i,s:i,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:o,s:o,s:{}}", "schema", 1,
                             "contract", 1, "workload", args->workload, "heap", "model", "variant",
                             args->variant, "heap_version", "Go 1.21 size classes", "heap_settings",
                             "numbers above the baseline", "seed", (json_int_t)args->seed, "block",
                             (json_int_t)args->block, "params", model_args_params_json(args),
                             "config", json_deep_copy(args->config), "environment");
  model_run run = {.args = args, .stages = json_array()};
  size_t at = 0;
  while (at < MODEL_PROGRAMS && strcmp(model_programs[at].workload, args->workload) != 0) at++;
  if (at == MODEL_PROGRAMS) {
    json_object_set_new(record, "status", json_string("skipped"));
    json_object_set_new(record, "reason", json_string("no closed form"));
    json_decref(run.stages);
    return record;
  }
  model_programs[at].run(&run);
  model_heap_free(&run.heap);
  json_object_set_new(record, "status", json_string("ok"));
  json_object_set_new(record, "stages", run.stages);
  json_object_set_new(record, "metrics", json_object());
  return record;
}

static bool model_write(const char *path, const json_t *json) {
  const bool to_file = strcmp(path, "-") != 0;
  FILE *out = to_file ? fopen(path, "a") : stdout;
  bool good = out && json_dumpf(json, out, JSON_COMPACT | JSON_SORT_KEYS) == 0 &&
              fputc('\n', out) != EOF && fflush(out) == 0;
  if (out && to_file) good = fclose(out) == 0 && good;
  if (!good) fprintf(stderr, "run_model: cannot write the record to %s\n", path);
  return good;
}

int main(int argc, char **argv) {
  model_args args;
  const int code = model_args_parse(&args, argc, argv);
  if (code != MODEL_ARGS_RUN) {
    model_args_free(&args);
    return code == MODEL_ARGS_DONE ? 0 : code;
  }
  json_t *record = model_record(&args);
  const bool written = model_write(args.json, record);
  json_decref(record);
  model_args_free(&args);
  return written ? 0 : 3;
}
