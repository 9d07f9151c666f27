// SPDX-License-Identifier: MIT
// Several mutators: allocate at once, share under a lock, come and go, block while others collect.
// Checks on other threads abort (cmocka's assertions belong to the main thread).
#include "allocators/base/assert.h"
#include "allocators/base/atomic.h"
#include "allocators/base/rng.h"
#include "tests/contract/contract.h"

enum { THREADS = 4 };

typedef struct worker {
  contract *c;
  hs_os_thread os;
  uint64_t id;
  void (*run)(struct worker *worker, heap_thread *t);
} worker;

static void worker_main(void *argument) {
  worker *w = argument;
  heap_thread *t;
  HS_REQUIRE(heap_thread_enter(w->c->heap, &t) == HEAP_OK, "a thread cannot enter");
  w->run(w, t);
  heap_thread_leave(t);
}

static void workers_start(worker *workers, contract *c, void (*run)(worker *, heap_thread *)) {
  for (uint64_t i = 0; i < THREADS; i++) {
    workers[i] = (worker){.c = c, .id = i + 1, .run = run};
    assert_int_equal(hs_os_thread_start(&workers[i].os, worker_main, &workers[i]), 0);
  }
}

static void workers_join(worker *workers, contract *c) {
  heap_blocking_begin(c->thread);
  for (int i = 0; i < THREADS; i++) hs_os_thread_join(&workers[i].os);
  heap_blocking_end(c->thread);
}

// A lock that a mutator may wait for: the collector must not wait for the waiting thread.
static void lock(heap_thread *t, hs_mutex *mutex) {
  if (hs_mutex_try(mutex)) return;
  heap_blocking_begin(t);
  hs_mutex_lock(mutex);
  heap_blocking_end(t);
}

// ---- each thread its own structure -----------------------------------------------------------------

static void run_private_lists(worker *w, heap_thread *t) {
  const size_t n = contract_count(20000);
  HEAP_FRAME(t, f, 2);
  for (int round = 0; round < 5; round++) {
    HS_REQUIRE(contract_list_push(t, &f[0], n, w->id) == n, "out of memory");
    HS_REQUIRE(contract_list_push(t, &f[1], n, w->id + 100) == n, "out of memory");
    if (round == 2) heap_collect(t, HEAP_COLLECT_FULL);
    HS_REQUIRE(contract_list_check(t, f[0], n, w->id), "a list changed");
    HS_REQUIRE(contract_list_check(t, f[1], n, w->id + 100), "a list changed");
    contract_list_drop(t, &f[0]);
    contract_list_drop(t, &f[1]);
    heap_poll(t);
  }
  HEAP_FRAME_END(t, f);
}

static void test_threads_allocate_at_once(void **state) {
  contract_needs(HEAP_CAP_THREADS);
  contract *c = *state;
  worker workers[THREADS];
  workers_start(workers, c, run_private_lists);
  run_private_lists(&(worker){.c = c, .id = 50}, c->thread); // the main thread as well
  workers_join(workers, c);
}

// ---- a shared table under a lock ---------------------------------------------------------------------

enum { SHARED_SLOTS = 16, SHARED_BYTES = 56 };
static heap_ref shared_slots[SHARED_SLOTS];
static hs_mutex shared_lock;
static uint64_t shared_key[SHARED_SLOTS]; // what each slot's object must say; 0: null

