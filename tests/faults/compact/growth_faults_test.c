// SPDX-License-Identifier: MIT
// The n-th call to the OS fails, for every n, once or from then on, on the way from creating a heap
// through growing, collecting and releasing it. The heap may refuse; it may not crash, lose an object,
// become inconsistent or stay unusable once the OS gives again.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocators/base/track.h"
#include "allocators/heap.h"
#include "allocators/runtime/config.h"
#include "allocators/runtime/stats.h"

enum {
  LIST_NODES = 17000,    // 4.3 MB: several regions and slabs, and two steps of growth
  RECOVERY_NODES = 4000, // after the fault: a few regions and slabs; made for every n
  NODE_BYTES = 240,
  LARGE_EVERY = 3400, // list nodes per large object
  LARGE_BYTES = 100000,
  MAX_REFUSED = 5,
  MAX_CALLS = 20000, // far more than the program makes: the loop must end before
};

#if defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = HS_TRACK_ASAN };
#endif
#else
enum { SANITIZED = HS_TRACK_ASAN };
#endif

// Pages of address space of this process. Sanitizers map memory of their own for threads.
static uint64_t mapped_pages(void) {
  if (SANITIZED) return 0;
  unsigned long long pages = 0;
  FILE *const file = fopen("/proc/self/statm", "r");
  assert_non_null(file);
  assert_int_equal(fscanf(file, "%llu", &pages), 1);
  (void)fclose(file);
  return pages;
}

// A list whose nodes know their number; every LARGE_EVERY-th also holds a large object. Returns how
// many nodes there are: fewer than asked for when memory was refused.
static uint64_t grow_list(heap_thread *t, heap_ref *head, int nodes) {
  uint64_t count = 0;
  int refused = 0; // each refusal is a full collection: a few are enough
  for (int i = 0; i < nodes && refused < MAX_REFUSED; i++) {
    const heap_ref node = heap_alloc(t, 2, NODE_BYTES);
    refused += heap_is_null(node);
    if (heap_is_null(node)) continue;
    *(uint64_t *)heap_write(t, node, 2) = count++;
    heap_store(t, node, 0, *head);
    *head = node;
    if (i % LARGE_EVERY != 0) continue;
    const heap_ref large = heap_alloc(t, 1, LARGE_BYTES);
    if (!heap_is_null(large)) heap_store(t, *head, 1, large);
  }
  return count;
}

static void check_list(heap_thread *t, heap_ref node, uint64_t count) {
  for (; !heap_is_null(node); node = heap_load(t, node, 0))
    assert_int_equal(*(const uint64_t *)heap_read(t, node, 2), --count);
  assert_int_equal(count, 0);
}

// Unlinks three of four nodes, so that there is something to compact and to rename.
static uint64_t thin_list(heap_thread *t, heap_ref head, uint64_t count) {
  uint64_t left = 0;
  for (heap_ref node = head; !heap_is_null(node); node = heap_load(t, node, 0)) {
    heap_ref next = heap_load(t, node, 0);
    for (int i = 0; i < 3 && !heap_is_null(next); i++) next = heap_load(t, next, 0);
    heap_store(t, node, 0, next);
    left++;
  }
  uint64_t number = left;
  for (heap_ref node = head; !heap_is_null(node); node = heap_load(t, node, 0))
    *(uint64_t *)heap_write(t, node, 2) = --number;
  assert_true(count == 0 || left > 0);
  return left;
}

static void use_pins_and_weak_cells(heap_thread *t, heap_ref object) {
  if (heap_is_null(object)) return;
  if (heap_pin(t, object, 2)) heap_unpin(t, object);
  heap_weak *weak;
  if (heap_weak_create(t, object, &weak) == HEAP_OK) heap_weak_destroy(t, weak);
}

