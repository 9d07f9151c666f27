// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <ctype.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "allocators/base/rng.h"
#include "allocators/runtime/event_log.h"
#include "tests/unit/seed.h"

static hs_event_log log_;

static int teardown(void **state) {
  (void)state;
  hs_event_log_destroy(&log_);
  return 0;
}

static void test_names_follow_the_list(void **state) {
  (void)state;
  static const char *const upper[] = {
#define NAME(name, is_pause, meaning) #name,
      HS_EVENT_LIST(NAME)
#undef NAME
  };
  static const bool pause[] = {
#define PAUSE(name, is_pause, meaning) is_pause,
      HS_EVENT_LIST(PAUSE)
#undef PAUSE
  };
  for (int kind = 0; kind < HS_EVENT_KIND_COUNT; kind++) {
    const char *const name = hs_event_kind_name((hs_event_kind)kind);
    assert_non_null(name);
    assert_int_equal(strlen(name), strlen(upper[kind]));
    for (size_t i = 0; name[i]; i++) assert_int_equal(name[i], tolower(upper[kind][i]));
    assert_int_equal(hs_event_kind_is_pause((hs_event_kind)kind), pause[kind]);
  }
  assert_null(hs_event_kind_name(HS_EVENT_KIND_COUNT));
}

static void test_events_are_kept_until_full_and_then_counted(void **state) {
  (void)state;
  assert_int_equal(hs_event_log_init(&log_, 10), 0);
  for (uint64_t i = 0; i < 15; i++) hs_event_log_add(&log_, HS_EVENT_MARK, 3, i, 2 * i, 7 * i);
  assert_int_equal(log_.count, 10);
  assert_int_equal(log_.dropped_count, 5);
  assert_int_equal(log_.durations[HS_EVENT_MARK].count, 15);
  for (uint64_t i = 0; i < 10; i++) {
    const hs_event *const event = &log_.events[i];
    assert_int_equal(event->begin_ns, i);
    assert_int_equal(event->end_ns, 2 * i);
    assert_int_equal(event->value, 7 * i);
    assert_int_equal(event->kind, HS_EVENT_MARK);
    assert_int_equal(event->thread, 3);
  }
}

static void test_only_pauses_count_as_pauses(void **state) {
  (void)state;
  assert_int_equal(hs_event_log_init(&log_, 0), 0); // histograms without events
  uint64_t pauses = 0;
  for (int kind = 0; kind < HS_EVENT_KIND_COUNT; kind++) {
    hs_event_log_add(&log_, (hs_event_kind)kind, 1, 100, 200, 0);
    pauses += hs_event_kind_is_pause((hs_event_kind)kind);
    assert_int_equal(log_.durations[kind].count, 1);
    assert_int_equal(log_.durations[kind].max, 100);
  }
  assert_int_equal(log_.pauses.count, pauses);
  assert_int_equal(log_.count, 0);
  assert_int_equal(log_.dropped_count, HS_EVENT_KIND_COUNT);
}

static void test_untouched_pages_cost_nothing(void **state) {
  (void)state;
  const size_t bytes = (sizeof(hs_event_log) | 4095) + 1;
  void *memory;
  assert_int_equal(hs_os_map(bytes, hs_os_page_bytes(), &memory), 0);
  hs_event_log *const log = memory;
  assert_int_equal(hs_event_log_init(log, 100000), 0);
  const size_t empty = hs_event_log_bytes(log);
  assert_true(empty <= 2 * hs_os_page_bytes());
  hs_event_log_add(log, HS_EVENT_STOP, 1, 0, 1000, 0);
  const size_t one = hs_event_log_bytes(log);
  assert_true(one > empty);
  assert_true(one <= empty + 5 * hs_os_page_bytes()); // an event, 2 heads, 2 buckets
  hs_event_log_add(log, HS_EVENT_STOP, 1, 0, 1000, 0);
  assert_int_equal(hs_event_log_bytes(log), one);
  hs_event_log_destroy(log);
  hs_os_unmap(memory, bytes);
}

