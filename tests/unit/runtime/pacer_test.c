// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "allocators/base/rng.h"
#include "allocators/runtime/config.h"
#include "allocators/runtime/pacer.h"
#include "tests/unit/seed.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define NEAR(a, b) assert_true(near(a, b))

static bool near(double a, double b) { return fabs(a - b) <= 1e-9 * fabs(b); }

static heap_config with_gogc(int64_t percent) {
  heap_config config = hs_config_default();
  config.gogc_percent = percent;
  return config;
}

static void test_default_doubles(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
  assert_true(hs_pacer_goal_bytes(&config, 100 * MIB, 0) == 200 * MIB);
  assert_true(hs_pacer_goal_bytes(&config, 100 * MIB, 10 * MIB) == 210 * MIB); // roots count once
}

static void test_small_heaps_wait_for_the_minimum(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  assert_true(hs_pacer_goal_bytes(&config, 0, 0) == 4 * MIB);
  assert_true(hs_pacer_goal_bytes(&config, MIB, 0) == 4 * MIB);
  config.gogc_percent = 200; // the minimum scales, as in Go
  assert_true(hs_pacer_goal_bytes(&config, MIB, 0) == 8 * MIB);
  config.gogc_percent = 25;
  assert_true(hs_pacer_goal_bytes(&config, 0, 0) == MIB);
}

static void test_goal_is_always_above_marked(void **state) {
  (void)state;
  for (int64_t percent = 0; percent <= 400; percent += 25) {
    heap_config config = with_gogc(percent);
    config.min_heap_bytes = 0;
    for (uint64_t marked = 0; marked <= 1024 * MIB; marked += 37 * MIB)
      assert_true(hs_pacer_goal_bytes(&config, marked, 0) > marked);
  }
}

static void test_off_never_starts(void **state) {
  (void)state;
  const heap_config config = with_gogc(-1);
  assert_true(hs_pacer_goal_bytes(&config, 100 * MIB, 0) == UINT64_MAX);
}

static void test_limit_caps_but_not_below_marked(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.limit_bytes = (int64_t)(150 * MIB);
  assert_true(hs_pacer_goal_bytes(&config, 50 * MIB, 0) == 100 * MIB);
  assert_true(hs_pacer_goal_bytes(&config, 100 * MIB, 0) == 150 * MIB);
  assert_true(hs_pacer_goal_bytes(&config, 160 * MIB, 0) == 160 * MIB);
  config.gogc_percent = -1; // as GOGC=off with GOMEMLIMIT
  assert_true(hs_pacer_goal_bytes(&config, 10 * MIB, 0) == 150 * MIB);
}

static void test_extremes_saturate(void **state) {
  (void)state;
  heap_config config = with_gogc(100000);
  assert_true(hs_pacer_goal_bytes(&config, UINT64_MAX / 2, UINT64_MAX) == UINT64_MAX);
  config.min_heap_bytes = INT64_MAX;
  assert_true(hs_pacer_goal_bytes(&config, 0, 0) == UINT64_MAX);
  config = with_gogc(100);
  assert_true(hs_pacer_goal_bytes(&config, UINT64_MAX, 0) == UINT64_MAX);
}

// ---- the concurrent pacer -----------------------------------------------------------------------

static hs_pacer pacer_with(const heap_config *config) {
  hs_pacer pacer;
  hs_pacer_init(&pacer, config, 8); // two workers: a quarter of the cores
  return pacer;
}

// A cycle from `triggered` to `live` that scanned all of `marked`, roots none, u a quarter.
static void run_cycle(hs_pacer *pacer, uint64_t triggered, uint64_t live, uint64_t marked) {
  hs_pacer_start_cycle(pacer, triggered, 0);
  hs_pacer_end_cycle(pacer, &(hs_pacer_cycle){.live_bytes = live,
                                              .marked_bytes = marked,
                                              .scanned_bytes = marked,
                                              .utilisation = 0.25});
  hs_pacer_commit(pacer, marked, true, NULL);
}

