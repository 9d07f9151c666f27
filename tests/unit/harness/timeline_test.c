// SPDX-License-Identifier: MIT
// Timelines written and read back: every event is there, slices of a track nest, losses are stated.
#include "harness/timeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "allocators/base/rng.h"
#include "harness/job.h"
#include "tests/unit/seed.h"

static const uint64_t origin_ns = 5000000000;

static hs_event_log *new_log(size_t capacity) {
  hs_event_log *log = calloc(1, sizeof *log);
  assert_non_null(log);
  assert_int_equal(hs_event_log_init(log, capacity), 0);
  return log;
}

static void free_log(hs_event_log *log) {
  hs_event_log_destroy(log);
  free(log);
}

// Through the text of a file, as a viewer gets it.
static json_t *written(const timeline_run *run) {
  char path[] = "/tmp/heapduel-timeline-XXXXXX";
  const int descriptor = mkstemp(path);
  assert_true(descriptor >= 0);
  close(descriptor);
  json_t *made = timeline_json(run);
  assert_non_null(made);
  assert_true(timeline_write(path, made));
  json_decref(made);
  json_t *read = json_load_file(path, 0, NULL);
  assert_true(json_is_object(read));
  unlink(path);
  return read;
}

static json_t *events_of(const json_t *timeline) {
  json_t *events = json_object_get(timeline, "traceEvents");
  assert_true(json_is_array(events));
  return events;
}

// A time member in ns; it is written in us.
static uint64_t ns_of(const json_t *event, const char *key) {
  const json_t *value = json_object_get(event, key);
  assert_true(json_is_number(value));
  return (uint64_t)(json_number_value(value) * 1000 + 0.5);
}

static json_int_t number_of(const json_t *event, const char *key) {
  const json_t *value = json_object_get(event, key);
  assert_true(json_is_integer(value));
  return json_integer_value(value);
}

static bool is_slice(const json_t *event) { return strcmp(job_text(event, "ph"), "X") == 0; }

// The only event of this phase and name; NULL: none.
static const json_t *find(const json_t *timeline, const char *phase, const char *name) {
  const json_t *found = NULL;
  size_t index;
  json_t *event;
  json_array_foreach(events_of(timeline), index, event) {
    if (strcmp(job_text(event, "ph"), phase) != 0 || strcmp(job_text(event, "name"), name) != 0)
      continue;
    assert_null(found);
    found = event;
  }
  return found;
}

// The name of the track that the only slice of this name lies on.
static const char *track_of(const json_t *timeline, const char *name) {
  const json_t *slice = find(timeline, "X", name);
  assert_non_null(slice);
  size_t index;
  json_t *event;
  json_array_foreach(events_of(timeline), index, event) {
    if (strcmp(job_text(event, "name"), "thread_name") == 0 &&
        number_of(event, "tid") == number_of(slice, "tid"))
      return job_text(json_object_get(event, "args"), "name");
  }
  return NULL;
}

// ---- the picture --------------------------------------------------------------------------------

