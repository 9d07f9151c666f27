// SPDX-License-Identifier: MIT
// The handle table: order, reuse by bitmap swap, renaming.
#include "tests/unit/compact/fixture.h"

enum { COUNT = 1 << 16 };

static void test_entries_are_handed_out_in_address_order(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  uintptr_t last = 0;
  for (int i = 0; i < 3 * CP_SLAB_ENTRIES; i++) {
    const heap_ref object = heap_alloc(f.t, 0, 16);
    assert_true(object.bits > last);
    last = object.bits;
  }
  fixture_close(f);
}

static void test_dead_entries_are_reused_without_growing_the_table(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  for (int i = 0; i < COUNT; i++) (void)heap_alloc(f.t, 0, 16);
  const uint64_t table = STAT(f, handle_table_bytes);
  assert_true(table >= COUNT * sizeof(compact_entry));
  for (int round = 0; round < 4; round++) {
    heap_collect(f.t, HEAP_COLLECT_MINOR);
    for (int i = 0; i < COUNT; i++) (void)heap_alloc(f.t, 0, 16);
    assert_true(STAT(f, handle_table_bytes) <= table + CP_SLAB_BYTES);
  }
  fixture_close(f);
}

// The seed's pattern: one live entry on every page of the table.
static void test_renaming_makes_the_table_dense(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 2);
  fill_array(f, &root[0], COUNT, 16);
  keep_every(f, root[0], COUNT, CP_SLAB_ENTRIES);
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  const uint64_t live = COUNT / CP_SLAB_ENTRIES + 1;
  assert_int_equal(STAT(f, heap_objects_count), live);
  assert_int_equal(STAT(f, handle_table_bytes), CP_SLAB_BYTES);
  assert_true(STAT(f, renamed_count) >= live - 3); // all but those of the first slab
  check_array(f, root[0], COUNT, CP_SLAB_ENTRIES);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_without_renaming_the_table_stays_sparse(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.gogc_percent = -1;
  config.renaming = 0;
  fixture f = fixture_open(config);
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], COUNT, 16);
  keep_every(f, root[0], COUNT, CP_SLAB_ENTRIES);
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  assert_true(STAT(f, handle_table_bytes) >= COUNT / CP_SLAB_ENTRIES * CP_SLAB_BYTES);
  assert_int_equal(STAT(f, renamed_count), 0);
  check_array(f, root[0], COUNT, CP_SLAB_ENTRIES);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

// Every kind of place that holds a reference is rewritten: frames, global roots, slots of small and of
// large objects, weak cells, the descriptors of large objects.
static void test_renaming_rewrites_every_place(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  for (int i = 0; i < COUNT; i++) (void)heap_alloc(f.t, 0, 16); // pushes what follows upwards
  heap_root global;
  heap_ref global_slot[1];
  heap_root_add(f.t, &global, global_slot, 1);
  HEAP_FRAME(f.t, root, 3);
  const heap_ref shared = heap_alloc(f.t, 0, 16);
  *(uint64_t *)heap_write(f.t, shared, 0) = 4711;
  root[0] = shared;
  heap_root_store(f.t, &global_slot[0], shared);
  root[1] = heap_alloc(f.t, 2, 0);
  heap_store(f.t, root[1], 1, root[0]);
  root[2] = heap_alloc(f.t, 100000, 8);
  heap_store(f.t, root[2], 99999, root[0]);
  heap_weak *weak;
  assert_int_equal(heap_weak_create(f.t, root[0], &weak), HEAP_OK);
  const uintptr_t old = root[0].bits;
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_int_not_equal(root[0].bits, old);
  assert_true(heap_same(f.t, root[0], heap_root_load(f.t, &global_slot[0])));
  assert_true(heap_same(f.t, root[0], heap_load(f.t, root[1], 1)));
  assert_true(heap_same(f.t, root[0], heap_load(f.t, root[2], 99999)));
  assert_true(heap_same(f.t, root[0], heap_weak_get(f.t, weak)));
  assert_int_equal(*(const uint64_t *)heap_read(f.t, root[0], 0), 4711);
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(STAT(f, handle_table_bytes), CP_SLAB_BYTES);
  heap_weak_destroy(f.t, weak);
  HEAP_FRAME_END(f.t, root);
  heap_root_remove(f.t, &global);
  fixture_close(f);
}

static void test_an_automatic_cycle_renames_only_when_the_program_has_shrunk(void **state) {
  (void)state;
  cp_table_use use = {100 * CP_SLAB_ENTRIES, 100, 100};
  assert_false(cp_select_renaming(&use, CP_EFFORT_FULL)); // dense already
  use.top_slab = 101;
  assert_true(cp_select_renaming(&use, CP_EFFORT_FULL));
  use.occupied_slabs = use.top_slab = 200;
  assert_false(cp_select_renaming(&use, CP_EFFORT_AUTOMATIC));
  use.occupied_slabs = use.top_slab = 1000;
  assert_true(cp_select_renaming(&use, CP_EFFORT_AUTOMATIC));
  use = (cp_table_use){1, 1, 1};
  assert_true(cp_select_renaming(&use, CP_EFFORT_EVERYTHING));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_entries_are_handed_out_in_address_order),
      cmocka_unit_test(test_dead_entries_are_reused_without_growing_the_table),
      cmocka_unit_test(test_renaming_makes_the_table_dense),
      cmocka_unit_test(test_without_renaming_the_table_stays_sparse),
      cmocka_unit_test(test_renaming_rewrites_every_place),
      cmocka_unit_test(test_an_automatic_cycle_renames_only_when_the_program_has_shrunk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
