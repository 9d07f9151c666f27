// SPDX-License-Identifier: MIT
// Reference slots: graphs of any shape keep their identity through collections.
#include "allocators/base/rng.h"
#include "tests/contract/contract.h"

static void collect_all_kinds(heap_thread *t) {
  heap_collect(t, HEAP_COLLECT_MINOR);
  heap_collect(t, HEAP_COLLECT_FULL);
  heap_collect(t, HEAP_COLLECT_RELEASE);
}

static void test_a_slot_holds_what_was_stored_last(void **state) {
  contract *c = *state;
  heap_thread *t = c->thread;
  HEAP_FRAME(t, f, 3);
  f[0] = contract_new(c, 3, 0);
  f[1] = contract_new(c, 0, 8);
  f[2] = contract_new(c, 0, 8);
  assert_true(heap_same(t, HEAP_NULL, heap_load(t, f[0], 1)));
  heap_store(t, f[0], 1, f[1]);
  assert_true(heap_same(t, f[1], heap_load(t, f[0], 1)));
  heap_store(t, f[0], 1, f[2]);
  assert_true(heap_same(t, f[2], heap_load(t, f[0], 1)));
  assert_false(heap_same(t, f[1], heap_load(t, f[0], 1)));
  heap_store(t, f[0], 1, HEAP_NULL);
  for (size_t i = 0; i < 3; i++) assert_true(heap_is_null(heap_load(t, f[0], i)));
  HEAP_FRAME_END(t, f);
}

static void test_a_long_list_survives(void **state) {
  contract *c = *state;
  heap_thread *t = c->thread;
  const size_t n = contract_count(100000); // deep: a recursive marker would overflow its stack
  HEAP_FRAME(t, f, 1);
  assert_int_equal(contract_list_push(t, &f[0], n / 2, 11), n / 2);
  collect_all_kinds(t);
  assert_int_equal(contract_list_push(t, &f[0], n - n / 2, 11), n - n / 2);
  collect_all_kinds(t);
  assert_true(contract_list_check(t, f[0], n, 11));
  contract_list_drop(t, &f[0]);
  HEAP_FRAME_END(t, f);
}

static void test_cycles_survive(void **state) {
  contract *c = *state;
  heap_thread *t = c->thread;
  HEAP_FRAME(t, f, 2);
  f[0] = contract_new(c, 2, 8);
  f[1] = contract_new(c, 2, 8);
  contract_fill(t, f[0], 2, 8, 1);
  contract_fill(t, f[1], 2, 8, 2);
  heap_store(t, f[0], 0, f[1]);
  heap_store(t, f[1], 0, f[0]);
  heap_store(t, f[1], 1, f[1]);
  f[1] = HEAP_NULL; // reachable through the cycle only
  collect_all_kinds(t);
  f[1] = heap_load(t, f[0], 0);
  assert_true(contract_is_filled(t, f[0], 2, 8, 1));
  assert_true(contract_is_filled(t, f[1], 2, 8, 2));
  assert_true(heap_same(t, heap_load(t, f[1], 0), f[0]));
  assert_true(heap_same(t, heap_load(t, f[1], 1), f[1]));
  HEAP_FRAME_END(t, f);
}

static void test_shared_objects_stay_shared(void **state) {
  contract *c = *state;
  heap_thread *t = c->thread;
  const size_t n = contract_count(1000);
  HEAP_FRAME(t, f, 2);
  f[0] = contract_new(c, n, 0);
  f[1] = contract_new(c, 0, 40);
  contract_fill(t, f[1], 0, 40, 3);
  for (size_t i = 0; i < n; i++) {
    const heap_ref middle = contract_new(c, 1, 0);
    heap_store(t, f[0], i, middle);
    heap_store(t, middle, 0, f[1]);
  }
  f[1] = HEAP_NULL;
  collect_all_kinds(t);
  const heap_ref shared = heap_load(t, heap_load(t, f[0], 0), 0);
  assert_true(contract_is_filled(t, shared, 0, 40, 3));
  for (size_t i = 0; i < n; i++)
    assert_true(heap_same(t, shared, heap_load(t, heap_load(t, f[0], i), 0)));
  HEAP_FRAME_END(t, f);
}