static void test_events_have_tracks_times_and_meanings(void **state) {
  (void)state;
  hs_event_log *log = new_log(16), *extra = new_log(16);
  hs_event_log_add(log, HS_EVENT_MARK, 0, origin_ns + 2000, origin_ns + 3000, 77);
  hs_event_log_add(log, HS_EVENT_CYCLE, 0, origin_ns + 1500, origin_ns + 4001, 4096);
  hs_event_log_add(log, HS_EVENT_STOP, 1, origin_ns + 1600, origin_ns + 1700, 9);
  hs_event_log_add(log, HS_EVENT_ASSIST, 3, origin_ns + 2100, origin_ns + 2200, 512);
  hs_event_log_add(log, HS_EVENT_SCAVENGE, 0, origin_ns + 3500, origin_ns + 9000, 8192);
  hs_event_log_add(extra, HS_EVENT_SWEEP, 2, origin_ns + 10, origin_ns + 20, 1);
  const hs_event_log *const logs[] = {log, extra, NULL};
  const timeline_stage stage = {"half", 1234, {origin_ns + 9000, origin_ns + 9500}};
  const sampler_sample samples[] = {{1000, 50000, 40000}, {2000, 60000, 0}};
  const timeline_run run = {.title = "churn on somewhere",
                            .origin_ns = origin_ns,
                            .logs = logs,
                            .log_count = 3,
                            .timed = {origin_ns + 5, origin_ns + 9900},
                            .stages = &stage,
                            .stage_count = 1,
                            .samples = samples,
                            .sample_count = 2};
  json_t *timeline = written(&run);

  const json_t *mark = find(timeline, "X", "mark");
  assert_int_equal(ns_of(mark, "ts"), 2000);
  assert_int_equal(ns_of(mark, "dur"), 1000);
  assert_string_equal(job_text(mark, "cat"), "phase");
  assert_int_equal(number_of(json_object_get(mark, "args"), "bytes marked"), 77);
  assert_string_equal(job_text(find(timeline, "X", "assist"), "cat"), "delay");

  assert_string_equal(track_of(timeline, "mark"), "collector");
  assert_string_equal(track_of(timeline, "cycle"), "collector");
  assert_string_equal(track_of(timeline, "stop"), "every thread stops");
  assert_string_equal(track_of(timeline, "assist"), "thread 3");
  assert_string_equal(track_of(timeline, "scavenge"), "scavenger");
  assert_string_equal(track_of(timeline, "sweep"), "heap 2: collector");
  assert_string_equal(track_of(timeline, "timed"), "workload");
  assert_string_equal(track_of(timeline, "half"), "workload");

  const json_t *marker = find(timeline, "i", "half"); // across all tracks
  assert_int_equal(ns_of(marker, "ts"), 9000);
  assert_string_equal(job_text(marker, "s"), "p");
  const json_t *live = find(timeline, "C", "found live");
  assert_int_equal(ns_of(live, "ts"), 4001);
  assert_int_equal(number_of(json_object_get(live, "args"), "bytes"), 4096);
  const json_t *footprint = find(timeline, "C", "footprint"); // 0 says that it is unknown
  assert_int_equal(number_of(json_object_get(footprint, "args"), "bytes"), 40000);
  const json_t *process = find(timeline, "M", "process_name");
  assert_string_equal(job_text(json_object_get(process, "args"), "name"), "churn on somewhere");
  json_decref(timeline);
  free_log(log);
  free_log(extra);
}

static void test_a_run_without_anything_is_a_valid_timeline(void **state) {
  (void)state;
  json_t *timeline = written(&(timeline_run){.title = "nothing"});
  assert_int_equal(json_array_size(events_of(timeline)), 1); // the process has a name
  json_decref(timeline);
}

static void test_dropped_events_are_stated(void **state) {
  (void)state;
  hs_event_log *log = new_log(4);
  for (uint64_t i = 0; i < 11; i++)
    hs_event_log_add(log, HS_EVENT_MARK, 0, origin_ns + 10 * i, origin_ns + 10 * i + 5, 0);
  const hs_event_log *const logs[] = {log};
  json_t *timeline = written(
      &(timeline_run){.title = "full", .origin_ns = origin_ns, .logs = logs, .log_count = 1});
  assert_int_equal(number_of(json_object_get(timeline, "otherData"), "dropped_events"), 7);
  const json_t *marker = find(timeline, "i", "the log was full: 7 later events are missing");
  assert_non_null(marker);
  assert_int_equal(ns_of(marker, "ts"), 35); // where the events end
  json_decref(timeline);
  free_log(log);
}

// ---- random logs --------------------------------------------------------------------------------

enum { RANDOM_EVENTS = 600, OPEN_MOST = 64, TRACKS_MOST = 4096 };

// Check that slices of each track, in file order, begin in order and nest.
static void check_nesting(const json_t *timeline) {
  static uint64_t open_ns[TRACKS_MOST][OPEN_MOST];
  static size_t open_count[TRACKS_MOST];
  memset(open_count, 0, sizeof open_count);
  uint64_t before_ns = 0;
  size_t index;
  json_t *event;
  json_array_foreach(events_of(timeline), index, event) {
    if (!is_slice(event)) continue;
    const json_int_t tid = number_of(event, "tid");
    assert_in_range(tid, 1, TRACKS_MOST - 1);
    const uint64_t begin_ns = ns_of(event, "ts"), end_ns = begin_ns + ns_of(event, "dur");
    assert_true(begin_ns >= before_ns);
    before_ns = begin_ns;
    size_t *count = &open_count[tid];
    while (*count > 0 && open_ns[tid][*count - 1] <= begin_ns) --*count;
    if (*count > 0) assert_true(end_ns <= open_ns[tid][*count - 1]);
    assert_true(*count < OPEN_MOST);
    open_ns[tid][(*count)++] = end_ns;
  }
}

