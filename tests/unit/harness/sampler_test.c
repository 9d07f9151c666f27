// SPDX-License-Identifier: MIT
// The sampler's buffer and thread, and the harness's counted memory.
#include "harness/sampler.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_memory_is_zero_counted_and_given_back(void **state) {
  (void)state;
  run_memory memory = {0};
  const size_t page = hs_os_page_bytes();
  unsigned char *bytes = run_memory_map(&memory, page + 1);
  assert_non_null(bytes);
  assert_int_equal(run_memory_bytes(&memory), 2 * page);
  for (size_t i = 0; i < page + 1; i++) assert_int_equal(bytes[i], 0);
  run_memory_unmap(&memory, bytes, page + 1);
  assert_int_equal(run_memory_bytes(&memory), 0);
  run_memory_unmap(&memory, NULL, 10);
  assert_null(run_memory_map(&memory, SIZE_MAX));
  assert_int_equal(run_memory_bytes(&memory), 0);
}

static void test_refused_memory_counts_nothing(void **state) {
  (void)state;
  run_memory memory = {0};
  run_sampler sampler = {0};
  hs_os_fault_arm(HS_OS_FAULT_ALL, 1, true);
  void *bytes = run_memory_map(&memory, 100);
  const int refused = sampler_init(&sampler, &memory, 1000);
  hs_os_fault_disarm();
  assert_null(bytes);
  assert_int_equal(refused, -ENOMEM);
  assert_int_equal(run_memory_bytes(&memory), 0);
}

static void test_full_buffer_keeps_every_second_sample(void **state) {
  (void)state;
  run_memory memory = {0};
  run_sampler sampler = {0};
  assert_int_equal(sampler_init(&sampler, &memory, 1000), 0);
  for (uint64_t i = 0; i <= SAMPLER_CAPACITY; i++)
    sampler_add(&sampler, (sampler_sample){.time_ns = i});
  assert_int_equal(sampler.count, SAMPLER_CAPACITY / 2 + 1);
  assert_int_equal(sampler.period_ns, 2000);
  for (uint64_t i = 0; i < SAMPLER_CAPACITY / 2; i++)
    assert_int_equal(sampler.samples[i].time_ns, 2 * i);
  assert_int_equal(sampler.samples[SAMPLER_CAPACITY / 2].time_ns, SAMPLER_CAPACITY);
  run_memory_unmap(&memory, sampler.samples, SAMPLER_CAPACITY * sizeof *sampler.samples);
}

static uint64_t wake_after_three(void *context) {
  _Atomic(uint32_t) *calls = context;
  if (hs_add_relaxed(calls, 1) + 1 >= 3) hs_os_futex_wake(calls, 1);
  return 42;
}

static void test_thread_samples_until_stopped(void **state) {
  (void)state;
  run_memory memory = {0};
  run_sampler sampler = {0};
  _Atomic(uint32_t) calls = 0;
  assert_int_equal(sampler_init(&sampler, &memory, 1000000), 0);
  assert_int_equal(sampler_start(&sampler, wake_after_three, &calls, hs_os_now_ns()), 0);
  for (uint32_t seen; (seen = hs_load_acquire(&calls)) < 3;)
    hs_os_futex_wait(&calls, seen, 1000000);
  sampler_stop(&sampler);
  assert_true(sampler.count >= 3);
  assert_int_equal(sampler.samples[0].footprint_bytes, 42);
  assert_true(sampler.samples[0].rss_bytes > 0);
  assert_true(sampler.samples[1].time_ns > sampler.samples[0].time_ns);
  sampler_stop(&sampler); // again: nothing to do
  run_memory_unmap(&memory, sampler.samples, SAMPLER_CAPACITY * sizeof *sampler.samples);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_memory_is_zero_counted_and_given_back),
      cmocka_unit_test(test_refused_memory_counts_nothing),
      cmocka_unit_test(test_full_buffer_keeps_every_second_sample),
      cmocka_unit_test(test_thread_samples_until_stopped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
