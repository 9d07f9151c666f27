// SPDX-License-Identifier: MIT
// What is counted, and when: nothing is counted twice because somebody looked, nothing is left out
// because nobody did, and what failed leaves no trace.
#include "tests/unit/compact/fixture.h"

enum { MIB = 1 << 20 };

// Looking flushes the caches of all threads. What they had not used must not count as allocated.
static void test_looking_does_not_bring_the_next_cycle_nearer(void **state) {
  (void)state;
  fixture f = fixture_open(hs_config_default()); // no cycle below 4 MiB
  for (int i = 0; i < 2000; i++) {
    assert_false(heap_is_null(heap_alloc(f.t, 0, 16)));
    assert_int_equal(STAT(f, cycles_count), 0);
  }
  fixture_close(f);
}

static void test_a_thread_that_leaves_does_not_bring_it_nearer(void **state) {
  (void)state;
  fixture f = fixture_open(hs_config_default());
  heap_blocking_begin(f.t); // a cycle of the guest's must not wait for this thread
  for (int i = 0; i < 2000; i++) {
    heap_thread *guest;
    assert_int_equal(heap_thread_enter(f.h, &guest), HEAP_OK);
    assert_false(heap_is_null(heap_alloc(guest, 0, 16)));
    heap_thread_leave(guest);
  }
  heap_blocking_end(f.t);
  assert_int_equal(STAT(f, cycles_count), 0);
  fixture_close(f);
}

// The highest point is reached just before a cycle, not at the last growth by a region.
static void test_the_peak_includes_the_start_of_a_cycle(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  for (int i = 0; i < 20000; i++) assert_false(heap_is_null(heap_alloc(f.t, 0, 16)));
  const uint64_t before = heap_footprint(f.h);
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  assert_true(STAT(f, peak_footprint_bytes) >= before);
  fixture_close(f);
}

// The marker's queue is memory too (I-cp-7), also after a cycle that nobody asked for.
static void test_the_queue_of_the_marker_is_charged(void **state) {
  (void)state;
  enum { COUNT = 100000 };
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 1);
  root[0] = heap_alloc(f.t, COUNT, 0);
  for (size_t i = 0; i < COUNT; i++) heap_store(f.t, root[0], i, heap_alloc(f.t, 1, 0));
  heap_collect(f.t, HEAP_COLLECT_MINOR);
  const uint64_t sampled = heap_footprint(f.h);
  assert_true(STAT(f, footprint_bytes) <= sampled + 64 * 1024); // the log's pages move a little
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_a_refused_large_object_leaves_no_trace(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.limit_bytes = 8 * MIB;
  fixture f = fixture_open(config);
  assert_false(heap_is_null(heap_alloc(f.t, 0, MIB)));
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  const uint64_t sys = STAT(f, heap_sys_bytes), metadata = STAT(f, metadata_bytes);
  assert_true(heap_is_null(heap_alloc(f.t, 0, (size_t)1 << 30)));
  assert_true(heap_is_null(heap_alloc(f.t, (size_t)1 << 27, 0)));
  assert_int_equal(STAT(f, heap_sys_bytes), sys);
  assert_true(STAT(f, metadata_bytes) <= metadata + 64 * 1024);
  assert_false(heap_is_null(heap_alloc(f.t, 0, MIB)));
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_looking_does_not_bring_the_next_cycle_nearer),
      cmocka_unit_test(test_a_thread_that_leaves_does_not_bring_it_nearer),
      cmocka_unit_test(test_the_peak_includes_the_start_of_a_cycle),
      cmocka_unit_test(test_the_queue_of_the_marker_is_charged),
      cmocka_unit_test(test_a_refused_large_object_leaves_no_trace),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
