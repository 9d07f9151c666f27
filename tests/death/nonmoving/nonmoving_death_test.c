// SPDX-License-Identifier: MIT
// Misuse of the non-moving heap, and damage to it, end the program with one clear line.
#include "../death.h"

#include "allocators/runtime/config.h"
#include "nonmoving/nm_internal.h"

static nonmoving_thread *enter(int64_t verify) {
  heap_config config = hs_config_default();
  config.verify = verify;
  nonmoving_heap *heap;
  nonmoving_thread *t;
  if (nonmoving_create(&config, &heap) != HEAP_OK || nonmoving_thread_enter(heap, &t) != HEAP_OK)
    _exit(1);
  return t;
}

static nonmoving_heap *heap_of(nonmoving_thread *t) { return nm_thread_of(t)->heap; }

static void destroy_with_a_thread(void) { nonmoving_destroy(heap_of(enter(0))); }
static void destroy_nonsense(void) {
  static _Alignas(HS_CACHE_LINE_BYTES) uint64_t nonsense[1024];
  nonmoving_destroy((nonmoving_heap *)(void *)nonsense);
}
static void use_after_leaving(void) {
  nonmoving_thread *const t = enter(0);
  nonmoving_thread_leave(t);
  nonmoving_collect(t, HEAP_COLLECT_FULL);
}
static void unpin_unpinned(void) {
  nonmoving_thread *const t = enter(0);
  nonmoving_unpin(t, nonmoving_alloc(t, 0, 8));
}
static void weak_to_null(void) {
  nonmoving_weak *weak;
  (void)nonmoving_weak_create(enter(0), HEAP_NULL, &weak);
}
static void collect_unknown_kind(void) { nonmoving_collect(enter(0), (heap_collect_kind)17); }
static void count_references_of_null(void) { (void)nonmoving_ref_count_slow(enter(0), HEAP_NULL); }
static void count_references_of_nonsense(void) {
  (void)nonmoving_ref_count_slow(enter(0), (heap_ref){4096});
}

static void test_misuse_aborts(void **state) {
  (void)state;
  expect_death(destroy_with_a_thread, "while 1 threads are registered");
  expect_death(destroy_nonsense, "not a nonmoving heap");
  expect_death(use_after_leaving, "not a registered thread");
  expect_death(unpin_unpinned, "unpinned that is not pinned");
  expect_death(weak_to_null, "a weak cell needs an object");
  expect_death(collect_unknown_kind, "unknown kind of collection 17");
  expect_death(count_references_of_null, "null reference was dereferenced");
  expect_death(count_references_of_nonsense, "no object of this heap");
}

// ---- damage -------------------------------------------------------------------------------------

// A reference kept in a plain variable over a collection, rooted afterwards: a program's worst mistake.
static void resurrect_a_dead_object(void) {
  nonmoving_thread *const t = enter(0);
  heap_ref root[2];
  heap_frame frame;
  nonmoving_frame_push(t, &frame, root, 2);
  root[0] = nonmoving_alloc(t, 0, 48); // keeps the span
  const heap_ref stale = nonmoving_alloc(t, 0, 48);
  nonmoving_collect(t, HEAP_COLLECT_FULL);
  root[1] = stale;
  nonmoving_collect(t, HEAP_COLLECT_FULL);
  nonmoving_frame_pop(t, &frame);
}

static void break_a_counter(void) {
  nonmoving_thread *const t = enter(1);
  hs_owner_add(&heap_of(t)->counts.free, 1u);
  nonmoving_collect(t, HEAP_COLLECT_FULL);
}

static void test_damage_aborts(void **state) {
  (void)state;
  expect_death(resurrect_a_dead_object, "a reference to a free slot was found");
  expect_death(break_a_counter, "the heap is corrupt after a collection");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_misuse_aborts),
      cmocka_unit_test(test_damage_aborts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
