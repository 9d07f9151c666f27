// SPDX-License-Identifier: MIT
#include "harness/report_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/cli.h"
#include "harness/record_file.h"

static char *plan_path(const char *folder) { return cli_format("%s/plan.json", folder); }

bool report_plan_store(const char *folder, const report_plan *plan) {
  char *path = plan_path(folder);
  json_t *lines = json_pack("[{s:b,s:I,s:I}]", "quick", plan->quick, "blocks",
                            (json_int_t)plan->blocks, "seed", (json_int_t)plan->seed);
  const bool good = record_file_replace(path, lines);
  if (!good)
    cli_error("cannot write %s: %s; choose another folder with -o DIR", path, strerror(errno));
  json_decref(lines);
  free(path);
  return good;
}

// Compare what was stated with what is stored; false after one line.
static bool plan_check(const char *folder, report_stated stated, const report_plan *asked,
                       const report_plan *stored) {
  if (stated.quick && asked->quick && !stored->quick) {
    cli_error("%s holds a full report, not a --quick one; leave out --quick, or choose another "
              "folder",
              folder);
    return false;
  }
  if (stated.seed && asked->seed != stored->seed) {
    cli_error("%s holds a report with --seed %" PRId64 "; leave out --seed, or choose another "
              "folder",
              folder, stored->seed);
    return false;
  }
  return true;
}

bool report_plan_adopt(const char *folder, report_stated stated, report_plan *plan) {
  char *path = plan_path(folder);
  bool good = true;
  if (access(path, F_OK) == 0) {
    json_t *json = json_load_file(path, 0, NULL);
    json_int_t blocks, seed;
    int quick;
    good =
        json_unpack(json, "{s:b,s:I,s:I}", "quick", &quick, "blocks", &blocks, "seed", &seed) == 0;
    if (!good) {
      cli_error("%s cannot be read; remove it and state --quick, --blocks and --seed as before",
                path);
    } else {
      const report_plan stored = {.quick = quick != 0, .blocks = blocks, .seed = seed};
      good = plan_check(folder, stated, plan, &stored);
      // More blocks than before are welcome: finished ones are kept.
      const int64_t wanted = stated.blocks ? plan->blocks : stored.blocks;
      if (good) *plan = (report_plan){stored.quick, wanted, stored.seed};
    }
    json_decref(json);
  }
  free(path);
  return good;
}
