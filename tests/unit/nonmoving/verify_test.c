// SPDX-License-Identifier: MIT
// The verifier must see what is wrong: each test breaks one invariant, expects a complaint, and mends
// it again.
#include "kit.h"

static void expect_complaint(kit *k) { assert_false(nonmoving_verify(k->t)); }

typedef struct broken {
  kit k;
  heap_ref root[1];
  heap_frame frame;
  nm_span *span; // of scan objects of 32 bytes, partly filled
} broken;

static int setup(void **state) {
  broken *const b = test_malloc(sizeof *b);
  b->k = kit_make(kit_config());
  nonmoving_frame_push(b->k.t, &b->frame, b->root, 1);
  for (int i = 0; i < 100; i++) {
    const heap_ref node = kit_alloc(&b->k, 2, 16);
    nonmoving_store(b->k.t, node, 0, b->root[0]);
    b->root[0] = node;
  }
  nonmoving_collect(b->k.t, HEAP_COLLECT_FULL);
  b->span = kit_span(&b->k, b->root[0]);
  assert_true(nonmoving_verify(b->k.t));
  *state = b;
  return 0;
}

static int teardown(void **state) {
  broken *const b = *state;
  nonmoving_frame_pop(b->k.t, &b->frame);
  kit_free(&b->k);
  test_free(b);
  return 0;
}

static void test_stray_marks(void **state) {
  broken *const b = *state;
  uint64_t *const marks = nm_span_bitmap(b->k.heap, b->span, b->span->sweepgen + 2);
  marks[0] |= 8;
  expect_complaint(&b->k);
  marks[0] = 0;
}

static void test_a_wrong_live_count(void **state) {
  broken *const b = *state;
  b->span->live_count++;
  expect_complaint(&b->k);
  b->span->live_count--;
}

static void test_a_reachable_free_slot(void **state) {
  broken *const b = *state;
  uint64_t *const bits = nm_span_alloc_bits(b->k.heap, b->span);
  bits[0] &= ~1ull;
  b->span->live_count--;
  b->k.heap->centrals[b->span->span_class].frees_count++;
  expect_complaint(&b->k);
  bits[0] |= 1;
  b->span->live_count++;
  b->k.heap->centrals[b->span->span_class].frees_count--;
}

static void test_a_root_that_points_nowhere(void **state) {
  broken *const b = *state;
  const heap_ref good = b->root[0];
  b->root[0].bits = good.bits + 8; // inside an object
  expect_complaint(&b->k);
  b->root[0].bits = b->k.heap->base + b->k.heap->range_bytes - 8;
  expect_complaint(&b->k);
  b->root[0] = good;
}

static void test_counters(void **state) {
  broken *const b = *state;
  hs_owner_add(&b->k.heap->counts.released, 1u);
  expect_complaint(&b->k);
  hs_owner_add(&b->k.heap->counts.released, -1ull);
  b->k.heap->centrals[5].mallocs_count++;
  expect_complaint(&b->k);
  b->k.heap->centrals[5].mallocs_count--;
}

static void test_page_entries(void **state) {
  broken *const b = *state;
  nm_page_entry *const entry = &b->k.heap->entries[b->span->first_page];
  entry->bits_index++;
  expect_complaint(&b->k);
  entry->bits_index--;
  b->k.heap->in_use[b->span->first_page / 64] ^= 1ull << (b->span->first_page % 64);
  expect_complaint(&b->k);
  b->k.heap->in_use[b->span->first_page / 64] ^= 1ull << (b->span->first_page % 64);
}

static void test_lists(void **state) {
  broken *const b = *state;
  b->span->list ^= 1;
  expect_complaint(&b->k);
  b->span->list ^= 1;
  hs_store_relaxed(&b->span->home, 0u);
  expect_complaint(&b->k);
  hs_store_relaxed(&b->span->home, b->span->span_class + 1u);
  nm_central *const central = nm_span_central(b->k.heap, b->span);
  hs_owner_add(&central->counts[b->span->list], (size_t)1);
  expect_complaint(&b->k);
  hs_owner_add(&central->counts[b->span->list], -(size_t)1);
}

static void test_shards(void **state) {
  broken *const b = *state;
  b->k.heap->cores = 2;
  nonmoving_thread *other;
  assert_int_equal(nonmoving_thread_enter(b->k.heap, &other), HEAP_OK);
  nonmoving_thread_leave(other);
  assert_int_equal(nm_shard_count(b->k.heap), 2);
  assert_true(nonmoving_verify(b->k.t));
  for (uint8_t wrong = 1; wrong <= 2; wrong++) { // of another shard, of none
    b->span->shard = wrong;
    expect_complaint(&b->k);
  }
  b->span->shard = 0;
  b->k.heap->cores = 1;
  expect_complaint(&b->k);
  b->k.heap->cores = 2;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_stray_marks, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_wrong_live_count, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_reachable_free_slot, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_root_that_points_nowhere, setup, teardown),
      cmocka_unit_test_setup_teardown(test_counters, setup, teardown),
      cmocka_unit_test_setup_teardown(test_page_entries, setup, teardown),
      cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
      cmocka_unit_test_setup_teardown(test_shards, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
