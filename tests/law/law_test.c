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
  const int exit_status = pclose(pipe);
  assert_true(json_is_object(record));
  const char *status = json_string_value(json_object_get(record, "status"));
  if (strcmp(status, "ok") != 0) print_error("%s: status %s\n", command, status);
  assert_string_equal(status, "ok");
  assert_int_equal(exit_status, 0); // a sanitizer that found something says so at the end
  return record;
}

// Whether a reference row has the workload of these arguments; our heaps have all.
static bool runner_knows(const char *heap, const char *arguments) {
  const bool ours = strcmp(heap, "go") != 0 && strncmp(heap, "jvm_", 4) != 0;
  if (ours) return true;
  char path[LINE_BYTES], command[2 * LINE_BYTES], name[64];
  assert_int_equal(sscanf(arguments, "--workload %63s", name), 1);
  runner_path(heap, path);
  snprintf(command, sizeof command, "exec '%s' --list", path);
  FILE *pipe = popen(command, "r");
  assert_non_null(pipe);
  json_t *about = json_loadf(pipe, 0, NULL), *workload;
  assert_int_equal(pclose(pipe), 0);
  assert_string_equal(json_string_value(json_object_get(about, "heap")), heap);
  size_t index;
  bool known = false;
  json_array_foreach(json_object_get(about, "workloads"), index, workload) {
    known |= strcmp(json_string_value(json_object_get(workload, "name")), name) == 0;
  }
  json_decref(about);
  return known;
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

static const char *const compared_runs[] = {
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
    "--workload sizeshift --set live=1M",
    "--workload sizeshift --set live=256K --set law=W3 --set forced=0",
    "--workload sizeshift --set live=256K --set law=W6 --set turnover=2",
    "--workload lru_cache --set capacity=1M",
    "--workload lru_cache --set capacity=1M --set keys=zipf --set key_octaves=13",
    "--workload lru_cache --set capacity=1M --set sizes=lognormal --set touches=3",
    "--workload redis_frag --set capacity=1M --set small_count=7000 --set large_count=1700 "
    "--set idle_ms=1 --set clock_puts=7000",
    "--workload redis_frag --set capacity=1M --set small_count=7000 --set large_count=1700 "
    "--set idle_ms=1 --set evict=put --set clock_puts=1 --set rounds=2",
    "--workload adversary --set live=1M",
    "--workload adversary --set live=256K --set unit=8 --set largest=4096",
    "--workload adversary --set kind=staircase --set live=1M",
    "--workload deref --set n=10 --set steps=10000",
    "--workload pins --set count=8000 --set idle_ms=1",
    "--workload pins --set mode=stride --set count=8000 --set stride=64K --set idle_ms=0",
    "--workload pins --set percent=50 --set count=16000 --set size=64 --set step=3 --set "
    "idle_ms=0",
    "--workload write_hot --set writes=200000 --set objects=5000",
    "--workload write_hot --set writes=100000 --set objects=2000 --set threads=1 --set every=3",
    "--workload write_hot --set writes=100000 --set objects=500 --set threads=4 --set share=500",
    "--workload service --set entries=40 --set burst_bytes=64K",
    "--workload service --set entries=40 --set burst_bytes=64K --set mitigation=copy",
    "--workload service --set entries=40 --set burst_bytes=64K --set mitigation=pool",
    "--workload service --set entries=40 --set burst_bytes=64K --set mitigation=array",
    "--workload service --set entries=40 --set burst_bytes=64K --set mitigation=separate",
};

static void test_every_heap_computes_the_same(void **state) {
  (void)state;
  static const char *const heaps[] = {"nonmoving",       "compact",  "nonmoving_outline",
                                      "compact_outline", "bdwgc",    "mimalloc",
                                      "jemalloc",        "tcmalloc", "go",
                                      "jvm_g1"};
  for (size_t i = 0; i < sizeof compared_runs / sizeof compared_runs[0]; i++) {
    json_t *expected = record_of("libc", compared_runs[i]);
    for (size_t h = 0; h < sizeof heaps / sizeof heaps[0]; h++) {
      if (!runner_exists(heaps[h]) || !runner_knows(heaps[h], compared_runs[i])) continue;
      json_t *record = record_of(heaps[h], compared_runs[i]);
      const char *got = json_string_value(json_object_get(record, "checksum"));
      const char *want = json_string_value(json_object_get(expected, "checksum"));
      if (strcmp(got, want) != 0) print_error("%s on %s\n", compared_runs[i], heaps[h]);
      assert_string_equal(got, want);
      json_decref(record);
    }
    json_decref(expected);
  }
}

static double metric_of(const json_t *record, const char *name) {
  const json_t *value = json_object_get(json_object_get(record, "metrics"), name);
  if (!json_is_number(value)) print_error("the record has no metric %s\n", name);
  assert_true(json_is_number(value));
  return json_number_value(value);
}

// Collections forced by stages are not counted, so those that are have been the program's own: the
// limit of the heap, which follows from what is live, was small enough.
static void test_every_collector_of_the_jvm_collects(void **state) {
  (void)state;
  static const char *const rows[] = {"jvm_g1", "jvm_parallel", "jvm_shenandoah", "jvm_zgc"};
  const char *arguments = "--workload churn --set n=14 --set ops=2000000 --set gogc=50";
  json_t *expected = record_of("libc", arguments);
  size_t found = 0;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (!runner_exists(rows[i])) continue;
    found++;
    json_t *record = record_of(rows[i], arguments);
    assert_string_equal(json_string_value(json_object_get(record, "heap")), rows[i]);
    assert_string_equal(json_string_value(json_object_get(record, "checksum")),
                        json_string_value(json_object_get(expected, "checksum")));
    assert_true(metric_of(record, "pause_count") > 0);
    assert_true(metric_of(record, "op_max_ns") >= metric_of(record, "op_p9999_ns"));
    assert_true(metric_of(record, "peak_rss_bytes") > MIB);
    const json_t *stops = json_object_get(json_object_get(record, "pauses"), "stop");
    assert_true(json_array_size(stops) > 0);
    json_decref(record);
  }
  json_decref(expected);
  if (found == 0) {
    print_message("skipped: no JVM reference in this build\n");
    skip();
  }
}