static void test_workers_are_a_quarter_of_the_cores(void **state) {
  (void)state;
  static const unsigned expected[][2] = {{0, 1}, {1, 1}, {2, 1}, {3, 1},  {4, 1},  {5, 1},
                                         {6, 1}, {7, 2}, {8, 2}, {10, 3}, {12, 3}, {64, 16}};
  heap_config config = hs_config_default();
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
    assert_int_equal(hs_pacer_workers(&config, expected[i][0]), expected[i][1]);
  config.workers = 7;
  assert_int_equal(hs_pacer_workers(&config, 2), 7);
  // What they aim at is their share of the cores, up to half of them.
  static const double shares[][2] = {{1, 0.5}, {2, 0.5}, {4, 0.25}, {8, 0.25}, {3, 1.0 / 3}};
  config.workers = 0;
  for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
    hs_pacer pacer;
    hs_pacer_init(&pacer, &config, (unsigned)shares[i][0]);
    NEAR(pacer.background_share, shares[i][1]);
  }
}

static void test_a_new_pacer_waits_for_the_minimum(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
  const hs_pacer pacer = pacer_with(&config);
  assert_true(hs_pacer_goal(&pacer) == 4 * MIB);
  assert_true(hs_pacer_trigger(&pacer) == 4 * MIB / 64 * 61);
  assert_true(hs_pacer_assist_ratio(&pacer) == 0);
}

static void test_a_stopped_world_is_collected_at_its_goal(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.gc = HEAP_GC_STW;
  hs_pacer pacer = pacer_with(&config);
  run_cycle(&pacer, 20 * MIB, 24 * MIB, 16 * MIB);
  assert_true(hs_pacer_goal(&pacer) == hs_pacer_goal_bytes(&config, 16 * MIB, 0));
  assert_true(hs_pacer_trigger(&pacer) == hs_pacer_goal(&pacer));
}

static void test_off_never_triggers_but_paces_a_forced_cycle(void **state) {
  (void)state;
  const heap_config config = with_gogc(-1);
  hs_pacer pacer = pacer_with(&config);
  assert_true(hs_pacer_goal(&pacer) == UINT64_MAX);
  assert_true(hs_pacer_trigger(&pacer) == UINT64_MAX);
  hs_pacer_start_cycle(&pacer, 100 * MIB, MIB);
  assert_true(hs_pacer_assist_ratio(&pacer) > 0 && hs_pacer_assist_ratio(&pacer) < 1e-9);
}

// The next runway is what this cycle allocated, if it took what the workers take and the work is
// alike.
static void test_runway_is_learnt(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
  hs_pacer pacer = pacer_with(&config);
  run_cycle(&pacer, 100 * MIB, 112 * MIB, 64 * MIB);
  NEAR(pacer.cons_mark, 12.0 / 64 * 0.25 / 0.75);
  assert_true(pacer.runway_bytes == 12 * MIB);
  assert_true(hs_pacer_goal(&pacer) == 128 * MIB);
  assert_true(hs_pacer_trigger(&pacer) == 116 * MIB);
  // Half of the cores did it: per core the program was a third as slow to fill, the collector half
  // as fast, so the workers alone would need a longer way.
  hs_pacer twice = pacer_with(&config);
  hs_pacer_start_cycle(&twice, 100 * MIB, 0);
  hs_pacer_end_cycle(&twice, &(hs_pacer_cycle){.live_bytes = 104 * MIB,
                                               .marked_bytes = 64 * MIB,
                                               .scanned_bytes = 64 * MIB,
                                               .utilisation = 0.25,
                                               .idle_utilisation = 0.25});
  NEAR(twice.cons_mark, 4.0 / 64 * 0.5 / 0.75);
}

static void test_trigger_stays_between_its_bounds(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
  hs_pacer pacer = pacer_with(&config);
  run_cycle(&pacer, 100 * MIB, 200 * MIB, 64 * MIB); // wants far more runway than there is
  assert_true(hs_pacer_trigger(&pacer) == 64 * MIB + 45 * MIB);
  pacer = pacer_with(&config);
  run_cycle(&pacer, 100 * MIB, 100 * MIB + 1, 64 * MIB); // wants none: 61/64 of the way
  assert_true(hs_pacer_trigger(&pacer) == 64 * MIB + 61 * MIB);
  pacer = pacer_with(&config);
  run_cycle(&pacer, 100 * MIB, 100 * MIB + 1, 640 * MIB); // or 4 MiB short of a large goal
  assert_true(hs_pacer_trigger(&pacer) == 1280 * MIB - 4 * MIB);
}

