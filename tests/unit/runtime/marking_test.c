// SPDX-License-Identifier: MIT
// The course of a marking, step by step on one OS thread: barriers, handshakes, roots, termination, weak
// cells, assists, and marking without memory. With real threads: marking_threads_test.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/runtime/marking_fixture.h"

// In hooks, where a failure must not jump out of the collector.
#define EXPECT(condition) HS_REQUIRE((condition), "%s", #condition)

static toy_heap heap;
static hs_thread one, two;

static int setup(void **state) {
  (void)state;
  toy_open(&heap, 0);
  toy_enter(&heap, &one);
  toy_enter(&heap, &two);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  toy_leave(&one);
  toy_leave(&two);
  toy_close(&heap);
  return 0;
}

static bool has_shaded(const hs_thread *thread, unsigned object) {
  const hs_grey_chunk *const chunk = thread->grey.chunk;
  for (uint64_t i = 0; chunk && i < chunk->count; i++)
    if (chunk->words[i] == (toy_ref(&heap, object) | HS_GREY_REF)) return true;
  return false;
}

static uint64_t shaded_count(const hs_thread *thread) {
  return thread->grey.chunk ? thread->grey.chunk->count : 0;
}

// ---- handshakes and barriers --------------------------------------------------------------------

// Called when `one` has answered B and `two` has not: object 0 holds 1 and gets 2, in both.
static void store_in_both_states(toy_heap *h) {
  if (hs_load_relaxed(&h->blacks) != 1) return;
  EXPECT(one.barrier == HS_BARRIER_BLACK);
  EXPECT(two.barrier == HS_BARRIER_GREY);
  toy_store(h, &two, 0, 0, toy_ref(h, 2));
  EXPECT(shaded_count(&two) == 2);
  EXPECT(has_shaded(&two, 1) && has_shaded(&two, 2)); // the old value and the new
  toy_store(h, &one, 0, 1, toy_ref(h, 4));
  EXPECT(shaded_count(&one) == 1);
  EXPECT(has_shaded(&one, 3)); // the old value alone
}

static void expect_all_black(toy_heap *h) {
  (void)h;
  EXPECT(one.barrier == HS_BARRIER_BLACK);
  EXPECT(two.barrier == HS_BARRIER_BLACK);
}

static void test_barriers_follow_the_handshakes(void **state) {
  (void)state;
  toy_link(&heap, 0, 0, 1);
  toy_link(&heap, 0, 1, 3);
  toy_store(&heap, &one, 5, 0, toy_ref(&heap, 6));
  assert_int_equal(one.barrier, HS_BARRIER_OFF);
  assert_null(one.grey.chunk); // off: nothing is shaded
  heap.on_black = store_in_both_states;
  heap.on_shade = expect_all_black;
  heap.on_tick = expect_all_black;
  toy_run(&heap);
  expect_all_black(&heap);
  assert_int_equal(hs_load_relaxed(&heap.blacks), 2);
  assert_true(toy_is_marked(&heap, 1) && toy_is_marked(&heap, 2) && toy_is_marked(&heap, 3));
  assert_false(toy_is_marked(&heap, 4) || toy_is_marked(&heap, 0));
  assert_int_equal(hs_load_relaxed(&heap.offs), 0);
  toy_store(&heap, &one, 0, 1, 0); // after the last round: shaded in vain, and dropped
  toy_end(&heap);
  assert_int_equal(hs_load_relaxed(&heap.offs), 2);
  assert_int_equal(one.barrier, HS_BARRIER_OFF);
  assert_int_equal(two.barrier, HS_BARRIER_OFF);
  assert_null(one.grey.chunk);
  assert_true(hs_grey_pool_is_empty(&heap.marking.pool));
  assert_false(hs_marking_is_on(&heap.marking));
}

static void do_nothing(void *context, hs_thread *thread) { (void)context, (void)thread; }

