// SPDX-License-Identifier: MIT
// The control of every test of the write barrier: a program that goes round it, at the one moment at which
// that matters, loses an object, and the verifier says so. One OS thread: see steps.h.
#include "../death.h"

#include "tests/unit/nonmoving/steps.h"

static heap_ref mine[2]; // of a thread whose frame is scanned by then
static bool honest;

// The last reference to an object moves from the heap into the frame.
static void move_into_the_frame(void) {
  mine[1] = nonmoving_load(steps.other, mine[0], 0);
  if (honest)
    nonmoving_store(steps.other, mine[0], 0, HEAP_NULL);
  else
    hs_store_relaxed(nm_slot(mine[0], 0), (uintptr_t)0);
}

static void collect_once(void) {
  steps_open(1);
  heap_frame frame;
  nonmoving_frame_push(steps.other, &frame, mine, 2);
  mine[0] = steps_alloc(1, 40);
  nonmoving_store(steps.other, mine[0], 0, steps_alloc(1, 40));
  steps.on_shade = move_into_the_frame;
  steps_collect();
}

static void test_a_store_without_the_barrier_is_found(void **state) {
  (void)state;
  honest = false;
  expect_death(collect_once, "points to a free slot");
  expect_death(collect_once, "the heap is corrupt after a collection");
}

static void test_the_same_with_the_barrier_is_sound(void **state) {
  (void)state;
  honest = true;
  char text[4096];
  const int status = death_run(collect_once, text, sizeof text);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_store_without_the_barrier_is_found),
      cmocka_unit_test(test_the_same_with_the_barrier_is_sound),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
