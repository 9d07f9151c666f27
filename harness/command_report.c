// SPDX-License-Identifier: MIT
// heapduel report: run the default comparison, keep every record, render the report.
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocators/os/os.h"
#include "harness/cli.h"
#include "harness/hyperfine.h"
#include "harness/plan.h"
#include "harness/record_file.h"
#include "harness/row_options.h"
#include "harness/schedule.h"
#include "reports/report.h"

typedef struct report_arguments {
  bool quick, resume, no_times;
  const char *out, *records, *title;
  int64_t blocks, seed;
} report_arguments;

enum {
  OPTION_QUICK = 1000,
  OPTION_RESUME,
  OPTION_RECORDS,
  OPTION_BLOCKS,
  OPTION_SEED,
  OPTION_TITLE
};
enum { REPORT_ERROR_BYTES = 512, REPORT_FOLDERS = 10000 };

static const struct argp_option report_options_list[] = {
    {"out", 'o', "DIR", 0, "folder of the report (default: the next free out/report-N)", 0},
    {"quick", OPTION_QUICK, NULL, 0, "under a minute: smaller parameters, 3 blocks", 0},
    {"blocks", OPTION_BLOCKS, "N", 0, "repeat timed rows N times, however long it takes", 0},
    {"seed", OPTION_SEED, "N", 0, "seed of the workloads and of the order (default 1)", 0},
    {"resume", OPTION_RESUME, NULL, 0, "go on with an interrupted report in DIR", 0},
    {"records", OPTION_RECORDS, "FILE", 0, "run nothing: render these records", 0},
    {"title", OPTION_TITLE, "TEXT", 0, "heading of the report", 0},
    {0}};

