// SPDX-License-Identifier: MIT
// Who runs a cycle that is due, and how often memory is given back. The collector's thread is stopped, so nothing
// happens but what the test's thread does.
#include "tests/unit/compact/fixture.h"

enum {
  LARGE_BYTES = 64 << 10, // of objects that each pass the slow path
  SMALL_TABLE = 100,      // slots: next to nothing to scan
  LARGE_TABLE = 100000,   // slots: 800 KB to scan, far more than a small marking
  MANY_OBJECTS = 1 << 20, // 2048 slabs of entries
  SPARSE = 20000,         // objects of 64 bytes, of which a few are kept
  MANY_LARGE = 300,       // 19 MB, where the goal is 4 MiB
};

static fixture open_without_collector(void) {
  heap_config config = hs_config_default();
  config.idle_ms = 0;
  fixture f = fixture_open(config);
  hs_background_stop(&f.h->collector);
  return f;
}

static void close_without_collector(fixture f) {
  hs_store_relaxed(&f.h->wanted, 0u);
  fixture_close(f);
}

// Garbage until the trigger is passed: by the last allocation.
static void allocate_past_the_trigger(fixture f) {
  while (!cp_pace_is_due(f.h)) (void)heap_alloc(f.t, 0, LARGE_BYTES);
  (void)heap_alloc(f.t, 0, LARGE_BYTES);
}

static void expect_left_to_the_collector(fixture f) {
  const uint32_t wakes = hs_load_relaxed(&f.h->collector.wake);
  const uint64_t cycles = f.h->totals.cycles;
  allocate_past_the_trigger(f);
  assert_int_equal(hs_load_relaxed(&f.h->wanted), 1);
  assert_int_equal(hs_load_relaxed(&f.h->collector.wake), wakes + 1);
  (void)heap_alloc(f.t, 0, LARGE_BYTES); // woken once
  assert_int_equal(hs_load_relaxed(&f.h->collector.wake), wakes + 1);
  assert_int_equal(f.h->totals.cycles, cycles);
}

// ---- small cycles ---------------------------------------------------------------------------------

static void test_small_cycles_are_run_by_the_thread_that_finds_them_due(void **state) {
  (void)state;
  fixture f = open_without_collector();
  HEAP_FRAME(f.t, root, 1);
  root[0] = heap_alloc(f.t, SMALL_TABLE, 0);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  const uint32_t wakes = hs_load_relaxed(&f.h->collector.wake);
  for (uint64_t cycles = 1; cycles <= 5; cycles++) {
    assert_true(hs_load_relaxed(&f.h->cycles_are_small));
    assert_int_equal(f.h->totals.cycles, cycles);
    allocate_past_the_trigger(f);
    assert_int_equal(hs_load_relaxed(&f.h->wanted), 0);
    assert_false(cp_pace_is_due(f.h));
  }
  assert_int_equal(f.h->totals.forced_cycles, 1);
  assert_int_equal(hs_load_relaxed(&f.h->collector.wake), wakes);
  HEAP_FRAME_END(f.t, root);
  close_without_collector(f);
}

static void test_cycles_with_much_to_mark_are_left_to_the_collector(void **state) {
  (void)state;
  fixture f = open_without_collector();
  HEAP_FRAME(f.t, root, 1);
  root[0] = heap_alloc(f.t, LARGE_TABLE, 0);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_false(hs_load_relaxed(&f.h->marking.was_small));
  expect_left_to_the_collector(f);
  HEAP_FRAME_END(f.t, root);
  close_without_collector(f);
}

// Nothing is left to mark, but the descriptors of what there was.
static void test_cycles_of_a_heap_that_was_large_are_left_to_the_collector(void **state) {
  (void)state;
  fixture f = open_without_collector();
  f.h->config.gogc_percent = -1; // from here on no goal, so that the heap grows
  HEAP_FRAME(f.t, root, 1);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_true(hs_load_relaxed(&f.h->cycles_are_small));
  hs_store_relaxed(&f.h->trigger_bytes, UINT64_MAX);
  fill_array(f, root, MANY_OBJECTS, 8);
  root[0] = HEAP_NULL;
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_true(hs_load_relaxed(&f.h->marking.was_small));
  assert_false(hs_load_relaxed(&f.h->cycles_are_small));
  expect_left_to_the_collector(f);
  HEAP_FRAME_END(f.t, root);
  close_without_collector(f);
}

