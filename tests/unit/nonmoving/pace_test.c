// SPDX-License-Identifier: MIT
// Who runs a cycle that is due, and what becomes of a thread that the collector does not keep up with. The
// collector's thread is stopped, so nothing happens but what the test's thread does.
#include "kit.h"

enum {
  LARGE_BYTES = 64 << 10, // of objects that each pass the slow path
  SMALL_TABLE = 100,      // slots: next to nothing to scan
  COLLECTIONS = 10,       // by another thread
  LARGE_TABLE = 100000,   // slots: 800 KB to scan, far more than a small cycle
};

static kit make(void) {
  heap_config config = kit_config();
  config.gogc_percent = 100;
  config.gc = HEAP_GC_CONCURRENT;
  kit k = kit_make(config);
  kit_stop_background(&k);
  return k;
}

static void drop_kit(kit *k) {
  hs_store_relaxed(&k->heap->collector_wanted, 0u);
  kit_free(k);
}

static uint64_t stalls(const kit *k) { return k->heap->log.durations[HS_EVENT_STALL].count; }

static uint64_t last_stall_bytes(const kit *k) {
  const hs_event_log *const log = &k->heap->log;
  for (size_t i = log->count; i-- > 0;)
    if (log->events[i].kind == HS_EVENT_STALL) return log->events[i].value;
  return 0;
}

// As if a cycle were due and the collector on its way.
static void make_due(kit *k, uint64_t overshoot_bytes) {
  hs_store_relaxed(&k->heap->due_bytes, (uint64_t)0);
  hs_store_relaxed(&k->heap->collector_wanted, 1u);
  hs_store_relaxed(&k->heap->overshoot_bytes, overshoot_bytes);
}

// ---- beyond the goal ------------------------------------------------------------------------------

static void test_beyond_the_overshoot_a_thread_waits_and_goes_on(void **state) {
  (void)state;
  kit k = make();
  (void)kit_alloc(&k, 0, LARGE_BYTES);
  make_due(&k, 0);
  for (uint64_t i = 1; i <= 3; i++) {
    (void)kit_alloc(&k, 0, LARGE_BYTES); // the collector never comes: it is a delay, not a lock
    assert_int_equal(stalls(&k), i);
    assert_int_equal(last_stall_bytes(&k), LARGE_BYTES);
  }
  assert_int_equal(k.heap->cycle.cycles_count, 0);
  drop_kit(&k);
}

static void test_up_to_the_overshoot_nobody_waits(void **state) {
  (void)state;
  kit k = make();
  (void)kit_alloc(&k, 0, LARGE_BYTES);
  make_due(&k, 100 * LARGE_BYTES);
  for (unsigned i = 0; i < 50; i++) (void)kit_alloc(&k, 0, LARGE_BYTES);
  assert_int_equal(stalls(&k), 0);
  make_due(&k, 51 * LARGE_BYTES); // that much is live: beyond is more
  (void)kit_alloc(&k, 0, LARGE_BYTES);
  assert_int_equal(stalls(&k), 0);
  (void)kit_alloc(&k, 0, LARGE_BYTES);
  assert_int_equal(stalls(&k), 1);
  drop_kit(&k);
}

typedef struct collecting {
  kit *k;
  _Atomic(uint32_t) done;
} collecting;

static void collect_on_a_thread(void *context) {
  collecting *const self = context;
  nonmoving_thread *t;
  HS_REQUIRE(nonmoving_thread_enter(self->k->heap, &t) == HEAP_OK, "no thread");
  for (unsigned i = 0; i < COLLECTIONS; i++) nonmoving_collect(t, HEAP_COLLECT_FULL);
  nonmoving_thread_leave(t);
  hs_store_release(&self->done, 1u); // pairs: below
}

// A thread that waits answers handshakes, or the cycle that it waits for would wait for it. Nothing else
// here answers them: the thread does not allocate.
static void test_a_waiting_thread_lets_cycles_end(void **state) {
  (void)state;
  kit k = make();
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, 0, LARGE_BYTES);
  collecting other = {.k = &k};
  hs_os_thread os;
  assert_int_equal(hs_os_thread_start(&os, collect_on_a_thread, &other), 0);
  while (!hs_load_acquire(&other.done)) { // pairs: collect_on_a_thread
    make_due(&k, 0);
    nm_cycle_step(k.heap, nm_thread_of(k.t), LARGE_BYTES);
  }
  hs_os_thread_join(&os);
  assert_int_equal(kit_stat(&k, HEAP_STAT_forced_cycles_count), COLLECTIONS);
  KIT_FRAME_END(&k, root);
  drop_kit(&k);
}

