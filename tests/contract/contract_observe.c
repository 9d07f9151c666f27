// SPDX-License-Identifier: MIT
// Looking without touching: identity, verification, the page map, events, the sampled footprint.
#include <string.h>

#include "allocators/runtime/histogram.h"
#include "tests/contract/contract.h"

static void test_the_heap_says_what_it_is(void **state) {
  contract *c = *state;
  const heap_identity identity = heap_identify(c->heap);
  assert_non_null(identity.version);
  assert_non_null(identity.settings);
  assert_true(strlen(identity.version) > 0);
  print_message("%s: %s; %s\n", HEAP_NAME, identity.version, identity.settings);
}

static void test_verify_holds_at_every_stage_of_a_program(void **state) {
  contract *c = *state;
  const size_t n = contract_count(5000);
  assert_true(heap_verify(c->thread));
  HEAP_FRAME(c->thread, f, 2);
  assert_int_equal(contract_list_push(c->thread, &f[0], n, 1), n);
  f[1] = contract_new(c, 5, 70000);
  assert_true(heap_verify(c->thread));
  assert_non_null(heap_pin(c->thread, f[1], 5));
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  assert_true(heap_verify(c->thread));
  heap_unpin(c->thread, f[1]);
  contract_list_drop(c->thread, &f[0]);
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  assert_true(heap_verify(c->thread));
  assert_true(contract_is_zero(c->thread, f[1], 5, 70000));
  HEAP_FRAME_END(c->thread, f);
}

typedef struct map_sum {
  uintptr_t end; // of the page visited last
  uint64_t pages, live_bytes, resident_bytes;
  bool ordered, sane;
} map_sum;

static void map_add(void *context, const heap_map_page *page) {
  map_sum *sum = context;
  sum->ordered = sum->ordered && page->address >= sum->end;
  sum->end = page->address + page->page_bytes;
  sum->sane = sum->sane && page->live_bytes <= page->page_bytes && page->page_bytes >= 4096 &&
              page->page_bytes <= 65536 && (page->live_bytes == 0 || page->resident);
  sum->pages++;
  if (!page->metadata) sum->live_bytes += page->live_bytes;
  if (!page->metadata && page->resident) sum->resident_bytes += page->page_bytes;
}

static map_sum map_read(contract *c) {
  map_sum sum = {.ordered = true, .sane = true};
  assert_true(heap_map(c->thread, map_add, &sum));
  assert_true(sum.ordered);
  assert_true(sum.sane);
  return sum;
}

static void test_the_map_accounts_for_every_object(void **state) {
  contract_needs(HEAP_CAP_MAP);
  contract *c = *state;
  const size_t n = contract_count(20000);
  HEAP_FRAME(c->thread, f, 2);
  assert_int_equal(contract_list_push(c->thread, &f[0], n, 1), n);
  f[1] = contract_new(c, 0, 300000);
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  heap_stats stats;
  heap_stats_read(c->thread, &stats);
  const map_sum full = map_read(c);
  assert_true(full.pages > 0);
  assert_true(full.live_bytes >= n * (sizeof(heap_ref) + CONTRACT_NODE_BYTES) + 300000);
  assert_int_equal(full.live_bytes, stats.value[HEAP_STAT_heap_alloc_bytes]);
  contract_list_drop(c->thread, &f[0]);
  f[1] = HEAP_NULL;
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  const map_sum empty = map_read(c);
  assert_true(empty.live_bytes < full.live_bytes - 300000);
  assert_true(empty.resident_bytes < full.resident_bytes);
  HEAP_FRAME_END(c->thread, f);
}

static void test_no_map_is_said_clearly(void **state) {
  contract *c = *state;
  if (HEAP_CAPS & HEAP_CAP_MAP) contract_skip("the heap shows its pages");
  map_sum sum = {0};
  assert_false(heap_map(c->thread, map_add, &sum));
  assert_int_equal(sum.pages, 0);
}

