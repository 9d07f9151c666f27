// SPDX-License-Identifier: MIT
// Where each heap loses: every comparable quantity of every scenario on which one of the two heaps is
// worse in a way the interval supports.
#include <string.h>

#include "reports/report_parts.h"

static void loss_row(report *r, table *t, const scenario *s, const comparison *c, estimate ratio) {
  const group *nm = scenario_group(s, "nonmoving", ""), *cp = scenario_group(s, "compact", "");
  table_cell(t, scenario_short(r, s));
  table_cell(t, c->title);
  table_cell(t, show_median(r->memory, measure_estimate(r->memory, nm, c->what), c->show));
  table_cell(t, show_median(r->memory, measure_estimate(r->memory, cp, c->what), c->show));
  table_cell(t, show_estimate(r->memory, ratio, show_ratio));
  table_cell(t, arena_format(r->memory, "%zu", ratio.n));
}

// The table of the scenarios that stand for their workload, or of all others (remedies, controls).
static size_t losses_table(report *r, int winner, bool main) {
  static const char *const heads[] = {
      "scenario", "quantity", "nonmoving", "compact", "compact / nonmoving", "n"};
  table t = {0};
  size_t rows = 0;
  for (size_t i = 0; i < r->set.scenario_count; i++) {
    const scenario *s = &r->set.scenarios[i];
    if ((scenario_main(&r->set, scenario_workload(s)) == s) != main) continue;
    const group *nm = scenario_group(s, "nonmoving", ""), *cp = scenario_group(s, "compact", "");
    for (size_t k = 0; nm && cp && k < report_comparison_count; k++) {
      const comparison *c = &report_comparisons[k];
      if (c->workload && strcmp(c->workload, scenario_workload(s)) != 0) continue;
      const estimate ratio = measure_ratio(r->memory, cp, nm, c->what);
      if (!ratio.n || comparison_winner(c, ratio) != winner) continue;
      if (rows++ == 0) t = table_begin(&r->out, "llrrrr", heads);
      loss_row(r, &t, s, c, ratio);
    }
  }
  if (rows) table_end(&t);
  return rows;
}

static void losses_of(report *r, int winner, const char *loser) {
  text_format(&r->out, "### Where `%s` loses\n\n", loser);
  const size_t rows = losses_table(r, winner, true);
  const size_t before = r->out.length;
  text_add(&r->out,
           "<details><summary>In the other scenarios (remedies, other sizes)</summary>\n\n");
  const size_t others = losses_table(r, winner, false);
  text_add(&r->out, "</details>\n\n");
  if (!others) text_cut(&r->out, before);
  if (!rows && !others) text_add(&r->out, "Nowhere, by these records and this threshold.\n\n");
}

void section_losses(report *r) {
  text_format(&r->out,
              "## Where each heap loses\n\nAll quantities that both heaps have, in all scenarios: "
              "listed when the bracket of the ratio excludes 1 and the median differs by at least "
              "%s. Times and rates that were observed only once are left out.\n\n",
              show_percent(r->memory, report_threshold));
  losses_of(r, -1, "compact");
  losses_of(r, 1, "nonmoving");
}
