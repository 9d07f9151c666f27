// SPDX-License-Identifier: MIT
// heapduel map: the pages of a heap at every stage of a workload, drawn in the terminal.
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/cli.h"
#include "harness/cli_options.h"
#include "harness/map_text.h"
#include "harness/record_file.h"
#include "harness/row_options.h"
#include "reports/figure.h"

typedef struct map_arguments {
  row_options rows;
  const char *json, *out;
} map_arguments;

enum { MAP_ERROR_BYTES = 512 };

static const struct argp_option map_options[] = {
    {"out", 'o', "DIR", 0, "also write DIR/WORKLOAD-HEAP.svg", 0},
    {"json", 'j', "FILE", 0, "append the records, with the maps, to FILE", 0},
    {0}};

static error_t map_parse(int key, char *value, struct argp_state *state) {
  map_arguments *arguments = state->input;
  switch (key) {
  case ARGP_KEY_INIT:
    state->child_inputs[0] = &arguments->rows;
    return 0;
  case 'j':
    arguments->json = value;
    return 0;
  case 'o':
    arguments->out = value;
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

static bool map_can_draw(const catalogue_heap *heap) {
  size_t index;
  json_t *capability;
  json_array_foreach(json_object_get(heap->about, "capabilities"), index, capability) {
    if (strcmp(json_string_value(capability), "map") == 0) return true;
  }
  return false;
}

static void map_draw(const json_t *record) {
  const json_t *maps = json_object_get(record, "map");
  size_t index;
  json_t *stage;
  printf("%s on %s\n", job_text(record, "workload"), job_text(record, "heap"));
  json_array_foreach(json_object_get(record, "stages"), index, stage) {
    const char *name = job_text(stage, "name");
    map_text_print(stdout, name, json_object_get(maps, name));
  }
  map_text_print_legend(stdout);
}

// The same as a figure; an exit code.
static int map_write_figure(const map_arguments *arguments, const json_t *record) {
  char error[MAP_ERROR_BYTES];
  char *path = cli_format("%s/%s-%s.svg", arguments->out, job_text(record, "workload"),
                          job_text(record, "heap"));
  int code = EXIT_USAGE;
  if (page_map_write_record(record, path, error, sizeof error) == REPORT_OK) {
    printf("%s\n", path);
    code = EXIT_GOOD;
  } else {
    cli_error("%s", error);
  }
  free(path);
  return code;
}

static int map_one(const map_arguments *arguments, const run_catalogue *catalogue,
                   const row_selection *rows, const catalogue_heap *heap) {
  run_job job = {.workload = arguments->rows.workload,
                 .heap = heap->name,
                 .variant = "",
                 .set_count = rows->set_count,
                 .seed = (uint64_t)arguments->rows.seed,
                 .timeout_ms = (uint64_t)arguments->rows.timeout_s * 1000,
                 .map = true};
  memcpy(job.sets, rows->sets, sizeof job.sets);
  json_t *record = job_run(&job, catalogue);
  if (!record) return EXIT_INTERRUPTED;
  int code = EXIT_GOOD;
  if (strcmp(job_text(record, "status"), "ok") != 0) {
    cli_error("%s: %s, %s", heap->name, job_text(record, "status"), job_text(record, "reason"));
    code = EXIT_JOB_FAILED;
  } else {
    map_draw(record);
    if (arguments->out) code = map_write_figure(arguments, record);
  }
  if (arguments->json && !record_file_append(arguments->json, record))
    code = cli_error("cannot write %s: %s", arguments->json, strerror(errno));
  json_decref(record);
  return code;
}

// Every heap that was named, or without --heap those that can draw.
static int map_all(const map_arguments *arguments, const run_catalogue *catalogue,
                   const row_selection *rows) {
  size_t drawn = 0;
  int code = EXIT_GOOD;
  for (size_t i = 0; i < rows->heap_count && code == EXIT_GOOD; i++) {
    const catalogue_heap *heap = rows->heaps[i];
    if (map_can_draw(heap)) {
      if (drawn++ > 0) putchar('\n');
      code = map_one(arguments, catalogue, rows, heap);
    } else if (arguments->rows.heaps && strcmp(arguments->rows.heaps, "all") != 0) {
      return cli_error("%s cannot draw its pages; 'heapduel list' shows which heaps can [map]",
                       heap->name);
    }
  }
  if (code == EXIT_GOOD && drawn == 0)
    return cli_error("no heap that is built can draw its pages; build the whole project");
  return code;
}

int command_map(int argc, char **argv) {
  static const struct argp_child children[] = {{&row_argp, 0, NULL, 0}, {NULL, 0, NULL, 0}};
  static const struct argp argp = {
      .options = map_options,
      .parser = map_parse,
      .args_doc = "WORKLOAD",
      .doc = "Draw which pages a heap holds at every stage of WORKLOAD, and how full they are.",
      .children = children};
  map_arguments arguments = {.rows = row_options_default()};
  cli_parse(&argp, argc, argv, &arguments);
  if (!arguments.rows.workload)
    return cli_error("which workload? heapduel map WORKLOAD; 'heapduel list' names them");
  run_catalogue catalogue;
  if (!catalogue_load(&catalogue, cli_program_folder())) return EXIT_USAGE;
  row_selection rows;
  int code = EXIT_USAGE;
  if (row_select(&arguments.rows, &catalogue, &rows)) {
    cli_catch_interrupts();
    if (!arguments.out || cli_make_folder(arguments.out))
      code = map_all(&arguments, &catalogue, &rows);
    row_selection_free(&rows);
  }
  catalogue_free(&catalogue);
  return code;
}
