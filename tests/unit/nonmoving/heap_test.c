// SPDX-License-Identifier: MIT
// The heap as a whole, one thread: placement, zeroing, tiny blocks, large objects, marking, weak
// cells, pins, limits, the page map.
#include "kit.h"

#include <string.h>

static bool is_zero(const void *memory, size_t bytes) {
  const unsigned char *p = memory;
  for (size_t i = 0; i < bytes; i++)
    if (p[i] != 0) return false;
  return true;
}

static void test_objects_of_a_class_are_adjacent(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, 2048, 0);
  kit_fill(&k, root[0], 1024, 16);
  for (size_t i = 1; i < 512; i++)
    assert_int_equal(nonmoving_load(k.t, root[0], i).bits,
                     nonmoving_load(k.t, root[0], 0).bits + 16 * i);
  nm_span *const first = kit_span(&k, nonmoving_load(k.t, root[0], 511));
  assert_int_equal(first->page_count, 1);
  assert_int_equal(nm_span_objects(first), 512); // exactly, as in Go 1.21
  assert_ptr_not_equal(first, kit_span(&k, nonmoving_load(k.t, root[0], 512)));
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_tiny_objects_share_a_block(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, 3);
  root[0] = kit_alloc(&k, 0, 1);
  root[1] = kit_alloc(&k, 0, 8);
  root[2] = kit_alloc(&k, 0, 0); // distinct, in the next block
  assert_int_equal(root[1].bits, root[0].bits + 8);
  assert_int_equal(root[2].bits, root[0].bits + 16);
  assert_int_equal(kit_span(&k, root[0])->span_class, 5);
  *(uint64_t *)nonmoving_write(k.t, root[1], 0) = 77;
  root[0] = HEAP_NULL; // the second half alone keeps the block
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(*(const uint64_t *)nonmoving_read(k.t, root[1], 0), 77);
  // Tiny halves count as allocated and freed at once; the objects that live are two blocks.
  assert_int_equal(kit_stat(&k, HEAP_STAT_mallocs_count), 3);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_objects_count), 2);
  const heap_ref fresh = kit_alloc(&k, 0, 1); // a collection ends the open block
  assert_true(fresh.bits % 16 == 0);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// Allocate, dirty, drop, collect, allocate again: every byte must read as zero in each mode of release.
static void check_reused_memory_is_zero(bool madv_free, bool release) {
  static const size_t sizes[] = {1, 8, 16, 40, 200, 1000, 9000, 32768, 40000, 1 << 20};
  heap_config config = kit_config();
  config.release_free = madv_free;
  kit k = kit_make(config);
  for (int round = 0; round < 4; round++) {
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
      for (int i = 0; i < 20; i++) {
        const heap_ref ref = kit_alloc(&k, 0, sizes[s]);
        void *const bytes = nonmoving_write(k.t, ref, 0);
        assert_true(is_zero(bytes, sizes[s]));
        memset(bytes, 0xff, sizes[s]);
      }
    }
    nonmoving_collect(k.t, release ? HEAP_COLLECT_RELEASE : HEAP_COLLECT_FULL);
  }
  kit_free(&k);
}

static void test_reused_memory_is_zero(void **state) {
  (void)state;
  for (int mode = 0; mode < 4; mode++) check_reused_memory_is_zero(mode & 1, mode & 2);
}

static void test_fresh_and_released_pages_need_no_clearing(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  heap_ref large = kit_alloc(&k, 0, 200000);
  assert_false(kit_span(&k, large)->needs_zero); // never used
  memset(nonmoving_write(k.t, large, 0), 1, 200000);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  large = kit_alloc(&k, 0, 200000);
  assert_true(kit_span(&k, large)->needs_zero); // used before, memory kept
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  large = kit_alloc(&k, 0, 200000);
  assert_false(kit_span(&k, large)->needs_zero); // the kernel clears
  kit_free(&k);
}

