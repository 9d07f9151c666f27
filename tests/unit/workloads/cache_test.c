// SPDX-License-Identifier: MIT
// The cache that workloads share, against a model that keeps its entries in an array, and with its
// content spoilt: what a heap could do wrong is noticed.
#include "workloads/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/workloads/fake_run.h"

enum { CAPACITY = 20000, TYPICAL = 100, KEYS = 400, OPERATIONS = 20000, ENTRIES_MAX = 1000 };

// ---- the model ----------------------------------------------------------------------------------

typedef struct model_entry {
  uint32_t key;
  uint64_t number, payload;
} model_entry;

// Least recently used first.
typedef struct model {
  model_entry entries[ENTRIES_MAX];
  size_t count;
  uint64_t bytes, puts, digest;
} model;

static size_t model_find(const model *m, uint32_t key) {
  size_t at = 0;
  while (at < m->count && m->entries[at].key != key) at++;
  return at;
}

static model_entry model_take(model *m, size_t at) {
  const model_entry entry = m->entries[at];
  m->count--;
  memmove(&m->entries[at], &m->entries[at + 1], (m->count - at) * sizeof entry);
  return entry;
}

static void model_remove(model *m, size_t at) {
  const model_entry entry = model_take(m, at);
  m->bytes -= entry.payload;
  m->digest = hs_mix64(m->digest ^ entry.number);
}

static void model_put(model *m, uint32_t key, uint64_t payload) {
  const size_t at = model_find(m, key);
  if (at < m->count) model_remove(m, at);
  while (m->bytes + payload > CAPACITY) model_remove(m, 0);
  m->entries[m->count++] = (model_entry){key, m->puts++, payload};
  m->bytes += payload;
}

static bool model_get(model *m, uint32_t key) {
  const size_t at = model_find(m, key);
  if (at == m->count) return false;
  const model_entry entry = model_take(m, at);
  m->entries[m->count++] = entry;
  return true;
}

static void assert_agrees(const cache *c, const model *m) {
  assert_int_equal(c->entry_count, m->count);
  assert_int_equal(c->entry_bytes, m->bytes);
  assert_int_equal(c->put_count, m->puts);
  assert_int_equal(c->digest, m->digest);
}

// ---- tests --------------------------------------------------------------------------------------

// Writes, overwrites and reads of random keys evict the same entries in the same order.
static void test_least_recently_used_goes_first(void **state) {
  workload_run *run = *state;
  HEAP_FRAME(run->thread, roots, CACHE_ROOTS);
  cache c = cache_make(run, roots, CACHE_LRU, CAPACITY, TYPICAL);
  static model m;
  m = (model){.count = 0};
  hs_rng rng = hs_rng_seed(3);
  for (int i = 0; i < OPERATIONS; i++) {
    const uint32_t key = (uint32_t)hs_rng_below(&rng, KEYS);
    if (hs_rng_below(&rng, 2) == 0) {
      assert_int_equal(cache_get(&c, key), model_get(&m, key));
    } else {
      const uint64_t bytes = hs_rng_between(&rng, CACHE_VALUE_MIN, 200);
      cache_put(&c, key, bytes);
      model_put(&m, key, cache_entry_bytes(CACHE_LRU, bytes));
    }
    assert_agrees(&c, &m);
  }
  assert_int_equal(cache_live_bytes(&c), m.bytes + (c.bucket_mask + 1) * sizeof(heap_ref));
  cache_read(&c);
  cache_drop(&c);
  HEAP_FRAME_END(run->thread, roots);
}

static void test_touching_random_entries_keeps_the_cache_whole(void **state) {
  workload_run *run = *state;
  HEAP_FRAME(run->thread, roots, CACHE_ROOTS);
  cache c = cache_make(run, roots, CACHE_LRU, CAPACITY, TYPICAL);
  cache_touch_random(&c); // of none
  uint64_t in_order = 0;
  for (uint32_t i = 0; i < OPERATIONS; i++) {
    cache_put(&c, i, 100);
    cache_touch_random(&c);
    in_order = hs_mix64(in_order ^ i);
  }
  assert_int_equal(c.entry_count, CAPACITY / cache_entry_bytes(CACHE_LRU, 100));
  // Touched entries went later than they were written.
  cache untouched = cache_make(run, roots, CACHE_LRU, CAPACITY, TYPICAL);
  for (uint32_t i = 0; i < OPERATIONS; i++) cache_put(&untouched, i, 100);
  assert_int_not_equal(c.digest, untouched.digest);
  HEAP_FRAME_END(run->thread, roots);
}