// Check that the slices are the events of the log, each exactly once: values are unique.
static void check_completeness(const json_t *timeline, const hs_event_log *log) {
  bool seen[RANDOM_EVENTS] = {false};
  size_t index, slices = 0;
  json_t *event;
  json_array_foreach(events_of(timeline), index, event) {
    if (!is_slice(event)) continue;
    const json_int_t value = json_integer_value(
        json_object_iter_value(json_object_iter(json_object_get(event, "args"))));
    assert_in_range(value, 0, RANDOM_EVENTS - 1);
    assert_false(seen[value]);
    seen[value] = true;
    slices++;
    const hs_event *logged = &log->events[value];
    assert_int_equal(ns_of(event, "ts"), logged->begin_ns - origin_ns);
    assert_int_equal(ns_of(event, "dur"), logged->end_ns - logged->begin_ns);
    assert_string_equal(job_text(event, "name"), hs_event_kind_name((hs_event_kind)logged->kind));
  }
  assert_int_equal(slices, log->count);
}

static void test_random_logs_are_complete_and_nest(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(test_seed(20261122));
  for (int round = 0; round < 20; round++) {
    hs_event_log *log = new_log(RANDOM_EVENTS);
    const uint64_t span_ns = round % 2 ? 2000 : 86400000000000; // crowded; and a whole day
    for (uint64_t i = 0; i < RANDOM_EVENTS; i++) {
      const uint64_t begin_ns = origin_ns + hs_rng_below(&rng, span_ns);
      hs_event_log_add(log, (hs_event_kind)hs_rng_below(&rng, HS_EVENT_KIND_COUNT),
                       (uint32_t)hs_rng_below(&rng, 4), begin_ns,
                       begin_ns + hs_rng_below(&rng, span_ns / 10), i);
    }
    const hs_event_log *const logs[] = {log};
    json_t *timeline = written(
        &(timeline_run){.title = "random", .origin_ns = origin_ns, .logs = logs, .log_count = 1});
    check_nesting(timeline);
    check_completeness(timeline, log);
    json_decref(timeline);
    free_log(log);
  }
}

// ---- several runs -------------------------------------------------------------------------------

static void test_runs_become_processes_of_one_timeline(void **state) {
  (void)state;
  hs_event_log *log = new_log(1);
  hs_event_log_add(log, HS_EVENT_MARK, 0, 10, 20, 0);
  hs_event_log_add(log, HS_EVENT_MARK, 0, 30, 40, 0); // dropped
  const hs_event_log *const logs[] = {log};
  json_t *all = timeline_empty();
  size_t events = 0;
  for (uint64_t pid = 1; pid <= 3; pid++) {
    json_t *one = timeline_json(&(timeline_run){.title = "one", .logs = logs, .log_count = 1});
    events += json_array_size(events_of(one));
    timeline_add(all, one, pid);
    json_decref(one);
  }
  assert_int_equal(json_array_size(events_of(all)), events);
  assert_int_equal(number_of(json_object_get(all, "otherData"), "dropped_events"), 3);
  json_int_t pids = 0;
  size_t index;
  json_t *event;
  json_array_foreach(events_of(all), index, event) {
    if (is_slice(event)) pids = pids * 10 + number_of(event, "pid");
  }
  assert_int_equal(pids, 123);
  json_decref(all);
  free_log(log);
}

static void test_writing_fails_with_errno(void **state) {
  (void)state;
  json_t *timeline = timeline_empty();
  assert_false(timeline_write("/no/such/folder/file", timeline));
  assert_false(timeline_write("/dev/full", timeline));
  json_decref(timeline);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_events_have_tracks_times_and_meanings),
      cmocka_unit_test(test_a_run_without_anything_is_a_valid_timeline),
      cmocka_unit_test(test_dropped_events_are_stated),
      cmocka_unit_test(test_random_logs_are_complete_and_nest),
      cmocka_unit_test(test_runs_become_processes_of_one_timeline),
      cmocka_unit_test(test_writing_fails_with_errno),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
