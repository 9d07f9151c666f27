// SPDX-License-Identifier: MIT
// Large objects: page runs, descriptors, first fit, zeroing, never moved.
#include "tests/unit/compact/fixture.h"

static void test_large_objects_do_not_move(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 2);
  (void)heap_alloc(f.t, 0, 100000);
  root[0] = heap_alloc(f.t, 10, 100000);
  void *const at = heap_write(f.t, root[0], 10);
  memset(at, 0x5a, 100000);
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  assert_ptr_equal(heap_read(f.t, root[0], 10), at);
  assert_int_equal(((const unsigned char *)at)[99999], 0x5a);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_freed_runs_are_reused_and_zero(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  const void *first = NULL;
  for (int round = 0; round < 5; round++) {
    unsigned char *const p = heap_write(f.t, heap_alloc(f.t, 0, 300000), 0);
    if (!first) first = p;
    assert_ptr_equal(p, first);
    for (size_t i = 0; i < 300000; i++) assert_int_equal(p[i], 0);
    memset(p, 0xff, 300000);
    heap_collect(f.t, round % 2 ? HEAP_COLLECT_RELEASE : HEAP_COLLECT_MINOR);
  }
  assert_int_equal(STAT(f, heap_inuse_bytes), 0);
  fixture_close(f);
}

// A hole takes what fits; what does not goes beyond.
static void test_runs_are_placed_first_fit(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 4);
  for (int i = 0; i < 3; i++) root[i] = heap_alloc(f.t, 0, 20 * CP_PAGE_BYTES);
  const char *const hole = heap_read(f.t, root[1], 0);
  root[1] = HEAP_NULL;
  heap_collect(f.t, HEAP_COLLECT_MINOR);
  root[3] = heap_alloc(f.t, 0, 21 * CP_PAGE_BYTES);
  const char *const beyond = heap_read(f.t, root[3], 0);
  assert_true(beyond + 21 * CP_PAGE_BYTES <= (const char *)heap_read(f.t, root[2], 0));
  root[1] = heap_alloc(f.t, 0, 20 * CP_PAGE_BYTES);
  assert_ptr_equal(heap_read(f.t, root[1], 0), hole);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_slots_of_large_arrays_are_traced(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], 50000, 16);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_int_equal(STAT(f, heap_objects_count), 50001);
  check_array(f, root[0], 50000, 1);
  root[0] = HEAP_NULL;
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_int_equal(STAT(f, heap_objects_count), 0);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_descriptors_are_recycled(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 100; i++) assert_false(heap_is_null(heap_alloc(f.t, 0, 40000)));
    heap_collect(f.t, HEAP_COLLECT_MINOR);
  }
  assert_true(f.h->large_count <= 100);
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(f.h->large_count, 0);
  fixture_close(f);
}

static void test_impossible_sizes_are_null(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  assert_true(heap_is_null(heap_alloc(f.t, SIZE_MAX, 0)));
  assert_true(heap_is_null(heap_alloc(f.t, 0, SIZE_MAX)));
  assert_true(heap_is_null(heap_alloc(f.t, SIZE_MAX / 8, SIZE_MAX / 2)));
  assert_true(heap_is_null(heap_alloc(f.t, 0, f.h->object_bytes)));
  assert_true(heap_is_null(heap_alloc(f.t, (size_t)1 << 61, 8))); // slots wrap to 0 bytes
  assert_false(heap_is_null(heap_alloc(f.t, 0, 8)));
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_large_objects_do_not_move),
      cmocka_unit_test(test_freed_runs_are_reused_and_zero),
      cmocka_unit_test(test_runs_are_placed_first_fit),
      cmocka_unit_test(test_slots_of_large_arrays_are_traced),
      cmocka_unit_test(test_descriptors_are_recycled),
      cmocka_unit_test(test_impossible_sizes_are_null),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
