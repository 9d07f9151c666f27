// SPDX-License-Identifier: MIT
// Synthetic records for the tests of the report. Every number is made up by a formula below: none
// was measured, and every record says so in its heap_version ("fixture").
#ifndef TESTS_REPORTS_FIXTURE_H
#define TESTS_REPORTS_FIXTURE_H

#include <jansson.h>
#include <stddef.h>

// Which rows and which parts of them to make.
typedef enum fixture_part {
  FIXTURE_SEED = 1u << 0,     // the Examples, seed_copy, the step table
  FIXTURE_MAPS = 1u << 1,     // page maps on Example 3
  FIXTURE_CHURN = 1u << 2,    // churn and its floor, with pauses, latency, MMU, series
  FIXTURE_ALLOC = 1u << 3,    // alloc, with outline rows
  FIXTURE_BINTREES = 1u << 4, //
  FIXTURE_SERVICE = 1u << 5,  // with remedies
  FIXTURE_TIMES = 1u << 6,    // process_time
  FIXTURE_GO = 1u << 7,       // the go and model rows of whatever else is made
  FIXTURE_FAILURES = 1u << 8, // one row of every unhappy status
  FIXTURE_DENSITY = 1u << 9,  // caches, shifts of size, pins, adversaries
  FIXTURE_MOVING = 1u << 10,  // ways to move objects, write_hot, deref, idle time
  FIXTURE_ALL = (1u << 11) - 1,
} fixture_part;

// An array of records; the caller frees it with json_decref. `blocks` runs of every timed row.
json_t *fixture_records(unsigned parts, int blocks);

// Write records as JSON lines; `reverse` writes them in the opposite order. Fails the test when the
// file cannot be written.
void fixture_write(const char *path, const json_t *records, int reverse);

// A new empty folder below $TMPDIR or /tmp; malloc'ed path.
char *fixture_folder(void);

// Whole file, malloc'ed and terminated; fails the test when it cannot be read.
char *fixture_slurp(const char *path, size_t *length);

#endif