static void test_the_largest_of_five_cycles_counts(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
  hs_pacer pacer = pacer_with(&config);
  run_cycle(&pacer, 100 * MIB, 116 * MIB, 64 * MIB);
  for (int cycle = 1; cycle <= HS_PACER_HISTORY; cycle++) {
    run_cycle(&pacer, 100 * MIB, 104 * MIB, 64 * MIB);
    assert_true(pacer.runway_bytes == 16 * MIB);
  }
  run_cycle(&pacer, 100 * MIB, 104 * MIB, 64 * MIB);
  assert_true(pacer.runway_bytes == 4 * MIB); // the sixth has forgotten it
  const double before = pacer.cons_mark;
  for (int cycle = 0; cycle < 10; cycle++)
    run_cycle(&pacer, 100 * MIB, 100 * MIB, 64 * MIB); // nothing was allocated, nothing learnt
  NEAR(pacer.cons_mark, before);
}

static void test_an_unfinished_sweep_gets_its_distance(void **state) {
  (void)state;
  heap_config config = with_gogc(0);
  config.min_heap_bytes = 0;
  hs_pacer pacer = pacer_with(&config);
  run_cycle(&pacer, 10 * MIB, 10 * MIB, 10 * MIB);
  assert_true(hs_pacer_goal(&pacer) == 10 * MIB + 64 * KIB);
  hs_pacer_commit(&pacer, 10 * MIB, false, NULL);
  assert_true(hs_pacer_goal(&pacer) == 11 * MIB);
  assert_true(hs_pacer_trigger(&pacer) == 11 * MIB);
  hs_pacer_commit(&pacer, 10 * MIB, true, NULL);
  assert_true(hs_pacer_goal(&pacer) == 10 * MIB + 64 * KIB);
  // A cycle that starts late still has room; the hard limit allows neither.
  hs_pacer_start_cycle(&pacer, 15 * MIB, 0);
  assert_true(hs_pacer_goal(&pacer) == 15 * MIB + 64 * KIB);
  config.limit_bytes = 10 * MIB + 1;
  hs_pacer limited = pacer_with(&config);
  run_cycle(&limited, 10 * MIB, 10 * MIB, 10 * MIB);
  hs_pacer_commit(&limited, 10 * MIB, false, NULL);
  assert_true(hs_pacer_goal(&limited) == 10 * MIB + 1);
  assert_true(hs_pacer_trigger(&limited) <= hs_pacer_goal(&limited));
}

static void test_soft_limit_leaves_room_for_what_is_no_heap(void **state) {
  (void)state;
  // limit 400 MiB, marked 50 MiB; goals in bytes
  static const struct {
    hs_pacer_memory memory; // MiB
    uint64_t room_bytes;    // before the headroom of 3 %, at least 1 MiB
  } cases[] = {
      {{0, 0, 0}, 400 * MIB},       // nothing mapped: all is room
      {{300, 100, 100}, 300 * MIB}, // 100 MiB are neither free nor objects
      {{300, 200, 200}, 400 * MIB}, // inconsistent: heap larger than all; never negative
      {{420, 100, 200}, 260 * MIB}, // 120 no heap, and 20 over the limit
      {{430, 0, 60}, 0},            // no heap alone fills it: nothing but marked_bytes is left
  };
  heap_config config = with_gogc(-1);
  config.memory_limit_bytes = (int64_t)(400 * MIB);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    hs_pacer pacer = pacer_with(&config);
    run_cycle(&pacer, 60 * MIB, 60 * MIB, 50 * MIB);
    const hs_pacer_memory memory = {cases[i].memory.mapped_bytes * MIB,
                                    cases[i].memory.heap_free_bytes * MIB,
                                    cases[i].memory.heap_alloc_bytes * MIB};
    hs_pacer_commit(&pacer, 50 * MIB, false, &memory);
    const uint64_t room = cases[i].room_bytes;
    assert_true(hs_pacer_goal(&pacer) == (room ? room - room * 3 / 100 : 50 * MIB));
    assert_true(pacer.memory_limited);
    hs_pacer_commit(&pacer, 50 * MIB, true, NULL); // remembers the memory
    assert_true(hs_pacer_goal(&pacer) == (room ? room - room * 3 / 100 : 50 * MIB));
  }
}

