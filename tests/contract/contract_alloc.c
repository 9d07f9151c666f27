// SPDX-License-Identifier: MIT
// New objects: zeroed, aligned, of any size, distinct, never overlapping; impossible sizes are null.
#include "tests/contract/contract.h"

// Around every boundary a heap is likely to have: words, cache lines, size classes, pages, the largest
// small object (32 KiB in Go), regions, and beyond.
static const size_t sizes[] = {0,     1,      7,      8,       9,       15,     16,    17,    24,
                               31,    32,     33,     48,      63,      64,     65,    112,   127,
                               128,   129,    255,    256,     257,     511,    512,   1023,  1024,
                               1025,  2047,   2048,   2049,    4095,    4096,   4097,  8191,  8192,
                               8193,  9472,   16384,  32767,   32768,   32769,  40000, 65535, 65536,
                               65537, 131072, 262145, 1 << 20, 1048577, 3 << 20};
enum { SIZE_COUNT = sizeof sizes / sizeof *sizes };

static const size_t slot_counts[] = {0, 1, 2, 5, 64, 1000};
enum { SLOT_COUNT = sizeof slot_counts / sizeof *slot_counts };

static void test_objects_of_every_size_start_zero(void **state) {
  contract *c = *state;
  HEAP_FRAME(c->thread, frame, 1);
  for (int round = 0; round < 3; round++) { // later rounds meet used memory
    for (size_t s = 0; s < SIZE_COUNT; s++) {
      for (size_t r = 0; r < SLOT_COUNT; r++) {
        const size_t refs = slot_counts[r];
        frame[0] = contract_new(c, refs, sizes[s]);
        assert_true(contract_is_zero(c->thread, frame[0], refs, sizes[s]));
        assert_int_equal((uintptr_t)heap_read(c->thread, frame[0], refs) % 8, 0);
        contract_fill(c->thread, frame[0], refs, sizes[s], s + 1);
        for (size_t i = 0; i < refs; i++) heap_store(c->thread, frame[0], i, frame[0]);
        assert_true(contract_is_filled(c->thread, frame[0], refs, sizes[s], s + 1));
        contract_drop(c, frame[0]);
        frame[0] = HEAP_NULL;
      }
    }
    heap_collect(c->thread, HEAP_COLLECT_FULL);
  }
  HEAP_FRAME_END(c->thread, frame);
}

static void test_objects_keep_their_bytes_and_do_not_overlap(void **state) {
  contract *c = *state;
  HEAP_FRAME(c->thread, frame, SIZE_COUNT);
  for (int round = 0; round < 3; round++) {
    for (size_t s = 0; s < SIZE_COUNT; s++) {
      if (!heap_is_null(frame[s])) {
        const heap_ref old = frame[s];
        frame[s] = HEAP_NULL;
        contract_drop(c, old);
      }
      frame[s] = contract_new(c, s % 4, sizes[s]);
      contract_fill(c->thread, frame[s], s % 4, sizes[s], s * 17 + (size_t)round);
    }
    heap_collect(c->thread, round == 1 ? HEAP_COLLECT_RELEASE : HEAP_COLLECT_FULL);
    for (size_t s = 0; s < SIZE_COUNT; s++) {
      assert_true(contract_is_filled(c->thread, frame[s], s % 4, sizes[s], s * 17 + (size_t)round));
    }
  }
  HEAP_FRAME_END(c->thread, frame);
}

static void test_empty_objects_are_distinct(void **state) {
  contract *c = *state;
  HEAP_FRAME(c->thread, frame, 20);
  for (int i = 0; i < 20; i++) frame[i] = contract_new(c, 0, 0);
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  for (int i = 0; i < 20; i++) {
    assert_false(heap_is_null(frame[i]));
    for (int j = 0; j < 20; j++) assert_int_equal(heap_same(c->thread, frame[i], frame[j]), i == j);
  }
  HEAP_FRAME_END(c->thread, frame);
}

// Volatile, so that the compiler neither folds these calls nor warns about them.
static const volatile size_t impossible[][2] = {
    {SIZE_MAX, 0},      {SIZE_MAX / 8 + 1, 0},
    {SIZE_MAX / 8, 64}, {1, SIZE_MAX - 4},
    {0, SIZE_MAX},      {0, SIZE_MAX - 7},
    {0, SIZE_MAX / 2},  {SIZE_MAX / 16, 16},
    {0, SIZE_MAX - 8},  {SIZE_MAX / 16, SIZE_MAX / 2},
    {1, SIZE_MAX / 2},  {SIZE_MAX / 8 + 2, 100},
};

static void test_impossible_sizes_give_null(void **state) {
  contract *c = *state;
  HEAP_FRAME(c->thread, frame, 1);
  frame[0] = contract_new(c, 1, 100);
  contract_fill(c->thread, frame[0], 1, 100, 9);
  for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++)
    assert_true(heap_is_null(heap_alloc(c->thread, impossible[i][0], impossible[i][1])));
  assert_true(contract_is_filled(c->thread, frame[0], 1, 100, 9));
  const heap_ref next = contract_new(c, 0, 100); // the heap goes on
  assert_true(contract_is_zero(c->thread, next, 0, 100));
  HEAP_FRAME_END(c->thread, frame);
}

static void test_a_large_array_of_references(void **state) {
  contract *c = *state;
  const size_t n = 200000, step = contract_stress ? 20000 : 1000;
  HEAP_FRAME(c->thread, frame, 1);
  frame[0] = contract_new(c, n, 24);
  contract_fill(c->thread, frame[0], n, 24, 5);
  for (size_t i = 0; i < n; i += step) {
    const heap_ref leaf = contract_new(c, 0, 8);
    contract_fill(c->thread, leaf, 0, 8, i);
    heap_store(c->thread, frame[0], i, leaf);
  }
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  for (size_t i = 0; i < n; i++) {
    const heap_ref leaf = heap_load(c->thread, frame[0], i);
    if (i % step) {
      assert_true(heap_is_null(leaf));
    } else {
      assert_true(contract_is_filled(c->thread, leaf, 0, 8, i));
    }
  }
  assert_true(contract_is_filled(c->thread, frame[0], n, 24, 5));
  HEAP_FRAME_END(c->thread, frame);
}

static void test_much_garbage_of_every_size(void **state) {
  contract *c = *state;
  HEAP_FRAME(c->thread, frame, 1);
  const size_t total = contract_stress ? 4u << 20 : 256u << 20;
  size_t done = 0;
  for (size_t i = 0; done < total; i++) {
    const size_t bytes = sizes[i % SIZE_COUNT];
    frame[0] = heap_alloc(c->thread, i % 3, bytes);
    assert_false(heap_is_null(frame[0]));
    done += bytes + 8;
    const heap_ref dead = frame[0];
    frame[0] = HEAP_NULL;
    heap_discard(c->thread, dead);
  }
  HEAP_FRAME_END(c->thread, frame);
}

int contract_alloc(void) {
  const struct CMUnitTest tests[] = {
      CONTRACT_TEST(test_objects_of_every_size_start_zero),
      CONTRACT_TEST(test_objects_keep_their_bytes_and_do_not_overlap),
      CONTRACT_TEST(test_empty_objects_are_distinct),
      CONTRACT_TEST(test_impossible_sizes_give_null),
      CONTRACT_TEST(test_a_large_array_of_references),
      CONTRACT_TEST(test_much_garbage_of_every_size),
  };
  return cmocka_run_group_tests_name("contract alloc " HEAP_NAME, tests, NULL, NULL);
}
