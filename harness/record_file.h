// SPDX-License-Identifier: MIT
// A file of records: one JSON object per line, appended as jobs finish. Only whole lines are ever
// visible to a reader that stops at the last newline, so an interrupted run loses at most one.
#ifndef RECORD_FILE_H
#define RECORD_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { RECORD_FILE_ERROR_BYTES = 512 };

// All records of a file, as a JSON array (a new reference). A last line without its newline is what
// an interrupted write leaves and is ignored. NULL: unreadable, or a line that is not a record;
// `error` is one line with file, line and what to do.
json_t *record_file_read(const char *path, char *error, size_t error_bytes);

// Read records from text instead of a file; `name` is for messages.
json_t *record_file_parse(const char *text, size_t bytes, const char *name, char *error,
                          size_t error_bytes);

// Append one record as one line and make it durable. False with errno set.
bool record_file_append(const char *path, const json_t *record);

// Write the records as the whole file, beside it first and then renamed. False with errno set.
bool record_file_replace(const char *path, const json_t *records);

// Whether `records` holds a finished (ok or skipped) record of this job key.
bool record_file_has(const json_t *records, const char *key);

#endif