static void test_soft_limit_keeps_headroom_when_small(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  static const uint64_t limits[][2] = {{8 * MIB, 4 * MIB}, // gogc is lower
                                       {4 * MIB, 3 * MIB},
                                       {2 * MIB, MIB},
                                       {MIB / 2, MIB}};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    config.memory_limit_bytes = (int64_t)limits[i][0];
    const hs_pacer pacer = pacer_with(&config);
    assert_true(hs_pacer_goal(&pacer) == limits[i][1]);
    assert_int_equal(pacer.memory_limited, i > 0);
  }
}

static void test_assists_share_out_the_work_that_is_left(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
  hs_pacer pacer = pacer_with(&config);
  run_cycle(&pacer, 100 * MIB, 100 * MIB, 60 * MIB); // goal 120 MiB
  hs_pacer_start_cycle(&pacer, 110 * MIB, 4 * MIB);  // 64 MiB to scan in 10 MiB
  NEAR(hs_pacer_assist_ratio(&pacer), 6.4);
  hs_pacer_revise(&pacer, 112 * MIB, 48 * MIB); // ahead
  NEAR(hs_pacer_assist_ratio(&pacer), 2);
  hs_pacer_revise(&pacer, 118 * MIB, 48 * MIB); // behind
  NEAR(hs_pacer_assist_ratio(&pacer), 8);
  hs_pacer_revise(&pacer, 118 * MIB, 64 * MIB); // all done, as far as is known
  NEAR(hs_pacer_assist_ratio(&pacer), 1000.0 / (2 << 20));
  // At the goal exactly: the whole of what is left per byte.
  hs_pacer_revise(&pacer, 120 * MIB, 48 * MIB);
  NEAR(hs_pacer_assist_ratio(&pacer), 16.0 * (1 << 20));
  // Past it: all 110 MiB may be live; they must be scanned in a tenth more, to 132 MiB.
  hs_pacer_revise(&pacer, 122 * MIB, 48 * MIB);
  NEAR(hs_pacer_assist_ratio(&pacer), (114.0 - 48) / 10);
  // More work than expected, before the goal: the goal moves out in proportion, from 110 MiB by 10
  // MiB per 64 MiB of work, to 127.8 MiB for 114.
  hs_pacer_revise(&pacer, 118 * MIB, 66 * MIB);
  NEAR(hs_pacer_assist_ratio(&pacer), (114.0 - 66) / (110 + 10.0 / 64 * 114 - 118));
  hs_pacer_end_cycle(&pacer, &(hs_pacer_cycle){.live_bytes = 118 * MIB});
  assert_true(hs_pacer_assist_ratio(&pacer) == 0);
  hs_pacer_revise(&pacer, 118 * MIB, 66 * MIB); // too late
  assert_true(hs_pacer_assist_ratio(&pacer) == 0);
}

static void test_a_goal_moves_out_only_as_far_as_the_next(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
  hs_pacer pacer = pacer_with(&config);
  // One thousandth of the heap was scanned, the rest may be just as well.
  hs_pacer_start_cycle(&pacer, 100 * MIB, 0);
  hs_pacer_end_cycle(&pacer, &(hs_pacer_cycle){.live_bytes = 100 * MIB,
                                               .marked_bytes = 60 * MIB,
                                               .scanned_bytes = 60 * KIB,
                                               .scannable_bytes = 60 * MIB});
  hs_pacer_commit(&pacer, 60 * MIB, true, NULL); // goal 120 MiB
  hs_pacer_start_cycle(&pacer, 110 * MIB, 0);
  hs_pacer_revise(&pacer, 110 * MIB, MIB);
  NEAR(hs_pacer_assist_ratio(&pacer), (110.0 - 1) / (2 * 120 - 110)); // not 110 + 10 * 1000
  // Where only what was scanned can be, nothing is feared.
  hs_pacer_end_cycle(&pacer, &(hs_pacer_cycle){.live_bytes = 110 * MIB,
                                               .marked_bytes = 60 * MIB,
                                               .scanned_bytes = 60 * KIB});
  hs_pacer_commit(&pacer, 60 * MIB, true, NULL);
  hs_pacer_start_cycle(&pacer, 110 * MIB, 0);
  hs_pacer_revise(&pacer, 110 * MIB, MIB);
  assert_true(hs_pacer_assist_ratio(&pacer) < 0.001);
}

