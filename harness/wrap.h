// SPDX-License-Identifier: MIT
// Text for terminals: lines of at most 80 columns, continued under a hanging indent.
#ifndef WRAP_H
#define WRAP_H

#include <stddef.h>
#include <stdio.h>

// Print `text` and a newline, where `at` columns of the line are taken already; further lines are
// indented by `indent`. A word longer than a line is not broken.
void wrap_print(FILE *out, size_t at, size_t indent, const char *text);

#endif