// A metric of a run of its own.
static double metric_after(const char *heap, const char *arguments, const char *name) {
  json_t *record = record_of(heap, arguments);
  const double value = metric_of(record, name);
  json_decref(record);
  print_message("%s: %s %s is %.3f\n", heap, arguments, name, value);
  return value;
}

// What the workloads that keep a cap say is live, from the definitions: the cap, short of it by less
// than one object, and the tables.
static void test_live_payload_is_that_of_the_model(void **state) {
  (void)state;
  enum { CAP = MIB, POINTER = 8, CHUNK = 512 };
  static const struct {
    const char *run;
    size_t stage;
    int64_t largest, table; // bytes of an object; of the tables with the live objects
  } rows[] = {
      // 100-byte objects: one slot each in whole chunks, and a directory for objects of 50 bytes.
      {"--workload sizeshift --set live=1M --set law=W1", 2, 100,
       POINTER * (CHUNK * (CAP / 100 / CHUNK + 1) + CAP / 50 / CHUNK + 1)},
      // Chains for entries of about 64 bytes, and of 248.
      {"--workload lru_cache --set capacity=1M", 0, 24 + 256, POINTER * CAP / 64},
      {"--workload lru_cache --set capacity=1M", 1, 24 + 1024, POINTER * CAP / 64},
      {"--workload lru_cache --set capacity=1M", 2, 24 + 64, POINTER * CAP / 64},
      {"--workload redis_frag --set capacity=1M --set idle_ms=0 --set rounds=1 --set "
       "small_count=9000 --set large_count=3000",
       0, 8 + 492, POINTER * 4096},
      {"--workload redis_frag --set capacity=1M --set idle_ms=0 --set evict=put --set "
       "small_count=9000 --set large_count=3000 --set clock_puts=1",
       0, 8 + 492, POINTER * 4096},
  };
  static const char *const heaps[] = {"nonmoving", "compact", "libc", "go"};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (size_t h = 0; h < 4; h++) {
      if (!runner_exists(heaps[h])) continue;
      json_t *record = record_of(heaps[h], rows[i].run);
      const int64_t live =
          stage_value(json_object_get(record, "stages"), rows[i].stage, "live_bytes");
      assert_true(live <= CAP + rows[i].table && live > CAP + rows[i].table - rows[i].largest);
      json_decref(record);
    }
}

// What these workloads are there to show, in bytes alone: after the sizes changed the non-moving heap
// holds far more than what is live, the one that moves little more.
static void test_changing_sizes_cost_the_heap_that_does_not_move(void **state) {
  (void)state;
  static const struct {
    const char *run, *metric;
    double nonmoving_above; // bytes for a live byte
  } rows[] = {
      {"--workload sizeshift --set live=8M", "deleted_footprint_ratio", 10},
      {"--workload lru_cache --set capacity=8M", "large_footprint_ratio", 1.8},
      {"--workload redis_frag --set capacity=8M --set small_count=60000 --set large_count=14000 "
       "--set idle_ms=0",
       "end_footprint_ratio", 1.8},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    double ratios[2];
    for (size_t h = 0; h < 2; h++) {
      json_t *record = record_of(h == 0 ? "nonmoving" : "compact", rows[i].run);
      ratios[h] = metric_of(record, rows[i].metric);
      json_decref(record);
    }
    print_message("%s: %s %.2f, moving %.2f\n", rows[i].run, rows[i].metric, ratios[0], ratios[1]);
    assert_true(ratios[0] > rows[i].nonmoving_above);
    assert_true(ratios[1] < 1.5);
  }
}

