// SPDX-License-Identifier: MIT
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "allocators/base/bits.h"
#include "allocators/os/os.h"

static size_t page;

static int setup(void **state) {
  (void)state;
  page = hs_os_page_bytes();
  return 0;
}

static void test_page_is_a_power_of_two(void **state) {
  (void)state;
  assert_true(hs_is_pow2(page));
  assert_true(page >= 4096);
}

static void test_reservations_are_aligned(void **state) {
  (void)state;
  for (size_t align = page; align <= (size_t)1 << 30; align <<= 1) {
    void *start = NULL;
    assert_int_equal(hs_os_reserve(3 * page, align, &start), 0);
    assert_true(hs_is_aligned((size_t)(uintptr_t)start, align));
    hs_os_unmap(start, 3 * page);
  }
}

static void test_trimmed_ends_are_not_kept(void **state) {
  (void)state;
  // 3000 paddings of 64 GiB: if they stayed, they would not fit the address space of 128 TiB.
  const size_t align = (size_t)64 << 30;
  for (int i = 0; i < 3000; i++) {
    void *start = NULL;
    assert_int_equal(hs_os_reserve(page, align, &start), 0);
    hs_os_unmap(start, page);
  }
}

static void test_committed_memory_is_zero_and_writable(void **state) {
  (void)state;
  const size_t bytes = 64 * page;
  char *start = NULL;
  assert_int_equal(hs_os_reserve(bytes, page, (void **)&start), 0);
  assert_int_equal(hs_os_commit(start + 8 * page, 4 * page), 0);
  for (size_t i = 8 * page; i < 12 * page; i++) assert_int_equal(start[i], 0);
  memset(start + 8 * page, 0x5a, 4 * page);
  assert_int_equal(hs_os_commit(start + 8 * page, 8 * page), 0); // idempotent, keeps contents
  assert_int_equal(start[8 * page], 0x5a);
  assert_int_equal(start[12 * page], 0);
  hs_os_unmap(start, bytes);
}

static void test_purge_zeroes_and_keeps_access(void **state) {
  (void)state;
  char *start = NULL;
  assert_int_equal(hs_os_map(8 * page, page, (void **)&start), 0);
  memset(start, 0x5a, 8 * page);
  assert_int_equal(hs_os_purge(start + page, 2 * page, HS_OS_PURGE_DONTNEED), 0);
  assert_int_equal(start[0], 0x5a);
  assert_int_equal(start[page], 0);
  assert_int_equal(start[3 * page - 1], 0);
  assert_int_equal(start[3 * page], 0x5a);
  start[page] = 1;
  assert_int_equal(hs_os_purge(start, 8 * page, HS_OS_PURGE_FREE), 0);
  start[0] = 7; // a write takes the page back for good
  assert_int_equal(start[0], 7);
  hs_os_unmap(start, 8 * page);
}

static void test_purge_returns_memory(void **state) {
  (void)state;
  const size_t bytes = (size_t)64 << 20;
  char *start = NULL;
  assert_int_equal(hs_os_map(bytes, page, (void **)&start), 0);
  const uint64_t before = hs_os_rss_bytes();
  memset(start, 1, bytes);
  const uint64_t touched = hs_os_rss_bytes();
  assert_int_equal(hs_os_purge(start, bytes, HS_OS_PURGE_DONTNEED), 0);
  const uint64_t purged = hs_os_rss_bytes();
  // Half of it is margin for whatever else the process does.
  assert_true(touched >= before + bytes / 2);
  assert_true(purged + bytes / 2 <= touched);
  hs_os_unmap(start, bytes);
}

static void test_decommit_and_commit_again(void **state) {
  (void)state;
  char *start = NULL;
  assert_int_equal(hs_os_map(4 * page, page, (void **)&start), 0);
  memset(start, 0x5a, 4 * page);
  assert_int_equal(hs_os_decommit(start + page, page), 0);
  assert_int_equal(hs_os_commit(start + page, page), 0);
  assert_int_equal(start[page], 0);
  assert_int_equal(start[0], 0x5a);
  assert_int_equal(start[2 * page], 0x5a);
  hs_os_unmap(start, 4 * page);
}

static void test_protect_keeps_contents(void **state) {
  (void)state;
  char *start = NULL;
  assert_int_equal(hs_os_map(2 * page, page, (void **)&start), 0);
  memset(start, 0x5a, 2 * page);
  assert_int_equal(hs_os_protect(start, page, false), 0);
  assert_int_equal(hs_os_protect(start, page, true), 0);
  assert_int_equal(start[0], 0x5a);
  hs_os_unmap(start, 2 * page);
}

static void test_huge_page_advice_is_harmless(void **state) {
  (void)state;
  char *start = NULL;
  const size_t bytes = (size_t)4 << 20;
  assert_int_equal(hs_os_map(bytes, (size_t)2 << 20, (void **)&start), 0);
  hs_os_huge_pages(start, bytes, true);
  start[0] = 1;
  hs_os_huge_pages(start, bytes, false);
  assert_int_equal(start[0], 1);
  hs_os_unmap(start, bytes);
}

static void test_populated_pages_keep_their_contents(void **state) {
  (void)state;
  char *start = NULL;
  assert_int_equal(hs_os_map(2 * page, page, (void **)&start), 0);
  start[page] = 1;
  errno = 12345;
  hs_os_populate(start, 2 * page);
  assert_int_equal(errno, 12345);
  assert_int_equal(start[0], 0);
  assert_int_equal(start[page], 1);
  assert_int_equal(hs_os_decommit(start, page), 0);
  hs_os_populate(start, 2 * page); // not accessible: harmless
  assert_int_equal(errno, 12345);
  assert_int_equal(start[page], 1);
  hs_os_unmap(start, 2 * page);
}

static void test_failures_keep_outputs_and_errno(void **state) {
  (void)state;
  void *start = &page;
  errno = 12345;
  assert_int_equal(hs_os_reserve((size_t)1 << 60, page, &start), -ENOMEM);
  assert_int_equal(hs_os_map((size_t)1 << 60, page, &start), -ENOMEM);
  assert_int_equal(hs_os_reserve(hs_align_down(SIZE_MAX, page), (size_t)1 << 30, &start), -ENOMEM);
  assert_ptr_equal(start, &page);
  // A commit of pages that were given back fails, and says so without touching errno.
  assert_int_equal(hs_os_map(2 * page, page, &start), 0);
  hs_os_unmap(start, 2 * page);
  assert_int_equal(hs_os_commit(start, 2 * page), -ENOMEM);
  assert_int_equal(errno, 12345);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_page_is_a_power_of_two),
      cmocka_unit_test(test_reservations_are_aligned),
      cmocka_unit_test(test_trimmed_ends_are_not_kept),
      cmocka_unit_test(test_committed_memory_is_zero_and_writable),
      cmocka_unit_test(test_purge_zeroes_and_keeps_access),
      cmocka_unit_test(test_purge_returns_memory),
      cmocka_unit_test(test_decommit_and_commit_again),
      cmocka_unit_test(test_protect_keeps_contents),
      cmocka_unit_test(test_huge_page_advice_is_harmless),
      cmocka_unit_test(test_populated_pages_keep_their_contents),
      cmocka_unit_test(test_failures_keep_outputs_and_errno),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
