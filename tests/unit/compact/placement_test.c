// SPDX-License-Identifier: MIT
// Where a full collection puts objects and handles: in the order of their age, or along references.
#include "tests/unit/compact/fixture.h"

enum {
  COUNT = 3000, // 192,000 bytes of nodes: less than a region
  REFS = 2,
  RAW_BYTES = 48,
  BYTES = REFS * 8 + RAW_BYTES,
  STRIDE = 1009, // prime to COUNT: i -> i * STRIDE % COUNT goes through all in no simple order
};

static const uint64_t COOKIE = 0x5ca1ab1e0ddba11u;

static heap_config config_of(const char *placement) {
  char error[256];
  heap_config config = hs_config_default();
  assert_int_equal(hs_config_set(&config, "placement", placement, error, sizeof error),
                   HS_CONFIG_OK);
  config.gogc_percent = -1;
  config.idle_ms = 0;
  return config;
}

static size_t shuffled(size_t i) { return i * STRIDE % COUNT; }

static heap_ref node_new(fixture f, size_t number) {
  const heap_ref node = heap_alloc(f.t, REFS, RAW_BYTES);
  assert_false(heap_is_null(node));
  uint64_t *const raw = heap_write(f.t, node, REFS);
  for (size_t w = 0; w < RAW_BYTES / 8; w++) raw[w] = COOKIE * (number + 1) + w;
  return node;
}

static void node_check(fixture f, heap_ref node, size_t number) {
  assert_false(heap_is_null(node));
  const uint64_t *const raw = heap_read(f.t, node, REFS);
  for (size_t w = 0; w < RAW_BYTES / 8; w++) assert_int_equal(raw[w], COOKIE * (number + 1) + w);
}

static uintptr_t place_of(fixture f, heap_ref node) { return (uintptr_t)heap_read(f.t, node, 0); }

// COUNT nodes in root[1], an array that keeps their age's order, linked through slot 1 in the shuffled one;
// root[0]: the first of the list. With garbage between them.
static void list_build(fixture f, heap_ref *root) {
  root[1] = heap_alloc(f.t, COUNT, 0);
  for (size_t i = 0; i < COUNT; i++) {
    heap_store(f.t, root[1], i, node_new(f, i));
    (void)node_new(f, i);
  }
  for (size_t i = 0; i + 1 < COUNT; i++)
    heap_store(f.t, heap_load(f.t, root[1], shuffled(i)), 1,
               heap_load(f.t, root[1], shuffled(i + 1)));
  root[0] = heap_load(f.t, root[1], shuffled(0));
}

static void list_check(fixture f, const heap_ref *root) {
  heap_ref node = root[0];
  for (size_t i = 0; i < COUNT; i++) {
    node_check(f, node, shuffled(i));
    if (!heap_is_null(root[1])) {
      assert_true(heap_same(f.t, node, heap_load(f.t, root[1], shuffled(i))));
      node_check(f, heap_load(f.t, root[1], i), i);
    }
    node = heap_load(f.t, node, 1);
  }
  assert_true(heap_is_null(node));
}

static void assert_list_is_adjacent(fixture f, heap_ref first) {
  const uintptr_t begin = place_of(f, first);
  size_t i = 0;
  for (heap_ref node = first; !heap_is_null(node); node = heap_load(f.t, node, 1), i++)
    assert_int_equal(place_of(f, node), begin + i * BYTES);
  assert_int_equal(i, COUNT);
}

