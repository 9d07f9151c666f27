// SPDX-License-Identifier: MIT
// Who marks, and with what: assists and what they owe, marking without memory, extra workers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/runtime/marking_fixture.h"

static toy_heap heap;
static hs_thread one;

static int setup(void **state) {
  (void)state;
  toy_open(&heap, 0);
  toy_enter(&heap, &one);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  hs_os_fault_disarm();
  toy_leave(&one);
  toy_close(&heap);
  return 0;
}

// ---- assists ------------------------------------------------------------------------------------

static void publish(unsigned object) {
  hs_grey grey;
  hs_grey_begin(&grey, &heap.marking.pool);
  hs_marking_shade(&heap.marking, &grey, toy_ref(&heap, object));
  hs_grey_end(&grey);
}

static int64_t debt_after(uint64_t owed_bytes) {
  hs_marking_assist(&heap.marking, &one, owed_bytes, false);
  return one.assist_debt_bytes;
}

static void test_an_assist_spends_credit_first_and_scans_what_is_left(void **state) {
  (void)state;
  hs_store_seq_cst(&heap.marking.on, 1u);
  hs_store_relaxed(&heap.marking.credit_bytes, (int64_t)100);
  assert_int_equal(debt_after(60), 0);
  assert_int_equal(hs_load_relaxed(&heap.marking.credit_bytes), 40);
  assert_int_equal(debt_after(60), 20);
  assert_int_equal(hs_load_relaxed(&heap.marking.credit_bytes), 0);
  assert_int_equal(hs_load_relaxed(&heap.drains), 0);
  assert_int_equal(debt_after(0), 20); // nothing to scan: it goes on, in debt
  publish(1);
  assert_int_equal(debt_after(5), 25 - TOY_BYTES);
  assert_true(toy_is_marked(&heap, 1));
  assert_int_equal(hs_load_relaxed(&heap.marking.scanned_bytes), TOY_BYTES);
  assert_int_equal(hs_load_relaxed(&heap.marking.objects_count), 1);
  // An unmarked reference is found marked: nothing is scanned, and nothing earned.
  publish(1);
  assert_int_equal(debt_after(TOY_BYTES), 25);
  assert_true(hs_grey_pool_is_empty(&heap.marking.pool));
  hs_store_seq_cst(&heap.marking.on, 0u);
}

static void test_an_assist_does_nothing_when_slices_are_not_welcome(void **state) {
  (void)state;
  publish(1);
  assert_int_equal(debt_after(10), 10);
  assert_false(toy_is_marked(&heap, 1));
  assert_int_equal(hs_load_relaxed(&heap.marking.active), 0);
  assert_false(hs_grey_pool_is_empty(&heap.marking.pool));
  hs_grey_pool_clear(&heap.marking.pool);
}

// A thread looks at the clock between slices, so it is the size of a slice that bounds its delay.
enum { ASSIST_SLICE_REFS = 256 };
static hs_marking_ops counting_ops;
static const hs_marking_ops *counted_ops;
static unsigned slices;
static uint64_t largest_slice_refs;

static hs_marked drain_counting(void *context, hs_grey *grey, uint64_t refs) {
  slices++;
  if (refs > largest_slice_refs) largest_slice_refs = refs;
  return counted_ops->drain(context, grey, 1); // leaves work for another slice
}

static void test_an_assist_works_in_small_slices_whatever_it_owes(void **state) {
  (void)state;
  counted_ops = heap.marking.ops;
  counting_ops = *counted_ops;
  counting_ops.drain = drain_counting;
  heap.marking.ops = &counting_ops;
  slices = 0;
  largest_slice_refs = 0;
  hs_store_seq_cst(&heap.marking.on, 1u);
  for (unsigned object = 1; object <= 8; object++) publish(object);
  hs_marking_assist(&heap.marking, &one, 1ull << 40, true);
  assert_true(slices > 0);
  assert_true(largest_slice_refs <= ASSIST_SLICE_REFS);
  assert_int_equal(hs_load_relaxed(&heap.marking.active), 0);
  hs_store_seq_cst(&heap.marking.on, 0u);
  heap.marking.ops = counted_ops;
  hs_grey_pool_clear(&heap.marking.pool);
}

