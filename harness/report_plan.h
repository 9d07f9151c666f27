// SPDX-License-Identifier: MIT
// What an interrupted report was asked to be: kept in its folder, so that --resume goes on with the
// same plan whatever its command line says or leaves out.
#ifndef REPORT_PLAN_H
#define REPORT_PLAN_H

#include <stdbool.h>
#include <stdint.h>

typedef struct report_plan {
  bool quick;
  int64_t blocks; // 0: as many as fit
  int64_t seed;
} report_plan;

// Which of them the command line stated.
typedef struct report_stated {
  bool quick, blocks, seed;
} report_stated;

// Write FOLDER/plan.json. False after one line.
bool report_plan_store(const char *folder, const report_plan *plan);

// Take what the command line did not state from FOLDER/plan.json; a folder without one changes
// nothing. False after one line: the file is broken, or the command line contradicts it.
bool report_plan_adopt(const char *folder, report_stated stated, report_plan *plan);

#endif