static void test_ref_counts_survive_reuse_of_slots(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, 1);
  for (size_t total = 1; total <= 600; total += 7) {
    for (size_t refs = 1; refs <= total; refs += 1 + total / 5) {
      root[0] = kit_alloc(&k, refs, (total - refs) * 8);
      assert_int_equal(nonmoving_ref_count_slow(k.t, root[0]), refs);
    }
    nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  }
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_raw_bytes_are_no_references(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, 1, 8);
  const heap_ref dead = kit_alloc(&k, 0, 48);
  *(uintptr_t *)nonmoving_write(k.t, root[0], 1) = dead.bits;
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_objects_count), 1);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// A list much longer than any stack, with a large array in the middle that points back into it.
static void test_deep_and_cyclic_graphs_survive(void **state) {
  (void)state;
  enum { LENGTH = 200000, ARRAY = 50000 };
  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, 2);
  for (size_t i = 0; i < LENGTH; i++) {
    const heap_ref node = kit_alloc(&k, 1, 8);
    nonmoving_store(k.t, node, 0, root[0]);
    *(uint64_t *)nonmoving_write(k.t, node, 1) = i;
    root[0] = node;
  }
  root[1] = kit_alloc(&k, ARRAY, 0); // several oblets
  for (size_t i = 0; i < ARRAY; i++)
    nonmoving_store(k.t, root[1], i, i % 2 ? root[1] : kit_alloc(&k, 1, 0));
  const heap_ref last = nonmoving_load(k.t, root[1], ARRAY - 2);
  nonmoving_store(k.t, last, 0, root[1]);
  for (int round = 0; round < 3; round++) nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_objects_count), LENGTH + 1 + ARRAY / 2);
  uint64_t expected = LENGTH;
  for (heap_ref node = root[0]; !heap_is_null(node); node = nonmoving_load(k.t, node, 0))
    assert_int_equal(*(const uint64_t *)nonmoving_read(k.t, node, 1), --expected);
  assert_int_equal(expected, 0);
  root[0] = root[1] = HEAP_NULL;
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_usage_bytes), 0);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// The law of the step table: pages with a survivor stay, all others go, exactly.
static void test_survivors_pin_their_spans_exactly(void **state) {
  (void)state;
  static const size_t sizes[] = {8, 16, 24, 48, 112, 1024, 9472, 40000};
  static const size_t steps[] = {1, 7, 128, 600};
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
    for (size_t p = 0; p < sizeof steps / sizeof steps[0]; p++) {
      const size_t size = sizes[s], step = steps[p], count = size > 4096 ? 700 : 6000;
      kit k = kit_make(kit_config());
      KIT_FRAME(&k, root, 1);
      root[0] = kit_alloc(&k, count, 0);
      kit_fill(&k, root[0], count, size);
      const nm_span *const any = kit_span(&k, nonmoving_load(k.t, root[0], 0));
      const size_t per_span = nm_span_objects(any) * (size == 8 ? 2 : 1);
      const size_t span_bytes = nm_span_bytes(any), slot = nm_span_slot_bytes(any);
      size_t kept = 0, pinned = 0, last = SIZE_MAX;
      for (size_t i = 0; i < count; i++) {
        if (i % step != 0) {
          nonmoving_store(k.t, root[0], i, HEAP_NULL);
          continue;
        }
        if (i / per_span != last) pinned++;
        last = i / per_span;
        kept++;
      }
      const size_t live_slots = size == 8 && step == 1 ? count / 2 : kept;
      nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
      const nm_span *const table = kit_span(&k, root[0]);
      const uint64_t usage = kit_stat(&k, HEAP_STAT_heap_usage_bytes);
      assert_int_equal(usage, pinned * span_bytes + nm_span_bytes(table));
      assert_int_equal(kit_stat(&k, HEAP_STAT_max_fragmentation_bytes),
                       usage - live_slots * slot - nm_span_slot_bytes(table));
      KIT_FRAME_END(&k, root);
      kit_free(&k);
    }
  }
}

static void test_slots_of_the_dead_are_reused_before_the_heap_grows(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, 4096, 0);
  kit_fill(&k, root[0], 4096, 64);
  for (size_t i = 0; i < 4096; i += 2) nonmoving_store(k.t, root[0], i, HEAP_NULL);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  const uint64_t in_use = kit_stat(&k, HEAP_STAT_heap_inuse_bytes);
  for (size_t i = 0; i < 4096; i += 2) nonmoving_store(k.t, root[0], i, kit_alloc(&k, 0, 64));
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_inuse_bytes), in_use);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// gc=stw: the thread that finds the cycle due has run it when its allocation returns.
static void test_dead_spans_are_reclaimed_before_pages_are_taken(void **state) {
  (void)state;
  heap_config config = kit_config();
  config.gc = HEAP_GC_STW;
  kit k = kit_make(config);
  kit_stop_background(&k);                                        // it would sweep
  for (size_t i = 0; i < 200000; i++) (void)kit_alloc(&k, 0, 64); // 12 MiB of garbage
  nm_cycle_run(k.heap, nm_thread_of(k.t), NM_REASON_TRIGGER);     // not due: nothing happens
  assert_int_equal(k.heap->cycle.cycles_count, 0);
  hs_store_relaxed(&k.heap->due_bytes, 0u); // due
  (void)kit_alloc(&k, 0, 5000);
  assert_int_equal(k.heap->cycle.cycles_count, 1);
  assert_false(nm_sweep_is_done(k.heap)); // a chunk was reclaimed, not all
  const uint64_t backed =
      hs_load_relaxed(&k.heap->counts.in_use) + hs_load_relaxed(&k.heap->counts.free);
  hs_store_relaxed(&k.heap->due_bytes, UINT64_MAX);
  (void)kit_alloc(&k, 0, 6 << 20); // more than one chunk must come back
  assert_int_equal(hs_load_relaxed(&k.heap->counts.in_use) + hs_load_relaxed(&k.heap->counts.free),
                   backed);
  kit_free(&k);
}

