// SPDX-License-Identifier: MIT
// Marking beside the program, made deterministic: the marker's loop is wrapped, so that the thread that
// collects takes steps of its program between slices of the marking, which are very short. What a step
// does with references must not lose an object, and counts are exact afterwards.
#include "tests/unit/compact/fixture.h"

#include "allocators/base/rng.h"
#include "allocators/os/os.h"
#include "tests/unit/seed.h"

enum {
  SLICE_REFS = 8,  // so that the program takes many steps
  NODES = 3000,    // in an array with a slot for each
  MIN_STEPS = 100, // that a marking must have been interleaved with
};

typedef struct program {
  fixture f;
  hs_marking_ops ops; // the heap's, with the loop wrapped
  void (*step)(struct program *program);
  heap_ref *roots; // of a frame: 0 is an array of nodes, the others are the step's
  uint64_t steps;
  uint64_t numbers[NODES]; // what the node in each slot of the array holds; 0: none
  uint64_t next_number;
  hs_rng rng;
  heap_weak *weak;
  heap_ref pinned;
  bool in_step; // assists of the program come here too
} program;

static program *running; // the wrapped loop knows the heap only

static hs_marked drain_and_step(void *context, hs_grey *grey, uint64_t refs) {
  program *const p = running;
  if (p->step && !p->in_step && p->f.t->base.barrier == HS_BARRIER_BLACK) { // after handshake B
    p->in_step = true;
    p->step(p);
    p->steps++;
    p->in_step = false;
  }
  return cp_marking_ops.drain(context, grey, hs_min_u64(refs, SLICE_REFS));
}

static void set_node(program *p, size_t slot) {
  const heap_ref node = heap_alloc(p->f.t, 1, 16);
  assert_false(heap_is_null(node));
  *(uint64_t *)heap_write(p->f.t, node, 1) = p->numbers[slot] = ++p->next_number;
  heap_store(p->f.t, p->roots[0], slot, node);
}

static void program_open(program *p, heap_config config, heap_ref *roots) {
  *p = (program){.f = fixture_open(config), .ops = cp_marking_ops, .roots = roots};
  p->ops.drain = drain_and_step;
  p->f.h->marking.ops = &p->ops;
  p->rng = hs_rng_seed(test_seed(20261122));
  running = p;
}

static void fill(program *p) {
  p->roots[0] = heap_alloc(p->f.t, NODES, 0);
  for (size_t i = 0; i < NODES; i++) set_node(p, i);
}

static void check(program *p) {
  for (size_t i = 0; i < NODES; i++) {
    const heap_ref node = heap_load(p->f.t, p->roots[0], i);
    assert_int_equal(heap_is_null(node), p->numbers[i] == 0);
    if (!heap_is_null(node))
      assert_int_equal(*(const uint64_t *)heap_read(p->f.t, node, 1), p->numbers[i]);
  }
}

static heap_config quiet(void) {
  heap_config config = hs_config_default();
  config.gogc_percent = -1;
  config.verify = 1;
  return config;
}

// ---- steps --------------------------------------------------------------------------------------

// Hides a reference: out of the array, which may not be scanned yet, into a frame that is, and back into
// another slot, which may be scanned already; what was there is garbage or goes to the first slot.
static void swap_or_replace(program *p) {
  const size_t a = hs_rng_below(&p->rng, NODES), b = hs_rng_below(&p->rng, NODES);
  heap_thread *const t = p->f.t;
  switch (hs_rng_below(&p->rng, 4)) {
  case 0:
    set_node(p, a);
    break;
  case 1: // black objects only, which nobody keeps
    for (int i = 0; i < 20; i++) (void)heap_alloc(t, 2, 40);
    break;
  case 2:
    heap_store(t, p->roots[0], a, HEAP_NULL);
    p->numbers[a] = 0;
    break;
  default: {
    const heap_ref first = heap_load(t, p->roots[0], a), second = heap_load(t, p->roots[0], b);
    const uint64_t number = p->numbers[a];
    heap_store(t, p->roots[0], a, HEAP_NULL);
    heap_store(t, p->roots[0], a, second);
    heap_store(t, p->roots[0], b, first);
    p->numbers[a] = p->numbers[b];
    p->numbers[b] = number;
  }
  }
}

