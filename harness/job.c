// SPDX-License-Identifier: MIT
#include "harness/job.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/runtime/config.h"
#include "harness/child.h"
#include "harness/cli.h"
#include "harness/record.h"

// ---- names --------------------------------------------------------------------------------------

static int job_compare_sets(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *job_joined_sets(const run_job *job) {
  const char *sets[JOB_SETS];
  memcpy(sets, job->sets, sizeof sets);
  qsort(sets, job->set_count, sizeof sets[0], job_compare_sets);
  char *joined = cli_format("%s", "");
  for (size_t i = 0; i < job->set_count; i++) {
    char *longer = cli_format("%s%s%s", joined, i ? " " : "", sets[i]);
    free(joined);
    joined = longer;
  }
  return joined;
}

char *job_key(const run_job *job) {
  char *sets = job_joined_sets(job);
  char *key = cli_format("%s|%s|%s|%s|%" PRIu64 "|%" PRIu64, job->workload, job->heap, job->variant,
                         sets, job->seed, job->block);
  free(sets);
  return key;
}

char *job_title(const run_job *job) {
  char *sets = job_joined_sets(job);
  char *title =
      cli_format("%s on %s%s%s%s%s%s", job->workload, job->heap, job->variant[0] ? " " : "",
                 job->variant, sets[0] ? " (" : "", sets, sets[0] ? ")" : "");
  free(sets);
  return title;
}

const char *job_text(const json_t *record, const char *key) {
  const char *text = json_string_value(json_object_get(record, key));
  return text ? text : "";
}

bool job_is_good(const json_t *record) {
  const char *status = job_text(record, "status");
  return strcmp(status, "ok") == 0 || strcmp(status, "skipped") == 0;
}

// ---- the list -----------------------------------------------------------------------------------

void job_list_add(job_list *list, const run_job *job) {
  if (list->count == list->capacity) {
    list->capacity = list->capacity ? 2 * list->capacity : 64;
    list->jobs = realloc(list->jobs, list->capacity * sizeof *list->jobs);
    if (!list->jobs) {
      cli_error("out of memory");
      exit(EXIT_JOB_FAILED);
    }
  }
  run_job *copy = &list->jobs[list->count++];
  *copy = *job;
  copy->workload = cli_format("%s", job->workload);
  copy->heap = cli_format("%s", job->heap);
  copy->variant = cli_format("%s", job->variant);
  copy->timeline = job->timeline ? cli_format("%s", job->timeline) : NULL;
  for (size_t i = 0; i < job->set_count; i++) copy->sets[i] = cli_format("%s", job->sets[i]);
}

void job_list_free(job_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    run_job *job = &list->jobs[i];
    free((char *)job->workload);
    free((char *)job->heap);
    free((char *)job->variant);
    free((char *)job->timeline);
    for (size_t s = 0; s < job->set_count; s++) free((char *)job->sets[s]);
  }
  free(list->jobs);
  *list = (job_list){.jobs = NULL};
}

// ---- running ------------------------------------------------------------------------------------

static void job_push(char **argv, size_t *count, const char *option, char *value) {
  argv[(*count)++] = cli_format("%s", option);
  if (value) argv[(*count)++] = value;
}

// A setting as the runner takes it, malloc'ed. Reference programs know the options of our heaps as
// numbers only, to keep them in the record.
static char *job_setting(const char *set, const catalogue_heap *heap) {
  char *name = cli_format("%.*s", (int)strcspn(set, "="), set), *number = NULL, ignored[1];
  heap_config config = hs_config_default();
  if (catalogue_is_reference(heap) && strchr(set, '=') &&
      hs_config_set(&config, name, strchr(set, '=') + 1, ignored, sizeof ignored) == HS_CONFIG_OK) {
#define JOB_OPTION(field, option, fallback, low, high, words, help)                                \
  if (strcmp(name, option) == 0) number = cli_format("%s=%" PRId64, name, config.field);
    HEAP_CONFIG_LIST(JOB_OPTION)
#undef JOB_OPTION
  }
  free(name);
  return number ? number : cli_format("%s", set);
}

// What a variant sets; others are labels.
static const char *job_variant_setting(const char *variant) {
  if (strcmp(variant, "stock") == 0) return "stock=1";
  return strcmp(variant, "stw") == 0 ? "gc=stw" : NULL;
}

char **job_command(const run_job *job, const catalogue_heap *heap) {
  const bool outline = strcmp(job->variant, "outline") == 0, ours = !catalogue_is_reference(heap);
  if (outline && !heap->outline) return NULL;
  char **argv = cli_allocate((2 * JOB_SETS + 24) * sizeof *argv);
  size_t count = 0;
  job_push(argv, &count, outline ? heap->outline : heap->program, NULL);
  job_push(argv, &count, "--workload", cli_format("%s", job->workload));
  for (size_t i = 0; i < job->set_count; i++)
    job_push(argv, &count, "--set", job_setting(job->sets[i], heap));
  const char *setting = job_variant_setting(job->variant);
  if (setting) job_push(argv, &count, "--set", job_setting(setting, heap));
  job_push(argv, &count, "--seed", cli_format("%" PRIu64, job->seed));
  job_push(argv, &count, "--block", cli_format("%" PRIu64, job->block));
  job_push(argv, &count, "--variant", cli_format("%s", job->variant));
  job_push(argv, &count, "--json", cli_format("-"));
  // Reference programs sample what their runtime offers; none draws its pages or logs its events.
  if (job->sample_ms > 0)
    job_push(argv, &count, "--sample-ms", cli_format("%" PRIu64, job->sample_ms));
  if (job->map && ours) job_push(argv, &count, "--map", NULL);
  if (job->timeline && ours) job_push(argv, &count, "--timeline", cli_format("%s", job->timeline));
  return argv;
}

