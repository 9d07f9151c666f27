// SPDX-License-Identifier: MIT
// Releasing memory (forced, in the background, at a growth) and the numbers that describe it.
#include "kit.h"

#include <string.h>

#include "allocators/runtime/stats.h"

#if defined(__SANITIZE_THREAD__)
enum { SHADOWED = 1 };
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
enum { SHADOWED = 1 };
#else
enum { SHADOWED = HS_TRACK_ASAN };
#endif
#else
enum { SHADOWED = HS_TRACK_ASAN };
#endif

static void check_identities(kit *k) {
  heap_stats stats;
  nonmoving_stats_read(k->t, &stats);
  assert_null(hs_stats_violation(&stats));
}

static void test_identities_hold_throughout_a_script(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, 1);
  check_identities(&k);
  root[0] = kit_alloc(&k, 5000, 0);
  check_identities(&k);
  for (size_t round = 0; round < 6; round++) {
    for (size_t i = 0; i < 5000; i++) {
      if (i % (round + 2) == 0) continue;
      nonmoving_store(k.t, root[0], i, kit_alloc(&k, i % 3, (i * 37 + round) % 700));
    }
    nonmoving_store(k.t, root[0], round, kit_alloc(&k, 10, 100000 * round));
    check_identities(&k);
    nonmoving_collect(k.t, (heap_collect_kind)(round % 3));
    check_identities(&k);
    assert_true(nonmoving_verify(k.t));
  }
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_first_allocation_obtains_4_mib_born_released(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_sys_bytes), 0);
  (void)kit_alloc(&k, 0, 16);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_sys_bytes), 4 << 20);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_released_bytes), (4 << 20) - 8192);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_usage_bytes), 8192);
  kit_free(&k);
}

static void test_forced_release_leaves_nothing_free_with_memory(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, 20000, 0);
  kit_fill(&k, root[0], 20000, 100);
  for (size_t i = 0; i < 20000; i++)
    if (i % 500 != 0) nonmoving_store(k.t, root[0], i, HEAP_NULL);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_true(kit_stat(&k, HEAP_STAT_heap_idle_bytes) >
              kit_stat(&k, HEAP_STAT_heap_released_bytes));
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_idle_bytes),
                   kit_stat(&k, HEAP_STAT_heap_released_bytes));
  assert_true(kit_stat(&k, HEAP_STAT_scavenged_bytes) > 0);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_release_of_other_threads_caches(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  nonmoving_thread *other;
  assert_int_equal(nonmoving_thread_enter(k.heap, &other), HEAP_OK); // two, on one OS thread
  assert_false(heap_is_null(nonmoving_alloc(other, 0, 16)));         // caches a span and 63 pages
  nonmoving_blocking_begin(other);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_usage_bytes), 0);
  nonmoving_blocking_end(other);
  assert_false(heap_is_null(nonmoving_alloc(other, 0, 16)));
  nonmoving_thread_leave(other);
  kit_free(&k);
}

static void check_the_resident_set_is_explained(bool huge_pages) {
  heap_config config = kit_config();
  config.huge_pages = huge_pages;
  kit k = kit_make(config);
  hs_os_memory before, after;
  const uint64_t accounted_before = kit_stat(&k, HEAP_STAT_footprint_bytes);
  assert_int_equal(hs_os_memory_read(&before), 0);
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, 400000, 0);
  for (size_t i = 0; i < 400000; i++) {
    const heap_ref object = kit_alloc(&k, 1, 40);
    memset(nonmoving_write(k.t, object, 1), 1, 40); // fresh pages cost nothing until written
    nonmoving_store(k.t, root[0], i, object);
  }
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  const uint64_t accounted = kit_stat(&k, HEAP_STAT_footprint_bytes) - accounted_before;
  assert_int_equal(hs_os_memory_read(&after), 0);
  const uint64_t resident = after.rss_bytes - before.rss_bytes;
  const uint64_t difference = resident > accounted ? resident - accounted : accounted - resident;
  assert_true(difference <= resident / 50 + (1 << 20)); // 2 % + 1 MiB
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_metadata_and_pages_explain_the_resident_set(void **state) {
  (void)state;
  if (SHADOWED) skip(); // shadow memory is resident too
  check_the_resident_set_is_explained(false);
  check_the_resident_set_is_explained(true);
}

