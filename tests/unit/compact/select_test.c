// SPDX-License-Identifier: MIT
// Which regions an automatic cycle empties, by room and budget; when the table is renamed: handle_test.c.
#include "fixture.h"

enum { COUNT = 40000, BYTES = 256, MOSTLY = 20, ENOUGH = 1 << 30 };

static fixture fixture_that_moves_nothing(void) {
  heap_config config = hs_config_default();
  config.gogc_percent = -1;
  config.compaction = 0;
  return fixture_open(config);
}

// Of the first half of the objects every `step`th survives, of the second all but every MOSTLYth. Counted.
static void sparsify(fixture f, heap_ref *root, size_t step) {
  fill_array(f, root, COUNT, BYTES);
  for (size_t i = 0; i < COUNT; i++)
    if (i < COUNT / 2 ? i % step != 0 : i % MOSTLY == 0) heap_store(f.t, *root, i, HEAP_NULL);
  heap_collect(f.t, HEAP_COLLECT_MINOR);
}

// What is chosen; nothing stays chosen.
static cp_selection selected(fixture f, cp_budget budget) {
  const uint32_t regions = f.h->region_frontier;
  const cp_selection selection = cp_select_sources(f.h, regions, CP_EFFORT_AUTOMATIC, &budget);
  uint64_t objects = 0;
  for (uint32_t region = 1; region < regions; region++) {
    cp_region *const r = cp_region_at(f.h, region);
    assert_int_equal(r->source, r->state == CP_REGION_SOURCE);
    if (!r->source) continue;
    objects += r->live_count;
    r->source = false;
    r->state = CP_REGION_CLOSED;
  }
  assert_int_equal(objects, selection.objects);
  return selection;
}

static double density(cp_selection s) { return (double)s.predicted_bytes / (double)s.live_bytes; }

// The predictions below may fail by what a region holds.
static const double A_REGION = (double)CP_REGION_BYTES / ((double)COUNT * BYTES / 2);

static void test_much_room_permits_many_holes(void **state) {
  (void)state;
  fixture f = fixture_that_moves_nothing();
  HEAP_FRAME(f.t, root, 1);
  sparsify(f, &root[0], 4);
  const uint64_t live = f.h->totals.live_bytes;
  cp_selection s = selected(f, (cp_budget){.room_bytes = live, .soon_bytes = ENOUGH});
  assert_int_equal(s.verdict, CP_VERDICT_BUDGET);
  assert_true(density(s) <= 1.25 + A_REGION && density(s) > 1.25 - A_REGION);
  s = selected(f, (cp_budget){.room_bytes = live / 5, .soon_bytes = ENOUGH});
  assert_true(density(s) <= 1.1 + A_REGION && density(s) > 1.1 - A_REGION);
  s = selected(f, (cp_budget){.room_bytes = live, .cpu_bytes = ENOUGH, .soon_bytes = ENOUGH});
  assert_true(density(s) <= 1.03 + A_REGION);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

// What takes longer than the program needs for the room is left, but not above 1.25.
static void test_little_time_permits_more(void **state) {
  (void)state;
  fixture f = fixture_that_moves_nothing();
  HEAP_FRAME(f.t, root, 1);
  sparsify(f, &root[0], 4);
  const uint64_t live = f.h->totals.live_bytes;
  const cp_selection s = selected(f, (cp_budget){.room_bytes = live / 20});
  assert_int_equal(s.verdict, CP_VERDICT_SOON);
  assert_true(density(s) <= 1.25 + A_REGION && density(s) > 1.25 - A_REGION);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

// Of regions of one kind as many are emptied as it takes.
static void test_regions_alike_are_not_emptied_all(void **state) {
  (void)state;
  fixture f = fixture_that_moves_nothing();
  HEAP_FRAME(f.t, root, 1);
  sparsify(f, &root[0], 2);
  const uint64_t live = f.h->totals.live_bytes;
  const cp_selection s = selected(f, (cp_budget){.room_bytes = live, .soon_bytes = ENOUGH});
  assert_true(s.objects > 0 && s.objects < COUNT / 4);
  assert_true(s.used_bytes - s.predicted_bytes <= s.moving_bytes + CP_REGION_BYTES);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_a_dense_heap_is_left_alone(void **state) {
  (void)state;
  fixture f = fixture_that_moves_nothing();
  HEAP_FRAME(f.t, root, 1);
  sparsify(f, &root[0], 1);
  const uint64_t live = f.h->totals.live_bytes;
  const cp_selection s =
      selected(f, (cp_budget){.room_bytes = live, .cpu_bytes = ENOUGH, .soon_bytes = ENOUGH});
  assert_int_equal(s.verdict, CP_VERDICT_DENSE);
  assert_int_equal(s.objects, 0);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_what_is_soon_follows_the_room(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  fixture f = fixture_open(config);
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], COUNT, BYTES);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  const uint64_t interval_ns = 1000 * 1000;
  const cp_budget budget = cp_select_budget(f.h, interval_ns);
  assert_true(budget.room_bytes >= f.h->totals.live_bytes / 4); // half of it is thrift's at most
  assert_true(budget.soon_bytes > 0 && budget.cpu_bytes <= budget.soon_bytes);
  heap_store(f.t, root[0], 0, heap_alloc(f.t, 0, budget.room_bytes / 2));
  const cp_budget later = cp_select_budget(f.h, interval_ns); // the program has become faster
  assert_int_equal(later.room_bytes, budget.room_bytes);
  assert_true(later.soon_bytes < budget.soon_bytes);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_without_a_pace_there_is_room(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  const cp_budget budget = cp_select_budget(f.h, 1);
  assert_true(budget.room_bytes == UINT64_MAX && budget.soon_bytes == UINT64_MAX);
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_much_room_permits_many_holes),
      cmocka_unit_test(test_little_time_permits_more),
      cmocka_unit_test(test_regions_alike_are_not_emptied_all),
      cmocka_unit_test(test_a_dense_heap_is_left_alone),
      cmocka_unit_test(test_what_is_soon_follows_the_room),
      cmocka_unit_test(test_without_a_pace_there_is_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
