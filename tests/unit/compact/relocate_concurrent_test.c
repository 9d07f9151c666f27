// SPDX-License-Identifier: MIT
// A writer that thwarts every move of an object, and threads that write and allocate across many cycles.
#include "tests/unit/compact/fixture.h"

enum {
  COUNT = 1 << 14,
  BYTES = 64,
  STEP = 8,
  HOT = COUNT / 2, // number of the first object that is always written
  MANY_HOT = 8,    // are worth a stop: a page each is more than 1/32 of what is live
  TRIES = 2,       // of the collector, at each object
  CYCLES = 12,
  MAX_ATTEMPTS = 50,
  THREADS = 3,
  ALLOCATIONS = 40000, // by each thread
};

static heap_config quiet(void) {
  heap_config config = hs_config_default();
  config.gogc_percent = -1;
  config.idle_ms = 0;
  return config;
}

typedef struct writer {
  hs_os_thread thread;
  heap *h;
  heap_ref *slot; // of a global root: the array
  _Atomic(uint32_t) ready, stopping;
  size_t hot_count;
  uint64_t increments, aborts;
} writer;

static void increment(writer *w, heap_thread *t) {
  for (size_t i = 0; i < w->hot_count; i++) {
    const heap_ref hot = heap_load(t, heap_root_load(t, w->slot), HOT + i * STEP);
    w->aborts += (cp_entry_load(cp_entry_of(hot)) & COMPACT_MOVING) != 0;
    ((uint64_t *)heap_write(t, hot, 0))[1]++;
  }
  w->increments++;
}

// A tag is published by the handshake that follows: who writes when asked, before the answer, finds it. Unless
// one poll answers two handshakes, which happens when the collector is quick; then the move succeeds.
static void write_before_each_answer(void *argument) {
  writer *const w = argument;
  heap_thread *t;
  assert_int_equal(heap_thread_enter(w->h, &t), HEAP_OK);
  hs_store_release(&w->ready, 1u);
  while (!hs_load_acquire(&w->stopping)) {
    if (!hs_load_acquire(&t->base.poll)) continue;
    increment(w, t);
    heap_poll(t);
  }
  heap_thread_leave(t);
}

static void write_always(void *argument) {
  writer *const w = argument;
  heap_thread *t;
  assert_int_equal(heap_thread_enter(w->h, &t), HEAP_OK);
  hs_store_release(&w->ready, 1u);
  while (!hs_load_acquire(&w->stopping)) {
    increment(w, t);
    heap_poll(t);
  }
  heap_thread_leave(t);
}

static void start(writer *w, void (*run)(void *)) {
  assert_int_equal(hs_os_thread_start(&w->thread, run, w), 0);
  while (!hs_load_acquire(&w->ready)) {
  }
}

static void finish(writer *w, fixture f) {
  hs_store_release(&w->stopping, 1u);
  heap_blocking_begin(f.t);
  hs_os_thread_join(&w->thread);
  heap_blocking_end(f.t);
  for (size_t i = 0; i < w->hot_count; i++) {
    const heap_ref hot = heap_load(f.t, heap_root_load(f.t, w->slot), HOT + i * STEP);
    assert_int_equal(((const uint64_t *)heap_read(f.t, hot, 0))[1], w->increments);
  }
}

static void make_sparse(fixture f, heap_ref *slot) {
  HEAP_FRAME(f.t, array, 1);
  fill_array(f, &array[0], COUNT, BYTES);
  keep_every(f, array[0], COUNT, STEP);
  heap_root_store(f.t, slot, array[0]);
  HEAP_FRAME_END(f.t, array);
}

// True: every try at every hot object was thwarted.
static bool thwart(size_t hot_count, uint64_t stops) {
  fixture f = fixture_open(quiet());
  heap_root root;
  heap_ref slot[1];
  heap_root_add(f.t, &root, slot, 1);
  make_sparse(f, slot);
  const void *const at = heap_read(f.t, heap_load(f.t, heap_root_load(f.t, slot), HOT), 0);
  writer w = {.h = f.h, .slot = slot, .hot_count = hot_count};
  start(&w, write_before_each_answer);
  heap_collect(f.t, HEAP_COLLECT_MINOR);
  finish(&w, f);
  const bool all = w.aborts == TRIES * hot_count;
  assert_int_equal(STAT(f, aborted_moves_count), w.aborts);
  assert_true(STAT(f, moved_bytes) > 0);
  const heap_ref array = heap_root_load(f.t, slot);
  if (all) {
    assert_int_equal(STAT(f, fallback_stops_count), stops);
    const void *const now = heap_read(f.t, heap_load(f.t, array, HOT), 0);
    assert_int_equal(now == at, stops == 0);
  }
  check_array(f, array, COUNT, STEP);
  heap_root_remove(f.t, &root);
  fixture_close(f);
  return all;
}