static void test_new_threads_begin_where_the_others_are(void **state) {
  (void)state;
  static const hs_barrier order[] = {HS_BARRIER_GREY, HS_BARRIER_BLACK, HS_BARRIER_OFF};
  hs_world_enter_collector(&heap.world, NULL);
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
    hs_world_reach_all(&heap.world, NULL, order[i], do_nothing, NULL);
    hs_thread young;
    toy_enter(&heap, &young);
    assert_int_equal(young.barrier, order[i]);
    assert_ptr_equal(young.grey.pool, &heap.marking.pool);
    toy_leave(&young);
  }
  hs_world_leave_collector(&heap.world);
}

static hs_thread young;

static void attach_and_store(toy_heap *h) {
  if (h->ticks != 1) return;
  toy_enter(h, &young);
  EXPECT(young.barrier == HS_BARRIER_BLACK);
  toy_store(h, &young, 0, 0, 0); // the last reference to 1, in an object that is not reachable
}

static void test_a_thread_that_attaches_while_marking_is_heard(void **state) {
  (void)state;
  toy_link(&heap, 0, 0, 1);
  heap.on_tick = attach_and_store;
  toy_run(&heap);
  assert_true(toy_is_marked(&heap, 1));
  toy_end(&heap);
  assert_int_equal(hs_load_relaxed(&heap.offs), 3);
  assert_int_equal(young.barrier, HS_BARRIER_OFF);
  toy_leave(&young);
}

static void store_and_detach(toy_heap *h) {
  if (h->ticks != 1) return;
  toy_enter(h, &young);
  toy_store(h, &young, 0, 0, 0);
  toy_leave(&young);
}

static void test_a_thread_that_detaches_publishes_what_it_shaded(void **state) {
  (void)state;
  toy_link(&heap, 0, 0, 1);
  toy_link(&heap, 1, 0, 2);
  heap.on_tick = store_and_detach;
  toy_run(&heap);
  assert_true(toy_is_marked(&heap, 1) && toy_is_marked(&heap, 2));
  toy_end(&heap);
  assert_int_equal(hs_load_relaxed(&heap.offs), 2);
}

// ---- roots --------------------------------------------------------------------------------------

static void clear_frame(toy_heap *h) {
  heap_ref *const slots = h->extra;
  if (hs_load_relaxed(&h->blacks) == 2)
    slots[0] = slots[2] = HEAP_NULL; // the thread runs on: its frames were copied
}

static void test_frames_are_copied_in_one_piece(void **state) {
  (void)state;
  heap_frame frame;
  heap_ref slots[3];
  hs_frame_push(&one, &frame, slots, 3);
  slots[0] = toy_at(&heap, 10);
  slots[2] = toy_at(&heap, 11);
  toy_link(&heap, 11, 2, 12);
  heap.extra = slots;
  heap.on_black = clear_frame;
  toy_run(&heap);
  assert_true(toy_is_marked(&heap, 10) && toy_is_marked(&heap, 11) && toy_is_marked(&heap, 12));
  assert_int_equal(heap.marking.frames_bytes, sizeof slots);
  assert_int_equal(hs_load_relaxed(&heap.marking.objects_count), 3);
  assert_int_equal(hs_load_relaxed(&heap.marking.bytes), 3 * TOY_BYTES);
  toy_end(&heap);
  hs_frame_pop(&one, &frame);
}

enum { RANGE_SLOTS = 1500, RANGES = 4 }; // more than a slice of slots each
static heap_ref ranges[RANGES][RANGE_SLOTS];
static heap_root roots[RANGES], late_root;
static heap_ref late_slots[1];

// Ranges are scanned from the one added last. The first slice ends inside roots[3].
static void change_roots(toy_heap *h) {
  if (h->ticks == 1) {
    EXPECT(h->world.root_cursor == &roots[3]);
    hs_root_remove(&one, &roots[3]); // half scanned
    EXPECT(h->world.root_cursor == &roots[2]);
    hs_root_remove(&two, &roots[1]); // not reached
    hs_root_add(&h->world, &late_root, late_slots, 1);
  }
  if (h->ticks == 2) // a new value in what is still to be scanned, an old one that is overwritten
    hs_barrier_store(&one, (_Atomic(uintptr_t) *)&ranges[0][5].bits, 0);
}