// Three collections of a small list, by a thread of its own heap; the events of them are in order.
static void collect_three_times(heap *h, heap_thread *t) {
  const hs_event_log *log = heap_events(h);
  const uint64_t begin = hs_os_now_ns();
  const size_t logged = log->count;
  HEAP_FRAME(t, f, 1);
  assert_int_equal(contract_list_push(t, &f[0], contract_count(1000), 1), contract_count(1000));
  for (int i = 0; i < 3; i++) heap_collect(t, HEAP_COLLECT_FULL);
  contract_list_drop(t, &f[0]);
  HEAP_FRAME_END(t, f);
  const uint64_t end = hs_os_now_ns();
  assert_true(log->count >= logged + 3 || log->dropped_count > 0);
  for (size_t i = logged; i < log->count; i++) {
    const hs_event *event = &log->events[i];
    assert_true(event->kind < HS_EVENT_KIND_COUNT);
    assert_true(event->begin_ns >= begin && event->begin_ns <= event->end_ns);
    assert_true(event->end_ns <= end);
  }
}

// In both modes: how often a heap collects does not depend on how.
static void test_cycles_are_logged(void **state) {
  contract *c = *state;
  if (!(HEAP_CAPS & HEAP_CAP_VERIFY)) contract_skip("a foreign collector tells of its stops only");
  for (int64_t gc = HEAP_GC_STW; gc <= HEAP_GC_CONCURRENT; gc++) {
    heap_config config = c->config;
    config.gc = gc;
    config.scavenge = 0; // what it does is logged by another thread, whenever
    config.gogc_percent = -1;
    heap *h;
    heap_thread *t;
    assert_int_equal(heap_create(&config, &h), HEAP_OK);
    assert_int_equal(heap_thread_enter(h, &t), HEAP_OK);
    const hs_event_log *log = heap_events(h);
    if (log) {
      const uint64_t cycles = log->durations[HS_EVENT_CYCLE].count;
      collect_three_times(h, t);
      assert_true(log->durations[HS_EVENT_CYCLE].count >= cycles + 3);
    }
    heap_thread_leave(t);
    heap_destroy(h);
    if (!log) contract_skip("the heap keeps no event log");
  }
}

// Only in gc=stw does every collection stop the program.
static void test_stops_are_logged(void **state) {
  contract *c = *state;
  heap_config config = c->config;
  config.gc = HEAP_GC_STW;
  heap *h;
  heap_thread *t;
  assert_int_equal(heap_create(&config, &h), HEAP_OK);
  assert_int_equal(heap_thread_enter(h, &t), HEAP_OK);
  const hs_event_log *log = heap_events(h);
  if (log) {
    const uint64_t stops = log->durations[HS_EVENT_STOP].count;
    collect_three_times(h, t);
    assert_true(log->durations[HS_EVENT_STOP].count >= stops + 3);
    assert_true(log->pauses.count >= log->durations[HS_EVENT_STOP].count);
  }
  heap_thread_leave(t);
  heap_destroy(h);
  if (!log) contract_skip("the heap keeps no event log");
}

static void test_the_sampled_footprint_follows_the_heap(void **state) {
  contract *c = *state;
  HEAP_FRAME(c->thread, f, 1);
  f[0] = contract_new(c, 0, 32 << 20);
  contract_fill(c->thread, f[0], 0, 32 << 20, 1);
  const uint64_t full = heap_footprint(c->heap);
  if (full == 0) contract_skip("the heap cannot tell its footprint");
  assert_true(full >= 32 << 20);
  contract_drop(c, f[0]);
  f[0] = HEAP_NULL;
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  if (!(HEAP_CAPS & HEAP_CAP_CONSERVATIVE)) // a stray word may hold the one object
    assert_true(heap_footprint(c->heap) <= full - (31 << 20));
  HEAP_FRAME_END(c->thread, f);
}

int contract_observe(void) {
  const struct CMUnitTest tests[] = {
      CONTRACT_TEST(test_the_heap_says_what_it_is),
      CONTRACT_TEST(test_verify_holds_at_every_stage_of_a_program),
      CONTRACT_TEST(test_the_map_accounts_for_every_object),
      CONTRACT_TEST(test_no_map_is_said_clearly),
      CONTRACT_TEST(test_cycles_are_logged),
      CONTRACT_TEST(test_stops_are_logged),
      CONTRACT_TEST(test_the_sampled_footprint_follows_the_heap),
  };
  return cmocka_run_group_tests_name("contract observe " HEAP_NAME, tests, NULL, NULL);
}
