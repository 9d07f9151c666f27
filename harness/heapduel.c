// SPDX-License-Identifier: MIT
// The command: picks the subcommand, which parses its own options.
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/cli.h"

static const struct {
  const char *name, *summary;
  int (*run)(int argc, char **argv);
} heapduel_commands[] = {
    {"report", "run the default comparison and write a report", command_report},
    {"run", "run one workload on some heaps", command_run},
    {"list", "list workloads, heaps and options", command_list},
    {"map", "draw the pages of a heap at every stage", command_map},
    {"time", "time whole processes with hyperfine", command_time},
    {"doctor", "check whether this machine is fit to measure on", command_doctor},
};
enum { HEAPDUEL_COMMANDS = sizeof heapduel_commands / sizeof heapduel_commands[0] };

static void heapduel_help(void) {
  puts("heapduel compares memory managers: fragmentation, pauses, footprint, speed.\n\n"
       "usage: heapduel COMMAND [OPTIONS]     heapduel COMMAND --help\n");
  for (size_t i = 0; i < HEAPDUEL_COMMANDS; i++)
    printf("  %-8s %s\n", heapduel_commands[i].name, heapduel_commands[i].summary);
  puts("\n  --help     this text\n  --version  the version\n\n"
       "HEAPDUEL_TRACE=gc,scav,pacer in the environment is the default of run --trace, and of the\n"
       "same option of the runners (run_<heap> --help).\n\n"
       "Exit codes: 0 ok, 1 regression, 2 usage or configuration error, 3 a run failed,\n"
       "5 unsuitable environment, 130 interrupted (what finished is kept).");
}

static int heapduel_unknown(const char *name) {
  const char *names[HEAPDUEL_COMMANDS];
  for (size_t i = 0; i < HEAPDUEL_COMMANDS; i++) names[i] = heapduel_commands[i].name;
  const char *nearest = cli_nearest(name, names, HEAPDUEL_COMMANDS);
  if (nearest) return cli_error("there is no command '%s'; did you mean %s?", name, nearest);
  return cli_error("there is no command '%s'; 'heapduel --help' names them", name);
}

// What was printed may have been lost (a full disk behind a redirection): never end well then.
static int heapduel_end(int code) {
  const bool lost = ferror(stdout) != 0;
  if (fflush(stdout) == 0 && !lost) return code;
  if (code == EXIT_GOOD || !lost)
    cli_error("cannot write to standard output: %s", errno ? strerror(errno) : "write error");
  return code == EXIT_GOOD ? EXIT_USAGE : code;
}

int main(int argc, char **argv) {
  argp_err_exit_status = EXIT_USAGE;
  if (argc < 2) {
    heapduel_help();
    return EXIT_USAGE;
  }
  const char *name = argv[1];
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
    heapduel_help();
    return heapduel_end(EXIT_GOOD);
  }
  if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
    puts("heapduel " HEAPDUEL_VERSION);
    return heapduel_end(EXIT_GOOD);
  }
  for (size_t i = 0; i < HEAPDUEL_COMMANDS; i++) {
    if (strcmp(name, heapduel_commands[i].name) != 0) continue;
    // Writing trace lines takes time: nothing that measures by default does it by accident.
    if (heapduel_commands[i].run != command_run) unsetenv("HEAPDUEL_TRACE");
    char *title = cli_format("heapduel %s", name);
    argv[1] = title;
    const int code = heapduel_commands[i].run(argc - 1, argv + 1);
    free(title);
    return heapduel_end(code);
  }
  return heapduel_unknown(name);
}