static void test_collections_start_at_the_goal(void **state) {
  (void)state;
  heap_config config = kit_config();
  config.gogc_percent = 100;
  config.gc = HEAP_GC_STW;
  kit k = kit_make(config);
  assert_int_equal(kit_stat(&k, HEAP_STAT_next_gc_bytes), 4 << 20);
  for (size_t i = 0; i < (64 << 20) / 16; i++) (void)kit_alloc(&k, 0, 16);
  const uint64_t cycles = kit_stat(&k, HEAP_STAT_cycles_count);
  assert_true(cycles >= 14 && cycles <= 16); // 64 MiB of garbage at 4 MiB each
  assert_true(kit_stat(&k, HEAP_STAT_heap_sys_bytes) <= 8 << 20);
  kit_free(&k);
}

// gc=concurrent: short of the goal, so that marking ends before it is reached; and by another thread,
// which is woken once.
static void test_concurrent_collections_start_short_of_the_goal(void **state) {
  (void)state;
  heap_config config = kit_config();
  config.gogc_percent = 100;
  kit k = kit_make(config);
  kit_stop_background(&k);
  const uint64_t goal = kit_stat(&k, HEAP_STAT_next_gc_bytes);
  const uint64_t due = hs_load_relaxed(&k.heap->due_bytes);
  assert_int_equal(goal, 4 << 20);
  assert_true(due < goal && due > goal / 2);
  while (hs_load_relaxed(&k.heap->collector_wanted) == 0) (void)kit_alloc(&k, 0, 16);
  const uint64_t live = hs_load_relaxed(&k.heap->live_bytes);
  assert_true(live >= due && live < goal);
  assert_int_equal(kit_stat(&k, HEAP_STAT_cycles_count), 0); // the allocation did not wait for it
  nm_cycle_run(k.heap, nm_thread_of(k.t), NM_REASON_TRIGGER);
  assert_int_equal(kit_stat(&k, HEAP_STAT_cycles_count), 1);
  assert_true(hs_load_relaxed(&k.heap->live_bytes) < due);
  kit_free(&k);
}

static void test_weak_cells_die_with_their_target(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, 2);
  nonmoving_weak *cells[2];
  for (int i = 0; i < 2; i++) {
    root[i] = kit_alloc(&k, 0, i == 0 ? 24 : 100000);
    assert_int_equal(nonmoving_weak_create(k.t, root[i], &cells[i]), HEAP_OK);
  }
  root[1] = HEAP_NULL;
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_int_equal(nonmoving_weak_get(k.t, cells[0]).bits, root[0].bits);
  assert_true(heap_is_null(nonmoving_weak_get(k.t, cells[1])));
  root[0] = HEAP_NULL;
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_true(heap_is_null(nonmoving_weak_get(k.t, cells[0])));
  nonmoving_weak *const old = cells[1];
  nonmoving_weak_destroy(k.t, old);
  root[0] = kit_alloc(&k, 0, 24);
  assert_int_equal(nonmoving_weak_create(k.t, root[0], &cells[1]), HEAP_OK);
  assert_ptr_equal(cells[1], old); // recycled
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_pins_keep_alive_and_nest(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  const heap_ref object = kit_alloc(&k, 1, 8);
  uint64_t *const word = nonmoving_pin(k.t, object, 1);
  assert_ptr_equal(nonmoving_pin(k.t, object, 1), word);
  *word = 5;
  nonmoving_unpin(k.t, object);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_int_equal(*word, 5);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_objects_count), 1);
  nonmoving_unpin(k.t, object);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_objects_count), 0);
  kit_free(&k);
}