static void run_shared_table(worker *w, heap_thread *t) {
  hs_rng rng = hs_rng_seed(w->id);
  const size_t n = contract_count(20000);
  HEAP_FRAME(t, f, 1);
  for (size_t i = 0; i < n; i++) {
    const size_t slot = hs_rng_below(&rng, SHARED_SLOTS);
    const uint64_t key = w->id << 32 | i;
    f[0] = heap_alloc(t, 0, SHARED_BYTES);
    HS_REQUIRE(!heap_is_null(f[0]), "out of memory");
    contract_fill(t, f[0], 0, SHARED_BYTES, key);
    lock(t, &shared_lock);
    if (i % 64 == 0) heap_poll(t); // a stop while holding the lock
    const heap_ref old = heap_root_load(t, &shared_slots[slot]);
    HS_REQUIRE(heap_is_null(old) == (shared_key[slot] == 0), "a shared slot lost its object");
    HS_REQUIRE(heap_is_null(old) || contract_is_filled(t, old, 0, SHARED_BYTES, shared_key[slot]),
               "a shared object changed");
    heap_root_store(t, &shared_slots[slot], f[0]);
    shared_key[slot] = key;
    heap_discard(t, old);
    f[0] = HEAP_NULL;
    hs_mutex_unlock(&shared_lock);
    if (i % (n / 4 + 1) == 0) heap_collect(t, HEAP_COLLECT_FULL);
  }
  HEAP_FRAME_END(t, f);
}

static void test_threads_share_objects_under_a_lock(void **state) {
  contract_needs(HEAP_CAP_THREADS);
  contract *c = *state;
  heap_root root;
  worker workers[THREADS];
  heap_root_add(c->thread, &root, shared_slots, SHARED_SLOTS);
  for (int i = 0; i < SHARED_SLOTS; i++) shared_key[i] = 0;
  workers_start(workers, c, run_shared_table);
  workers_join(workers, c);
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  for (size_t i = 0; i < SHARED_SLOTS; i++) {
    const heap_ref object = heap_root_load(c->thread, &shared_slots[i]);
    if (shared_key[i] != 0)
      assert_true(contract_is_filled(c->thread, object, 0, SHARED_BYTES, shared_key[i]));
    heap_root_store(c->thread, &shared_slots[i], HEAP_NULL);
    heap_discard(c->thread, object);
  }
  heap_root_remove(c->thread, &root);
}

// ---- threads that come and go ------------------------------------------------------------------------

static void run_enter_and_leave(worker *w, heap_thread *t) {
  (void)t;
  for (uint64_t i = 0; i < 40; i++) {
    heap_thread *inner;
    HS_REQUIRE(heap_thread_enter(w->c->heap, &inner) == HEAP_OK, "a thread cannot enter");
    HEAP_FRAME(inner, f, 1);
    const size_t n = contract_count(300);
    HS_REQUIRE(contract_list_push(inner, &f[0], n, i) == n, "out of memory");
    HS_REQUIRE(contract_list_check(inner, f[0], n, i), "a list changed");
    contract_list_drop(inner, &f[0]);
    HEAP_FRAME_END(inner, f);
    heap_thread_leave(inner);
  }
}

static void enter_and_leave_main(void *argument) { // not registered in between
  worker *w = argument;
  run_enter_and_leave(w, NULL);
}

static void test_threads_come_and_go_while_others_collect(void **state) {
  contract_needs(HEAP_CAP_THREADS);
  contract *c = *state;
  worker workers[THREADS];
  HEAP_FRAME(c->thread, f, 1);
  const size_t n = contract_count(5000);
  assert_int_equal(contract_list_push(c->thread, &f[0], n, 8), n);
  for (uint64_t i = 0; i < THREADS; i++) {
    workers[i] = (worker){.c = c, .id = i};
    assert_int_equal(hs_os_thread_start(&workers[i].os, enter_and_leave_main, &workers[i]), 0);
  }
  for (int i = 0; i < 20; i++)
    heap_collect(c->thread, i % 2 ? HEAP_COLLECT_FULL : HEAP_COLLECT_RELEASE);
  workers_join(workers, c);
  assert_true(contract_list_check(c->thread, f[0], n, 8));
  contract_list_drop(c->thread, &f[0]);
  HEAP_FRAME_END(c->thread, f);
}

// ---- blocking ------------------------------------------------------------------------------------------

