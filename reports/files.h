// SPDX-License-Identifier: MIT
// Files of a report: written beside and renamed, so that a reader never meets half of one.
#ifndef REPORTS_FILES_H
#define REPORTS_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "reports/text.h"

// Create a folder and its parents. False with a line in `error` otherwise.
bool folder_create(const char *path, char *error, size_t error_bytes);

// Replace the file `path` by `count` bytes. On failure the old file is untouched.
bool file_write(const char *path, const char *bytes, size_t count, char *error, size_t error_bytes);

// The whole file, appended to `out`. False when it cannot be read.
bool file_read(const char *path, text *out);

// Run a program found on the PATH with null-terminated arguments, a fixed locale and no output.
// Exit status, or -1 when it could not be started or was killed by a signal.
int program_run(const char *program, const char *const *arguments);

#endif
