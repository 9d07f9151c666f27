// SPDX-License-Identifier: MIT
// When idle time is used, under a clock that the test sets. The collector's thread is this one: with gc=stw the
// heap has none of its own.
#include "tests/unit/compact/fixture.h"

enum { COUNT = 1 << 14, BYTES = 64, IDLE_MS = 500 };

static const uint64_t SECOND_NS = 1000 * 1000 * 1000;

// ---- the clock ----------------------------------------------------------------------------------

static uint64_t test_now_ns;

uint64_t __wrap_hs_os_now_ns(void);
uint64_t __wrap_hs_os_now_ns(void) { return test_now_ns; }

// ---- what idle time is used for -----------------------------------------------------------------

static fixture open_idle(int compaction_cpu) {
  heap_config config = hs_config_default();
  config.gc = HEAP_GC_STW;
  config.idle_ms = IDLE_MS;
  config.compaction_cpu_percent = compaction_cpu;
  test_now_ns = SECOND_NS;
  return fixture_open(config);
}

// The collector's thread looks at the heap after that time: cycles that it runs.
static uint64_t cycles_after(fixture f, uint64_t ns) {
  const uint64_t before = STAT(f, cycles_count);
  test_now_ns += ns;
  heap_blocking_begin(f.t); // no thread but the collector's does anything
  (void)cp_idle_step(f.h);
  heap_blocking_end(f.t);
  return STAT(f, cycles_count) - before;
}

static void drop(fixture f, heap_ref array, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) heap_store(f.t, array, i, HEAP_NULL);
}

static void test_a_rest_is_used_once(void **state) {
  (void)state;
  fixture f = open_idle(5);
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], COUNT, BYTES);
  assert_int_equal(cycles_after(f, 0), 0); // seen to have allocated
  assert_int_equal(cycles_after(f, IDLE_MS * 1000 * 1000 - 1), 0);
  assert_int_not_equal(cycles_after(f, 1), 0);
  assert_int_equal(cycles_after(f, 1000 * SECOND_NS), 0); // nothing was dead, and nothing happened
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_what_is_dropped_while_resting_is_found(void **state) {
  (void)state;
  fixture f = open_idle(5);
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], COUNT, BYTES);
  drop(f, root[0], 0, COUNT / 2);
  assert_int_equal(cycles_after(f, 0), 0);
  assert_int_not_equal(cycles_after(f, 1000 * SECOND_NS), 0); // finds half of it dead
  drop(f, root[0], COUNT / 2, COUNT);
  (void)cycles_after(f, 0);                                   // seen that there was a cycle
  assert_int_not_equal(cycles_after(f, 1000 * SECOND_NS), 0); // so looks again
  assert_true(STAT(f, marked_bytes) < COUNT * (sizeof(heap_ref) + BYTES / 4));
  (void)cycles_after(f, 0);
  assert_int_not_equal(cycles_after(f, 1000 * SECOND_NS), 0); // and again, and finds nothing
  (void)cycles_after(f, 0);
  assert_int_equal(cycles_after(f, 1000 * SECOND_NS), 0);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_without_time_for_density_nothing_is_done(void **state) {
  (void)state;
  fixture f = open_idle(0);
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], COUNT, BYTES);
  drop(f, root[0], 0, COUNT / 2);
  assert_int_equal(cycles_after(f, 0), 0);
  assert_int_equal(cycles_after(f, 1000 * SECOND_NS), 0);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_rest_is_used_once),
      cmocka_unit_test(test_what_is_dropped_while_resting_is_found),
      cmocka_unit_test(test_without_time_for_density_nothing_is_done),
  };
  return cmocka_run_group_tests_name("compact.idle", tests, NULL, NULL);
}
