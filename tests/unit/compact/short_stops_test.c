// SPDX-License-Identifier: MIT
// Stops for moving objects, under a clock that the test sets: what is moved in one of them is bounded by the
// budget and is never nothing, whatever it is bounded to.
#include "tests/unit/compact/fixture.h"

enum {
  COUNT = 1 << 14, // 1 MiB of small objects: several regions
  BYTES = 64,
  STEP = 8,
  LARGEST_COUNT = 256, // 8 MiB
  LARGEST_BYTES = COMPACT_SMALL_BYTES,
  BUDGET_US = 100,
};

// ---- the clock ----------------------------------------------------------------------------------

// What each reading adds to the time, while `armed`: 0 stops the clock.
static struct {
  _Atomic(bool) armed;
  _Atomic(uint64_t) now_ns;
  uint64_t step_ns;
} test_clock;

uint64_t __real_hs_os_now_ns(void);
uint64_t __wrap_hs_os_now_ns(void);
uint64_t __wrap_hs_os_now_ns(void) {
  if (!hs_load_relaxed(&test_clock.armed)) return __real_hs_os_now_ns();
  return hs_add_relaxed(&test_clock.now_ns, test_clock.step_ns) + test_clock.step_ns;
}

static void clock_arm(uint64_t step_ns) {
  hs_store_relaxed(&test_clock.now_ns, __real_hs_os_now_ns());
  test_clock.step_ns = step_ns;
  hs_store_relaxed(&test_clock.armed, true);
}

static void clock_disarm(void) { hs_store_relaxed(&test_clock.armed, false); }

// ---- what stops moved ---------------------------------------------------------------------------

typedef struct moves {
  uint64_t stops, least_bytes, most_bytes, bytes;
} moves;

// A minor collection under that clock; no thread but this one uses the heap.
static moves collect(fixture f, uint64_t step_ns) {
  const hs_event_log *const log = &f.h->log;
  const size_t before = log->count;
  clock_arm(step_ns);
  heap_collect(f.t, HEAP_COLLECT_MINOR);
  clock_disarm();
  moves m = {.least_bytes = UINT64_MAX};
  for (size_t i = before; i < log->count; i++) {
    if (log->events[i].kind != HS_EVENT_COMPACT) continue;
    const uint64_t bytes = log->events[i].value;
    m.stops++;
    m.bytes += bytes;
    if (bytes < m.least_bytes) m.least_bytes = bytes;
    if (bytes > m.most_bytes) m.most_bytes = bytes;
  }
  assert_int_equal(log->dropped_count, 0);
  return m;
}

static fixture open_incremental(void) {
  heap_config config = hs_config_default();
  config.gogc_percent = -1;
  config.idle_ms = 0;
  config.compaction = HEAP_COMPACTION_INCREMENTAL;
  config.pause_budget_us = BUDGET_US;
  return fixture_open(config);
}

static moves run(size_t count, size_t bytes, size_t step, uint64_t step_ns) {
  fixture f = open_incremental();
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], count, bytes);
  keep_every(f, root[0], count, step);
  const moves m = collect(f, step_ns);
  assert_int_equal(STAT(f, moved_bytes), m.bytes);
  assert_true(m.bytes >= count / step * bytes * 3 / 4);
  check_array(f, root[0], count, step);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
  return m;
}

enum { BUDGET_NS = BUDGET_US * 1000 };

static void test_a_stop_that_is_late_at_once_moves_one_piece(void **state) {
  (void)state;
  const moves m = run(COUNT, BYTES, STEP, BUDGET_NS);
  assert_true(m.least_bytes >= BYTES);
  assert_true(m.most_bytes > CP_PIECE_BYTES / 2);
  assert_true(m.most_bytes <= CP_PIECE_BYTES);
}

static void test_a_stop_that_is_late_at_once_moves_one_object(void **state) {
  (void)state;
  const moves m = run(LARGEST_COUNT, LARGEST_BYTES, 2, BUDGET_NS);
  assert_int_equal(m.least_bytes, LARGEST_BYTES);
  assert_int_equal(m.most_bytes, LARGEST_BYTES);
}

// Each piece takes a step of the clock. The piece that would end behind the budget is left to the next stop.
static void test_pieces_are_moved_while_the_budget_holds_the_next(void **state) {
  (void)state;
  enum { PIECES = 10 };
  const moves m = run(COUNT, BYTES, STEP, BUDGET_NS / PIECES);
  assert_true(m.stops > 1);
  assert_true(m.most_bytes > CP_PIECE_BYTES);
  assert_true(m.most_bytes <= PIECES * CP_PIECE_BYTES);
}

static void test_while_no_time_passes_all_is_moved_in_one_stop(void **state) {
  (void)state;
  const moves m = run(COUNT, BYTES, STEP, 0);
  assert_int_equal(m.stops, 1);
}

// Pinned objects stay, stop after stop; what surrounds them is moved and its pages are given back.
static void test_pinned_objects_stay_from_stop_to_stop(void **state) {
  (void)state;
  enum { PINS = 32, APART = COUNT / PINS };
  fixture f = open_incremental();
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], COUNT, BYTES);
  keep_every(f, root[0], COUNT, STEP);
  const uint64_t *pinned[PINS];
  for (size_t i = 0; i < PINS; i++)
    pinned[i] = heap_pin(f.t, heap_load(f.t, root[0], i * APART), 0);
  const moves m = collect(f, BUDGET_NS);
  assert_true(m.stops > 1);
  assert_true(m.most_bytes <= CP_PIECE_BYTES);
  assert_true(m.bytes >= COUNT / STEP * BYTES / 2);
  assert_true(STAT(f, hollow_bytes) > 0);
  for (size_t i = 0; i < PINS; i++) {
    const heap_ref object = heap_load(f.t, root[0], i * APART);
    assert_ptr_equal(heap_read(f.t, object, 0), pinned[i]);
    assert_int_equal(*pinned[i], i * APART);
  }
  check_array(f, root[0], COUNT, STEP);
  assert_true(heap_verify(f.t));
  for (size_t i = 0; i < PINS; i++) heap_unpin(f.t, heap_load(f.t, root[0], i * APART));
  heap_collect(f.t, HEAP_COLLECT_FULL);
  check_array(f, root[0], COUNT, STEP);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

// No memory from the n-th request on, under the clock that makes every stop the shortest.
static void test_without_memory_what_is_left_stays(void **state) {
  (void)state;
  enum { LAST = 12 };
  for (unsigned n = 1; n <= LAST; n++) {
    fixture f = open_incremental();
    HEAP_FRAME(f.t, root, 1);
    fill_array(f, &root[0], COUNT, BYTES);
    keep_every(f, root[0], COUNT, STEP);
    hs_os_fault_arm(HS_OS_FAULT_ALL, n, true);
    (void)collect(f, BUDGET_NS);
    hs_os_fault_disarm();
    check_array(f, root[0], COUNT, STEP);
    assert_true(heap_verify(f.t));
    heap_collect(f.t, HEAP_COLLECT_FULL);
    check_array(f, root[0], COUNT, STEP);
    HEAP_FRAME_END(f.t, root);
    fixture_close(f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_stop_that_is_late_at_once_moves_one_piece),
      cmocka_unit_test(test_a_stop_that_is_late_at_once_moves_one_object),
      cmocka_unit_test(test_pieces_are_moved_while_the_budget_holds_the_next),
      cmocka_unit_test(test_while_no_time_passes_all_is_moved_in_one_stop),
      cmocka_unit_test(test_pinned_objects_stay_from_stop_to_stop),
      cmocka_unit_test(test_without_memory_what_is_left_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
