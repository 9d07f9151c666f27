// SPDX-License-Identifier: MIT
// What a program may do while its heap is marked, at each phase, and what must survive it. One OS thread
// (steps.h), so every order is the one written here; with real threads: concurrent_threads_test.c.
#include "steps.h"

#define EXPECT(condition) HS_REQUIRE((condition), "%s", #condition) // in hooks

static int setup(void **state) {
  (void)state;
  steps_open(0);
  return 0;
}

static int setup_verified(void **state) {
  (void)state;
  steps_open(1);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  hs_os_fault_disarm();
  steps_close();
  return 0;
}

static heap_frame frame; // of `other`
static heap_ref mine[8]; // its slots

static void push_frame(void) { nonmoving_frame_push(steps.other, &frame, mine, 8); }
static void pop_frame(void) { nonmoving_frame_pop(steps.other, &frame); }

// ---- allocation ---------------------------------------------------------------------------------

enum { YOUNG = 600 };
static heap_ref young[YOUNG];

static void allocate_young(void) {
  EXPECT(steps.other->base.barrier == HS_BARRIER_BLACK);
  for (unsigned i = 0; i < YOUNG; i++)
    young[i] = i % 100 == 99 ? steps_alloc(4000 + i, 200000) : steps_alloc(i % 3, 8 + i);
}

static void test_objects_allocated_while_marking_survive_that_cycle(void **state) {
  (void)state;
  const heap_ref old = steps_alloc(1, 100); // nobody holds it
  steps.on_shade = allocate_young;
  steps_collect();
  assert_false(steps_is_allocated(old));
  for (unsigned i = 0; i < YOUNG; i++) assert_true(steps_is_allocated(young[i]));
  steps.on_shade = NULL;
  steps_collect(); // nobody holds them either
  for (unsigned i = 0; i < YOUNG; i++) assert_false(steps_is_allocated(young[i]));
}

static heap_ref dropped;

static void allocate_grey(void) {
  EXPECT(steps.other->base.barrier == HS_BARRIER_GREY);
  mine[0] = steps_alloc_quick(1, 24);
  dropped = steps_alloc_quick(1, 24);
  const heap_ref leaf = steps_alloc_quick(1, 24);
  nonmoving_store(steps.other, mine[0], 0, leaf);
}

static void test_objects_allocated_before_frames_are_scanned_are_white(void **state) {
  (void)state;
  push_frame();
  mine[1] = steps_alloc(1, 24); // prepares the run
  steps.on_grey = allocate_grey;
  steps_collect();
  assert_true(steps_is_allocated(mine[0]) && steps_is_allocated(mine[1]));
  assert_true(steps_is_allocated(nonmoving_load(steps.other, mine[0], 0)));
  assert_false(steps_is_allocated(dropped));
  pop_frame();
}

static void allocate_tiny(void) { young[1] = steps_alloc(0, 8); }

static void test_a_tiny_block_of_before_is_not_shared_with_black_objects(void **state) {
  (void)state;
  young[0] = steps_alloc(0, 8); // opens a block, white
  steps.on_shade = allocate_tiny;
  steps_collect();
  assert_int_not_equal(young[0].bits / 16, young[1].bits / 16);
  assert_true(steps_is_allocated(young[1]));
  assert_false(steps_is_allocated(young[0]));
}

