// SPDX-License-Identifier: MIT
// The story in plain words, every number and every name taken from the records: what each heap is
// left with, what it cost, and which one to choose for what. A line is left out when one of its
// numbers was not measured.
#include <math.h>
#include <string.h>

#include "reports/report_parts.h"

typedef struct both {
  const char *nonmoving, *compact; // medians; NULL: not measured
  const char *ratio;               // compact / nonmoving with its interval
} both;

static both both_of(report *r, const char *workload, measure what, number_show *show) {
  const scenario *s = scenario_main(&r->set, workload);
  const group *nm = scenario_group(s, "nonmoving", ""), *cp = scenario_group(s, "compact", "");
  return (both){show_median(r->memory, measure_estimate(r->memory, nm, what), show),
                show_median(r->memory, measure_estimate(r->memory, cp, what), show),
                show_estimate(r->memory, measure_ratio(r->memory, cp, nm, what), show_ratio)};
}

static bool both_there(both b) { return b.nonmoving && b.compact && b.ratio; }

// "at the median of 5 blocks", once for all ratios of a line.
static const char *story_n(report *r, const char *workload, measure what) {
  const scenario *s = scenario_main(&r->set, workload);
  const estimate e = measure_ratio(r->memory, scenario_group(s, "compact", ""),
                                   scenario_group(s, "nonmoving", ""), what);
  return arena_format(r->memory, "n = %zu", e.n);
}

// ---- memory -------------------------------------------------------------------------------------

typedef struct left_row {
  const char *heap;
  double bytes;
} left_row;

// RSS at point (3) of the other rows, least first: "`libc` 8.09 MiB, `jemalloc` 8.82 MiB".
static const char *story_others(report *r, const scenario *seed) {
  left_row rows[32];
  size_t count = 0;
  for (size_t i = 0; i < report_row_count && count < sizeof rows / sizeof *rows; i++) {
    const char *heap = report_rows[i].heap;
    if (strcmp(heap, "nonmoving") == 0 || strcmp(heap, "compact") == 0) continue;
    const estimate e = measure_estimate(r->memory, report_group(r, seed, heap, ""),
                                        (measure){"3", "rss_bytes", "start"});
    if (!e.n) continue;
    size_t at = count++;
    for (; at > 0 && rows[at - 1].bytes > e.median; at--) rows[at] = rows[at - 1];
    rows[at] = (left_row){heap, e.median};
  }
  const char *list = "";
  for (size_t i = 0; i < count; i++)
    list = arena_format(r->memory, "%s%s`%s` %s", list, i ? ", " : "", rows[i].heap,
                        show_mib_unit(r->memory, rows[i].bytes));
  return list;
}

static void story_left(report *r) {
  const scenario *seed = scenario_main(&r->set, "seed_pathological");
  if (!seed) return;
  const both left =
      both_of(r, "seed_pathological", (measure){"3", "footprint_bytes", "1"}, show_mib_unit);
  const both rss =
      both_of(r, "seed_pathological", (measure){"3", "rss_bytes", "start"}, show_mib_unit);
  const double count = scenario_number(seed, "count"), size = scenario_number(seed, "size"),
               step = scenario_number(seed, "step");
  if (!both_there(left) || isnan(count) || isnan(size) || isnan(step)) return;
  text_format(
      &r->out,
      "- **What is left.** The seed's Example 3 allocates %s objects of %s bytes, keeps one "
      "in %s and drops the others. After a full collection, with everything free given back "
      "to the system, `nonmoving` still holds %s above its baseline and `compact` %s, handle "
      "table and all metadata included (compact / nonmoving: %s).",
      show_integer(r->memory, count), show_integer(r->memory, size), show_integer(r->memory, step),
      left.nonmoving, left.compact, left.ratio);
  if (both_there(rss))
    text_format(&r->out, " By the kernel's count (RSS above start): `compact` %s, `nonmoving` %s",
                rss.compact, rss.nonmoving);
  const char *others = both_there(rss) ? story_others(r, seed) : "";
  text_format(&r->out, "%s%s%s\n", *others ? "; " : "", others, both_there(rss) ? "." : "");
}

static void story_peak(report *r) {
  const both peak =
      both_of(r, "seed_pathological", (measure){"3", "peak_footprint_bytes", NULL}, show_mib_unit);
  const both handles =
      both_of(r, "seed_pathological", (measure){"2", "handle_table_bytes", NULL}, show_mib_unit);
  if (!both_there(peak)) return;
  text_format(&r->out,
              "- **What it took before that.** At their largest, `nonmoving` held %s and `compact` "
              "%s (%s).",
              peak.nonmoving, peak.compact, peak.ratio);
  if (handles.compact)
    text_format(&r->out, " Of the latter, %s is the handle table: one entry for each object.",
                handles.compact);
  text_add(&r->out, "\n");
}

static void story_service(report *r) {
  const both rss = both_of(r, "service", (measure){"100", "rss_bytes", "start"}, show_mib_unit);
  const both live = both_of(r, "service", (measure){"100", "live_bytes", NULL}, show_mib_unit);
  const both wall = both_of(r, "service", (measure){NULL, "timed_wall_ns", NULL}, show_ns);
  if (!both_there(rss) || !live.compact || !both_there(wall)) return;
  text_format(
      &r->out,
      "- **A long-running service.** For %s of live objects at the end of `service`, "
      "`nonmoving` has %s of RSS above its start and `compact` %s (%s); the whole task takes "
      "%s and %s (%s; %s).\n",
      live.compact, rss.nonmoving, rss.compact, rss.ratio, wall.nonmoving, wall.compact, wall.ratio,
      story_n(r, "service", (measure){NULL, "timed_wall_ns", NULL}));
}

