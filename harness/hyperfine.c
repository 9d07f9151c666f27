// SPDX-License-Identifier: MIT
#include "harness/hyperfine.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/child.h"
#include "harness/cli.h"
#include "harness/record.h"

static const char hyperfine_program[] = "hyperfine";

// ---- commands -----------------------------------------------------------------------------------

char *hyperfine_quote(const char *word) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "_-./=,:+@%";
  if (word[0] && word[strspn(word, plain)] == 0) return cli_format("%s", word);
  // 'it'\''s': a quote ends the quoted part, is escaped, and begins it again.
  char *quoted = cli_allocate(4 * strlen(word) + 3), *at = quoted;
  *at++ = '\'';
  for (; *word; word++) {
    if (*word == '\'')
      at = stpcpy(at, "'\\''");
    else
      *at++ = *word;
  }
  *at = '\'';
  return quoted;
}

// The runner's command line as one string, its record thrown away.
static char *hyperfine_command(const run_job *job, const run_catalogue *catalogue) {
  const catalogue_heap *heap = catalogue_heap_find(catalogue, job->heap);
  char **argv = heap ? job_command(job, heap) : NULL;
  if (!argv) return NULL;
  char *command = cli_format("%s", "");
  for (size_t i = 0; argv[i]; i++) {
    const bool is_output = i > 0 && strcmp(argv[i - 1], "--json") == 0;
    char *word = hyperfine_quote(is_output ? "/dev/null" : argv[i]);
    char *longer = cli_format("%s%s%s", command, i ? " " : "", word);
    free(word);
    free(command);
    command = longer;
  }
  job_command_free(argv);
  return command;
}

static void hyperfine_version(char *out, size_t out_bytes) {
  char *const argv[] = {(char *)hyperfine_program, "--version", NULL};
  const child_request request = {.argv = argv, .timeout_ms = 10000}; // prints one line
  child_result result;
  child_run(&request, &result);
  snprintf(out, out_bytes, "%.*s", (int)strcspn(result.output, "\n"), result.output);
  child_result_free(&result);
}

// ---- reading the export -------------------------------------------------------------------------

// Seconds to ns; false when the member is missing or not a finite number (null for one run).
static bool hyperfine_ns(const json_t *object, const char *key, double *out) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_number(value) || !isfinite(json_number_value(value))) return false;
  *out = nearbyint(json_number_value(value) * 1e9);
  return true;
}

static json_t *hyperfine_metrics(const json_t *result, size_t run_count) {
  static const struct {
    const char *key, *name;
  } members[] = {{"mean", "process_mean_ns"},     {"stddev", "process_stddev_ns"},
                 {"median", "process_median_ns"}, {"min", "process_min_ns"},
                 {"max", "process_max_ns"},       {"user", "process_user_ns"},
                 {"system", "process_system_ns"}};
  json_t *metrics = json_object();
  double ns;
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
    if (hyperfine_ns(result, members[i].key, &ns))
      json_object_set_new(metrics, members[i].name, json_integer((json_int_t)ns));
  if (run_count > 0)
    json_object_set_new(metrics, "process_runs_count", json_integer((json_int_t)run_count));
  return metrics;
}

static json_t *hyperfine_times(const json_t *result) {
  json_t *times = json_array(), *value;
  size_t index;
  json_array_foreach(json_object_get(result, "times"), index, value) {
    if (json_is_number(value))
      json_array_append_new(times, json_integer((json_int_t)(json_number_value(value) * 1e9)));
  }
  return times;
}

// hyperfine goes on after a failing command when told so; the exit codes say that it failed.
static int hyperfine_exit_code(const json_t *result) {
  size_t index;
  json_t *value;
  json_array_foreach(json_object_get(result, "exit_codes"), index, value) {
    if (json_integer_value(value) != 0) return (int)json_integer_value(value);
    if (!json_is_integer(value)) return -1; // null: ended by a signal
  }
  return 0;
}

static json_t *hyperfine_record(const json_t *result, const run_job *job, json_t *workload,
                                const char *version) {
  json_t *params = job_params(job, workload);
  json_object_set_new(params, "workload", json_string(job->workload));
  json_t *times = hyperfine_times(result);
  const int code = hyperfine_exit_code(result);
  json_t *record =
      json_pack("{s:i,s:s,s:s,s:s,s:o,s:{},s:I,s:I,s:s,s:s,s:o,s:o,s:o}", "schema", RECORD_SCHEMA,
                "workload", "process_time", "heap", job->heap, "variant", job->variant, "params",
                params, "config", "seed", (json_int_t)job->seed, "block", (json_int_t)job->block,
                "status", code == 0 ? "ok" : "crashed", "tool", version, "metrics",
                hyperfine_metrics(result, json_array_size(times)), "times_ns", times, "environment",
                record_environment());
  if (code != 0) {
    char *reason = cli_format("a run ended with exit code %d", code);
    json_object_set_new(record, "reason", json_string(reason));
    free(reason);
  }
  run_job timed = *job;
  char *prefixed = cli_format("process_time:%s", job->workload);
  timed.workload = prefixed;
  char *key = job_key(&timed);
  json_object_set_new(record, "job", json_string(key));
  free(key);
  free(prefixed);
  return record;
}