// Between the turn and C: from a run of a span that is to be swept, and from one obtained meanwhile.
static void allocate_turned(void) {
  EXPECT(steps.other->base.barrier == HS_BARRIER_BLACK);
  young[0] = steps_alloc_quick(1, 24);
  EXPECT(kit_span(&steps.k, young[0])->sweepgen + 2 == hs_load_relaxed(&steps.k.heap->sweepgen));
  // As if the turn had come after its last poll.
  const uint32_t asked = hs_exchange_acq_rel(&steps.other->base.poll, 0u);
  young[1] = nonmoving_alloc(steps.other, 2, 500);  // a class without a span
  young[2] = nonmoving_alloc(steps.other, 0, 1000); // one with spans to be swept
  young[3] = nonmoving_alloc(steps.other, 5, 70000);
  hs_or_acq_rel(&steps.other->base.poll, asked);
  EXPECT(steps.other->base.barrier == HS_BARRIER_BLACK);
  for (unsigned i = 1; i < 4; i++)
    EXPECT(kit_span(&steps.k, young[i])->sweepgen == hs_load_relaxed(&steps.k.heap->sweepgen));
  for (unsigned i = 0; i < 4; i++) mine[i] = young[i];
  nonmoving_store(steps.other, young[1], 0, young[0]);
}

static void test_objects_allocated_between_the_turn_and_c_survive(void **state) {
  (void)state;
  push_frame();
  mine[4] = steps_alloc(1, 24);
  for (unsigned i = 0; i < 24; i++)
    mine[5] = steps_alloc(0, 1000); // three full spans, one object lives
  steps.on_turned = allocate_turned;
  steps_collect();
  for (unsigned i = 0; i < 6; i++) assert_true(steps_is_allocated(mine[i]));
  steps.on_turned = NULL;
  for (unsigned round = 0; round < 2; round++) {
    steps_collect();
    for (unsigned i = 0; i < 6; i++) assert_true(steps_is_allocated(mine[i]));
    assert_int_equal(nonmoving_load(steps.other, mine[1], 0).bits, mine[0].bits);
  }
  assert_int_equal(kit_stat(&steps.k, HEAP_STAT_heap_objects_count), 6);
  pop_frame();
}

// ---- references that move -----------------------------------------------------------------------

// `mine[0]` holds a list of two; its head moves into the frame, which was scanned.
static void move_into_the_frame(void) {
  mine[1] = nonmoving_load(steps.other, mine[0], 0);
  nonmoving_store(steps.other, mine[0], 0, HEAP_NULL);
}

static void make_list_of_two(void) {
  mine[0] = steps_alloc(1, 8);
  mine[1] = steps_alloc(1, 8);
  mine[2] = steps_alloc(1, 8);
  nonmoving_store(steps.other, mine[1], 0, mine[2]);
  nonmoving_store(steps.other, mine[0], 0, mine[1]);
  mine[1] = mine[2] = HEAP_NULL;
}

static void test_a_reference_that_moves_into_a_scanned_frame_is_found(void **state) {
  (void)state;
  push_frame();
  make_list_of_two();
  steps.on_shade = move_into_the_frame;
  steps_collect(); // verified
  assert_true(steps_is_allocated(mine[1]));
  assert_true(steps_is_allocated(nonmoving_load(steps.other, mine[1], 0)));
  pop_frame();
}

static void leave_with_the_list(void) {
  if (!steps.other) return;
  nonmoving_blocking_end(steps.other);
  young[0] = nonmoving_load(steps.other, mine[0], 0);
  nonmoving_store(steps.other, mine[0], 0, HEAP_NULL);
  for (unsigned i = 1; i < 50; i++) young[i] = nonmoving_alloc(steps.other, 1, 8 * i);
  nonmoving_frame_pop(steps.other, &frame);
  nonmoving_thread_leave(steps.other);
  steps.other = NULL;
}

static void test_a_thread_may_leave_while_marking(void **state) {
  (void)state;
  push_frame();
  make_list_of_two();
  steps.on_drain = leave_with_the_list;
  steps_collect();
  for (unsigned i = 0; i < 50; i++) assert_true(steps_is_allocated(young[i]));
  steps_collect();
  assert_int_equal(kit_stat(&steps.k, HEAP_STAT_heap_objects_count), 0);
}

static void test_a_blocked_thread_keeps_its_objects(void **state) {
  (void)state;
  push_frame();
  make_list_of_two();
  for (unsigned round = 0; round < 3; round++) steps_collect();
  assert_int_equal(kit_stat(&steps.k, HEAP_STAT_heap_objects_count), 3);
  assert_true(steps_is_allocated(nonmoving_load(steps.other, mine[0], 0)));
  pop_frame();
}

