// SPDX-License-Identifier: MIT
// Handles are renamed while objects are marked: whatever holds a name holds the current one afterwards, and
// both names are one object until then.
#include "tests/unit/compact/fixture.h"

enum {
  COUNT = 1 << 18, // the seed's pattern at a quarter of its size
  BYTES = 16,
  STEP = 512,
  KEPT = COUNT / STEP, // one per slab
  CYCLES = 4, // the first finds what died, the second renames; the others find nothing amiss
  ROUNDS = 3,
};

static heap_config quiet(void) {
  heap_config config = hs_config_default();
  config.gogc_percent = -1;
  config.idle_ms = 0;
  return config;
}

// An array of KEPT survivors in a slab each, numbered from 0, in *root.
static void fill_sparsely(fixture f, heap_ref *root) {
  HEAP_FRAME(f.t, array, 2);
  fill_array(f, &array[0], COUNT, BYTES);
  array[1] = heap_alloc(f.t, KEPT, 0);
  for (size_t i = 0; i < KEPT; i++) {
    const heap_ref kept = heap_load(f.t, array[0], i * STEP);
    *(uint64_t *)heap_write(f.t, kept, 0) = i;
    heap_store(f.t, array[1], i, kept);
  }
  heap_root_store(f.t, root, array[1]);
  HEAP_FRAME_END(f.t, array);
}

static void collect(fixture f) {
  for (int cycle = 0; cycle < CYCLES; cycle++) {
    heap_collect(f.t, HEAP_COLLECT_MINOR);
    assert_true(heap_verify(f.t));
  }
}

static uint64_t number_of(heap_thread *t, heap_ref object) {
  return *(const uint64_t *)heap_read(t, object, 0);
}

static void test_every_holder_of_a_name_gets_the_new_one(void **state) {
  (void)state;
  enum { FRAME = KEPT - 2, GLOBAL = KEPT - 3, WEAK = KEPT - 4, PINNED = KEPT - 5, LOST = 7 };
  heap_config config = quiet();
  config.gogc_percent =
      100; // with a goal free pages are given back; little is kept for the next cycle
  config.min_heap_bytes = 64 << 10;
  fixture f = fixture_open(config);
  heap_root root;
  heap_ref slots[2];
  heap_root_add(f.t, &root, slots, 2);
  fill_sparsely(f, &slots[0]);
  const uint64_t table_before = STAT(f, handle_table_bytes);
  HEAP_FRAME(f.t, frame, 2);
  frame[0] = heap_root_load(f.t, &slots[0]);
  frame[1] = heap_load(f.t, frame[0], FRAME);
  heap_root_store(f.t, &slots[1], heap_load(f.t, frame[0], GLOBAL));
  heap_weak *weak, *lost;
  assert_int_equal(heap_weak_create(f.t, heap_load(f.t, frame[0], WEAK), &weak), HEAP_OK);
  assert_int_equal(heap_weak_create(f.t, heap_load(f.t, frame[0], LOST), &lost), HEAP_OK);
  heap_store(f.t, frame[0], LOST, HEAP_NULL);
  const uint64_t *const pinned = heap_pin(f.t, heap_load(f.t, frame[0], PINNED), 0);
  const uintptr_t old = frame[1].bits;
  collect(f);
  assert_true(STAT(f, renamed_count) >= KEPT / 2);
  assert_true(STAT(f, handle_table_bytes) < table_before / 16);
  assert_int_not_equal(frame[1].bits, old);
  assert_true(heap_same(f.t, frame[0], heap_root_load(f.t, &slots[0])));
  assert_true(heap_same(f.t, frame[1], heap_load(f.t, frame[0], FRAME)));
  assert_false(heap_same(f.t, frame[1], frame[0]));
  assert_true(heap_same(f.t, heap_root_load(f.t, &slots[1]), heap_load(f.t, frame[0], GLOBAL)));
  assert_true(heap_same(f.t, heap_weak_get(f.t, weak), heap_load(f.t, frame[0], WEAK)));
  assert_true(heap_is_null(heap_weak_get(f.t, lost)));
  assert_ptr_equal(heap_read(f.t, heap_load(f.t, frame[0], PINNED), 0), pinned);
  assert_int_equal(*pinned, PINNED);
  heap_unpin(f.t, heap_load(f.t, frame[0], PINNED)); // by its new name
  assert_int_equal(f.h->pin_count, 0);
  for (size_t i = 0; i < KEPT; i++)
    if (i != LOST) assert_int_equal(number_of(f.t, heap_load(f.t, frame[0], i)), i);
  heap_weak_destroy(f.t, weak);
  heap_weak_destroy(f.t, lost);
  HEAP_FRAME_END(f.t, frame);
  heap_root_remove(f.t, &root);
  fixture_close(f);
}