static _Atomic(uint32_t) blocked_count; // futex: threads inside their blocking region
static _Atomic(uint32_t) released;      // futex: 1 when they may leave

static void wait_until(_Atomic(uint32_t) *word, uint32_t value) {
  uint32_t seen;
  while ((seen = hs_load_acquire(word)) < value) hs_os_futex_wait(word, seen, UINT64_MAX);
}

static void run_blocked(worker *w, heap_thread *t) {
  const size_t n = contract_count(2000);
  HEAP_FRAME(t, f, 1);
  HS_REQUIRE(contract_list_push(t, &f[0], n, w->id) == n, "out of memory");
  heap_blocking_begin(t);
  hs_add_acq_rel(&blocked_count, 1); // pairs: wait_until on the main thread
  hs_os_futex_wake(&blocked_count, UINT32_MAX);
  wait_until(&released, 1);
  heap_blocking_end(t);
  HS_REQUIRE(contract_list_check(t, f[0], n, w->id), "a list changed while its owner was blocked");
  contract_list_drop(t, &f[0]);
  HEAP_FRAME_END(t, f);
}

static void test_the_collector_does_not_wait_for_blocked_threads(void **state) {
  contract_needs(HEAP_CAP_THREADS);
  contract *c = *state;
  worker workers[THREADS];
  hs_store_release(&blocked_count, 0);
  hs_store_release(&released, 0);
  workers_start(workers, c, run_blocked);
  heap_blocking_begin(c->thread);
  wait_until(&blocked_count, THREADS);
  heap_blocking_end(c->thread);
  HEAP_FRAME(c->thread, f, 1);
  for (int i = 0; i < 5; i++) { // would never return if it waited
    const size_t n = contract_count(1000);
    assert_int_equal(contract_list_push(c->thread, &f[0], n, 1), n);
    contract_list_drop(c->thread, &f[0]);
    heap_collect(c->thread, i % 2 ? HEAP_COLLECT_RELEASE : HEAP_COLLECT_FULL);
  }
  HEAP_FRAME_END(c->thread, f);
  hs_store_release(&released, 1); // pairs: wait_until in run_blocked
  hs_os_futex_wake(&released, UINT32_MAX);
  workers_join(workers, c);
}

// ---- everybody collects --------------------------------------------------------------------------------

static void run_collecting(worker *w, heap_thread *t) {
  const size_t n = contract_count(1000);
  HEAP_FRAME(t, f, 1);
  HS_REQUIRE(contract_list_push(t, &f[0], n, w->id) == n, "out of memory");
  for (int i = 0; i < 10; i++) {
    heap_stats stats;
    heap_collect(t, (heap_collect_kind)(i % 3));
    if (i % 4 == 0) heap_stats_read(t, &stats);
    if (i % 5 == 0) HS_REQUIRE(heap_verify(t), "the heap is not valid");
    HS_REQUIRE(contract_list_check(t, f[0], n, w->id), "a list changed");
  }
  contract_list_drop(t, &f[0]);
  HEAP_FRAME_END(t, f);
}

static void test_all_threads_collect_at_once(void **state) {
  contract_needs(HEAP_CAP_THREADS);
  contract *c = *state;
  worker workers[THREADS];
  workers_start(workers, c, run_collecting);
  workers_join(workers, c);
  assert_true(heap_verify(c->thread));
}

int contract_threads(void) {
  const struct CMUnitTest tests[] = {
      CONTRACT_TEST(test_threads_allocate_at_once),
      CONTRACT_TEST(test_threads_share_objects_under_a_lock),
      CONTRACT_TEST(test_threads_come_and_go_while_others_collect),
      CONTRACT_TEST(test_the_collector_does_not_wait_for_blocked_threads),
      CONTRACT_TEST(test_all_threads_collect_at_once),
  };
  return cmocka_run_group_tests_name("contract threads " HEAP_NAME, tests, NULL, NULL);
}
