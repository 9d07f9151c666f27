// SPDX-License-Identifier: MIT
// Command lines with mistakes in them: argp and getopt would answer with two or three lines that
// name no remedy. What passes this check, argp parses without complaint.
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <argp.h>

// Check the options of `argv` against what `argp` and its children know, then parse. Ends the
// program with EXIT_USAGE after one line for an unknown option, a missing or surplus value.
void cli_parse(const struct argp *argp, int argc, char **argv, void *input);

#endif
