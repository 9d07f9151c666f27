// SPDX-License-Identifier: MIT
// What Go's tests require of a live heap, required of this one: scenarios and bounds of malloc_test.go,
// gc_test.go, gcinfo_test.go and runtime/debug's garbage_test.go (1.19 to 1.23), restated. README.md
// lists which is which.
#include "kit.h"

#include <string.h>

#include "allocators/base/rng.h"
#include "allocators/runtime/stats.h"

#define MIB ((uint64_t)1 << 20)

// Cycles run where the program asks for one or passes its goal, on the thread that does.
static heap_config automatic_config(void) {
  heap_config config = kit_config();
  config.gogc_percent = 100;
  config.gc = HEAP_GC_STW;
  return config;
}

// ---- pages --------------------------------------------------------------------------------------

static void churn(kit *k, heap_ref table, size_t slots, uint64_t seed) {
  hs_rng rng = hs_rng_seed(seed);
  for (int i = 0; i < 3000; i++) {
    const size_t bytes =
        hs_rng_below(&rng, 10) == 0 ? hs_rng_below(&rng, 300000) : hs_rng_below(&rng, 3000);
    nonmoving_store(k->t, table, hs_rng_below(&rng, slots), kit_alloc(k, 0, bytes));
  }
}

// TestScavengedBitsCleared: no page is both used and released, also in the middle of things.
static void test_used_pages_are_not_released(void **state) {
  (void)state;
  kit k = kit_make(automatic_config());
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, 300, 0);
  for (uint64_t round = 0; round < 6; round++) {
    churn(&k, root[0], 300, round);
    if (round % 2 == 0) nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
    hs_mutex_lock(&k.heap->lock); // the rest of the sweep goes on beside
    for (size_t c = 0; c < k.heap->pages.chunk_end; c++)
      for (unsigned w = 0; w < NM_CHUNK_WORDS; w++)
        assert_true((k.heap->pages.chunks[c].used[w] & k.heap->pages.chunks[c].scavenged[w]) == 0);
    assert_null(nm_pages_violation(&k.heap->pages));
    hs_mutex_unlock(&k.heap->lock);
  }
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// Bits of the page heap and of the thread's cache, and pages of spans, counted one by one.
typedef struct recount {
  uint64_t used, released, spans;
} recount;

static recount count_pages(const kit *k) {
  recount count = {0};
  const size_t pages = nm_grown_pages(k->heap);
  for (size_t p = 0; p < pages; p++) {
    count.used += nm_pages_is_used(&k->heap->pages, p);
    count.released += nm_pages_is_scavenged(&k->heap->pages, p);
    const nm_span *const span = k->heap->entries[p].span;
    if (span && span->first_page == p) count.spans += span->page_count;
  }
  const nm_page_cache *const cache = &nm_thread_of(k->t)->page_cache;
  count.used -= hs_popcount64(cache->free);
  count.released += hs_popcount64(cache->scavenged);
  return count;
}

// TestPageAccounting: after 64 MiB in blocks of 64 KiB the counter is the sum over the spans.
static void test_the_page_counter_is_the_sum_over_spans(void **state) {
  (void)state;
  enum { BLOCKS = 1024, BLOCK_BYTES = 64 << 10 };
  kit k = kit_make(automatic_config());
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, BLOCKS, 0);
  kit_fill(&k, root[0], BLOCKS, BLOCK_BYTES);
  for (int dropped = 0; dropped < 2; dropped++) {
    nm_sweep_all(k.heap); // nobody but this thread changes anything from here
    const uint64_t in_use = hs_load_relaxed(&k.heap->counts.in_use);
    const recount count = count_pages(&k);
    assert_true(in_use >= (dropped ? 1 : BLOCKS * BLOCK_BYTES / NM_PAGE_BYTES));
    assert_int_equal(count.spans, in_use);
    assert_int_equal(count.used, in_use);
    nonmoving_store(k.t, root[0], 0, HEAP_NULL);
    nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  }
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// TestReadMemStats: what is read agrees with a recount, here with half of the heap released.
static void test_statistics_agree_with_a_recount(void **state) {
  (void)state;
  kit k = kit_make(automatic_config());
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, 400, 0);
  for (uint64_t round = 0; round < 4; round++) {
    churn(&k, root[0], 400, 40 + round);
    if (round % 2 == 1) nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
    nm_sweep_all(k.heap);
    heap_stats stats;
    nonmoving_stats_read(k.t, &stats);
    assert_null(hs_stats_violation(&stats));
    const recount count = count_pages(&k);
    uint64_t objects = 0, bytes = 0;
    for (size_t p = 0; p < nm_grown_pages(k.heap); p++) {
      const nm_span *const span = k.heap->entries[p].span;
      if (!span || span->first_page != p) continue;
      for (unsigned i = 0; i < nm_span_objects(span); i++) {
        objects += nm_span_is_allocated(k.heap, span, i);
        bytes += nm_span_is_allocated(k.heap, span, i) * nm_span_slot_bytes(span);
      }
    }
    assert_int_equal(stats.value[HEAP_STAT_heap_inuse_bytes], count.spans * NM_PAGE_BYTES);
    assert_int_equal(stats.value[HEAP_STAT_heap_released_bytes], count.released * NM_PAGE_BYTES);
    assert_int_equal(stats.value[HEAP_STAT_heap_objects_count], objects);
    assert_int_equal(stats.value[HEAP_STAT_heap_alloc_bytes], bytes);
  }
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// TestPageCacheLeak: threads that are gone leave no page behind in their caches.
static void test_leaving_threads_keep_no_pages(void **state) {
  (void)state;
  kit k = kit_make(automatic_config());
  for (int i = 0; i < 40; i++) {
    nonmoving_thread *other;
    assert_int_equal(nonmoving_thread_enter(k.heap, &other), HEAP_OK);
    assert_false(heap_is_null(nonmoving_alloc(other, 0, 100 + 50 * (size_t)i)));
    nonmoving_thread_leave(other);
  }
  assert_int_equal(count_pages(&k).used, count_pages(&k).spans);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(count_pages(&k).used, 0);
  assert_int_equal(count_pages(&k).released, nm_grown_pages(k.heap));
  kit_free(&k);
}

