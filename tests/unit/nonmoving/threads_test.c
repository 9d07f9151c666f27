// SPDX-License-Identifier: MIT
// Several mutators: private lists and a shared table, collections by all, threads that come and go.
// Run under ThreadSanitizer too.
#include "kit.h"

#include "allocators/base/rng.h"

enum { THREADS = 4, ROUNDS = 300, NODES = 40 };

typedef struct worker {
  kit *k;
  uint64_t seed;
  bool sound;
} worker;

// A list of NODES nodes of random layout, each carrying its number; checked after garbage was made.
static bool one_round(nonmoving_thread *t, hs_rng *rng) {
  bool sound = true;
  heap_ref root[1];
  heap_frame frame;
  nonmoving_frame_push(t, &frame, root, 1);
  for (uint64_t i = 0; i < NODES; i++) {
    const heap_ref node = nonmoving_alloc(t, 1, 8 + hs_rng_below(rng, 600));
    nonmoving_store(t, node, 0, root[0]);
    *(uint64_t *)nonmoving_write(t, node, 1) = i;
    root[0] = node;
    (void)nonmoving_alloc(t, 0, hs_rng_below(rng, 3000));
    if (hs_rng_below(rng, 64) == 0) (void)nonmoving_alloc(t, 0, 60000);
  }
  uint64_t expected = NODES;
  for (heap_ref node = root[0]; !heap_is_null(node); node = nonmoving_load(t, node, 0))
    sound &= *(const uint64_t *)nonmoving_read(t, node, 1) == --expected;
  nonmoving_frame_pop(t, &frame);
  return sound && expected == 0;
}

static void run_worker(void *context) {
  worker *const w = context;
  hs_rng rng = hs_rng_seed(w->seed);
  nonmoving_thread *t;
  w->sound = nonmoving_thread_enter(w->k->heap, &t) == HEAP_OK;
  for (int round = 0; w->sound && round < ROUNDS; round++) {
    w->sound = one_round(t, &rng);
    const uint64_t dice = hs_rng_below(&rng, 100);
    if (dice == 0) nonmoving_collect(t, HEAP_COLLECT_RELEASE);
    if (dice == 1) nonmoving_collect(t, HEAP_COLLECT_FULL);
    if (dice == 2) w->sound &= nonmoving_verify(t);
    if (dice == 3) { // leave, and come back as another thread
      nonmoving_thread_leave(t);
      w->sound = nonmoving_thread_enter(w->k->heap, &t) == HEAP_OK;
    }
  }
  nonmoving_thread_leave(t);
}

static void test_threads_allocate_and_collect_together(void **state) {
  (void)state;
  heap_config config = hs_config_default(); // with background scavenger and GOGC
  config.min_heap_bytes = 1 << 20;
  kit k = kit_make(config);
  worker workers[THREADS];
  hs_os_thread threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (worker){.k = &k, .seed = (uint64_t)i + 1};
    assert_int_equal(hs_os_thread_start(&threads[i], run_worker, &workers[i]), 0);
  }
  nonmoving_blocking_begin(k.t);
  for (int i = 0; i < THREADS; i++) hs_os_thread_join(&threads[i]);
  nonmoving_blocking_end(k.t);
  for (int i = 0; i < THREADS; i++) assert_true(workers[i].sound);
  assert_true(kit_stat(&k, HEAP_STAT_cycles_count) > 20); // automatic and asked for
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_objects_count), 0);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_usage_bytes), 0);
  kit_free(&k);
}

static void test_statistics_add_up_over_threads(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  nonmoving_thread *other;
  assert_int_equal(nonmoving_thread_enter(k.heap, &other), HEAP_OK);
  for (int i = 0; i < 1000; i++) {
    (void)kit_alloc(&k, 0, 16);
    (void)nonmoving_alloc(other, 0, 48);
  }
  nonmoving_blocking_begin(other);
  assert_int_equal(kit_stat(&k, HEAP_STAT_mallocs_count), 2000);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_alloc_bytes), 64000);
  nonmoving_blocking_end(other);
  nonmoving_thread_leave(other);
  assert_int_equal(kit_stat(&k, HEAP_STAT_mallocs_count), 2000);
  kit_free(&k);
}

// A thread has lists of its own, and uses up what others left before it makes the heap larger.
static void test_spans_that_another_shard_left_are_used(void **state) {
  (void)state;
  enum { SPANS = 100, SPAN_OBJECTS = 8, OBJECT_BYTES = 1024 };
  kit k = kit_make(kit_config());
  k.heap->cores = 2; // whatever the machine has
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, SPANS, 0);
  nonmoving_thread *other;
  assert_int_equal(nonmoving_thread_enter(k.heap, &other), HEAP_OK);
  assert_int_equal(nm_shard_count(k.heap), 2);
  assert_int_not_equal(nm_thread_of(other)->shard, nm_thread_of(k.t)->shard);
  for (size_t i = 0; i < SPANS * SPAN_OBJECTS; i++) { // one of each span lives
    const heap_ref object = nonmoving_alloc(other, 0, OBJECT_BYTES);
    assert_false(heap_is_null(object));
    assert_int_equal(kit_span(&k, object)->shard, nm_thread_of(other)->shard);
    if (i % SPAN_OBJECTS == 0) nonmoving_store(k.t, root[0], i / SPAN_OBJECTS, object);
  }
  nonmoving_thread_leave(other);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  const uint64_t pages = hs_load_relaxed(&k.heap->counts.in_use);
  for (size_t i = 0; i < SPANS * (SPAN_OBJECTS - 1); i++)
    assert_int_equal(kit_span(&k, kit_alloc(&k, 0, OBJECT_BYTES))->shard, nm_thread_of(k.t)->shard);
  assert_int_equal(hs_load_relaxed(&k.heap->counts.in_use), pages);
  (void)kit_alloc(&k, 0, OBJECT_BYTES); // only now
  assert_int_equal(hs_load_relaxed(&k.heap->counts.in_use), pages + 1);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_shards_are_reused_by_later_threads(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  k.heap->cores = 2;
  nonmoving_thread *others[THREADS];
  for (unsigned round = 0; round < 2; round++) {
    for (int i = 0; i < THREADS; i++)
      assert_int_equal(nonmoving_thread_enter(k.heap, &others[i]), HEAP_OK);
    for (int i = 0; i < THREADS; i++) nonmoving_thread_leave(others[i]);
  }
  assert_int_equal(nm_shard_count(k.heap), 2);
  kit_free(&k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_threads_allocate_and_collect_together),
      cmocka_unit_test(test_statistics_add_up_over_threads),
      cmocka_unit_test(test_spans_that_another_shard_left_are_used),
      cmocka_unit_test(test_shards_are_reused_by_later_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
