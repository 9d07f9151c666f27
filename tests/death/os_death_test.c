// SPDX-License-Identifier: MIT
#include "tests/death/death.h"

#include "allocators/os/os.h"

static void unlock_free_mutex(void) {
  hs_mutex mutex = {0};
  hs_mutex_unlock(&mutex);
}

static void *reserved(void) {
  void *start = NULL;
  if (hs_os_map(4 * hs_os_page_bytes(), hs_os_page_bytes(), &start) != 0) _exit(1);
  return start;
}

static void reserve_half_a_page(void) {
  void *start;
  if (hs_os_reserve(hs_os_page_bytes() / 2, hs_os_page_bytes(), &start) == 0) _exit(0);
}

static void reserve_nothing(void) {
  void *start;
  if (hs_os_reserve(0, hs_os_page_bytes(), &start) == 0) _exit(0);
}

static void reserve_at_odd_alignment(void) {
  void *start;
  if (hs_os_reserve(hs_os_page_bytes(), 3 * hs_os_page_bytes(), &start) == 0) _exit(0);
}

static void unmap_inside_a_page(void) { hs_os_unmap((char *)reserved() + 8, hs_os_page_bytes()); }

static void commit_inside_a_page(void) {
  if (hs_os_commit((char *)reserved() + 8, hs_os_page_bytes()) == 0) _exit(0);
}

static void purge_part_of_a_page(void) {
  if (hs_os_purge(reserved(), 100, HS_OS_PURGE_DONTNEED) == 0) _exit(0);
}

static void unlock_twice(void) {
  hs_mutex mutex = {0};
  hs_mutex_lock(&mutex);
  hs_mutex_unlock(&mutex);
  hs_mutex_unlock(&mutex);
}

static void test_mutex_misuse(void **state) {
  (void)state;
  expect_death(unlock_free_mutex, "a mutex that is not held was unlocked");
  expect_death(unlock_twice, "a mutex that is not held was unlocked");
}

static void test_ranges_are_whole_pages(void **state) {
  (void)state;
  expect_death(reserve_half_a_page, "is not in pages");
  expect_death(reserve_nothing, "is not in pages");
  expect_death(reserve_at_odd_alignment, "reservation aligned to");
  expect_death(unmap_inside_a_page, "are not whole pages");
  expect_death(commit_inside_a_page, "are not whole pages");
  expect_death(purge_part_of_a_page, "are not whole pages");
}

// The memory is really inaccessible: the child dies of the access, by a signal or a sanitizer.
static void read_decommitted(void) {
  volatile char *const start = reserved();
  if (hs_os_decommit((void *)start, hs_os_page_bytes()) == 0) _exit(start[0] == 0 ? 0 : 1);
}

static void write_protected(void) {
  volatile char *const start = reserved();
  if (hs_os_protect((void *)start, hs_os_page_bytes(), false) == 0) start[0] = 1;
}

static void test_inaccessible_memory_cannot_be_used(void **state) {
  (void)state;
  char text[4096];
  assert_int_not_equal(death_run(read_decommitted, text, sizeof text), 0);
  assert_int_not_equal(death_run(write_protected, text, sizeof text), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mutex_misuse),
      cmocka_unit_test(test_ranges_are_whole_pages),
      cmocka_unit_test(test_inaccessible_memory_cannot_be_used),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