static void test_last_cycle_can_be_traced(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
  hs_pacer pacer = pacer_with(&config);
  run_cycle(&pacer, 100 * MIB, 112 * MIB, 64 * MIB);
  const double cons_mark = pacer.cons_mark;
  hs_pacer_start_cycle(&pacer, 116 * MIB, MIB);
  hs_pacer_end_cycle(&pacer, &(hs_pacer_cycle){.live_bytes = 130 * MIB,
                                               .marked_bytes = 80 * MIB,
                                               .scanned_bytes = 72 * MIB,
                                               .roots_bytes = 2 * MIB,
                                               .utilisation = 0.3,
                                               .idle_utilisation = 0.1});
  NEAR(pacer.last_utilisation, 0.3);
  NEAR(pacer.last_idle_utilisation, 0.1);
  NEAR(pacer.last_cons_mark, cons_mark);
  assert_true(pacer.last_goal_bytes == 128 * MIB);
  assert_true(pacer.last_triggered_bytes == 116 * MIB);
  assert_true(pacer.last_live_bytes == 130 * MIB);
  assert_true(pacer.last_scanned_bytes == 72 * MIB);
  assert_true(pacer.last_expected_bytes == 65 * MIB);
  hs_pacer_commit(&pacer, 80 * MIB, true, NULL);
  assert_true(hs_pacer_goal(&pacer) == 162 * MIB); // the roots count once
}

static void test_sweep_ratio_ends_before_the_trigger(void **state) {
  (void)state;
  NEAR(hs_pacer_sweep_ratio(1000, 10 * MIB, 15 * MIB), 1000.0 / (4 << 20));
  NEAR(hs_pacer_sweep_ratio(1000, 10 * MIB, 11 * MIB), 1000.0 / 8192); // no room: a page's worth
  NEAR(hs_pacer_sweep_ratio(1000, 10 * MIB, 9 * MIB), 1000.0 / 8192);
  assert_true(hs_pacer_sweep_ratio(0, 10 * MIB, 15 * MIB) == 0);
}

// A number of any magnitude, often 0 or the largest.
static uint64_t any(hs_rng *rng) {
  switch (hs_rng_below(rng, 8)) {
  case 0:
    return 0;
  case 1:
    return UINT64_MAX;
  default:
    return hs_rng_next(rng) >> hs_rng_below(rng, 64);
  }
}

static double any_share(hs_rng *rng) {
  static const double odd[] = {0, 1, -1, 2, NAN, INFINITY, 1e300};
  const uint64_t choice = hs_rng_below(rng, 14);
  return choice < 7 ? odd[choice] : hs_rng_unit(rng);
}

static void check_sane(const hs_pacer *pacer) {
  const uint64_t goal = hs_pacer_goal(pacer), trigger = hs_pacer_trigger(pacer);
  const double ratio = hs_pacer_assist_ratio(pacer);
  assert_true(pacer->marked_bytes <= trigger && trigger <= goal); // I-pacer-1
  assert_true(isfinite(ratio) && ratio >= 0);
  assert_true(isfinite(pacer->cons_mark) && pacer->cons_mark >= 0);
}

// What a heap takes besides comes off the room, up to half of it, and not off the smallest heap's.
static void test_overhead_comes_off_the_room(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
  hs_pacer pacer;
  hs_pacer_init(&pacer, &config, 2);
  const hs_pacer_cycle cycle = {.live_bytes = 100 * MIB, .marked_bytes = 100 * MIB};
  const struct {
    uint64_t overhead_bytes, goal_bytes;
  } rows[] = {{0, 200 * MIB},        {30 * MIB, 170 * MIB},   {50 * MIB, 150 * MIB},
              {70 * MIB, 150 * MIB}, {UINT64_MAX, 150 * MIB}, {0, 200 * MIB}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    hs_pacer_end_cycle(&pacer, &cycle);
    hs_pacer_charge(&pacer, rows[i].overhead_bytes);
    hs_pacer_commit(&pacer, cycle.marked_bytes, true, NULL);
    assert_true(hs_pacer_goal(&pacer) == rows[i].goal_bytes);
    assert_true(hs_pacer_trigger(&pacer) <= hs_pacer_goal(&pacer));
  }
  const hs_pacer_cycle small = {.live_bytes = MIB, .marked_bytes = MIB};
  hs_pacer_end_cycle(&pacer, &small);
  hs_pacer_charge(&pacer, MIB);
  hs_pacer_commit(&pacer, small.marked_bytes, true, NULL);
  assert_true(hs_pacer_goal(&pacer) == 4 * MIB);
}