static void take_from_weak_cell(program *p) {
  if (p->steps == 0) p->roots[1] = heap_weak_get(p->f.t, p->weak);
}

static void unpin_and_keep(program *p) {
  if (p->steps > 0) return;
  p->roots[1] = p->pinned;
  heap_unpin(p->f.t, p->pinned);
}

static void allocate_large(program *p) {
  if (p->steps % 10 != 0 || p->steps > 100) return;
  const heap_ref large = heap_alloc(p->f.t, 1, 100000);
  assert_false(heap_is_null(large));
  heap_store(p->f.t, large, 0, p->roots[1]); // a chain of them
  p->roots[1] = large;
}

// ---- tests --------------------------------------------------------------------------------------

// I-cp-13, exact after a cycle: what is counted for each region is what its entries add up to.
static void check_region_counts(const compact_heap *h) {
  const uint32_t regions = h->region_frontier;
  uint64_t *const live = calloc(regions, sizeof *live);
  uint32_t index;
  for (cp_walk walk = cp_walk_begin(h, 0, h->slab_frontier); cp_walk_next(&walk, &index);) {
    const uint64_t word = cp_entry_load(h->table + index);
    if (!(word & CP_ENTRY_LARGE))
      live[cp_entry_offset(word) >> CP_REGION_SHIFT] += CP_LIVE(cp_entry_bytes(word), 1);
  }
  for (uint32_t region = 1; region < regions; region++)
    assert_int_equal(live[region], hs_load_relaxed(&cp_region_at(h, region)->live));
  free(live);
}

static void run_hiding(heap_config config) {
  program p;
  heap_ref roots[2] = {HEAP_NULL};
  program_open(&p, config, roots);
  heap_frame frame;
  heap_frame_push(p.f.t, &frame, roots, 2);
  fill(&p);
  for (int round = 0; round < 3; round++) {
    p.step = swap_or_replace;
    const uint64_t before = p.steps;
    heap_collect(p.f.t, (heap_collect_kind)round);
    assert_true(p.steps - before > MIN_STEPS);
    check_region_counts(p.f.h);
    p.step = NULL;
    check(&p);
    heap_collect(p.f.t, HEAP_COLLECT_FULL); // what was floating is gone: counts are exact
    uint64_t objects = 1;
    for (size_t i = 0; i < NODES; i++) objects += p.numbers[i] != 0;
    assert_int_equal(STAT(p.f, heap_objects_count), objects);
    check(&p);
  }
  heap_frame_pop(p.f.t, &frame);
  fixture_close(p.f);
}

static void test_no_reference_is_lost(void **state) {
  (void)state;
  run_hiding(quiet());
}

static void test_no_reference_is_lost_where_nothing_moves(void **state) {
  (void)state;
  heap_config config = quiet();
  config.compaction = config.renaming = 0;
  run_hiding(config);
}