static void test_cycles_that_move_objects_are_left_to_the_collector(void **state) {
  (void)state;
  fixture f = open_without_collector();
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, root, SPARSE, 64);
  keep_every(f, root[0], SPARSE, 100);
  heap_collect(f.t, HEAP_COLLECT_MINOR); // gives up the open region, and moves the others' objects
  assert_true(f.h->totals.moved_bytes > 0);
  assert_false(hs_load_relaxed(&f.h->cycles_are_small));
  HEAP_FRAME_END(f.t, root);
  close_without_collector(f);
}

// It would have to be waited for: it runs, and does not come to a slow path.
static void test_a_thread_that_does_not_answer_leaves_them_to_the_collector(void **state) {
  (void)state;
  fixture f = open_without_collector();
  heap_thread *other;
  assert_int_equal(heap_thread_enter(f.h, &other), HEAP_OK); // two, on one OS thread
  heap_blocking_begin(other);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_true(hs_load_relaxed(&f.h->cycles_are_small));
  allocate_past_the_trigger(f); // blocked, it is no obstacle
  assert_int_equal(f.h->totals.cycles, 2);
  heap_blocking_end(other);
  expect_left_to_the_collector(f);
  heap_thread_leave(other);
  close_without_collector(f);
}

// ---- giving back ----------------------------------------------------------------------------------

// Four times what the next cycle needs, and a cycle that its last thread runs.
static void grow_and_collect(fixture f) {
  const uint64_t cycles = f.h->totals.cycles;
  hs_store_relaxed(&f.h->trigger_bytes, UINT64_MAX);
  for (int i = 0; i < MANY_LARGE; i++) (void)heap_alloc(f.t, 0, LARGE_BYTES);
  hs_store_relaxed(&f.h->trigger_bytes, (uint64_t)0);
  f.h->retention.set_ns = hs_os_now_ns();
  (void)heap_alloc(f.t, 0, LARGE_BYTES);
  assert_int_equal(f.h->totals.cycles, cycles + 1);
}

// What is free is looked at every 10 ms at most, however many cycles there are.
static void test_not_every_small_cycle_gives_memory_back(void **state) {
  (void)state;
  fixture f = open_without_collector();
  heap_collect(f.t, HEAP_COLLECT_FULL);
  f.h->retention.peak_bytes = 0;
  uint64_t scavenged;
  bool looked;
  do { // until there were no 10 ms between two looks at the clock
    scavenged = f.h->totals.scavenged_bytes;
    grow_and_collect(f);
    looked = f.h->retention.peak_bytes != 0;
    f.h->retention.peak_bytes = 0;
  } while (looked);
  assert_int_equal(f.h->totals.scavenged_bytes, scavenged);
  f.h->retention.set_ns = 0; // long ago
  hs_store_relaxed(&f.h->trigger_bytes, (uint64_t)0);
  (void)heap_alloc(f.t, 0, LARGE_BYTES);
  assert_true(f.h->totals.scavenged_bytes > scavenged);
  close_without_collector(f);
}

static void test_a_collection_that_is_asked_for_gives_back_at_once(void **state) {
  (void)state;
  fixture f = open_without_collector();
  heap_collect(f.t, HEAP_COLLECT_FULL);
  hs_store_relaxed(&f.h->trigger_bytes, UINT64_MAX);
  for (int i = 0; i < MANY_LARGE; i++) (void)heap_alloc(f.t, 0, LARGE_BYTES);
  const uint64_t before = hs_load_relaxed(&f.h->resident_bytes);
  heap_collect(f.t, HEAP_COLLECT_MINOR);
  assert_true(hs_load_relaxed(&f.h->resident_bytes) < before / 3);
  close_without_collector(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_small_cycles_are_run_by_the_thread_that_finds_them_due),
      cmocka_unit_test(test_cycles_with_much_to_mark_are_left_to_the_collector),
      cmocka_unit_test(test_cycles_of_a_heap_that_was_large_are_left_to_the_collector),
      cmocka_unit_test(test_cycles_that_move_objects_are_left_to_the_collector),
      cmocka_unit_test(test_a_thread_that_does_not_answer_leaves_them_to_the_collector),
      cmocka_unit_test(test_not_every_small_cycle_gives_memory_back),
      cmocka_unit_test(test_a_collection_that_is_asked_for_gives_back_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
