// SPDX-License-Identifier: MIT
// The default comparison: what is in it, and that it adapts to what is built.
#include "harness/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char workloads[] =
    "{\"workloads\":[{\"name\":\"seed_array\"},{\"name\":\"seed_pointers\"},"
    "{\"name\":\"seed_pathological\"},{\"name\":\"seed_copy\"},{\"name\":\"seed_step\"},"
    "{\"name\":\"churn\"},{\"name\":\"bintrees\"},{\"name\":\"alloc\"},{\"name\":\"service\"},"
    "{\"name\":\"mstress\"},{\"name\":\"sizeshift\"},{\"name\":\"lru_cache\"},"
    "{\"name\":\"redis_frag\"},{\"name\":\"adversary\"},{\"name\":\"pins\"},{\"name\":\"deref\"},"
    "{\"name\":\"write_hot\"}]}";

static run_catalogue catalogue;

static int set_up(void **state) {
  (void)state;
  static const char *const names[] = {"nonmoving", "compact", "bdwgc",  "mimalloc",
                                      "libc",      "go",      "jvm_g1", "model"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    catalogue_heap *heap = &catalogue.heaps[catalogue.count++];
    heap->name = (char *)names[i];
    heap->program = "/run";
    heap->outline = i < 2 ? "/run_outline" : NULL;
    heap->about = json_loads(
        strcmp(names[i], "model") == 0 ? "{\"workloads\":[{\"name\":\"seed_array\"}]}" : workloads,
        0, NULL);
  }
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  for (size_t i = 0; i < catalogue.count; i++) json_decref(catalogue.heaps[i].about);
  return 0;
}

static size_t count_jobs(const job_list *list, const char *workload, const char *heap,
                         const char *variant, const char *setting) {
  size_t count = 0;
  for (size_t i = 0; i < list->count; i++) {
    const run_job *job = &list->jobs[i];
    bool has = !setting;
    for (size_t s = 0; s < job->set_count; s++) has |= setting && !strcmp(job->sets[s], setting);
    count += has && !strcmp(job->workload, workload) && !strcmp(job->heap, heap) &&
             !strcmp(job->variant, variant);
  }
  return count;
}

static void test_first_block_holds_every_question(void **state) {
  (void)state;
  static const char *const heaps[] = {"nonmoving", "compact", "bdwgc", "mimalloc", "libc", "go"};
  static const char *const names[] = {"seed_array", "seed_pointers", "seed_pathological",
                                      "seed_copy", "bintrees"};
  for (int quick = 0; quick < 2; quick++) {
    job_list list = {.jobs = NULL};
    plan_block(&catalogue, quick, 1, 0, &list);
    for (size_t h = 0; h < 6; h++) {
      for (size_t w = 0; w < 5; w++)
        assert_int_equal(count_jobs(&list, names[w], heaps[h], "", NULL), 1);
      static const char *const steps[] = {"step=128", "step=256", "step=512", "step=1024",
                                          "step=2048"};
      for (size_t s = 0; s < 5; s++)
        assert_int_equal(count_jobs(&list, "seed_step", heaps[h], "", steps[s]), 1);
      assert_int_equal(count_jobs(&list, "service", heaps[h], "", "mitigation=none"), 1);
    }
    assert_int_equal(count_jobs(&list, "churn", "libc", "", "noalloc=1"), 1);
    assert_int_equal(count_jobs(&list, "seed_pathological", "bdwgc", "stock", NULL), 1);
    assert_int_equal(count_jobs(&list, "alloc", "compact", "outline", NULL), 1);
    assert_int_equal(count_jobs(&list, "service", "compact", "", "mitigation=separate"), 1);
    assert_int_equal(count_jobs(&list, "service", "libc", "", "mitigation=separate"), 0);
    assert_int_equal(count_jobs(&list, "seed_array", "model", "", NULL), 1);
    assert_int_equal(count_jobs(&list, "seed_copy", "model", "", NULL), 0); // it does not know it
    job_list_free(&list);
  }
}

// Throughput of two threads over one is formed within a block, so both must be in each.
static void test_one_thread_and_two_are_timed(void **state) {
  (void)state;
  for (int quick = 0; quick < 2; quick++)
    for (uint64_t block = 0; block < 2; block++) {
      job_list list = {.jobs = NULL};
      plan_block(&catalogue, quick, 1, block, &list);
      static const char *const heaps[] = {"nonmoving", "compact", "bdwgc", "libc", "go"};
      for (size_t h = 0; h < 5; h++) {
        assert_int_equal(count_jobs(&list, "mstress", heaps[h], "", "threads=1"), 1);
        assert_int_equal(count_jobs(&list, "mstress", heaps[h], "", "threads=2"), 1);
        assert_int_equal(count_jobs(&list, "alloc", heaps[h], "", "threads=1"), 1);
        assert_int_equal(count_jobs(&list, "alloc", heaps[h], "", "threads=2"), 1);
        assert_int_equal(count_jobs(&list, "alloc", heaps[h], "", NULL), 3); // and every case
      }
      job_list_free(&list);
    }
}

