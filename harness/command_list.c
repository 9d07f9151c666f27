// SPDX-License-Identifier: MIT
// heapduel list: what can be run, on what, with which settings.
#include <argp.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/runtime/config.h"
#include "harness/catalogue.h"
#include "harness/cli.h"
#include "harness/cli_options.h"
#include "harness/job.h"
#include "harness/record.h"
#include "harness/wrap.h"

static error_t list_parse(int key, char *value, struct argp_state *state) {
  switch (key) {
  case 'j':
    *(bool *)state->input = true;
    return 0;
  case ARGP_KEY_ARG:
    cli_error("list takes no argument; '%s' is too much", value);
    exit(EXIT_USAGE);
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static json_t *list_json(const run_catalogue *catalogue) {
  json_t *heaps = json_array(), *workloads = NULL, *options = NULL;
  for (size_t i = 0; i < catalogue->count; i++) {
    const catalogue_heap *heap = &catalogue->heaps[i];
    json_t *row = json_pack("{s:s}", "name", heap->name);
    static const char *const keys[] = {"heap_version", "heap_settings", "capabilities"};
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
      json_t *value = json_object_get(heap->about, keys[k]);
      if (value) json_object_set(row, keys[k], value);
    }
    json_object_set_new(row, "outline", json_boolean(heap->outline != NULL));
    json_array_append_new(heaps, row);
    if (!workloads && !catalogue_is_reference(heap)) {
      workloads = json_object_get(heap->about, "workloads");
      options = json_object_get(heap->about, "options");
    }
  }
  return json_pack("{s:i,s:o,s:O?,s:O?}", "schema", RECORD_SCHEMA, "heaps", heaps, "workloads",
                   workloads, "options", options);
}

enum {
  LIST_WORKLOAD = 18,
  LIST_PARAM = 16,
  LIST_HEAP = 14,
  LIST_OPTION = 16
}; // widths of the columns of names

// "name   text", with the text wrapped beside the name.
static void list_line(int left, int width, const char *name, const char *text) {
  printf("%*s%-*s ", left, "", width, name);
  wrap_print(stdout, (size_t)(left + width + 1), (size_t)(left + width + 1), text);
}

static void list_print_param(json_t *param) {
  json_t *choices = json_object_get(param, "choices"), *choice;
  char *text;
  if (choices) {
    size_t index;
    text = cli_format("%s;", job_text(param, "help"));
    json_array_foreach(choices, index, choice) {
      char *longer = cli_format("%s%s %s", text, index ? " |" : "", json_string_value(choice));
      free(text);
      text = longer;
    }
    char *longer = cli_format("%s, default %s", text, job_text(param, "default"));
    free(text);
    text = longer;
  } else {
    text = cli_format("%s; %" JSON_INTEGER_FORMAT "..%" JSON_INTEGER_FORMAT
                      ", default %" JSON_INTEGER_FORMAT,
                      job_text(param, "help"), json_integer_value(json_object_get(param, "min")),
                      json_integer_value(json_object_get(param, "max")),
                      json_integer_value(json_object_get(param, "default")));
  }
  list_line(4, LIST_PARAM, job_text(param, "name"), text);
  free(text);
}

static void list_print_heap(json_t *heap) {
  char *text = cli_format("%s", job_text(heap, "heap_version"));
  size_t index;
  json_t *capability, *capabilities = json_object_get(heap, "capabilities");
  json_array_foreach(capabilities, index, capability) {
    char *longer = cli_format("%s%s%s%s", text, index ? " " : " [", json_string_value(capability),
                              index + 1 == json_array_size(capabilities) ? "]" : "");
    free(text);
    text = longer;
  }
  list_line(2, LIST_HEAP, job_text(heap, "name"), text);
  free(text);
  if (job_text(heap, "heap_settings")[0])
    list_line(2, LIST_HEAP, "", job_text(heap, "heap_settings"));
}

// What an option takes: a word of several, some words, or a number; and its default.
static void list_print_option(json_t *option) {
  const char *words = job_text(option, "words");
  const json_int_t fallback = json_integer_value(json_object_get(option, "default"));
  const json_int_t low = json_integer_value(json_object_get(option, "min"));
  const json_int_t high = json_integer_value(json_object_get(option, "max"));
  char *text;
  if (strchr(words, ',')) {
    text = cli_format("%s; some of %s, or none (default)", job_text(option, "help"), words);
  } else if (words[0]) {
    const char *word = words;
    for (json_int_t i = 0; i < fallback && strchr(word, '|'); i++) word = strchr(word, '|') + 1;
    text = cli_format("%s; %s, default %.*s", job_text(option, "help"), words,
                      (int)strcspn(word, "|"), word);
  } else if (high == INT64_MAX) {
    text = cli_format("%s; default %" JSON_INTEGER_FORMAT, job_text(option, "help"), fallback);
  } else {
    text = cli_format("%s; %" JSON_INTEGER_FORMAT "..%" JSON_INTEGER_FORMAT
                      ", default %" JSON_INTEGER_FORMAT,
                      job_text(option, "help"), low, high, fallback);
  }
  list_line(2, LIST_OPTION, job_text(option, "name"), text);
  free(text);
}

static void list_print(json_t *list) {
  size_t index, inner;
  json_t *row, *value;
  puts("Workloads (heapduel run WORKLOAD --set name=value)");
  json_array_foreach(json_object_get(list, "workloads"), index, row) {
    list_line(2, LIST_WORKLOAD, job_text(row, "name"), job_text(row, "summary"));
    json_array_foreach(json_object_get(row, "params"), inner, value) list_print_param(value);
  }
  puts("\nHeaps (--heap A,B): version, [capabilities], settings");
  json_array_foreach(json_object_get(list, "heaps"), index, row) list_print_heap(row);
  puts("\nHeap options (--set name=value; a number may end in K, M or G)");
  json_array_foreach(json_object_get(list, "options"), index, row) list_print_option(row);
}

int command_list(int argc, char **argv) {
  static const struct argp_option options[] = {
      {"json", 'j', NULL, 0, "print one JSON object instead of text", 0}, {0}};
  static const struct argp argp = {
      .options = options,
      .parser = list_parse,
      .doc = "List workloads with their parameters, heaps with version and capabilities, and the "
             "options of the heaps."};
  bool as_json = false;
  cli_parse(&argp, argc, argv, &as_json);
  run_catalogue catalogue;
  if (!catalogue_load(&catalogue, cli_program_folder())) return EXIT_USAGE;
  json_t *list = list_json(&catalogue);
  if (as_json) {
    char *line = record_line(list);
    puts(line ? line : "");
    free(line);
  } else {
    list_print(list);
  }
  json_decref(list);
  catalogue_free(&catalogue);
  return fflush(stdout) == 0 ? EXIT_GOOD : cli_error("cannot write to standard output");
}
