// SPDX-License-Identifier: MIT
#include "reports/published.h"

#include <math.h>
#include <string.h>

static const published_stage published_stages[] = {
    {"seed_array", "1", 0.42, 0.25},
    {"seed_array", "2", 16.42, 0.25},
    {"seed_array", "3", 16.43, 0.26},
    {"seed_array", "4", 0.42, 0.25},
    {"seed_pointers", "1", 0.41, 0.24},
    {"seed_pointers", "2", 24.41, 0.23},
    {"seed_pointers", "3", 0.41, 0.24},
    {"seed_pathological", "1", 0.41, 0.25},
    {"seed_pathological", "2", 24.41, 0.24},
    {"seed_pathological", "3", 16.42, 16.20},
    {"seed_pathological", "4", 36.41, 16.18},
    // The author's remedy, from the author's later account of the same program: usage only.
    {"seed_copy", "1", 0.41, NAN},
    {"seed_copy", "3", 16.42, NAN},
    {"seed_copy", "4", 0.47, NAN},
};

const double published_step_count = 1048576, published_step_size = 16;

const published_step published_steps[] = {
    {128, 16.07, 15.87}, {256, 16.04, 15.94}, {512, 16.01, 15.95},
    {1024, 8.01, 7.98},  {2048, 4.02, 4.00},
};
const size_t published_step_rows = sizeof published_steps / sizeof *published_steps;

const published_stage *published_stage_find(const char *workload, const char *stage) {
  for (size_t i = 0; i < sizeof published_stages / sizeof *published_stages; i++) {
    const published_stage *p = &published_stages[i];
    if (strcmp(p->workload, workload) == 0 && strcmp(p->stage, stage) == 0) return p;
  }
  return NULL;
}

const published_step *published_step_find(double step) {
  for (size_t i = 0; i < published_step_rows; i++)
    if (published_steps[i].step == step) return &published_steps[i];
  return NULL;
}