json_t *hyperfine_records(const char *text, size_t bytes, const job_list *jobs,
                          const run_catalogue *catalogue, const char *version, char *error,
                          size_t error_bytes) {
  json_error_t problem;
  json_t *export = json_loadb(text, bytes, 0, &problem), *records = NULL;
  const json_t *results = json_object_get(export, "results");
  if (!json_is_array(results)) {
    snprintf(error, error_bytes, "hyperfine's exported file is not understood (%s)",
             export ? "it has no results" : problem.text);
  } else if (json_array_size(results) != jobs->count) {
    snprintf(error, error_bytes, "hyperfine exported %zu results for %zu commands",
             json_array_size(results), jobs->count);
  } else {
    records = json_array();
    for (size_t i = 0; i < jobs->count; i++) {
      const json_t *result = json_array_get(results, i);
      double mean_ns;
      if (hyperfine_ns(result, "mean", &mean_ns)) {
        json_array_append_new(
            records,
            hyperfine_record(result, &jobs->jobs[i],
                             catalogue_workload(catalogue, jobs->jobs[i].workload), version));
        continue;
      }
      snprintf(error, error_bytes, "hyperfine exported no mean time for command %zu", i + 1);
      json_decref(records);
      records = NULL;
      break;
    }
  }
  json_decref(export);
  return records;
}

// ---- running ------------------------------------------------------------------------------------

static char *hyperfine_read_file(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  enum { LIMIT = 16 << 20 }; // an export of thousands of runs stays far below 16 MiB
  char *text = cli_allocate(LIMIT);
  *bytes = fread(text, 1, LIMIT, file);
  fclose(file);
  return text;
}

static char **hyperfine_argv(const job_list *jobs, const run_catalogue *catalogue, int64_t runs,
                             int64_t warmup, const char *path) {
  char **argv = cli_allocate((jobs->count + 16) * sizeof *argv);
  size_t count = 0;
  argv[count++] = cli_format("%s", hyperfine_program);
  argv[count++] = cli_format("--shell=none");
  argv[count++] = cli_format("--style=none");
  argv[count++] = cli_format("--ignore-failure");
  argv[count++] = cli_format("--warmup=%" PRId64, warmup);
  argv[count++] = cli_format("--runs=%" PRId64, runs);
  argv[count++] = cli_format("--export-json=%s", path);
  for (size_t i = 0; i < jobs->count; i++) {
    char *command = hyperfine_command(&jobs->jobs[i], catalogue);
    if (command) argv[count++] = command;
  }
  return argv;
}

json_t *hyperfine_run(const job_list *jobs, const run_catalogue *catalogue, int64_t runs,
                      int64_t warmup, char *error, size_t error_bytes) {
  error[0] = 0;
  if (!cli_can_execute(hyperfine_program)) {
    snprintf(error, error_bytes, "hyperfine is missing: apt-get install hyperfine");
    return NULL;
  }
  const char *folder = getenv("TMPDIR");
  char *path = cli_format("%s/heapduel-XXXXXX", folder && folder[0] ? folder : "/tmp");
  const int fd = mkstemp(path);
  json_t *records = NULL;
  if (fd < 0) {
    snprintf(error, error_bytes, "cannot create %s: %s", path, strerror(errno));
    free(path);
    return NULL;
  }
  close(fd);
  char version[HYPERFINE_NAME_BYTES];
  hyperfine_version(version, sizeof version);
  char **argv = hyperfine_argv(jobs, catalogue, runs, warmup, path);
  const child_request request = {.argv = argv};
  child_result result;
  child_run(&request, &result);
  size_t bytes = 0;
  char *text = result.exit_code == 0 ? hyperfine_read_file(path, &bytes) : NULL;
  if (text)
    records = hyperfine_records(text, bytes, jobs, catalogue, version, error, error_bytes);
  else if (!result.interrupted)
    snprintf(error, error_bytes, "hyperfine failed with exit code %d: %s", result.exit_code,
             result.last_error_line);
  free(text);
  child_result_free(&result);
  job_command_free(argv);
  unlink(path);
  free(path);
  return records;
}
