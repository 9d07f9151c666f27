// SPDX-License-Identifier: MIT
// Threads of a workload, on libc malloc: the services of the harness are the few below.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "allocators/base/atomic.h"
#include "allocators/os/os.h"
#include "allocators/runtime/config.h"
#include "workloads/threads.h"

enum { THREADS = 5, LOCKED_ADDS = 20000 };

// ---- the services -------------------------------------------------------------------------------

struct workload_run {
  heap *heap;
  heap_thread *thread;
  unsigned begun, ended; // timed sections
  uint64_t operations;
  hs_histogram latency;
  jmp_buf end; // workload_out_of_memory lands here
};

heap *workload_heap(workload_run *run) { return run->heap; }
heap_thread *workload_thread(workload_run *run) { return run->thread; }
void workload_timed_begin(workload_run *run) { run->begun++; }

void workload_timed_end(workload_run *run, uint64_t operations) {
  run->ended++;
  run->operations += operations;
}

void workload_latency_add(workload_run *run, uint64_t ns) { hs_histogram_add(&run->latency, ns); }
void workload_out_of_memory(workload_run *run) { longjmp(run->end, 1); }

static int setup(void **state) {
  workload_run *run = calloc(1, sizeof *run);
  const heap_config config = hs_config_default();
  if (!run || heap_create(&config, &run->heap) != HEAP_OK) return -1;
  *state = run;
  return heap_thread_enter(run->heap, &run->thread) == HEAP_OK ? 0 : -1;
}

static int teardown(void **state) {
  workload_run *run = *state;
  heap_thread_leave(run->thread);
  heap_destroy(run->heap);
  free(run);
  return 0;
}

// ---- running ------------------------------------------------------------------------------------

static _Thread_local bool is_main;

typedef struct shared {
  _Atomic(uint32_t) calls[WORKLOAD_THREADS_MAX];
  _Atomic(uint32_t) met;  // futex: threads that have begun
  _Atomic(uint32_t) main; // 1 + index of a call on the main thread
  workload_lock lock;
  uint64_t locked_count; // [lock lock]
} shared;

// Returns when every thread has begun: hangs unless all run at once.
static uint64_t meet(void *context, size_t index, heap_thread *t) {
  shared *s = context;
  hs_add_relaxed(&s->calls[index], 1);
  (void)t;
  if (is_main) hs_add_relaxed(&s->main, (uint32_t)index + 1);
  hs_add_acq_rel(&s->met, 1); // pairs: the load below
  hs_os_futex_wake(&s->met, UINT32_MAX);
  for (uint32_t met; (met = hs_load_acquire(&s->met)) < THREADS;)
    hs_os_futex_wait(&s->met, met, UINT64_MAX);
  return index + 1;
}

static void test_all_run_at_once_each_with_its_index(void **state) {
  workload_run *run = *state;
  shared s = {.met = 0};
  is_main = true;
  workload_threads_run(run, THREADS, meet, &s);
  for (size_t i = 0; i < WORKLOAD_THREADS_MAX; i++)
    assert_int_equal(hs_load_relaxed(&s.calls[i]), i < THREADS ? 1 : 0);
  assert_int_equal(hs_load_relaxed(&s.main), 1);
  assert_int_equal(run->operations, 1 + 2 + 3 + 4 + 5);
  assert_int_equal(run->begun, 1);
  assert_int_equal(run->ended, 1);
}

static uint64_t count_call(void *context, size_t index, heap_thread *t) {
  shared *s = context;
  (void)t;
  hs_add_relaxed(&s->calls[index], 1);
  return 7;
}

static void test_one_thread_is_the_main_one(void **state) {
  workload_run *run = *state;
  shared s = {.met = 0};
  hs_os_fault_arm(HS_OS_FAULT_THREAD, 1, true); // none may be started
  workload_threads_run(run, 1, count_call, &s);
  assert_int_equal(hs_os_fault_calls(), 0);
  hs_os_fault_disarm();
  assert_int_equal(hs_load_relaxed(&s.calls[0]), 1);
  assert_int_equal(run->operations, 7);
}

static void check_failing_start(workload_run *run, uint64_t nth) {
  static shared s; // outlives the longjmp
  hs_os_fault_arm(HS_OS_FAULT_THREAD, nth, false);
  if (setjmp(run->end) == 0) {
    workload_threads_run(run, THREADS, count_call, &s);
    fail();
  }
  hs_os_fault_disarm();
  for (size_t i = 0; i < THREADS; i++) assert_int_equal(hs_load_relaxed(&s.calls[i]), 0);
  assert_int_equal(run->begun, 0);
}

static void test_a_thread_that_cannot_start_ends_the_run(void **state) {
  for (uint64_t nth = 1; nth < THREADS; nth++) check_failing_start(*state, nth);
}

static uint64_t count_under_lock(void *context, size_t index, heap_thread *t) {
  shared *s = context;
  (void)index;
  for (int i = 0; i < LOCKED_ADDS; i++) {
    workload_lock_take(&s->lock, t);
    s->locked_count++;
    workload_lock_drop(&s->lock);
  }
  return LOCKED_ADDS;
}

static void test_a_lock_excludes(void **state) {
  workload_run *run = *state;
  shared s = {.met = 0};
  workload_threads_run(run, THREADS, count_under_lock, &s);
  assert_int_equal(s.locked_count, THREADS * LOCKED_ADDS);
  assert_int_equal(run->operations, THREADS * LOCKED_ADDS);
}

// ---- latencies ----------------------------------------------------------------------------------

static void check_recorded(const uint64_t *values, size_t count) {
  static workload_run run; // large
  workload_latencies wanted = {.count = 0};
  run.latency = wanted;
  for (size_t i = 0; i < count; i++) workload_latencies_add(&wanted, values[i]);
  workload_latencies_record(&run, &wanted);
  assert_int_equal(run.latency.count, count);
  assert_int_equal(run.latency.min, wanted.min);
  assert_int_equal(run.latency.max, wanted.max);
  assert_memory_equal(run.latency.buckets, wanted.buckets, sizeof wanted.buckets);
}

static void test_latencies_are_recorded_to_the_bucket(void **state) {
  (void)state;
  static const uint64_t one[] = {1000003}, same[] = {70, 70, 70}, near[] = {1 << 20, (1 << 20) + 1},
                        many[] = {3, 99, 100, 5000, 5001, 123456789, 123456790, 1ull << 45};
  check_recorded(one, 0);
  check_recorded(one, 1);
  check_recorded(same, 3);
  check_recorded(near, 2);
  check_recorded(many, 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_all_run_at_once_each_with_its_index, setup, teardown),
      cmocka_unit_test_setup_teardown(test_one_thread_is_the_main_one, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_thread_that_cannot_start_ends_the_run, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_a_lock_excludes, setup, teardown),
      cmocka_unit_test(test_latencies_are_recorded_to_the_bucket),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