static void test_global_roots_change_while_they_are_scanned(void **state) {
  (void)state;
  for (unsigned r = 0; r < RANGES; r++) {
    hs_root_add(&heap.world, &roots[r], ranges[r], RANGE_SLOTS);
    ranges[r][0] = toy_at(&heap, 100 + r);
    ranges[r][5] = toy_at(&heap, 200 + r);
    ranges[r][RANGE_SLOTS - 1] = toy_at(&heap, 300 + r);
  }
  heap.on_tick = change_roots;
  toy_run(&heap);
  for (unsigned r = 0; r < RANGES; r++)
    assert_true(toy_is_marked(&heap, 100 + r) && toy_is_marked(&heap, 200 + r) &&
                toy_is_marked(&heap, 300 + r));
  assert_int_equal(hs_load_relaxed(&heap.marking.objects_count), 3 * RANGES);
  assert_true(heap.ticks >= 4); // 1024 of [3], then [2] and [0] in three pieces
  assert_null(heap.world.root_cursor);
  toy_end(&heap);
  hs_root_remove(&one, &late_root);
  hs_root_remove(&one, &roots[2]);
  hs_root_remove(&one, &roots[0]);
}

// ---- termination --------------------------------------------------------------------------------

static void shade_once(toy_heap *h) {
  if (h->ticks == 1) hs_shade(&one, toy_ref(h, 20));
}

static void shade_twice(toy_heap *h) {
  shade_once(h);
  if (h->ticks == 2) hs_shade(&two, toy_ref(h, 21)); // while the first round is drained
}

static uint64_t rounds_with(toy_hook on_tick) {
  heap.ticks = 0;
  heap.on_tick = on_tick;
  toy_run(&heap);
  toy_end(&heap);
  return heap.marking.rounds_count;
}

static void test_a_round_that_marks_something_is_not_the_last(void **state) {
  (void)state;
  assert_int_equal(rounds_with(NULL), 1);
  assert_int_equal(rounds_with(shade_once), 2);
  assert_true(toy_is_marked(&heap, 20));
  assert_int_equal(rounds_with(shade_once), 1); // marked already: nothing was found
  hs_store_relaxed(&heap.objects[20].mark, 0u);
  assert_int_equal(rounds_with(shade_twice), 3);
  assert_true(toy_is_marked(&heap, 20) && toy_is_marked(&heap, 21));
}

// ---- weak cells ---------------------------------------------------------------------------------

static hs_weak cell;

static void get_once(toy_heap *h) {
  if (h->ticks == 1) EXPECT(hs_weak_get(&one, &cell).bits == toy_ref(h, 30));
}

static void test_a_cell_that_was_read_while_marking_keeps_its_object(void **state) {
  (void)state;
  hs_weak_link(&heap.world, &cell, toy_at(&heap, 30));
  assert_int_equal(rounds_with(get_once), 2);
  assert_true(toy_is_marked(&heap, 30));
  assert_int_equal(hs_weak_get(&one, &cell).bits, toy_ref(&heap, 30));
  hs_store_relaxed(&heap.objects[30].mark, 0u);
  assert_int_equal(rounds_with(NULL), 1);
  assert_true(heap_is_null(hs_weak_get(&one, &cell)));
  hs_weak_unlink(&cell);
}

// The second tick is in the first round, which marks nothing, as 20 is marked.
static void get_in_the_round(toy_heap *h) {
  shade_once(h);
  if (h->ticks == 2) EXPECT(hs_weak_get(&one, &cell).bits == hs_load_relaxed(&cell.target));
}

