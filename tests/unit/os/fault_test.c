// SPDX-License-Identifier: MIT
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

static void test_nothing_fails_when_disarmed(void **state) {
  (void)state;
  hs_os_fault_disarm();
  for (int i = 0; i < 100; i++) assert_false(hs_os_fault_check(HS_OS_FAULT_COMMIT));
}

static void test_only_the_nth_call_fails(void **state) {
  (void)state;
  for (uint64_t nth = 1; nth <= 10; nth++) {
    hs_os_fault_arm(HS_OS_FAULT_COMMIT, nth, false);
    for (uint64_t call = 1; call <= 12; call++)
      assert_int_equal(hs_os_fault_check(HS_OS_FAULT_COMMIT), call == nth);
    assert_int_equal(hs_os_fault_calls(), 12);
  }
}

static void test_persistent_faults_stay(void **state) {
  (void)state;
  hs_os_fault_arm(HS_OS_FAULT_PURGE, 3, true);
  for (uint64_t call = 1; call <= 10; call++)
    assert_int_equal(hs_os_fault_check(HS_OS_FAULT_PURGE), call >= 3);
}

static void test_other_classes_are_neither_failed_nor_counted(void **state) {
  (void)state;
  hs_os_fault_arm(HS_OS_FAULT_RESERVE | HS_OS_FAULT_THREAD, 2, false);
  assert_false(hs_os_fault_check(HS_OS_FAULT_COMMIT));
  assert_false(hs_os_fault_check(HS_OS_FAULT_PROTECT));
  assert_int_equal(hs_os_fault_calls(), 0);
  assert_false(hs_os_fault_check(HS_OS_FAULT_RESERVE));
  assert_true(hs_os_fault_check(HS_OS_FAULT_THREAD));
  assert_int_equal(hs_os_fault_calls(), 2);
}

static void test_all_covers_every_class(void **state) {
  (void)state;
  const hs_os_fault_class classes[] = {HS_OS_FAULT_RESERVE, HS_OS_FAULT_COMMIT, HS_OS_FAULT_PURGE,
                                       HS_OS_FAULT_PROTECT, HS_OS_FAULT_THREAD};
  hs_os_fault_arm(HS_OS_FAULT_ALL, 1, true);
  for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
    assert_true(hs_os_fault_check(classes[i]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_nothing_fails_when_disarmed, teardown),
      cmocka_unit_test_teardown(test_only_the_nth_call_fails, teardown),
      cmocka_unit_test_teardown(test_persistent_faults_stay, teardown),
      cmocka_unit_test_teardown(test_other_classes_are_neither_failed_nor_counted, teardown),
      cmocka_unit_test_teardown(test_all_covers_every_class, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
