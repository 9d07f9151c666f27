// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "allocators/runtime/grey.h"

enum { WORDS = 100000 };
static uint8_t popped[WORDS + 1]; // words are 1 .. WORDS

static void pop_all(hs_grey *grey) {
  uintptr_t word;
  while (hs_grey_pop(grey, &word)) {
    assert_in_range(word, 1, WORDS);
    assert_int_equal(popped[word], 0);
    popped[word] = 1;
  }
}

static void test_every_word_comes_back_once(void **state) {
  (void)state;
  memset(popped, 0, sizeof popped);
  hs_grey_pool pool;
  hs_grey grey;
  hs_grey_pool_init(&pool);
  hs_grey_begin(&grey, &pool);
  assert_false(hs_grey_pop(&grey, &(uintptr_t){0}));
  for (uintptr_t word = 1; word <= WORDS; word++) hs_grey_push(&grey, word);
  assert_true(hs_grey_pool_bytes(&pool) >= WORDS * sizeof(uintptr_t));
  pop_all(&grey);
  for (uintptr_t word = 1; word <= WORDS; word++) assert_int_equal(popped[word], 1);
  assert_int_equal(hs_load_relaxed(&pool.overflowed), 0);
  hs_grey_end(&grey);
  hs_grey_pool_trim(&pool);
  assert_int_equal(hs_grey_pool_bytes(&pool), 0);
  assert_int_equal(pool.mapped_bytes, 0);
  hs_grey_pool_destroy(&pool);
}

static void test_a_chunk_is_last_in_first_out(void **state) {
  (void)state;
  hs_grey_pool pool;
  hs_grey grey;
  hs_grey_pool_init(&pool);
  hs_grey_begin(&grey, &pool);
  uintptr_t word;
  for (uintptr_t i = 1; i <= HS_GREY_CHUNK_WORDS; i++) hs_grey_push(&grey, i);
  for (uintptr_t i = HS_GREY_CHUNK_WORDS; i >= 1; i--) {
    assert_true(hs_grey_pop(&grey, &word));
    assert_int_equal(word, i);
  }
  assert_false(hs_grey_pop(&grey, &word));
  hs_grey_end(&grey);
  hs_grey_pool_destroy(&pool);
}

static void test_empty_chunks_are_used_again(void **state) {
  (void)state;
  hs_grey_pool pool;
  hs_grey grey;
  hs_grey_pool_init(&pool);
  hs_grey_begin(&grey, &pool);
  uintptr_t word;
  size_t bytes = 0;
  for (int round = 0; round < 50; round++) {
    for (uintptr_t i = 1; i <= 5000; i++) hs_grey_push(&grey, i);
    while (hs_grey_pop(&grey, &word)) continue;
    if (round == 1) bytes = hs_grey_pool_bytes(&pool);
  }
  assert_int_equal(hs_grey_pool_bytes(&pool), bytes);
  hs_grey_end(&grey);
  hs_grey_pool_destroy(&pool);
}

static void test_work_is_handed_on(void **state) {
  (void)state;
  hs_grey_pool pool;
  hs_grey giver, taker;
  hs_grey_pool_init(&pool);
  hs_grey_begin(&giver, &pool);
  hs_grey_begin(&taker, &pool);
  uintptr_t word = 0;
  hs_grey_push(&giver, 7);
  assert_false(hs_grey_pop(&taker, &word)); // still private
  hs_grey_share(&giver);
  assert_true(hs_grey_pop(&taker, &word));
  assert_int_equal(word, 7);
  hs_grey_push(&giver, 8);
  hs_grey_end(&giver); // publishes the rest
  hs_grey_begin(&giver, &pool);
  assert_true(hs_grey_pop(&taker, &word));
  assert_int_equal(word, 8);
  assert_false(hs_grey_pop(&taker, &word));
  hs_grey_end(&taker);
  hs_grey_end(&giver);
  hs_grey_pool_trim(&pool);
}

static void test_overflow_drops_and_says_so(void **state) {
  (void)state;
  hs_grey_pool pool;
  hs_grey grey;
  uintptr_t word;
  // Fail the growth at the start, and after one block.
  for (uint64_t nth = 1; nth <= 2; nth++) {
    memset(popped, 0, sizeof popped);
    hs_grey_pool_init(&pool);
    hs_grey_begin(&grey, &pool);
    hs_os_fault_arm(HS_OS_FAULT_RESERVE, nth, true);
    for (uintptr_t i = 1; i <= WORDS; i++) hs_grey_push(&grey, i);
    hs_os_fault_disarm();
    assert_int_equal(hs_load_relaxed(&pool.overflowed), 1);
    pop_all(&grey); // what was kept comes back, once
    size_t kept = 0;
    for (uintptr_t i = 1; i <= WORDS; i++) kept += popped[i];
    assert_true(kept < WORDS);
    assert_int_equal(kept > 0, nth > 1);
    // The queue works again when memory does.
    hs_store_relaxed(&pool.overflowed, 0u);
    hs_grey_push(&grey, 42);
    assert_true(hs_grey_pop(&grey, &word));
    assert_int_equal(word, 42);
    assert_int_equal(hs_load_relaxed(&pool.overflowed), 0);
    hs_grey_end(&grey);
    hs_grey_pool_trim(&pool);
  }
}