static uint64_t overshoot_with_limit(int64_t memory_limit_bytes, uint64_t *goal) {
  heap_config config = kit_config();
  config.gogc_percent = 100;
  config.gc = HEAP_GC_CONCURRENT;
  config.memory_limit_bytes = memory_limit_bytes;
  kit k = kit_make(config);
  kit_stop_background(&k);
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, 0, 28 << 20);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  *goal = hs_pacer_goal(&k.heap->pacer);
  const uint64_t most = hs_load_relaxed(&k.heap->overshoot_bytes);
  KIT_FRAME_END(&k, root);
  drop_kit(&k);
  return most;
}

// Also where gogc set the goal, a little below what the limit would: 56 MiB of 64.
static void test_the_overshoot_stays_below_the_soft_limit(void **state) {
  (void)state;
  uint64_t goal, limited_goal;
  const uint64_t most = overshoot_with_limit(0, &goal);
  assert_true(most > goal && most > 64u << 20); // or the limit changes nothing
  const uint64_t limited = overshoot_with_limit(64 << 20, &limited_goal);
  assert_int_equal(limited_goal, goal);
  assert_true(limited >= limited_goal && limited <= 64u << 20);
  assert_int_equal(overshoot_with_limit((int64_t)1 << 30, &limited_goal), most); // far away
  (void)overshoot_with_limit(32 << 20, &limited_goal);                           // sets the goal
  assert_true(limited_goal < goal);
  assert_int_equal(overshoot_with_limit(32 << 20, &limited_goal), limited_goal); // no slack
}

// ---- small cycles ---------------------------------------------------------------------------------

// Allocate garbage until the trigger is passed: by the last allocation.
static void allocate_past_the_trigger(kit *k) {
  while (!nm_cycle_is_due(k->heap)) (void)kit_alloc(k, 0, LARGE_BYTES);
  (void)kit_alloc(k, 0, LARGE_BYTES);
}

static void test_small_cycles_are_run_by_the_thread_that_finds_them_due(void **state) {
  (void)state;
  kit k = make();
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, SMALL_TABLE, 0);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_true(hs_load_relaxed(&k.heap->marking.was_small));
  for (uint64_t cycles = 1; cycles <= 5; cycles++) {
    assert_int_equal(k.heap->cycle.cycles_count, cycles);
    allocate_past_the_trigger(&k);
    assert_int_equal(hs_load_relaxed(&k.heap->collector_wanted), 0);
    assert_false(nm_cycle_is_due(k.heap));
  }
  assert_int_equal(k.heap->cycle.forced_count, 1);
  KIT_FRAME_END(&k, root);
  drop_kit(&k);
}

static void test_large_cycles_are_left_to_the_collector(void **state) {
  (void)state;
  kit k = make();
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, LARGE_TABLE, 0);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_false(hs_load_relaxed(&k.heap->marking.was_small));
  const uint32_t wakes = hs_load_relaxed(&k.heap->collector.wake);
  allocate_past_the_trigger(&k);
  assert_int_equal(hs_load_relaxed(&k.heap->collector_wanted), 1);
  assert_int_equal(hs_load_relaxed(&k.heap->collector.wake), wakes + 1);
  (void)kit_alloc(&k, 0, LARGE_BYTES); // woken once
  assert_int_equal(hs_load_relaxed(&k.heap->collector.wake), wakes + 1);
  assert_int_equal(k.heap->cycle.cycles_count, 1);
  KIT_FRAME_END(&k, root);
  drop_kit(&k);
}

// It would have to be waited for: it runs, and does not come to a slow path.
static void test_a_thread_that_does_not_answer_leaves_them_to_the_collector(void **state) {
  (void)state;
  kit k = make();
  nonmoving_thread *other;
  assert_int_equal(nonmoving_thread_enter(k.heap, &other), HEAP_OK); // two, on one OS thread
  nonmoving_blocking_begin(other);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_true(hs_load_relaxed(&k.heap->marking.was_small));
  allocate_past_the_trigger(&k); // blocked, it is no obstacle
  assert_int_equal(k.heap->cycle.cycles_count, 2);
  nonmoving_blocking_end(other);
  allocate_past_the_trigger(&k);
  assert_int_equal(hs_load_relaxed(&k.heap->collector_wanted), 1);
  assert_int_equal(k.heap->cycle.cycles_count, 2);
  nonmoving_thread_leave(other);
  drop_kit(&k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_beyond_the_overshoot_a_thread_waits_and_goes_on),
      cmocka_unit_test(test_up_to_the_overshoot_nobody_waits),
      cmocka_unit_test(test_a_waiting_thread_lets_cycles_end),
      cmocka_unit_test(test_the_overshoot_stays_below_the_soft_limit),
      cmocka_unit_test(test_small_cycles_are_run_by_the_thread_that_finds_them_due),
      cmocka_unit_test(test_large_cycles_are_left_to_the_collector),
      cmocka_unit_test(test_a_thread_that_does_not_answer_leaves_them_to_the_collector),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
