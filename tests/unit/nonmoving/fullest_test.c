// SPDX-License-Identifier: MIT
// The variant fullest_first: the order in which partial spans are taken, and what it is for: spans that
// few objects are left in get no new ones, drain, and are freed.
#include "kit.h"

#include "allocators/base/rng.h"

enum {
  OBJECT_BYTES = 64,
  PER_SPAN = NM_PAGE_BYTES / OBJECT_BYTES, // 128
};

// The background thread is stopped: lists change where the test says.
static kit make(int64_t fullest_first) {
  heap_config config = kit_config();
  config.fullest_first = fullest_first;
  kit k = kit_make(config);
  kit_stop_background(&k);
  return k;
}

// ---- order ----------------------------------------------------------------------------------------

// Live objects of each span, in the order in which they were filled: never two neighbours in order of
// fullness, and every quarter twice, at its ends.
static const unsigned live_counts[] = {1, 127, 63, 32, 96, 31, 95, 64};
enum { SPANS = sizeof live_counts / sizeof live_counts[0] };

// Spans with that many live objects each, known by `table`, swept, and on lists.
static void make_spans(kit *k, heap_ref table, const nm_span *spans[SPANS]) {
  kit_fill(k, table, SPANS * PER_SPAN, OBJECT_BYTES);
  for (size_t s = 0; s < SPANS; s++) {
    spans[s] = kit_span(k, nonmoving_load(k->t, table, s * PER_SPAN));
    for (size_t i = live_counts[s]; i < PER_SPAN; i++)
      nonmoving_store(k->t, table, s * PER_SPAN + i, HEAP_NULL);
  }
  nonmoving_collect(k->t, HEAP_COLLECT_FULL);
  for (size_t s = 0; s < SPANS; s++) assert_int_equal(spans[s]->live_count, live_counts[s]);
}

static void test_spans_are_listed_by_the_quarter_they_are_full(void **state) {
  (void)state;
  static const unsigned quarters_missing[SPANS] = {3, 0, 2, 2, 0, 3, 1, 1}; // beyond the first
  for (int64_t option = 0; option < 2; option++) {
    kit k = make(option);
    KIT_FRAME(&k, root, 1);
    root[0] = kit_alloc(&k, SPANS * PER_SPAN, 0);
    const nm_span *spans[SPANS];
    make_spans(&k, root[0], spans);
    for (unsigned cycle = 0; cycle < 3; cycle++) { // parities alternate
      const unsigned parity = hs_load_relaxed(&k.heap->sweepgen) / 2 % 2;
      for (size_t s = 0; s < SPANS; s++)
        assert_int_equal(spans[s]->list, option ? 2 * quarters_missing[s] + parity : parity);
      assert_true(nonmoving_verify(k.t)); // I-nm-6
      nonmoving_collect(k.t, HEAP_COLLECT_FULL);
    }
    KIT_FRAME_END(&k, root);
    kit_free(&k);
  }
}

// The quarters of the spans in the order in which allocation fills them.
static void fill_order(kit *k, unsigned order[SPANS]) {
  KIT_FRAME(k, root, 1);
  root[0] = kit_alloc(k, SPANS * PER_SPAN, 0);
  const nm_span *spans[SPANS], *last = NULL;
  make_spans(k, root[0], spans);
  size_t free_count = 0, filled = 0;
  for (size_t s = 0; s < SPANS; s++) free_count += PER_SPAN - live_counts[s];
  for (size_t i = 0; i < free_count; i++) {
    const nm_span *const span = kit_span(k, kit_alloc(k, 0, OBJECT_BYTES));
    if (span == last) continue;
    last = span;
    size_t s = 0;
    while (s < SPANS && spans[s] != span) s++;
    assert_true(s < SPANS && filled < SPANS); // no new span, none twice
    order[filled++] = live_counts[s] * 4 / PER_SPAN;
  }
  assert_int_equal(filled, SPANS);
  KIT_FRAME_END(k, root);
}

static void test_fuller_spans_are_taken_first(void **state) {
  (void)state;
  unsigned order[SPANS];
  kit k = make(1);
  fill_order(&k, order);
  for (size_t s = 1; s < SPANS; s++) assert_true(order[s] <= order[s - 1]);
  kit_free(&k);
}

static void test_without_the_option_fullness_does_not_matter(void **state) {
  (void)state;
  unsigned order[SPANS];
  kit k = make(0);
  fill_order(&k, order);
  size_t rises = 0;
  for (size_t s = 1; s < SPANS; s++) rises += order[s] > order[s - 1];
  assert_true(rises > 0);
  kit_free(&k);
}

// To choose the fullest, unswept spans are swept first: one that became sparse is not taken for what it
// was before the cycle.
static void test_fullness_is_that_after_the_cycle(void **state) {
  (void)state;
  kit k = make(1);
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, SPANS * PER_SPAN, 0);
  const nm_span *spans[SPANS];
  make_spans(&k, root[0], spans);
  // Of the fullest nearly all objects die, found by a cycle that does not finish its sweep.
  for (size_t i = 1; i < live_counts[1]; i++)
    nonmoving_store(k.t, root[0], PER_SPAN + i, HEAP_NULL);
  hs_store_relaxed(&k.heap->marking.was_small, true);
  hs_store_relaxed(&k.heap->due_bytes, (uint64_t)0);
  nm_cycle_run(k.heap, nm_thread_of(k.t), NM_REASON_TRIGGER);
  assert_false(nm_sweep_is_done(k.heap));
  const nm_span *const taken = kit_span(&k, kit_alloc(&k, 0, OBJECT_BYTES));
  assert_ptr_equal(taken, spans[4]); // 96 of 128: now the only one of the first quarter
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// ---- draining -------------------------------------------------------------------------------------

// In 120 rounds of replacing a twentieth all but 0.2 % (e^-6) of the first objects die: until then it is
// they that keep spans from being freed, wherever new ones go.
enum { LIVE = 20000, THINNING = 8, ROUNDS = 120 };

// A heap of `LIVE` objects, one in eight slots, of which a twentieth is replaced in each round. Pages in
// use before and after.
static void churn(int64_t fullest_first, uint64_t *before, uint64_t *after) {
  kit k = make(fullest_first);
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, LIVE, 0);
  for (size_t i = 0; i < LIVE * THINNING; i++)
    nonmoving_store(k.t, root[0], i / THINNING, kit_alloc(&k, 0, OBJECT_BYTES)); // the last stays
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  *before = hs_load_relaxed(&k.heap->counts.in_use);
  hs_rng rng = hs_rng_seed(1);
  for (unsigned round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < LIVE / 20; i++)
      nonmoving_store(k.t, root[0], (size_t)hs_rng_below(&rng, LIVE),
                      kit_alloc(&k, 0, OBJECT_BYTES));
    nonmoving_collect(k.t, HEAP_COLLECT_FULL);
    if (round % 20 == 0) assert_true(nonmoving_verify(k.t));
  }
  *after = hs_load_relaxed(&k.heap->counts.in_use);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_sparse_spans_drain(void **state) {
  (void)state;
  uint64_t before, with, before_without, without;
  churn(1, &before, &with);
  churn(0, &before_without, &without);
  assert_int_equal(before, before_without);
  assert_true(without > before / 2); // new objects keep them
  assert_true(with < without / 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_spans_are_listed_by_the_quarter_they_are_full),
      cmocka_unit_test(test_fuller_spans_are_taken_first),
      cmocka_unit_test(test_without_the_option_fullness_does_not_matter),
      cmocka_unit_test(test_fullness_is_that_after_the_cycle),
      cmocka_unit_test(test_sparse_spans_drain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
