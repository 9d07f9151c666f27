// SPDX-License-Identifier: MIT
#include "tests/death/death.h"

#include "allocators/runtime/event_log.h"
#include "allocators/runtime/grey.h"
#include "allocators/runtime/meta.h"
#include "allocators/runtime/roots.h"
#include "allocators/runtime/world.h"

static hs_world world;
static hs_thread self;

static void begin(void) {
  hs_world_init(&world, NULL);
  hs_thread_attach(&world, &self);
}

// ---- frames and roots ---------------------------------------------------------------------------

static void pop_out_of_order(void) {
  heap_ref a[1], b[1];
  heap_frame outer, inner;
  begin();
  hs_frame_push(&self, &outer, a, 1);
  hs_frame_push(&self, &inner, b, 1);
  hs_frame_pop(&self, &outer);
}

static void leave_with_frames(void) {
  heap_ref a[1];
  heap_frame frame;
  begin();
  hs_frame_push(&self, &frame, a, 1);
  hs_thread_detach(&self);
}

static void remove_root_twice(void) {
  heap_ref a[1];
  heap_root root;
  begin();
  hs_root_add(&world, &root, a, 1);
  hs_root_remove(&self, &root);
  hs_root_remove(&self, &root);
}

static void destroy_weak_twice(void) {
  hs_weak weak;
  begin();
  hs_weak_link(&world, &weak, (heap_ref){8});
  hs_weak_unlink(&weak);
  hs_weak_unlink(&weak);
}

static void test_roots(void **state) {
  (void)state;
  expect_death(pop_out_of_order, "root frames must be popped in the reverse order of pushing");
  expect_death(leave_with_frames, "a thread left the heap with root frames pushed");
  expect_death(remove_root_twice, "a global root was removed that is not in this heap");
  expect_death(destroy_weak_twice, "a weak cell was destroyed twice");
}

// ---- threads ------------------------------------------------------------------------------------

static void leave_twice(void) {
  begin();
  hs_thread_detach(&self);
  hs_thread_detach(&self);
}

static void destroy_with_threads(void) {
  begin();
  hs_world_destroy(&world);
}

static void destroy_twice(void) {
  hs_world_init(&world, NULL);
  hs_world_destroy(&world);
  hs_world_destroy(&world);
}

static void enter_destroyed(void) {
  hs_world_init(&world, NULL);
  hs_world_destroy(&world);
  hs_thread_attach(&world, &self);
}

static void nest_blocking(void) {
  begin();
  hs_blocking_begin(&self);
  hs_blocking_begin(&self);
}

static void end_blocking_unbegun(void) {
  begin();
  hs_blocking_end(&self);
}

static void leave_while_blocking(void) {
  begin();
  hs_blocking_begin(&self);
  hs_thread_detach(&self);
}

static void test_threads(void **state) {
  (void)state;
  expect_death(leave_twice, "not a registered heap thread");
  expect_death(destroy_with_threads, "a heap was destroyed while 1 threads are registered");
  expect_death(destroy_twice, "a world was destroyed twice");
  expect_death(enter_destroyed, "a thread entered a heap that does not exist");
  expect_death(nest_blocking, "blocking regions do not nest");
  expect_death(end_blocking_unbegun, "a blocking region was ended that was not begun");
  expect_death(leave_while_blocking, "blocking regions do not nest");
}

// ---- collector ----------------------------------------------------------------------------------

static void ignore(void *context, hs_thread *thread) { (void)context, (void)thread; }

static void stop_as_nobody(void) {
  begin();
  hs_world_stop(&world, &self);
}

static void handshake_as_nobody(void) {
  begin();
  hs_world_handshake(&world, &self, ignore, NULL);
}

static void stop_twice(void) {
  begin();
  hs_world_enter_collector(&world, &self);
  hs_world_stop(&world, &self);
  hs_world_stop(&world, &self);
}

static void handshake_while_stopped(void) {
  begin();
  hs_world_enter_collector(&world, &self);
  hs_world_stop(&world, &self);
  hs_world_handshake(&world, &self, ignore, NULL);
}

static void start_unstopped(void) {
  begin();
  hs_world_enter_collector(&world, &self);
  hs_world_start(&world);
}

static void leave_collector_unentered(void) {
  begin();
  hs_world_leave_collector(&world);
}

static void test_collector(void **state) {
  (void)state;
  expect_death(stop_as_nobody, "only the collector may stop threads");
  expect_death(handshake_as_nobody, "only the collector may stop threads");
  expect_death(stop_twice, "the world is stopped already");
  expect_death(handshake_while_stopped, "the world is stopped already");
  expect_death(start_unstopped, "the world was started without having been stopped");
  expect_death(leave_collector_unentered, "a mutex that is not held was unlocked");
}

// ---- corruption ---------------------------------------------------------------------------------

static void check_after(void (*corrupt)(void)) {
  static hs_thread other;
  begin();
  hs_thread_attach(&world, &other);
  corrupt();
  hs_world_check(&world);
}

static void clear_magic(void) { self.magic = 0; }
static void clear_world_magic(void) { world.magic = 0; }
static void break_links(void) { self.next->previous = NULL; }
static void break_ids(void) { self.next->id = 1; }
static void break_count(void) { world.thread_count = 5; }
static void break_state(void) { hs_store_relaxed(&self.state, 99u); }

static void check_magic(void) { check_after(clear_magic); }
static void check_world_magic(void) { check_after(clear_world_magic); }
static void check_links(void) { check_after(break_links); }
static void check_ids(void) { check_after(break_ids); }
static void check_count(void) { check_after(break_count); }
static void check_state(void) { check_after(break_state); }

static void test_check_finds_corruption(void **state) {
  (void)state;
  expect_death(check_magic, "not a registered heap thread");
  expect_death(check_world_magic, "not a world, or memory corrupted");
  expect_death(check_links, "thread list is broken");
  expect_death(check_ids, "thread ids are not ascending");
  expect_death(check_count, "thread list has 2 entries, expected 5");
  expect_death(check_state, "thread state is 99");
}

// ---- the rest -----------------------------------------------------------------------------------

static void trim_with_work(void) {
  hs_grey_pool pool;
  hs_grey grey;
  hs_grey_pool_init(&pool);
  hs_grey_begin(&grey, &pool);
  hs_grey_push(&grey, 8);
  hs_grey_end(&grey);
  hs_grey_pool_trim(&pool);
}

static void metadata_at_odd_alignment(void) {
  hs_meta meta;
  hs_meta_init(&meta);
  hs_meta_alloc(&meta, 8, 24);
}

static void utilisation_of_nothing(void) {
  static hs_event_log log;
  hs_event_log_mmu(&log, 10, 10, 5);
}

static void test_the_rest(void **state) {
  (void)state;
  expect_death(trim_with_work, "grey objects were dropped before they were scanned");
  expect_death(metadata_at_odd_alignment, "metadata aligned to 24 bytes");
  expect_death(utilisation_of_nothing, "utilisation of an empty window");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_roots),     cmocka_unit_test(test_threads),
      cmocka_unit_test(test_collector), cmocka_unit_test(test_check_finds_corruption),
      cmocka_unit_test(test_the_rest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
