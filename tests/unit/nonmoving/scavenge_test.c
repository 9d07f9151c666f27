// SPDX-License-Identifier: MIT
// The scavenger's policy on a live heap: what may stay, who returns how much and when, huge pages, and
// the trace line.
#include "kit.h"

#include <string.h>
#include <unistd.h>

#include "allocators/base/rng.h"

#define MIB ((uint64_t)1 << 20)
enum { PAGES_PER_MIB = (1 << 20) / NM_PAGE_BYTES };

static heap_config scavenging_config(void) {
  heap_config config = kit_config();
  config.gc = HEAP_GC_STW;
  return config;
}

// `mib` objects of 1 MiB whose pages have memory, in a table.
static void fill_mib(kit *k, heap_ref table, size_t mib) {
  for (size_t i = 0; i < mib; i++) {
    const heap_ref block = kit_alloc(k, 0, MIB);
    memset(nonmoving_write(k->t, block, 0), 1, MIB);
    nonmoving_store(k->t, table, i, block);
  }
}

static uint64_t backed_bytes(const kit *k) {
  return (hs_load_relaxed(&k->heap->counts.in_use) + hs_load_relaxed(&k->heap->counts.free)) *
         NM_PAGE_BYTES;
}

// ---- goals --------------------------------------------------------------------------------------

static void test_what_may_stay_follows_the_heap_goal(void **state) {
  (void)state;
  static const struct {
    uint64_t in_use_mib, free_mib, old_goal, new_goal, expected; // expected in bytes
  } rows[] = {
      {100, 100, 64 * MIB, 64 * MIB, 110 * MIB},     // 10 % more than the spans
      {100, 100, 100 * MIB, 50 * MIB, 55 * MIB},     // the heap is about to shrink
      {100, 200, 50 * MIB, 100 * MIB, 220 * MIB},    // or to grow
      {100, 10, 64 * MIB, 64 * MIB, UINT64_MAX},     // no more than that is there
      {100, 9, 64 * MIB, 64 * MIB, UINT64_MAX},      // less
      {100, 100, UINT64_MAX, UINT64_MAX, 110 * MIB}, // gogc off: as it is
      {100, 100, 64 * MIB, UINT64_MAX, UINT64_MAX},  // no ratio to go by
      {100, 100, UINT64_MAX, 64 * MIB, UINT64_MAX},
      {11, 1000, 64 * MIB, 64 * MIB, 12689408}, // 12.1 MiB, up to a page of the OS
      {1, 1000, 64 * MIB, 64 * MIB, 8 * MIB},   // at least twice the minimum heap
  };
  kit k = kit_make(scavenging_config());
  nm_page_counts *const counts = &k.heap->counts;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    hs_store_relaxed(&counts->in_use, rows[i].in_use_mib * PAGES_PER_MIB);
    hs_store_relaxed(&counts->free, rows[i].free_mib * PAGES_PER_MIB);
    nm_scavenge_note_cycle(k.heap, rows[i].old_goal, rows[i].new_goal);
    const uint64_t goal = hs_load_relaxed(&k.heap->scavenge_goal);
    if (hs_os_page_bytes() == 4096) assert_int_equal(goal, rows[i].expected);
  }
  hs_store_relaxed(&counts->in_use, (uint64_t)0);
  hs_store_relaxed(&counts->free, (uint64_t)0);
  kit_free(&k);
}

