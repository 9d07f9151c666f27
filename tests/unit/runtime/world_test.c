// SPDX-License-Identifier: MIT
// Stop the world, blocking regions, attach and detach, collectors that race.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/runtime/world_fixture.h"
#include "tests/unit/seed.h"

// ---- one thread at a time -----------------------------------------------------------------------

static void test_ids_are_small_and_reused(void **state) {
  (void)state;
  hs_world world;
  hs_thread threads[4];
  hs_world_init(&world, NULL);
  for (uint32_t i = 0; i < 4; i++) {
    hs_thread_attach(&world, &threads[i]);
    assert_int_equal(threads[i].id, i + 1);
  }
  hs_thread_detach(&threads[1]);
  hs_thread_detach(&threads[0]);
  assert_int_equal(world.thread_count, 2);
  hs_world_check(&world);
  hs_thread_attach(&world, &threads[1]);
  assert_int_equal(threads[1].id, 1);
  hs_thread_attach(&world, &threads[0]);
  assert_int_equal(threads[0].id, 2);
  hs_world_check(&world);
  for (int i = 0; i < 4; i++) hs_thread_detach(&threads[i]);
  assert_int_equal(world.thread_count, 0);
  hs_world_destroy(&world);
}

static void test_stop_alone_logs_one_window(void **state) {
  (void)state;
  static hs_event_log log;
  hs_world world;
  hs_thread self;
  assert_int_equal(hs_event_log_init(&log, 16), 0);
  hs_world_init(&world, &log);
  hs_thread_attach(&world, &self);
  hs_world_enter_collector(&world, &self);
  assert_false(hs_world_is_stopped(&world));
  hs_world_stop(&world, &self);
  assert_true(hs_world_is_stopped(&world));
  assert_int_equal(hs_load_relaxed(&self.poll), 0); // the collector itself has nothing to answer
  hs_world_start(&world);
  assert_false(hs_world_is_stopped(&world));
  hs_world_leave_collector(&world);
  assert_int_equal(log.count, 1);
  assert_int_equal(log.events[0].kind, HS_EVENT_STOP);
  assert_int_equal(log.events[0].thread, self.id);
  assert_true(log.events[0].value <= log.events[0].end_ns - log.events[0].begin_ns);
  hs_thread_detach(&self);
  hs_world_destroy(&world);
  hs_event_log_destroy(&log);
}

// ---- stop the world -----------------------------------------------------------------------------

static void run_polling(mutator *self) {
  while (!team_is_done()) {
    mutator_step(self);
    hs_poll(&self->base);
  }
}

static void run_mixed(mutator *self) {
  HS_REQUIRE(self->base.frames == NULL, "a fresh thread has frames");
  heap_ref slots[3];
  heap_frame frame;
  hs_frame_push(&self->base, &frame, slots, 3);
  uintptr_t last = 0;
  while (!team_is_done()) {
    mutator_step(self);
    switch (hs_rng_below(&self->rng, 4)) {
    case 0:
      hs_blocking_begin(&self->base);
      if (hs_rng_below(&self->rng, 2) == 0) hs_os_yield();
      hs_blocking_end(&self->base);
      break;
    case 1: {
      heap_ref inner[2];
      heap_frame inner_frame;
      hs_frame_push(&self->base, &inner_frame, inner, 2);
      hs_poll(&self->base);
      hs_frame_pop(&self->base, &inner_frame);
      break;
    }
    default:
      hs_poll(&self->base);
    }
    // The collector writes the number of each stop into every slot, so it only grows.
    HS_REQUIRE(slots[0].bits >= last && slots[1].bits == slots[0].bits, "roots went backwards");
    last = slots[0].bits;
  }
  hs_frame_pop(&self->base, &frame);
}

static void write_slots(void *context, heap_ref *slots, size_t count) {
  for (size_t i = 0; i < count; i++) slots[i].bits = *(const uintptr_t *)context;
}

// Stops `stops` times and proves that nobody moves meanwhile.
static void stop_many(hs_thread *self, int stops) {
  for (uintptr_t stop = 1; stop <= (uintptr_t)stops; stop++) {
    hs_world_enter_collector(&crew.world, self);
    hs_world_stop(&crew.world, self);
    hs_world_check(&crew.world);
    uint64_t before = 0, after = 0;
    for (int i = 0; i < crew.size; i++) {
      before += crew.members[i].steps;
      assert_int_equal(hs_load_relaxed(&crew.members[i].base.state), HS_THREAD_STOPPED);
      crew.members[i].last_stop = stop;
    }
    hs_roots_visit_all_stw(&crew.world, write_slots, &stop);
    hs_os_yield(); // invites a thread that is not really stopped to go on
    for (int i = 0; i < crew.size; i++) after += crew.members[i].steps;
    assert_int_equal(before, after);
    hs_world_start(&crew.world);
    hs_world_leave_collector(&crew.world);
  }
}

