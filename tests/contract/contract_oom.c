// SPDX-License-Identifier: MIT
// Out of memory is an answer, not an end: null at the limit, and the heap goes on when there is room.
#include "tests/contract/contract.h"

enum { LIMIT_BYTES = 24 << 20 };

static int limited_setup(void **state) {
  if (contract_setup(state) != 0) return -1;
  if (!(HEAP_CAPS & HEAP_CAP_LIMIT)) return 0; // the test skips
  contract *c = *state;
  heap_thread_leave(c->thread);
  heap_destroy(c->heap);
  c->thread = NULL;
  c->heap = NULL;
  c->config.limit_bytes = LIMIT_BYTES;
  c->config.stress = 0; // filling a heap with a collection per object takes quadratic time
  if (heap_create(&c->config, &c->heap) != HEAP_OK) return -1;
  return heap_thread_enter(c->heap, &c->thread) == HEAP_OK ? 0 : -1;
}
#define LIMITED_TEST(function)                                                                     \
  cmocka_unit_test_setup_teardown((function), limited_setup, contract_teardown)

// Fill `table` with objects of one size until the heap refuses; returns how many. A table and not a
// list: one stray word on a conservative heap then holds one object, not all of them.
HS_NOINLINE static size_t fill_until_refused(heap_thread *t, heap_ref *table, size_t capacity,
                                             size_t bytes) {
  for (size_t i = 0; i < capacity; i++) {
    const heap_ref object = heap_alloc(t, 1, bytes);
    if (heap_is_null(object)) return i;
    assert_true(contract_is_zero(t, object, 1, bytes));
    contract_fill(t, object, 1, bytes, i);
    heap_store(t, *table, i, object);
  }
  fail_msg("%zu objects of %zu bytes fit into a limit of %d", capacity, bytes, LIMIT_BYTES);
  return capacity;
}

static void fill_and_recover(contract *c, size_t bytes) {
  const size_t capacity = LIMIT_BYTES / (bytes + sizeof(heap_ref));
  HEAP_FRAME(c->thread, f, 1);
  f[0] = contract_new(c, capacity, 0);
  for (int round = 0; round < 3; round++) {
    const size_t n = fill_until_refused(c->thread, &f[0], capacity, bytes);
    assert_true(n >= capacity / 4); // rounding and metadata cost; more would be a leak
    for (size_t i = 0; i < n; i++)
      assert_true(contract_is_filled(c->thread, heap_load(c->thread, f[0], i), 1, bytes, i));
    assert_true(heap_is_null(heap_alloc(c->thread, 0, LIMIT_BYTES)));
    for (size_t i = 0; i < n; i++) heap_store(c->thread, f[0], i, HEAP_NULL);
    if (round == 1) heap_collect(c->thread, HEAP_COLLECT_RELEASE);
    // Where no collection was asked for, the heap must try one itself before it refuses.
    assert_false(heap_is_null(heap_alloc(c->thread, 0, bytes)));
  }
  HEAP_FRAME_END(c->thread, f);
}

static void test_small_objects_up_to_the_limit(void **state) {
  contract_needs(HEAP_CAP_LIMIT);
  fill_and_recover(*state, 56);
}

static void test_medium_objects_up_to_the_limit(void **state) {
  contract_needs(HEAP_CAP_LIMIT);
  fill_and_recover(*state, 4000);
}

static void test_large_objects_up_to_the_limit(void **state) {
  contract_needs(HEAP_CAP_LIMIT);
  fill_and_recover(*state, 100000);
}

static void test_more_than_the_limit_at_once(void **state) {
  contract_needs(HEAP_CAP_LIMIT);
  contract *c = *state;
  HEAP_FRAME(c->thread, f, 1);
  f[0] = contract_new(c, 0, 1000);
  contract_fill(c->thread, f[0], 0, 1000, 4);
  assert_true(heap_is_null(heap_alloc(c->thread, 0, LIMIT_BYTES + 1)));
  assert_true(heap_is_null(heap_alloc(c->thread, LIMIT_BYTES / 8 + 1, 0)));
  assert_true(contract_is_filled(c->thread, f[0], 0, 1000, 4));
  assert_false(heap_is_null(heap_alloc(c->thread, 0, 1000)));
  HEAP_FRAME_END(c->thread, f);
}

static void test_garbage_does_not_count(void **state) {
  contract_needs(HEAP_CAP_LIMIT | HEAP_CAP_TRACES);
  contract *c = *state;
  c->config.gogc_percent = 100;
  for (size_t done = 0; done < 8u * LIMIT_BYTES; done += 1000)
    assert_false(heap_is_null(heap_alloc(c->thread, 1, 992)));
}

static void test_a_limit_is_not_ignored_in_silence(void **state) {
  (void)state;
  if (HEAP_CAPS & HEAP_CAP_LIMIT) contract_skip("the heap has a limit");
  heap_config config = contract_config();
  config.limit_bytes = LIMIT_BYTES;
  heap *h = NULL;
  assert_int_equal(heap_create(&config, &h), HEAP_UNSUPPORTED);
  assert_null(h);
}

int contract_oom(void) {
  const struct CMUnitTest tests[] = {
      LIMITED_TEST(test_small_objects_up_to_the_limit),
      LIMITED_TEST(test_medium_objects_up_to_the_limit),
      LIMITED_TEST(test_large_objects_up_to_the_limit),
      LIMITED_TEST(test_more_than_the_limit_at_once),
      LIMITED_TEST(test_garbage_does_not_count),
      CONTRACT_TEST(test_a_limit_is_not_ignored_in_silence),
  };
  return cmocka_run_group_tests_name("contract oom " HEAP_NAME, tests, NULL, NULL);
}
