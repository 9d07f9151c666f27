// SPDX-License-Identifier: MIT
// Regions: bump allocation, zeroing, selection, evacuation, the copy reserve.
#include "tests/unit/compact/fixture.h"

enum { COUNT = 1 << 16 };

static void test_objects_follow_each_other_in_memory(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  const heap_ref a = heap_alloc(f.t, 1, 8), b = heap_alloc(f.t, 0, 24);
  assert_ptr_equal((const char *)heap_read(f.t, a, 0) + 16, heap_read(f.t, b, 0));
  fixture_close(f);
}

static void test_empty_objects_are_distinct(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  const heap_ref a = heap_alloc(f.t, 0, 0), b = heap_alloc(f.t, 0, 0);
  assert_false(heap_same(f.t, a, b));
  assert_ptr_not_equal(heap_read(f.t, a, 0), heap_read(f.t, b, 0));
  fixture_close(f);
}

static void test_the_largest_small_object_and_the_smallest_large_one(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 4);
  root[0] = heap_alloc(f.t, 0, COMPACT_SMALL_BYTES);
  root[1] = heap_alloc(f.t, 0, COMPACT_SMALL_BYTES + 1);
  root[2] = heap_alloc(f.t, COMPACT_FIELD_MAX, 0);
  root[3] = heap_alloc(f.t, COMPACT_FIELD_MAX, 1);
  const uint64_t large = CP_ENTRY_LARGE;
  assert_int_equal(cp_entry_load(cp_entry_of(root[0])) & large, 0);
  assert_int_equal(cp_entry_load(cp_entry_of(root[1])) & large, large);
  assert_int_equal(cp_entry_load(cp_entry_of(root[2])) & large, 0);
  assert_int_equal(cp_entry_load(cp_entry_of(root[3])) & large, large);
  for (int i = 2; i < 4; i++) heap_store(f.t, root[i], COMPACT_FIELD_MAX - 1, root[0]);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  for (int i = 2; i < 4; i++)
    assert_true(heap_same(f.t, heap_load(f.t, root[i], COMPACT_FIELD_MAX - 1), root[0]));
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_reused_memory_is_zero(void **state) {
  (void)state;
  for (int lazily = 0; lazily < 2; lazily++) {
    heap_config config = hs_config_default();
    config.gogc_percent = -1;
    config.release_free = lazily;
    fixture f = fixture_open(config);
    for (int round = 0; round < 4; round++) {
      for (size_t i = 0; i < 4000; i++) {
        const size_t bytes = 8 + i % 700;
        unsigned char *const p = heap_write(f.t, heap_alloc(f.t, 0, bytes), 0);
        for (size_t at = 0; at < bytes; at++) assert_int_equal(p[at], 0);
        memset(p, 0xff, bytes);
      }
      heap_collect(f.t, round % 2 ? HEAP_COLLECT_RELEASE : HEAP_COLLECT_MINOR);
    }
    fixture_close(f);
  }
}

static void test_survivors_of_sparse_regions_end_up_dense(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], COUNT, 64);
  keep_every(f, root[0], COUNT, 64);
  const uint64_t survivors = COUNT / 64 * 64;
  const uint64_t array = STAT(f, heap_inuse_bytes) - STAT(f, heap_inuse_bytes) % CP_PAGE_BYTES;
  assert_true(array > COUNT * 64);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  const uint64_t large = COUNT * sizeof(heap_ref);
  assert_true(STAT(f, heap_inuse_bytes) <= large + survivors + CP_PAGE_BYTES);
  assert_int_equal(STAT(f, moved_bytes), survivors);
  check_array(f, root[0], COUNT, 64);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_dense_regions_are_left_alone(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], COUNT, 64);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_int_equal(STAT(f, moved_bytes), 0);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_without_compaction_nothing_moves(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.compaction = 0;
  fixture f = fixture_open(config);
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], COUNT, 64);
  keep_every(f, root[0], COUNT, 64);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_int_equal(STAT(f, moved_bytes), 0);
  check_array(f, root[0], COUNT, 64);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_selection_is_by_garbage(void **state) {
  (void)state;
  cp_region r = {.state = CP_REGION_CLOSED, .top = 200000, .live_bytes = 100000};
  assert_true(cp_select_is_source(&r, CP_EFFORT_AUTOMATIC));
  r.live_bytes = 183000;
  assert_false(cp_select_is_source(&r, CP_EFFORT_AUTOMATIC));
  assert_true(cp_select_is_source(&r, CP_EFFORT_FULL));
  r.live_bytes = 195000;
  assert_false(cp_select_is_source(&r, CP_EFFORT_FULL));
  assert_true(cp_select_is_source(&r, CP_EFFORT_EVERYTHING));
  r.live_count = r.pinned = 1;
  assert_true(cp_select_is_source(&r, CP_EFFORT_EVERYTHING)); // it has pages to give back
  r.hollow = 1;
  assert_false(cp_select_is_source(&r, CP_EFFORT_EVERYTHING));
  r.live_count = 2;
  assert_true(cp_select_is_source(&r, CP_EFFORT_EVERYTHING));
  r = (cp_region){.state = CP_REGION_OPEN, .top = 200000};
  assert_false(cp_select_is_source(&r, CP_EFFORT_EVERYTHING));
  r = (cp_region){.state = CP_REGION_CLOSED, .top = 3000, .live_bytes = 8};
  assert_false(cp_select_is_source(&r, CP_EFFORT_AUTOMATIC)); // within one page
  assert_true(cp_select_is_source(&r, CP_EFFORT_FULL));       // which others may share
  r.live_bytes = 3000;
  assert_false(cp_select_is_source(&r, CP_EFFORT_FULL));
}

// The copy reserve: whatever the size of the heap, compacting needs one region and the back-map.
static void test_compaction_needs_one_region_more(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], COUNT, 256);
  keep_every(f, root[0], COUNT, 2);
  const uint64_t before = STAT(f, footprint_bytes);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  const uint64_t reserve = CP_REGION_BYTES + COUNT / 2 * sizeof(uint32_t);
  const uint64_t slack = 128 << 10; // the marker's queue and the log
  assert_true(STAT(f, moved_bytes) > 0);
  assert_true(STAT(f, peak_footprint_bytes) <= before + reserve + slack);
  check_array(f, root[0], COUNT, 2);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_objects_follow_each_other_in_memory),
      cmocka_unit_test(test_empty_objects_are_distinct),
      cmocka_unit_test(test_the_largest_small_object_and_the_smallest_large_one),
      cmocka_unit_test(test_reused_memory_is_zero),
      cmocka_unit_test(test_survivors_of_sparse_regions_end_up_dense),
      cmocka_unit_test(test_dense_regions_are_left_alone),
      cmocka_unit_test(test_without_compaction_nothing_moves),
      cmocka_unit_test(test_selection_is_by_garbage),
      cmocka_unit_test(test_compaction_needs_one_region_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