static void test_stop_holds_polling_threads(void **state) {
  (void)state;
  const uint64_t seed = test_seed(1);
  for (int size = 1; size <= TEAM_MAX; size++) {
    team_start(size, NULL, run_polling, seed);
    stop_many(NULL, 40);
    for (int i = 0; i < size; i++) assert_int_equal(crew.members[i].last_stop, 40);
    team_finish();
  }
}

static void test_stop_holds_threads_that_block_and_push_frames(void **state) {
  (void)state;
  const uint64_t seed = test_seed(2);
  for (int size = 1; size <= TEAM_MAX; size++) {
    team_start(size, NULL, run_mixed, seed);
    stop_many(NULL, 60);
    team_finish();
  }
}

static void test_a_mutator_can_be_the_collector(void **state) {
  (void)state;
  static hs_event_log log;
  assert_int_equal(hs_event_log_init(&log, 1024), 0);
  team_start(4, &log, run_mixed, test_seed(3));
  hs_thread self;
  hs_thread_attach(&crew.world, &self);
  stop_many(&self, 100);
  hs_thread_detach(&self);
  team_finish();
  assert_int_equal(log.durations[HS_EVENT_STOP].count, 100);
  assert_int_equal(log.count, 100);
  for (size_t i = 0; i < log.count; i++) {
    assert_true(log.events[i].value <= log.events[i].end_ns - log.events[i].begin_ns);
    if (i > 0) assert_true(log.events[i].begin_ns >= log.events[i - 1].end_ns);
  }
  hs_event_log_destroy(&log);
}

static void test_poll_words_are_clear_after_a_start(void **state) {
  (void)state;
  hs_world world;
  hs_thread native;
  hs_world_init(&world, NULL);
  hs_thread_attach(&world, &native);
  hs_blocking_begin(&native);
  hs_world_enter_collector(&world, NULL);
  hs_world_stop(&world, NULL);
  assert_true(hs_load_relaxed(&native.poll) != 0);
  assert_int_equal(hs_load_relaxed(&native.state), HS_THREAD_STOPPED);
  const uint32_t epoch = hs_load_relaxed(&world.resume_epoch);
  hs_world_start(&world);
  // A thread that read the old epoch just before must not go to sleep on it.
  assert_int_not_equal(hs_load_relaxed(&world.resume_epoch), epoch);
  assert_int_equal(hs_load_relaxed(&native.poll), 0);
  assert_int_equal(hs_load_relaxed(&native.state), HS_THREAD_NATIVE);
  hs_world_leave_collector(&world);
  hs_blocking_end(&native);
  assert_int_equal(hs_load_relaxed(&native.state), HS_THREAD_RUNNING);
  hs_thread_detach(&native);
  hs_world_destroy(&world);
}

// ---- what must wait for the end of a stop -------------------------------------------------------

enum { PATIENCE_YIELDS = 500 }; // many chances for the other thread to go on when it must not

static _Atomic(uint32_t) stage;  // how far the other thread got
static _Atomic(uint32_t) permit; // how far it may go

static void await_word(_Atomic(uint32_t) *word, uint32_t value) {
  while (hs_load_acquire(word) < value) hs_os_yield();
}

static void run_leave_native(mutator *self) {
  hs_blocking_begin(&self->base);
  hs_store_release(&stage, 1u);
  await_word(&permit, 1);
  hs_blocking_end(&self->base);
  hs_store_release(&stage, 2u);
}

static void test_leaving_native_waits_for_the_start(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    hs_store_relaxed(&stage, 0u);
    hs_store_relaxed(&permit, 0u);
    team_start(1, NULL, run_leave_native, 1);
    await_word(&stage, 1);
    hs_world_enter_collector(&crew.world, NULL);
    hs_world_stop(&crew.world, NULL); // does not wait for the blocked thread
    hs_store_release(&permit, 1u);
    for (int i = 0; i < PATIENCE_YIELDS; i++) hs_os_yield();
    assert_int_equal(hs_load_acquire(&stage), 1);
    hs_world_start(&crew.world);
    await_word(&stage, 2);
    hs_world_leave_collector(&crew.world);
    team_join();
  }
}

static void run_detach_during_request(mutator *self) {
  hs_store_release(&stage, 1u);
  while (hs_load_acquire(&self->base.poll) == 0) hs_os_yield(); // sees the request, never polls
}

