// SPDX-License-Identifier: MIT
// heapduel run: one workload on some heaps, as a table or as records.
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocators/runtime/config.h"
#include "harness/cli.h"
#include "harness/cli_options.h"
#include "harness/record.h"
#include "harness/record_file.h"
#include "harness/row_options.h"
#include "harness/schedule.h"
#include "harness/table.h"
#include "harness/timeline.h"
#include "reports/report.h"

typedef struct run_arguments {
  row_options rows;
  const char *json, *variant, *timeline;
  int64_t blocks, sample_ms;
  bool map;
} run_arguments;

enum {
  OPTION_BLOCKS = 1000,
  OPTION_SAMPLE,
  OPTION_MAP,
  OPTION_VARIANT,
  OPTION_TRACE,
  OPTION_TIMELINE
};
static const char run_trace_variable[] = "HEAPDUEL_TRACE";

static const struct argp_option run_options_list[] = {
    {"json", 'j', "FILE", 0, "append one JSON record per run to FILE; - is standard output", 0},
    {"blocks", OPTION_BLOCKS, "N", 0,
     "run every heap N times, in shuffled blocks, and print medians and ratios to the first heap "
     "(default "
     "1)",
     0},
    {"variant", OPTION_VARIANT, "NAME", 0,
     "stock: a foreign allocator's own settings; stw: gc=stw; outline: operations as calls; else a "
     "label",
     0},
    {"sample-ms", OPTION_SAMPLE, "N", 0,
     "sample memory every N ms, into the record and the timeline", 0},
    {"map", OPTION_MAP, NULL, 0, "keep the page map of every stage in the record", 0},
    {"trace", OPTION_TRACE, "LIST", 0,
     "lines on standard error while the heaps run, in Go's formats: some of gc (each collection), "
     "scav (memory returned), pacer (when to collect), or none (default: $HEAPDUEL_TRACE)",
     0},
    {"timeline", OPTION_TIMELINE, "FILE", 0,
     "write phases and delays of the collectors, stages and memory samples of all runs as one "
     "trace, to open with ui.perfetto.dev",
     0},
    {0}};