static void test_a_list_lies_as_it_is_linked(void **state) {
  (void)state;
  fixture f = fixture_open(config_of("traversal"));
  HEAP_FRAME(f.t, root, 2);
  list_build(f, root);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_true(STAT(f, moved_bytes) >= COUNT * BYTES);
  list_check(f, root);
  assert_list_is_adjacent(f, root[0]);
  // So do its handles; the program may compare references, not look at them.
  const compact_entry *const first = cp_entry_of(root[0]);
  size_t i = 0;
  for (heap_ref node = root[0]; !heap_is_null(node); node = heap_load(f.t, node, 1), i++)
    assert_ptr_equal(cp_entry_of(node), first + i);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_the_default_keeps_the_order_of_age(void **state) {
  (void)state;
  assert_int_equal(hs_config_default().placement, HEAP_PLACEMENT_ALLOCATION);
  fixture f = fixture_open(config_of("allocation"));
  HEAP_FRAME(f.t, root, 2);
  list_build(f, root);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_true(STAT(f, moved_bytes) > 0);
  list_check(f, root);
  for (size_t i = 0; i + 1 < COUNT; i++)
    assert_true(place_of(f, heap_load(f.t, root[1], i)) <
                place_of(f, heap_load(f.t, root[1], i + 1)));
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_what_lies_in_order_is_left_alone(void **state) {
  (void)state;
  fixture f = fixture_open(config_of("traversal"));
  HEAP_FRAME(f.t, root, 2);
  list_build(f, root);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  const uint64_t moved = STAT(f, moved_bytes), renamed = STAT(f, renamed_count);
  const uintptr_t place = place_of(f, root[0]);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_int_equal(STAT(f, moved_bytes), moved);
  assert_int_equal(STAT(f, renamed_count), renamed);
  assert_int_equal(place_of(f, root[0]), place);
  // An automatic cycle does not place.
  heap_collect(f.t, HEAP_COLLECT_MINOR);
  assert_list_is_adjacent(f, root[0]);
  list_check(f, root);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_without_renaming_handles_stay(void **state) {
  (void)state;
  heap_config config = config_of("traversal");
  config.renaming = 0;
  fixture f = fixture_open(config);
  HEAP_FRAME(f.t, root, 2);
  list_build(f, root);
  static uintptr_t names[COUNT];
  for (size_t i = 0; i < COUNT; i++) names[i] = heap_load(f.t, root[1], i).bits;
  heap_collect(f.t, HEAP_COLLECT_FULL);
  for (size_t i = 0; i < COUNT; i++) assert_int_equal(heap_load(f.t, root[1], i).bits, names[i]);
  assert_int_equal(STAT(f, renamed_count), 0);
  assert_list_is_adjacent(f, root[0]);
  list_check(f, root);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

// A complete binary tree, whose nodes are numbered level by level and made in that order.
static void test_subtrees_stay_together(void **state) {
  (void)state;
  enum { NODES = 1023 };
  fixture f = fixture_open(config_of("traversal"));
  HEAP_FRAME(f.t, root, 1);
  root[0] = heap_alloc(f.t, NODES, 0);
  for (size_t i = 0; i < NODES; i++) {
    const heap_ref node = node_new(f, i);
    heap_store(f.t, root[0], i, node);
    if (i > 0) heap_store(f.t, heap_load(f.t, root[0], (i - 1) / 2), (i - 1) % 2, node);
  }
  heap_collect(f.t, HEAP_COLLECT_FULL);
  for (size_t i = 0, nodes = NODES; i < NODES; i++) {
    if ((i & (i + 1)) == 0 && i > 0) nodes /= 2; // of a subtree on this level: the next begins
    const uintptr_t place = place_of(f, heap_load(f.t, root[0], i));
    if (2 * i + 2 < NODES) {
      assert_int_equal(place_of(f, heap_load(f.t, root[0], 2 * i + 1)), place + BYTES);
      assert_int_equal(place_of(f, heap_load(f.t, root[0], 2 * i + 2)),
                       place + BYTES + nodes / 2 * BYTES);
    }
    node_check(f, heap_load(f.t, root[0], i), i);
  }
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

// Pinned ones keep place and name, also when nothing but the pin keeps them alive.
static void test_pinned_objects_stay(void **state) {
  (void)state;
  fixture f = fixture_open(config_of("traversal"));
  HEAP_FRAME(f.t, root, 2);
  list_build(f, root);
  heap_ref pinned[2] = {heap_load(f.t, root[1], COUNT / 2), node_new(f, COUNT)};
  void *places[2];
  for (int i = 0; i < 2; i++) places[i] = heap_pin(f.t, pinned[i], 0);
  for (int round = 0; round < 2; round++) {
    heap_collect(f.t, round == 0 ? HEAP_COLLECT_FULL : HEAP_COLLECT_RELEASE);
    assert_true(heap_verify(f.t));
    for (int i = 0; i < 2; i++)
      assert_ptr_equal((void *)place_of(f, pinned[i]), places[i]); // the old name is valid
    assert_true(heap_same(f.t, pinned[0], heap_load(f.t, root[1], COUNT / 2)));
    list_check(f, root);
    node_check(f, pinned[1], COUNT);
  }
  for (int i = 0; i < 2; i++) heap_unpin(f.t, pinned[i]);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

// Large objects stay where they are, and what they refer to comes behind each other. A weak cell follows.
static void test_large_objects_and_weak_cells(void **state) {
  (void)state;
  fixture f = fixture_open(config_of("traversal"));
  HEAP_FRAME(f.t, root, 2);
  list_build(f, root); // the array of COUNT slots fits a region
  const heap_ref large = heap_alloc(f.t, 2 * (size_t)COUNT, 0);
  assert_true(cp_entry_load(cp_entry_of(large)) & CP_ENTRY_LARGE);
  for (size_t i = 0; i < COUNT; i++)
    heap_store(f.t, large, 2 * i, heap_load(f.t, root[1], shuffled(i)));
  root[1] = large;
  const uintptr_t place = place_of(f, large);
  heap_weak *weak = NULL;
  assert_int_equal(heap_weak_create(f.t, heap_load(f.t, root[1], 2), &weak), HEAP_OK);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_int_equal(place_of(f, root[1]), place);
  assert_list_is_adjacent(f, root[0]);
  for (size_t i = 0; i < COUNT; i++) node_check(f, heap_load(f.t, root[1], 2 * i), shuffled(i));
  assert_true(heap_same(f.t, heap_weak_get(f.t, weak), heap_load(f.t, root[1], 2)));
  heap_weak_destroy(f.t, weak);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

// Without memory for the order, for the stack, or for one more mapping behind them: collected all the same.
static void test_without_memory_nothing_is_lost(void **state) {
  (void)state;
  for (uint64_t nth = 1; nth <= 6; nth++) {
    fixture f = fixture_open(config_of("traversal"));
    HEAP_FRAME(f.t, root, 2);
    list_build(f, root);
    hs_os_fault_arm(HS_OS_FAULT_ALL, nth, true);
    heap_collect(f.t, HEAP_COLLECT_FULL);
    hs_os_fault_disarm();
    assert_true(heap_verify(f.t));
    list_check(f, root);
    heap_collect(f.t, HEAP_COLLECT_FULL);
    assert_list_is_adjacent(f, root[0]);
    list_check(f, root);
    HEAP_FRAME_END(f.t, root);
    fixture_close(f);
  }
}

// Full to the limit there is room for a part of the copies only; the rest is compacted in order of age.
static void test_at_the_limit_the_heap_is_dense_all_the_same(void **state) {
  (void)state;
  enum { MANY = 1 << 16 };
  heap_config config = config_of("traversal");
  config.limit_bytes = 3 << 20;
  fixture f = fixture_open(config);
  HEAP_FRAME(f.t, root, 1);
  root[0] = heap_alloc(f.t, MANY, 0);
  size_t count = 0;
  for (; count < MANY; count++) {
    const heap_ref node = heap_alloc(f.t, REFS, RAW_BYTES);
    if (heap_is_null(node)) break;
    *(uint64_t *)heap_write(f.t, node, REFS) = count;
    heap_store(f.t, root[0], count, node);
  }
  assert_in_range(count, COUNT, MANY - 1);
  // Two thirds stay, in chains across the whole heap: 0, 701, 1402, ...
  enum { CHAIN_STEP = 701 };
  for (size_t i = 0; i + CHAIN_STEP < count; i++)
    heap_store(f.t, heap_load(f.t, root[0], i), 0, heap_load(f.t, root[0], i + CHAIN_STEP));
  for (size_t i = 0; i < CHAIN_STEP; i += 3) // its first cuts the chain off
    for (size_t at = i; at < count; at += CHAIN_STEP) heap_store(f.t, root[0], at, HEAP_NULL);
  for (int round = 0; round < 3; round++) {
    heap_collect(f.t, HEAP_COLLECT_RELEASE);
    assert_true(heap_verify(f.t));
    uint64_t live = 0;
    for (size_t i = 0; i < count; i++) {
      const heap_ref node = heap_load(f.t, root[0], i);
      if (heap_is_null(node)) continue;
      live++;
      assert_int_equal(*(const uint64_t *)heap_read(f.t, node, REFS), i);
      const heap_ref next = heap_load(f.t, node, 0);
      assert_int_equal(heap_is_null(next), i + CHAIN_STEP >= count);
      if (i + CHAIN_STEP < count)
        assert_true(heap_same(f.t, next, heap_load(f.t, root[0], i + CHAIN_STEP)));
    }
    assert_in_range(live, count / 2, count * 3 / 4);
    const uint64_t needed = live * (BYTES + 8) + MANY * sizeof(heap_ref);
    assert_true(STAT(f, footprint_bytes) < needed + needed / 8 + (512 << 10));
  }
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_list_lies_as_it_is_linked),
      cmocka_unit_test(test_the_default_keeps_the_order_of_age),
      cmocka_unit_test(test_what_lies_in_order_is_left_alone),
      cmocka_unit_test(test_without_renaming_handles_stay),
      cmocka_unit_test(test_subtrees_stay_together),
      cmocka_unit_test(test_pinned_objects_stay),
      cmocka_unit_test(test_large_objects_and_weak_cells),
      cmocka_unit_test(test_without_memory_nothing_is_lost),
      cmocka_unit_test(test_at_the_limit_the_heap_is_dense_all_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