static void test_the_soft_limit_is_approached_to_5_percent(void **state) {
  (void)state;
  heap_config config = scavenging_config();
  config.memory_limit_bytes = (int64_t)(100 * MIB);
  kit k = kit_make(config);
  KIT_FRAME(&k, root, 1);
  nm_scavenge_note_cycle(k.heap, MIB, MIB);
  assert_true(hs_load_relaxed(&k.heap->scavenge_ceiling) == UINT64_MAX); // far below it
  root[0] = kit_alloc(&k, 97, 0);
  fill_mib(&k, root[0], 97);
  for (size_t i = 0; i < 97; i++)
    if (i % 4 != 0) nonmoving_store(k.t, root[0], i, HEAP_NULL);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_in_range(hs_load_relaxed(&k.heap->scavenge_ceiling), 95 * MIB - 100, 95 * MIB);
  hs_store_relaxed(&k.heap->scavenge_goal, UINT64_MAX); // the limit alone
  while (nm_scavenge_background(k.heap) != HS_BACKGROUND_IDLE) {
  }
  assert_in_range(nonmoving_footprint(k.heap), 94 * MIB, 95 * MIB);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// ---- eager --------------------------------------------------------------------------------------

// 32 MiB, every second MiB of it free and eligible.
static void make_holes(kit *k, heap_ref *root) {
  *root = kit_alloc(k, 32, 0);
  fill_mib(k, *root, 32);
  for (size_t i = 0; i < 32; i += 2) nonmoving_store(k->t, *root, i, HEAP_NULL);
  nonmoving_collect(k->t, HEAP_COLLECT_FULL);
  nonmoving_collect(k->t, HEAP_COLLECT_FULL);
}

static void test_growth_returns_the_smaller_of_itself_and_the_excess(void **state) {
  (void)state;
  static const struct {
    uint64_t spare_mib, released_mib; // what the goal leaves above the present; what is returned
  } rows[] = {{0, 8}, {3, 5}, {7, 1}, {8, 0}, {100, 0}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    kit k = kit_make(scavenging_config());
    KIT_FRAME(&k, root, 1);
    make_holes(&k, root);
    hs_store_relaxed(&k.heap->scavenge_goal, backed_bytes(&k) + rows[i].spare_mib * MIB);
    const uint64_t before = hs_load_relaxed(&k.heap->scavenged_bytes);
    (void)kit_alloc(&k, 0, 8 * MIB - 1); // fits in no hole: two chunks
    assert_int_equal(hs_load_relaxed(&k.heap->scavenged_bytes) - before,
                     rows[i].released_mib * MIB);
    KIT_FRAME_END(&k, root);
    kit_free(&k);
  }
}

static void test_holes_are_used_before_anything_is_returned(void **state) {
  (void)state;
  kit k = kit_make(scavenging_config());
  KIT_FRAME(&k, root, 1);
  make_holes(&k, root);
  const uint64_t before = hs_load_relaxed(&k.heap->scavenged_bytes);
  (void)kit_alloc(&k, 0, MIB);
  assert_int_equal(hs_load_relaxed(&k.heap->scavenged_bytes), before);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_the_soft_limit_is_paid_for_at_once(void **state) {
  (void)state;
  heap_config config = scavenging_config();
  config.memory_limit_bytes = (int64_t)(40 * MIB);
  kit k = kit_make(config);
  KIT_FRAME(&k, root, 2);
  make_holes(&k, root);
  hs_store_relaxed(&k.heap->scavenge_goal, UINT64_MAX); // growth alone asks for nothing
  hs_store_relaxed(&k.heap->due_bytes, UINT64_MAX);     // and no collection helps
  root[1] = kit_alloc(&k, 0, 16 * MIB);
  assert_true(nonmoving_footprint(k.heap) <= 40 * MIB);
  assert_true(hs_load_relaxed(&k.heap->scavenged_bytes) > 0);
  root[1] = kit_alloc(&k, 0, 64 * MIB); // cannot be kept: soft
  assert_true(nonmoving_footprint(k.heap) > 40 * MIB);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// Several threads grow and pay at once; what one returns, with the lock dropped, another may want.
enum { THREADS = 4, KEPT = 4 };

static void run_grower(void *context) {
  nonmoving_heap *const heap = context;
  nonmoving_thread *t;
  assert_int_equal(nonmoving_thread_enter(heap, &t), HEAP_OK);
  heap_ref kept[KEPT];
  heap_frame frame;
  nonmoving_frame_push(t, &frame, kept, KEPT);
  hs_rng rng = hs_rng_seed((uintptr_t)t);
  for (int i = 0; i < 200; i++) {
    const size_t bytes = (size_t)hs_rng_between(&rng, 40000, 2 * MIB);
    heap_ref *const slot = &kept[hs_rng_below(&rng, KEPT)];
    *slot = nonmoving_alloc(t, 0, bytes);
    memset(nonmoving_write(t, *slot, 0), 1, bytes);
  }
  nonmoving_frame_pop(t, &frame);
  nonmoving_thread_leave(t);
}

static void test_threads_share_the_soft_limit(void **state) {
  (void)state;
  heap_config config = hs_config_default(); // with a background scavenger
  config.memory_limit_bytes = (int64_t)(20 * MIB);
  config.verify = 1;
  kit k = kit_make(config);
  hs_os_thread threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(hs_os_thread_start(&threads[i], run_grower, k.heap), 0);
  nonmoving_blocking_begin(k.t);
  for (int i = 0; i < THREADS; i++) hs_os_thread_join(&threads[i]);
  nonmoving_blocking_end(k.t);
  assert_true(hs_load_relaxed(&k.heap->scavenged_bytes) > 0);
  assert_true(nonmoving_verify(k.t));
  kit_free(&k);
}

// ---- huge pages ---------------------------------------------------------------------------------

static void test_huge_pages_are_returned_whole_or_given_up(void **state) {
  (void)state;
  enum { HUGE = 256 }; // pages: 2 MiB
  heap_config config = scavenging_config();
  config.huge_pages = 1;
  kit k = kit_make(config);
  KIT_FRAME(&k, root, 2);
  const nm_scav_chunk *const chunk = k.heap->pages.scav.chunks;
  root[0] = kit_alloc(&k, 0, 4 * MIB); // chunk 0
  memset(nonmoving_write(k.t, root[0], 0), 1, 4 * MIB);
  root[0] = HEAP_NULL;
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  hs_mutex_lock(&k.heap->lock);
  assert_int_equal(nm_scavenge_pages_locked(k.heap, 1), HUGE); // a page would split it
  hs_mutex_unlock(&k.heap->lock);
  assert_false(chunk->small_pages);
  root[0] = kit_alloc(&k, 0, 2 * MIB); // the lower huge page
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_false(chunk->small_pages); // no page of the other is used
  root[1] = kit_alloc(&k, 0, 2 * MIB - NM_PAGE_BYTES);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_true(chunk->small_pages); // one is not, and would be backed again
  root[1] = HEAP_NULL;
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  root[1] = kit_alloc(&k, 0, MIB);
  assert_true(chunk->small_pages); // sparse
  root[1] = kit_alloc(&k, 0, MIB);
  assert_false(chunk->small_pages); // dense again
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_huge_pages_are_left_to_the_os_without_the_option(void **state) {
  (void)state;
  kit k = kit_make(scavenging_config());
  (void)kit_alloc(&k, 0, 4 * MIB);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  hs_mutex_lock(&k.heap->lock);
  assert_int_equal(nm_scavenge_pages_locked(k.heap, 1), 1);
  hs_mutex_unlock(&k.heap->lock);
  assert_false(k.heap->pages.scav.chunks[0].small_pages);
  kit_free(&k);
}

// ---- trace --------------------------------------------------------------------------------------

// What the heap prints on standard error meanwhile.
static void capture(kit *k, void (*run)(kit *), char *text, size_t text_bytes) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  const int saved = dup(STDERR_FILENO);
  assert_true(saved >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
  run(k);
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(ends[1]);
  size_t length = 0;
  ssize_t count;
  while ((count = read(ends[0], text + length, text_bytes - 1 - length)) > 0)
    length += (size_t)count;
  text[length] = '\0';
  close(ends[0]);
}

static void release(kit *k) { nonmoving_collect(k->t, HEAP_COLLECT_RELEASE); }

static void test_trace_lines(void **state) {
  (void)state;
  heap_config config = scavenging_config();
  config.trace = HEAP_TRACE_SCAV;
  kit k = kit_make(config);
  (void)kit_alloc(&k, 0, 8 * MIB);
  char text[1024];
  capture(&k, release, text, sizeof text);
  // One line when all was swept, one for the release.
  assert_string_equal(text, "scav 0 KiB work (bg), 0 KiB work (eager), 0 KiB now, 0% util\n"
                            "scav 0 KiB work (bg), 8192 KiB work (eager), 8192 KiB now, 0% util "
                            "(forced)\n");
  (void)kit_alloc(&k, 0, 8 * MIB);
  capture(&k, release, text, sizeof text);
  assert_non_null(strstr(text, "8192 KiB work (eager), 8192 KiB now")); // not told twice
  kit_free(&k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_may_stay_follows_the_heap_goal),
      cmocka_unit_test(test_the_soft_limit_is_approached_to_5_percent),
      cmocka_unit_test(test_growth_returns_the_smaller_of_itself_and_the_excess),
      cmocka_unit_test(test_holes_are_used_before_anything_is_returned),
      cmocka_unit_test(test_the_soft_limit_is_paid_for_at_once),
      cmocka_unit_test(test_threads_share_the_soft_limit),
      cmocka_unit_test(test_huge_pages_are_returned_whole_or_given_up),
      cmocka_unit_test(test_huge_pages_are_left_to_the_os_without_the_option),
      cmocka_unit_test(test_trace_lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
