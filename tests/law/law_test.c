// SPDX-License-Identifier: MIT
// The laws that the published numbers rest on, as exact tests on real runs: the non-moving heap
// obeys the closed form to the page, agrees with real Go where it is installed, the compacting heap
// leaves next to nothing behind, and every heap computes the same. Byte counts only, no timing.
// RUNNERS is the folder of the run_* programs.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

enum { MIB = 1 << 20, LINE_BYTES = 512 };

static void runner_path(const char *heap, char *out) {
  snprintf(out, LINE_BYTES, "%s/run_%s", getenv("RUNNERS"), heap);
}

static bool runner_exists(const char *heap) {
  char path[LINE_BYTES];
  runner_path(heap, path);
  return access(path, X_OK) == 0;
}

// The record of one run, status ok. A new reference.
static json_t *record_of(const char *heap, const char *arguments) {
  char path[LINE_BYTES], command[2 * LINE_BYTES];
  runner_path(heap, path);
  snprintf(command, sizeof command, "exec '%s' --json - %s", path, arguments);
  FILE *pipe = popen(command, "r");
  assert_non_null(pipe);
  json_t *record = json_loadf(pipe, 0, NULL);
  pclose(pipe);
  assert_true(json_is_object(record));
  const char *status = json_string_value(json_object_get(record, "status"));
  if (strcmp(status, "ok") != 0) print_error("%s: status %s\n", command, status);
  assert_string_equal(status, "ok");
  return record;
}

static int64_t stage_value(const json_t *stages, size_t index, const char *key) {
  const json_t *value = json_object_get(json_array_get(stages, index), key);
  assert_true(json_is_integer(value));
  return json_integer_value(value);
}

// The largest difference between two heaps, in bytes above the first stage, over all stages.
static int64_t largest_difference(const json_t *left, const json_t *right, const char *key) {
  const json_t *a = json_object_get(left, "stages"), *b = json_object_get(right, "stages");
  assert_int_equal(json_array_size(a), json_array_size(b));
  int64_t largest = 0;
  for (size_t i = 1; i < json_array_size(a); i++) {
    const int64_t left_bytes = stage_value(a, i, key) - stage_value(a, 0, key);
    const int64_t right_bytes = stage_value(b, i, key) - stage_value(b, 0, key);
    const int64_t difference = llabs(left_bytes - right_bytes);
    if (difference > largest) largest = difference;
  }
  return largest;
}

static bool agrees(const char *heap, const char *oracle, const char *arguments,
                   int64_t tolerance_bytes) {
  static const char *const keys[] = {"heap_usage_bytes", "max_fragmentation_bytes"};
  json_t *left = record_of(heap, arguments), *right = record_of(oracle, arguments);
  bool all = true;
  for (size_t k = 0; k < 2; k++) {
    const int64_t difference = largest_difference(left, right, keys[k]);
    if (difference <= tolerance_bytes) continue;
    print_message("%s against %s, %s: %s differs by %lld bytes\n", heap, oracle, arguments, keys[k],
                  (long long)difference);
    all = false;
  }
  json_decref(left);
  json_decref(right);
  return all;
}

// Exact to the page: 0.02 MiB is two pages and a half.
static void test_nonmoving_obeys_the_closed_form(void **state) {
  (void)state;
  static const unsigned sizes[] = {8, 16, 24, 48, 112, 1024, 9472, 32768, 33000, 50000};
  static const unsigned steps[] = {1, 7, 128, 512, 1000};
  char arguments[LINE_BYTES];
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
    for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
      const unsigned count = sizes[s] >= 1024 ? 4000 : 100000;
      snprintf(arguments, sizeof arguments,
               "--workload seed_step --set count=%u --set size=%u --set step=%u", count, sizes[s],
               steps[k]);
      assert_true(agrees("nonmoving", "model", arguments, MIB / 50));
    }
}

static const char *const seed_programs[] = {"seed_array", "seed_pointers", "seed_pathological",
                                            "seed_copy"};

static void test_nonmoving_obeys_the_closed_form_on_the_seed(void **state) {
  (void)state;
  char arguments[LINE_BYTES];
  for (size_t i = 0; i < 4; i++) {
    snprintf(arguments, sizeof arguments, "--workload %s", seed_programs[i]);
    assert_true(agrees("nonmoving", "model", arguments, MIB / 50));
  }
}