static void pin_and_unlink(void) {
  young[0] = nonmoving_load(steps.other, mine[0], 0);
  (void)nonmoving_pin(steps.other, young[0], 1);
  nonmoving_store(steps.other, mine[0], 0, HEAP_NULL);
}

static void unpin_into_the_frame(void) {
  mine[1] = young[0];
  nonmoving_unpin(steps.other, young[0]);
}

static void test_pins_may_come_and_go_while_marking(void **state) {
  (void)state;
  push_frame();
  make_list_of_two();
  steps.on_shade = pin_and_unlink;
  steps_collect();
  assert_true(steps_is_allocated(young[0]));
  steps.on_shade = unpin_into_the_frame; // the frame was scanned, the pins are not yet
  steps_collect();
  assert_true(steps_is_allocated(mine[1]));
  assert_int_equal(kit_stat(&steps.k, HEAP_STAT_heap_objects_count), 3);
  pop_frame();
}

static nonmoving_weak *cell;

static void get_from_the_cell(void) { mine[1] = nonmoving_weak_get(steps.other, cell); }

static void test_a_weak_reference_read_while_marking_keeps_its_object(void **state) {
  (void)state;
  push_frame();
  mine[0] = steps_alloc(0, 100);
  assert_int_equal(nonmoving_weak_create(steps.k.t, mine[0], &cell), HEAP_OK);
  mine[0] = HEAP_NULL;
  steps.on_shade = get_from_the_cell;
  steps_collect();
  assert_false(heap_is_null(mine[1]));
  assert_true(steps_is_allocated(mine[1]));
  steps.on_shade = NULL;
  mine[1] = HEAP_NULL;
  steps_collect();
  assert_true(heap_is_null(nonmoving_weak_get(steps.other, cell)));
  nonmoving_weak_destroy(steps.k.t, cell);
  pop_frame();
}

// ---- large objects and root sets ------------------------------------------------------------------

enum { SLOTS = 600000, CHILDREN = 600 }; // 4.8 MB of references: tens of slices

// One child per slice from the end, which is not scanned, to the beginning, which is; and back.
static void move_a_child(void) {
  const size_t from = SLOTS - 1 - steps.drains * 1000, to = steps.drains;
  if (steps.drains >= CHILDREN) return;
  const heap_ref end = nonmoving_load(steps.other, mine[0], from);
  const heap_ref begin = nonmoving_load(steps.other, mine[0], to);
  nonmoving_store(steps.other, mine[0], to, end);
  nonmoving_store(steps.other, mine[0], from, begin);
}

static void test_a_large_object_may_change_while_it_is_scanned(void **state) {
  (void)state;
  push_frame();
  mine[0] = steps_alloc(SLOTS, 0);
  for (size_t i = 1; i <= CHILDREN; i++)
    nonmoving_store(steps.other, mine[0], SLOTS - 1 - (i % CHILDREN) * 1000, steps_alloc(1, 8 * i));
  steps.on_drain = move_a_child;
  steps_collect();
  assert_true(steps.drains > 20);
  assert_int_equal(kit_stat(&steps.k, HEAP_STAT_heap_objects_count), CHILDREN + 1);
  pop_frame();
}

enum { ROOT_SLOTS = 1000000 };
static heap_ref global[ROOT_SLOTS];
static heap_root root, extra_root;
static heap_ref extra[4];

// Takes an object out of the part that is not scanned yet, adds a range, and takes it away again.
static void change_the_roots(void) {
  const size_t from = ROOT_SLOTS - 1 - steps.drains;
  if (steps.drains == 0 || steps.drains > 100) return;
  mine[1] = nonmoving_root_load(steps.other, &global[from]);
  nonmoving_root_store(steps.other, &global[from], HEAP_NULL);
  nonmoving_root_add(steps.other, &extra_root, extra, 4);
  nonmoving_root_store(steps.other, &extra[0], mine[1]);
  nonmoving_root_store(steps.other, &global[from], mine[1]);
  nonmoving_root_remove(steps.other, &extra_root);
}

