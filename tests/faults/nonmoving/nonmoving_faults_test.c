// SPDX-License-Identifier: MIT
// Every OS call of the heap's start-up and growth fails in turn, once or for good: the heap says so
// with HEAP_NO_MEMORY or the null reference, stays sound, and works again when the OS relents.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocators/runtime/config.h"
#include "nonmoving/nm_internal.h"

enum {
  MAX_CALLS = 10000,    // a script that makes more calls would be a loop
  SCRIPT_OBJECTS = 400, // of the growth script; enough for several chunks
  COLLECT_EVERY = 100,  // of them
};

static heap_config config_with(int64_t gc, bool scavenge) {
  heap_config config = hs_config_default();
  config.gc = gc;
  config.scavenge = scavenge;
  return config;
}

// A heap whose OS calls are all made by the calling thread, so that the nth is the same one each time:
// without a background thread. In gc=concurrent the script says when to collect.
static nonmoving_thread *open_heap(int64_t gc, nonmoving_heap **heap) {
  heap_config config = config_with(gc, false);
  config.workers = 1;
  if (gc == HEAP_GC_CONCURRENT) config.gogc_percent = -1;
  nonmoving_thread *t;
  assert_int_equal(nonmoving_create(&config, heap), HEAP_OK);
  hs_background_stop(&(*heap)->collector);
  assert_int_equal(nonmoving_thread_enter(*heap, &t), HEAP_OK);
  return t;
}

static void check_start_up(bool persistent) {
  const heap_config config = config_with(HEAP_GC_CONCURRENT, true);
  for (uint64_t nth = 1; nth < MAX_CALLS; nth++) {
    hs_os_fault_arm(HS_OS_FAULT_ALL, nth, persistent);
    nonmoving_heap *heap = NULL;
    nonmoving_thread *t = NULL;
    const heap_status created = nonmoving_create(&config, &heap);
    heap_status entered = HEAP_NO_MEMORY;
    if (created == HEAP_OK) entered = nonmoving_thread_enter(heap, &t);
    const bool reached = hs_os_fault_calls() >= nth;
    hs_os_fault_disarm();
    if (created != HEAP_OK) {
      assert_int_equal(created, HEAP_NO_MEMORY);
      assert_null(heap); // unchanged
    }
    if (entered == HEAP_OK) {
      assert_false(heap_is_null(nonmoving_alloc(t, 2, 100)));
      assert_true(nonmoving_verify(t));
      nonmoving_thread_leave(t);
    }
    nonmoving_destroy(heap);
    if (!reached) {
      assert_int_equal(entered, HEAP_OK);
      assert_true(nth > 4); // reservations and commits at least
      return;
    }
    if (persistent) assert_int_not_equal(entered, HEAP_OK);
  }
  fail_msg("start-up makes no end of OS calls");
}

static void test_start_up_survives_one_failure(void **state) {
  (void)state;
  check_start_up(false);
}

static void test_start_up_survives_lasting_failure(void **state) {
  (void)state;
  check_start_up(true);
}

// Grows the heap in small and large objects over several chunks and keeps a list of what succeeded.
// Returns how many allocations failed.
static size_t grow(nonmoving_thread *t, heap_ref *root) {
  size_t failed = 0;
  for (size_t i = 0; i < SCRIPT_OBJECTS; i++) {
    if (i % COLLECT_EVERY == COLLECT_EVERY - 1) nonmoving_collect(t, HEAP_COLLECT_FULL);
    const size_t bytes = i % 10 == 0 ? 400000 : i % 7 == 0 ? 9000 : 8 + i % 900;
    const heap_ref node = nonmoving_alloc(t, 1 + i % 3, bytes);
    if (heap_is_null(node)) {
      failed++;
      continue;
    }
    nonmoving_store(t, node, 0, *root);
    *root = node;
  }
  return failed;
}

