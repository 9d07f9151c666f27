// SPDX-License-Identifier: MIT
// heapduel time: whole-process times of one workload on some heaps, through hyperfine.
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/cli.h"
#include "harness/cli_options.h"
#include "harness/hyperfine.h"
#include "harness/record.h"
#include "harness/record_file.h"
#include "harness/row_options.h"
#include "harness/table.h"

typedef struct time_arguments {
  row_options rows;
  const char *json;
  int64_t runs, warmup;
} time_arguments;

enum { OPTION_RUNS = 1000, OPTION_WARMUP };

static const struct argp_option time_options[] = {
    {"runs", OPTION_RUNS, "N", 0, "timed runs per heap (default 10)", 0},
    {"warmup", OPTION_WARMUP, "N", 0, "runs before them that are not counted (default 1)", 0},
    {"json", 'j', "FILE", 0, "append the records to FILE; - is standard output", 0},
    {0}};

static error_t time_parse(int key, char *value, struct argp_state *state) {
  time_arguments *arguments = state->input;
  switch (key) {
  case ARGP_KEY_INIT:
    state->child_inputs[0] = &arguments->rows;
    return 0;
  case OPTION_RUNS:
    return row_number(state, "--runs", value, 1, 10000, &arguments->runs);
  case OPTION_WARMUP:
    return row_number(state, "--warmup", value, 0, 1000, &arguments->warmup);
  case 'j':
    arguments->json = value;
    return 0;
  case ARGP_KEY_ARG:
    if (state->arg_num > 0) {
      cli_error("one workload at a time; '%s' is too much", value);
      exit(EXIT_USAGE);
    }
    arguments->rows.workload = value;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const char *time_cell(const json_t *record, const char *name, char out[24]) {
  const json_t *value = json_object_get(json_object_get(record, "metrics"), name);
  return json_is_number(value) ? cli_time(json_number_value(value), out) : "-";
}

static void time_print(const json_t *records) {
  static const char *const names[] = {"process_mean_ns", "process_stddev_ns", "process_min_ns",
                                      "process_max_ns",  "process_user_ns",   "process_system_ns"};
  static const char *const titles[] = {"heap", "status", "mean", "sd",
                                       "min",  "max",    "user", "system"};
  enum { NAMES = sizeof names / sizeof names[0] };
  text_table table = {.columns = 0};
  table_row(&table, titles, NAMES + 2);
  size_t index;
  json_t *record;
  json_array_foreach(records, index, record) {
    char texts[NAMES][24];
    const char *cells[NAMES + 2] = {job_text(record, "heap"), job_text(record, "status")};
    for (size_t i = 0; i < NAMES; i++) cells[i + 2] = time_cell(record, names[i], texts[i]);
    table_row(&table, cells, NAMES + 2);
  }
  table_print(stdout, &table);
  table_free(&table);
}

static bool time_write(const char *path, const json_t *records) {
  size_t index;
  json_t *record;
  json_array_foreach(records, index, record) {
    if (strcmp(path, "-") == 0) {
      char *line = record_line(record);
      puts(line ? line : "");
      free(line);
    } else if (!record_file_append(path, record)) {
      cli_error("cannot write %s: %s", path, strerror(errno));
      return false;
    }
  }
  return true;
}

static int time_finish(const time_arguments *arguments, const json_t *records) {
  size_t index;
  json_t *record;
  if (!arguments->json || strcmp(arguments->json, "-") != 0) time_print(records);
  if (arguments->json && !time_write(arguments->json, records)) return EXIT_USAGE;
  json_array_foreach(records, index, record) {
    if (!job_is_good(record)) return EXIT_JOB_FAILED;
  }
  return EXIT_GOOD;
}

int command_time(int argc, char **argv) {
  static const struct argp_child children[] = {{&row_argp, 0, NULL, 0}, {NULL, 0, NULL, 0}};
  static const struct argp argp = {
      .options = time_options,
      .parser = time_parse,
      .args_doc = "WORKLOAD",
      .doc = "Time whole processes, start and exit included, with hyperfine.",
      .children = children};
  time_arguments arguments = {.rows = row_options_default(), .runs = 10, .warmup = 1};
  cli_parse(&argp, argc, argv, &arguments);
  if (!arguments.rows.workload)
    return cli_error("which workload? heapduel time WORKLOAD; 'heapduel list' names them");
  run_catalogue catalogue;
  if (!catalogue_load(&catalogue, cli_program_folder())) return EXIT_USAGE;
  row_selection rows;
  int code = EXIT_USAGE;
  if (!row_select(&arguments.rows, &catalogue, &rows)) goto free_catalogue;
  job_list list = {.jobs = NULL};
  for (size_t i = 0; i < rows.heap_count; i++) {
    run_job job = {.workload = arguments.rows.workload,
                   .heap = rows.heaps[i]->name,
                   .variant = "",
                   .set_count = rows.set_count,
                   .seed = (uint64_t)arguments.rows.seed};
    memcpy(job.sets, rows.sets, sizeof job.sets);
    job_list_add(&list, &job);
  }
  cli_catch_interrupts();
  char error[HYPERFINE_ERROR_BYTES];
  json_t *records =
      hyperfine_run(&list, &catalogue, arguments.runs, arguments.warmup, error, sizeof error);
  if (records)
    code = time_finish(&arguments, records);
  else if (error[0])
    code = cli_error("%s", error);
  else
    code = EXIT_INTERRUPTED;
  json_decref(records);
  job_list_free(&list);
  row_selection_free(&rows);
free_catalogue:
  catalogue_free(&catalogue);
  return code;
}
