// SPDX-License-Identifier: MIT
// The ragged handshake: every thread exactly once, whatever it is doing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/runtime/world_fixture.h"
#include "tests/unit/seed.h"

static void count_handshake(void *context, hs_thread *thread) {
  mutator *const member = (mutator *)(void *)thread;
  const uint32_t state = hs_load_relaxed(&thread->state);
  HS_REQUIRE(state == HS_THREAD_RUNNING || state == HS_THREAD_AWAITED || state == HS_THREAD_SERVED,
             "handshake with a thread in state %u", state);
  member->handshakes++;
  member->steps += *(const uint64_t *)context; // plain, like the owner's own writes
}

static void run_mixed(mutator *self) {
  while (!team_is_done()) {
    mutator_step(self);
    if (hs_rng_below(&self->rng, 3) == 0) {
      hs_blocking_begin(&self->base);
      if (hs_rng_below(&self->rng, 2) == 0) hs_os_yield();
      hs_blocking_end(&self->base);
    } else {
      hs_poll(&self->base);
    }
  }
}

static void test_every_thread_answers_exactly_once(void **state) {
  (void)state;
  const uint64_t seed = test_seed(1);
  for (int size = 1; size <= TEAM_MAX; size++) {
    team_start(size, NULL, run_mixed, seed);
    for (uint64_t round = 1; round <= 60; round++) {
      const uint64_t added = 0;
      hs_world_enter_collector(&crew.world, NULL);
      hs_world_handshake(&crew.world, NULL, count_handshake, (void *)&added);
      for (int i = 0; i < size; i++) assert_int_equal(crew.members[i].handshakes, round);
      hs_world_leave_collector(&crew.world);
    }
    team_finish();
  }
}

static void run_answering_and_leaving(mutator *self) {
  while (!team_is_done()) {
    hs_poll(&self->base);
    hs_blocking_begin(&self->base);
    hs_blocking_end(&self->base);
  }
}

// Answers by the owner that turns NATIVE at once: the collector that is about to serve it must see
// that there is nothing left to do. The window is a few nanoseconds, hence the many rounds.
static void test_no_thread_answers_twice(void **state) {
  (void)state;
  team_start(2, NULL, run_answering_and_leaving, 1);
  for (uint64_t round = 1; round <= 20000; round++) {
    const uint64_t added = 0;
    hs_world_enter_collector(&crew.world, NULL);
    hs_world_handshake(&crew.world, NULL, count_handshake, (void *)&added);
    for (int i = 0; i < 2; i++) assert_int_equal(crew.members[i].handshakes, round);
    hs_world_leave_collector(&crew.world);
  }
  team_finish();
}

static void test_the_collector_answers_for_itself(void **state) {
  (void)state;
  const uint64_t added = 3;
  mutator self = {0};
  hs_world world;
  hs_world_init(&world, NULL);
  hs_thread_attach(&world, &self.base);
  for (uint64_t round = 1; round <= 3; round++) {
    hs_world_enter_collector(&world, &self.base);
    hs_world_handshake(&world, &self.base, count_handshake, (void *)&added);
    hs_world_leave_collector(&world);
    assert_int_equal(self.handshakes, round);
    assert_int_equal(self.steps, 3 * round);
    assert_int_equal(hs_load_relaxed(&self.base.poll), 0);
  }
  hs_thread_detach(&self.base);
  hs_world_destroy(&world);
}

static void test_a_native_thread_is_served_where_it_is(void **state) {
  (void)state;
  const uint64_t added = 0;
  mutator native = {0};
  hs_world world;
  hs_world_init(&world, NULL);
  hs_thread_attach(&world, &native.base);
  hs_blocking_begin(&native.base);
  hs_world_enter_collector(&world, NULL);
  hs_world_handshake(&world, NULL, count_handshake, (void *)&added);
  assert_int_equal(native.handshakes, 1);
  assert_int_equal(hs_load_relaxed(&native.base.poll), 0);
  assert_int_equal(hs_load_relaxed(&native.base.state), HS_THREAD_NATIVE);
  hs_world_leave_collector(&world);
  hs_blocking_end(&native.base);
  hs_poll(&native.base);
  assert_int_equal(native.handshakes, 1);
  hs_thread_detach(&native.base);
  hs_world_destroy(&world);
}

