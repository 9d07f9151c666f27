// SPDX-License-Identifier: MIT
// What a release leaves behind, what is charged where, limits, and what stress mode catches.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/compact/fixture.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

// Example 3 of the seed up to point (3), at a quarter of its size.
static void test_the_seed_pattern_leaves_almost_nothing(void **state) {
  (void)state;
  enum { COUNT = 1 << 18, STEP = 512 };
  fixture f = fixture_open(hs_config_default());
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  const uint64_t baseline = STAT(f, footprint_bytes);
  HEAP_FRAME(f.t, root, 2);
  fill_array(f, &root[0], COUNT, 16);
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  assert_true(STAT(f, footprint_bytes) > COUNT * 32);
  root[1] = heap_alloc(f.t, COUNT / STEP, 0);
  for (size_t i = 0; i < COUNT / STEP; i++)
    heap_store(f.t, root[1], i, heap_load(f.t, root[0], i * STEP));
  root[0] = HEAP_NULL;
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  // The published bar is 512 KiB for four times as many survivors.
  assert_true(STAT(f, footprint_bytes) <= baseline + 256 * KIB);
  assert_int_equal(STAT(f, heap_objects_count), COUNT / STEP + 1);
  for (size_t i = 0; i < COUNT / STEP; i++)
    assert_int_equal(*(const uint64_t *)heap_read(f.t, heap_load(f.t, root[1], i), 0), i * STEP);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

typedef struct map_sum {
  uint64_t live, resident, table;
  uintptr_t last;
} map_sum;

static void add_page(void *context, const heap_map_page *page) {
  map_sum *const sum = context;
  assert_true(page->address > sum->last && page->live_bytes <= page->page_bytes);
  sum->last = page->address;
  if (page->metadata) {
    sum->table += page->resident ? page->page_bytes : 0;
  } else {
    sum->live += page->live_bytes;
    sum->resident += page->resident ? page->page_bytes : 0;
  }
}

static void test_the_map_adds_up_to_the_statistics(void **state) {
  (void)state;
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 3);
  fill_array(f, &root[0], 20000, 40);
  fill_array(f, &root[1], 300, 9000);
  keep_every(f, root[1], 300, 3);
  root[2] = heap_alloc(f.t, 5, 123456);
  heap_collect(f.t, HEAP_COLLECT_MINOR);
  map_sum sum = {0};
  assert_true(heap_map(f.t, add_page, &sum));
  assert_int_equal(sum.live, STAT(f, heap_alloc_bytes));
  assert_int_equal(sum.resident, STAT(f, heap_usage_bytes));
  assert_int_equal(sum.table, STAT(f, handle_table_bytes));
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_automatic_cycles_keep_the_heap_near_its_goal(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.gc = HEAP_GC_STW; // beside the program it depends on when the collector gets a core
  fixture f = fixture_open(config);
  for (int i = 0; i < 2000000; i++) (void)heap_alloc(f.t, 0, 16);
  assert_true(STAT(f, cycles_count) >= 5);
  assert_true(STAT(f, peak_footprint_bytes) <= 6 * MIB); // the goal is 4 MiB
  fixture_close(f);
}

static void test_automatic_cycles_run_beside_the_program(void **state) {
  (void)state;
  fixture f = fixture_open(hs_config_default());
  HEAP_FRAME(f.t, root, 1);
  root[0] = heap_alloc(f.t, 0, 8);
  do {
    for (int i = 0; i < 100000; i++) (void)heap_alloc(f.t, 0, 16);
  } while (STAT(f, cycles_count) < 5); // nobody asks for one
  assert_int_equal(STAT(f, forced_cycles_count), 0);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void test_the_limit_holds_and_memory_comes_back(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.limit_bytes = 4 * MIB;
  fixture f = fixture_open(config);
  HEAP_FRAME(f.t, root, 2);
  for (int round = 0; round < 3; round++) {
    root[0] = heap_alloc(f.t, 0, 8);
    uint64_t count = 0;
    for (;; count++) { // a list that grows until memory is refused
      const heap_ref node = heap_alloc(f.t, 1, 100);
      if (heap_is_null(node)) break;
      heap_store(f.t, node, 0, root[0]);
      root[0] = node;
      assert_true(count < 4 * MIB / 108);
    }
    assert_true(count > 2 * MIB / 116); // most of the limit was usable
    assert_true(STAT(f, heap_usage_bytes) + STAT(f, handle_table_bytes) <= 4 * MIB);
    assert_true(heap_is_null(heap_alloc(f.t, 0, 5 * MIB)));
    assert_true(heap_verify(f.t));
    root[0] = HEAP_NULL;
  }
  assert_false(heap_is_null(heap_alloc(f.t, 0, 3 * MIB)));
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

// A graph that fills the queue and a long list are marked completely although the queue cannot grow.
// An array's last element leads to the next array, and is taken from the queue first. Its other elements
// are not neighbours in the table, which would be marked without the queue.
static void test_marking_needs_no_memory(void **state) {
  (void)state;
  enum { WIDTH = 500, ARRAYS = 60, COUNT = WIDTH * ARRAYS };
  fixture f = fixture_open_quiet();
  HEAP_FRAME(f.t, root, 2);
  HEAP_FRAME(f.t, arrays, ARRAYS);
  for (size_t i = 0; i < ARRAYS; i++) {
    arrays[i] = heap_alloc(f.t, WIDTH + 1, 0);
    heap_store(f.t, arrays[i], WIDTH, i > 0 ? arrays[i - 1] : HEAP_NULL);
  }
  for (size_t i = 0; i < COUNT; i++) {
    const heap_ref node = heap_alloc(f.t, 2, 8);
    heap_store(f.t, arrays[i % ARRAYS], i / ARRAYS, node);
    const heap_ref leaf = heap_alloc(f.t, 1, 0);
    heap_store(f.t, heap_load(f.t, arrays[i % ARRAYS], i / ARRAYS), 0, leaf);
    const heap_ref link = heap_alloc(f.t, 1, 0);
    heap_store(f.t, link, 0, root[1]);
    root[1] = link;
  }
  root[0] = arrays[ARRAYS - 1];
  HEAP_FRAME_END(f.t, arrays);
  heap_collect(f.t, HEAP_COLLECT_RELEASE); // the queue is at its smallest
  hs_os_fault_arm(HS_OS_FAULT_RESERVE | HS_OS_FAULT_COMMIT, 1, true);
  heap_collect(f.t, HEAP_COLLECT_FULL);
  assert_true(hs_os_fault_calls() > 0);
  hs_os_fault_disarm();
  assert_int_equal(STAT(f, heap_objects_count), ARRAYS + 3 * COUNT);
  HEAP_FRAME_END(f.t, root);
  fixture_close(f);
}

static void use_stale_handle(void) {
  heap_config config = hs_config_default();
  config.stress = 1;
  fixture f = fixture_open(config);
  HEAP_FRAME(f.t, root, 1);
  root[0] = heap_alloc(f.t, 0, 16);
  const heap_ref stale = root[0]; // a copy in a C variable does not survive a safepoint
  (void)heap_alloc(f.t, 0, 16);
  *(volatile uint64_t *)heap_write(f.t, stale, 0) = 1;
  HEAP_FRAME_END(f.t, root);
}

static void use_stale_pointer(void) {
  heap_config config = hs_config_default();
  config.stress = 1;
  fixture f = fixture_open(config);
  HEAP_FRAME(f.t, root, 1);
  root[0] = heap_alloc(f.t, 0, 16);
  volatile uint64_t *const stale = heap_write(f.t, root[0], 0);
  (void)heap_alloc(f.t, 0, 16);
  *stale = 1;
  HEAP_FRAME_END(f.t, root);
}

static void expect_fault(void (*run)(void)) {
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGSEGV, SIG_DFL);
    close(STDERR_FILENO); // a sanitizer's report is not a failure here
    run();
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  // A signal, or the exit status of a sanitizer.
  assert_true(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) != 0));
}

static void test_stress_mode_catches_a_stale_handle(void **state) {
  (void)state;
  expect_fault(use_stale_handle);
}

static void test_stress_mode_catches_a_stale_pointer(void **state) {
  (void)state;
  expect_fault(use_stale_pointer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_seed_pattern_leaves_almost_nothing),
      cmocka_unit_test(test_the_map_adds_up_to_the_statistics),
      cmocka_unit_test(test_automatic_cycles_keep_the_heap_near_its_goal),
      cmocka_unit_test(test_automatic_cycles_run_beside_the_program),
      cmocka_unit_test(test_the_limit_holds_and_memory_comes_back),
      cmocka_unit_test(test_marking_needs_no_memory),
      cmocka_unit_test(test_stress_mode_catches_a_stale_handle),
      cmocka_unit_test(test_stress_mode_catches_a_stale_pointer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