void job_command_free(char **argv) {
  for (size_t i = 0; argv && argv[i]; i++) free(argv[i]);
  free(argv);
}

static json_t *job_setting_value(const char *text) {
  char *end;
  const long long number = strtoll(text, &end, 10);
  return *end || end == text ? json_string(text) : json_integer(number);
}

json_t *job_params(const run_job *job, json_t *workload) {
  json_t *params = json_object(), *param;
  size_t index;
  json_array_foreach(json_object_get(workload, "params"), index, param) {
    json_object_set(params, job_text(param, "name"), json_object_get(param, "default"));
  }
  for (size_t i = 0; i < job->set_count; i++) {
    const char *equals = strchr(job->sets[i], '=');
    char *name = cli_format("%.*s", (int)(equals - job->sets[i]), job->sets[i]);
    // What is no parameter is an option of the heap, and not part of the scenario.
    if (json_object_get(params, name))
      json_object_set_new(params, name, job_setting_value(equals + 1));
    free(name);
  }
  return params;
}

// A record for a job whose process did not write one.
static json_t *job_failure(const run_job *job, json_t *workload, const char *status,
                           const char *reason) {
  // json_string fails on text that is not UTF-8; a reason must not be lost for that.
  json_t *text = json_string(reason);
  if (!text) text = json_string("its error message is not valid UTF-8");
  return json_pack("{s:i,s:s,s:s,s:s,s:o,s:{},s:I,s:I,s:s,s:o,s:o}", "schema", RECORD_SCHEMA,
                   "workload", job->workload, "heap", job->heap, "variant", job->variant, "params",
                   job_params(job, workload), "config", "seed", (json_int_t)job->seed, "block",
                   (json_int_t)job->block, "status", status, "reason", text, "environment",
                   record_environment());
}

// What the process ending without a usable record means.
static json_t *job_explain(const run_job *job, json_t *workload, const child_result *result) {
  char *reason;
  const char *status = "crashed", *line = result->last_error_line;
  const char *separator = line[0] ? ": " : "";
  if (result->timed_out) {
    status = "timeout";
    reason = cli_format("no result within %.0f s", (double)job->timeout_ms / 1000);
  } else if (result->start_error) {
    reason = cli_format("cannot start: %s", strerror(result->start_error));
  } else if (result->signal == SIGKILL) {
    status = "oom"; // nobody but the kernel's out-of-memory killer sends it
    reason = cli_format("signal 9: killed, most likely for lack of memory");
  } else if (result->signal) {
    reason = cli_format("signal %d%s%s", result->signal, separator, line);
  } else {
    status = result->exit_code == EXIT_GOOD ? "invalid" : "crashed";
    reason = cli_format("exit code %d without a record%s%s", result->exit_code, separator, line);
  }
  json_t *record = job_failure(job, workload, status, reason);
  free(reason);
  return record;
}

static bool job_is_record_of(const json_t *record, const run_job *job) {
  return json_is_object(record) && strcmp(job_text(record, "workload"), job->workload) == 0 &&
         strcmp(job_text(record, "heap"), job->heap) == 0 && job_text(record, "status")[0];
}

json_t *job_run(const run_job *job, const run_catalogue *catalogue) {
  const catalogue_heap *heap = catalogue_heap_find(catalogue, job->heap);
  char **argv = heap ? job_command(job, heap) : NULL;
  json_t *workload = catalogue_workload(catalogue, job->workload), *record;
  if (!argv) {
    record = job_failure(job, workload, "skipped", "needs a runner that is not built");
  } else {
    const child_request request = {.argv = argv,
                                   .timeout_ms = job->timeout_ms,
                                   .padding_bytes = job->padding_bytes,
                                   .copy_stderr = job->copy_stderr};
    child_result result;
    child_run(&request, &result);
    if (result.interrupted) {
      child_result_free(&result);
      job_command_free(argv);
      return NULL;
    }
    const bool ended = !result.timed_out && !result.signal && !result.start_error;
    record = ended ? json_loads(result.output, 0, NULL) : NULL;
    if (!job_is_record_of(record, job)) {
      json_decref(record);
      record = job_explain(job, workload, &result);
    }
    child_result_free(&result);
  }
  job_command_free(argv);
  char *key = job_key(job);
  json_object_set_new(record, "job", json_string(key));
  json_object_set_new(record, "env_padding_bytes", json_integer((json_int_t)job->padding_bytes));
  json_object_set_new(record, "order_seed", json_integer((json_int_t)job->order_seed));
  free(key);
  return record;
}
