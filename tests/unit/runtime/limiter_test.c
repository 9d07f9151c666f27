// SPDX-License-Identifier: MIT
// The limiter's bucket in made-up time. Numbers of the long walk: TestGCCPULimiter of Go 1.21.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocators/runtime/limiter.h"

#define US ((uint64_t)1000)
#define MS (1000 * US)
#define S (1000 * MS)
#define CORES 14u
#define BACKGROUND 0.25 // share of the cores while marking

// A limiter and its clock.
typedef struct bench {
  hs_limiter limiter;
  uint64_t now_ns;
} bench;

static bench new_bench(unsigned cores) {
  bench b = {.now_ns = 5 * S};
  hs_limiter_init(&b.limiter, b.now_ns, cores);
  return b;
}

static uint64_t advance(bench *b, uint64_t ns) { return b->now_ns += ns; }

// `ns` pass in which assists take `share` of all cores beside the background workers.
static void pass(bench *b, uint64_t ns, double share) {
  hs_limiter_add_assist(&b->limiter, (uint64_t)(share * (double)ns) * b->limiter.cores);
  hs_limiter_update(&b->limiter, advance(b, ns));
}

static void pause_for(bench *b, uint64_t before_ns, uint64_t ns) {
  const uint64_t begin_ns = advance(b, before_ns);
  hs_limiter_pause(&b->limiter, begin_ns, advance(b, ns));
}

#define expect(b, fill, limits, overflow)                                                          \
  do {                                                                                             \
    assert_true((b)->limiter.fill_ns == (fill));                                                   \
    assert_int_equal(hs_limiter_limiting(&(b)->limiter), (limits));                                \
    assert_true((b)->limiter.overflow_ns == (overflow));                                           \
  } while (0)

static void test_program_time_leaves_an_empty_bucket_empty(void **state) {
  (void)state;
  bench b = new_bench(CORES);
  assert_true(b.limiter.capacity_ns == CORES * S);
  pass(&b, 10 * MS, 0);
  pass(&b, S, 0);
  pass(&b, 3600 * S, 0);
  expect(&b, 0, false, 0);
}

static void test_update_is_due_after_its_period(void **state) {
  (void)state;
  bench b = new_bench(CORES);
  assert_false(hs_limiter_needs_update(&b.limiter, b.now_ns));
  assert_false(hs_limiter_needs_update(&b.limiter, b.now_ns + 10 * MS));
  assert_true(hs_limiter_needs_update(&b.limiter, b.now_ns + 10 * MS + 1));
  assert_false(hs_limiter_needs_update(&b.limiter, b.now_ns - 1)); // an old reading of the clock
  hs_limiter_update(&b.limiter, advance(&b, 15 * MS));
  assert_false(hs_limiter_needs_update(&b.limiter, b.now_ns));
}

static void test_a_pause_takes_every_core(void **state) {
  (void)state;
  bench b = new_bench(CORES);
  pause_for(&b, 109 * MS, 2001 * US);
  expect(&b, 2001 * US * CORES, false, 0);
  pause_for(&b, 2001 * US, 0); // as much time for the program drains it
  expect(&b, 0, false, 0);
}

static void test_background_marking_alone_drains_at_half_speed(void **state) {
  (void)state;
  bench b = new_bench(CORES);
  pause_for(&b, 0, 2 * MS);
  hs_limiter_begin_marking(&b.limiter, b.now_ns, BACKGROUND);
  pass(&b, 2 * MS, 0); // a quarter fills, three quarters drain
  expect(&b, MS * CORES, false, 0);
  hs_limiter_end_marking(&b.limiter, b.now_ns);
  pass(&b, MS / 2, 0);
  expect(&b, MS / 2 * CORES, false, 0);
}