static void test_the_limit_holds_and_garbage_does_not_count(void **state) {
  (void)state;
  heap_config config = kit_config();
  config.limit_bytes = 8 << 20;
  kit k = kit_make(config);
  KIT_FRAME(&k, root, 1);
  for (int i = 0; i < 200; i++) root[0] = kit_alloc(&k, 0, 1 << 20); // all but one are garbage
  assert_true(heap_is_null(nonmoving_alloc(k.t, 0, 16 << 20)));
  assert_true(heap_is_null(nonmoving_alloc(k.t, 0, SIZE_MAX)));
  assert_true(heap_is_null(nonmoving_alloc(k.t, SIZE_MAX / 8, 64)));
  assert_true(kit_stat(&k, HEAP_STAT_footprint_bytes) <= 8 << 20);
  size_t count = 0;
  for (heap_ref node; !heap_is_null(node = nonmoving_alloc(k.t, 1, 1000)); count++) {
    nonmoving_store(k.t, node, 0, root[0]);
    root[0] = node;
  }
  assert_true(count > 6000 && count < 8200); // 1 KiB slots in what is left of 8 MiB
  assert_true(kit_stat(&k, HEAP_STAT_footprint_bytes) <= 8 << 20);
  root[0] = HEAP_NULL;
  root[0] = kit_alloc(&k, 0, 4 << 20); // and it recovers
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// The page entries of an object of half a GiB take a MiB.
static void test_the_limit_counts_the_metadata_of_a_large_object(void **state) {
  (void)state;
  heap_config config = kit_config();
  config.limit_bytes = 512 << 20;
  kit k = kit_make(config);
  size_t bytes = 512 << 20; // untouched, so they cost address space only
  while (heap_is_null(nonmoving_alloc(k.t, 0, bytes))) bytes -= 64 << 10;
  assert_true(bytes > 508 << 20);
  assert_true(kit_stat(&k, HEAP_STAT_footprint_bytes) <= 512 << 20);
  kit_free(&k);
}

typedef struct map_total {
  uint64_t live, resident, pages;
  uintptr_t last;
} map_total;

static void add_page(void *context, const heap_map_page *page) {
  map_total *const total = context;
  assert_true(page->address > total->last);
  assert_true(page->live_bytes <= page->page_bytes);
  total->last = page->address;
  total->live += page->live_bytes;
  total->resident += page->resident ? page->page_bytes : 0;
  total->pages++;
}

static void test_the_map_agrees_with_the_statistics(void **state) {
  (void)state;
  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, 2);
  root[0] = kit_alloc(&k, 3000, 0);
  kit_fill(&k, root[0], 1500, 16);
  root[1] = kit_alloc(&k, 0, 9472); // slots that straddle pages
  for (size_t i = 0; i < 1500; i += 3) nonmoving_store(k.t, root[0], i, HEAP_NULL);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  map_total total = {0};
  assert_true(nonmoving_map(k.t, add_page, &total));
  assert_int_equal(total.live, kit_stat(&k, HEAP_STAT_heap_alloc_bytes));
  assert_int_equal(total.resident, kit_stat(&k, HEAP_STAT_heap_usage_bytes));
  assert_int_equal(total.pages * 8192, kit_stat(&k, HEAP_STAT_heap_sys_bytes));
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_objects_of_a_class_are_adjacent),
      cmocka_unit_test(test_tiny_objects_share_a_block),
      cmocka_unit_test(test_reused_memory_is_zero),
      cmocka_unit_test(test_fresh_and_released_pages_need_no_clearing),
      cmocka_unit_test(test_ref_counts_survive_reuse_of_slots),
      cmocka_unit_test(test_raw_bytes_are_no_references),
      cmocka_unit_test(test_deep_and_cyclic_graphs_survive),
      cmocka_unit_test(test_survivors_pin_their_spans_exactly),
      cmocka_unit_test(test_slots_of_the_dead_are_reused_before_the_heap_grows),
      cmocka_unit_test(test_dead_spans_are_reclaimed_before_pages_are_taken),
      cmocka_unit_test(test_collections_start_at_the_goal),
      cmocka_unit_test(test_concurrent_collections_start_short_of_the_goal),
      cmocka_unit_test(test_weak_cells_die_with_their_target),
      cmocka_unit_test(test_pins_keep_alive_and_nest),
      cmocka_unit_test(test_the_limit_holds_and_garbage_does_not_count),
      cmocka_unit_test(test_the_limit_counts_the_metadata_of_a_large_object),
      cmocka_unit_test(test_the_map_agrees_with_the_statistics),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