// ---- several markers ----------------------------------------------------------------------------

enum { MARKERS = 4 };

typedef struct marker {
  hs_grey_pool *pool;
  _Atomic(uint64_t) *outstanding; // pushed and not yet popped, by anybody
  _Atomic(uint8_t) *seen;
  hs_os_thread thread;
} marker;

// Marks the heap-shaped tree over 1..WORDS: node i has the children 2i and 2i + 1.
static void mark_tree(void *argument) {
  marker *const self = argument;
  hs_grey grey;
  hs_grey_begin(&grey, self->pool);
  unsigned since_share = 0;
  while (hs_load_acquire(self->outstanding) > 0) {
    uintptr_t word;
    if (!hs_grey_pop(&grey, &word)) {
      hs_os_yield();
      continue;
    }
    hs_add_relaxed(&self->seen[word], 1);
    for (uintptr_t child = 2 * word; child <= 2 * word + 1 && child <= WORDS; child++) {
      hs_add_acq_rel(self->outstanding, 1);
      hs_grey_push(&grey, child);
    }
    hs_sub_acq_rel(self->outstanding, 1);
    if (++since_share % 64 == 0) hs_grey_share(&grey);
  }
  hs_grey_end(&grey);
}

static void test_markers_share_all_work(void **state) {
  (void)state;
  static _Atomic(uint8_t) seen[WORDS + 1];
  _Atomic(uint64_t) outstanding = 1;
  hs_grey_pool pool;
  hs_grey grey;
  hs_grey_pool_init(&pool);
  hs_grey_begin(&grey, &pool);
  hs_grey_push(&grey, 1);
  hs_grey_end(&grey);
  marker markers[MARKERS];
  for (int i = 0; i < MARKERS; i++) {
    markers[i] = (marker){.pool = &pool, .outstanding = &outstanding, .seen = seen};
    assert_int_equal(hs_os_thread_start(&markers[i].thread, mark_tree, &markers[i]), 0);
  }
  for (int i = 0; i < MARKERS; i++) hs_os_thread_join(&markers[i].thread);
  for (uintptr_t word = 1; word <= WORDS; word++) assert_int_equal(hs_load_relaxed(&seen[word]), 1);
  assert_int_equal(hs_load_relaxed(&pool.full_count), 0);
  hs_grey_pool_trim(&pool);
}

static void test_a_primed_pool_keeps_one_block(void **state) {
  (void)state;
  hs_grey_pool pool;
  hs_grey grey;
  hs_grey_pool_init(&pool);
  assert_true(hs_grey_pool_prime(&pool));
  const size_t least = pool.mapped_bytes;
  assert_true(least > 0);
  assert_true(hs_grey_pool_prime(&pool)); // has one already
  assert_int_equal(pool.mapped_bytes, least);
  hs_grey_begin(&grey, &pool);
  uintptr_t word;
  for (uintptr_t i = 1; i <= 50000; i++) assert_true(hs_grey_push(&grey, i));
  while (hs_grey_pop(&grey, &word)) continue;
  hs_grey_end(&grey);
  assert_true(pool.mapped_bytes > least);
  hs_grey_pool_shrink(&pool);
  assert_int_equal(pool.mapped_bytes, least);
  hs_os_fault_arm(HS_OS_FAULT_ALL, 1, true);
  for (uintptr_t i = 1; i <= HS_GREY_CHUNK_WORDS; i++) assert_true(hs_grey_push(&grey, i));
  hs_os_fault_disarm();
  for (uintptr_t i = HS_GREY_CHUNK_WORDS; i > 0; i--) {
    assert_true(hs_grey_pop(&grey, &word));
    assert_int_equal(word, i);
  }
  hs_grey_end(&grey);
  hs_grey_pool_trim(&pool);
  assert_int_equal(pool.mapped_bytes, 0);
  hs_grey_pool_shrink(&pool); // of nothing
  assert_int_equal(pool.mapped_bytes, 0);
  hs_grey_pool_destroy(&pool);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_word_comes_back_once),
      cmocka_unit_test(test_a_chunk_is_last_in_first_out),
      cmocka_unit_test(test_empty_chunks_are_used_again),
      cmocka_unit_test(test_work_is_handed_on),
      cmocka_unit_test(test_overflow_drops_and_says_so),
      cmocka_unit_test(test_markers_share_all_work),
      cmocka_unit_test(test_a_primed_pool_keeps_one_block),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