static void thwart_until_all(size_t hot_count, uint64_t stops) {
  bool all = false;
  for (int attempt = 0; attempt < MAX_ATTEMPTS && !all; attempt++) all = thwart(hot_count, stops);
  assert_true(all);
}

static void test_one_object_that_is_always_written_stays(void **state) {
  (void)state;
  thwart_until_all(1, 0);
}

static void test_many_that_are_always_written_move_in_a_stop(void **state) {
  (void)state;
  thwart_until_all(MANY_HOT, 1);
}

// Fills again what was emptied, so that there is something to move around the hot object in each cycle.
static void test_no_write_is_lost(void **state) {
  (void)state;
  fixture f = fixture_open(quiet());
  heap_root root;
  heap_ref slot[1];
  heap_root_add(f.t, &root, slot, 1);
  make_sparse(f, slot);
  writer w = {.h = f.h, .slot = slot, .hot_count = 1};
  start(&w, write_always);
  for (int cycle = 0; cycle < CYCLES; cycle++) {
    for (size_t i = 0; i < COUNT; i++) {
      if (i % STEP != 0 || i == HOT) continue; // every kept object moves into a fresh neighbourhood
      const heap_ref fresh = heap_alloc(f.t, 0, BYTES);
      assert_false(heap_is_null(fresh));
      *(uint64_t *)heap_write(f.t, fresh, 0) = i;
      heap_store(f.t, heap_root_load(f.t, slot), i, fresh);
      for (int garbage = 1; garbage < STEP; garbage++) (void)heap_alloc(f.t, 0, BYTES);
    }
    const uint64_t moved = f.h->totals.moved_bytes;
    heap_collect(f.t, HEAP_COLLECT_MINOR);
    assert_true(f.h->totals.moved_bytes > moved);
  }
  finish(&w, f);
  check_array(f, heap_root_load(f.t, slot), COUNT, STEP);
  heap_root_remove(f.t, &root);
  fixture_close(f);
}

// ---- the turn -----------------------------------------------------------------------------------

typedef struct allocator {
  hs_os_thread thread;
  heap *h;
  _Atomic(uint32_t) *running;
} allocator;

static void allocate(void *argument) {
  allocator *const a = argument;
  heap_thread *t;
  assert_int_equal(heap_thread_enter(a->h, &t), HEAP_OK);
  HEAP_FRAME(t, kept, 2);
  for (uint64_t i = 0; i < ALLOCATIONS; i++) {
    kept[1] = heap_alloc(t, 1, 24);
    assert_false(heap_is_null(kept[1]));
    *(uint64_t *)heap_write(t, kept[1], 1) = i;
    if (i % STEP != 0) continue;
    heap_store(t, kept[1], 0, kept[0]);
    kept[0] = kept[1];
  }
  for (uint64_t i = ALLOCATIONS; i > 0; i -= STEP) {
    assert_int_equal(*(const uint64_t *)heap_read(t, kept[0], 1), i - STEP);
    kept[0] = heap_load(t, kept[0], 0);
  }
  assert_true(heap_is_null(kept[0]));
  HEAP_FRAME_END(t, kept);
  heap_thread_leave(t);
  hs_sub_acq_rel(a->running, 1u);
}

static void test_counts_are_exact_across_turns(void **state) {
  (void)state;
  fixture f = fixture_open(quiet());
  _Atomic(uint32_t) running = THREADS;
  allocator all[THREADS];
  for (int i = 0; i < THREADS; i++) {
    all[i] = (allocator){.h = f.h, .running = &running};
    assert_int_equal(hs_os_thread_start(&all[i].thread, allocate, &all[i]), 0);
  }
  uint64_t cycles = 0;
  for (; hs_load_acquire(&running) > 0 || cycles == 0; cycles++) {
    heap_collect(f.t, HEAP_COLLECT_MINOR);
    heap_stats stats;
    heap_stats_read(f.t, &stats);
    assert_null(hs_stats_violation(&stats));
    assert_int_equal(stats.value[HEAP_STAT_mallocs_count] - stats.value[HEAP_STAT_frees_count],
                     stats.value[HEAP_STAT_heap_objects_count]);
    assert_true(heap_verify(f.t));
  }
  heap_blocking_begin(f.t);
  for (int i = 0; i < THREADS; i++) hs_os_thread_join(&all[i].thread);
  heap_blocking_end(f.t);
  assert_int_equal(STAT(f, mallocs_count), THREADS * ALLOCATIONS);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_int_equal(STAT(f, heap_objects_count), 0);
  assert_int_equal(STAT(f, frees_count), THREADS * ALLOCATIONS);
  assert_true(STAT(f, cycles_count) > cycles);
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_object_that_is_always_written_stays),
      cmocka_unit_test(test_many_that_are_always_written_move_in_a_stop),
      cmocka_unit_test(test_no_write_is_lost),
      cmocka_unit_test(test_counts_are_exact_across_turns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
