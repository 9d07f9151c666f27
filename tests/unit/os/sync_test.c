// SPDX-License-Identifier: MIT
// Assertions of cmocka only on the main thread: other threads count, and use HS_REQUIRE.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocators/base/assert.h"
#include "allocators/os/os.h"

enum { THREADS = 6, ROUNDS = 20000 };

static hs_mutex mutex;
static uint64_t
    shared_count; // [lock mutex], plain: a broken lock loses counts and shows under TSan

static void add_many(void *argument) {
  (void)argument;
  for (int i = 0; i < ROUNDS; i++) {
    if ((i & 7) == 0 && hs_mutex_try(&mutex)) {
      shared_count++;
    } else {
      hs_mutex_lock(&mutex);
      shared_count++;
    }
    HS_REQUIRE(hs_mutex_is_held(&mutex), "a lock that was taken is not held");
    hs_mutex_unlock(&mutex);
  }
}

static void test_mutex_excludes(void **state) {
  (void)state;
  hs_os_thread threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(hs_os_thread_start(&threads[i], add_many, NULL), 0);
  for (int i = 0; i < THREADS; i++) hs_os_thread_join(&threads[i]);
  assert_int_equal(shared_count, THREADS * ROUNDS);
  assert_false(hs_mutex_is_held(&mutex));
}

static void test_try_fails_on_a_held_mutex(void **state) {
  (void)state;
  hs_mutex own = {0};
  assert_true(hs_mutex_try(&own));
  assert_false(hs_mutex_try(&own));
  hs_mutex_unlock(&own);
  assert_true(hs_mutex_try(&own));
  hs_mutex_unlock(&own);
}

// ---- futex --------------------------------------------------------------------------------------

static _Atomic(uint32_t) turn;
enum { TURNS = 2000 };

static void take_turns(uint32_t mine) {
  for (uint32_t i = mine; i < TURNS; i += 2) {
    uint32_t seen;
    while ((seen = hs_load_acquire(&turn)) != i) (void)hs_os_futex_wait(&turn, seen, UINT64_MAX);
    hs_store_release(&turn, i + 1);
    hs_os_futex_wake(&turn, UINT32_MAX);
  }
}

static void take_odd_turns(void *argument) {
  (void)argument;
  take_turns(1);
}

static void test_futex_loses_no_wake(void **state) {
  (void)state;
  hs_os_thread thread;
  assert_int_equal(hs_os_thread_start(&thread, take_odd_turns, NULL), 0);
  take_turns(0);
  hs_os_thread_join(&thread);
  assert_int_equal(hs_load_relaxed(&turn), TURNS);
}

static void test_futex_returns_at_once_when_the_value_differs(void **state) {
  (void)state;
  _Atomic(uint32_t) word = 1;
  errno = 12345;
  assert_int_equal(hs_os_futex_wait(&word, 2, UINT64_MAX), 0);
  assert_int_equal(hs_os_futex_wait(&word, 1, 1000), -ETIMEDOUT);
  assert_int_equal(hs_os_futex_wait(&word, 1, 0), -ETIMEDOUT);
  assert_int_equal(errno, 12345);
}

// ---- threads and time ---------------------------------------------------------------------------

static void record_stack(void *argument) {
  void **const bounds = argument;
  int local = 0;
  HS_REQUIRE(hs_os_stack_bounds(&bounds[0], &bounds[1]) == 0, "no stack bounds");
  bounds[2] = argument; // it ran
  HS_REQUIRE((uintptr_t)&local >= (uintptr_t)bounds[0], "a local lies below the stack");
  HS_REQUIRE((uintptr_t)&local < (uintptr_t)bounds[1], "a local lies above the stack");
}

static void test_stack_bounds_hold_locals(void **state) {
  (void)state;
  void *own[3] = {0}, *other[3] = {0};
  record_stack(own);
  hs_os_thread thread;
  assert_int_equal(hs_os_thread_start(&thread, record_stack, other), 0);
  hs_os_thread_join(&thread);
  assert_ptr_not_equal(own[0], other[0]);
  assert_non_null(other[2]);
}

static void test_join_is_idempotent(void **state) {
  (void)state;
  hs_os_thread thread = {0};
  hs_os_thread_join(&thread); // not started
  void *bounds[3];
  assert_int_equal(hs_os_thread_start(&thread, record_stack, bounds), 0);
  assert_true(thread.handle != 0);
  hs_os_thread_join(&thread);
  assert_true(thread.handle == 0);
  hs_os_thread_join(&thread);
}

static void pin_and_name(void *argument) {
  int *const results = argument;
  hs_os_thread_name("a name longer than the kernel keeps");
  hs_os_yield();
  results[0] = hs_os_pin_to_core(-1);
  results[1] = hs_os_pin_to_core(1 << 20);
  results[2] = 0;
  for (int core = 0; core < 1024 && results[2] == 0; core++)
    if (hs_os_pin_to_core(core) == 0) results[2] = hs_os_core_count();
}

static void test_pinning_leaves_one_core(void **state) {
  (void)state;
  int results[3] = {0};
  const int cores = hs_os_core_count();
  assert_true(cores >= 1);
  hs_os_thread thread;
  assert_int_equal(hs_os_thread_start(&thread, pin_and_name, results), 0);
  hs_os_thread_join(&thread);
  assert_int_equal(results[0], -EINVAL);
  assert_int_equal(results[1], -EINVAL);
  assert_int_equal(results[2], 1);
  assert_int_equal(hs_os_core_count(), cores); // the pin was the other thread's
}

static void test_clocks_go_forward(void **state) {
  (void)state;
  uint64_t now = hs_os_now_ns(), thread = hs_os_thread_cpu_ns(), process = hs_os_process_cpu_ns();
  assert_true(now > 0);
  for (int i = 0; i < 1000; i++) {
    assert_true(hs_os_now_ns() >= now);
    assert_true(hs_os_thread_cpu_ns() >= thread);
    assert_true(hs_os_process_cpu_ns() >= process);
    now = hs_os_now_ns();
    thread = hs_os_thread_cpu_ns();
    process = hs_os_process_cpu_ns();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mutex_excludes),
      cmocka_unit_test(test_try_fails_on_a_held_mutex),
      cmocka_unit_test(test_futex_loses_no_wake),
      cmocka_unit_test(test_futex_returns_at_once_when_the_value_differs),
      cmocka_unit_test(test_stack_bounds_hold_locals),
      cmocka_unit_test(test_join_is_idempotent),
      cmocka_unit_test(test_pinning_leaves_one_core),
      cmocka_unit_test(test_clocks_go_forward),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