// The staircase wastes exactly what its formula says on spans of Go's classes, but for metadata;
// nothing on a heap that moves.
static void test_staircase_costs_what_the_formula_says(void **state) {
  (void)state;
  static const char *const heaps[] = {"nonmoving", "go"};
  const char *arguments = "--workload adversary --set kind=staircase --set live=2M";
  for (size_t i = 0; i < 2; i++) {
    if (!runner_exists(heaps[i])) continue;
    json_t *record = record_of(heaps[i], arguments);
    const double bound = metric_of(record, "end_bound_ratio");
    const double got = metric_of(record, "end_footprint_ratio");
    print_message("%s: %.3f bytes for a live byte, %.3f by the formula\n", heaps[i], got, bound);
    assert_true(bound > 20);
    assert_true(got > 0.97 * bound && got < 1.05 * bound);
    json_decref(record);
  }
  assert_true(metric_after("compact", arguments, "end_footprint_ratio") < 1.2);
}

// Robson: no placement without moving uses less space. Up to 4 KiB no span of the non-moving heap
// becomes free, so what it holds is that space.
static void test_no_placement_beats_robson(void **state) {
  (void)state;
  const char *arguments = "--workload adversary --set live=2M --set largest=4096";
  json_t *record = record_of("nonmoving", arguments);
  for (unsigned size = 16; size <= 4096; size *= 2) {
    char bound[LINE_BYTES], got[LINE_BYTES];
    snprintf(bound, sizeof bound, "size_%05u_bound_ratio", size);
    snprintf(got, sizeof got, "size_%05u_footprint_ratio", size);
    assert_true(metric_of(record, got) >= metric_of(record, bound));
    assert_true(metric_of(record, got) < 1.1 * metric_of(record, bound)); // and it is a good heap
  }
  json_decref(record);
  assert_true(metric_after("compact", arguments, "end_footprint_ratio") < 1.2);
}

// Pins cost a heap that does not move nothing, and one that moves nothing after they are gone.
static void test_pins_cost_only_while_they_last(void **state) {
  (void)state;
  static const char *const runs[] = {
      "--workload pins --set percent=0 --set idle_ms=0",
      "--workload pins --set percent=10 --set idle_ms=0",
      "--workload pins --set percent=50 --set idle_ms=0",
      "--workload pins --set mode=stride --set idle_ms=0",
  };
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
    json_t *record = record_of("nonmoving", runs[i]);
    const double pinned = metric_of(record, "pinned_footprint_ratio");
    const double unpinned = metric_of(record, "unpinned_footprint_ratio");
    assert_true(pinned < 1.02 * unpinned && unpinned < 1.02 * pinned);
    json_decref(record);
    assert_true(metric_after("compact", runs[i], "unpinned_footprint_ratio") < 1.2);
  }
  assert_true(metric_after("compact", runs[0], "pinned_footprint_ratio") < 1.2);
  assert_true(metric_after("compact", runs[3], "pinned_count") == 256); // 64 MiB / 256 KiB
}

// That the fragmented phase really runs beside evacuations, and the steady one does not.
static void test_write_hot_is_written_while_objects_move(void **state) {
  (void)state;
  json_t *record =
      record_of("compact", "--workload write_hot --set writes=1000000 --set objects=10000");
  const double steady = metric_of(record, "steady_moved_bytes");
  const double fragmented = metric_of(record, "fragmented_moved_bytes");
  print_message("moved: steady %.0f bytes, fragmented %.0f\n", steady, fragmented);
  assert_true(metric_of(record, "fragmented_cycles_count") > 0);
  assert_true(fragmented > MIB && fragmented > 2 * steady);
  json_decref(record);
}

// Collecting, moving and verifying at every allocation: a reference kept on the C stack would fault.
static void test_workloads_bear_a_heap_under_stress(void **state) {
  (void)state;
  static const char *const heaps[] = {"nonmoving", "compact"};
  static const char *const runs[] = {
      "--workload sizeshift --set live=64K --set turnover=2 --set law=W5",
      "--workload lru_cache --set capacity=64K --set turnover=1",
      ("--workload redis_frag --set capacity=64K --set small_count=400 --set large_count=200 "
       "--set idle_ms=1"),
      "--workload adversary --set live=8K --set largest=512",
      "--workload adversary --set kind=staircase --set live=4K --set largest=256",
      "--workload deref --set n=5 --set steps=100",
      "--workload pins --set count=400 --set percent=50 --set idle_ms=1",
      "--workload write_hot --set writes=1000 --set objects=30 --set share=100",
  };
  char arguments[LINE_BYTES];
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
    json_t *expected = record_of("libc", runs[i]);
    for (size_t h = 0; h < 2; h++) {
      snprintf(arguments, sizeof arguments, "%s --set stress=1 --set verify=1", runs[i]);
      json_t *record = record_of(heaps[h], arguments);
      assert_string_equal(json_string_value(json_object_get(record, "checksum")),
                          json_string_value(json_object_get(expected, "checksum")));
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
      cmocka_unit_test(test_every_collector_of_the_jvm_collects),
      cmocka_unit_test(test_live_payload_is_that_of_the_model),
      cmocka_unit_test(test_changing_sizes_cost_the_heap_that_does_not_move),
      cmocka_unit_test(test_staircase_costs_what_the_formula_says),
      cmocka_unit_test(test_no_placement_beats_robson),
      cmocka_unit_test(test_pins_cost_only_while_they_last),
      cmocka_unit_test(test_write_hot_is_written_while_objects_move),
      cmocka_unit_test(test_workloads_bear_a_heap_under_stress),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