static void test_debt_is_bounded_and_forgiven_by_the_next_marking(void **state) {
  (void)state;
  assert_int_equal(debt_after(1ull << 40), 1 << 20);
  toy_run(&heap);
  assert_int_equal(one.assist_debt_bytes, 0);
  toy_end(&heap);
}

// ---- marking without memory ---------------------------------------------------------------------

// A list of `length` objects from `first` on, held by a frame.
static void make_list(unsigned first, unsigned length) {
  for (unsigned i = first; i + 1 < first + length; i++) toy_link(&heap, i, i % TOY_SLOTS, i + 1);
}

static bool list_is_marked(unsigned first, unsigned length) {
  for (unsigned i = first; i < first + length; i++)
    if (!toy_is_marked(&heap, i)) return false;
  return true;
}

static void test_everything_is_found_without_memory_for_the_queues(void **state) {
  (void)state;
  heap_frame frame;
  heap_ref slots[1];
  hs_frame_push(&one, &frame, slots, 1);
  slots[0] = toy_at(&heap, 0);
  make_list(0, 50);
  hs_os_fault_arm(HS_OS_FAULT_RESERVE, 1, true);
  toy_run(&heap);
  hs_os_fault_disarm();
  assert_true(list_is_marked(0, 50));
  assert_int_equal(hs_load_relaxed(&heap.marking.objects_count), 50);
  assert_int_equal(hs_load_relaxed(&heap.mark_onlys), 1); // the frame's
  assert_true(heap.rescans > 0);
  assert_int_equal(hs_load_relaxed(&heap.marking.pool.overflowed), 0);
  toy_end(&heap);
  hs_frame_pop(&one, &frame);
}

static void shade_without_memory(toy_heap *h) {
  if (h->ticks == 1) hs_shade(&one, toy_ref(h, 10));
}

// The collector has taken the flag for its rescan when a thread marks: it must be set again afterwards.
static void take_the_flag(toy_heap *h) { hs_store_relaxed(&h->marking.pool.overflowed, 0u); }

static void test_a_shade_without_memory_is_seen_by_a_rescan_after_it(void **state) {
  (void)state;
  make_list(10, 20);
  heap.on_tick = shade_without_memory;
  heap.on_mark_only = take_the_flag;
  hs_os_fault_arm(HS_OS_FAULT_RESERVE, 1, true);
  toy_run(&heap);
  hs_os_fault_disarm();
  assert_int_equal(hs_load_relaxed(&heap.mark_onlys), 1);
  assert_true(list_is_marked(10, 20));
  toy_end(&heap);
}

// A program that goes on overwriting references to marked objects must not keep the marking from ending.
static void shade_marked_for_ever(toy_heap *h) { hs_shade(&one, toy_ref(h, 10)); }

static void test_shades_of_marked_objects_without_memory_do_no_harm(void **state) {
  (void)state;
  make_list(10, 20);
  heap.on_tick = shade_marked_for_ever;
  heap.on_rescan = shade_marked_for_ever;
  hs_os_fault_arm(HS_OS_FAULT_RESERVE, 1, true);
  toy_run(&heap);
  hs_os_fault_disarm();
  assert_int_equal(hs_load_relaxed(&heap.mark_onlys), 1);
  assert_true(list_is_marked(10, 20));
  toy_end(&heap);
}

// A thread shades while the collector scans everything again, and there is memory by then.
static void shade_during_the_rescan(toy_heap *h) {
  if (h->ticks == 1) hs_shade(&one, toy_ref(h, 40));
  if (h->rescans == 1 && toy_is_marked(h, 40)) {
    h->on_tick = h->on_rescan = NULL;
    hs_os_fault_disarm(); // from here on there is memory
    hs_shade(&one, toy_ref(h, 50));
  }
}

