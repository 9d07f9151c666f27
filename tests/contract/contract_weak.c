// SPDX-License-Identifier: MIT
// Weak references: they follow their object and let it die.
#include "tests/contract/contract.h"

enum { CELLS = 200, BYTES = 40 };

// CELLS weak cells; the objects with an odd index stay rooted in `keep`. Built in a function of its
// own, so that no dead reference lingers in the caller's part of the stack.
HS_NOINLINE static void cells_make(contract *c, heap_ref keep, heap_weak **cells, size_t n) {
  HEAP_FRAME(c->thread, f, 2);
  f[1] = keep;
  for (size_t i = 0; i < n; i++) {
    f[0] = contract_new(c, 0, BYTES);
    contract_fill(c->thread, f[0], 0, BYTES, i);
    if (i % 2) heap_store(c->thread, f[1], i, f[0]);
    assert_int_equal(heap_weak_create(c->thread, f[0], &cells[i]), HEAP_OK);
    assert_true(heap_same(c->thread, heap_weak_get(c->thread, cells[i]), f[0]));
  }
  HEAP_FRAME_END(c->thread, f);
}

static void test_cells_follow_the_living_and_let_go_of_the_dead(void **state) {
  contract_needs(HEAP_CAP_WEAK);
  contract *c = *state;
  const size_t n = contract_count(CELLS);
  heap_weak *cells[CELLS];
  HEAP_FRAME(c->thread, f, 1);
  f[0] = contract_new(c, n, 0);
  cells_make(c, f[0], cells, n);
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  size_t dead = 0;
  for (size_t i = 0; i < n; i++) {
    const heap_ref target = heap_weak_get(c->thread, cells[i]);
    if (i % 2) {
      assert_true(heap_same(c->thread, target, heap_load(c->thread, f[0], i)));
      assert_true(contract_is_filled(c->thread, target, 0, BYTES, i));
    } else if (heap_is_null(target)) {
      dead++;
    } else { // only a conservative heap may keep it, and then it is whole
      assert_true(HEAP_CAPS & HEAP_CAP_CONSERVATIVE);
      assert_true(contract_is_filled(c->thread, target, 0, BYTES, i));
    }
  }
  // A stray word may keep one object, not a tenth of them.
  assert_true(dead >= (HEAP_CAPS & HEAP_CAP_CONSERVATIVE ? n / 2 - n / 10 : n / 2));
  for (size_t i = 0; i < n; i++) heap_weak_destroy(c->thread, cells[i]);
  HEAP_FRAME_END(c->thread, f);
}

static void test_several_cells_of_one_object(void **state) {
  contract_needs(HEAP_CAP_WEAK);
  contract *c = *state;
  heap_weak *cells[3];
  HEAP_FRAME(c->thread, f, 1);
  f[0] = contract_new(c, 1, 8);
  for (int i = 0; i < 3; i++)
    assert_int_equal(heap_weak_create(c->thread, f[0], &cells[i]), HEAP_OK);
  heap_weak_destroy(c->thread, cells[1]);
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  assert_true(heap_same(c->thread, heap_weak_get(c->thread, cells[0]), f[0]));
  assert_true(heap_same(c->thread, heap_weak_get(c->thread, cells[2]), f[0]));
  heap_weak_destroy(c->thread, cells[0]);
  heap_weak_destroy(c->thread, cells[2]);
  HEAP_FRAME_END(c->thread, f);
}

static void test_a_weak_reference_can_be_made_strong_again(void **state) {
  contract_needs(HEAP_CAP_WEAK);
  contract *c = *state;
  heap_weak *cell;
  HEAP_FRAME(c->thread, f, 1);
  f[0] = contract_new(c, 0, BYTES);
  contract_fill(c->thread, f[0], 0, BYTES, 5);
  assert_int_equal(heap_weak_create(c->thread, f[0], &cell), HEAP_OK);
  f[0] = HEAP_NULL;
  f[0] = heap_weak_get(c->thread, cell); // no safepoint since: still alive
  assert_false(heap_is_null(f[0]));
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  assert_true(contract_is_filled(c->thread, f[0], 0, BYTES, 5));
  assert_true(heap_same(c->thread, heap_weak_get(c->thread, cell), f[0]));
  heap_weak_destroy(c->thread, cell);
  HEAP_FRAME_END(c->thread, f);
}

static void test_the_refusal_is_clear(void **state) {
  contract *c = *state;
  if (HEAP_CAPS & HEAP_CAP_WEAK) contract_skip("the heap has weak references");
  heap_weak *cell = NULL;
  HEAP_FRAME(c->thread, f, 1);
  f[0] = contract_new(c, 0, 8);
  assert_int_equal(heap_weak_create(c->thread, f[0], &cell), HEAP_UNSUPPORTED);
  assert_null(cell);
  HEAP_FRAME_END(c->thread, f);
}

int contract_weak(void) {
  const struct CMUnitTest tests[] = {
      CONTRACT_TEST(test_cells_follow_the_living_and_let_go_of_the_dead),
      CONTRACT_TEST(test_several_cells_of_one_object),
      CONTRACT_TEST(test_a_weak_reference_can_be_made_strong_again),
      CONTRACT_TEST(test_the_refusal_is_clear),
  };
  return cmocka_run_group_tests_name("contract weak " HEAP_NAME, tests, NULL, NULL);
}
