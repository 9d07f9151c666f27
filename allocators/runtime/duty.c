// SPDX-License-Identifier: MIT
#include "allocators/runtime/duty.h"

#include <math.h>

// A burst: long enough to measure, short enough not to be felt (Go: minScavWorkTime).
static const double BURST_NS = 1e6;
// What an OS page takes to return when the clock is too coarse to say (Go: approxWorkedNSPerPhysicalPage).
static const double PAGE_NS = 10e3;
static const double PAGE_BYTES = 4096;
// Worked : slept at the start and during a cooldown: a tenth of the goal at a share of 1 %.
static const double CAUTIOUS_RATIO = 0.001;
static const double COOLDOWN_NS = 5e9;

static double at_least(double x, double low) { return x > low ? x : low; }

bool hs_controller_next(hs_controller *controller, double input, double setpoint, double period_ns,
                        double *output) {
  const double error = setpoint - input;
  const double wanted = controller->gain * error + controller->integral;
  if (isfinite(wanted)) {
    const double raised = at_least(wanted, controller->low);
    *output = raised < controller->high ? raised : controller->high;
    // What the bounds cut off is taken back out of the integral, or it would grow while they hold.
    controller->integral += controller->gain * period_ns / controller->integral_ns * error +
                            period_ns / controller->reset_ns * (*output - wanted);
    if (isfinite(controller->integral)) return true;
  }
  controller->integral = 0;
  *output = controller->low;
  return false;
}

void hs_duty_init(hs_duty *duty, double share, unsigned cpu_count) {
  *duty = (hs_duty){.controller = {.gain = 0.3375,
                                   .integral_ns = 3.2e6,
                                   .reset_ns = 1e9,
                                   .low = 1e-3,
                                   .high = 1e3},
                    .share = share,
                    .cpu_count = cpu_count,
                    .ratio = CAUTIOUS_RATIO};
}

uint64_t hs_duty_burst(hs_duty *duty, const hs_duty_work *work) {
  uint64_t bytes = 0, released;
  duty->worked_ns = 0;
  do {
    if (work->is_done(work->context)) break;
    uint64_t took_ns = 0;
    released = work->unit(work->context, work->unit_bytes, &took_ns);
    bytes += released;
    duty->worked_ns += took_ns > 0 ? (double)took_ns : PAGE_NS * (double)released / PAGE_BYTES;
  } while (released >= work->unit_bytes && duty->worked_ns < BURST_NS);
  return bytes;
}

uint64_t hs_duty_sleep_ns(hs_duty *duty, uint64_t now_ns) {
  // A shorter burst tells little; to take it for a whole one is to sleep longer.
  duty->worked_ns = at_least(duty->worked_ns, BURST_NS);
  duty->asleep_at_ns = now_ns;
  return (uint64_t)(duty->worked_ns / duty->ratio);
}

void hs_duty_wake(hs_duty *duty, uint64_t now_ns) {
  if (duty->asleep_at_ns == 0) return;
  const double slept_ns = now_ns > duty->asleep_at_ns ? (double)(now_ns - duty->asleep_at_ns) : 0;
  const double period_ns = slept_ns + duty->worked_ns;
  duty->asleep_at_ns = 0;
  if (duty->cooldown_ns > 0) {
    duty->cooldown_ns = at_least(duty->cooldown_ns - period_ns, 0);
    return;
  }
  const double taken = duty->worked_ns / (period_ns * (double)duty->cpu_count);
  if (hs_controller_next(&duty->controller, taken, duty->share, period_ns, &duty->ratio)) return;
  duty->ratio = CAUTIOUS_RATIO;
  duty->cooldown_ns = COOLDOWN_NS;
  duty->broke_down = true;
}

bool hs_duty_take_breakdown(hs_duty *duty) {
  const bool broke_down = duty->broke_down;
  duty->broke_down = false;
  return broke_down;
}
