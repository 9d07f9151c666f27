// SPDX-License-Identifier: MIT
// Command line of a runner. Plain getopt_long and no malloc: the heap under test may be malloc.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/runtime/config.h"
#include "harness/run.h"

static const char run_usage[] =
    "usage: run_<heap> --workload NAME [options]\n"
    "Runs one workload once on the heap this program was built for and writes one record.\n"
    "  --workload NAME      what to run\n"
    "  --set NAME=VALUE     a parameter of the workload or an option of the heap (repeatable)\n"
    "  --gogc N|off         growth before a collection, percent; short for --set gogc=N\n"
    "  --memory-limit SIZE  soft limit of the footprint; short for --set memory_limit=SIZE\n"
    "  --trace LIST         lines on standard error in Go's formats: some of gc,scav,pacer, or\n"
    "                       none (default: $HEAPDUEL_TRACE); short for --set trace=LIST\n"
    "  --timeline FILE      write phases, delays and stages as a trace for ui.perfetto.dev\n"
    "  --seed N             seed of the workload (default 1)\n"
    "  --block N            index of the randomised block, kept in the record\n"
    "  --variant TEXT       what distinguishes this row, kept in the record\n"
    "  --json FILE          where to write the record; - is standard output (default)\n"
    "  --sample-ms N        sample memory every N ms\n"
    "  --map                keep the page map of every stage\n"
    "  --list               describe the heap, its options and the workloads as JSON\n"
    "  --help               this text\n"
    "Exit codes: 0 a record with status ok or skipped, 2 usage, 3 a record with another status, "
    "or\n"
    "none could be written.\n";

enum { RUN_ERROR_BYTES = 1024 }; // room for the list of all valid names

static bool run_parse_count(const char *option, const char *text, uint64_t *out) {
  int64_t value;
  if (hs_parse_i64(text, &value) && value >= 0) {
    *out = (uint64_t)value;
    return true;
  }
  fprintf(stderr, "run_%s: --%s needs a number, not '%s'\n", HEAP_NAME, option, text);
  return false;
}

// --workload must be known before any --set can be understood, so it is looked up first.
static bool run_parse_workload(run_options *options, int argc, char **argv) {
  const char *name = NULL;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--workload") == 0 && i + 1 < argc) name = argv[i + 1];
    if (strncmp(argv[i], "--workload=", 11) == 0) name = argv[i] + 11;
    if (strcmp(argv[i], "--list") == 0) return true;
  }
  if (!name) {
    fprintf(stderr, "run_%s: --workload NAME is missing; --list names them\n", HEAP_NAME);
    return false;
  }
  options->load = run_find_workload(name);
  if (!options->load) {
    fprintf(stderr, "run_%s: there is no workload '%s'; --list names them\n", HEAP_NAME, name);
    return false;
  }
  run_param_defaults(options->load, options->values);
  return true;
}

static bool run_parse_set(run_options *options, const char *assignment) {
  char error[RUN_ERROR_BYTES];
  if (!options->load || run_set(options, assignment, error, sizeof error)) return true;
  fprintf(stderr, "run_%s: %s\n", HEAP_NAME, error);
  return false;
}

// An option of the heap by a name of its own; `source` is what to blame.
static bool run_parse_option_of_heap(run_options *options, const char *source, const char *name,
                                     const char *value) {
  char error[RUN_ERROR_BYTES];
  if (hs_config_set(&options->config, name, value, error, sizeof error) == HS_CONFIG_OK)
    return true;
  fprintf(stderr, "run_%s: %s: %s\n", HEAP_NAME, source, error);
  return false;
}

static bool run_parse_environment(run_options *options) {
  static const char variable[] = "HEAPDUEL_TRACE";
  const char *trace = getenv(variable);
  return !trace || !trace[0] || run_parse_option_of_heap(options, variable, "trace", trace);
}

static const struct option run_longs[] = {{"workload", required_argument, NULL, 'w'},
                                          {"set", required_argument, NULL, 'S'},
                                          {"gogc", required_argument, NULL, 'g'},
                                          {"memory-limit", required_argument, NULL, 'L'},
                                          {"trace", required_argument, NULL, 't'},
                                          {"timeline", required_argument, NULL, 'T'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"block", required_argument, NULL, 'b'},
                                          {"variant", required_argument, NULL, 'v'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"sample-ms", required_argument, NULL, 'm'},
                                          {"map", no_argument, NULL, 'M'},
                                          {"list", no_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};

static bool run_parse_option(run_options *options, int option) {
  switch (option) {
  case 'w':
    return true; // already known
  case 'S':
    return run_parse_set(options, optarg);
  case 'g':
    return run_parse_option_of_heap(options, "--gogc", "gogc", optarg);
  case 'L':
    return run_parse_option_of_heap(options, "--memory-limit", "memory_limit", optarg);
  case 't':
    return run_parse_option_of_heap(options, "--trace", "trace", optarg);
  case 'T':
    options->timeline = optarg;
    return true;
  case 's':
    return run_parse_count("seed", optarg, &options->seed);
  case 'b':
    return run_parse_count("block", optarg, &options->block);
  case 'm':
    return run_parse_count("sample-ms", optarg, &options->sample_ms);
  case 'v':
    options->variant = optarg;
    return true;
  case 'j':
    options->json = optarg;
    return true;
  case 'M':
    options->map = true;
    return true;
  case 'l':
    options->list = true;
    return true;
  default:
    return false; // getopt has said what is wrong
  }
}

bool run_options_parse(run_options *options, int argc, char **argv) {
#ifdef HEAP_OUTLINE
  const char *variant = "outline";
#else
  const char *variant = "";
#endif
  *options = (run_options){
      .config = hs_config_default(), .seed = RUN_DEFAULT_SEED, .json = "-", .variant = variant};
  if (argc == 2 && strcmp(argv[1], "--help") == 0) {
    fputs(run_usage, stdout);
    exit(0);
  }
  if (!run_parse_workload(options, argc, argv)) return false;
  if (options->load && !run_parse_environment(options)) return false;
  for (int option; (option = getopt_long(argc, argv, "", run_longs, NULL)) != -1;)
    if (!run_parse_option(options, option)) return false;
  if (optind == argc) return true;
  fprintf(stderr, "run_%s: unexpected argument '%s'\n", HEAP_NAME, argv[optind]);
  return false;
}
