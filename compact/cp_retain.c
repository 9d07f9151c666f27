// SPDX-License-Identifier: MIT
// How much free memory a heap keeps after an automatic cycle. Arithmetic only: time is passed in. Bytes are those
// that pace cycles, of objects and of their entries.
//
// Note [retention]
//   Memory that is given back and needed again costs a share of a system call, a page fault and clearing. Memory that
//   is kept and not needed costs memory. So
//     what was in use when cycles ended lately may be in use again, and is kept (peak_bytes). It decays with time and not
//     with cycles: a heap that goes up and down, however often it is collected meanwhile, keeps its pages;
//     of that, what will not be needed before SOON_NS, at the rate of the last cycle, is given back all the
//     same, as far as REUSE_CPU goes. A program that fills its heap slowly has garbage and no free memory.
//   Go's scavenger goes by the next cycle's peak too, with 10 % more, and by 1 % of the CPU's time, but keeps all of it.
#include "compact/cp_internal.h"

static const uint64_t DECAY_NS = 500 * 1000 * 1000; // e^-1 is left after it, a half after 350 ms
static const uint64_t SOON_NS = 100 * 1000 * 1000;
// Share of the cores for giving back what will be needed again, and what that takes in all, per byte: measured on
// virtual machines, where page faults are dear.
static const double REUSE_CPU = 0.01, REUSE_NS_PER_BYTE = 0.6;
// A cycle may have come to its end beyond its goal, and so may the next.
static const uint64_t OVERSHOOT_FRACTION = 4;

static uint64_t less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// In use when the next cycle ends: what was found live, and what threads take until then.
static uint64_t needed_bytes(const cp_retain_view *view) {
  const uint64_t room = less(view->goal_bytes, view->live_bytes);
  const uint64_t most = room + room / OVERSHOOT_FRACTION;
  const uint64_t taken = view->sparing ? 0 : hs_min_u64(view->taken_bytes, most);
  return view->live_bytes + hs_max_u64(room, taken);
}

uint64_t cp_retain(cp_retention *retention, const cp_retain_view *view) {
  const uint64_t elapsed_ns = view->now_ns - retention->set_ns;
  const double left = 1 - hs_min_double((double)elapsed_ns / (double)DECAY_NS, 1);
  const uint64_t before = (uint64_t)((double)retention->peak_bytes * left);
  retention->peak_bytes = hs_max_u64(needed_bytes(view), view->sparing ? 0 : before);
  retention->set_ns = view->now_ns;
  const uint64_t keep = less(retention->peak_bytes, view->live_bytes);
  if (!view->gives_back_early || view->interval_ns == 0) return keep;
  const double rate = (double)view->taken_bytes / (double)view->interval_ns;
  const double budget = REUSE_CPU * view->cores / REUSE_NS_PER_BYTE * (double)elapsed_ns;
  const double early = hs_max_double(rate * (double)SOON_NS, (double)keep - budget);
  return early < (double)keep ? (uint64_t)early : keep;
}
