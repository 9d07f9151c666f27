// SPDX-License-Identifier: MIT
// The duty cycle under a fake clock. The scenario and its numbers are those of TestScavenger and
// FuzzPIController in Go's mgcscavenge_test.go (1.19, 1.23): work that takes 10 us per 4 KiB.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "allocators/base/rng.h"
#include "allocators/runtime/duty.h"

#define MIB ((uint64_t)1 << 20)
enum { OS_PAGE_BYTES = 4096, UNIT_BYTES = 64 << 10, PAGE_NS = 10000 };

typedef struct world {
  hs_duty duty;
  uint64_t now_ns, worked_ns, slept_ns;
  uint64_t available_bytes, stop_at_bytes, released_bytes;
  bool clock_stands; // units report that they took no time
  double sleeps;     // it sleeps this much longer than it was told
} world;

static uint64_t release_unit(void *context, uint64_t unit_bytes, uint64_t *took_ns) {
  world *const w = context;
  const uint64_t bytes = unit_bytes < w->available_bytes ? unit_bytes : w->available_bytes;
  const uint64_t ns = (bytes + OS_PAGE_BYTES - 1) / OS_PAGE_BYTES * PAGE_NS;
  w->available_bytes -= bytes;
  w->released_bytes += bytes;
  w->worked_ns += ns;
  w->now_ns += ns;
  *took_ns = w->clock_stands ? 0 : ns;
  return bytes;
}

static bool is_done(void *context) {
  const world *const w = context;
  return w->available_bytes <= w->stop_at_bytes;
}

static void world_init(world *w, unsigned cpu_count) {
  *w = (world){.now_ns = 1, .sleeps = 1};
  hs_duty_init(&w->duty, 0.01, cpu_count);
}

// What the background thread does from a wake-up until it has nothing left; returns the bursts.
static unsigned run_until_idle(world *w) {
  const hs_duty_work work = {release_unit, is_done, w, UNIT_BYTES};
  for (unsigned bursts = 0;; bursts++) {
    hs_duty_wake(&w->duty, w->now_ns);
    if (hs_duty_burst(&w->duty, &work) == 0) return bursts;
    const double sleep_ns = (double)hs_duty_sleep_ns(&w->duty, w->now_ns) * w->sleeps;
    w->slept_ns += (uint64_t)sleep_ns;
    w->now_ns += (uint64_t)sleep_ns;
    assert_true(bursts < 100000);
  }
}

static double share(const world *w) {
  return (double)w->worked_ns / (double)(w->worked_ns + w->slept_ns);
}

static void expect(const world *w, uint64_t released_bytes) {
  assert_true(w->released_bytes == released_bytes);
  assert_true(fabs(share(w) - 0.01) <= 0.005);
}

static void test_it_does_all_there_is_at_one_percent(void **state) {
  (void)state;
  const uint64_t total = 64 * MIB - 3 * OS_PAGE_BYTES;
  world w;
  world_init(&w, 1);
  w.available_bytes = total;
  assert_true(run_until_idle(&w) > 100); // 1024 units of 160 us, 7 to a burst
  expect(&w, total);
  assert_int_equal(run_until_idle(&w), 0); // woken for nothing
  expect(&w, total);
  w.available_bytes = total;
  run_until_idle(&w);
  expect(&w, 2 * total);
}

static void test_it_stops_where_told(void **state) {
  (void)state;
  const uint64_t total = 64 * MIB - 3 * OS_PAGE_BYTES, stop_at = MIB - 3 * OS_PAGE_BYTES;
  world w;
  world_init(&w, 1);
  w.available_bytes = total;
  w.stop_at_bytes = stop_at;
  run_until_idle(&w);
  expect(&w, total - stop_at); // a whole number of units
}

static void test_a_clock_that_stands_still(void **state) {
  (void)state;
  world w;
  world_init(&w, 1);
  w.clock_stands = true;
  w.available_bytes = 64 * MIB;
  run_until_idle(&w);
  expect(&w, 64 * MIB);
}

static void test_the_share_counts_all_processors(void **state) {
  (void)state;
  world w;
  world_init(&w, 4);
  w.available_bytes = 256 * MIB;
  run_until_idle(&w);
  assert_true(fabs(share(&w) / 4 - 0.01) <= 0.005);
}