// What a program meets that spends ever more time in assists, twice over one limiter: the second
// round starts from nothing but the overflow of the first.
static void test_a_long_walk(void **state) {
  (void)state;
  bench b = new_bench(CORES);
  const uint64_t capacity_ns = CORES * S;
  uint64_t overflow_ns = 0;
  for (int round = 0; round < 2; round++) {
    hs_limiter_begin_marking(&b.limiter, b.now_ns, BACKGROUND);
    pass(&b, 10 * MS, 0.5 - BACKGROUND); // half of the cores collect
    expect(&b, 0, false, overflow_ns);
    pass(&b, MS, 1 - BACKGROUND); // all of them
    expect(&b, MS * CORES, false, overflow_ns);
    pass(&b, S - MS, 1 - BACKGROUND); // exactly full
    expect(&b, capacity_ns, true, overflow_ns);
    pass(&b, S, 0.5 - BACKGROUND); // half again: stays full, nothing runs over
    expect(&b, capacity_ns, true, overflow_ns);
    pass(&b, S, 0);
    expect(&b, capacity_ns / 2, false, overflow_ns);
    pass(&b, S, 1 - BACKGROUND);
    overflow_ns += S / 2 * CORES;
    expect(&b, capacity_ns, true, overflow_ns);

    // The cycle ends with assists not yet accounted, then the program stands still for a while.
    hs_limiter_add_assist(&b.limiter, (uint64_t)((1 - BACKGROUND) * (double)MS) * CORES);
    hs_limiter_end_marking(&b.limiter, advance(&b, MS));
    overflow_ns += MS * CORES;
    expect(&b, capacity_ns, true, overflow_ns);
    pause_for(&b, 0, 5 * MS);
    overflow_ns += 5 * MS * CORES;
    expect(&b, capacity_ns, true, overflow_ns);

    // More cores make room, fewer fill the bucket; neither is work that runs over.
    hs_limiter_resize(&b.limiter, b.now_ns, CORES + 10);
    expect(&b, capacity_ns, false, overflow_ns);
    hs_limiter_resize(&b.limiter, b.now_ns, CORES - 10);
    expect(&b, (CORES - 10) * S, true, overflow_ns);
    hs_limiter_resize(&b.limiter, advance(&b, CORES * S), CORES);
    expect(&b, 0, false, overflow_ns);
  }
}

static void test_idle_time_neither_fills_nor_drains(void **state) {
  (void)state;
  bench b = new_bench(4);
  pause_for(&b, 0, 100 * MS);
  const uint64_t fill_ns = 4 * 100 * MS;
  hs_limiter_add_idle(&b.limiter, 4 * S); // nothing ran for a second
  hs_limiter_update(&b.limiter, advance(&b, S));
  expect(&b, fill_ns, false, 0);
  // One of four cores marks, one works, two idle: half of what ran was the collector.
  hs_limiter_begin_marking(&b.limiter, b.now_ns, BACKGROUND);
  hs_limiter_add_idle(&b.limiter, 2 * S);
  hs_limiter_update(&b.limiter, advance(&b, S));
  expect(&b, fill_ns, false, 0);
  // Three idle: only the collector ran.
  hs_limiter_add_idle(&b.limiter, 3 * S);
  hs_limiter_update(&b.limiter, advance(&b, S));
  expect(&b, fill_ns + S, false, 0);
  // More idle time than there was: the collector's share still counts, and no more than it.
  hs_limiter_add_idle(&b.limiter, 100 * S);
  hs_limiter_update(&b.limiter, advance(&b, S));
  expect(&b, fill_ns + 2 * S, false, 0);
}

static void test_time_that_runs_backwards_is_ignored(void **state) {
  (void)state;
  bench b = new_bench(CORES);
  pause_for(&b, 0, 10 * MS);
  const uint64_t fill_ns = b.limiter.fill_ns;
  hs_limiter_update(&b.limiter, b.now_ns - 5 * MS);
  hs_limiter_pause(&b.limiter, b.now_ns - 5 * MS, b.now_ns - 2 * MS);
  expect(&b, fill_ns, false, 0);
  // A pause that began before the last update counts from there.
  hs_limiter_pause(&b.limiter, b.now_ns - 5 * MS, b.now_ns + MS);
  expect(&b, fill_ns + MS * CORES, false, 0);
}

static void test_absurd_times_saturate(void **state) {
  (void)state;
  bench b = new_bench(CORES);
  hs_limiter_pause(&b.limiter, b.now_ns, UINT64_MAX);
  assert_true(b.limiter.fill_ns == CORES * S);
  assert_true(hs_limiter_limiting(&b.limiter));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_program_time_leaves_an_empty_bucket_empty),
      cmocka_unit_test(test_update_is_due_after_its_period),
      cmocka_unit_test(test_a_pause_takes_every_core),
      cmocka_unit_test(test_background_marking_alone_drains_at_half_speed),
      cmocka_unit_test(test_a_long_walk),
      cmocka_unit_test(test_idle_time_neither_fills_nor_drains),
      cmocka_unit_test(test_time_that_runs_backwards_is_ignored),
      cmocka_unit_test(test_absurd_times_saturate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
