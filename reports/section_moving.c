// SPDX-License-Identifier: MIT
// How objects are moved: the ways to move them side by side, what writers see of it, what a reference
// costs at any time, and what is done in idle time.
#include <string.h>

#include "reports/metric_table.h"

// Rows of compact that differ in how objects are moved, and the heap that never moves any.
static bool moves_differently(const group *g) {
  static const char prefix[] = "compaction_";
  if (!*group_variant(g)) return report_row_find(group_heap(g))->ours;
  return strncmp(group_variant(g), prefix, sizeof prefix - 1) == 0;
}

// False, and a note, when no record has anything to show.
static bool table_or_note(report *r, const scenario *s, const metric_column *columns, size_t count,
                          bool (*shown)(const group *), const char *missing) {
  const bool any = metric_table(r, s, columns, count, shown);
  if (!any) report_missing(r, missing);
  return any;
}

// What one workload shows: why it is looked at, its parameters, a table of all rows.
static void workload_table(report *r, const char *workload, const char *prose,
                           const metric_column *columns, size_t count, const char *missing) {
  const scenario *s = scenario_main(&r->set, workload);
  text_add(&r->out, prose);
  if (s) text_format(&r->out, "%s\n\n", scenario_phrase(r, s));
  (void)table_or_note(r, s, columns, count, NULL, missing);
}

static void moving_modes(report *r) {
  static const metric_column speed[] = {
      {"operations", {NULL, "ops_per_s", NULL}, NULL},
      {"slowest operation", {NULL, "op_max_ns", NULL}, NULL},
      {"stops", {0}, cell_stops},
      {"longest stop", {0}, cell_longest_stop},
      {"longest handshake", {0}, cell_longest_handshake},
      {"collector CPU", {0}, cell_collector_share},
  };
  static const metric_column work[] = {
      {"moved", {"end", "moved_bytes", NULL}, NULL},
      {"aborted moves", {"end", "aborted_moves_count", NULL}, NULL},
      {"fallback stops", {"end", "fallback_stops_count", NULL}, NULL},
      {"handles renamed", {"end", "renamed_count", NULL}, NULL},
      {"collections", {"end", "cycles_count", NULL}, NULL},
      {"peak footprint", {"end", "peak_footprint_bytes", NULL}, NULL},
      {"footprint at the end", {"end", "footprint_bytes", NULL}, NULL},
  };
  const scenario *s = scenario_main(&r->set, "churn");
  text_add(&r->out, "### Ways to move the objects of `churn`\n\n"
                    "The plain row of `compact` moves objects beside the program; "
                    "`compaction_incremental` in short stops, `compaction_stw` in one stop, "
                    "`compaction_off` never. The table shows what each costs the program: a way "
                    "that stops less must not lose it all in operations.\n\n");
  if (!table_or_note(r, s, speed, sizeof speed / sizeof *speed, moves_differently,
                     "no record of `churn` on our heaps"))
    return;
  text_add(&r->out, "What was done for it, collections forced by stages included. An *aborted* "
                    "move is one that a writer or a pin prevented; a *fallback stop* moves the "
                    "objects that could not be moved beside the program.\n\n");
  (void)table_or_note(r, s, work, sizeof work / sizeof *work, moves_differently,
                      "no heap told what it moved");
}

static void moving_writers(report *r) {
  static const metric_column columns[] = {
      {"writes, steady", {NULL, "steady_writes_per_s", NULL}, NULL},
      {"writes, fragmented", {NULL, "fragmented_writes_per_s", NULL}, NULL},
      {"fragmented / steady", {NULL, "fragmented_to_steady_ratio", NULL}, NULL},
      {"moved meanwhile", {NULL, "fragmented_moved_bytes", NULL}, NULL},
      {"aborted moves", {"fragmented", "aborted_moves_count", NULL}, NULL},
      {"fallback stops", {"fragmented", "fallback_stops_count", NULL}, NULL},
      {"stops", {0}, cell_stops},
      {"longest stop", {0}, cell_longest_stop},
      {"longest handshake", {0}, cell_longest_handshake},
      {"collector CPU", {0}, cell_collector_share},
  };
  workload_table(r, "write_hot",
                 "### Writers while objects move\n\n"
                 "Threads write a few objects again and again, first while nothing is worth "
                 "moving, then while the heap fragments around them. The quotient of "
                 "a heap that never moves is what the access pattern costs by itself: compare "
                 "with that, not with 1.\n\n",
                 columns, sizeof columns / sizeof *columns, "no record of `write_hot`");
}

static void moving_references(report *r) {
  static const metric_column columns[] = {
      {"dense, in order", {NULL, "dense_sequential_ns", NULL}, NULL},
      {"shuffled", {NULL, "dense_shuffled_ns", NULL}, NULL},
      {"sparse, in order", {NULL, "sparse_sequential_ns", NULL}, NULL},
      {"shuffled", {NULL, "sparse_shuffled_ns", NULL}, NULL},
      {"collected, in order", {NULL, "compacted_sequential_ns", NULL}, NULL},
      {"shuffled", {NULL, "compacted_shuffled_ns", NULL}, NULL},
  };
  workload_table(r, "deref",
                 "### Following a reference\n\n"
                 "Time of one step along a ring of objects, the fastest of several walks: "
                 "objects side by side, scattered among garbage, and after a full collection. "
                 "A handle is one more load at every step; where `compact` moved the objects "
                 "together, the last two columns show what it gets back.\n\n",
                 columns, sizeof columns / sizeof *columns, "no record of `deref`");
}

static bool rested(const group *g) { return strcmp(group_variant(g), "idle") == 0; }

// The rows that let the heap rest are a scenario of their own: idle_ms is a parameter.
static void moving_idle(report *r) {
  static const metric_column columns[] = {
      {"at (2), all live", {"2", "footprint_bytes", "1"}, NULL},
      {"after the idle time, unasked", {NULL, "idle_above_start_bytes", NULL}, NULL},
      {"at (3), released", {"3", "footprint_bytes", "1"}, NULL},
      {"moved", {"3", "moved_bytes", NULL}, NULL},
      {"collector CPU", {0}, cell_collector_share},
  };
  text_add(&r->out, "### Idle time\n\n"
                    "The seed's Example 3, with a rest between the drop and point (3). What is "
                    "left after it is what a heap does when nobody asks; point (3) asks.\n\n");
  const scenario *s;
  size_t shown = 0;
  for (size_t n = 0; (s = scenario_of(&r->set, "seed_pathological", n)); n++)
    shown += metric_table(r, s, columns, sizeof columns / sizeof *columns, rested);
  if (!shown) report_missing(r, "no run of `seed_pathological` with idle time");
}

void section_moving(report *r) {
  text_add(&r->out, "## How objects are moved\n\n"
                    "Stops are counted, and the longest stops and handshakes found, over all runs "
                    "of a row: one that comes once in ten runs must not vanish in a median.\n\n");
  moving_modes(r);
  moving_writers(r);
  moving_references(r);
  moving_idle(r);
}