// Options that only one heap has, each by itself, once: its byte counts do not vary.
static void test_options_of_the_nonmoving_heap_are_variants(void **state) {
  (void)state;
  static const char *const options[] = {"subpage_release", "fullest_first", "huge_pages"};
  static const char *const sets[] = {"subpage_release=1", "fullest_first=1", "huge_pages=1"};
  for (int quick = 0; quick < 2; quick++)
    for (uint64_t block = 0; block < 2; block++) {
      job_list list = {.jobs = NULL};
      plan_block(&catalogue, quick, 1, block, &list);
      for (size_t i = 0; i < 3; i++) {
        const size_t count =
            count_jobs(&list, "seed_pathological", "nonmoving", options[i], sets[i]);
        assert_int_equal(count, block == 0);
        assert_int_equal(count_jobs(&list, "seed_pathological", "compact", options[i], NULL), 0);
      }
      job_list_free(&list);
    }
}

static void test_later_blocks_repeat_timed_rows_only(void **state) {
  (void)state;
  job_list list = {.jobs = NULL};
  plan_block(&catalogue, false, 1, 3, &list);
  assert_true(list.count > 0);
  assert_int_equal(count_jobs(&list, "seed_array", "libc", "", NULL), 0);
  assert_int_equal(count_jobs(&list, "bintrees", "libc", "", NULL), 1);
  for (size_t i = 0; i < list.count; i++) assert_int_equal(list.jobs[i].block, 3);
  job_list_free(&list);
}

// What the fair settings cost in time is only seen beside the stock ones, block by block.
static void test_stock_rows_are_timed_like_the_others(void **state) {
  (void)state;
  for (uint64_t block = 0; block < 2; block++) {
    job_list list = {.jobs = NULL};
    plan_block(&catalogue, false, 1, block, &list);
    static const char *const names[] = {"alloc", "churn"}, *const heaps[] = {"bdwgc", "mimalloc"};
    for (size_t i = 0; i < 4; i++)
      assert_int_equal(count_jobs(&list, names[i / 2], heaps[i % 2], "stock", NULL), 1);
    assert_int_equal(count_jobs(&list, "alloc", "libc", "stock", NULL), 0);
    job_list_free(&list);
  }
}

// Both collectors of our heaps are compared block by block, with times and pauses.
static void test_both_collectors_are_timed(void **state) {
  (void)state;
  for (int quick = 0; quick < 2; quick++)
    for (uint64_t block = 0; block < 2; block++) {
      job_list list = {.jobs = NULL};
      plan_block(&catalogue, quick, 1, block, &list);
      static const char *const names[] = {"churn", "bintrees"}, *const heaps[] = {"nonmoving",
                                                                                  "compact"};
      for (size_t i = 0; i < 4; i++)
        assert_int_equal(count_jobs(&list, names[i / 2], heaps[i % 2], "stw", NULL), 1);
      assert_int_equal(count_jobs(&list, "churn", "libc", "stw", NULL), 0);
      job_list_free(&list);
    }
}

static bool job_has(const run_job *job, const char *set) {
  for (size_t s = 0; s < job->set_count; s++)
    if (strcmp(job->sets[s], set) == 0) return true;
  return false;
}

// A setting of how objects are moved belongs to the heap; every other one in these rows to the workload.
static bool is_heap_setting(const char *set) {
  return strncmp(set, "compaction=", 11) == 0 || strncmp(set, "placement=", 10) == 0;
}

// Whether the variant runs what the plain row does, but for what it sets of the heap.
static bool same_scenario(const run_job *variant, const run_job *plain) {
  if (strcmp(variant->workload, plain->workload) || strcmp(variant->heap, plain->heap))
    return false;
  for (size_t s = 0; s < plain->set_count; s++)
    if (!job_has(variant, plain->sets[s])) return false;
  for (size_t s = 0; s < variant->set_count; s++)
    if (!job_has(plain, variant->sets[s]) && !is_heap_setting(variant->sets[s])) return false;
  return true;
}