static void test_init_accepts_dirty_memory(void **state) {
  (void)state;
  memset(&log_, 0xa5, sizeof log_);
  assert_int_equal(hs_event_log_init(&log_, 4), 0);
  assert_int_equal(log_.count, 0);
  assert_int_equal(log_.pauses.count, 0);
  hs_event_log_add(&log_, HS_EVENT_GROW, 1, 5, 8, 1);
  assert_int_equal(log_.durations[HS_EVENT_GROW].sum, 3);
  assert_int_equal(hs_histogram_quantile(&log_.durations[HS_EVENT_GROW], 1.0), 3);
}

// ---- minimum mutator utilisation ----------------------------------------------------------------

static void test_utilisation_of_plain_cases(void **state) {
  (void)state;
  assert_int_equal(hs_event_log_init(&log_, 10), 0);
  assert_true(hs_event_log_mmu(&log_, 0, 1000, 10) == 1.0);
  hs_event_log_add(&log_, HS_EVENT_CYCLE, 1, 0, 1000, 0); // not a pause
  assert_true(hs_event_log_mmu(&log_, 0, 1000, 10) == 1.0);
  hs_event_log_add(&log_, HS_EVENT_STOP, 1, 100, 120, 0);
  assert_true(hs_event_log_mmu(&log_, 0, 1000, 10) == 0.0);
  assert_true(fabs(hs_event_log_mmu(&log_, 0, 1000, 40) - 0.5) < 1e-12);
  assert_true(fabs(hs_event_log_mmu(&log_, 0, 1000, 5000) - 0.98) < 1e-12); // clamped to the whole
  hs_event_log_add(&log_, HS_EVENT_ASSIST, 2, 110, 130, 0);                 // overlaps: counts once
  assert_true(fabs(hs_event_log_mmu(&log_, 0, 1000, 100) - 0.7) < 1e-12);
  assert_true(hs_event_log_mmu(&log_, 130, 1000, 10) == 1.0); // outside of what is asked for
}

enum { SPAN = 400, PAUSES_MAX = 30 };

// Utilisation by definition: every window of whole nanoseconds, every nanosecond of it.
static double mmu_by_force(const hs_event_log *log, uint64_t begin, uint64_t end, uint64_t window) {
  bool paused[SPAN] = {false};
  for (size_t i = 0; i < log->count; i++)
    for (uint64_t t = log->events[i].begin_ns; t < log->events[i].end_ns; t++) paused[t] = true;
  if (window > end - begin) window = end - begin;
  uint64_t worst = 0;
  for (uint64_t from = begin; from + window <= end; from++) {
    uint64_t sum = 0;
    for (uint64_t t = from; t < from + window; t++) sum += paused[t];
    if (sum > worst) worst = sum;
  }
  return 1.0 - (double)worst / (double)window;
}

static void test_utilisation_against_brute_force(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(test_seed(1));
  for (int round = 0; round < 400; round++) {
    assert_int_equal(hs_event_log_init(&log_, PAUSES_MAX), 0);
    const uint64_t pauses = hs_rng_below(&rng, PAUSES_MAX);
    for (uint64_t i = 0; i < pauses; i++) {
      const uint64_t begin = hs_rng_below(&rng, SPAN);
      const uint64_t end = begin + hs_rng_below(&rng, hs_min_u64(SPAN - begin, 25) + 1);
      hs_event_log_add(&log_, HS_EVENT_STALL, 1, begin, end, 0);
    }
    for (int query = 0; query < 8; query++) {
      const uint64_t begin = hs_rng_below(&rng, SPAN / 2);
      const uint64_t end = hs_rng_between(&rng, begin + 1, SPAN);
      const uint64_t window = hs_rng_between(&rng, 1, 120);
      const double exact = mmu_by_force(&log_, begin, end, window);
      assert_true(fabs(hs_event_log_mmu(&log_, begin, end, window) - exact) < 1e-12);
    }
    hs_event_log_destroy(&log_);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names_follow_the_list),
      cmocka_unit_test_teardown(test_events_are_kept_until_full_and_then_counted, teardown),
      cmocka_unit_test_teardown(test_only_pauses_count_as_pauses, teardown),
      cmocka_unit_test(test_untouched_pages_cost_nothing),
      cmocka_unit_test_teardown(test_init_accepts_dirty_memory, teardown),
      cmocka_unit_test_teardown(test_utilisation_of_plain_cases, teardown),
      cmocka_unit_test(test_utilisation_against_brute_force),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
