// SPDX-License-Identifier: MIT
// How much free memory is kept after a cycle: the rule alone, with a clock of its own.
#include "tests/unit/compact/fixture.h"

enum { MIB = 1 << 20, MS = 1000 * 1000 };

static const uint64_t BEGIN_NS = 1000ull * MS;

// A heap of `live` bytes that may double, at a time; its threads took what they might, in interval_ms.
static cp_retain_view view_of(uint64_t live, uint64_t at_ms, uint64_t interval_ms) {
  return (cp_retain_view){.live_bytes = live,
                          .goal_bytes = 2 * live,
                          .taken_bytes = live,
                          .interval_ns = interval_ms * MS,
                          .now_ns = BEGIN_NS + at_ms * MS,
                          .cores = 2};
}

static void test_what_the_next_cycle_needs_is_kept(void **state) {
  (void)state;
  cp_retention r = {.set_ns = BEGIN_NS};
  cp_retain_view view = view_of(10 * MIB, 20, 20);
  assert_int_equal(cp_retain(&r, &view), 10 * MIB);
  view.taken_bytes = 12 * MIB; // beyond the goal, as may be the next cycle's
  assert_int_equal(cp_retain(&r, &view), 12 * MIB);
  r = (cp_retention){.set_ns = BEGIN_NS};
  view.taken_bytes = 100 * MIB; // by a quarter at most
  assert_int_equal(cp_retain(&r, &view), 10 * MIB + 10 * MIB / 4);
}

static void test_what_was_needed_decays_with_time_and_not_with_cycles(void **state) {
  (void)state;
  cp_retention once = {.peak_bytes = 100 * MIB, .set_ns = BEGIN_NS}, often = once;
  const cp_retain_view end = view_of(5 * MIB, 100, 1);
  const uint64_t kept = cp_retain(&once, &end);
  assert_in_range(kept, 60 * MIB, 95 * MIB); // some of it has gone
  for (uint64_t ms = 1; ms < 100; ms++) {
    const cp_retain_view small = view_of(5 * MIB, ms, 1);
    (void)cp_retain(&often, &small);
  }
  const uint64_t kept_often = cp_retain(&often, &end);
  assert_true(kept_often >= kept && kept_often - kept <= 5 * MIB);
  const cp_retain_view late = view_of(5 * MIB, 5000, 1);
  assert_int_equal(cp_retain(&once, &late), 5 * MIB);
}

static void test_a_heap_that_goes_up_and_down_keeps_its_pages(void **state) {
  (void)state;
  cp_retention r = {.set_ns = BEGIN_NS};
  for (uint64_t i = 1; i <= 20; i++) { // a cycle every 20 ms
    const uint64_t live = (i % 2 ? 10 : 8) * MIB;
    const cp_retain_view view = view_of(live, 20 * i, 20);
    const uint64_t kept = cp_retain(&r, &view);
    assert_true(kept + live >= 19 * MIB); // of 20
  }
}

static void test_nothing_is_kept_for_later_when_memory_is_short(void **state) {
  (void)state;
  cp_retention r = {.peak_bytes = 100 * MIB, .set_ns = BEGIN_NS};
  cp_retain_view view = view_of(10 * MIB, 1, 1);
  view.taken_bytes = 12 * MIB;
  view.sparing = true;
  assert_int_equal(cp_retain(&r, &view), 10 * MIB);
  assert_int_equal(r.peak_bytes, 20 * MIB);
  view.goal_bytes = 9 * MIB; // below what lives
  assert_int_equal(cp_retain(&r, &view), 0);
}

// 100 MiB in 10 s are not needed soon; in 50 ms they are; and of 10 GiB in 10 s only some may be given back, or a
// hundredth of the cores would not do for having them again.
static void test_what_is_not_needed_soon_is_given_back_while_it_is_cheap(void **state) {
  (void)state;
  cp_retention r = {.set_ns = BEGIN_NS};
  cp_retain_view slow = view_of(100 * MIB, 10000, 10000);
  assert_int_equal(cp_retain(&r, &slow), 100 * MIB);
  slow.gives_back_early = true;
  slow.now_ns += 10000ull * MS;
  assert_in_range(cp_retain(&r, &slow), 1, 2 * MIB);
  r = (cp_retention){.set_ns = BEGIN_NS};
  cp_retain_view fast = view_of(100 * MIB, 50, 50);
  fast.gives_back_early = true;
  assert_int_equal(cp_retain(&r, &fast), 100 * MIB);
  r = (cp_retention){.set_ns = BEGIN_NS};
  cp_retain_view large = view_of((uint64_t)10 << 30, 10000, 10000);
  large.gives_back_early = true;
  const uint64_t given = ((uint64_t)10 << 30) - cp_retain(&r, &large);
  assert_in_range(given, 100 * MIB, 1000 * MIB); // 0.2 s of CPU time, at some 0.6 ns a byte
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_the_next_cycle_needs_is_kept),
      cmocka_unit_test(test_what_was_needed_decays_with_time_and_not_with_cycles),
      cmocka_unit_test(test_a_heap_that_goes_up_and_down_keeps_its_pages),
      cmocka_unit_test(test_nothing_is_kept_for_later_when_memory_is_short),
      cmocka_unit_test(test_what_is_not_needed_soon_is_given_back_while_it_is_cheap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