// The last page of an object may have brought 2 MiB into memory that were never handed out: after a
// forced release nothing is resident but what counts.
static void test_huge_pages_leave_nothing_behind(void **state) {
  (void)state;
  if (SHADOWED) skip();
  enum { HUGE_BYTES = 2 << 20, BYTES = HUGE_BYTES + NM_PAGE_BYTES };
  heap_config config = kit_config();
  config.huge_pages = 1;
  kit k = kit_make(config);
  KIT_FRAME(&k, root, 1);
  hs_os_memory before, after;
  const uint64_t accounted_before = kit_stat(&k, HEAP_STAT_footprint_bytes);
  assert_int_equal(hs_os_memory_read(&before), 0);
  root[0] = kit_alloc(&k, 0, BYTES);
  memset(nonmoving_write(k.t, root[0], 0), 1, BYTES);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  const uint64_t accounted = kit_stat(&k, HEAP_STAT_footprint_bytes) - accounted_before;
  assert_int_equal(hs_os_memory_read(&after), 0);
  assert_true(after.rss_bytes - before.rss_bytes <= accounted + HUGE_BYTES / 2);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_background_slices_stop_at_the_goal(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  for (size_t i = 0; i < 8; i++)
    memset(nonmoving_write(k.t, kit_alloc(&k, 0, 1 << 20), 0), 1, 1 << 20);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL); // 8 MiB free, with memory
  assert_true(hs_load_relaxed(&k.heap->counts.free) >= 1024);
  assert_true(nm_scavenge_background(k.heap) ==
              HS_BACKGROUND_IDLE); // retains no more than at the peak
  hs_store_relaxed(&k.heap->scavenge_goal, 3u << 20);
  assert_true(nm_scavenge_background(k.heap) == HS_BACKGROUND_IDLE); // freed in this generation
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  hs_store_relaxed(&k.heap->scavenge_goal, 3u << 20);
  // Slices run on this thread, so that the test decides when; each reports how long to sleep.
  for (int slices = 0; nm_scavenge_background(k.heap) != HS_BACKGROUND_IDLE; slices++)
    assert_true(slices < 1000);
  const uint64_t usage = kit_stat(&k, HEAP_STAT_heap_usage_bytes);
  assert_true(usage <= 3 << 20);
  assert_true(usage > (3 << 20) - (64 << 10)); // by less than one quantum
  kit_free(&k);
}

static void count_page(void *context, const heap_map_page *page) {
  (void)page;
  ++*(uint64_t *)context;
}

static void test_the_background_thread_releases(void **state) {
  (void)state;
  heap_config config = kit_config();
  config.scavenge = 1;
  kit k = kit_make(config);
  for (size_t i = 0; i < 8; i++)
    memset(nonmoving_write(k.t, kit_alloc(&k, 0, 1 << 20), 0), 1, 1 << 20);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL); // what the first one freed is eligible now
  hs_store_relaxed(&k.heap->scavenge_goal, 0u);
  hs_background_wake(&k.heap->scavenger);
  // Ends by being released: there is no time limit here but the test's own.
  while (hs_load_relaxed(&k.heap->counts.free) > NM_CHUNK_PAGES / 8) {
    // Pages change state under the eyes of the observers, and none is lost or counted twice.
    uint64_t pages = 0;
    assert_int_equal(kit_stat(&k, HEAP_STAT_heap_sys_bytes) % NM_CHUNK_BYTES, 0);
    assert_true(nonmoving_map(k.t, count_page, &pages));
    assert_int_equal(pages % NM_CHUNK_PAGES, 0);
  }
  assert_true(kit_stat(&k, HEAP_STAT_scavenged_bytes) > 0);
  kit_free(&k); // stops the thread
}

static void test_refused_purges_are_not_counted_as_released(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  (void)kit_alloc(&k, 0, 1 << 20);
  hs_os_fault_arm(HS_OS_FAULT_PURGE, 1, true);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  hs_os_fault_disarm();
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_usage_bytes), 1 << 20);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_usage_bytes), 0);
  kit_free(&k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_identities_hold_throughout_a_script),
      cmocka_unit_test(test_first_allocation_obtains_4_mib_born_released),
      cmocka_unit_test(test_forced_release_leaves_nothing_free_with_memory),
      cmocka_unit_test(test_release_of_other_threads_caches),
      cmocka_unit_test(test_metadata_and_pages_explain_the_resident_set),
      cmocka_unit_test(test_huge_pages_leave_nothing_behind),
      cmocka_unit_test(test_background_slices_stop_at_the_goal),
      cmocka_unit_test(test_the_background_thread_releases),
      cmocka_unit_test(test_refused_purges_are_not_counted_as_released),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
