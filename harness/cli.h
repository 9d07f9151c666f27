// SPDX-License-Identifier: MIT
// What the commands of `heapduel` share: exit codes, one-line errors, suggestions, where things are.
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "allocators/base/compiler.h"

// Exit codes of the command; `heapduel --help` documents them.
enum {
  EXIT_GOOD = 0,
  EXIT_REGRESSION = 1, // a gate failed (reserved)
  EXIT_USAGE = 2,      // bad command line, configuration or input file
  EXIT_JOB_FAILED = 3, // crashed, timeout, oom or invalid
  EXIT_UNSUITABLE = 5, // doctor --strict
  EXIT_INTERRUPTED = 130
};

#define HEAPDUEL_VERSION "0.1.0"

// Print "heapduel: MESSAGE" as one line on standard error. Returns EXIT_USAGE for convenience.
int cli_error(const char *format, ...) HS_PRINTF(1, 2);

// malloc'ed text; never NULL: ends the program when there is no memory.
char *cli_format(const char *format, ...) HS_PRINTF(1, 2);
void *cli_allocate(size_t bytes); // zeroed

// Folder of the running program, where the runners are too.
const char *cli_program_folder(void);

// Whether `program` can be executed: a path, or a name looked up in PATH.
bool cli_can_execute(const char *program);

// Create a folder and those above it; false after one line when it cannot be written to.
bool cli_make_folder(const char *path);

// Edit distance (insertions, deletions, substitutions, adjacent swaps).
size_t cli_distance(const char *a, const char *b);

// The name most like `wrong`; NULL when none is close enough to be what was meant.
const char *cli_nearest(const char *wrong, const char *const *names, size_t count);

// Whether colours and a moving progress line are welcome on this stream: a terminal, and neither
// NO_COLOR nor CI in the environment.
bool cli_is_interactive(FILE *stream);

// "1.50 MiB", "312 KiB", "17 B"; and "1.2 s", "45.1 ms", "311 us", "12.5 ns".
const char *cli_bytes(double bytes, char out[24]);
const char *cli_time(double ns, char out[24]);

// SIGINT and SIGTERM set a flag instead of ending the program, so that finished results are kept.
void cli_catch_interrupts(void);
bool cli_interrupted(void);

// ---- the commands -------------------------------------------------------------------------------

// Each parses its own arguments (argv[0] is "heapduel NAME") and returns an exit code.
int command_run(int argc, char **argv);
int command_list(int argc, char **argv);
int command_map(int argc, char **argv);
int command_time(int argc, char **argv);
int command_report(int argc, char **argv);
int command_doctor(int argc, char **argv);

#endif
