// SPDX-License-Identifier: MIT
#include "allocators/runtime/pacer.h"

#include "allocators/base/assert.h"
#include "allocators/base/bits.h"

#define MIB ((uint64_t)1 << 20)
#define KIB ((uint64_t)1 << 10)

// Constants of Go 1.21, file mgcpacer.go and mgcsweep.go.

// Room above the live bytes that a cycle must have to be worth starting, whatever gogc says; also
// the room a started cycle has at least.
static const uint64_t SLACK_BYTES = 64 * KIB;
// Allocation that a sweep in progress is given before the next cycle.
static const uint64_t SWEEP_DISTANCE_BYTES = MIB;
// The trigger is at least 45/64 (about 70 %) of the way from the marked bytes to the goal: earlier,
// a program that allocates fast would be marked nearly always, and what it allocates then is kept.
// And it is at most 61/64 (about 95 %), or this far short of the goal.
static const uint64_t TRIGGER_LOW = 45, TRIGGER_HIGH = 61, TRIGGER_PARTS = 64;
static const uint64_t LARGEST_LAST_ROOM_BYTES = 4 * MIB;
// Overhead takes at most one in so many bytes of the room above the marked bytes.
static const uint64_t LARGEST_OVERHEAD_PART = 2;
// Part of a goal set by the soft limit that is kept free, as the pacing is not exact.
static const uint64_t HEADROOM_PERCENT = 3, LEAST_HEADROOM_BYTES = MIB;
// Share of the cores that background workers aim at. With few cores one worker takes more, and the
// system's scheduler rarely gives it more than half.
static const double BACKGROUND_SHARE = 0.25, LEAST_SHARE = 0.05, LARGEST_SHARE = 0.5;
// A worker that overshoots that share by more is left out.
static const double WORKER_EXCESS = 1.3;
// What gogc=off counts as in a cycle that runs all the same.
static const double OFF_PERCENT = 100000;
// Scan work that is assumed to be left, because the count of what is done is a little ahead or
// behind.
static const double LEAST_WORK_BYTES = 1000;
// How far past the goal a cycle that has missed it may aim.
static const double OVERSHOOT = 1.1;
// A cycle that leaves the program less of the cores than 1 % measures nothing of its speed.
static const double LARGEST_UTILISATION = 0.99;
// Smallest distance that a sweep ratio is computed for: a page (Go: 8 KiB).
static const uint64_t LEAST_SWEEP_BYTES = 8 * KIB;

// ---- saturating arithmetic ----------------------------------------------------------------------