// A cycle with one step; what the step put into its frame is alive, a number in it says which it is.
static void run_once(void (*step)(program *), void (*prepare)(program *)) {
  program p;
  heap_ref roots[2] = {HEAP_NULL};
  program_open(&p, quiet(), roots);
  heap_frame frame;
  heap_frame_push(p.f.t, &frame, roots, 2);
  fill(&p);
  prepare(&p);
  p.step = step;
  heap_collect(p.f.t, HEAP_COLLECT_FULL);
  assert_true(p.steps > 0);
  check_region_counts(p.f.h);
  assert_false(heap_is_null(roots[1]));
  assert_int_equal(*(const uint64_t *)heap_read(p.f.t, roots[1], 1), 4711);
  p.step = NULL;
  heap_collect(p.f.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(STAT(p.f, heap_objects_count), NODES + 2);
  if (p.weak) {
    assert_true(heap_same(p.f.t, heap_weak_get(p.f.t, p.weak), roots[1]));
    roots[1] = HEAP_NULL;
    heap_collect(p.f.t, HEAP_COLLECT_MINOR);
    assert_true(heap_is_null(heap_weak_get(p.f.t, p.weak)));
    heap_weak_destroy(p.f.t, p.weak);
  }
  heap_frame_pop(p.f.t, &frame);
  fixture_close(p.f);
}

static heap_ref make_special(program *p) {
  const heap_ref object = heap_alloc(p->f.t, 1, 16);
  assert_false(heap_is_null(object));
  *(uint64_t *)heap_write(p->f.t, object, 1) = 4711;
  return object;
}

static void prepare_weak(program *p) {
  assert_int_equal(heap_weak_create(p->f.t, make_special(p), &p->weak), HEAP_OK);
}

static void prepare_pinned(program *p) {
  p->pinned = make_special(p);
  assert_non_null(heap_pin(p->f.t, p->pinned, 1));
}

static void test_a_weak_cell_gives_out_what_then_lives(void **state) {
  (void)state;
  run_once(take_from_weak_cell, prepare_weak);
}

static void test_an_unpinned_object_lives_on_in_a_frame(void **state) {
  (void)state;
  run_once(unpin_and_keep, prepare_pinned);
}

static void test_large_objects_are_allocated_black(void **state) {
  (void)state;
  program p;
  heap_ref roots[2] = {HEAP_NULL};
  program_open(&p, quiet(), roots);
  heap_frame frame;
  heap_frame_push(p.f.t, &frame, roots, 2);
  fill(&p);
  p.step = allocate_large;
  heap_collect(p.f.t, HEAP_COLLECT_FULL);
  p.step = NULL;
  uint64_t count = 0;
  for (heap_ref large = roots[1]; !heap_is_null(large); large = heap_load(p.f.t, large, 0)) count++;
  assert_true(count > 1);
  assert_int_equal(STAT(p.f, heap_objects_count), 1 + NODES + count);
  heap_collect(p.f.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(STAT(p.f, heap_objects_count), 1 + NODES + count);
  heap_frame_pop(p.f.t, &frame);
  fixture_close(p.f);
}

// ---- shading when the bitmaps have turned -------------------------------------------------------

enum { KEPT = NODES / 30, LAST_KEPT = (KEPT - 1) * 30 };

// The thread's part of handshake C: before it, the bitmaps have exchanged their roles, and its barrier is on.
// It overwrites a reference to an object whose entry is new, as it was renamed, and gets no memory to note
// what it shades.
static void store_and_turn(void *context, hs_thread *thread) {
  program *const p = running;
  if (thread == &p->f.t->base && cp_twin_is_on(p->f.h)) {
    hs_grey_drop(&thread->grey);
    hs_grey_pool_trim(&p->f.h->marking.pool);
    hs_os_fault_arm(HS_OS_FAULT_RESERVE | HS_OS_FAULT_COMMIT, 1, true);
    heap_store(p->f.t, p->roots[0], LAST_KEPT, heap_load(p->f.t, p->roots[0], 0));
    assert_true(hs_os_fault_calls() > 0);
    hs_os_fault_disarm();
    p->numbers[LAST_KEPT] = p->numbers[0];
    p->steps++;
  }
  cp_marking_ops.thread_off(context, thread);
}

static void test_shading_after_the_turn_counts_nothing(void **state) {
  (void)state;
  program p;
  heap_ref roots[1] = {HEAP_NULL};
  program_open(&p, quiet(), roots);
  p.ops.thread_off = store_and_turn;
  heap_frame frame;
  heap_frame_push(p.f.t, &frame, roots, 1);
  fill(&p);
  for (size_t i = 0; i < NODES; i++)
    if (i % 30 != 0) {
      heap_store(p.f.t, p.roots[0], i, HEAP_NULL);
      p.numbers[i] = 0;
    }
  heap_collect(p.f.t, HEAP_COLLECT_MINOR); // so that the table is known to be sparse
  assert_true(cp_cycle_run(p.f.h, p.f.t, HEAP_COLLECT_MINOR, CP_REASON_IDLE)); // verifies counts
  assert_int_equal(p.steps, 1);
  assert_int_equal(STAT(p.f, heap_objects_count), 1 + KEPT); // what was overwritten was marked
  check(&p);
  p.ops.thread_off = cp_marking_ops.thread_off;
  heap_collect(p.f.t, HEAP_COLLECT_FULL);
  assert_int_equal(STAT(p.f, heap_objects_count), KEPT);
  check(&p);
  heap_frame_pop(p.f.t, &frame);
  fixture_close(p.f);
}

// An array is scanned in pieces: its elements are not all queued before the first of them is scanned.
static void test_a_large_array_does_not_fill_the_queue(void **state) {
  (void)state;
  enum { COUNT = 200000 };
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 1);
  root[0] = heap_alloc(f.t, COUNT, 0);
  for (size_t i = 0; i < COUNT; i++) heap_store(f.t, root[0], i, heap_alloc(f.t, 1, 8));
  heap_collect(f.t, HEAP_COLLECT_MINOR);
  assert_int_equal(STAT(f, heap_objects_count), 1 + COUNT);
  assert_true(hs_load_relaxed(&f.h->queue_bytes) <=
              64 << 10); // one block of it; 8 bytes each is 1.6 MB
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

// An automatic cycle empties sparse regions in several stops, between which the program goes on.
static void test_an_automatic_cycle_compacts(void **state) {
  (void)state;
  enum { COUNT = 400000 };
  heap_config config = hs_config_default();
  config.min_heap_bytes = 64 << 20;
  fixture f = fixture_open(config);
  HEAP_FRAME(f.t, root, 1);
  fill_array(f, &root[0], COUNT, 40);
  keep_every(f, root[0], COUNT, 2);
  while (STAT(f, cycles_count) == 0)
    for (int i = 0; i < 100000; i++) (void)heap_alloc(f.t, 0, 40);
  assert_true(STAT(f, moved_bytes) > COUNT / 2 * 40 / 2);
  assert_int_equal(STAT(f, forced_cycles_count), 0);
  check_array(f, root[0], COUNT, 2);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f); // verifies
}

// The collector cannot run, as if it got no core: who allocates is held up at each refill beyond the goal,
// and goes on all the same.
static void test_a_thread_is_slowed_down_beyond_the_goal(void **state) {
  (void)state;
  fixture f = fixture_open(hs_config_default());
  const uint64_t goal = STAT(f, next_gc_bytes);
  hs_world_enter_collector(&f.h->world, &f.t->base);
  while (cp_pace_live_bytes(f.h) < goal + goal / 2) (void)heap_alloc(f.t, 0, 1000);
  const uint64_t stalls = f.h->log.durations[HS_EVENT_STALL].count;
  hs_world_leave_collector(&f.h->world);
  assert_true(stalls > 0);
  while (STAT(f, cycles_count) == 0) (void)heap_alloc(f.t, 0, 1000);
  assert_true(cp_pace_live_bytes(f.h) < goal);
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_reference_is_lost),
      cmocka_unit_test(test_no_reference_is_lost_where_nothing_moves),
      cmocka_unit_test(test_a_weak_cell_gives_out_what_then_lives),
      cmocka_unit_test(test_an_unpinned_object_lives_on_in_a_frame),
      cmocka_unit_test(test_large_objects_are_allocated_black),
      cmocka_unit_test(test_shading_after_the_turn_counts_nothing),
      cmocka_unit_test(test_a_large_array_does_not_fill_the_queue),
      cmocka_unit_test(test_an_automatic_cycle_compacts),
      cmocka_unit_test(test_a_thread_is_slowed_down_beyond_the_goal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
