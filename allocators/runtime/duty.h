// SPDX-License-Identifier: MIT
// A duty cycle: background work that takes a given share of the CPU. It works in bursts and sleeps in
// between; how long follows from a proportional-integral controller whose input is the share it really
// took, with the windup of its integral bounded (Astrom and Murray, "Feedback Systems", 2008, section
// 10.4). Constants as Go tuned them for its scavenger (mgcscavenge.go, Go 1.19+). Time is passed in,
// so a fake clock drives it as well as a real one.
// One thread, which need not be the one that initialised it.
#ifndef HS_RUNTIME_DUTY_H
#define HS_RUNTIME_DUTY_H

#include <stdbool.h>
#include <stdint.h>

// Output = kp * error + integral of the error, kept within [low, high].
typedef struct hs_controller {
  double gain, integral_ns, reset_ns; // [const] kp, and the times over which the integral acts
  double low, high;                   // [const] of the output
  double integral;                    // in units of the output
} hs_controller;

// The next output for a sample of the input, period_ns after the last one. Always finite and within
// its bounds; false when a number overflowed, and the integral starts from zero again.
bool hs_controller_next(hs_controller *controller, double input, double setpoint, double period_ns,
                        double *output);

typedef struct hs_duty {
  hs_controller controller;
  double share;          // [const] of the CPU time of `cpu_count` processors
  unsigned cpu_count;    // [const]
  double ratio;          // time worked : time slept
  double cooldown_ns;    // of rest after a breakdown: the controller is not asked
  double worked_ns;      // in the burst before the sleep that is under way
  uint64_t asleep_at_ns; // when that began; 0: awake, or idle for an unknown time
  bool broke_down;       // since hs_duty_take_breakdown
} hs_duty;

void hs_duty_init(hs_duty *duty, double share, unsigned cpu_count);

// One unit of work. Returns what was released in bytes, and in *took_ns how long that took (0: the clock
// did not move). Less than unit_bytes means that nothing is left.
typedef uint64_t (*hs_duty_unit_fn)(void *context, uint64_t unit_bytes, uint64_t *took_ns);

typedef struct hs_duty_work {
  hs_duty_unit_fn unit;
  bool (*is_done)(void *context); // asked before each unit
  void *context;
  uint64_t unit_bytes;
} hs_duty_work;

// Work for about 1 ms, or until there is no more to do. Returns the bytes; 0: sleep until woken.
uint64_t hs_duty_burst(hs_duty *duty, const hs_duty_work *work);

// How long to sleep after a burst that ended at now_ns. The sleep ends at the next hs_duty_wake.
uint64_t hs_duty_sleep_ns(hs_duty *duty, uint64_t now_ns);

// The thread is awake; it need not have slept as long as it was told.
void hs_duty_wake(hs_duty *duty, uint64_t now_ns);

// Whether the controller broke down since the last call.
bool hs_duty_take_breakdown(hs_duty *duty);

#endif