static uint64_t add_saturating(uint64_t a, uint64_t b) {
  uint64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t subtract_saturating(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// percent / 100 of bytes. Divides first where the product would not fit: exact enough at that size.
static uint64_t share_saturating(uint64_t bytes, uint64_t percent) {
  uint64_t product;
  if (!__builtin_mul_overflow(bytes, percent, &product)) return product / 100;
  return __builtin_mul_overflow(bytes / 100, percent, &product) ? UINT64_MAX : product;
}

// A byte count from a computed number, which may be infinite, negative or none at all.
static uint64_t bytes_of(double value) {
  if (!(value > 0)) return 0;
  return value >= 0x1p64 ? UINT64_MAX : (uint64_t)value;
}

static double clamp(double value, double low, double high) {
  if (!(value > low)) return low; // also what is no number
  return value < high ? value : high;
}

// ---- goal ---------------------------------------------------------------------------------------

static uint64_t gogc_goal(const heap_config *config, uint64_t marked_bytes, uint64_t roots_bytes) {
  if (config->gogc_percent < 0) return UINT64_MAX;
  const uint64_t percent = (uint64_t)config->gogc_percent;
  const uint64_t scanned = add_saturating(marked_bytes, roots_bytes);
  uint64_t goal = add_saturating(marked_bytes, share_saturating(scanned, percent));
  goal = hs_max_u64(goal, share_saturating((uint64_t)config->min_heap_bytes, percent));
  return hs_max_u64(goal, add_saturating(marked_bytes, SLACK_BYTES));
}

static uint64_t cap_by_hard_limit(const heap_config *config, uint64_t goal) {
  return config->limit_bytes > 0 ? hs_min_u64(goal, (uint64_t)config->limit_bytes) : goal;
}

uint64_t hs_pacer_goal_bytes(const heap_config *config, uint64_t marked_bytes,
                             uint64_t roots_bytes) {
  const uint64_t goal = cap_by_hard_limit(config, gogc_goal(config, marked_bytes, roots_bytes));
  return hs_max_u64(goal, marked_bytes);
}

// Live bytes that fit under the soft limit: without what is mapped but can never hold an object,
// and without as much again as the footprint is over the limit. Free pages count as room for
// objects.
static uint64_t soft_limit_goal(const hs_pacer *pacer) {
  if (pacer->config.memory_limit_bytes <= 0) return UINT64_MAX;
  const uint64_t limit = (uint64_t)pacer->config.memory_limit_bytes;
  const hs_pacer_memory *const memory = &pacer->memory;
  const uint64_t heap = add_saturating(memory->heap_free_bytes, memory->heap_alloc_bytes);
  const uint64_t other = subtract_saturating(memory->mapped_bytes, heap);
  const uint64_t overage = subtract_saturating(memory->mapped_bytes, limit);
  const uint64_t taken = add_saturating(other, overage);
  if (taken >= limit) return 0; // nothing but collecting without end is left
  const uint64_t room = limit - taken;
  const uint64_t headroom =
      hs_max_u64(share_saturating(room, HEADROOM_PERCENT), LEAST_HEADROOM_BYTES);
  return hs_max_u64(subtract_saturating(room, headroom), headroom);
}

// What comes off the room above the marked bytes, but not off the smallest heap's.
static uint64_t without_overhead(const hs_pacer *pacer, uint64_t goal) {
  if (goal == UINT64_MAX || pacer->overhead_bytes == 0) return goal;
  const uint64_t room = subtract_saturating(goal, pacer->marked_bytes);
  const uint64_t least = gogc_goal(&pacer->config, 0, 0);
  const uint64_t charged = hs_min_u64(pacer->overhead_bytes, room / LARGEST_OVERHEAD_PART);
  return hs_min_u64(goal, hs_max_u64(goal - charged, least));
}

void hs_pacer_charge(hs_pacer *pacer, uint64_t overhead_bytes) {
  pacer->overhead_bytes = overhead_bytes;
}

static uint64_t current_goal(hs_pacer *pacer) {
  uint64_t goal =
      without_overhead(pacer, gogc_goal(&pacer->config, pacer->marked_bytes, pacer->roots_bytes));
  const uint64_t soft = soft_limit_goal(pacer);
  pacer->memory_limited = soft < goal;
  if (pacer->memory_limited) {
    goal = soft;
  } else {
    // Convenience of sweeper and marker may move the goal, but not past memory that is short.
    goal = hs_max_u64(goal, pacer->sweep_floor_bytes);
    const uint64_t triggered = hs_load_relaxed(&pacer->triggered_bytes);
    if (triggered != HS_PACER_NO_CYCLE)
      goal = hs_max_u64(goal, add_saturating(triggered, SLACK_BYTES));
  }
  return hs_max_u64(cap_by_hard_limit(&pacer->config, goal), pacer->marked_bytes);
}

// ---- trigger ------------------------------------------------------------------------------------

static uint64_t trigger_for(const hs_pacer *pacer, uint64_t goal) {
  if (pacer->config.gc == HEAP_GC_STW || goal == UINT64_MAX) return goal;
  const uint64_t marked = pacer->marked_bytes;
  const uint64_t part = subtract_saturating(goal, marked) / TRIGGER_PARTS;
  uint64_t low = marked + part * TRIGGER_LOW;
  if (!pacer->memory_limited) low = hs_max_u64(low, pacer->sweep_floor_bytes);
  const uint64_t last_room = subtract_saturating(goal, LARGEST_LAST_ROOM_BYTES);
  uint64_t high = hs_max_u64(marked + part * TRIGGER_HIGH, last_room);
  high = hs_max_u64(high, low);
  const uint64_t wanted = subtract_saturating(goal, pacer->runway_bytes);
  return hs_min_u64(hs_min_u64(hs_max_u64(wanted, low), high), goal);
}

static void publish(hs_pacer *pacer) {
  const uint64_t goal = current_goal(pacer);
  const uint64_t trigger = trigger_for(pacer, goal);
  HS_ASSERT(pacer->marked_bytes <= trigger && trigger <= goal); // I-pacer-1
  hs_store_relaxed(&pacer->goal_bytes, goal);
  hs_store_relaxed(&pacer->trigger_bytes, trigger);
}

void hs_pacer_commit(hs_pacer *pacer, uint64_t live_bytes, bool sweep_done,
                     const hs_pacer_memory *memory) {
  if (memory) pacer->memory = *memory;
  pacer->sweep_floor_bytes = sweep_done ? 0 : add_saturating(live_bytes, SWEEP_DISTANCE_BYTES);
  // While the background workers scan what is expected, in their share of the cores, the program
  // allocates this much in the rest of them.
  const double share = pacer->background_share;
  const double work = (double)pacer->heap_scan_bytes + (double)pacer->roots_bytes;
  pacer->runway_bytes = bytes_of(pacer->cons_mark * (1 - share) / share * work);
  publish(pacer);
}

// ---- cycle --------------------------------------------------------------------------------------

unsigned hs_pacer_workers(const heap_config *config, unsigned cores) {
  if (config->workers > 0) return (unsigned)config->workers;
  const double wanted = (double)cores * BACKGROUND_SHARE;
  unsigned workers = (unsigned)(wanted + 0.5);
  if (workers > 1 && (double)workers > wanted * WORKER_EXCESS) workers--;
  return workers > 0 ? workers : 1;
}

void hs_pacer_init(hs_pacer *pacer, const heap_config *config, unsigned cores) {
  *pacer = (hs_pacer){.config = *config, .scannable_share = 1};
  const double workers = (double)hs_pacer_workers(config, cores);
  pacer->background_share =
      clamp(workers / (double)hs_max_u64(cores, 1), LEAST_SHARE, LARGEST_SHARE);
  hs_store_relaxed(&pacer->triggered_bytes, HS_PACER_NO_CYCLE);
  hs_pacer_commit(pacer, 0, true, NULL); // nothing to sweep before the first cycle
}

void hs_pacer_start_cycle(hs_pacer *pacer, uint64_t live_bytes, uint64_t roots_bytes) {
  const uint64_t scannable = bytes_of((double)live_bytes * pacer->scannable_share);
  const uint64_t heap_worst = hs_max_u64(scannable, pacer->heap_scan_bytes);
  hs_store_relaxed(&pacer->expected_scan_bytes,
                   add_saturating(pacer->heap_scan_bytes, roots_bytes));
  hs_store_relaxed(&pacer->worst_scan_bytes, add_saturating(heap_worst, roots_bytes));
  hs_store_relaxed(&pacer->triggered_bytes, hs_min_u64(live_bytes, HS_PACER_NO_CYCLE - 1));
  publish(pacer); // the goal is past the start of the cycle
  hs_pacer_revise(pacer, live_bytes, 0);
}

// Live bytes a cycle that has scanned more than expected should aim at: as far again as the work
// may still grow, since the next cycle will use that memory anyway; but no further than the next
// goal.
static double extended_goal(const hs_pacer *pacer, double goal, double triggered, double expected,
                            double worst) {
  const int64_t gogc = pacer->config.gogc_percent;
  const double percent = gogc < 0 ? OFF_PERCENT : (double)gogc;
  const double extended = triggered + (goal - triggered) / clamp(expected, 1, expected) * worst;
  return clamp(extended, goal, goal * (1 + percent / 100));
}

void hs_pacer_revise(hs_pacer *pacer, uint64_t live_bytes, uint64_t scanned_bytes) {
  const uint64_t triggered = hs_load_relaxed(&pacer->triggered_bytes);
  if (triggered == HS_PACER_NO_CYCLE) return;
  const double worst = (double)hs_load_relaxed(&pacer->worst_scan_bytes);
  const double live = (double)live_bytes, scanned = (double)scanned_bytes;
  double work = (double)hs_load_relaxed(&pacer->expected_scan_bytes);
  double goal = (double)hs_load_relaxed(&pacer->goal_bytes);
  if (scanned > work) {
    goal = extended_goal(pacer, goal, (double)triggered, work, worst);
    work = worst;
  }
  if (live > goal) {
    goal *= OVERSHOOT;
    work = worst;
  }
  // Past the hard limit allocation fails: everything must be scanned before.
  if (pacer->config.limit_bytes > 0) goal = clamp(goal, 0, (double)pacer->config.limit_bytes);
  const double work_left = clamp(work - scanned, LEAST_WORK_BYTES, 0x1p64);
  const double bytes_left = clamp(goal - live, 1, 0x1p64);
  hs_store_relaxed(&pacer->assist_ratio, work_left / bytes_left);
}

static double largest_cons_mark(const hs_pacer *pacer, double cons_mark) {
  for (int i = 0; i < HS_PACER_HISTORY; i++)
    if (pacer->recent_cons_mark[i] > cons_mark) cons_mark = pacer->recent_cons_mark[i];
  return cons_mark;
}

// Renews the estimate from `bytes` allocated while marking.
static void learn_cons_mark(hs_pacer *pacer, const hs_pacer_cycle *cycle, uint64_t bytes) {
  const double mutator = 1 - clamp(cycle->utilisation, 0, LARGEST_UTILISATION);
  const double marker = clamp(cycle->utilisation + cycle->idle_utilisation, 0, 1);
  const double current = (double)bytes * marker / ((double)cycle->scanned_bytes * mutator);
  pacer->cons_mark = largest_cons_mark(pacer, current);
  for (int i = 1; i < HS_PACER_HISTORY; i++)
    pacer->recent_cons_mark[i - 1] = pacer->recent_cons_mark[i];
  pacer->recent_cons_mark[HS_PACER_HISTORY - 1] = current;
}

void hs_pacer_end_cycle(hs_pacer *pacer, const hs_pacer_cycle *cycle) {
  const uint64_t triggered = hs_load_relaxed(&pacer->triggered_bytes);
  pacer->last_utilisation = cycle->utilisation;
  pacer->last_idle_utilisation = cycle->idle_utilisation;
  pacer->last_cons_mark = pacer->cons_mark;
  pacer->last_goal_bytes = hs_pacer_goal(pacer);
  pacer->last_triggered_bytes = triggered;
  pacer->last_live_bytes = cycle->live_bytes;
  pacer->last_scanned_bytes = cycle->scanned_bytes;
  pacer->last_expected_bytes = hs_load_relaxed(&pacer->expected_scan_bytes);
  if (triggered != HS_PACER_NO_CYCLE && cycle->live_bytes > triggered && cycle->scanned_bytes > 0)
    learn_cons_mark(pacer, cycle, cycle->live_bytes - triggered);

  pacer->marked_bytes = cycle->marked_bytes;
  pacer->roots_bytes = hs_min_u64(cycle->roots_bytes, cycle->scanned_bytes);
  pacer->heap_scan_bytes = cycle->scanned_bytes - pacer->roots_bytes;
  const uint64_t scannable = hs_max_u64(cycle->scannable_bytes, pacer->heap_scan_bytes);
  pacer->scannable_share = 1;
  if (cycle->marked_bytes > 0)
    pacer->scannable_share = clamp((double)scannable / (double)cycle->marked_bytes, 0, 1);
  hs_store_relaxed(&pacer->triggered_bytes, HS_PACER_NO_CYCLE);
  hs_store_relaxed(&pacer->assist_ratio, 0.0);
}

double hs_pacer_sweep_ratio(uint64_t unswept_pages, uint64_t live_bytes, uint64_t trigger_bytes) {
  uint64_t distance = subtract_saturating(trigger_bytes, live_bytes);
  distance = subtract_saturating(distance, SWEEP_DISTANCE_BYTES);
  return (double)unswept_pages / (double)hs_max_u64(distance, LEAST_SWEEP_BYTES);
}
