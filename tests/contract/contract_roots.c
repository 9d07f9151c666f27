// SPDX-License-Identifier: MIT
// Roots: frames in any nesting, global ranges in any order; what they hold lives.
#include "tests/contract/contract.h"

static void test_frame_slots_start_null(void **state) {
  contract *c = *state;
  for (int round = 0; round < 3; round++) {
    HEAP_FRAME(c->thread, f, 8);
    for (int i = 0; i < 8; i++) {
      assert_true(heap_is_null(f[i]));
      f[i] = contract_new(c, 0, 8); // the next round reuses this stack
    }
    HEAP_FRAME_END(c->thread, f);
  }
}

static void test_an_empty_frame(void **state) {
  contract *c = *state;
  heap_frame frame;
  heap_ref unused;
  heap_frame_push(c->thread, &frame, &unused, 0);
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  heap_frame_pop(c->thread, &frame);
}

static void test_a_wide_frame(void **state) {
  contract *c = *state;
  enum { WIDE = 1000 };
  HEAP_FRAME(c->thread, f, WIDE);
  const size_t step = contract_stress ? 100 : 1;
  for (size_t i = 0; i < WIDE; i += step) {
    f[i] = contract_new(c, 1, 24);
    contract_fill(c->thread, f[i], 1, 24, i);
    if (i > 0) heap_store(c->thread, f[i], 0, f[i - step]);
  }
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  for (size_t i = 0; i < WIDE; i += step) {
    assert_true(contract_is_filled(c->thread, f[i], 1, 24, i));
    assert_true(heap_same(c->thread, heap_load(c->thread, f[i], 0), i ? f[i - step] : HEAP_NULL));
  }
  HEAP_FRAME_END(c->thread, f);
}

static void nest(contract *c, size_t depth) {
  HEAP_FRAME(c->thread, f, 3);
  f[depth % 3] = contract_new(c, 0, 40);
  contract_fill(c->thread, f[depth % 3], 0, 40, depth);
  if (depth % 50 == 0) heap_collect(c->thread, HEAP_COLLECT_FULL);
  if (depth > 0) nest(c, depth - 1);
  assert_true(contract_is_filled(c->thread, f[depth % 3], 0, 40, depth));
  for (size_t i = 0; i < 3; i++)
    if (i != depth % 3) assert_true(heap_is_null(f[i]));
  HEAP_FRAME_END(c->thread, f);
}

static void test_deeply_nested_frames(void **state) {
  contract *c = *state;
  nest(c, contract_count(1000));
  nest(c, contract_count(1000));
}

enum { RANGES = 20, RANGE_SLOTS = 7 };
static heap_ref ranges[RANGES][RANGE_SLOTS];

static void ranges_fill(contract *c, size_t r) {
  for (size_t i = 0; i < RANGE_SLOTS; i++) {
    assert_true(heap_is_null(heap_root_load(c->thread, &ranges[r][i])));
    const heap_ref object = contract_new(c, 0, 32);
    contract_fill(c->thread, object, 0, 32, r * 100 + i);
    heap_root_store(c->thread, &ranges[r][i], object);
  }
}

static void ranges_check(contract *c, size_t r) {
  for (size_t i = 0; i < RANGE_SLOTS; i++) {
    assert_true(contract_is_filled(c->thread, heap_root_load(c->thread, &ranges[r][i]), 0, 32,
                                   r * 100 + i));
  }
}

static void test_global_roots_in_any_order(void **state) {
  contract *c = *state;
  heap_root roots[RANGES];
  for (size_t r = 0; r < RANGES; r++) {
    heap_root_add(c->thread, &roots[r], ranges[r], RANGE_SLOTS);
    ranges_fill(c, r);
  }
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  for (size_t r = 0; r < RANGES; r++) ranges_check(c, r);
  for (size_t r = 0; r < RANGES; r += 2) heap_root_remove(c->thread, &roots[r]); // first, middle
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  for (size_t r = 1; r < RANGES; r += 2) ranges_check(c, r);
  for (size_t r = 0; r < RANGES; r += 2) { // added again: null again
    heap_root_add(c->thread, &roots[r], ranges[r], RANGE_SLOTS);
    ranges_fill(c, r);
  }
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  for (size_t r = 0; r < RANGES; r++) ranges_check(c, r);
  for (size_t r = RANGES; r > 0; r--) heap_root_remove(c->thread, &roots[r - 1]);
}

// A root range in memory that no collector would look at by itself.
static void test_a_root_in_mapped_memory(void **state) {
  contract *c = *state;
  const size_t bytes = hs_os_page_bytes(), count = bytes / sizeof(heap_ref);
  void *memory;
  assert_int_equal(hs_os_map(bytes, bytes, &memory), 0);
  heap_ref *slots = memory;
  heap_root root;
  heap_root_add(c->thread, &root, slots, count);
  const size_t step = contract_stress ? 64 : 1;
  for (size_t i = 0; i < count; i += step) {
    const heap_ref object = contract_new(c, 0, 64);
    contract_fill(c->thread, object, 0, 64, i);
    heap_root_store(c->thread, &slots[i], object);
  }
  HEAP_FRAME(c->thread, f, 1);
  for (int round = 0; round < 3; round++) { // others take the memory if it was freed by mistake
    const size_t n = contract_count(5000);
    assert_int_equal(contract_list_push(c->thread, &f[0], n, 99), n);
    contract_list_drop(c->thread, &f[0]);
    heap_collect(c->thread, HEAP_COLLECT_FULL);
  }
  HEAP_FRAME_END(c->thread, f);
  for (size_t i = 0; i < count; i += step) {
    assert_true(contract_is_filled(c->thread, heap_root_load(c->thread, &slots[i]), 0, 64, i));
  }
  heap_root_remove(c->thread, &root);
  hs_os_unmap(memory, bytes);
}

int contract_roots(void) {
  const struct CMUnitTest tests[] = {
      CONTRACT_TEST(test_frame_slots_start_null),
      CONTRACT_TEST(test_an_empty_frame),
      CONTRACT_TEST(test_a_wide_frame),
      CONTRACT_TEST(test_deeply_nested_frames),
      CONTRACT_TEST(test_global_roots_in_any_order),
      CONTRACT_TEST(test_a_root_in_mapped_memory),
  };
  return cmocka_run_group_tests_name("contract roots " HEAP_NAME, tests, NULL, NULL);
}
