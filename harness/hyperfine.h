// SPDX-License-Identifier: MIT
// Whole-process times through hyperfine: an independent check of what the runners say of themselves,
// and the only view of process start and exit. Reads its exported JSON, versions 1.15 to 1.19.
#ifndef HYPERFINE_H
#define HYPERFINE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/job.h"

enum { HYPERFINE_ERROR_BYTES = 512, HYPERFINE_NAME_BYTES = 96 };

// Run every job `runs` times after `warmup` runs that are not counted, one job after the other
// (hyperfine does not interleave). Returns an array of records (record.md, "Whole-process times"; a
// new reference), or NULL with one line in `error`; NULL and an empty error: interrupted.
json_t *hyperfine_run(const job_list *jobs, const run_catalogue *catalogue, int64_t runs,
                      int64_t warmup, char *error, size_t error_bytes);

// The records of an exported file's text; `names` are the jobs in command order.
json_t *hyperfine_records(const char *text, size_t bytes, const job_list *jobs,
                          const run_catalogue *catalogue, const char *version, char *error,
                          size_t error_bytes);

// One word for shell-words splitting: quoted where needed. malloc'ed.
char *hyperfine_quote(const char *word);

#endif
