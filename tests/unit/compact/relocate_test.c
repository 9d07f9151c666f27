// SPDX-License-Identifier: MIT
// Moving objects beside the program, by one thread: what moves in which mode, around pins, without memory,
// and who takes the tag off an object that is being copied.
#include "tests/unit/compact/fixture.h"

enum {
  COUNT = 1 << 14, // 1 MiB of objects: several regions, and fewer slabs than renaming begins at
  BYTES = 64,
  STEP = 8,
};

static heap_config quiet(int compaction) {
  heap_config config = hs_config_default();
  config.gogc_percent = -1;
  config.idle_ms = 0;
  config.compaction = compaction;
  return config;
}

static void fill_sparsely(fixture f, heap_ref *root) {
  fill_array(f, root, COUNT, BYTES);
  keep_every(f, *root, COUNT, STEP);
}

static uint64_t stops_count(fixture f) { return f.h->log.durations[HS_EVENT_STOP].count; }

static void run_mode(int compaction, bool moves, bool stops) {
  fixture f = fixture_open(quiet(compaction));
  HEAP_FRAME(f.t, root, 1);
  fill_sparsely(f, &root[0]);
  const uint64_t stops_before = stops_count(f);
  heap_collect(f.t, HEAP_COLLECT_MINOR);
  assert_int_equal(stops_count(f) > stops_before, stops);
  assert_int_equal(STAT(f, moved_bytes) > 0, moves);
  assert_int_equal(STAT(f, aborted_moves_count), 0);
  assert_int_equal(STAT(f, fallback_stops_count), 0);
  assert_int_equal(STAT(f, heap_objects_count), COUNT / STEP + 1);
  check_array(f, root[0], COUNT, STEP);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_sparse_regions_are_emptied_without_a_stop(void **state) {
  (void)state;
  run_mode(HEAP_COMPACTION_CONCURRENT, true, false);
}

static void test_the_other_modes_stop_or_do_not_move(void **state) {
  (void)state;
  run_mode(HEAP_COMPACTION_OFF, false, false);
  run_mode(HEAP_COMPACTION_STW, true, true);
  run_mode(HEAP_COMPACTION_INCREMENTAL, true, true);
}

// The object in the middle stays; one of another region, and its neighbour, do not.
static void test_a_pinned_object_stays_and_others_move(void **state) {
  (void)state;
  fixture f = fixture_open(quiet(HEAP_COMPACTION_CONCURRENT));
  HEAP_FRAME(f.t, root, 1);
  fill_sparsely(f, &root[0]);
  enum { PINNED = COUNT / 2, NEIGHBOUR = PINNED + STEP, FAR = COUNT / 4 };
  const uint64_t *const pinned = heap_pin(f.t, heap_load(f.t, root[0], PINNED), 0);
  const void *const neighbour = heap_read(f.t, heap_load(f.t, root[0], NEIGHBOUR), 0);
  const void *const far = heap_read(f.t, heap_load(f.t, root[0], FAR), 0);
  heap_collect(f.t, HEAP_COLLECT_MINOR);
  assert_ptr_equal(heap_read(f.t, heap_load(f.t, root[0], PINNED), 0), pinned);
  assert_int_equal(*pinned, PINNED);
  assert_ptr_not_equal(heap_read(f.t, heap_load(f.t, root[0], NEIGHBOUR), 0), neighbour);
  assert_ptr_not_equal(heap_read(f.t, heap_load(f.t, root[0], FAR), 0), far);
  check_array(f, root[0], COUNT, STEP);
  assert_true(heap_verify(f.t));
  heap_unpin(f.t, heap_load(f.t, root[0], PINNED));
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static compact_entry *tagged(heap_ref object) {
  compact_entry *const entry = cp_entry_of(object);
  hs_or_relaxed(&entry->word, COMPACT_MOVING);
  return entry;
}

static bool is_tagged(const compact_entry *entry) {
  return (cp_entry_load(entry) & COMPACT_MOVING) != 0;
}

static void test_writers_take_the_tag_away_and_readers_do_not(void **state) {
  (void)state;
  fixture f = fixture_open(quiet(HEAP_COMPACTION_CONCURRENT));
  HEAP_FRAME(f.t, root, 1);
  root[0] = heap_alloc(f.t, 1, 16);
  const uint64_t word = cp_entry_load(cp_entry_of(root[0]));
  const void *const at = heap_read(f.t, root[0], 1);

  compact_entry *const entry = tagged(root[0]);
  assert_ptr_equal(heap_read(f.t, root[0], 1), at);
  assert_true(heap_is_null(heap_load(f.t, root[0], 0)));
  assert_true(heap_same(f.t, root[0], root[0]));
  assert_true(is_tagged(entry));

  assert_ptr_equal(heap_write(f.t, root[0], 1), at);
  assert_int_equal(cp_entry_load(entry), word);
  (void)tagged(root[0]);
  heap_store(f.t, root[0], 0, root[0]);
  assert_int_equal(cp_entry_load(entry), word);
  assert_true(heap_same(f.t, heap_load(f.t, root[0], 0), root[0]));
  (void)tagged(root[0]);
  assert_ptr_equal(heap_pin(f.t, root[0], 1), at);
  assert_int_equal(cp_entry_load(entry), word);
  (void)tagged(root[0]);
  heap_unpin(f.t, root[0]); // writes nothing
  assert_true(is_tagged(entry));
  cp_entry_store(entry, word);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

// Not even the back-map: nothing moves, and the next cycle makes up for it.
static void test_without_memory_objects_stay(void **state) {
  (void)state;
  fixture f = fixture_open(quiet(HEAP_COMPACTION_CONCURRENT));
  HEAP_FRAME(f.t, root, 1);
  fill_sparsely(f, &root[0]);
  hs_os_fault_arm(HS_OS_FAULT_ALL, 1, true);
  heap_collect(f.t, HEAP_COLLECT_MINOR);
  hs_os_fault_disarm();
  assert_int_equal(STAT(f, moved_bytes), 0);
  check_array(f, root[0], COUNT, STEP);
  assert_true(heap_verify(f.t));
  heap_collect(f.t, HEAP_COLLECT_MINOR);
  assert_true(STAT(f, moved_bytes) > 0);
  check_array(f, root[0], COUNT, STEP);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

// The heap is full to its limit when it becomes sparse: there is little or no room for destinations.
static void test_at_the_limit_nothing_is_lost(void **state) {
  (void)state;
  heap_config config = quiet(HEAP_COMPACTION_CONCURRENT);
  config.limit_bytes = 2 << 20;
  fixture f = fixture_open(config);
  HEAP_FRAME(f.t, root, 1);
  root[0] = heap_alloc(f.t, COUNT * 2, 0);
  size_t count = 0;
  for (; count < COUNT * 2; count++) {
    const heap_ref object = heap_alloc(f.t, 0, BYTES);
    if (heap_is_null(object)) break;
    *(uint64_t *)heap_write(f.t, object, 0) = count;
    heap_store(f.t, root[0], count, object);
  }
  assert_in_range(count, COUNT / 2, COUNT * 2 - 1); // refused in the end
  keep_every(f, root[0], count, STEP);
  for (int cycle = 0; cycle < 3; cycle++) {
    heap_collect(f.t, HEAP_COLLECT_MINOR);
    check_array(f, root[0], count, STEP);
    assert_true(heap_verify(f.t));
    assert_int_equal(STAT(f, heap_objects_count), (count + STEP - 1) / STEP + 1);
  }
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sparse_regions_are_emptied_without_a_stop),
      cmocka_unit_test(test_the_other_modes_stop_or_do_not_move),
      cmocka_unit_test(test_a_pinned_object_stays_and_others_move),
      cmocka_unit_test(test_writers_take_the_tag_away_and_readers_do_not),
      cmocka_unit_test(test_without_memory_objects_stay),
      cmocka_unit_test(test_at_the_limit_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