// ---- with threads -------------------------------------------------------------------------------

typedef struct other {
  hs_os_thread thread;
  heap *h;
  heap_ref *slot; // of a global root: the array of survivors
  _Atomic(uint32_t) ready, stopping;
  uint64_t steps;
  bool renamed;
} other;

static void other_start(other *o, void (*run)(void *)) {
  assert_int_equal(hs_os_thread_start(&o->thread, run, o), 0);
  while (!hs_load_acquire(&o->ready)) (void)hs_os_futex_wait(&o->ready, 0, UINT64_MAX);
}

static void other_is_ready(other *o) {
  hs_store_release(&o->ready, 1u);
  hs_os_futex_wake(&o->ready, UINT32_MAX);
}

static void other_join(other *o, fixture f) {
  hs_store_release(&o->stopping, 1u);
  hs_os_futex_wake(&o->stopping, UINT32_MAX);
  heap_blocking_begin(f.t);
  hs_os_thread_join(&o->thread);
  heap_blocking_end(f.t);
}

// A heap whose handles are renamed beside another thread.
typedef struct beside {
  fixture f;
  heap_root root;
  heap_ref slots[1]; // the array of survivors
} beside;

static void beside_open(beside *b) {
  b->f = fixture_open(quiet());
  heap_root_add(b->f.t, &b->root, b->slots, 1);
}

static void beside_close(beside *b) {
  heap_root_remove(b->f.t, &b->root);
  fixture_close(b->f);
}

// What the other thread has found when it returns.
static other rename_beside(beside *b, void (*run)(void *)) {
  fill_sparsely(b->f, b->slots);
  const uint64_t renamed = STAT(b->f, renamed_count);
  other o = {.h = b->f.h, .slot = b->slots};
  other_start(&o, run);
  collect(b->f);
  other_join(&o, b->f);
  assert_true(STAT(b->f, renamed_count) > renamed);
  return o;
}

static uint64_t number_at(const beside *b, size_t i) {
  return number_of(b->f.t, heap_load(b->f.t, heap_root_load(b->f.t, b->slots), i));
}

static void hold_names_while_blocked(void *argument) {
  other *const o = argument;
  heap_thread *t;
  assert_int_equal(heap_thread_enter(o->h, &t), HEAP_OK);
  HEAP_FRAME(t, names, KEPT);
  for (size_t i = 0; i < KEPT; i++) names[i] = heap_load(t, heap_root_load(t, o->slot), i);
  const uintptr_t old = names[KEPT - 1].bits;
  heap_blocking_begin(t);
  other_is_ready(o);
  while (!hs_load_acquire(&o->stopping)) (void)hs_os_futex_wait(&o->stopping, 0, UINT64_MAX);
  heap_blocking_end(t);
  o->renamed = names[KEPT - 1].bits != old;
  for (size_t i = 0; i < KEPT; i++) {
    assert_true(heap_same(t, names[i], heap_load(t, heap_root_load(t, o->slot), i)));
    assert_int_equal(number_of(t, names[i]), i);
  }
  HEAP_FRAME_END(t, names);
  heap_thread_leave(t);
}

