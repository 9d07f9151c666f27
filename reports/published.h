// SPDX-License-Identifier: MIT
// The numbers that the seed article published, as data: reproduced beside ours, never mixed with
// them. Source: "Memory Fragmentation in Go", 2023-12-28, go1.21.3 on Linux 4.19 (WSL 2). MiB as
// printed there, absolute for the Examples, above the baseline for the step table.
#ifndef REPORTS_PUBLISHED_H
#define REPORTS_PUBLISHED_H

#include <stddef.h>

typedef struct published_stage {
  const char *workload, *stage;
  double usage_mib, fragmentation_mib; // NAN: not published
} published_stage;

typedef struct published_step {
  double step, usage_mib, fragmentation_mib;
} published_step;

// The step table's objects.
extern const double published_step_count, published_step_size;
extern const published_step published_steps[];
extern const size_t published_step_rows;

// NULL when the seed printed nothing at this stage.
const published_stage *published_stage_find(const char *workload, const char *stage);
const published_step *published_step_find(double step);

#endif