// ---- time ---------------------------------------------------------------------------------------

// What marking beside the program changes, where both ways were run.
static void story_stopped(report *r, measure longest) {
  const scenario *s = scenario_main(&r->set, "churn");
  const char *stopped[2];
  for (size_t i = 0; i < 2; i++) {
    const group *g = scenario_group(s, i ? "compact" : "nonmoving", "stw");
    stopped[i] = show_median(r->memory, measure_estimate(r->memory, g, longest), show_ns);
  }
  if (stopped[0] && stopped[1])
    text_format(&r->out, " With the program stopped while they mark it is %s and %s.", stopped[0],
                stopped[1]);
}

static void story_pauses(report *r) {
  const measure longest = {NULL, "pause_max_ns", NULL}, worst = {NULL, "op_max_ns", NULL};
  const both pause = both_of(r, "churn", longest, show_ns);
  const both op = both_of(r, "churn", worst, show_ns);
  if (!both_there(pause) || !both_there(op)) return;
  text_format(
      &r->out,
      "- **What it costs in pauses.** The longest pause on `churn` is %s on `nonmoving` and "
      "%s on `compact` (%s), set-up and warm-up included; the slowest operation "
      "that the program itself timed after these is %s and %s (%s; %s).",
      pause.nonmoving, pause.compact, pause.ratio, op.nonmoving, op.compact, op.ratio,
      story_n(r, "churn", worst));
  story_stopped(r, longest);
  const group *go = report_group(r, scenario_main(&r->set, "churn"), "go", "");
  const estimate go_pause = measure_estimate(r->memory, go, longest);
  const estimate go_op = measure_estimate(r->memory, go, worst);
  if (go_pause.n && go_op.n)
    text_format(&r->out,
                " Go, which marks while the program runs, stops for at most %s; its slowest "
                "operation takes %s.",
                show_median(r->memory, go_pause, show_ns), show_median(r->memory, go_op, show_ns));
  text_add(&r->out, "\n");
}

static void story_speed(report *r) {
  const measure per_s = {NULL, "ops_per_s", NULL};
  const both rate = both_of(r, "churn", per_s, show_rate);
  const both trees = both_of(r, "bintrees", (measure){NULL, "timed_wall_ns", NULL}, show_ns);
  const both garbage = both_of(r, "alloc", (measure){NULL, "imm16_ns", NULL}, show_ns);
  const both deref = both_of(r, "alloc", (measure){NULL, "deref_ns", NULL}, show_ns);
  if (!both_there(rate)) return;
  text_format(&r->out,
              "- **What it costs in speed.** `churn` does %s on `nonmoving` and %s on `compact` "
              "(%s; %s).",
              rate.nonmoving, rate.compact, rate.ratio, story_n(r, "churn", per_s));
  if (both_there(trees))
    text_format(&r->out, " `bintrees` takes %s and %s (%s).", trees.nonmoving, trees.compact,
                trees.ratio);
  if (both_there(garbage))
    text_format(&r->out, " 16 bytes that die at once cost %s and %s, collection included (%s).",
                garbage.nonmoving, garbage.compact, garbage.ratio);
  if (both_there(deref))
    text_format(&r->out, " A dereference costs %s and %s (%s).", deref.nonmoving, deref.compact,
                deref.ratio);
  text_add(&r->out, "\n");
}

// ---- which to choose ----------------------------------------------------------------------------

// The phrases of the verdict rows that name this winner, joined by commas; "" when there is none.
static const char *story_matters(report *r, int winner) {
  const char *list = "";
  for (size_t i = 0; i < report_verdict_count; i++) {
    const verdict_line *line = &report_verdict[i];
    const comparison *c = comparison_find(line->workload, line->key);
    const scenario *s = scenario_main(&r->set, line->workload);
    const group *nm = scenario_group(s, "nonmoving", ""), *cp = scenario_group(s, "compact", "");
    if (!c || !nm || !cp) continue;
    const estimate ratio = measure_ratio(r->memory, cp, nm, c->what);
    if (!ratio.n || comparison_winner(c, ratio) != winner) continue;
    list = arena_format(r->memory, "%s%s%s", list, *list ? ", " : "", line->matter);
  }
  return list;
}

static void story_choice(report *r) {
  const char *compact = story_matters(r, 1), *nonmoving = story_matters(r, -1),
             *neither = story_matters(r, 0);
  if (!*compact && !*nonmoving && !*neither) return;
  text_add(&r->out, "- **Which to choose, by these records.**");
  if (*compact) text_format(&r->out, " `compact` is better in: %s.", compact);
  if (*nonmoving) text_format(&r->out, " `nonmoving` is better in: %s.", nonmoving);
  if (*neither) text_format(&r->out, " Not decided: %s.", neither);
  text_add(&r->out, "\n");
}

void section_story(report *r) {
  const size_t before = r->out.length;
  story_left(r);
  story_peak(r);
  story_service(r);
  story_pauses(r);
  story_speed(r);
  story_choice(r);
  if (r->out.length == before) return;
  text_add(&r->out, "\nRatios are compact / nonmoving, in brackets their range over the blocks or "
                    "their 95 % interval (from six blocks on); a single run has none. Every number "
                    "is in a table below with its spread.\n\n");
}
