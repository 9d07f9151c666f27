// SPDX-License-Identifier: MIT
// The runtime when the OS refuses: for every call of a structure that can fail, the n-th fails.
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "allocators/runtime/background.h"
#include "allocators/runtime/event_log.h"
#include "allocators/runtime/grey.h"
#include "allocators/runtime/meta.h"

static int teardown(void **state) {
  (void)state;
  hs_os_fault_disarm();
  return 0;
}

static void test_event_log_goes_on_without_events(void **state) {
  (void)state;
  static hs_event_log log;
  for (uint64_t nth = 1; nth <= 2; nth++) { // the reservation, the commit
    hs_os_fault_arm(HS_OS_FAULT_ALL, nth, false);
    assert_int_equal(hs_event_log_init(&log, 1000), -ENOMEM);
    hs_os_fault_disarm();
    assert_int_equal(log.capacity, 0);
    hs_event_log_add(&log, HS_EVENT_STOP, 1, 10, 30, 5);
    assert_int_equal(log.dropped_count, 1);
    assert_int_equal(log.pauses.max, 20);
    hs_event_log_destroy(&log);
  }
  hs_os_fault_arm(HS_OS_FAULT_ALL, 3, false); // one more than there are
  assert_int_equal(hs_event_log_init(&log, 1000), 0);
  assert_int_equal(hs_os_fault_calls(), 2);
  hs_event_log_destroy(&log);
}

static void test_utilisation_without_scratch_is_not_a_number(void **state) {
  (void)state;
  static hs_event_log log;
  assert_int_equal(hs_event_log_init(&log, 10), 0);
  hs_event_log_add(&log, HS_EVENT_STOP, 1, 10, 30, 5);
  for (uint64_t nth = 1; nth <= 2; nth++) {
    hs_os_fault_arm(HS_OS_FAULT_ALL, nth, false);
    assert_true(isnan(hs_event_log_mmu(&log, 0, 100, 20)));
  }
  hs_os_fault_disarm();
  assert_true(hs_event_log_mmu(&log, 0, 100, 20) == 0.0);
  hs_event_log_destroy(&log);
}

static void test_metadata_is_refused_and_then_given(void **state) {
  (void)state;
  hs_meta meta;
  hs_meta_init(&meta);
  uint64_t allocated = 0;
  for (uint64_t nth = 1; nth <= 6; nth++) { // two calls per chunk
    hs_os_fault_arm(HS_OS_FAULT_ALL, nth, false);
    bool refused = false;
    for (int i = 0; i < 100 && !refused; i++) {
      char *const piece = hs_meta_alloc(&meta, 100 << 10, 64);
      refused = piece == NULL;
      if (piece) {
        memset(piece, 1, 100 << 10);
        allocated += 100 << 10;
      }
    }
    assert_true(refused);
    assert_true(hs_meta_bytes(&meta) >= allocated);
    assert_non_null(hs_meta_alloc(&meta, 100 << 10, 64));
    allocated += 100 << 10;
  }
  hs_meta_destroy(&meta);
}

static uint64_t never(void *context) {
  (void)context;
  return HS_BACKGROUND_IDLE;
}

static void test_background_without_a_thread(void **state) {
  (void)state;
  hs_background background;
  hs_os_fault_arm(HS_OS_FAULT_THREAD, 1, false);
  assert_int_equal(hs_background_start(&background, "test", never, NULL), -ENOMEM);
  hs_os_fault_disarm();
  hs_background_wake(&background); // nobody there
  hs_background_stop(&background);
  assert_int_equal(hs_background_start(&background, "test", never, NULL), 0);
  hs_background_stop(&background);
  assert_true(background.thread.handle == 0);
}

// A marker by Note [mark overflow]: marks a binary tree although the pool fails from the n-th call.
enum { NODES = 60000 };
static uint8_t marked[NODES + 1];

static void scan(hs_grey *grey, uintptr_t node) {
  for (uintptr_t child = 2 * node; child <= 2 * node + 1 && child <= NODES; child++) {
    if (marked[child]) continue;
    marked[child] = 1;
    hs_grey_push(grey, child);
  }
}

static void drain(hs_grey *grey) {
  uintptr_t node;
  while (hs_grey_pop(grey, &node)) scan(grey, node);
}

static void test_marking_finishes_without_memory(void **state) {
  (void)state;
  for (uint64_t nth = 1; nth <= 4; nth++) {
    hs_grey_pool pool;
    hs_grey grey;
    memset(marked, 0, sizeof marked);
    hs_grey_pool_init(&pool);
    hs_grey_begin(&grey, &pool);
    hs_os_fault_arm(HS_OS_FAULT_RESERVE | HS_OS_FAULT_COMMIT, nth, true);
    // Push breadth first, so that the queues need more than one block.
    marked[1] = 1;
    for (uintptr_t node = 1; node <= NODES / 2; node++) scan(&grey, node);
    drain(&grey);
    while (hs_exchange_acq_rel(&pool.overflowed, 0u)) {
      for (uintptr_t node = 1; node <= NODES; node++) {
        if (marked[node]) scan(&grey, node);
        drain(&grey);
      }
    }
    hs_os_fault_disarm();
    for (uintptr_t node = 1; node <= NODES; node++) assert_int_equal(marked[node], 1);
    hs_grey_end(&grey);
    hs_grey_pool_trim(&pool);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_event_log_goes_on_without_events, teardown),
      cmocka_unit_test_teardown(test_utilisation_without_scratch_is_not_a_number, teardown),
      cmocka_unit_test_teardown(test_metadata_is_refused_and_then_given, teardown),
      cmocka_unit_test_teardown(test_background_without_a_thread, teardown),
      cmocka_unit_test_teardown(test_marking_finishes_without_memory, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