// Variants of a row must run the same scenario, or the report cannot put them side by side.
static void test_variants_have_the_settings_of_the_plain_row(void **state) {
  (void)state;
  for (int quick = 0; quick < 2; quick++) {
    job_list list = {.jobs = NULL};
    plan_block(&catalogue, quick, 1, 1, &list);
    for (size_t i = 0; i < list.count; i++) {
      if (!list.jobs[i].variant[0]) continue;
      size_t same = 0;
      for (size_t k = 0; k < list.count; k++)
        same += !list.jobs[k].variant[0] && same_scenario(&list.jobs[i], &list.jobs[k]);
      assert_int_equal(same, 1);
    }
    job_list_free(&list);
  }
}

// A row of churn that is too short for its heap says nothing about pauses: at GOGC=100 a collection
// comes each time as many nodes were replaced as there are.
static void test_churn_is_long_enough_to_collect(void **state) {
  (void)state;
  for (int quick = 0; quick < 2; quick++) {
    job_list list = {.jobs = NULL};
    size_t rows = 0;
    plan_block(&catalogue, quick, 1, 1, &list);
    for (size_t i = 0; i < list.count; i++) {
      unsigned long long n = 0, ops = 0;
      for (size_t s = 0; s < list.jobs[i].set_count; s++) {
        (void)sscanf(list.jobs[i].sets[s], "n=%llu", &n);
        (void)sscanf(list.jobs[i].sets[s], "ops=%llu", &ops);
      }
      if (strcmp(list.jobs[i].workload, "churn") != 0) continue;
      rows++;
      assert_true(n > 0 && ops >= 3ull << n);
    }
    assert_true(rows > 5);
    job_list_free(&list);
  }
}

// Every other way to move objects is timed in the blocks in which the plain row is.
static void test_ways_to_move_are_timed_beside_the_plain_row(void **state) {
  (void)state;
  static const char *const variants[] = {"compaction_off", "compaction_stw",
                                         "compaction_incremental"};
  static const char *const sets[] = {"compaction=off", "compaction=stw", "compaction=incremental"};
  for (uint64_t block = 0; block < 2; block++) {
    job_list list = {.jobs = NULL};
    plan_block(&catalogue, false, 1, block, &list);
    for (size_t v = 0; v < 3; v++) {
      assert_int_equal(count_jobs(&list, "churn", "compact", variants[v], sets[v]), 1);
      assert_int_equal(count_jobs(&list, "write_hot", "compact", variants[v], sets[v]), 1);
      assert_int_equal(count_jobs(&list, "churn", "nonmoving", variants[v], NULL), 0);
    }
    static const char *const heaps[] = {"nonmoving", "compact", "libc"};
    for (size_t h = 0; h < 3; h++) {
      assert_int_equal(count_jobs(&list, "write_hot", heaps[h], "", NULL), 1);
      assert_int_equal(count_jobs(&list, "deref", heaps[h], "", NULL), 1);
    }
    assert_int_equal(count_jobs(&list, "deref", "compact", "placement_traversal", NULL), 1);
    assert_int_equal(count_jobs(&list, "write_hot", "bdwgc", "", NULL), 0);
    job_list_free(&list);
  }
}

// Byte counts do not vary, so memory for each live byte is measured once, on every heap, at the same
// parameters: idle time too, or heaps that do not use it would look as if they had been given none.
static void test_memory_for_each_live_byte_is_measured_once(void **state) {
  (void)state;
  static const struct {
    const char *workload, *setting;
  } rows[] = {{"sizeshift", "law=W8"},         {"lru_cache", NULL},
              {"redis_frag", "idle_ms=1500"},  {"adversary", "kind=robson"},
              {"adversary", "kind=staircase"}, {"pins", "mode=share"}};
  static const char *const heaps[] = {"nonmoving", "compact", "bdwgc", "mimalloc", "libc", "go"};
  for (uint64_t block = 0; block < 2; block++) {
    job_list list = {.jobs = NULL};
    plan_block(&catalogue, false, 1, block, &list);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
      for (size_t h = 0; h < 6; h++)
        assert_int_equal(count_jobs(&list, rows[i].workload, heaps[h], "", rows[i].setting),
                         block == 0);
    assert_int_equal(count_jobs(&list, "seed_pathological", "compact", "idle", "idle_ms=2000"),
                     block == 0);
    assert_int_equal(count_jobs(&list, "seed_pathological", "libc", "idle", NULL), 0);
    job_list_free(&list);
  }
}