static void test_no_numbers_upset_it(void **state) {
  (void)state;
  const uint64_t seed = test_seed(7);
  hs_rng rng = hs_rng_seed(seed);
  for (int i = 0; i < 20000; i++) {
    heap_config config = with_gogc((int64_t)hs_rng_below(&rng, 100002) - 1);
    if (hs_rng_below(&rng, 2)) config.gogc_percent = (int64_t)hs_rng_below(&rng, 300) - 1;
    config.gc = (int64_t)hs_rng_below(&rng, 2);
    config.min_heap_bytes = (int64_t)(any(&rng) >> 1);
    config.limit_bytes = (int64_t)(any(&rng) >> 1);
    config.memory_limit_bytes = (int64_t)(any(&rng) >> 1);
    config.workers = (int64_t)hs_rng_below(&rng, 65);
    hs_pacer pacer;
    hs_pacer_init(&pacer, &config, (unsigned)any(&rng));
    check_sane(&pacer);
    for (int cycle = 0; cycle < 7; cycle++) {
      const uint64_t live = any(&rng);
      hs_pacer_start_cycle(&pacer, live, any(&rng));
      check_sane(&pacer);
      assert_true(hs_pacer_assist_ratio(&pacer) > 0);
      hs_pacer_revise(&pacer, any(&rng), any(&rng));
      check_sane(&pacer);
      const hs_pacer_memory memory = {any(&rng), any(&rng), any(&rng)};
      hs_pacer_commit(&pacer, any(&rng), hs_rng_below(&rng, 2), &memory);
      check_sane(&pacer);
      hs_pacer_end_cycle(&pacer, &(hs_pacer_cycle){any(&rng), any(&rng), any(&rng), any(&rng),
                                                   any(&rng), any_share(&rng), any_share(&rng)});
      hs_pacer_commit(&pacer, any(&rng), hs_rng_below(&rng, 2), &memory);
      check_sane(&pacer);
      assert_true(hs_pacer_sweep_ratio(any(&rng), any(&rng), any(&rng)) >= 0);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_default_doubles),
      cmocka_unit_test(test_small_heaps_wait_for_the_minimum),
      cmocka_unit_test(test_goal_is_always_above_marked),
      cmocka_unit_test(test_off_never_starts),
      cmocka_unit_test(test_limit_caps_but_not_below_marked),
      cmocka_unit_test(test_extremes_saturate),
      cmocka_unit_test(test_workers_are_a_quarter_of_the_cores),
      cmocka_unit_test(test_a_new_pacer_waits_for_the_minimum),
      cmocka_unit_test(test_a_stopped_world_is_collected_at_its_goal),
      cmocka_unit_test(test_off_never_triggers_but_paces_a_forced_cycle),
      cmocka_unit_test(test_runway_is_learnt),
      cmocka_unit_test(test_trigger_stays_between_its_bounds),
      cmocka_unit_test(test_the_largest_of_five_cycles_counts),
      cmocka_unit_test(test_an_unfinished_sweep_gets_its_distance),
      cmocka_unit_test(test_soft_limit_leaves_room_for_what_is_no_heap),
      cmocka_unit_test(test_soft_limit_keeps_headroom_when_small),
      cmocka_unit_test(test_assists_share_out_the_work_that_is_left),
      cmocka_unit_test(test_a_goal_moves_out_only_as_far_as_the_next),
      cmocka_unit_test(test_last_cycle_can_be_traced),
      cmocka_unit_test(test_sweep_ratio_ends_before_the_trigger),
      cmocka_unit_test(test_overhead_comes_off_the_room),
      cmocka_unit_test(test_no_numbers_upset_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