enum { GRAPH_MAX = 2000, GRAPH_DEGREE = 4 };

// Compare every edge of the heap's graph with the plain copy. Not a safepoint.
static void check_edges(heap_thread *t, heap_ref table, size_t n,
                        uint16_t edges[GRAPH_MAX][GRAPH_DEGREE]) {
  for (size_t i = 0; i < n; i++) {
    const heap_ref node = heap_load(t, table, i);
    assert_true(contract_is_filled(t, node, GRAPH_DEGREE, 8, i));
    for (size_t e = 0; e < GRAPH_DEGREE; e++)
      assert_true(heap_same(t, heap_load(t, node, e), heap_load(t, table, edges[i][e])));
  }
}

static void test_a_random_graph_keeps_its_edges(void **state) {
  contract *c = *state;
  heap_thread *t = c->thread;
  static uint16_t edges[GRAPH_MAX][GRAPH_DEGREE];
  const size_t n = contract_count(GRAPH_MAX);
  hs_rng rng = hs_rng_seed(42);
  HEAP_FRAME(t, f, 1);
  f[0] = contract_new(c, n, 0);
  for (size_t i = 0; i < n; i++) {
    const heap_ref node = contract_new(c, GRAPH_DEGREE, 8);
    contract_fill(t, node, GRAPH_DEGREE, 8, i);
    heap_store(t, f[0], i, node);
  }
  for (int round = 0; round < 5; round++) {
    for (size_t i = 0; i < n; i++) {
      for (size_t e = 0; e < GRAPH_DEGREE; e++) {
        edges[i][e] = (uint16_t)hs_rng_below(&rng, n);
        heap_store(t, heap_load(t, f[0], i), e, heap_load(t, f[0], edges[i][e]));
      }
    }
    check_edges(t, f[0], n, edges);
    collect_all_kinds(t);
    check_edges(t, f[0], n, edges);
  }
  HEAP_FRAME_END(t, f);
}

// A tree built bottom up by recursion: the frames of all levels hold unfinished parts.
static heap_ref tree_build(contract *c, int depth) {
  HEAP_FRAME(c->thread, f, 3);
  if (depth > 0) {
    f[0] = tree_build(c, depth - 1);
    f[1] = tree_build(c, depth - 1);
  }
  f[2] = contract_new(c, 2, 8);
  contract_fill(c->thread, f[2], 2, 8, (uint64_t)depth);
  heap_store(c->thread, f[2], 0, f[0]);
  heap_store(c->thread, f[2], 1, f[1]);
  const heap_ref node = f[2];
  HEAP_FRAME_END(c->thread, f);
  return node;
}

static size_t tree_count(heap_thread *t, heap_ref node, int depth) {
  if (heap_is_null(node)) return 0;
  assert_true(contract_is_filled(t, node, 2, 8, (uint64_t)depth));
  return 1 + tree_count(t, heap_load(t, node, 0), depth - 1) +
         tree_count(t, heap_load(t, node, 1), depth - 1);
}

static void test_trees_built_by_recursion(void **state) {
  contract *c = *state;
  const int depth = contract_stress ? 7 : 12;
  HEAP_FRAME(c->thread, f, 1);
  for (int round = 0; round < 3; round++) {
    f[0] = tree_build(c, depth);
    heap_collect(c->thread, HEAP_COLLECT_FULL);
    assert_int_equal(tree_count(c->thread, f[0], depth), ((size_t)2 << depth) - 1);
  }
  HEAP_FRAME_END(c->thread, f);
}

int contract_refs(void) {
  const struct CMUnitTest tests[] = {
      CONTRACT_TEST(test_a_slot_holds_what_was_stored_last),
      CONTRACT_TEST(test_a_long_list_survives),
      CONTRACT_TEST(test_cycles_survive),
      CONTRACT_TEST(test_shared_objects_stay_shared),
      CONTRACT_TEST(test_a_random_graph_keeps_its_edges),
      CONTRACT_TEST(test_trees_built_by_recursion),
  };
  return cmocka_run_group_tests_name("contract refs " HEAP_NAME, tests, NULL, NULL);
}