static double cost_of(bool quick, uint64_t block) {
  job_list list = {.jobs = NULL};
  plan_block(&catalogue, quick, 1, block, &list);
  double seconds = 0;
  for (size_t i = 0; i < list.count; i++) seconds += plan_cost(&list.jobs[i]);
  job_list_free(&list);
  return seconds;
}

// Below three runs an interval says little. Costs are those of the full parameters on two cores.
static void test_three_blocks_fit_the_promised_time(void **state) {
  (void)state;
  const plan_limits limits = plan_limits_of(false);
  const double expected = cost_of(false, 0) + 2 * cost_of(false, 1) + limits.process_s;
  if (expected > limits.budget_s - limits.reserve_s)
    fail_msg("three blocks take %.0f s (%.0f s and twice %.0f s) of %.0f s", expected,
             cost_of(false, 0), cost_of(false, 1), limits.budget_s - limits.reserve_s);
}

static void test_no_job_is_planned_twice(void **state) {
  (void)state;
  job_list list = {.jobs = NULL};
  plan_block(&catalogue, false, 1, 0, &list);
  for (size_t i = 0; i < list.count; i++) {
    char *key = job_key(&list.jobs[i]);
    for (size_t j = i + 1; j < list.count; j++) {
      char *other = job_key(&list.jobs[j]);
      assert_string_not_equal(key, other);
      free(other);
    }
    free(key);
  }
  job_list_free(&list);
}

static void test_missing_heaps_and_outlines_leave_no_jobs(void **state) {
  (void)state;
  run_catalogue small = {.count = 1};
  small.heaps[0] = catalogue.heaps[0];
  small.heaps[0].outline = NULL;
  job_list list = {.jobs = NULL};
  plan_block(&small, true, 1, 0, &list);
  for (size_t i = 0; i < list.count; i++) {
    assert_string_equal(list.jobs[i].heap, "nonmoving");
    assert_string_not_equal(list.jobs[i].variant, "outline");
  }
  job_list_free(&list);
}

// A collector of the JVM runs where it is named, not because it is there.
static void test_the_jvm_is_not_part_of_it(void **state) {
  (void)state;
  job_list list = {.jobs = NULL};
  for (int quick = 0; quick < 2; quick++) {
    plan_block(&catalogue, quick, 1, 0, &list);
    plan_block(&catalogue, quick, 1, 1, &list);
    plan_processes(&catalogue, quick, 1, &list);
  }
  assert_true(list.count > 0);
  for (size_t i = 0; i < list.count; i++) assert_string_not_equal(list.jobs[i].heap, "jvm_g1");
  job_list_free(&list);
}

static void test_processes_are_plain_runs(void **state) {
  (void)state;
  job_list list = {.jobs = NULL};
  plan_processes(&catalogue, false, 1, &list);
  assert_int_equal(count_jobs(&list, "seed_pathological", "compact", "", NULL), 1);
  assert_int_equal(count_jobs(&list, "bintrees", "go", "", NULL), 1);
  for (size_t i = 0; i < list.count; i++) {
    assert_string_not_equal(list.jobs[i].heap, "model");
    assert_false(list.jobs[i].map);
    assert_int_equal(list.jobs[i].sample_ms, 0);
  }
  job_list_free(&list);
}

static void test_promised_time_leaves_a_margin(void **state) {
  (void)state;
  assert_true(plan_limits_of(true).budget_s < 60);
  assert_true(plan_limits_of(false).budget_s < 180);
  assert_true(plan_limits_of(true).blocks >= 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_first_block_holds_every_question),
      cmocka_unit_test(test_one_thread_and_two_are_timed),
      cmocka_unit_test(test_options_of_the_nonmoving_heap_are_variants),
      cmocka_unit_test(test_later_blocks_repeat_timed_rows_only),
      cmocka_unit_test(test_stock_rows_are_timed_like_the_others),
      cmocka_unit_test(test_both_collectors_are_timed),
      cmocka_unit_test(test_variants_have_the_settings_of_the_plain_row),
      cmocka_unit_test(test_churn_is_long_enough_to_collect),
      cmocka_unit_test(test_ways_to_move_are_timed_beside_the_plain_row),
      cmocka_unit_test(test_memory_for_each_live_byte_is_measured_once),
      cmocka_unit_test(test_three_blocks_fit_the_promised_time),
      cmocka_unit_test(test_no_job_is_planned_twice),
      cmocka_unit_test(test_missing_heaps_and_outlines_leave_no_jobs),
      cmocka_unit_test(test_the_jvm_is_not_part_of_it),
      cmocka_unit_test(test_processes_are_plain_runs),
      cmocka_unit_test(test_promised_time_leaves_a_margin),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