static void test_a_million_roots_may_change_while_they_are_scanned(void **state) {
  (void)state;
  push_frame();
  nonmoving_root_add(steps.other, &root, global, ROOT_SLOTS);
  for (size_t i = 0; i < ROOT_SLOTS; i++) {
    if (i % 10 == 0 || i > ROOT_SLOTS - 200) mine[0] = steps_alloc(0, 16);
    nonmoving_root_store(steps.other, &global[i], mine[0]);
  }
  mine[0] = HEAP_NULL;
  const uint64_t objects = kit_stat(&steps.k, HEAP_STAT_heap_objects_count);
  steps.on_drain = change_the_roots;
  steps_collect();
  assert_true(steps.drains > 900); // one slice of roots at a time
  assert_int_equal(kit_stat(&steps.k, HEAP_STAT_heap_objects_count), objects);
  mine[1] = HEAP_NULL;
  nonmoving_root_remove(steps.other, &root);
  steps_collect();
  assert_true(kit_stat(&steps.k, HEAP_STAT_heap_objects_count) <= objects); // shaded by the removal
  pop_frame();
}

// ---- without memory -------------------------------------------------------------------------------

static void refuse_the_queues(void) { hs_os_fault_arm(HS_OS_FAULT_RESERVE, 1, true); }

// The thread's run is marked, slots that are not objects yet included; they lie at the end of the heap, so
// no later object tells where their references end.
static void test_marking_without_memory_beside_a_thread_that_allocates(void **state) {
  (void)state;
  push_frame();
  make_list_of_two();
  nonmoving_collect(steps.k.t, HEAP_COLLECT_RELEASE);
  hs_grey_pool_trim(&steps.k.heap->marking.pool); // even what a heap keeps for the worst case
  mine[3] = steps_alloc(6, 0);                    // the first of a run
  steps.on_grey = refuse_the_queues;
  steps.on_drain = move_into_the_frame;
  nonmoving_collect(steps.k.t, HEAP_COLLECT_FULL);
  hs_os_fault_disarm();
  steps.on_grey = NULL;
  steps.on_drain = NULL;
  assert_true(steps_is_allocated(mine[0]) && steps_is_allocated(mine[3]));
  assert_true(kit_stat(&steps.k, HEAP_STAT_heap_objects_count) >= 2);
  pop_frame();
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define VERIFIED(name) cmocka_unit_test_setup_teardown(name, setup_verified, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_objects_allocated_while_marking_survive_that_cycle),
      VERIFIED(test_objects_allocated_while_marking_survive_that_cycle),
      TEST(test_objects_allocated_before_frames_are_scanned_are_white),
      TEST(test_a_tiny_block_of_before_is_not_shared_with_black_objects),
      TEST(test_objects_allocated_between_the_turn_and_c_survive),
      VERIFIED(test_a_reference_that_moves_into_a_scanned_frame_is_found),
      TEST(test_a_thread_may_leave_while_marking),
      VERIFIED(test_a_thread_may_leave_while_marking),
      TEST(test_a_blocked_thread_keeps_its_objects),
      TEST(test_pins_may_come_and_go_while_marking),
      VERIFIED(test_pins_may_come_and_go_while_marking),
      VERIFIED(test_a_weak_reference_read_while_marking_keeps_its_object),
      TEST(test_a_large_object_may_change_while_it_is_scanned),
      TEST(test_a_million_roots_may_change_while_they_are_scanned),
      TEST(test_marking_without_memory_beside_a_thread_that_allocates),
  };
#undef TEST
#undef VERIFIED
  return cmocka_run_group_tests(tests, NULL, NULL);
}