static void test_sleeping_too_long_is_made_up_for(void **state) {
  (void)state;
  world w;
  world_init(&w, 1);
  w.sleeps = 3;
  w.available_bytes = 512 * MIB;
  run_until_idle(&w);
  expect(&w, 512 * MIB);
}

static void test_short_bursts_sleep_as_long_as_whole_ones(void **state) {
  (void)state;
  world w;
  world_init(&w, 1);
  const hs_duty_work work = {release_unit, is_done, &w, UNIT_BYTES};
  w.available_bytes = OS_PAGE_BYTES; // 10 us
  assert_true(hs_duty_burst(&w.duty, &work) == OS_PAGE_BYTES);
  assert_true(hs_duty_sleep_ns(&w.duty, w.now_ns) == 1000000000);
}

static void test_a_breakdown_rests_and_recovers(void **state) {
  (void)state;
  world w;
  world_init(&w, 1);
  w.duty.controller.integral = 1e308;
  w.duty.controller.gain = 1e308;
  const hs_duty_work work = {release_unit, is_done, &w, UNIT_BYTES};
  w.available_bytes = 1024 * MIB;
  assert_true(hs_duty_burst(&w.duty, &work) > 0);
  (void)hs_duty_sleep_ns(&w.duty, w.now_ns);
  hs_duty_wake(&w.duty, w.now_ns + 1); // worked nearly all of the time: overflows
  assert_true(hs_duty_take_breakdown(&w.duty));
  assert_false(hs_duty_take_breakdown(&w.duty));
  hs_duty_init(&w.duty, 0.01, 1);
  w.duty.cooldown_ns = 5e9;
  run_until_idle(&w);
  assert_true(w.duty.cooldown_ns == 0);
  assert_false(hs_duty_take_breakdown(&w.duty));
  assert_true(share(&w) < 0.015);
}

// Whatever bit patterns come in, what comes out is a number within the bounds.
static void test_the_controller_survives_any_input(void **state) {
  (void)state;
  static const struct {
    hs_controller controller;
    double setpoint;
  } seeds[] = {
      {{.gain = 0.3375, .integral_ns = 3.2e6, .reset_ns = 1e9, .low = 0.001, .high = 1000}, 0.01},
      {{.gain = 0.9, .integral_ns = 4, .reset_ns = 1000, .low = -1000, .high = 1000}, 0.84},
  };
  hs_rng rng = hs_rng_seed(800);
  for (size_t s = 0; s < sizeof seeds / sizeof seeds[0]; s++) {
    hs_controller controller = seeds[s].controller;
    unsigned overflows = 0;
    for (int i = 0; i < 10000; i++) {
      const uint64_t bits = hs_rng_next(&rng);
      double input, output;
      memcpy(&input, &bits, sizeof input);
      if (!hs_controller_next(&controller, input, seeds[s].setpoint, 1, &output)) overflows++;
      assert_true(isfinite(output));
      assert_true(output >= controller.low && output <= controller.high);
    }
    assert_true(overflows > 0 && overflows < 10000); // both ways out were taken
  }
}

static void test_the_integral_does_not_wind_up(void **state) {
  (void)state;
  hs_controller controller = {
      .gain = 0.3375, .integral_ns = 3.2e6, .reset_ns = 1e9, .low = 0.001, .high = 1000};
  double output;
  // Far too busy for an hour: the output is at its lower bound, and the integral not far below.
  for (int i = 0; i < 3600; i++)
    assert_true(hs_controller_next(&controller, 1, 0.01, 1e9, &output));
  assert_true(output == 0.001);
  int steps = 0;
  while (output == 0.001 && steps < 1000) { // then idle: it must rise within seconds, not hours
    assert_true(hs_controller_next(&controller, 0, 0.01, 1e9, &output));
    steps++;
  }
  assert_true(steps < 400);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_it_does_all_there_is_at_one_percent),
      cmocka_unit_test(test_it_stops_where_told),
      cmocka_unit_test(test_a_clock_that_stands_still),
      cmocka_unit_test(test_the_share_counts_all_processors),
      cmocka_unit_test(test_sleeping_too_long_is_made_up_for),
      cmocka_unit_test(test_short_bursts_sleep_as_long_as_whole_ones),
      cmocka_unit_test(test_a_breakdown_rests_and_recovers),
      cmocka_unit_test(test_the_controller_survives_any_input),
      cmocka_unit_test(test_the_integral_does_not_wind_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
