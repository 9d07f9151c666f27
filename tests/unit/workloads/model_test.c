// SPDX-License-Identifier: MIT
// The closed-form row against numbers worked out by hand and against rows of Go's own size table.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "workloads/reference/model/model_heap.h"

enum { KIB = 1024, MIB = 1024 * KIB, SEED_COUNT = 1 << 20, SEED_SIZE = 16, POINTER_BYTES = 8 };

static void assert_layout(uint64_t size, bool pointers, model_layout wanted) {
  const model_layout layout = model_layout_of(size, pointers);
  assert_int_equal(layout.slot_bytes, wanted.slot_bytes);
  assert_int_equal(layout.span_bytes, wanted.span_bytes);
  assert_int_equal(layout.slots, wanted.slots);
  assert_int_equal(layout.per_slot, wanted.per_slot);
}

static void test_classes_have_the_slots_of_gos_table(void **state) {
  (void)state;
  assert_layout(16, false, (model_layout){16, 8192, 512, 1});
  assert_layout(24, false, (model_layout){24, 8192, 341, 1});
  assert_layout(25, false, (model_layout){32, 8192, 256, 1});
  assert_layout(112, false, (model_layout){112, 8192, 73, 1});
  assert_layout(1281, true, (model_layout){1408, 16384, 11, 1});
  assert_layout(8193, true, (model_layout){9472, 57344, 6, 1});
  assert_layout(27264, false, (model_layout){27264, 81920, 3, 1});
  assert_layout(32768, false, (model_layout){32768, 32768, 1, 1});
}

static void test_large_objects_take_whole_pages(void **state) {
  (void)state;
  assert_layout(32769, false, (model_layout){40960, 40960, 1, 1});
  assert_layout(16 * MIB, false, (model_layout){16 * MIB, 16 * MIB, 1, 1});
}

static void test_small_objects_without_pointers_share_tiny_blocks(void **state) {
  (void)state;
  assert_layout(1, false, (model_layout){16, 8192, 512, 16});
  assert_layout(5, false, (model_layout){16, 8192, 512, 3});
  assert_layout(8, false, (model_layout){16, 8192, 512, 2});
  assert_layout(12, false, (model_layout){16, 8192, 512, 1});
  assert_layout(8, true, (model_layout){8, 8192, 1024, 1}); // pointers are never tiny
}

// The seed's step table in bytes: survivors pin every page up to step 512, then one page each.
static void test_step_table_is_the_published_one(void **state) {
  (void)state;
  static const struct {
    uint64_t step, pinned_bytes, index_bytes, index_slack;
  } rows[] = {{128, 16 * MIB, 64 * KIB, 0},
              {256, 16 * MIB, 32 * KIB, 0},
              {512, 16 * MIB, 16 * KIB, 0},
              {1024, 8 * MIB, 8 * KIB, 0},
              {2048, 4 * MIB, 8 * KIB, 4 * KIB}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const uint64_t kept = SEED_COUNT / rows[i].step;
    model_heap heap = {.pool_count = 0};
    model_batch objects = model_allocate(&heap, SEED_COUNT, SEED_SIZE, false);
    model_batch index = model_allocate(&heap, 1, kept * POINTER_BYTES, true);
    model_keep(&objects, rows[i].step);
    const model_totals totals = model_measure(&heap);
    assert_int_equal(totals.usage_bytes, rows[i].pinned_bytes + rows[i].index_bytes);
    assert_int_equal(totals.usage_bytes - totals.alloc_bytes,
                     rows[i].pinned_bytes - kept * SEED_SIZE + rows[i].index_slack);
    model_drop(&objects);
    model_drop(&index);
    assert_int_equal(model_measure(&heap).usage_bytes, 0);
    model_heap_free(&heap);
  }
}

// 2048 copies fit the gaps of five pages of 511: what is left once the originals are gone.
static void test_copies_fill_the_gaps_of_few_spans(void **state) {
  (void)state;
  model_heap heap = {.pool_count = 0};
  model_batch objects = model_allocate(&heap, SEED_COUNT, SEED_SIZE, false);
  model_keep(&objects, 512);
  model_batch copies = model_allocate(&heap, 2048, SEED_SIZE, false);
  assert_int_equal(model_measure(&heap).usage_bytes, 16 * MIB);
  model_drop(&objects);
  const model_totals totals = model_measure(&heap);
  assert_int_equal(totals.usage_bytes, 5 * MODEL_PAGE_BYTES);
  assert_int_equal(totals.alloc_bytes, 2048 * SEED_SIZE);
  model_drop(&copies);
  model_heap_free(&heap);
}

static void test_objects_of_another_class_cannot_use_the_gaps(void **state) {
  (void)state;
  model_heap heap = {.pool_count = 0};
  model_batch objects = model_allocate(&heap, SEED_COUNT, SEED_SIZE, false);
  model_keep(&objects, 512);
  model_batch next = model_allocate(&heap, SEED_COUNT / 2, 2 * SEED_SIZE, false);
  assert_int_equal(model_measure(&heap).usage_bytes, 32 * MIB);
  model_drop(&next);
  model_drop(&objects);
  model_heap_free(&heap);
}

static void test_survivors_in_one_tiny_block_count_once(void **state) {
  (void)state;
  model_heap heap = {.pool_count = 0};
  model_batch objects = model_allocate(&heap, 1000, 4, false); // four to a block
  model_keep(&objects, 2);                                     // two of each block
  assert_int_equal(model_measure(&heap).alloc_bytes, 250 * MODEL_TINY_BYTES);
  model_drop(&objects);
  model_heap_free(&heap);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_classes_have_the_slots_of_gos_table),
      cmocka_unit_test(test_large_objects_take_whole_pages),
      cmocka_unit_test(test_small_objects_without_pointers_share_tiny_blocks),
      cmocka_unit_test(test_step_table_is_the_published_one),
      cmocka_unit_test(test_copies_fill_the_gaps_of_few_spans),
      cmocka_unit_test(test_objects_of_another_class_cannot_use_the_gaps),
      cmocka_unit_test(test_survivors_in_one_tiny_block_count_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