// ---- returning memory ---------------------------------------------------------------------------

// TestPhysicalMemoryUtilization: 32 MiB of blocks, every second one dead; then one of 16 MiB, which fits
// in none of the holes. As the heap grows for it, holes are returned: it retains at most 10 % too much.
static void test_growth_returns_the_holes(void **state) {
  (void)state;
  enum { BLOCKS = 512, BLOCK_BYTES = 64 << 10 };
  kit k = kit_make(automatic_config());
  KIT_FRAME(&k, root, 2);
  root[0] = kit_alloc(&k, BLOCKS, 0);
  kit_fill(&k, root[0], BLOCKS, BLOCK_BYTES);
  for (size_t i = 0; i < BLOCKS; i += 2) nonmoving_store(k.t, root[0], i, HEAP_NULL);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL); // what the first freed may be returned now
  const uint64_t holes = hs_load_relaxed(&k.heap->counts.free);
  assert_true(holes >= BLOCKS / 2 * BLOCK_BYTES / NM_PAGE_BYTES);
  root[1] = kit_alloc(&k, 0, BLOCKS / 2 * BLOCK_BYTES);
  const uint64_t retained = kit_stat(&k, HEAP_STAT_heap_usage_bytes);
  const uint64_t allocated = kit_stat(&k, HEAP_STAT_heap_alloc_bytes);
  assert_true(retained <= allocated + allocated / 10 + NM_CACHE_PAGES * NM_PAGE_BYTES);
  assert_true(hs_load_relaxed(&k.heap->untold_eager_bytes) > 0);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// TestFreeOSMemory: dropping 32 MiB and a forced release raise what is released by at least 16 MiB.
