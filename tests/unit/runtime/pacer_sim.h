// SPDX-License-Identifier: MIT
// A program and a collector reduced to flows of bytes, around a real hs_pacer: how fast the program
// allocates, how fast a core scans, how the live heap grows from cycle to cycle. Time advances in
// steps between two revisions of the assist ratio, in each of which the assists hold scanning and
// allocation exactly at that ratio. After the model of mgcpacer_test.go of Go 1.21.
#ifndef HS_TESTS_PACER_SIM_H
#define HS_TESTS_PACER_SIM_H

#include <stdint.h>

#include "allocators/base/rng.h"
#include "allocators/runtime/pacer.h"

// A quantity over the cycles 0, 1, ...: the sum of its parts, each absent if zero.
typedef struct sim_flow {
  double base;
  struct {
    double height; // reached evenly over `cycles` cycles after `delay`, and kept
    unsigned cycles, delay;
  } ramp;
  struct {
    double height; // in one cycle only
    unsigned cycle;
  } bump;
  struct {
    double height; // sine of this amplitude
    unsigned cycles;
  } wave;
  double noise; // uniform, up to as much more or less
} sim_flow;

double sim_flow_at(const sim_flow *flow, unsigned cycle, hs_rng *rng);

typedef struct sim_program {
  int64_t gogc_percent;       // as heap_config
  int64_t memory_limit_bytes; // all memory is heap: the limit is one of the heap
  int64_t limit_bytes;
  unsigned cores;
  uint64_t globals_bytes;
  sim_flow allocated;    // KiB per millisecond of one core that does nothing else
  sim_flow scanned;      // the same of scanning
  sim_flow growth;       // live bytes of this cycle per live byte of the last
  sim_flow scannable;    // share of the heap that must be scanned, clamped to 0 .. 1
  sim_flow stacks_bytes; // other roots, rounded to 2 KiB
} sim_program;

// What happened in one cycle, heap sizes in bytes.
typedef struct sim_cycle {
  uint64_t marked_bytes;  // at the beginning: left by the cycle before
  uint64_t trigger_bytes; // where it started
  uint64_t goal_bytes;    // where it should end
  uint64_t peak_bytes;    // where it ended
  double utilisation;     // share of the cores that collected while marking
} sim_cycle;

typedef struct pacer_sim {
  hs_pacer pacer;
  const sim_program *program; // borrowed
  hs_rng rng;
  unsigned cycle;           // number of the next one
  uint64_t live_bytes;      // what the pacer is told
  uint64_t reachable_bytes; // at the end of the last cycle, without what was allocated during it
} pacer_sim;

void sim_init(pacer_sim *sim, const sim_program *program, uint64_t seed);

// Runs to the next trigger and through one cycle.
sim_cycle sim_next(pacer_sim *sim);

#endif
