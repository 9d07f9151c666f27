// SPDX-License-Identifier: MIT
// Programs that a pacer must keep up with, and what must hold in which of their cycles. Scenarios
// and bounds after mgcpacer_test.go of Go 1.21 (golang/go #44167), except where a row says
// otherwise.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/runtime/pacer_sim.h"
#include "tests/unit/seed.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

enum { CYCLES_MAX = 100, RULES_MAX = 8 };

static const double BACKGROUND = 0.25; // share of eight cores that workers take

typedef enum sim_metric {
  UTILISATION,        // share of the cores that collected
  UTILISATION_CHANGE, // since the cycle before
  UTILISATION_DRIFT,  // since the 12th cycle
  GOAL_RATIO,         // peak / goal
  TRIGGER_RATIO,      // part of the way from the marked bytes to the goal where the cycle started
  RUNWAY_BYTES,       // goal - trigger
  PEAK_BYTES,
  GOAL_BYTES,
  GOAL_ABOVE_MARKED_BYTES,
} sim_metric;

static const char *const metric_names[] = {
    "utilisation",
    "change of utilisation",
    "drift of utilisation",
    "peak/goal",
    "trigger ratio",
    "runway bytes",
    "peak bytes",
    "goal bytes",
    "goal above marked bytes",
};

// `metric` is within [low, high] in the cycles first .. last, counted from 1.
typedef struct rule {
  unsigned first, last;
  sim_metric metric;
  double low, high;
} rule;

typedef struct scenario {
  const char *name;
  unsigned cycles;
  sim_program program;
  rule rules[RULES_MAX]; // up to the first with last == 0
} scenario;

static double measure(const sim_cycle *cycles, unsigned i, sim_metric metric) {
  const sim_cycle *const c = &cycles[i];
  const double marked = (double)c->marked_bytes, goal = (double)c->goal_bytes;
  switch (metric) {
  case UTILISATION:
    return c->utilisation;
  case UTILISATION_CHANGE:
    return c->utilisation - cycles[i - 1].utilisation;
  case UTILISATION_DRIFT:
    return c->utilisation - cycles[11].utilisation;
  case GOAL_RATIO:
    return (double)c->peak_bytes / goal;
  case TRIGGER_RATIO:
    return ((double)c->trigger_bytes - marked) / (goal - marked);
  case RUNWAY_BYTES:
    return goal - (double)c->trigger_bytes;
  case PEAK_BYTES:
    return (double)c->peak_bytes;
  case GOAL_BYTES:
    return goal;
  case GOAL_ABOVE_MARKED_BYTES:
    return goal - marked;
  }
  return NAN;
}

// A machine and a program that most rows share: the heap at first doubles from cycle to cycle, ever
// more slowly, and from the 12th on keeps its size.
#define EIGHT_CORES .cores = 8, .globals_bytes = 32 * KIB
#define GROWS_TO_MIBS .base = 2, .ramp = {-1, 12, 0}
#define SMALL_STACKS .stacks_bytes = {.base = 8192}
#define ALL_SCANNABLE .scannable = {.base = 1}

// In the cycles first .. last the collector takes what its workers take (ON_TARGET), steadily, and
// ends at the goal (SETTLED).
#define SETTLED(first, last)                                                                       \
  {first, last, UTILISATION_CHANGE, -0.005, 0.005}, { first, last, GOAL_RATIO, 0.95, 1.05 }
#define ON_TARGET(first, last)                                                                     \
  {first, last, UTILISATION, BACKGROUND - 0.005, BACKGROUND + 0.005}, SETTLED(first, last)
#define EXACTLY(first, last, metric, value)                                                        \
  { first, last, metric, value, value }

#define SOFT_LIMIT_BYTES (512 * MIB)
#define SOFT_GOAL_BYTES (double)(SOFT_LIMIT_BYTES - SOFT_LIMIT_BYTES * 3 / 100) // 3 % headroom

