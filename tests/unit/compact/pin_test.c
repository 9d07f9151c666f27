// SPDX-License-Identifier: MIT
// Pins and weak cells.
#include "tests/unit/compact/fixture.h"

// A pinned object among garbage that would otherwise be moved, its handle among dead ones.
static heap_ref pinned_among_garbage(fixture f) {
  for (int i = 0; i < 5000; i++) (void)heap_alloc(f.t, 0, 40);
  const heap_ref object = heap_alloc(f.t, 1, 16);
  for (int i = 0; i < 5000; i++) (void)heap_alloc(f.t, 0, 40);
  return object;
}

static void test_a_pinned_object_keeps_its_address(void **state) {
  (void)state;
  for (int stress = 0; stress < 2; stress++) {
    heap_config config = hs_config_default();
    config.stress = stress;
    fixture f = fixture_open(config);
    HEAP_FRAME(f.t, object, 1);
    object[0] = heap_alloc(f.t, 1, 16);
    uint64_t *const bytes = heap_pin(f.t, object[0], 1);
    assert_non_null(bytes);
    bytes[1] = 99;
    for (int i = 0; i < 50; i++) (void)heap_alloc(f.t, 0, 40);
    heap_collect(f.t, HEAP_COLLECT_RELEASE);
    assert_ptr_equal(heap_write(f.t, object[0], 1), bytes);
    assert_int_equal(bytes[1], 99);
    heap_unpin(f.t, object[0]);
    HEAP_FRAME_END(f.t, object);
    heap_collect(f.t, HEAP_COLLECT_RELEASE);
    assert_int_equal(STAT(f, heap_objects_count), 0);
    fixture_close(f);
  }
}

static void test_pins_nest(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 1);
  root[0] = pinned_among_garbage(f);
  const void *const at = heap_pin(f.t, root[0], 1);
  assert_ptr_equal(heap_pin(f.t, root[0], 1), at);
  heap_unpin(f.t, root[0]);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_ptr_equal(heap_read(f.t, root[0], 1), at);
  heap_unpin(f.t, root[0]);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_ptr_not_equal(heap_read(f.t, root[0], 1), at);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void unpin_elsewhere(void *argument) {
  const fixture *const f = argument;
  heap_thread *t;
  if (heap_thread_enter(f->h, &t) != HEAP_OK) return;
  heap_unpin(t, heap_root_load(t, (const heap_ref *)(const void *)(f + 1)));
  heap_thread_leave(t);
}

static void test_another_thread_may_unpin(void **state) {
  (void)state;
  struct {
    fixture f;
    heap_ref object;
  } shared = {.f = fixture_open_quiet()};
  shared.object = heap_alloc(shared.f.t, 0, 16);
  assert_non_null(heap_pin(shared.f.t, shared.object, 0));
  hs_os_thread other = {0};
  assert_int_equal(hs_os_thread_start(&other, unpin_elsewhere, &shared.f), 0);
  heap_blocking_begin(shared.f.t);
  hs_os_thread_join(&other);
  heap_blocking_end(shared.f.t);
  assert_int_equal(shared.f.h->pin_count, 0);
  fixture_close(shared.f);
}

static void test_a_full_pin_table_is_said(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 1);
  enum { COUNT = CP_PIN_SLOTS };
  fill_array(f, &root[0], COUNT, 16);
  int pinned = 0;
  while (pinned < COUNT && heap_pin(f.t, heap_load(f.t, root[0], (size_t)pinned), 0)) pinned++;
  assert_true(pinned > COUNT / 2 && pinned < COUNT);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  // In an order that exercises removal from the middle of probe sequences.
  for (int start = 0; start < 7; start++)
    for (int i = start; i < pinned; i += 7) heap_unpin(f.t, heap_load(f.t, root[0], (size_t)i));
  assert_int_equal(f.h->pin_count, 0);
  for (size_t i = 0; i < CP_PIN_SLOTS; i++) assert_null(f.h->pins[i].entry);
  check_array(f, root[0], COUNT, 1);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_weak_cells_follow_and_forget(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 1);
  root[0] = pinned_among_garbage(f);
  heap_weak *kept, *lost;
  assert_int_equal(heap_weak_create(f.t, root[0], &kept), HEAP_OK);
  assert_int_equal(heap_weak_create(f.t, heap_alloc(f.t, 0, 8), &lost), HEAP_OK);
  const uintptr_t old = root[0].bits;
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_int_not_equal(root[0].bits, old); // renamed, and the cell with it
  assert_true(heap_same(f.t, heap_weak_get(f.t, kept), root[0]));
  assert_true(heap_is_null(heap_weak_get(f.t, lost)));
  heap_weak_destroy(f.t, lost);
  heap_weak *again;
  assert_int_equal(heap_weak_create(f.t, root[0], &again), HEAP_OK);
  assert_ptr_equal(again, lost); // recycled
  heap_weak_destroy(f.t, again);
  heap_weak_destroy(f.t, kept);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_pinned_object_keeps_its_address),
      cmocka_unit_test(test_pins_nest),
      cmocka_unit_test(test_another_thread_may_unpin),
      cmocka_unit_test(test_a_full_pin_table_is_said),
      cmocka_unit_test(test_weak_cells_follow_and_forget),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
