// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocators/runtime/roots.h"

typedef struct seen {
  size_t ranges, slots;
  uintptr_t sum;
} seen;

static void see(void *context, heap_ref *slots, size_t count) {
  seen *const out = context;
  out->ranges++;
  out->slots += count;
  for (size_t i = 0; i < count; i++) {
    out->sum += slots[i].bits;
    slots[i].bits++; // the visitor may rewrite
  }
}

static hs_world world;
static hs_thread self;

static int setup(void **state) {
  (void)state;
  hs_world_init(&world, NULL);
  hs_thread_attach(&world, &self);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  hs_thread_detach(&self);
  hs_world_destroy(&world);
  return 0;
}

static void begin_stw(void) {
  hs_world_enter_collector(&world, &self);
  hs_world_stop(&world, &self);
}

static void end_stw(void) {
  hs_world_start(&world);
  hs_world_leave_collector(&world);
}

static void test_frames_are_nulled_and_visited(void **state) {
  (void)state;
  heap_ref outer[3] = {{1}, {2}, {3}}, inner[2] = {{4}, {5}};
  heap_frame outer_frame, inner_frame, empty_frame;
  hs_frame_push(&self, &outer_frame, outer, 3);
  hs_frame_push(&self, &empty_frame, NULL, 0);
  hs_frame_push(&self, &inner_frame, inner, 2);
  for (int i = 0; i < 3; i++) assert_true(heap_is_null(outer[i]));
  outer[1].bits = 10;
  inner[0].bits = 100;
  seen out = {0};
  hs_roots_visit_thread(&self, see, &out);
  assert_int_equal(out.ranges, 2); // an empty frame costs no call
  assert_int_equal(out.slots, 5);
  assert_int_equal(out.sum, 110);
  assert_int_equal(outer[1].bits, 11);
  hs_frame_pop(&self, &inner_frame);
  hs_frame_pop(&self, &empty_frame);
  out = (seen){0};
  hs_roots_visit_thread(&self, see, &out);
  assert_int_equal(out.slots, 3);
  hs_frame_pop(&self, &outer_frame);
  assert_null(self.frames);
}

static void test_global_ranges_come_and_go_in_any_order(void **state) {
  (void)state;
  static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (int order = 0; order < 6; order++) {
    heap_root roots[3];
    heap_ref slots[3][4];
    for (int i = 0; i < 3; i++) {
      slots[i][0].bits = 99;
      hs_root_add(&world, &roots[i], slots[i], (size_t)i + 1);
      assert_true(heap_is_null(slots[i][0]));
    }
    size_t left = 1 + 2 + 3;
    for (int i = 0; i < 3; i++) {
      begin_stw();
      hs_world_check(&world);
      assert_int_equal(hs_roots_slot_count_stw(&world), left);
      end_stw();
      left -= (size_t)orders[order][i] + 1;
      hs_root_remove(&self, &roots[orders[order][i]]);
    }
    assert_null(world.roots);
  }
}

static void test_all_is_threads_and_globals(void **state) {
  (void)state;
  hs_thread other;
  hs_thread_attach(&world, &other);
  heap_ref mine[2], theirs[3], global[4];
  heap_frame my_frame, their_frame;
  heap_root root;
  hs_frame_push(&self, &my_frame, mine, 2);
  hs_frame_push(&other, &their_frame, theirs, 3);
  hs_root_add(&world, &root, global, 4);
  mine[0].bits = 1, theirs[0].bits = 10, global[0].bits = 100;
  hs_blocking_begin(&other);
  begin_stw();
  seen out = {0};
  hs_roots_visit_all_stw(&world, see, &out);
  assert_int_equal(out.ranges, 3);
  assert_int_equal(out.slots, 9);
  assert_int_equal(out.sum, 111);
  end_stw();
  hs_blocking_end(&other);
  assert_int_equal(theirs[2].bits, 1);
  hs_root_remove(&self, &root);
  hs_frame_pop(&other, &their_frame);
  hs_frame_pop(&self, &my_frame);
  hs_thread_detach(&other);
}

// ---- weak cells ---------------------------------------------------------------------------------

static heap_ref keep_even(void *context, heap_ref target) {
  ++*(int *)context;
  return target.bits % 2 == 0 ? (heap_ref){target.bits + 100} : HEAP_NULL;
}

static void test_weak_cells_follow_or_die(void **state) {
  (void)state;
  hs_weak cells[4];
  for (uintptr_t i = 0; i < 4; i++) hs_weak_link(&world, &cells[i], (heap_ref){i + 1});
  int calls = 0;
  begin_stw();
  hs_weak_visit_stw(&world, keep_even, &calls);
  end_stw();
  assert_int_equal(calls, 4);
  assert_int_equal(hs_load_relaxed(&cells[0].target), 0);
  assert_int_equal(hs_load_relaxed(&cells[1].target), 102);
  assert_int_equal(hs_load_relaxed(&cells[2].target), 0);
  assert_int_equal(hs_load_relaxed(&cells[3].target), 104);
  hs_weak_unlink(&cells[1]);
  calls = 0;
  begin_stw();
  hs_weak_visit_stw(&world, keep_even, &calls);
  end_stw();
  assert_int_equal(calls, 1); // dead cells are not visited again
  assert_int_equal(hs_load_relaxed(&cells[3].target), 204);
  hs_weak_unlink(&cells[3]);
  hs_weak_unlink(&cells[0]);
  hs_weak_unlink(&cells[2]);
  assert_null(world.weaks);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_frames_are_nulled_and_visited, setup, teardown),
      cmocka_unit_test_setup_teardown(test_global_ranges_come_and_go_in_any_order, setup, teardown),
      cmocka_unit_test_setup_teardown(test_all_is_threads_and_globals, setup, teardown),
      cmocka_unit_test_setup_teardown(test_weak_cells_follow_or_die, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