static void test_a_round_in_which_a_cell_was_read_is_not_the_last(void **state) {
  (void)state;
  hs_weak_link(&heap.world, &cell, toy_at(&heap, 30));
  assert_true(toy_mark(toy_ref(&heap, 20)));
  assert_int_equal(rounds_with(get_in_the_round), 3); // the second marks 30
  assert_true(toy_is_marked(&heap, 30));
  hs_weak_unlink(&cell);
}

static void test_a_cell_of_a_marked_object_delays_nothing(void **state) {
  (void)state;
  hs_weak_link(&heap.world, &cell, toy_at(&heap, 20));
  assert_true(toy_mark(toy_ref(&heap, 20)));
  assert_int_equal(rounds_with(get_in_the_round), 1);
  assert_int_equal(heap.world.weak_shaded_count, 0);
  hs_weak_unlink(&cell);
}

static void set_barrier(void *context, hs_thread *thread) {
  thread->barrier = *(const hs_barrier *)context;
}

static void test_a_cell_of_a_dead_object_reads_as_null_before_it_is_cleared(void **state) {
  (void)state;
  hs_weak alive;
  hs_barrier black = HS_BARRIER_BLACK;
  hs_weak_link(&heap.world, &cell, toy_at(&heap, 30));
  hs_weak_link(&heap.world, &alive, toy_at(&heap, 31));
  assert_true(toy_mark(toy_ref(&heap, 31)));
  hs_world_enter_collector(&heap.world, NULL);
  hs_world_reach_all(&heap.world, NULL, HS_BARRIER_BLACK, set_barrier, &black);
  heap.world.weak_phase = HS_WEAK_CLEARING;
  assert_true(heap_is_null(hs_weak_get(&one, &cell)));
  assert_int_equal(hs_weak_get(&one, &alive).bits, toy_ref(&heap, 31));
  assert_int_equal(shaded_count(&one), 0);
  assert_int_equal(heap.world.weak_shaded_count, 0);
  heap.world.weak_phase = HS_WEAK_OPEN;
  toy_end(&heap);
  hs_weak_unlink(&alive);
  hs_weak_unlink(&cell);
}

static void test_many_cells_are_cleared_in_pieces(void **state) {
  (void)state;
  enum { CELLS = 1000 };
  static hs_weak cells[CELLS];
  heap_frame frame;
  heap_ref slots[1];
  hs_frame_push(&one, &frame, slots, 1);
  slots[0] = toy_at(&heap, 0);
  for (unsigned i = 0; i < CELLS; i++) hs_weak_link(&heap.world, &cells[i], toy_at(&heap, i % 3));
  toy_run(&heap);
  toy_end(&heap);
  assert_null(heap.world.weak_cursor);
  assert_int_equal(heap.world.weak_phase, HS_WEAK_OPEN);
  for (unsigned i = 0; i < CELLS; i++) {
    assert_int_equal(heap_is_null(hs_weak_get(&one, &cells[i])), i % 3 != 0);
    hs_weak_unlink(&cells[i]);
  }
  hs_frame_pop(&one, &frame);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_barriers_follow_the_handshakes),
      TEST(test_new_threads_begin_where_the_others_are),
      TEST(test_a_thread_that_attaches_while_marking_is_heard),
      TEST(test_a_thread_that_detaches_publishes_what_it_shaded),
      TEST(test_frames_are_copied_in_one_piece),
      TEST(test_global_roots_change_while_they_are_scanned),
      TEST(test_a_round_that_marks_something_is_not_the_last),
      TEST(test_a_cell_that_was_read_while_marking_keeps_its_object),
      TEST(test_a_round_in_which_a_cell_was_read_is_not_the_last),
      TEST(test_a_cell_of_a_marked_object_delays_nothing),
      TEST(test_a_cell_of_a_dead_object_reads_as_null_before_it_is_cleared),
      TEST(test_many_cells_are_cleared_in_pieces),
  };
#undef TEST
  return cmocka_run_group_tests(tests, NULL, NULL);
}
