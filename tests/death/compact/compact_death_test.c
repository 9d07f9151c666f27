// SPDX-License-Identifier: MIT
// Misuse of the compacting heap, and damage to it, end the program with one clear line.
#include "tests/death/death.h"

#include "compact/cp_internal.h" // before heap.h, whose type names would shadow parameters

#include "allocators/heap.h"
#include "allocators/runtime/config.h"

static heap_thread *enter(int64_t verify) {
  heap_config config = hs_config_default();
  config.verify = verify;
  heap *h;
  heap_thread *t;
  if (heap_create(&config, &h) != HEAP_OK || heap_thread_enter(h, &t) != HEAP_OK) _exit(1);
  return t;
}

static void unpin_unpinned(void) {
  heap_thread *const t = enter(0);
  heap_unpin(t, heap_alloc(t, 0, 8));
}

static void unpin_twice(void) {
  heap_thread *const t = enter(0);
  const heap_ref object = heap_alloc(t, 0, 8);
  if (!heap_pin(t, object, 0)) _exit(1);
  heap_unpin(t, object);
  heap_unpin(t, object);
}

static void pin_null(void) { (void)heap_pin(enter(0), HEAP_NULL, 0); }

static void weak_to_null(void) {
  heap_weak *weak;
  (void)heap_weak_create(enter(0), HEAP_NULL, &weak);
}

static void collect_unknown_kind(void) { heap_collect(enter(0), (heap_collect_kind)17); }

static void destroy_with_a_thread(void) { heap_destroy(enter(0)->heap); }

// The verifier says what is wrong, then the heap gives up.
static void damage_an_object_location(void) {
  heap_thread *const t = enter(1);
  HEAP_FRAME(t, root, 2);
  root[0] =
      heap_alloc(t, 0, 4096); // whole pages: a region without garbage is not moved, which would
  root[1] = heap_alloc(t, 0, 4096); // separate them
  const uint64_t word = cp_entry_load(cp_entry_of(root[0]));
  cp_entry_store(cp_entry_of(root[1]), word); // two handles of one place
  heap_collect(t, HEAP_COLLECT_FULL);
  HEAP_FRAME_END(t, root);
}

static void test_misuse_aborts(void **state) {
  (void)state;
  expect_death(unpin_unpinned, "unpinned that is not pinned");
  expect_death(unpin_twice, "unpinned that is not pinned");
  expect_death(pin_null, "the null reference was pinned");
  expect_death(weak_to_null, "a weak cell needs an object");
  expect_death(collect_unknown_kind, "unknown kind of collection 17");
  expect_death(destroy_with_a_thread, "threads are registered");
}

static void expect_damage(void (*run)(void), const char *message) {
  char text[4096];
  const int status = death_run(run, text, sizeof text);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGABRT);
  if (!strstr(text, message)) fail_msg("expected '%s', printed: %s", message, text);
  assert_non_null(strstr(text, "inconsistent after a collection"));
}

static void test_the_verifier_finds_damage(void **state) {
  (void)state;
  expect_damage(damage_an_object_location, "overlaps another object");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_misuse_aborts),
      cmocka_unit_test(test_the_verifier_finds_damage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