static error_t report_parse(int key, char *value, struct argp_state *state) {
  report_arguments *arguments = state->input;
  switch (key) {
  case 'o':
    arguments->out = value;
    return 0;
  case OPTION_QUICK:
    arguments->quick = true;
    return 0;
  case OPTION_RESUME:
    arguments->resume = true;
    return 0;
  case OPTION_RECORDS:
    arguments->records = value;
    return 0;
  case OPTION_TITLE:
    arguments->title = value;
    return 0;
  case OPTION_BLOCKS:
    return row_number(state, "--blocks", value, 1, 1000, &arguments->blocks);
  case OPTION_SEED:
    return row_number(state, "--seed", value, 0, INT64_MAX, &arguments->seed);
  case ARGP_KEY_ARG:
    cli_error("report takes no argument; '%s' is too much (the folder is -o DIR)", value);
    exit(EXIT_USAGE);
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

// ---- folders ------------------------------------------------------------------------------------

static bool report_make_folder(const char *path) {
  char *copy = cli_format("%s", path);
  bool good = true;
  for (char *at = copy + 1; good && *at; at++) {
    if (*at != '/') continue;
    *at = 0;
    good = mkdir(copy, 0777) == 0 || errno == EEXIST;
    *at = '/';
  }
  good = good && (mkdir(copy, 0777) == 0 || errno == EEXIST);
  free(copy);
  if (good && access(path, W_OK | X_OK) == 0) return true;
  cli_error("cannot write to folder %s: %s; choose another with -o DIR", path, strerror(errno));
  return false;
}

// out/report-N with the smallest N that is not taken. malloc'ed, or NULL after one line.
static char *report_new_folder(void) {
  if (!report_make_folder("out")) return NULL;
  for (int n = 1; n < REPORT_FOLDERS; n++) {
    char *path = cli_format("out/report-%d", n);
    if (mkdir(path, 0777) == 0) return path;
    const int error = errno;
    free(path);
    if (error == EEXIST) continue;
    cli_error("cannot create out/report-%d: %s; choose a folder with -o DIR", n, strerror(error));
    return NULL;
  }
  cli_error("out/ is full of reports; choose a folder with -o DIR");
  return NULL;
}

// ---- running ------------------------------------------------------------------------------------

typedef struct report_state {
  const report_arguments *arguments;
  const run_catalogue *catalogue;
  char *records;    // path
  json_t *finished; // of an interrupted report, or NULL
  plan_limits limits;
  uint64_t begin_ns;
  bool failed; // a job has
  run_progress progress;
} report_state;

static double report_spent_s(const report_state *state) {
  return (double)(hs_os_now_ns() - state->begin_ns) / 1e9;
}

static bool report_take(void *context, const run_job *job, json_t *record) {
  (void)job;
  const report_state *state = context;
  if (record_file_append(state->records, record)) return true;
  cli_error("cannot write %s: %s", state->records, strerror(errno));
  return false;
}

// Whole-process times: as many runs as fit the time set aside, judged by a first pass of one.
static schedule_result report_processes(report_state *state) {
  job_list list = {.jobs = NULL};
  plan_processes(state->catalogue, state->arguments->quick, (uint64_t)state->arguments->seed,
                 &list);
  // Done before the interruption? One key tells: they are appended together.
  char error[HYPERFINE_ERROR_BYTES];
  schedule_result result = SCHEDULE_OK;
  size_t index;
  json_t *record, *records = NULL;
  json_array_foreach(state->finished, index, record) {
    if (strcmp(job_text(record, "workload"), "process_time") == 0) goto free_list;
  }
  progress_job(&state->progress, "whole-process times (hyperfine)");
  const uint64_t begin_ns = hs_os_now_ns();
  records = hyperfine_run(&list, state->catalogue, 1, 0, error, sizeof error);
  const double pass_s = (double)(hs_os_now_ns() - begin_ns) / 1e9;
  const double fit = (state->limits.process_s - pass_s) / (pass_s > 0 ? pass_s : 1);
  int64_t runs = fit < 1 ? 1 : (int64_t)fit;
  if (runs > state->limits.process_runs) runs = state->limits.process_runs;
  if (records && runs > 1) {
    json_decref(records);
    records = hyperfine_run(&list, state->catalogue, runs, 0, error, sizeof error);
  }
  if (!records && !error[0]) result = SCHEDULE_INTERRUPTED;
  if (!records && error[0]) {
    progress_clear(&state->progress);
    cli_error("no whole-process times in this report: %s", error);
  }
  json_array_foreach(records, index, record) {
    if (!report_take(state, NULL, record)) result = SCHEDULE_STOPPED;
    if (result == SCHEDULE_STOPPED) break;
  }
free_list:
  json_decref(records);
  job_list_free(&list);
  return result;
}

static schedule_result report_block(report_state *state, uint64_t block) {
  const report_arguments *arguments = state->arguments;
  job_list list = {.jobs = NULL};
  plan_block(state->catalogue, arguments->quick, (uint64_t)arguments->seed, block, &list);
  schedule_shuffle(&list, (uint64_t)arguments->seed, block);
  const schedule_result result = schedule_run(&list, state->catalogue, state->finished,
                                              &state->progress, plan_cost, report_take, state);
  job_list_free(&list);
  return result;
}

// Jobs and expected seconds of `blocks` blocks.
static size_t report_count(const report_state *state, uint64_t blocks, double *cost) {
  size_t total = 0;
  *cost = 0;
  for (uint64_t block = 0; block < blocks; block++) {
    job_list list = {.jobs = NULL};
    plan_block(state->catalogue, state->arguments->quick, (uint64_t)state->arguments->seed, block,
               &list);
    total += list.count;
    for (size_t i = 0; i < list.count; i++) *cost += plan_cost(&list.jobs[i]);
    job_list_free(&list);
  }
  return total;
}

// Whether another block like the last one still fits the promised time.
static bool report_fits(const report_state *state, double block_s) {
  if (state->arguments->blocks > 0) return true; // asked for by number
  return report_spent_s(state) + block_s + state->limits.reserve_s <= state->limits.budget_s;
}

static schedule_result report_blocks(report_state *state) {
  const uint64_t blocks =
      state->arguments->blocks > 0 ? (uint64_t)state->arguments->blocks : state->limits.blocks;
  double cost, block_s = 0;
  const size_t total = report_count(state, blocks, &cost);
  progress_begin(&state->progress, stderr, total, cost);
  schedule_result result = SCHEDULE_OK;
  for (uint64_t block = 0; block < blocks; block++) {
    if (block > 0 && !report_fits(state, block_s)) break;
    const double before_s = report_spent_s(state);
    result = report_block(state, block);
    if (result == SCHEDULE_JOB_FAILED) state->failed = true, result = SCHEDULE_OK;
    if (result == SCHEDULE_OK && block == 0) result = report_processes(state);
    if (result != SCHEDULE_OK) break;
    if (block > 0) block_s = report_spent_s(state) - before_s;
  }
  progress_end(&state->progress);
  return result;
}

// ---- the parts of the command -------------------------------------------------------------------

static int report_render_all(const report_arguments *arguments, const char *records,
                             const char *out) {
#ifndef SUITE_RENDERS
  (void)arguments;
  printf("records: %s (out %s); rendering is not built\n", records, out);
  return EXIT_GOOD;
#else
  char error[REPORT_ERROR_BYTES];
  const report_options options = {.records = records, .out = out, .title = arguments->title};
  const report_status status = report_render(&options, error, sizeof error);
  if (status != REPORT_OK) return cli_error("%s", error);
  if (report_summary(records, stdout, error, sizeof error) != REPORT_OK)
    return cli_error("%s", error);
  printf("\n%s/report.md\n", out);
  return EXIT_GOOD;
#endif
}

// What an earlier, interrupted report left; failed rows are taken out so that they run again.
static bool report_load_finished(report_state *state) {
  char error[RECORD_FILE_ERROR_BYTES];
  const bool exists = access(state->records, F_OK) == 0;
  if (!exists) return true;
  if (!state->arguments->resume) {
    cli_error("%s exists already; go on with --resume, render it with --records, or choose another "
              "folder",
              state->records);
    return false;
  }
  json_t *all = record_file_read(state->records, error, sizeof error), *record;
  if (!all) {
    cli_error("%s", error);
    return false;
  }
  state->finished = json_array();
  size_t index;
  json_array_foreach(all, index, record) {
    if (job_is_good(record)) json_array_append(state->finished, record);
  }
  json_decref(all);
  if (record_file_replace(state->records, state->finished)) return true;
  cli_error("cannot write %s: %s", state->records, strerror(errno));
  return false;
}

static int report_run(const report_arguments *arguments, const char *out) {
  run_catalogue catalogue;
  if (!catalogue_load(&catalogue, cli_program_folder())) return EXIT_USAGE;
  report_state state = {.arguments = arguments,
                        .catalogue = &catalogue,
                        .records = cli_format("%s/records.jsonl", out),
                        .limits = plan_limits_of(arguments->quick),
                        .begin_ns = hs_os_now_ns()};
  int code = EXIT_USAGE;
  if (!report_make_folder(out) || !report_load_finished(&state)) goto free_state;
  cli_catch_interrupts();
  switch (report_blocks(&state)) {
  case SCHEDULE_INTERRUPTED:
    cli_error("interrupted; go on with: heapduel report --resume%s -o %s",
              arguments->quick ? " --quick" : "", out);
    code = EXIT_INTERRUPTED;
    break;
  case SCHEDULE_STOPPED:
    code = EXIT_USAGE;
    break;
  default:
    code = report_render_all(arguments, state.records, out);
    if (code == EXIT_GOOD && state.failed) code = EXIT_JOB_FAILED;
  }
free_state:
  json_decref(state.finished);
  free(state.records);
  catalogue_free(&catalogue);
  return code;
}

int command_report(int argc, char **argv) {
  static const struct argp argp = {
      .options = report_options_list,
      .parser = report_parse,
      .doc = "Run the default comparison (at most 3 minutes on 2 cores), keep every record in "
             "DIR/records.jsonl and write DIR/report.md.\v"
             "Exit codes: 0 ok, 2 usage, 3 a run failed (the report says which), 130 interrupted "
             "(go on with --resume)."};
  report_arguments arguments = {.seed = 1};
  argp_parse(&argp, argc, argv, 0, NULL, &arguments);
  if (arguments.resume && !arguments.out)
    return cli_error("--resume needs the folder of the interrupted report: -o DIR");
  if (arguments.resume && arguments.records)
    return cli_error("--records renders only; it cannot be combined with --resume");
  char *made = arguments.out ? NULL : report_new_folder();
  const char *out = arguments.out ? arguments.out : made;
  if (!out) return EXIT_USAGE;
  const int code = arguments.records ? report_render_all(&arguments, arguments.records, out)
                                     : report_run(&arguments, out);
  free(made);
  return code;
}