static error_t run_parse(int key, char *value, struct argp_state *state) {
  run_arguments *arguments = state->input;
  switch (key) {
  case ARGP_KEY_INIT:
    state->child_inputs[0] = &arguments->rows;
    return 0;
  case 'j':
    arguments->json = value;
    return 0;
  case OPTION_BLOCKS:
    return row_number(state, "--blocks", value, 1, 1000, &arguments->blocks);
  case OPTION_SAMPLE:
    return row_number(state, "--sample-ms", value, 1, 60000, &arguments->sample_ms);
  case OPTION_VARIANT:
    arguments->variant = value;
    return 0;
  case OPTION_MAP:
    arguments->map = true;
    return 0;
  case OPTION_TRACE:
    row_set_short(&arguments->rows, "trace", value);
    return 0;
  case OPTION_TIMELINE:
    arguments->timeline = value;
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

// ---- tracing ------------------------------------------------------------------------------------

static bool run_sets_trace(const char *set) { return strncmp(set, "trace=", 6) == 0; }

// What the environment asks for, unless the command line says something about it.
static void run_take_environment(run_arguments *arguments) {
  const char *trace = getenv(run_trace_variable);
  bool stated = false;
  for (size_t i = 0; i < arguments->rows.set_count; i++)
    stated |= run_sets_trace(arguments->rows.sets[i]);
  if (!stated && trace && trace[0]) row_set_short(&arguments->rows, "trace", trace);
}

// Whether some lines are asked for; the last setting counts.
static bool run_traces(const row_selection *rows) {
  const char *last = "trace=none";
  for (size_t i = 0; i < rows->set_count; i++)
    if (run_sets_trace(rows->sets[i])) last = rows->sets[i];
  return strcmp(last, "trace=none") != 0 && strcmp(last, "trace=0") != 0;
}

// ---- results ------------------------------------------------------------------------------------

// Where finished records go.
typedef struct run_output {
  const char *json; // NULL: none
  json_t *records;
  json_t *timeline; // of all runs so far; NULL: none is wanted
  uint64_t pid;     // of the last run in it
} run_output;

// Move the timeline that the runner wrote beside the others. A run that failed may have none.
static void run_take_timeline(run_output *output, const run_job *job) {
  json_t *one = json_load_file(job->timeline, 0, NULL);
  if (one) timeline_add(output->timeline, one, ++output->pid);
  json_decref(one);
  unlink(job->timeline);
}

static bool run_take(void *context, const run_job *job, json_t *record) {
  run_output *output = context;
  json_array_append(output->records, record);
  if (job->timeline) run_take_timeline(output, job);
  if (!output->json) return true;
  if (strcmp(output->json, "-") == 0) {
    char *line = record_line(record);
    const bool good = line && puts(line) >= 0 && fflush(stdout) == 0;
    free(line);
    if (!good) cli_error("cannot write to standard output: %s", strerror(errno));
    return good;
  }
  if (record_file_append(output->json, record)) return true;
  cli_error("cannot write %s: %s", output->json, strerror(errno));
  return false;
}

// Heaps that ran the same work must have read back the same data.
static bool run_checksums_agree(const json_t *records) {
  const char *first = NULL, *first_heap = NULL;
  size_t index;
  json_t *record;
  json_array_foreach(records, index, record) {
    const char *checksum = job_text(record, "checksum");
    if (!checksum[0]) continue;
    if (first && strcmp(first, checksum) != 0) {
      cli_error("checksums disagree: %s read back %s, %s read back %s; one of them is wrong",
                first_heap, first, job_text(record, "heap"), checksum);
      return false;
    }
    first = checksum;
    first_heap = job_text(record, "heap");
  }
  return true;
}

static void run_add_block(job_list *list, const run_arguments *arguments, const row_selection *rows,
                          uint64_t block) {
  char *timeline = arguments->timeline ? cli_format("%s.part", arguments->timeline) : NULL;
  for (size_t i = 0; i < rows->heap_count; i++) {
    run_job job = {.workload = arguments->rows.workload,
                   .heap = rows->heaps[i]->name,
                   .variant = arguments->variant,
                   .set_count = rows->set_count,
                   .seed = (uint64_t)arguments->rows.seed,
                   .block = block,
                   .sample_ms = (uint64_t)arguments->sample_ms,
                   .timeout_ms = (uint64_t)arguments->rows.timeout_s * 1000,
                   .map = arguments->map,
                   .copy_stderr = run_traces(rows),
                   .timeline = timeline};
    memcpy(job.sets, rows->sets, sizeof job.sets);
    job_list_add(list, &job);
  }
  free(timeline);
  schedule_shuffle(list, (uint64_t)arguments->rows.seed, block);
}

static schedule_result run_blocks(const run_arguments *arguments, const row_selection *rows,
                                  const run_catalogue *catalogue, run_output *output) {
  schedule_result result = SCHEDULE_OK;
  run_progress progress;
  const size_t total = rows->heap_count * (size_t)arguments->blocks;
  const bool quiet = total == 1 || run_traces(rows); // trace lines tell where it is
  progress_begin(&progress, quiet ? NULL : stderr, total, (double)total);
  for (uint64_t block = 0; block < (uint64_t)arguments->blocks; block++) {
    job_list list = {.jobs = NULL};
    run_add_block(&list, arguments, rows, block);
    const schedule_result one =
        schedule_run(&list, catalogue, NULL, &progress, NULL, run_take, output);
    job_list_free(&list);
    if (one != SCHEDULE_OK) result = one;
    if (one == SCHEDULE_STOPPED || one == SCHEDULE_INTERRUPTED) break;
  }
  progress_end(&progress);
  return result;
}

// Rows in the order of `heapduel list`; they ran in a shuffled one. A new reference.
static json_t *run_ordered(const json_t *records, const row_selection *rows) {
  json_t *ordered = json_array(), *record;
  size_t index;
  for (size_t i = 0; i < rows->heap_count; i++) {
    json_array_foreach(records, index, record) {
      if (strcmp(job_text(record, "heap"), rows->heaps[i]->name) == 0)
        json_array_append(ordered, record);
    }
  }
  return ordered;
}

static int run_exit_code(schedule_result result, const json_t *records) {
  switch (result) {
  case SCHEDULE_STOPPED:
    return EXIT_USAGE;
  case SCHEDULE_INTERRUPTED:
    return EXIT_INTERRUPTED;
  case SCHEDULE_JOB_FAILED:
    return EXIT_JOB_FAILED;
  default:
    return run_checksums_agree(records) ? EXIT_GOOD : EXIT_JOB_FAILED;
  }
}

// Begin the timeline, and find out before all the work whether it can be written.
static bool run_begin_timeline(const char *path, run_output *output) {
  output->timeline = timeline_empty();
  if (timeline_write(path, output->timeline)) return true;
  cli_error("cannot write %s: %s", path, strerror(errno));
  json_decref(output->timeline);
  return false;
}

static bool run_end_timeline(const char *path, run_output *output) {
  const bool good = timeline_write(path, output->timeline);
  if (!good) cli_error("cannot write %s: %s", path, strerror(errno));
  char *part = cli_format("%s.part", path);
  unlink(part); // of a run that was interrupted
  free(part);
  json_decref(output->timeline);
  return good;
}

static int run_all(const run_arguments *arguments, const row_selection *rows,
                   const run_catalogue *catalogue) {
  run_output output = {.json = arguments->json};
  if (arguments->timeline && !run_begin_timeline(arguments->timeline, &output)) return EXIT_USAGE;
  output.records = json_array();
  cli_catch_interrupts();
  const schedule_result result = run_blocks(arguments, rows, catalogue, &output);
  if (!arguments->json || strcmp(arguments->json, "-") != 0) {
    json_t *ordered = run_ordered(output.records, rows);
    table_print_records(stdout, ordered);
    report_medians(ordered, stdout);
    json_decref(ordered);
  }
  int code = run_exit_code(result, output.records);
  if (arguments->timeline && !run_end_timeline(arguments->timeline, &output)) code = EXIT_USAGE;
  json_decref(output.records);
  return code;
}

int command_run(int argc, char **argv) {
  static const struct argp_child children[] = {{&row_argp, 0, NULL, 0}, {NULL, 0, NULL, 0}};
  static const struct argp argp = {
      .options = run_options_list,
      .parser = run_parse,
      .args_doc = "WORKLOAD",
      .doc = "Run WORKLOAD once on every heap named and print what was measured.\v"
             "Each run is a fresh process. 'heapduel list' names workloads, heaps and options.\n\n"
             "Examples:\n"
             "  heapduel run churn --heap nonmoving,compact --blocks 5\n"
             "  heapduel run bintrees --heap nonmoving --set gc=stw --trace gc,scav\n"
             "  heapduel run service --memory-limit 64M --timeline out.json --sample-ms 5\n\n"
             "Exit codes: 0 ok, 2 usage, 3 a run failed or checksums disagree, 130 interrupted "
             "(finished records are kept).",
      .children = children};
  run_arguments arguments = {.rows = row_options_default(), .variant = "", .blocks = 1};
  cli_parse(&argp, argc, argv, &arguments);
  run_take_environment(&arguments);
  if (!arguments.rows.workload)
    return cli_error("which workload? heapduel run WORKLOAD; 'heapduel list' names them");
  run_catalogue catalogue;
  if (!catalogue_load(&catalogue, cli_program_folder())) return EXIT_USAGE;
  int code = EXIT_USAGE;
  row_selection rows;
  if (!row_select(&arguments.rows, &catalogue, &rows)) goto free_catalogue;
  code = run_all(&arguments, &rows, &catalogue);
  row_selection_free(&rows);
free_catalogue:
  catalogue_free(&catalogue);
  return code;
}
