// SPDX-License-Identifier: MIT
// The numbers: identities hold at every instant, counts are exact, and memory comes back.
#include "allocators/runtime/stats.h"
#include "tests/contract/contract.h"

static heap_stats stats_checked(contract *c) {
  heap_stats stats;
  heap_stats_read(c->thread, &stats);
  const char *violation = hs_stats_violation(&stats);
  if (violation) fail_msg("statistics violate: %s", violation);
  return stats;
}

static void test_identities_hold_at_every_instant(void **state) {
  contract *c = *state;
  HEAP_FRAME(c->thread, f, 2);
  stats_checked(c);
  for (int round = 0; round < 6; round++) {
    const size_t n = contract_count(3000);
    assert_int_equal(contract_list_push(c->thread, &f[0], n, 1), n);
    stats_checked(c);
    f[1] = contract_new(c, 3, (size_t)100000 * (size_t)(round + 1));
    stats_checked(c);
    contract_list_drop(c->thread, &f[0]);
    stats_checked(c);
    heap_collect(c->thread, (heap_collect_kind)(round % 3));
    stats_checked(c);
  }
  HEAP_FRAME_END(c->thread, f);
}

// Counted from a quiet state: caches may round, but nothing is lost or counted twice.
static void test_allocations_are_counted(void **state) {
  contract *c = *state;
  const size_t n = contract_count(10000);
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  const heap_stats before = stats_checked(c);
  HEAP_FRAME(c->thread, f, 1);
  assert_int_equal(contract_list_push(c->thread, &f[0], n, 1), n);
  const heap_stats after = stats_checked(c);
  contract_list_drop(c->thread, &f[0]);
  HEAP_FRAME_END(c->thread, f);
  const uint64_t payload = n * (sizeof(heap_ref) + CONTRACT_NODE_BYTES);
  if (heap_stats_has(&after, HEAP_STAT_heap_alloc_bytes)) {
    assert_true(after.value[HEAP_STAT_heap_alloc_bytes] >=
                before.value[HEAP_STAT_heap_alloc_bytes] + payload);
  }
  if (heap_stats_has(&after, HEAP_STAT_mallocs_count)) {
    assert_int_equal(after.value[HEAP_STAT_mallocs_count] - before.value[HEAP_STAT_mallocs_count],
                     n);
  }
  if (heap_stats_has(&after, HEAP_STAT_total_alloc_bytes)) {
    assert_true(after.value[HEAP_STAT_total_alloc_bytes] >=
                before.value[HEAP_STAT_total_alloc_bytes] + payload);
  }
}

static void test_cycles_are_counted(void **state) {
  contract_needs(HEAP_CAP_TRACES);
  contract *c = *state;
  const heap_stats before = stats_checked(c);
  if (!heap_stats_has(&before, HEAP_STAT_cycles_count)) contract_skip("cycles are not stated");
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  const heap_stats after = stats_checked(c);
  assert_true(after.value[HEAP_STAT_cycles_count] >= before.value[HEAP_STAT_cycles_count] + 2);
  if (heap_stats_has(&after, HEAP_STAT_forced_cycles_count)) {
    assert_true(after.value[HEAP_STAT_forced_cycles_count] >=
                before.value[HEAP_STAT_forced_cycles_count] + 2);
  }
}

// Allocate n objects of mixed sizes and drop them all.
HS_NOINLINE static void burst(contract *c, size_t n) {
  HEAP_FRAME(c->thread, f, 1);
  f[0] = heap_alloc(c->thread, n, 0);
  assert_false(heap_is_null(f[0]));
  for (size_t i = 0; i < n; i++) {
    const heap_ref object = heap_alloc(c->thread, 0, 16 + i % 5 * 16);
    assert_false(heap_is_null(object));
    heap_store(c->thread, f[0], i, object);
  }
  for (size_t i = 0; i < n; i++) heap_discard(c->thread, heap_load(c->thread, f[0], i));
  const heap_ref table = f[0];
  f[0] = HEAP_NULL;
  heap_discard(c->thread, table);
  HEAP_FRAME_END(c->thread, f);
}

// Room for what a heap may keep after all objects are gone: a block or a region per size class and
// thread, tables that do not shrink. A library that frees at once also keeps metadata in steps of its
// own (jemalloc 5.3: some 3 MiB after the 53 MiB of a round), a conservative heap what a stray word
// holds.
static uint64_t kept_bytes(void) {
  if (HEAP_CAPS & HEAP_CAP_CONSERVATIVE) return 16 << 20;
  return HEAP_CAPS & HEAP_CAP_FREES ? 8 << 20 : 2 << 20;
}

static void test_a_million_objects_come_and_go(void **state) {
  contract *c = *state;
  const size_t n = contract_stress ? 200 : 1000000;
  burst(c, contract_stress ? 20 : 1000); // caches and tables exist from here on
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  const heap_stats before = stats_checked(c);
  for (int round = 0; round < 2; round++) burst(c, n);
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  heap_collect(c->thread, HEAP_COLLECT_RELEASE);
  const heap_stats after = stats_checked(c);
  const uint64_t kept = kept_bytes();
  static const heap_stat back[] = {HEAP_STAT_heap_alloc_bytes, HEAP_STAT_heap_inuse_bytes,
                                   HEAP_STAT_heap_usage_bytes, HEAP_STAT_footprint_bytes};
  for (size_t i = 0; i < sizeof back / sizeof *back; i++) {
    if (!heap_stats_has(&after, back[i])) continue;
    if (after.value[back[i]] > before.value[back[i]] + kept) {
      fail_msg("%s: %llu before, %llu after", heap_stat_name(back[i]),
               (unsigned long long)before.value[back[i]], (unsigned long long)after.value[back[i]]);
    }
  }
  if (heap_stats_has(&after, HEAP_STAT_heap_objects_count) &&
      heap_stats_has(&before, HEAP_STAT_heap_objects_count) &&
      !(HEAP_CAPS & HEAP_CAP_CONSERVATIVE)) {
    assert_int_equal(after.value[HEAP_STAT_heap_objects_count],
                     before.value[HEAP_STAT_heap_objects_count]);
  }
}

static void test_every_number_has_a_name_and_a_meaning(void **state) {
  (void)state;
  for (int i = 0; i < HEAP_STAT_COUNT; i++) {
    assert_non_null(heap_stat_name((heap_stat)i));
    assert_non_null(heap_stat_meaning((heap_stat)i));
  }
  assert_null(heap_stat_name(HEAP_STAT_COUNT));
}

int contract_stats(void) {
  const struct CMUnitTest tests[] = {
      CONTRACT_TEST(test_identities_hold_at_every_instant),
      CONTRACT_TEST(test_allocations_are_counted),
      CONTRACT_TEST(test_cycles_are_counted),
      CONTRACT_TEST(test_a_million_objects_come_and_go),
      CONTRACT_TEST(test_every_number_has_a_name_and_a_meaning),
  };
  return cmocka_run_group_tests_name("contract stats " HEAP_NAME, tests, NULL, NULL);
}
