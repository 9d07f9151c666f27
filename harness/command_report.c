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
#include "harness/cli_options.h"
#include "harness/hyperfine.h"
#include "harness/plan.h"
#include "harness/record_file.h"
#include "harness/report_plan.h"
#include "harness/row_options.h"
#include "harness/schedule.h"
#include "reports/report.h"

typedef struct report_arguments {
  report_plan plan;
  report_stated stated;
  bool resume;
  const char *out, *records, *title;
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
    arguments->plan.quick = arguments->stated.quick = true;
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
    arguments->stated.blocks = true;
    return row_number(state, "--blocks", value, 1, 1000, &arguments->plan.blocks);
  case OPTION_SEED:
    arguments->stated.seed = true;
    return row_number(state, "--seed", value, 0, INT64_MAX, &arguments->plan.seed);
  case ARGP_KEY_ARG:
    cli_error("report takes no argument; '%s' is too much (the folder is -o DIR)", value);
    exit(EXIT_USAGE);
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

// ---- folders ------------------------------------------------------------------------------------

// out/report-N with the smallest N that is not taken. malloc'ed, or NULL after one line.
static char *report_new_folder(void) {
  if (!cli_make_folder("out")) return NULL;
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
  report_plan plan;
  bool resume;
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

// Whether an interrupted report has the whole-process times already; they are appended together.
static bool report_has_processes(const json_t *finished) {
  size_t index;
  json_t *record;
  json_array_foreach(finished, index, record) {
    if (strcmp(job_text(record, "workload"), "process_time") == 0) return true;
  }
  return false;
}

// As many runs as fit `left_s`, judged by a first pass of one. NULL: see hyperfine_run.
static json_t *report_time_processes(report_state *state, const job_list *list, double left_s,
                                     char *error) {
  const uint64_t begin_ns = hs_os_now_ns();
  json_t *records = hyperfine_run(list, state->catalogue, 1, 0, error, HYPERFINE_ERROR_BYTES);
  const double pass_s = (double)(hs_os_now_ns() - begin_ns) / 1e9;
  const double fit = pass_s > 0 ? left_s / pass_s - 1 : 1;
  const int64_t most = state->limits.process_runs;
  const int64_t runs = fit >= (double)most ? most : (int64_t)fit;
  if (!records || runs <= 1) return records;
  json_decref(records);
  return hyperfine_run(list, state->catalogue, runs, 0, error, HYPERFINE_ERROR_BYTES);
}

static schedule_result report_processes(report_state *state) {
  const plan_limits *limits = &state->limits;
  double left_s = limits->budget_s - limits->reserve_s - report_spent_s(state);
  if (left_s > limits->process_s || state->plan.blocks > 0) left_s = limits->process_s;
  if (report_has_processes(state->finished)) return SCHEDULE_OK;
  progress_job(&state->progress, "whole-process times (hyperfine)");
  job_list list = {.jobs = NULL};
  plan_processes(state->catalogue, state->plan.quick, (uint64_t)state->plan.seed, &list);
  char error[HYPERFINE_ERROR_BYTES] = "the other runs took all the time";
  json_t *record, *records = NULL;
  if (list.count > 0 && left_s > 0) records = report_time_processes(state, &list, left_s, error);
  schedule_result result = SCHEDULE_OK;
  if (!records && list.count > 0) {
    if (!error[0]) result = SCHEDULE_INTERRUPTED;
    progress_clear(&state->progress);
    if (error[0]) cli_error("no whole-process times in this report: %s", error);
  }
  size_t index;
  json_array_foreach(records, index, record) {
    if (result == SCHEDULE_OK && !report_take(state, NULL, record)) result = SCHEDULE_STOPPED;
  }
  json_decref(records);
  job_list_free(&list);
  return result;
}

static schedule_result report_block(report_state *state, uint64_t block) {
  const report_plan *plan = &state->plan;
  job_list list = {.jobs = NULL};
  plan_block(state->catalogue, plan->quick, (uint64_t)plan->seed, block, &list);
  schedule_shuffle(&list, (uint64_t)plan->seed, block);
  const schedule_result result = schedule_run(&list, state->catalogue, state->finished,
                                              &state->progress, plan_cost, report_take, state);
  job_list_free(&list);
  return result;
}

// Jobs of a block, and their expected seconds on the machine that the plan's costs come from.
static size_t report_block_jobs(const report_state *state, uint64_t block, double *cost) {
  job_list list = {.jobs = NULL};
  plan_block(state->catalogue, state->plan.quick, (uint64_t)state->plan.seed, block, &list);
  *cost = 0;
  for (size_t i = 0; i < list.count; i++) *cost += plan_cost(&list.jobs[i]);
  const size_t count = list.count;
  job_list_free(&list);
  return count;
}

// How many blocks from `block` on will be run, judged by the speed so far. Block 0 always is.
static uint64_t report_blocks_left(const report_state *state, uint64_t block, double left_s) {
  const report_plan *plan = &state->plan;
  if (plan->blocks > 0) return (uint64_t)plan->blocks - block;
  double cost, first_s = 0;
  const double speed =
      state->progress.done_cost > 0 ? report_spent_s(state) / state->progress.done_cost : 1.0;
  if (block == 0) {
    report_block_jobs(state, 0, &first_s);
    first_s = first_s * speed + state->limits.process_s;
  }
  report_block_jobs(state, 1, &cost);
  const double fit = cost > 0 ? (left_s - first_s) / (cost * speed) : 0;
  const uint64_t most = state->limits.blocks - (block ? block : 1);
  const uint64_t timed = fit <= 0 ? 0 : (uint64_t)fit;
  return (block == 0) + (timed < most ? timed : most);
}

// Bring the progress line up to date before block `block`; false: no time for it any more.
static bool report_expect(report_state *state, uint64_t block) {
  const double left_s = state->limits.budget_s - state->limits.reserve_s - report_spent_s(state);
  const uint64_t blocks = report_blocks_left(state, block, left_s);
  size_t jobs = 0;
  double cost = block == 0 ? state->limits.process_s : 0, one;
  for (uint64_t i = 0; i < blocks; i++) {
    jobs += report_block_jobs(state, block + i, &one);
    cost += one;
  }
  progress_expect(&state->progress, jobs, cost);
  return blocks > 0;
}

static schedule_result report_blocks(report_state *state) {
  schedule_result result = SCHEDULE_OK;
  progress_begin(&state->progress, stderr, 0, 0);
  for (uint64_t block = 0; result == SCHEDULE_OK && report_expect(state, block); block++) {
    result = report_block(state, block);
    if (result == SCHEDULE_JOB_FAILED) state->failed = true, result = SCHEDULE_OK;
    if (result == SCHEDULE_OK && block == 0) {
      result = report_processes(state);
      state->progress.done_cost += state->limits.process_s;
    }
  }
  progress_end(&state->progress);
  return result;
}

// ---- the parts of the command -------------------------------------------------------------------

static int report_render_all(const report_arguments *arguments, const char *records,
                             const char *out) {
  char error[REPORT_ERROR_BYTES];
  const report_options options = {.records = records, .out = out, .title = arguments->title};
  const report_status status = report_render(&options, error, sizeof error);
  if (status != REPORT_OK) return cli_error("%s", error);
  if (!cli_can_execute("gnuplot"))
    cli_error("the report has no figures: gnuplot is missing; apt-get install gnuplot-nox, then: "
              "heapduel report --records %s -o %s",
              records, out);
  if (report_summary(records, stdout, error, sizeof error) != REPORT_OK)
    return cli_error("%s", error);
  printf("\n%s/report.md\n", out);
  return EXIT_GOOD;
}

// What an earlier, interrupted report left; failed rows are taken out so that they run again.
static bool report_load_finished(report_state *state) {
  char error[RECORD_FILE_ERROR_BYTES];
  const bool exists = access(state->records, F_OK) == 0;
  if (!exists) return true;
  if (!state->resume) {
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

// The folder is there, belongs to this plan, and what it holds already is loaded.
static bool report_prepare(report_state *state, const report_arguments *arguments,
                           const char *out) {
  if (!cli_make_folder(out)) return false;
  if (arguments->resume && !report_plan_adopt(out, arguments->stated, &state->plan)) return false;
  state->limits = plan_limits_of(state->plan.quick);
  return report_load_finished(state) && report_plan_store(out, &state->plan);
}

static int report_run(const report_arguments *arguments, const char *out) {
  run_catalogue catalogue;
  if (!catalogue_load(&catalogue, cli_program_folder())) return EXIT_USAGE;
  report_state state = {.plan = arguments->plan,
                        .resume = arguments->resume,
                        .catalogue = &catalogue,
                        .records = cli_format("%s/records.jsonl", out),
                        .begin_ns = hs_os_now_ns()};
  int code = EXIT_USAGE;
  if (!report_prepare(&state, arguments, out)) goto free_state;
  cli_catch_interrupts();
  switch (report_blocks(&state)) {
  case SCHEDULE_INTERRUPTED:
    cli_error("interrupted, what finished is kept; go on with: heapduel report --resume -o %s",
              out);
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
  report_arguments arguments = {.plan = {.seed = 1}};
  cli_parse(&argp, argc, argv, &arguments);
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