// Go's own figure varies: pages in the cache of a running processor are out of its scavenger's reach,
// up to 504 KiB each. So one of a few fresh Go processes must agree, not each of them.
static bool agrees_with_go(const char *arguments) {
  enum { GO_RUNS = 6 };
  for (int run = 0; run < GO_RUNS; run++)
    if (agrees("nonmoving", "go", arguments, MIB / 10)) return true;
  return false;
}

static void test_nonmoving_agrees_with_go(void **state) {
  (void)state;
  if (!runner_exists("go")) {
    print_message("skipped: no Go reference in this build\n");
    skip();
  }
  char arguments[LINE_BYTES];
  for (size_t i = 0; i < 4; i++) {
    snprintf(arguments, sizeof arguments, "--workload %s", seed_programs[i]);
    assert_true(agrees_with_go(arguments));
  }
  for (unsigned step = 128; step <= 2048; step *= 2) {
    snprintf(arguments, sizeof arguments, "--workload seed_step --set step=%u", step);
    assert_true(agrees_with_go(arguments));
  }
}

// Point (3) of Example 3: footprint above point (1), and RSS above the RSS before the program
// allocated.
static void test_compact_leaves_next_to_nothing(void **state) {
  (void)state;
  json_t *record = record_of("compact", "--workload seed_pathological");
  const json_t *stages = json_object_get(record, "stages");
  const json_t *start = json_object_get(record, "start");
  const int64_t footprint =
      stage_value(stages, 2, "footprint_bytes") - stage_value(stages, 0, "footprint_bytes");
  const int64_t rss =
      stage_value(stages, 2, "rss_bytes") - json_integer_value(json_object_get(start, "rss_bytes"));
  print_message("footprint %lld bytes above point (1), RSS %lld above the start\n",
                (long long)footprint, (long long)rss);
  assert_true(footprint <= MIB / 2);
  if (!getenv("SANITIZED")) assert_true(rss <= 3 * MIB / 4); // a sanitizer's shadow is in RSS
  json_decref(record);
}

static void test_every_heap_computes_the_same(void **state) {
  (void)state;
  static const char *const heaps[] = {"nonmoving",       "compact",  "nonmoving_outline",
                                      "compact_outline", "bdwgc",    "mimalloc",
                                      "jemalloc",        "tcmalloc", "go"};
  static const char *const runs[] = {
      "--workload seed_array --set count=10000",
      "--workload seed_pointers --set count=10000",
      "--workload seed_pathological --set count=10000 --set next_count=5000",
      "--workload seed_step --set count=10000 --set size=40 --set step=3",
      "--workload seed_copy --set count=10000",
      "--workload churn --set n=10 --set ops=20000",
      "--workload churn --set n=10 --set ops=20000 --set noalloc=1",
      "--workload bintrees --set depth=8",
      "--workload alloc --set ops=10000 --set rounds=1 --set batch=10",
      "--workload alloc --set ops=10000 --set rounds=1 --set batch=10 --set threads=2",
      "--workload mstress --set ops=20000 --set slots=8",
      "--workload mstress --set ops=10000 --set slots=3 --set threads=4 --set chain=7",
      "--workload mstress --set ops=10000 --set slots=8 --set noalloc=1",
      "--workload service --set entries=40 --set burst_bytes=64K",
      "--workload service --set entries=40 --set burst_bytes=64K --set mitigation=copy",
      "--workload service --set entries=40 --set burst_bytes=64K --set mitigation=pool",
      "--workload service --set entries=40 --set burst_bytes=64K --set mitigation=array",
      "--workload service --set entries=40 --set burst_bytes=64K --set mitigation=separate",
  };
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
    json_t *expected = record_of("libc", runs[i]);
    for (size_t h = 0; h < sizeof heaps / sizeof heaps[0]; h++) {
      const bool is_go = strcmp(heaps[h], "go") == 0;
      if (!runner_exists(heaps[h]) || (is_go && strstr(runs[i], "service"))) continue;
      json_t *record = record_of(heaps[h], runs[i]);
      const char *got = json_string_value(json_object_get(record, "checksum"));
      const char *want = json_string_value(json_object_get(expected, "checksum"));
      if (strcmp(got, want) != 0) print_error("%s on %s\n", runs[i], heaps[h]);
      assert_string_equal(got, want);
      json_decref(record);
    }
    json_decref(expected);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nonmoving_obeys_the_closed_form),
      cmocka_unit_test(test_nonmoving_obeys_the_closed_form_on_the_seed),
      cmocka_unit_test(test_nonmoving_agrees_with_go),
      cmocka_unit_test(test_compact_leaves_next_to_nothing),
      cmocka_unit_test(test_every_heap_computes_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
