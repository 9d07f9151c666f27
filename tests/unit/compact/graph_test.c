// SPDX-License-Identifier: MIT
// Random graphs against the model, in every mode of the heap and with several threads.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "allocators/runtime/config.h"
#include "allocators/runtime/stats.h"
#include "tests/unit/compact/model.h"

static const uint64_t SEED = 20240229;

typedef struct job {
  heap *h;
  uint64_t seed, steps, collect_every, out_of_memory;
  bool large, ok;
} job;

static bool run_steps(heap_thread *t, job *j, heap_ref *roots) {
  model *const m = malloc(sizeof *m);
  if (!m) return false;
  model_init(m, t, roots, j->seed, j->large);
  bool ok = true;
  for (uint64_t i = 0; ok && i < j->steps; i++) {
    ok = model_step(m);
    if (ok && i % j->collect_every == 0) {
      heap_collect(t, (heap_collect_kind)(i / j->collect_every % 3));
      ok = model_check(m);
    }
  }
  ok = ok && model_check(m);
  j->out_of_memory = m->out_of_memory;
  free(m);
  return ok;
}

static void run_job(void *argument) {
  job *const j = argument;
  heap_thread *t;
  if (heap_thread_enter(j->h, &t) != HEAP_OK) {
    j->ok = false;
    return;
  }
  HEAP_FRAME(t, roots, MODEL_ROOTS);
  j->ok = run_steps(t, j, roots);
  HEAP_FRAME_END(t, roots);
  heap_thread_leave(t);
}

static void check_stats(heap *h) {
  heap_thread *t;
  assert_int_equal(heap_thread_enter(h, &t), HEAP_OK);
  assert_true(heap_verify(t));
  heap_stats stats;
  heap_stats_read(t, &stats);
  assert_null(hs_stats_violation(&stats));
  heap_collect(t, HEAP_COLLECT_RELEASE);
  heap_stats_read(t, &stats);
  assert_null(hs_stats_violation(&stats));
  assert_int_equal(stats.value[HEAP_STAT_heap_objects_count], 0);
  assert_int_equal(stats.value[HEAP_STAT_heap_inuse_bytes], 0);
  heap_thread_leave(t);
}

static uint64_t run(heap_config config, unsigned threads, uint64_t steps, bool large) {
  printf("seed %llu\n", (unsigned long long)SEED);
  heap *h;
  assert_int_equal(heap_create(&config, &h), HEAP_OK);
  job jobs[4];
  hs_os_thread handles[4] = {0};
  for (unsigned i = 0; i < threads; i++) {
    jobs[i] = (job){
        .h = h, .seed = SEED + i, .steps = steps, .large = large, .collect_every = steps / 7 + 1};
    assert_int_equal(hs_os_thread_start(&handles[i], run_job, &jobs[i]), 0);
  }
  uint64_t out_of_memory = 0;
  for (unsigned i = 0; i < threads; i++) {
    hs_os_thread_join(&handles[i]);
    assert_true(jobs[i].ok);
    out_of_memory += jobs[i].out_of_memory;
  }
  check_stats(h);
  heap_destroy(h);
  return out_of_memory;
}

// Collecting beside the program, and with the world stopped.
static uint64_t run_both(heap_config config, unsigned threads, uint64_t steps, bool large) {
  config.gc = HEAP_GC_CONCURRENT;
  const uint64_t refused = run(config, threads, steps, large);
  config.gc = HEAP_GC_STW;
  return refused + run(config, threads, steps, large);
}

static void test_default(void **state) {
  (void)state;
  assert_int_equal(run_both(hs_config_default(), 1, 50000, true), 0);
}

static void test_small_heap_verified(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.min_heap_bytes = 256 << 10;
  config.gogc_percent = 30;
  config.verify = 1;
  assert_int_equal(run_both(config, 1, 30000, true), 0);
}

static void test_stress(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.stress = 1;
  assert_int_equal(run_both(config, 1, 2000, true), 0);
}

static void test_stress_threads(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.stress = 1;
  assert_int_equal(run_both(config, 3, 500, true), 0);
}

static void test_threads(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.min_heap_bytes = 1 << 20;
  assert_int_equal(run_both(config, 4, 20000, true), 0);
}

static void test_without_compaction(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.compaction = 0;
  config.verify = 1;
  assert_int_equal(run_both(config, 2, 10000, true), 0);
}

static void test_without_renaming(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.renaming = 0;
  config.verify = 1;
  assert_int_equal(run_both(config, 2, 10000, true), 0);
}

static void test_lazy_release(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.release_free = 1;
  config.min_heap_bytes = 512 << 10;
  assert_int_equal(run_both(config, 1, 30000, true), 0);
}

// Under a limit that is too small the program sees null references and nothing else goes wrong.
static void test_limit(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  config.limit_bytes = 1 << 20;
  config.verify = 1;
  assert_true(run_both(config, 2, 5000, true) > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_default),
      cmocka_unit_test(test_small_heap_verified),
      cmocka_unit_test(test_stress),
      cmocka_unit_test(test_stress_threads),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_without_compaction),
      cmocka_unit_test(test_without_renaming),
      cmocka_unit_test(test_lazy_release),
      cmocka_unit_test(test_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