// clang-format off: a table
static const scenario scenarios[] = {
    {"steady",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = 100, .allocated = {.base = 33},
      .scanned = {.base = 1024}, .growth = {GROWS_TO_MIBS}},
     {ON_TARGET(25, 50)}},
    {"steady_big_stacks",
     50,
     {EIGHT_CORES, ALL_SCANNABLE, .gogc_percent = 100,
      .stacks_bytes = {.base = 2048, .ramp = {128 * (1 << 20), 8, 0}}, .allocated = {.base = 132},
      .scanned = {.base = 1024}, .growth = {GROWS_TO_MIBS}},
     {ON_TARGET(25, 50)}},
    {"steady_big_globals",
     50,
     {.cores = 8,
      .globals_bytes = 128 * MIB,
      SMALL_STACKS,
      ALL_SCANNABLE,
      .gogc_percent = 100,
      .allocated = {.base = 132},
      .scanned = {.base = 1024},
      .growth = {GROWS_TO_MIBS}},
     {ON_TARGET(25, 50)}},
    // Half way through the program allocates three times as fast.
    {"step_alloc",
     100,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = 100,
      .allocated = {.base = 33, .ramp = {66, 1, 50}}, .scanned = {.base = 1024},
      .growth = {GROWS_TO_MIBS}},
     {SETTLED(25, 49), SETTLED(75, 100)}},
    // Eleven times as fast: more than the workers can keep up with; assists must find a new
    // balance.
    {"heavy_step_alloc",
     100,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = 100,
      .allocated = {.base = 33, .ramp = {330, 1, 50}}, .scanned = {.base = 1024},
      .growth = {GROWS_TO_MIBS}},
     {SETTLED(25, 49), SETTLED(75, 100)}},
    {"step_scannable_frac",
     100,
     {EIGHT_CORES, SMALL_STACKS, .gogc_percent = 100, .scannable = {.base = 0.2, .bump = {0.5, 50}},
      .allocated = {.base = 128}, .scanned = {.base = 1024}, .growth = {GROWS_TO_MIBS}},
     {SETTLED(25, 49), SETTLED(75, 100)}},
    // In the 26th cycle the heap turns out 15 times as big. It may overshoot, so that utilisation
    // stays even, but by no more than the next goal allows anyway.
    {"high_gogc",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = 1500,
      .allocated = {.base = 165, .noise = 7}, .scanned = {.base = 1024},
      .growth = {GROWS_TO_MIBS, .noise = 0.01, .bump = {14, 25}}},
     {{13, 25, GOAL_RATIO, 0.90, 1.05},
      {26, 26, GOAL_RATIO, 0.90, 15},
      {27, 50, GOAL_RATIO, 0.90, 1.05},
      {13, 50, UTILISATION, BACKGROUND - 0.03, BACKGROUND + 0.03},
      {13, 50, UTILISATION_CHANGE, -0.03, 0.03}}},
    {"osc_alloc",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = 100,
      .allocated = {.base = 67, .wave = {13, 8}}, .scanned = {.base = 1024},
      .growth = {GROWS_TO_MIBS}},
     {{13, 50, GOAL_RATIO, 0.95, 1.05}, {13, 50, UTILISATION, 0.25, 0.3}}},
    {"jitter_alloc",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = 100,
      .allocated = {.base = 132, .noise = 13}, .scanned = {.base = 1024},
      .growth = {GROWS_TO_MIBS, .noise = 0.01}},
     {{13, 50, GOAL_RATIO, 0.95, 1.05}, {13, 50, UTILISATION, 0.25, 0.3}}},
    {"heavy_jitter_alloc",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = 100,
      .allocated = {.base = 330, .noise = 33}, .scanned = {.base = 1024},
      .growth = {GROWS_TO_MIBS, .noise = 0.01}},
     {{14, 50, GOAL_RATIO, 0.95, 1.05},
      {14, 50, UTILISATION_CHANGE, -0.05, 0.05},
      {14, 50, UTILISATION_DRIFT, -0.05, 0.05}}},
    // Slow programs: hardly any runway is needed, yet the cycle must not start too close to its
    // goal.
    {"small_heap_slow_alloc",
     50,
     {EIGHT_CORES, SMALL_STACKS, .gogc_percent = 100, .scannable = {.base = 0.01},
      .allocated = {.base = 1}, .scanned = {.base = 2048},
      .growth = {.base = 2, .ramp = {-1, 3, 0}}},
     {{5, 50, GOAL_RATIO, 0.925, 1.025},
      {5, 50, TRIGGER_RATIO, 0.925, 0.975},
      ON_TARGET(26, 50),
      {26, 50, UTILISATION_DRIFT, -0.05, 0.05}}},
    {"medium_heap_slow_alloc",
     50,
     {EIGHT_CORES, SMALL_STACKS, .gogc_percent = 100, .scannable = {.base = 0.01},
      .allocated = {.base = 1}, .scanned = {.base = 2048},
      .growth = {.base = 2, .ramp = {-1, 8, 0}}},
     {{10, 50, GOAL_RATIO, 0.925, 1.025},
      {10, 50, TRIGGER_RATIO, 0.925, 0.975},
      ON_TARGET(26, 50),
      {26, 50, UTILISATION_DRIFT, -0.05, 0.05}}},
    {"large_heap_slow_alloc",
     50,
     {EIGHT_CORES, SMALL_STACKS, .gogc_percent = 100, .scannable = {.base = 0.01},
      .allocated = {.base = 1}, .scanned = {.base = 2048},
      .growth = {.base = 4, .ramp = {-3, 12, 0}}},
     {{14, 50, GOAL_RATIO, 0.95, 1.05},
      {14, 50, RUNWAY_BYTES, (double)(4 * MIB - 64 * KIB), (double)(4 * MIB + 64 * KIB)},
      ON_TARGET(26, 50),
      {26, 50, UTILISATION_DRIFT, -0.05, 0.05}}},
    // Soft limits. One with room to spare changes nothing.
    {"steady_memory_limit",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = 100,
      .memory_limit_bytes = SOFT_LIMIT_BYTES, .allocated = {.base = 33}, .scanned = {.base = 1024},
      .growth = {GROWS_TO_MIBS}},
     {{1, 50, PEAK_BYTES, 0, SOFT_GOAL_BYTES}, ON_TARGET(25, 50)}},
    {"steady_memory_limit_no_gogc",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = -1,
      .memory_limit_bytes = SOFT_LIMIT_BYTES, .allocated = {.base = 33}, .scanned = {.base = 1024},
      .growth = {GROWS_TO_MIBS}},
     {EXACTLY(1, 50, GOAL_BYTES, SOFT_GOAL_BYTES),
      {1, 50, PEAK_BYTES, 0, SOFT_LIMIT_BYTES},
      ON_TARGET(25, 50)}},
    // What is reachable exceeds the limit: the goal is as low as can be, every cycle is late, and
    // assists take most of what they can get. (Go's test finds all cores collecting: in its
    // simulation a step's few allocated bytes are rounded down to none, and the cycle never gets
    // past its goal.)
    {"exceed_memory_limit",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = 100,
      .memory_limit_bytes = SOFT_LIMIT_BYTES, .allocated = {.base = 33}, .scanned = {.base = 1024},
      .growth = {.base = 3.5, .ramp = {-2.5, 12, 0}}},
     {EXACTLY(13, 50, GOAL_ABOVE_MARKED_BYTES, 0),
      {25, 50, UTILISATION, 0.4, 1},
      {13, 50, GOAL_RATIO, 1, 1.1},
      {25, 50, UTILISATION_CHANGE, -0.005, 0.005}}},
    {"exceed_memory_limit_no_gogc",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = -1,
      .memory_limit_bytes = SOFT_LIMIT_BYTES, .allocated = {.base = 33}, .scanned = {.base = 1024},
      .growth = {.base = 3.5, .ramp = {-2.5, 12, 0}}},
     {EXACTLY(1, 9, GOAL_BYTES, SOFT_GOAL_BYTES),
      EXACTLY(13, 50, GOAL_ABOVE_MARKED_BYTES, 0),
      {25, 50, UTILISATION, 0.4, 1},
      {13, 50, GOAL_RATIO, 1, 1.1},
      {25, 50, UTILISATION_CHANGE, -0.005, 0.005}}},
    // The limit is what holds the heap, and can be kept without more work than usual.
    {"maintain_memory_limit",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = 100,
      .memory_limit_bytes = SOFT_LIMIT_BYTES, .allocated = {.base = 33}, .scanned = {.base = 1024},
      .growth = {.base = 3, .ramp = {-2, 12, 0}}},
     {EXACTLY(13, 50, GOAL_BYTES, SOFT_GOAL_BYTES),
      {1, 50, PEAK_BYTES, 0, SOFT_LIMIT_BYTES},
      ON_TARGET(25, 50)}},
    {"maintain_memory_limit_no_gogc",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = -1,
      .memory_limit_bytes = SOFT_LIMIT_BYTES, .allocated = {.base = 33}, .scanned = {.base = 1024},
      .growth = {.base = 3, .ramp = {-2, 12, 0}}},
     {EXACTLY(1, 50, GOAL_BYTES, SOFT_GOAL_BYTES),
      {1, 50, PEAK_BYTES, 0, SOFT_LIMIT_BYTES},
      ON_TARGET(25, 50)}},
    // Not among Go's: a cycle that finds the program nearly asleep must not make the next ones
    // late.
    {"lull",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = 100,
      .allocated = {.base = 66, .bump = {-65, 30}}, .scanned = {.base = 1024},
      .growth = {GROWS_TO_MIBS}},
     {ON_TARGET(25, 30), {31, 31, GOAL_RATIO, 0.8, 1.05}, ON_TARGET(32, 50)}},
    // One worker is half of two cores, and no more than half of one.
    {"two_cores",
     50,
     {.cores = 2,
      SMALL_STACKS,
      ALL_SCANNABLE,
      .gogc_percent = 100,
      .allocated = {.base = 132},
      .scanned = {.base = 1024},
      .growth = {GROWS_TO_MIBS}},
     {{25, 50, UTILISATION, 0.495, 0.505}, SETTLED(25, 50)}},
    {"one_core",
     50,
     {.cores = 1,
      SMALL_STACKS,
      ALL_SCANNABLE,
      .gogc_percent = 100,
      .allocated = {.base = 132},
      .scanned = {.base = 1024},
      .growth = {GROWS_TO_MIBS}},
     {{25, 50, UTILISATION, 0.495, 0.505}, SETTLED(25, 50)}},
    // A hard limit is kept, but for the 1 MiB of a step, by a program that allocates as fast as it
    // scans.
    {"hard_limit",
     50,
     {EIGHT_CORES, SMALL_STACKS, ALL_SCANNABLE, .gogc_percent = 100, .limit_bytes = 30 * MIB,
      .allocated = {.base = 1024}, .scanned = {.base = 1024}, .growth = {GROWS_TO_MIBS}},
     {{1, 50, PEAK_BYTES, 0, 31 * MIB}, {13, 50, GOAL_RATIO, 0.9, 1.001}}},
};
// clang-format on

