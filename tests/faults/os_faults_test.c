// SPDX-License-Identifier: MIT
// Every class of OS call fails when told to, with -ENOMEM, leaving outputs and memory alone.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocators/os/os.h"

static int teardown(void **state) {
  (void)state;
  hs_os_fault_disarm();
  return 0;
}

static void test_reserve_fails_on_the_nth_call(void **state) {
  (void)state;
  for (uint64_t nth = 1; nth <= 4; nth++) {
    hs_os_fault_arm(HS_OS_FAULT_RESERVE, nth, false);
    for (uint64_t call = 1; call <= 5; call++) {
      void *start = &nth;
      const int error = hs_os_reserve(hs_os_page_bytes(), hs_os_page_bytes(), &start);
      assert_int_equal(error, call == nth ? -ENOMEM : 0);
      if (error != 0)
        assert_ptr_equal(start, &nth);
      else
        hs_os_unmap(start, hs_os_page_bytes());
    }
  }
}

static void test_map_fails_at_either_step_and_keeps_nothing(void **state) {
  (void)state;
  // A leak of 64 GiB in each of 3000 rounds would not fit the address space of 128 TiB.
  const size_t bytes = (size_t)64 << 30;
  for (int round = 0; round < 3000; round++) {
    void *start = &round;
    hs_os_fault_arm(HS_OS_FAULT_COMMIT, 1, false);
    assert_int_equal(hs_os_map(bytes, hs_os_page_bytes(), &start), -ENOMEM);
    assert_ptr_equal(start, &round);
  }
  for (uint64_t nth = 1; nth <= 3; nth++) {
    void *start = &nth;
    hs_os_fault_arm(HS_OS_FAULT_RESERVE | HS_OS_FAULT_COMMIT, nth, false);
    assert_int_equal(hs_os_map(bytes, hs_os_page_bytes(), &start), nth <= 2 ? -ENOMEM : 0);
    if (nth == 3) hs_os_unmap(start, bytes);
  }
}

static void test_changes_of_a_mapping_fail_and_leave_it(void **state) {
  (void)state;
  const size_t page = hs_os_page_bytes();
  char *start;
  assert_int_equal(hs_os_map(page, page, (void **)&start), 0);
  start[0] = 42;
  errno = 12345;
  hs_os_fault_arm(HS_OS_FAULT_ALL, 1, true);
  assert_int_equal(hs_os_purge(start, page, HS_OS_PURGE_DONTNEED), -ENOMEM);
  assert_int_equal(hs_os_purge(start, page, HS_OS_PURGE_FREE), -ENOMEM);
  assert_int_equal(hs_os_decommit(start, page), -ENOMEM);
  assert_int_equal(hs_os_protect(start, page, false), -ENOMEM);
  assert_int_equal(hs_os_commit(start, page), -ENOMEM);
  assert_int_equal(hs_os_fault_calls(), 5);
  hs_os_fault_disarm();
  assert_int_equal(errno, 12345);
  assert_int_equal(start[0], 42);
  hs_os_unmap(start, page);
}

static void do_nothing(void *argument) { (void)argument; }

static void test_thread_start_fails_and_can_be_repeated(void **state) {
  (void)state;
  hs_os_thread thread = {0};
  hs_os_fault_arm(HS_OS_FAULT_THREAD, 1, false);
  assert_int_equal(hs_os_thread_start(&thread, do_nothing, NULL), -ENOMEM);
  assert_true(thread.handle == 0);
  assert_int_equal(hs_os_thread_start(&thread, do_nothing, NULL), 0);
  hs_os_thread_join(&thread);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_reserve_fails_on_the_nth_call, teardown),
      cmocka_unit_test_teardown(test_map_fails_at_either_step_and_keeps_nothing, teardown),
      cmocka_unit_test_teardown(test_changes_of_a_mapping_fail_and_leave_it, teardown),
      cmocka_unit_test_teardown(test_thread_start_fails_and_can_be_repeated, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
