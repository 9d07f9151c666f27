// SPDX-License-Identifier: MIT
#include "tests/unit/runtime/pacer_sim.h"

#include <math.h>

#include "allocators/base/bits.h"
#include "allocators/runtime/config.h"

#define KIB 1024.0
#define PI 3.14159265358979323846

static const double STEP_MS = 0.5;               // between two revisions
static const double LEAST_RATE = 0.0001;         // speeds and growth are above zero
static const uint64_t STACK_BYTES = 2048;        // stacks are multiples of it
static const uint64_t FIRST_LIVE_BYTES = 262144; // that the first cycle finds

double sim_flow_at(const sim_flow *flow, unsigned cycle, hs_rng *rng) {
  double value = flow->base;
  if (flow->ramp.height != 0 && cycle > flow->ramp.delay) {
    const double part = (double)(cycle - flow->ramp.delay) / (double)flow->ramp.cycles;
    value += flow->ramp.height * (part < 1 ? part : 1);
  }
  if (flow->bump.height != 0 && cycle == flow->bump.cycle) value += flow->bump.height;
  if (flow->wave.height != 0)
    value += flow->wave.height * sin(2 * PI * (double)cycle / (double)flow->wave.cycles);
  if (flow->noise != 0) value += flow->noise * (2 * hs_rng_unit(rng) - 1);
  return value;
}

static double rate_at(pacer_sim *sim, const sim_flow *flow) {
  return fmax(sim_flow_at(flow, sim->cycle, &sim->rng), LEAST_RATE);
}

// One cycle under way.
typedef struct marking {
  double allocated, scanned;    // bytes per millisecond of all cores at full share
  double background;            // share of the cores the workers take
  double work_left_bytes;       // roots included
  double scanned_bytes;         // so far
  double allocated_black_bytes; // so far: survives, whatever becomes of it
  double elapsed_ms;
  double collecting_ms; // time x share of the cores
} marking;

// Assists hold scanning and allocation at the ratio r: scanned * u = r * allocated * (1 - u), from
// which the share u of the cores that scans. The workers scan at their share also if less is owed.
static double utilisation_at(const marking *m, double assist_ratio) {
  const double owed = assist_ratio * m->allocated;
  return fmax(owed / (owed + m->scanned), m->background);
}

static void mark_step(pacer_sim *sim, marking *m) {
  const double share = utilisation_at(m, hs_pacer_assist_ratio(&sim->pacer));
  double ms = STEP_MS, work = m->scanned * share * ms;
  if (work >= m->work_left_bytes) { // the cycle ends within the step
    work = m->work_left_bytes;
    ms = work / (m->scanned * share);
  }
  m->work_left_bytes -= work;
  m->scanned_bytes += work;
  m->allocated_black_bytes += m->allocated * (1 - share) * ms;
  m->elapsed_ms += ms;
  m->collecting_ms += share * ms;
  hs_pacer_revise(&sim->pacer, sim->live_bytes + (uint64_t)m->allocated_black_bytes,
                  (uint64_t)m->scanned_bytes);
}

void sim_init(pacer_sim *sim, const sim_program *program, uint64_t seed) {
  heap_config config = hs_config_default();
  config.gogc_percent = program->gogc_percent;
  config.memory_limit_bytes = program->memory_limit_bytes;
  config.limit_bytes = program->limit_bytes;
  sim->program = program;
  sim->rng = hs_rng_seed(seed);
  sim->cycle = 0;
  sim->live_bytes = 0;
  sim->reachable_bytes = 0;
  hs_pacer_init(&sim->pacer, &config, program->cores);
}

sim_cycle sim_next(pacer_sim *sim) {
  const sim_program *const program = sim->program;
  const double cores = (double)program->cores;
  marking m = {.background = sim->pacer.background_share};
  m.allocated = rate_at(sim, &program->allocated) * KIB * cores;
  m.scanned = rate_at(sim, &program->scanned) * KIB * cores;
  const double growth = rate_at(sim, &program->growth);
  const double scannable =
      fmin(fmax(sim_flow_at(&program->scannable, sim->cycle, &sim->rng), 0), 1);
  const double stacks = fmax(sim_flow_at(&program->stacks_bytes, sim->cycle, &sim->rng), 0);
  const uint64_t roots_bytes =
      program->globals_bytes + (uint64_t)stacks / STACK_BYTES * STACK_BYTES;
  sim->reachable_bytes =
      sim->cycle == 0 ? FIRST_LIVE_BYTES : (uint64_t)((double)sim->reachable_bytes * growth);

  sim_cycle result = {.marked_bytes = sim->live_bytes};
  sim->live_bytes = hs_max_u64(sim->live_bytes, hs_pacer_trigger(&sim->pacer));
  result.trigger_bytes = sim->live_bytes;
  hs_pacer_start_cycle(&sim->pacer, sim->live_bytes, roots_bytes);
  m.work_left_bytes = (double)roots_bytes + (double)sim->reachable_bytes * scannable;
  while (m.work_left_bytes > 0) mark_step(sim, &m);

  const uint64_t black_bytes = (uint64_t)m.allocated_black_bytes;
  result.goal_bytes = hs_pacer_goal(&sim->pacer);
  result.peak_bytes = sim->live_bytes + black_bytes;
  result.utilisation = m.collecting_ms / m.elapsed_ms;
  sim->live_bytes = sim->reachable_bytes + black_bytes;
  hs_pacer_end_cycle(&sim->pacer,
                     &(hs_pacer_cycle){
                         .live_bytes = result.peak_bytes,
                         .marked_bytes = sim->live_bytes,
                         .scanned_bytes = (uint64_t)m.scanned_bytes,
                         .scannable_bytes = (uint64_t)((double)sim->live_bytes * scannable),
                         .roots_bytes = roots_bytes,
                         .utilisation = result.utilisation,
                     });
  hs_pacer_commit(&sim->pacer, sim->live_bytes, false, NULL);
  sim->cycle++;
  return result;
}
