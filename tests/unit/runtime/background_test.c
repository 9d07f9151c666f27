// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocators/runtime/background.h"

typedef struct job {
  _Atomic(uint32_t) slices; // futex: how often it ran
  uint64_t sleep_ns;
} job;

static uint64_t work(void *context) {
  job *const self = context;
  hs_add_acq_rel(&self->slices, 1);
  hs_os_futex_wake(&self->slices, UINT32_MAX);
  return self->sleep_ns;
}

static void await_slices(job *self, uint32_t wanted) {
  uint32_t seen;
  while ((seen = hs_load_acquire(&self->slices)) < wanted)
    (void)hs_os_futex_wait(&self->slices, seen, UINT64_MAX);
}

static void test_runs_at_start_and_at_each_wake(void **state) {
  (void)state;
  job self = {.sleep_ns = HS_BACKGROUND_IDLE};
  hs_background background;
  assert_int_equal(hs_background_start(&background, "test", work, &self), 0);
  await_slices(&self, 1);
  for (uint32_t i = 2; i < 200; i++) {
    hs_background_wake(&background);
    await_slices(&self, i); // a lost wake-up would hang here
  }
  hs_background_stop(&background);
  const uint32_t slices = hs_load_acquire(&self.slices);
  hs_background_wake(&background); // after the stop: nobody is there
  assert_int_equal(hs_load_acquire(&self.slices), slices);
}

static void test_runs_again_by_itself(void **state) {
  (void)state;
  job self = {.sleep_ns = 1000};
  hs_background background;
  assert_int_equal(hs_background_start(&background, "test", work, &self), 0);
  await_slices(&self, 20);
  hs_background_stop(&background);
  assert_true(hs_load_acquire(&self.slices) >= 20);
}

static void test_runs_without_pause_at_zero(void **state) {
  (void)state;
  job self = {.sleep_ns = 0};
  hs_background background;
  assert_int_equal(hs_background_start(&background, "test", work, &self), 0);
  await_slices(&self, 1000);
  hs_background_stop(&background);
  assert_true(hs_load_acquire(&self.slices) >= 1000);
}

static void test_stop_is_idempotent(void **state) {
  (void)state;
  hs_background background = {0};
  hs_background_stop(&background); // never started
  job self = {.sleep_ns = HS_BACKGROUND_IDLE};
  for (int round = 0; round < 50; round++) { // a stop at once after the start
    assert_int_equal(hs_background_start(&background, "test", work, &self), 0);
    hs_background_stop(&background);
    hs_background_stop(&background);
    assert_true(background.thread.handle == 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_runs_at_start_and_at_each_wake),
      cmocka_unit_test(test_runs_again_by_itself),
      cmocka_unit_test(test_runs_without_pause_at_zero),
      cmocka_unit_test(test_stop_is_idempotent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