// Stops and handshakes in turn, so that a thread may wake from one straight into the other.
static void test_stops_and_handshakes_alternate(void **state) {
  (void)state;
  const uint64_t added = 1;
  for (int size = 1; size <= TEAM_MAX; size += 3) {
    team_start(size, NULL, run_mixed, test_seed(2));
    mutator self = {0};
    hs_thread_attach(&crew.world, &self.base);
    for (uint64_t round = 1; round <= 60; round++) {
      hs_world_enter_collector(&crew.world, &self.base);
      hs_world_stop(&crew.world, &self.base);
      for (int i = 0; i < size; i++) crew.members[i].last_stop++;
      hs_world_start(&crew.world);
      hs_world_handshake(&crew.world, &self.base, count_handshake, (void *)&added);
      hs_world_stop(&crew.world, &self.base);
      for (int i = 0; i < size; i++) {
        assert_int_equal(crew.members[i].handshakes, round);
        assert_int_equal(crew.members[i].last_stop, 2 * round - 1);
        crew.members[i].last_stop++;
      }
      hs_world_start(&crew.world);
      hs_world_leave_collector(&crew.world);
    }
    assert_int_equal(self.handshakes, 60);
    hs_thread_detach(&self.base);
    team_finish();
  }
}

static void run_coming_and_going(mutator *self) {
  while (!team_is_done()) {
    mutator_step(self);
    hs_poll(&self->base);
    hs_thread_detach(&self->base);
    hs_thread_attach(self->world, &self->base);
  }
}

// `answers` counts the calls; threads of the list are frozen during the handshake, so it is the
// number of registered threads, whatever that was.
static void note_answer(void *context, hs_thread *thread) {
  (void)thread;
  hs_add_relaxed((_Atomic(uint32_t) *)context, 1u);
}

static void test_handshakes_among_threads_that_come_and_go(void **state) {
  (void)state;
  team_start(5, NULL, run_coming_and_going, test_seed(3));
  uint32_t total = 0;
  for (int round = 0; round < 200; round++) {
    _Atomic(uint32_t) answers = 0;
    hs_world_enter_collector(&crew.world, NULL);
    hs_world_handshake(&crew.world, NULL, note_answer, (void *)&answers);
    hs_world_leave_collector(&crew.world);
    assert_true(hs_load_relaxed(&answers) <= 5);
    total += hs_load_relaxed(&answers);
  }
  assert_true(total > 0);
  team_finish();
}

static void take_a_while(void *context, hs_thread *thread) {
  (void)context, (void)thread;
  const uint64_t until_ns = hs_os_now_ns() + 20000; // well above the threshold of the log
  while (hs_os_now_ns() < until_ns) HS_CPU_RELAX();
}

static void test_long_handshakes_are_logged(void **state) {
  (void)state;
  static hs_event_log log;
  assert_int_equal(hs_event_log_init(&log, 8), 0);
  hs_world world;
  hs_thread self;
  hs_world_init(&world, &log);
  hs_thread_attach(&world, &self);
  hs_world_enter_collector(&world, &self);
  hs_world_handshake(&world, &self, take_a_while, NULL);
  hs_world_leave_collector(&world);
  assert_int_equal(log.count, 1);
  assert_int_equal(log.events[0].kind, HS_EVENT_HANDSHAKE);
  assert_int_equal(log.events[0].value, self.id);
  assert_true(log.events[0].end_ns - log.events[0].begin_ns >= 20000);
  hs_thread_detach(&self);
  hs_world_destroy(&world);
  hs_event_log_destroy(&log);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_thread_answers_exactly_once),
      cmocka_unit_test(test_no_thread_answers_twice),
      cmocka_unit_test(test_the_collector_answers_for_itself),
      cmocka_unit_test(test_a_native_thread_is_served_where_it_is),
      cmocka_unit_test(test_stops_and_handshakes_alternate),
      cmocka_unit_test(test_handshakes_among_threads_that_come_and_go),
      cmocka_unit_test(test_long_handshakes_are_logged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