static void test_a_blocked_thread_wakes_up_with_new_names(void **state) {
  (void)state;
  beside b;
  beside_open(&b);
  assert_true(rename_beside(&b, hold_names_while_blocked).renamed);
  beside_close(&b);
}

// Exchanges references between slots by way of a frame and knows where each number is.
static void shuffle(void *argument) {
  other *const o = argument;
  heap_thread *t;
  assert_int_equal(heap_thread_enter(o->h, &t), HEAP_OK);
  HEAP_FRAME(t, frame, 3);
  uint64_t numbers[KEPT];
  for (uint64_t i = 0; i < KEPT; i++) numbers[i] = i;
  other_is_ready(o);
  for (uint64_t step = 0; !hs_load_acquire(&o->stopping); step++) {
    const size_t a = step * 7919 % KEPT, b = step * 104729 % KEPT;
    const heap_ref array = heap_root_load(t, o->slot);
    frame[0] = heap_load(t, array, a);
    frame[1] = heap_load(t, array, b);
    assert_true(heap_same(t, frame[0], heap_load(t, array, a)));
    assert_int_equal(heap_same(t, frame[0], frame[1]), a == b);
    heap_poll(t); // names in the frame survive it, `array` does not
    assert_int_equal(number_of(t, frame[0]), numbers[a]);
    assert_int_equal(number_of(t, frame[1]), numbers[b]);
    frame[2] = heap_root_load(t, o->slot);
    heap_store(t, frame[2], a, frame[1]);
    heap_store(t, frame[2], b, frame[0]);
    const uint64_t number = numbers[a];
    numbers[a] = numbers[b];
    numbers[b] = number;
    o->steps++;
  }
  HEAP_FRAME_END(t, frame);
  heap_thread_leave(t);
}

static void test_references_are_shuffled_meanwhile(void **state) {
  (void)state;
  beside b;
  beside_open(&b);
  for (int round = 0; round < ROUNDS; round++) {
    assert_true(rename_beside(&b, shuffle).steps > 0);
    bool seen[KEPT] = {false};
    for (size_t i = 0; i < KEPT; i++) {
      const uint64_t number = number_at(&b, i);
      assert_true(number < KEPT && !seen[number]);
      seen[number] = true;
    }
  }
  beside_close(&b);
}

static void come_and_go(void *argument) {
  other *const o = argument;
  other_is_ready(o);
  do {
    heap_thread *t;
    assert_int_equal(heap_thread_enter(o->h, &t), HEAP_OK);
    HEAP_FRAME(t, names, 2);
    for (size_t i = 0; i < KEPT; i += 37) {
      names[0] = heap_load(t, heap_root_load(t, o->slot), i);
      names[1] = heap_alloc(t, 1, BYTES); // a safepoint
      assert_false(heap_is_null(names[1]));
      heap_store(t, names[1], 0, names[0]);
      assert_true(
          heap_same(t, heap_load(t, names[1], 0), heap_load(t, heap_root_load(t, o->slot), i)));
      assert_int_equal(number_of(t, names[0]), i);
    }
    HEAP_FRAME_END(t, names);
    heap_thread_leave(t);
    o->steps++;
  } while (!hs_load_acquire(&o->stopping));
}

static void test_threads_come_and_go_meanwhile(void **state) {
  (void)state;
  beside b;
  beside_open(&b);
  assert_true(rename_beside(&b, come_and_go).steps > 0);
  for (size_t i = 0; i < KEPT; i++) assert_int_equal(number_at(&b, i), i);
  beside_close(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_holder_of_a_name_gets_the_new_one),
      cmocka_unit_test(test_a_blocked_thread_wakes_up_with_new_names),
      cmocka_unit_test(test_references_are_shuffled_meanwhile),
      cmocka_unit_test(test_threads_come_and_go_meanwhile),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
