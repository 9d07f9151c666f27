// SPDX-License-Identifier: MIT
// Heaps and threads come and go, heaps are independent of each other, ownership ends with discard.
#include "tests/contract/contract.h"

static void test_destroy_accepts_null(void **state) {
  (void)state;
  heap_destroy(NULL);
}

static void test_heaps_can_be_created_again_and_again(void **state) {
  (void)state;
  const heap_config config = contract_config();
  for (int i = 0; i < 20; i++) {
    heap *h = NULL;
    assert_int_equal(heap_create(&config, &h), HEAP_OK);
    assert_non_null(h);
    if (i % 2) {
      heap_thread *t;
      assert_int_equal(heap_thread_enter(h, &t), HEAP_OK);
      HEAP_FRAME(t, frame, 1);
      assert_int_equal(contract_list_push(t, &frame[0], 10, 7), 10);
      contract_list_drop(t, &frame[0]);
      HEAP_FRAME_END(t, frame);
      heap_thread_leave(t);
    }
    heap_destroy(h);
  }
}

static void test_a_thread_enters_and_leaves_repeatedly(void **state) {
  contract *c = *state;
  heap_ref global[1];
  heap_root root;
  heap_root_add(c->thread, &root, global, 1);
  for (uint64_t i = 0; i < 50; i++) {
    const size_t n = contract_count(100);
    HEAP_FRAME(c->thread, frame, 1);
    assert_int_equal(contract_list_push(c->thread, &frame[0], n, i), n);
    heap_root_store(c->thread, &global[0], frame[0]);
    HEAP_FRAME_END(c->thread, frame);
    heap_thread_leave(c->thread);
    assert_int_equal(heap_thread_enter(c->heap, &c->thread), HEAP_OK);
    heap_ref list = heap_root_load(c->thread, &global[0]);
    assert_true(contract_list_check(c->thread, list, n, i));
    heap_root_store(c->thread, &global[0], HEAP_NULL);
    contract_list_drop(c->thread, &list);
  }
  heap_root_remove(c->thread, &root);
}

static void test_two_heaps_are_independent(void **state) {
  contract *c = *state;
  const size_t n = contract_count(2000);
  heap *other = NULL;
  heap_thread *t2;
  assert_int_equal(heap_create(&c->config, &other), HEAP_OK);
  assert_int_equal(heap_thread_enter(other, &t2), HEAP_OK);
  HEAP_FRAME(c->thread, mine, 1);
  HEAP_FRAME(t2, theirs, 1);
  assert_int_equal(contract_list_push(c->thread, &mine[0], n, 1), n);
  assert_int_equal(contract_list_push(t2, &theirs[0], n, 2), n);
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  heap_collect(t2, HEAP_COLLECT_RELEASE);
  assert_true(contract_list_check(c->thread, mine[0], n, 1));
  assert_true(contract_list_check(t2, theirs[0], n, 2));
  contract_list_drop(t2, &theirs[0]);
  HEAP_FRAME_END(t2, theirs);
  heap_thread_leave(t2);
  heap_destroy(other);
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  assert_true(contract_list_check(c->thread, mine[0], n, 1));
  contract_list_drop(c->thread, &mine[0]);
  HEAP_FRAME_END(c->thread, mine);
}

static void test_discard_accepts_null(void **state) {
  contract *c = *state;
  heap_discard(c->thread, HEAP_NULL);
  HEAP_FRAME(c->thread, frame, 1);
  frame[0] = contract_new(c, 1, 8);
  assert_true(contract_is_zero(c->thread, frame[0], 1, 8));
  HEAP_FRAME_END(c->thread, frame);
}

static void test_discarded_memory_is_used_again_and_clean(void **state) {
  contract *c = *state;
  HEAP_FRAME(c->thread, frame, 1);
  for (size_t i = 0; i < contract_count(20000); i++) {
    const size_t bytes = i % 300;
    frame[0] = heap_alloc(c->thread, 2, bytes);
    assert_false(heap_is_null(frame[0]));
    assert_true(contract_is_zero(c->thread, frame[0], 2, bytes));
    heap_store(c->thread, frame[0], 1, frame[0]);
    contract_fill(c->thread, frame[0], 2, bytes, i + 1);
    const heap_ref dead = frame[0];
    frame[0] = HEAP_NULL;
    heap_discard(c->thread, dead);
  }
  HEAP_FRAME_END(c->thread, frame);
}

static void test_discard_gives_memory_back(void **state) {
  contract_needs(HEAP_CAP_FREES);
  contract *c = *state;
  const size_t n = contract_count(50000);
  heap_stats before, full, after;
  heap_stats_read(c->thread, &before);
  if (!heap_stats_has(&before, HEAP_STAT_heap_alloc_bytes))
    contract_skip("the heap does not state allocated bytes");
  HEAP_FRAME(c->thread, frame, 1);
  assert_int_equal(contract_list_push(c->thread, &frame[0], n, 3), n);
  heap_stats_read(c->thread, &full);
  contract_list_drop(c->thread, &frame[0]);
  HEAP_FRAME_END(c->thread, frame);
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  heap_stats_read(c->thread, &after);
  const uint64_t start = before.value[HEAP_STAT_heap_alloc_bytes];
  const uint64_t payload = n * (sizeof(heap_ref) + CONTRACT_NODE_BYTES);
  assert_true(full.value[HEAP_STAT_heap_alloc_bytes] >= start + payload);
  // A thread's cache of freed objects may count as allocated: at most a quarter here.
  assert_true(after.value[HEAP_STAT_heap_alloc_bytes] <= start + payload / 4);
}

int contract_lifecycle(void) {
  const struct CMUnitTest tests[] = {
      CONTRACT_TEST(test_destroy_accepts_null),
      CONTRACT_TEST(test_heaps_can_be_created_again_and_again),
      CONTRACT_TEST(test_a_thread_enters_and_leaves_repeatedly),
      CONTRACT_TEST(test_two_heaps_are_independent),
      CONTRACT_TEST(test_discard_accepts_null),
      CONTRACT_TEST(test_discarded_memory_is_used_again_and_clean),
      CONTRACT_TEST(test_discard_gives_memory_back),
  };
  return cmocka_run_group_tests_name("contract lifecycle " HEAP_NAME, tests, NULL, NULL);
}