static void run_program(heap_thread *t) {
  HEAP_FRAME(t, head, 1);
  uint64_t count = grow_list(t, &head[0], LIST_NODES);
  check_list(t, head[0], count);
  use_pins_and_weak_cells(t, head[0]);
  heap_collect(t, HEAP_COLLECT_MINOR);
  check_list(t, head[0], count);
  count = thin_list(t, head[0], count);
  heap_collect(t, HEAP_COLLECT_FULL);
  check_list(t, head[0], count);
  heap_collect(t, HEAP_COLLECT_RELEASE);
  check_list(t, head[0], count);
  HEAP_FRAME_END(t, head);
}

// After the faults are over: consistent, and able to do everything again.
static void recover(heap_thread *t) {
  assert_true(heap_verify(t));
  HEAP_FRAME(t, head, 1);
  const uint64_t count = grow_list(t, &head[0], RECOVERY_NODES);
  assert_int_equal(count, RECOVERY_NODES);
  heap_collect(t, HEAP_COLLECT_FULL);
  check_list(t, head[0], count);
  heap_stats stats;
  heap_stats_read(t, &stats);
  assert_null(hs_stats_violation(&stats));
  head[0] = HEAP_NULL;
  heap_collect(t, HEAP_COLLECT_RELEASE);
  heap_stats_read(t, &stats);
  assert_int_equal(stats.value[HEAP_STAT_heap_usage_bytes], 0);
  assert_int_equal(stats.value[HEAP_STAT_handle_table_bytes], 0);
  HEAP_FRAME_END(t, head);
}

// False: the program made fewer than n calls, so nothing failed.
static bool run_with_fault(const heap_config *config, uint64_t n, bool persistent) {
  const uint64_t pages = mapped_pages();
  heap *h = NULL;
  heap_thread *t = NULL;
  hs_os_fault_arm(HS_OS_FAULT_ALL & ~(unsigned)HS_OS_FAULT_THREAD, n, persistent);
  const heap_status created = heap_create(config, &h);
  heap_status entered = HEAP_NO_MEMORY;
  if (created == HEAP_OK) entered = heap_thread_enter(h, &t);
  if (entered == HEAP_OK) run_program(t);
  const bool failed = hs_os_fault_calls() >= n;
  hs_os_fault_disarm();
  if (created != HEAP_OK) {
    assert_int_equal(created, HEAP_NO_MEMORY);
    assert_null(h);
  } else {
    if (entered != HEAP_OK) assert_int_equal(heap_thread_enter(h, &t), HEAP_OK);
    recover(t);
    heap_thread_leave(t);
    heap_destroy(h);
  }
  assert_int_equal(mapped_pages(), pages);
  return failed;
}

static void run_every_fault_once(const heap_config *config, bool persistent, uint64_t step) {
  heap *first; // what libc maps once, the stacks of threads among it, is mapped now
  assert_int_equal(heap_create(config, &first), HEAP_OK);
  heap_destroy(first);
  run_with_fault(config, MAX_CALLS, false);
  uint64_t n = 1;
  while (run_with_fault(config, n, persistent)) {
    n += step;
    assert_true(n < MAX_CALLS);
  }
  assert_true(n > 10); // start-up alone makes more calls
  print_message("%llu calls to the OS\n", (unsigned long long)n);
}

static void run_every_fault(const heap_config *config, bool persistent, uint64_t step) {
  heap_config stopping = *config;
  stopping.gc = HEAP_GC_STW;
  run_every_fault_once(config, persistent, step);
  run_every_fault_once(&stopping, persistent, 3 * step); // the same calls, by another thread
}

static void test_one_call_fails(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
  run_every_fault(&config, false, 1);
}

static void test_every_later_call_fails(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
  run_every_fault(&config, true, 1);
}

static void test_one_call_fails_in_lazy_mode(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.release_free = 1;
  run_every_fault(&config, false, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_call_fails),
      cmocka_unit_test(test_every_later_call_fails),
      cmocka_unit_test(test_one_call_fails_in_lazy_mode),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
