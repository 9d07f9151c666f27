// SPDX-License-Identifier: MIT
// Several threads at once: a sampler that is not registered reads the footprint while mutators
// allocate, collect, enter and leave. What is asserted holds in any interleaving; races are for the
// thread sanitizer to find.
#include "tests/unit/compact/fixture.h"

enum {
  MUTATORS = 3,
  ROUNDS = 6,     // times a mutator enters and leaves
  OBJECTS = 4000, // per round
  LARGE_EVERY = 500,
  LARGE_BYTES = 50000,
  PINNED_EVERY = 1000,
};

typedef struct shared {
  heap *h;
  _Atomic(uint32_t) stopping;
  uint64_t samples, largest; // the sampler's
} shared;

typedef struct mutator {
  hs_os_thread thread;
  shared *all;
  size_t number;
  heap_ref *handed_over; // slots of a global root; each mutator leaves an object in its own
} mutator;

static void sample(void *argument) {
  shared *const all = argument;
  do {
    const uint64_t now = heap_footprint(all->h);
    if (now > all->largest) all->largest = now;
    all->samples++;
  } while (!hs_load_acquire(&all->stopping));
}

// Keeps a quarter of what it allocates, so that there is something to move and to rename.
static void mutate_once(mutator *m, heap_thread *t, unsigned round) {
  HEAP_FRAME(t, root, 2);
  root[0] = heap_alloc(t, OBJECTS, 0);
  for (size_t i = 0; i < OBJECTS; i++) {
    root[1] = heap_alloc(t, 1, i % LARGE_EVERY == 0 ? LARGE_BYTES : 40);
    assert_false(heap_is_null(root[1]));
    *(uint64_t *)heap_write(t, root[1], 1) = i;
    if (i % 4 == 0) heap_store(t, root[0], i, root[1]);
    if (i % PINNED_EVERY != 0) continue;
    assert_non_null(heap_pin(t, root[1], 1));
    if (m->number == 0) heap_collect(t, (heap_collect_kind)(round % 3));
    heap_unpin(t, root[1]);
  }
  for (size_t i = 0; i < OBJECTS; i += 4) {
    const heap_ref object = heap_load(t, root[0], i);
    assert_int_equal(*(const uint64_t *)heap_read(t, object, 1), i);
  }
  heap_root_store(t, &m->handed_over[m->number], heap_load(t, root[0], 4));
  HEAP_FRAME_END(t, root);
}

static void mutate(void *argument) {
  mutator *const m = argument;
  for (unsigned round = 0; round < ROUNDS; round++) {
    heap_thread *t;
    assert_int_equal(heap_thread_enter(m->all->h, &t), HEAP_OK);
    mutate_once(m, t, round);
    heap_thread_leave(t);
  }
}

// The limit never binds; it makes every charge take the path that tests it.
static void run_threads(heap_config config) {
  fixture f = fixture_open(config);
  shared all = {.h = f.h};
  heap_root root;
  heap_ref slots[MUTATORS];
  heap_root_add(f.t, &root, slots, MUTATORS);
  hs_os_thread sampler;
  assert_int_equal(hs_os_thread_start(&sampler, sample, &all), 0);
  mutator mutators[MUTATORS];
  for (size_t i = 0; i < MUTATORS; i++) {
    mutators[i] = (mutator){.all = &all, .number = i, .handed_over = slots};
    assert_int_equal(hs_os_thread_start(&mutators[i].thread, mutate, &mutators[i]), 0);
  }
  heap_blocking_begin(f.t);
  for (size_t i = 0; i < MUTATORS; i++) hs_os_thread_join(&mutators[i].thread);
  heap_blocking_end(f.t);
  hs_store_release(&all.stopping, 1u);
  hs_os_thread_join(&sampler);
  assert_true(all.samples > 0 && all.largest > 0);
  for (size_t i = 0; i < MUTATORS; i++) { // outlived the thread that made it, under any name
    const heap_ref object = heap_root_load(f.t, &slots[i]);
    assert_int_equal(*(const uint64_t *)heap_read(f.t, object, 1), 4);
  }
  heap_root_remove(f.t, &root);
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(STAT(f, heap_objects_count), 0);
  fixture_close(f);
}

static void test_the_footprint_is_read_while_threads_collect(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.min_heap_bytes = 256 << 10; // many cycles
  run_threads(config);
}

static void test_the_footprint_is_read_near_a_limit(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.min_heap_bytes = 256 << 10;
  config.limit_bytes = 64 << 20;
  config.release_free = 1;
  run_threads(config);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_footprint_is_read_while_threads_collect),
      cmocka_unit_test(test_the_footprint_is_read_near_a_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