static void test_detach_while_a_stop_is_wanted(void **state) {
  (void)state;
  for (int round = 0; round < 100; round++) {
    hs_store_relaxed(&stage, 0u);
    team_start(3, NULL, run_detach_during_request, 1);
    hs_world_enter_collector(&crew.world, NULL);
    hs_world_stop(&crew.world, NULL);
    assert_int_equal(crew.world.thread_count, 3); // frozen until the start
    hs_world_check(&crew.world);
    hs_world_start(&crew.world);
    hs_world_leave_collector(&crew.world);
    team_join();
  }
}

static void attach_late(void *argument) {
  hs_thread self;
  hs_thread_attach(argument, &self);
  hs_store_release(&stage, 1u);
  hs_thread_detach(&self);
}

static void test_attach_waits_for_the_start(void **state) {
  (void)state;
  hs_world world;
  hs_world_init(&world, NULL);
  for (int round = 0; round < 20; round++) {
    hs_store_relaxed(&stage, 0u);
    hs_world_enter_collector(&world, NULL);
    hs_world_stop(&world, NULL);
    hs_os_thread thread;
    assert_int_equal(hs_os_thread_start(&thread, attach_late, &world), 0);
    for (int i = 0; i < PATIENCE_YIELDS; i++) hs_os_yield();
    assert_int_equal(hs_load_acquire(&stage), 0);
    assert_int_equal(world.thread_count, 0);
    hs_world_start(&world);
    hs_world_leave_collector(&world);
    hs_os_thread_join(&thread);
    assert_int_equal(hs_load_acquire(&stage), 1);
  }
  hs_world_destroy(&world);
}

static void run_coming_and_going(mutator *self) {
  while (!team_is_done()) {
    mutator_step(self);
    hs_poll(&self->base);
    hs_thread_detach(&self->base);
    hs_thread_attach(self->world, &self->base);
  }
}

static void test_stops_among_threads_that_come_and_go(void **state) {
  (void)state;
  for (int size = 1; size <= TEAM_MAX; size += 3) {
    team_start(size, NULL, run_coming_and_going, test_seed(4));
    for (int stop = 0; stop < 150; stop++) {
      hs_world_enter_collector(&crew.world, NULL);
      hs_world_stop(&crew.world, NULL);
      hs_world_check(&crew.world);
      assert_true(crew.world.thread_count <= (uint32_t)size);
      HS_WORLD_EACH_THREAD(&crew.world, thread) {
        ((mutator *)(void *)thread)->last_stop++; // plain: it must be held
      }
      hs_world_start(&crew.world);
      hs_world_leave_collector(&crew.world);
    }
    team_finish();
  }
}

// ---- collectors that race -----------------------------------------------------------------------

static int inside;           // [stw] plain: two collectors at once show here, and under TSan
static uint64_t collections; // [stw]

enum { COLLECTIONS_EACH = 50 };

static void run_collecting(mutator *self) {
  for (int i = 0; i < COLLECTIONS_EACH; i++) {
    for (int step = 0; step < 20; step++) {
      mutator_step(self);
      hs_poll(&self->base);
    }
    hs_world_enter_collector(&crew.world, &self->base);
    hs_world_stop(&crew.world, &self->base);
    HS_REQUIRE(inside == 0, "two collectors at once");
    inside = 1;
    collections++;
    HS_WORLD_EACH_THREAD(&crew.world, thread) { ((mutator *)(void *)thread)->last_stop++; }
    inside = 0;
    hs_world_start(&crew.world);
    hs_world_leave_collector(&crew.world);
  }
}

static void test_racing_collectors_take_turns(void **state) {
  (void)state;
  for (int size = 2; size <= TEAM_MAX; size *= 2) {
    collections = 0;
    team_start(size, NULL, run_collecting, test_seed(5));
    team_join();
    assert_int_equal(collections, size * COLLECTIONS_EACH);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ids_are_small_and_reused),
      cmocka_unit_test(test_stop_alone_logs_one_window),
      cmocka_unit_test(test_stop_holds_polling_threads),
      cmocka_unit_test(test_stop_holds_threads_that_block_and_push_frames),
      cmocka_unit_test(test_a_mutator_can_be_the_collector),
      cmocka_unit_test(test_poll_words_are_clear_after_a_start),
      cmocka_unit_test(test_leaving_native_waits_for_the_start),
      cmocka_unit_test(test_detach_while_a_stop_is_wanted),
      cmocka_unit_test(test_attach_waits_for_the_start),
      cmocka_unit_test(test_stops_among_threads_that_come_and_go),
      cmocka_unit_test(test_racing_collectors_take_turns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