// Old entries go sooner, but not in order: some outlive some that were written after them.
static void test_sampling_prefers_what_was_written_first(void **state) {
  workload_run *run = *state;
  HEAP_FRAME(run->thread, roots, CACHE_ROOTS);
  cache c = cache_make(run, roots, CACHE_SAMPLED, CAPACITY, TYPICAL);
  const uint64_t payload = cache_entry_bytes(CACHE_SAMPLED, 92);
  const uint32_t full = (uint32_t)(CAPACITY / payload);
  for (uint32_t i = 0; i < 2 * full; i++) {
    cache_put(&c, i, 92);
    assert_in_range(c.entry_bytes, payload, CAPACITY);
  }
  assert_int_equal(c.entry_count, full);
  uint32_t old = 0, young = 0;
  for (uint32_t i = 0; i < full; i++) old += cache_get(&c, i);
  for (uint32_t i = full; i < 2 * full; i++) young += cache_get(&c, i);
  assert_int_equal(old + young, full);
  assert_in_range(old, 1, full / 3);
  cache_read(&c);
  cache_drop(&c);
  HEAP_FRAME_END(run->thread, roots);
}

// A cache that evicts late exceeds its capacity until it is told; entries of one tick go in any order,
// those of a later tick hardly before them.
static void test_late_eviction_goes_by_ticks(void **state) {
  workload_run *run = *state;
  HEAP_FRAME(run->thread, roots, CACHE_ROOTS);
  cache c = cache_make(run, roots, CACHE_SAMPLED, CAPACITY, TYPICAL);
  const uint64_t payload = cache_entry_bytes(CACHE_SAMPLED, 92);
  const uint32_t full = (uint32_t)(CAPACITY / payload), tick = 2 * full;
  c.evicts_late = true;
  c.tick_puts = tick;
  for (uint32_t i = 0; i < tick; i++) cache_put(&c, i, 92);
  assert_int_equal(c.entry_count, tick);
  cache_evict_excess(&c);
  assert_int_equal(c.entry_count, full);
  cache_read(&c);
  uint32_t first_half = 0, of_tick = 0;
  for (uint32_t i = 0; i < full; i++) first_half += cache_get(&c, i);
  assert_in_range(first_half, full / 3, 2 * full / 3); // by age it would be next to none
  for (uint32_t i = 0; i < full / 4; i++) cache_put(&c, tick + i, 92);
  cache_evict_excess(&c);
  assert_int_equal(c.entry_count, full);
  for (uint32_t i = 0; i < tick; i++) of_tick += cache_get(&c, i);
  assert_in_range(of_tick, full - full / 4, full - full / 4 + full / 40);
  cache_drop(&c);
  HEAP_FRAME_END(run->thread, roots);
}

// The end of a run whose heap spoilt the newest entry in one way.
enum { SPOIL_CONTENT, SPOIL_HEADER, SPOIL_LIST, SPOIL_LOSE, SPOIL_WAYS };

static void spoil(cache *c, int way) {
  const heap_ref newest = c->roots[1], oldest = c->roots[2];
  unsigned char *raw = heap_write(c->t, newest, c->links);
  if (way == SPOIL_CONTENT) raw[CACHE_VALUE_MIN + 3] ^= 1;
  if (way == SPOIL_HEADER) raw[0] ^= 1;
  if (way == SPOIL_LIST) heap_store(c->t, newest, 1, oldest);
  if (way == SPOIL_LOSE) {
    for (size_t i = 0; i <= c->bucket_mask; i++)
      if (heap_same(c->t, heap_load(c->t, c->roots[0], i), newest))
        heap_store(c->t, c->roots[0], i, HEAP_NULL);
  }
}

static void test_spoilt_entries_end_the_run(void **state) {
  workload_run *run = *state;
  HEAP_FRAME(run->thread, roots, CACHE_ROOTS);
  for (volatile int way = 0; way < SPOIL_WAYS; way++) {
    run->invalid = false;
    cache c = cache_make(run, roots, CACHE_LRU, CAPACITY, TYPICAL);
    for (uint32_t i = 0; i < 50; i++) cache_put(&c, i, 100);
    spoil(&c, way);
    if (setjmp(run->end) == 0) cache_read(&c);
    assert_true(run->invalid);
  }
  HEAP_FRAME_END(run->thread, roots);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_least_recently_used_goes_first, fake_run_setup,
                                      fake_run_teardown),
      cmocka_unit_test_setup_teardown(test_touching_random_entries_keeps_the_cache_whole,
                                      fake_run_setup, fake_run_teardown),
      cmocka_unit_test_setup_teardown(test_sampling_prefers_what_was_written_first, fake_run_setup,
                                      fake_run_teardown),
      cmocka_unit_test_setup_teardown(test_late_eviction_goes_by_ticks, fake_run_setup,
                                      fake_run_teardown),
      cmocka_unit_test_setup_teardown(test_spoilt_entries_end_the_run, fake_run_setup,
                                      fake_run_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