static void test_a_forced_release_returns_what_was_dropped(void **state) {
  (void)state;
  kit k = kit_make(automatic_config());
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, 0, 32 * MIB);
  memset(nonmoving_write(k.t, root[0], 0), 1, 32 * MIB);
  const uint64_t before = kit_stat(&k, HEAP_STAT_heap_released_bytes);
  root[0] = HEAP_NULL;
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_true(kit_stat(&k, HEAP_STAT_heap_released_bytes) - before >= 16 * MIB);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// TestMemoryLimit and its NoGCPercent: what is mapped and not released stays below the limit and a margin,
// with 10 % to 80 % of it live and garbage in between. The margin is 1/16 of the limit with the program
// stopped, and Go's own beside it.
static void check_memory_limit(int64_t gogc, int64_t gc, unsigned live_percent) {
  enum { BLOCK_BYTES = 4 << 10 };
  const uint64_t limit = 64 * MIB, live = limit / 100 * live_percent;
  const uint64_t most = limit + (gc == HEAP_GC_STW ? limit / 16 : 16 * MIB);
  heap_config config = kit_config();
  config.gogc_percent = gogc;
  config.gc = gc;
  config.memory_limit_bytes = (int64_t)limit;
  kit k = kit_make(config);
  KIT_FRAME(&k, root, 1);
  const size_t count = (size_t)(live / BLOCK_BYTES);
  root[0] = kit_alloc(&k, count, 0);
  hs_rng rng = hs_rng_seed(live_percent);
  for (size_t i = 0; i < 4 * limit / BLOCK_BYTES; i++) {
    const size_t slot = i < count ? i : (size_t)hs_rng_below(&rng, count);
    nonmoving_store(k.t, root[0], slot, kit_alloc(&k, 0, BLOCK_BYTES));
    if (i % 256 == 0) assert_true(nonmoving_footprint(k.heap) <= most);
  }
  assert_true(hs_load_relaxed(&k.heap->peak_footprint_bytes) <= most);
  assert_true(kit_stat(&k, HEAP_STAT_cycles_count) > 0);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_the_memory_limit_is_kept(void **state) {
  (void)state;
  static const unsigned live_percents[] = {10, 40, 45,
                                           80}; // at 45 gogc's goal is just below the limit
  for (size_t i = 0; i < sizeof live_percents / sizeof live_percents[0]; i++) {
    for (int64_t gogc = -1; gogc <= 100; gogc += 101) {
      check_memory_limit(gogc, HEAP_GC_STW, live_percents[i]);
      check_memory_limit(gogc, HEAP_GC_CONCURRENT, live_percents[i]);
    }
  }
}

// ---- collecting ---------------------------------------------------------------------------------

// TestUserForcedGC: asking for a collection runs one although automatic ones are off.
static void test_a_collection_can_be_asked_for_with_gogc_off(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  const uint64_t cycles = kit_stat(&k, HEAP_STAT_cycles_count);
  const uint64_t forced = kit_stat(&k, HEAP_STAT_forced_cycles_count);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_int_equal(kit_stat(&k, HEAP_STAT_cycles_count), cycles + 1);
  assert_int_equal(kit_stat(&k, HEAP_STAT_forced_cycles_count), forced + 1);
  kit_free(&k);
}

// TestSetGCPercent: with 100 MiB live the next goal is at 200 MiB, with gogc=50 at 150, within 20; past
// a goal that is near, the next allocation collects.
static void test_the_goal_follows_gogc(void **state) {
  (void)state;
  static const struct {
    int64_t gogc;
    uint64_t goal_mib;
  } rows[] = {{100, 200}, {50, 150}, {10, 110}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    heap_config config = automatic_config();
    config.gogc_percent = rows[i].gogc;
    kit k = kit_make(config);
    KIT_FRAME(&k, root, 1);
    root[0] = kit_alloc(&k, 0, 100 * MIB);
    nonmoving_collect(k.t, HEAP_COLLECT_FULL);
    const uint64_t goal = kit_stat(&k, HEAP_STAT_next_gc_bytes) / MIB;
    assert_true(goal + 20 >= rows[i].goal_mib && goal <= rows[i].goal_mib + 20);
    const uint64_t cycles = kit_stat(&k, HEAP_STAT_cycles_count);
    for (uint64_t mib = 100; mib <= goal; mib += 5) (void)kit_alloc(&k, 0, 5 * MIB);
    (void)kit_alloc(&k, 0, 5 * MIB);
    assert_int_equal(kit_stat(&k, HEAP_STAT_cycles_count), cycles + 1);
    KIT_FRAME_END(&k, root);
    kit_free(&k);
  }
}

// TestGCTestIsReachable: of 16 objects 8 are kept; a collection finds exactly those.
static void test_what_is_kept_is_reachable_and_no_more(void **state) {
  (void)state;
  enum { OBJECTS = 16 };
  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, OBJECTS);
  nonmoving_weak *cells[OBJECTS];
  for (size_t i = 0; i < OBJECTS; i++) {
    root[i] = kit_alloc(&k, 0, 64);
    assert_int_equal(nonmoving_weak_create(k.t, root[i], &cells[i]), HEAP_OK);
  }
  for (size_t i = 0; i < OBJECTS; i++)
    if (i % 2 == 0) root[i] = HEAP_NULL;
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  for (size_t i = 0; i < OBJECTS; i++) {
    assert_int_equal(heap_is_null(nonmoving_weak_get(k.t, cells[i])), i % 2 == 0);
    nonmoving_weak_destroy(k.t, cells[i]);
  }
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// TestTinyAlloc: 16 objects of one byte do not take 16 blocks. Two to a block here, not 16, because raw
// bytes are aligned to 8.
static void test_tiny_objects_share_blocks(void **state) {
  (void)state;
  enum { OBJECTS = 16, BLOCK_BYTES = 16 };
  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, OBJECTS);
  uintptr_t last_block = 0;
  unsigned blocks = 0;
  for (size_t i = 0; i < OBJECTS; i++) {
    root[i] = kit_alloc(&k, 0, 1);
    const uintptr_t block = root[i].bits / BLOCK_BYTES;
    blocks += block != last_block;
    last_block = block;
  }
  assert_int_equal(blocks, OBJECTS / 2);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_used_pages_are_not_released),
      cmocka_unit_test(test_the_page_counter_is_the_sum_over_spans),
      cmocka_unit_test(test_statistics_agree_with_a_recount),
      cmocka_unit_test(test_leaving_threads_keep_no_pages),
      cmocka_unit_test(test_growth_returns_the_holes),
      cmocka_unit_test(test_a_forced_release_returns_what_was_dropped),
      cmocka_unit_test(test_the_memory_limit_is_kept),
      cmocka_unit_test(test_a_collection_can_be_asked_for_with_gogc_off),
      cmocka_unit_test(test_the_goal_follows_gogc),
      cmocka_unit_test(test_what_is_kept_is_reachable_and_no_more),
      cmocka_unit_test(test_tiny_objects_share_blocks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