enum { SCENARIO_COUNT = sizeof scenarios / sizeof scenarios[0] };

static uint64_t seed; // of every scenario's noise

static void print_cycle(unsigned number, const sim_cycle *c) {
  fprintf(stderr, "cycle %u: %.1f%% %" PRIu64 "->%" PRIu64 "->%" PRIu64 " goal %" PRIu64 "\n",
          number, 100 * c->utilisation, c->marked_bytes, c->trigger_bytes, c->peak_bytes,
          c->goal_bytes);
}

// True if the rule holds in every cycle it is for.
static bool obeys(const scenario *s, const sim_cycle *cycles, const rule *r) {
  for (unsigned number = r->first; number <= r->last; number++) {
    const double value = measure(cycles, number - 1, r->metric);
    if (value >= r->low && value <= r->high) continue;
    print_cycle(number, &cycles[number - 1]);
    fprintf(stderr, "%s: %s is %.9g in cycle %u, not in %.9g .. %.9g\n", s->name,
            metric_names[r->metric], value, number, r->low, r->high);
    return false;
  }
  return true;
}

static void test_scenario(void **state) {
  const scenario *const s = *state;
  sim_cycle cycles[CYCLES_MAX];
  pacer_sim sim;
  sim_init(&sim, &s->program, seed);
  for (unsigned i = 0; i < s->cycles; i++) {
    cycles[i] = sim_next(&sim);
    assert_true(cycles[i].utilisation >= 0 && cycles[i].utilisation <= 1);
    assert_true(cycles[i].trigger_bytes <= cycles[i].goal_bytes);
    assert_true(cycles[i].marked_bytes <= cycles[i].trigger_bytes);
  }
  for (const rule *r = s->rules; r < s->rules + RULES_MAX && r->last > 0; r++)
    if (!obeys(s, cycles, r)) fail_msg("%s broke a rule; seed %" PRIu64, s->name, seed);
}

int main(void) {
  seed = test_seed(1);
  struct CMUnitTest tests[SCENARIO_COUNT];
  for (size_t i = 0; i < SCENARIO_COUNT; i++)
    tests[i] = (struct CMUnitTest){.name = scenarios[i].name,
                                   .test_func = test_scenario,
                                   .initial_state = (void *)(uintptr_t)&scenarios[i]};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
