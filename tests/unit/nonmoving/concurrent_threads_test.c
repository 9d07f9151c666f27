// SPDX-License-Identifier: MIT
// Programs on their own threads beside cycles that the test's thread runs one after another, with and
// without the verifier. What a thread reads it checks, so an object that was freed too early shows. Run
// under the sanitizers too.
#include "kit.h"

#include "allocators/base/rng.h"

enum { MAX_THREADS = 8 };

typedef struct actor actor;
struct actor {
  kit *k;
  void (*run)(actor *self, nonmoving_thread *t);
  hs_rng rng;
  uint64_t rounds_count; // of its program
  uint64_t refused_count;
  hs_os_thread os;
};

static _Atomic(uint32_t) stopping, busy_count; // busy: actors that have not done a round yet

#define CHECK(condition) HS_REQUIRE((condition), "%s", #condition) // on threads of the test

static void act(void *context) {
  actor *const self = context;
  while (!hs_load_acquire(&stopping) || self->rounds_count == 0) {
    nonmoving_thread *t;
    CHECK(nonmoving_thread_enter(self->k->heap, &t) == HEAP_OK);
    self->run(self, t);
    nonmoving_thread_leave(t);
    if (self->rounds_count++ == 0) hs_sub_acq_rel(&busy_count, 1u);
  }
}

// Runs `count` actors beside `cycles` cycles at least, until each has done a round.
static void run_beside_cycles(kit *k, unsigned count, unsigned cycles,
                              void (*run)(actor *, nonmoving_thread *)) {
  static actor actors[MAX_THREADS];
  hs_store_relaxed(&stopping, 0u);
  hs_store_relaxed(&busy_count, count);
  for (unsigned i = 0; i < count; i++) {
    actors[i] = (actor){.k = k, .run = run, .rng = hs_rng_seed(i + 1)};
    assert_int_equal(hs_os_thread_start(&actors[i].os, act, &actors[i]), 0);
  }
  for (unsigned c = 0; c < cycles || hs_load_acquire(&busy_count) > 0; c++)
    nonmoving_collect(k->t, c % 8 == 7 ? HEAP_COLLECT_RELEASE : HEAP_COLLECT_FULL);
  hs_store_release(&stopping, 1u);
  nonmoving_blocking_begin(k->t);
  for (unsigned i = 0; i < count; i++) hs_os_thread_join(&actors[i].os);
  nonmoving_blocking_end(k->t);
}

// ---- a tree that is rewritten without pause -------------------------------------------------------

enum { DEPTH = 9, STEPS = 1500, KEY_BYTES = 8 };

// Nodes carry their depth, so a node that was freed and used again shows.
static heap_ref node_make(nonmoving_thread *t, uint64_t depth, size_t padding) {
  const heap_ref node = nonmoving_alloc(t, 2, KEY_BYTES + padding);
  if (!heap_is_null(node)) *(uint64_t *)nonmoving_write(t, node, 2) = depth;
  return node;
}

static uint64_t node_depth(nonmoving_thread *t, heap_ref node) {
  return *(const uint64_t *)nonmoving_read(t, node, 2);
}

// Exchange subtrees of equal depth between two trees, move them through the frame, grow new ones.
static void rewrite_trees(actor *self, nonmoving_thread *t) {
  heap_ref slot[4];
  heap_frame frame;
  nonmoving_frame_push(t, &frame, slot, 4);
  slot[0] = node_make(t, 0, 0);
  slot[1] = node_make(t, 0, 0);
  for (unsigned step = 0; step < STEPS; step++) {
    slot[2] = slot[hs_rng_below(&self->rng, 2)];
    uint64_t depth = 0;
    while (depth < DEPTH) { // down a random path, to the first gap
      const unsigned side = (unsigned)hs_rng_below(&self->rng, 2);
      const heap_ref next = nonmoving_load(t, slot[2], side);
      CHECK(node_depth(t, slot[2]) == depth);
      if (heap_is_null(next)) {
        slot[3] = node_make(t, depth + 1, hs_rng_below(&self->rng, 16) == 0 ? 40000 : step % 200);
        if (!heap_is_null(slot[3])) nonmoving_store(t, slot[2], side, slot[3]);
        break;
      }
      if (hs_rng_below(&self->rng, 12) ==
          0) { // the subtree moves to the other side, through the frame
        slot[3] = next;
        const heap_ref other = nonmoving_load(t, slot[2], 1 - side);
        nonmoving_store(t, slot[2], side, other);
        nonmoving_poll(t);
        nonmoving_store(t, slot[2], 1 - side, slot[3]);
      }
      if (hs_rng_below(&self->rng, 200) == 0) nonmoving_store(t, slot[2], side, HEAP_NULL);
      slot[2] = next;
      depth++;
    }
    if (step % 64 == 0) {
      nonmoving_blocking_begin(t);
      nonmoving_blocking_end(t);
    }
  }
  nonmoving_frame_pop(t, &frame);
}

static void check_trees(int64_t gc, int64_t verify, unsigned threads) {
  heap_config config = kit_config();
  config.gc = gc;
  config.verify = verify;
  kit k = kit_make(config);
  run_beside_cycles(&k, threads, 20, rewrite_trees);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_objects_count), 0);
  kit_free(&k);
}

static void test_trees_survive_beside_cycles(void **state) {
  (void)state;
  for (unsigned threads = 1; threads <= MAX_THREADS; threads *= 2) {
    check_trees(HEAP_GC_CONCURRENT, 0, threads);
    check_trees(HEAP_GC_CONCURRENT, 1, threads);
  }
}