static void test_what_is_shaded_during_a_rescan_is_found(void **state) {
  (void)state;
  make_list(50, 5);
  heap.on_tick = heap.on_rescan = shade_during_the_rescan;
  hs_os_fault_arm(HS_OS_FAULT_RESERVE, 1, true);
  toy_run(&heap);
  assert_true(toy_is_marked(&heap, 40));
  assert_true(list_is_marked(50, 5));
  toy_end(&heap);
}

// ---- extra workers ------------------------------------------------------------------------------

static _Atomic(uint32_t) helped; // slices by a thread that is not the collector
static _Thread_local bool is_collector;

// The collector offers all it has and waits until a worker has come.
static void wait_for_help(toy_heap *h) {
  if (!is_collector) {
    hs_add_acq_rel(&helped, 1u);
    return;
  }
  while (hs_load_acquire(&helped) == 0 && !hs_grey_pool_is_empty(&h->marking.pool)) hs_os_yield();
}

static void test_workers_share_the_work(void **state) {
  (void)state;
  toy_open(&heap, 3);
  toy_enter(&heap, &one);
  assert_int_equal(heap.marking.worker_count, 3);
  heap_frame frame;
  heap_ref slots[64];
  hs_frame_push(&one, &frame, slots, 64);
  is_collector = true;
  for (unsigned run = 0; run < 20; run++) {
    hs_store_relaxed(&helped, 0u);
    for (unsigned i = 0; i < TOY_OBJECTS; i++) hs_store_relaxed(&heap.objects[i].mark, 0u);
    for (unsigned i = 0; i < 64; i++) {
      slots[i] = toy_at(&heap, 50 * i);
      make_list(50 * i, 50);
    }
    heap.on_drain = wait_for_help;
    toy_run(&heap);
    assert_true(hs_load_relaxed(&helped) > 0); // the frames' references were offered
    for (unsigned i = 0; i < 64; i++) assert_true(list_is_marked(50 * i, 50));
    assert_int_equal(hs_load_relaxed(&heap.marking.objects_count), 64 * 50);
    assert_int_equal(hs_load_relaxed(&heap.marking.scanned_bytes), 64 * 50 * TOY_BYTES);
    assert_int_equal(hs_load_relaxed(&heap.marking.active), 0);
    toy_end(&heap);
  }
  hs_frame_pop(&one, &frame);
  toy_leave(&one);
  toy_close(&heap);
}

static void test_fewer_workers_run_when_threads_cannot_be_had(void **state) {
  (void)state;
  hs_os_fault_arm(HS_OS_FAULT_THREAD, 3, true);
  toy_open(&heap, 5);
  hs_os_fault_disarm();
  assert_int_equal(heap.marking.worker_count, 2);
  toy_run(&heap);
  toy_end(&heap);
  toy_close(&heap);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_an_assist_spends_credit_first_and_scans_what_is_left),
      TEST(test_an_assist_does_nothing_when_slices_are_not_welcome),
      TEST(test_an_assist_works_in_small_slices_whatever_it_owes),
      TEST(test_debt_is_bounded_and_forgiven_by_the_next_marking),
      TEST(test_everything_is_found_without_memory_for_the_queues),
      TEST(test_a_shade_without_memory_is_seen_by_a_rescan_after_it),
      TEST(test_shades_of_marked_objects_without_memory_do_no_harm),
      TEST(test_what_is_shaded_during_a_rescan_is_found),
      cmocka_unit_test(test_workers_share_the_work),
      cmocka_unit_test(test_fewer_workers_run_when_threads_cannot_be_had),
  };
#undef TEST
  return cmocka_run_group_tests(tests, NULL, NULL);
}