// One run of the growth script with the nth call failing; false when there is no nth call.
static bool run_growth(int64_t gc, uint64_t nth, bool persistent, size_t *failures) {
  nonmoving_heap *heap;
  nonmoving_thread *const t = open_heap(gc, &heap);
  heap_ref root[1];
  heap_frame frame;
  nonmoving_frame_push(t, &frame, root, 1);
  hs_os_fault_arm(HS_OS_FAULT_ALL, nth, persistent);
  const size_t failed = grow(t, root);
  const bool reached = hs_os_fault_calls() >= nth;
  hs_os_fault_disarm();
  assert_true(nonmoving_verify(t));
  size_t listed = 0;
  for (heap_ref node = root[0]; !heap_is_null(node); node = nonmoving_load(t, node, 0)) listed++;
  assert_int_equal(listed, SCRIPT_OBJECTS - failed);
  nonmoving_collect(t, HEAP_COLLECT_RELEASE);
  assert_int_equal(grow(t, root), 0); // the OS relents
  assert_true(nonmoving_verify(t));
  nonmoving_frame_pop(t, &frame);
  nonmoving_thread_leave(t);
  nonmoving_destroy(heap);
  if (!reached) assert_int_equal(failed, 0);
  *failures += failed;
  return reached;
}

static void check_growth(bool persistent) {
  for (int64_t gc = HEAP_GC_STW; gc <= HEAP_GC_CONCURRENT; gc++) {
    size_t failures = 0;
    uint64_t nth = 1;
    while (run_growth(gc, nth, persistent, &failures)) assert_true(++nth < MAX_CALLS);
    assert_true(nth > 8); // several growths happened
    if (persistent) assert_true(failures > 0);
  }
}

static void test_growth_survives_one_failure(void **state) {
  (void)state;
  check_growth(false);
}

static void test_growth_survives_lasting_failure(void **state) {
  (void)state;
  check_growth(true);
}

// Marking with no memory for the grey queues at all: it must still find everything.
static void check_marking(int64_t gc) {
  nonmoving_heap *heap;
  nonmoving_thread *const t = open_heap(gc, &heap);
  heap_ref root[1];
  heap_frame frame;
  nonmoving_frame_push(t, &frame, root, 1);
  root[0] = nonmoving_alloc(t, 40000, 0); // large, several pieces
  for (size_t i = 0; i < 40000; i += 100) {
    const heap_ref node = nonmoving_alloc(t, 2, 8);
    nonmoving_store(t, node, 0, nonmoving_load(t, root[0], i >= 100 ? i - 100 : 0));
    nonmoving_store(t, root[0], i, node);
    nonmoving_store(t, node, 1, nonmoving_alloc(t, 1, 0));
  }
  for (uint64_t nth = 1; nth < 6; nth++) {
    nonmoving_collect(t, HEAP_COLLECT_RELEASE);
    hs_grey_pool_trim(&heap->marking.pool); // the block that a heap keeps, too
    hs_os_fault_arm(HS_OS_FAULT_ALL, nth, true);
    nonmoving_collect(t, HEAP_COLLECT_FULL);
    assert_true(nth > 1 || hs_os_fault_calls() > 0); // a queue was refused
    hs_os_fault_disarm();
    heap_stats stats;
    nonmoving_stats_read(t, &stats);
    assert_int_equal(stats.value[HEAP_STAT_heap_objects_count], 801);
    assert_true(nonmoving_verify(t));
  }
  nonmoving_frame_pop(t, &frame);
  nonmoving_thread_leave(t);
  nonmoving_destroy(heap);
}

static void test_marking_needs_no_memory(void **state) {
  (void)state;
  check_marking(HEAP_GC_STW);
  check_marking(HEAP_GC_CONCURRENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_start_up_survives_one_failure),
      cmocka_unit_test(test_start_up_survives_lasting_failure),
      cmocka_unit_test(test_growth_survives_one_failure),
      cmocka_unit_test(test_growth_survives_lasting_failure),
      cmocka_unit_test(test_marking_needs_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