static void test_trees_survive_beside_stops(void **state) {
  (void)state;
  check_trees(HEAP_GC_STW, 0, 4);
  check_trees(HEAP_GC_STW, 1, 4);
}

// Extra markers, which take what the collector and the threads publish.
static void test_trees_survive_beside_many_markers(void **state) {
  (void)state;
  heap_config config = kit_config();
  config.workers = 4;
  kit k = kit_make(config);
  run_beside_cycles(&k, 3, 60, rewrite_trees);
  kit_free(&k);
}

// ---- memory that ends -----------------------------------------------------------------------------

static void fill_to_the_limit(actor *self, nonmoving_thread *t) {
  heap_ref slot[1];
  heap_frame frame;
  nonmoving_frame_push(t, &frame, slot, 1);
  uint64_t length = 0;
  for (;; length++) {
    const heap_ref node = node_make(t, length, hs_rng_below(&self->rng, 3000));
    if (heap_is_null(node)) break;
    nonmoving_store(t, node, 0, slot[0]);
    slot[0] = node;
  }
  self->refused_count++;
  for (heap_ref node = slot[0]; !heap_is_null(node); node = nonmoving_load(t, node, 0))
    CHECK(node_depth(t, node) == --length);
  CHECK(length == 0);
  nonmoving_frame_pop(t, &frame);
}

static void test_the_limit_may_be_reached_during_a_cycle(void **state) {
  (void)state;
  heap_config config = kit_config();
  config.limit_bytes = 12 << 20;
  kit k = kit_make(config);
  run_beside_cycles(&k, 2, 20, fill_to_the_limit);
  assert_true(nonmoving_verify(k.t));
  assert_false(heap_is_null(nonmoving_alloc(k.t, 0, 1 << 20)));
  kit_free(&k);
}

static void test_the_os_may_refuse_during_a_cycle(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  hs_os_fault_arm(HS_OS_FAULT_COMMIT | HS_OS_FAULT_RESERVE, 40, true);
  run_beside_cycles(&k, 2, 20, fill_to_the_limit);
  hs_os_fault_disarm();
  assert_true(nonmoving_verify(k.t));
  assert_false(heap_is_null(nonmoving_alloc(k.t, 0, 64 << 20)));
  kit_free(&k);
}

// ---- weak cells -----------------------------------------------------------------------------------

enum { CELLS = 600 };

// Objects die at any time; a cell gives its object, whole, or nothing from then on.
static void read_weak_cells(actor *self, nonmoving_thread *t) {
  heap_ref held[CELLS], slot[1];
  heap_frame frame, frame_of_slot;
  nonmoving_weak *cells[CELLS];
  bool dead[CELLS] = {false};
  nonmoving_frame_push(t, &frame, held, CELLS);
  nonmoving_frame_push(t, &frame_of_slot, slot, 1);
  for (unsigned i = 0; i < CELLS; i++) {
    held[i] = node_make(t, i, 16);
    CHECK(nonmoving_weak_create(t, held[i], &cells[i]) == HEAP_OK);
  }
  for (unsigned step = 0; step < 20 * CELLS; step++) {
    const unsigned i = (unsigned)hs_rng_below(&self->rng, CELLS);
    if (hs_rng_below(&self->rng, 8) == 0) held[i] = HEAP_NULL;
    slot[0] = nonmoving_weak_get(t, cells[i]);
    CHECK(heap_is_null(held[i]) || slot[0].bits == held[i].bits);
    CHECK(!dead[i] || heap_is_null(slot[0]));
    dead[i] = heap_is_null(slot[0]);
    (void)nonmoving_alloc(t, 1, 40);
    if (dead[i]) continue;
    CHECK(node_depth(t, slot[0]) == i);
    if (hs_rng_below(&self->rng, 16) == 0) held[i] = slot[0]; // back from near death
    nonmoving_poll(t);
    CHECK(node_depth(t, slot[0]) == i);
  }
  for (unsigned i = 0; i < CELLS; i++) nonmoving_weak_destroy(t, cells[i]);
  nonmoving_frame_pop(t, &frame_of_slot);
  nonmoving_frame_pop(t, &frame);
}

static void test_weak_cells_are_read_while_they_are_cleared(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  run_beside_cycles(&k, 3, 100, read_weak_cells);
  kit_free(&k);
}

// ---- the end --------------------------------------------------------------------------------------

// The program leaves as soon as the collector was woken: it may be at any point of its cycle.
static void test_a_heap_may_be_destroyed_during_a_cycle(void **state) {
  (void)state;
  heap_config config = kit_config();
  config.gogc_percent = 100;
  config.min_heap_bytes = 1 << 20;
  for (unsigned round = 0; round < 100; round++) {
    kit k = kit_make(config);
    KIT_FRAME(&k, root, 1);
    while (hs_load_relaxed(&k.heap->collector_wanted) == 0) {
      const heap_ref node = kit_alloc(&k, 1, 8);
      nonmoving_store(k.t, node, 0, root[0]);
      root[0] = node;
    }
    for (unsigned i = 0; i < round * 20; i++) (void)kit_alloc(&k, 1, 100);
    KIT_FRAME_END(&k, root);
    nonmoving_thread_leave(k.t);
    nonmoving_destroy(k.heap);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_trees_survive_beside_cycles),
      cmocka_unit_test(test_trees_survive_beside_stops),
      cmocka_unit_test(test_trees_survive_beside_many_markers),
      cmocka_unit_test(test_the_limit_may_be_reached_during_a_cycle),
      cmocka_unit_test(test_the_os_may_refuse_during_a_cycle),
      cmocka_unit_test(test_weak_cells_are_read_while_they_are_cleared),
      cmocka_unit_test(test_a_heap_may_be_destroyed_during_a_cycle),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
