// SPDX-License-Identifier: MIT
#include "harness/timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- what is drawn where ------------------------------------------------------------------------

typedef enum timeline_class {
  TIMELINE_WORKLOAD,
  TIMELINE_COLLECTOR,
  TIMELINE_SCAVENGER,
  TIMELINE_GROWTH,
  TIMELINE_STOPS,
  TIMELINE_THREAD
} timeline_class;

static const char *const class_titles[] = {"workload",    "collector",          "scavenger",
                                           "heap growth", "every thread stops", "thread"};

static timeline_class class_of(hs_event_kind kind) {
  if (kind == HS_EVENT_STOP) return TIMELINE_STOPS;
  if (hs_event_kind_is_pause(kind)) return TIMELINE_THREAD;
  if (kind == HS_EVENT_SCAVENGE) return TIMELINE_SCAVENGER;
  return kind == HS_EVENT_GROW ? TIMELINE_GROWTH : TIMELINE_COLLECTOR;
}

// What the value of an event is: the name of its argument.
static const char *meaning_of(hs_event_kind kind) {
  static const char *const meanings[HS_EVENT_KIND_COUNT] = {
#define TIMELINE_MEANING(name, is_pause, meaning) meaning,
      HS_EVENT_LIST(TIMELINE_MEANING)
#undef TIMELINE_MEANING
  };
  return meanings[kind];
}

// A slice before it has a track. Times are relative to the origin.
typedef struct timeline_slice {
  uint64_t begin_ns, end_ns, value;
  const char *name, *category, *meaning;
  timeline_class class;
  uint32_t log, thread, kind; // kind: hs_event_kind, or HS_EVENT_KIND_COUNT
} timeline_slice;

// Begin first; of two that begin together the longer, which may enclose the other; of equals by the
// list of kinds, where a cycle stands before its phases.
static int slice_order(const void *a, const void *b) {
  const timeline_slice *x = a, *y = b;
  if (x->begin_ns != y->begin_ns) return x->begin_ns < y->begin_ns ? -1 : 1;
  if (x->end_ns != y->end_ns) return x->end_ns > y->end_ns ? -1 : 1;
  return x->kind < y->kind ? -1 : x->kind > y->kind;
}

// ---- tracks -------------------------------------------------------------------------------------

// One row of slices that nest. `open` are the ends of those that enclose the last one.
typedef struct timeline_lane {
  timeline_class class;
  uint32_t log, thread, number; // number 0 is the track itself, others take what would cross
  uint64_t *open_ns;
  size_t open_count, open_capacity;
} timeline_lane;

typedef struct timeline_builder {
  const timeline_run *run;
  json_t *events;
  timeline_slice *slices;
  size_t slice_count;
  timeline_lane *lanes;
  size_t lane_count;
  uint64_t dropped_count, last_ns;
  bool failed; // no memory
} timeline_builder;

static void add_event(timeline_builder *builder, json_t *event) {
  if (json_array_append_new(builder->events, event) != 0) builder->failed = true;
}

// Whether the slice fits; those that ended before it are closed.
static bool lane_takes(timeline_lane *lane, const timeline_slice *slice) {
  while (lane->open_count > 0 && lane->open_ns[lane->open_count - 1] <= slice->begin_ns)
    lane->open_count--;
  return lane->open_count == 0 || slice->end_ns <= lane->open_ns[lane->open_count - 1];
}

static bool lane_push(timeline_lane *lane, uint64_t end_ns) {
  if (lane->open_count == lane->open_capacity) {
    const size_t capacity = lane->open_capacity ? 2 * lane->open_capacity : 8;
    uint64_t *larger = realloc(lane->open_ns, capacity * sizeof *larger);
    if (!larger) return false;
    lane->open_ns = larger;
    lane->open_capacity = capacity;
  }
  lane->open_ns[lane->open_count++] = end_ns;
  return true;
}

static void name_lane(timeline_builder *builder, const timeline_lane *lane, size_t tid) {
  char name[96], heap[24] = "", thread[24] = "", again[24] = "";
  if (lane->log > 0) snprintf(heap, sizeof heap, "heap %u: ", lane->log + 1);
  if (lane->class == TIMELINE_THREAD) snprintf(thread, sizeof thread, " %u", lane->thread);
  if (lane->number > 0) snprintf(again, sizeof again, " (%u)", lane->number + 1);
  snprintf(name, sizeof name, "%s%s%s%s", heap, class_titles[lane->class], thread, again);
  const json_int_t order = (json_int_t)lane->log * 1000000 + (json_int_t)lane->class * 100000 +
                           (json_int_t)lane->thread * 10 + lane->number;
  add_event(builder, json_pack("{s:s,s:s,s:i,s:I,s:{s:s}}", "name", "thread_name", "ph", "M", "pid",
                               TIMELINE_PID, "tid", (json_int_t)tid, "args", "name", name));
  add_event(builder,
            json_pack("{s:s,s:s,s:i,s:I,s:{s:I}}", "name", "thread_sort_index", "ph", "M", "pid",
                      TIMELINE_PID, "tid", (json_int_t)tid, "args", "sort_index", order));
}

// The track id (from 1) of the first lane of its track that the slice fits; 0: no memory.
static size_t find_lane(timeline_builder *builder, const timeline_slice *slice) {
  const uint32_t thread = slice->class == TIMELINE_THREAD ? slice->thread : 0;
  uint32_t number = 0;
  for (size_t i = 0; i < builder->lane_count; i++) {
    timeline_lane *lane = &builder->lanes[i];
    if (lane->class != slice->class || lane->log != slice->log || lane->thread != thread) continue;
    number++;
    if (lane_takes(lane, slice)) return lane_push(lane, slice->end_ns) ? i + 1 : 0;
  }
  timeline_lane *larger = realloc(builder->lanes, (builder->lane_count + 1) * sizeof *larger);
  if (!larger) return 0;
  builder->lanes = larger;
  timeline_lane *lane = &larger[builder->lane_count++];
  *lane =
      (timeline_lane){.class = slice->class, .log = slice->log, .thread = thread, .number = number};
  name_lane(builder, lane, builder->lane_count);
  return lane_push(lane, slice->end_ns) ? builder->lane_count : 0;
}

// ---- collecting ---------------------------------------------------------------------------------

static uint64_t since_origin(const timeline_builder *builder, uint64_t ns) {
  return ns > builder->run->origin_ns ? ns - builder->run->origin_ns : 0;
}

static void add_slice(timeline_builder *builder, timeline_slice slice, pauses_window window) {
  slice.begin_ns = since_origin(builder, window.begin_ns);
  slice.end_ns = since_origin(builder, window.end_ns);
  if (slice.end_ns > builder->last_ns) builder->last_ns = slice.end_ns;
  builder->slices[builder->slice_count++] = slice;
}

static void collect_program(timeline_builder *builder) {
  const timeline_run *run = builder->run;
  if (run->timed.end_ns > run->timed.begin_ns)
    add_slice(builder,
              (timeline_slice){.name = "timed",
                               .category = "workload",
                               .class = TIMELINE_WORKLOAD,
                               .kind = HS_EVENT_KIND_COUNT},
              run->timed);
  for (size_t i = 0; i < run->stage_count; i++)
    add_slice(builder,
              (timeline_slice){.name = run->stages[i].name,
                               .category = "stage",
                               .meaning = "live bytes",
                               .value = run->stages[i].live_bytes,
                               .class = TIMELINE_WORKLOAD,
                               .kind = HS_EVENT_KIND_COUNT},
              run->stages[i].window);
}

// The caller holds the lock of the log and has made room.
static void collect_log_locked(timeline_builder *builder, const hs_event_log *log, uint32_t index) {
  builder->dropped_count += log->dropped_count;
  for (size_t i = 0; i < log->count; i++) {
    const hs_event *event = &log->events[i];
    const hs_event_kind kind = (hs_event_kind)event->kind;
    add_slice(builder,
              (timeline_slice){.value = event->value,
                               .name = hs_event_kind_name(kind),
                               .category = hs_event_kind_is_pause(kind) ? "delay" : "phase",
                               .meaning = meaning_of(kind),
                               .class = class_of(kind),
                               .log = index,
                               .thread = event->thread,
                               .kind = event->kind},
              (pauses_window){event->begin_ns, event->end_ns});
  }
}

// All slices in order. False: no memory.
static bool collect(timeline_builder *builder) {
  const timeline_run *run = builder->run;
  size_t room = run->stage_count + 1;
  builder->slices = malloc(room * sizeof *builder->slices);
  if (!builder->slices) return false;
  collect_program(builder);
  for (size_t i = 0; i < run->log_count; i++) {
    const hs_event_log *log = run->logs[i];
    if (!log) continue;
    hs_mutex_lock((hs_mutex *)&log->lock); // const to its readers but for its lock
    room += log->count;
    timeline_slice *larger = realloc(builder->slices, room * sizeof *larger);
    if (larger) {
      builder->slices = larger;
      collect_log_locked(builder, log, (uint32_t)i);
    }
    hs_mutex_unlock((hs_mutex *)&log->lock);
    if (!larger) return false;
  }
  qsort(builder->slices, builder->slice_count, sizeof *builder->slices, slice_order);
  return true;
}

// ---- writing ------------------------------------------------------------------------------------

static double us(uint64_t ns) { return (double)ns / 1000; }

static void write_counter(timeline_builder *builder, const char *name, uint64_t at_ns,
                          uint64_t bytes) {
  add_event(builder, json_pack("{s:s,s:s,s:i,s:f,s:{s:I}}", "name", name, "ph", "C", "pid",
                               TIMELINE_PID, "ts", us(at_ns), "args", "bytes", (json_int_t)bytes));
}

static void write_marker(timeline_builder *builder, const char *name, uint64_t at_ns) {
  add_event(builder, json_pack("{s:s,s:s,s:s,s:i,s:i,s:f}", "name", name, "ph", "i", "s", "p",
                               "pid", TIMELINE_PID, "tid", 1, "ts", us(at_ns)));
}

static void write_slice(timeline_builder *builder, const timeline_slice *slice) {
  const size_t tid = find_lane(builder, slice);
  if (tid == 0) {
    builder->failed = true;
    return;
  }
  json_t *args = json_object();
  if (slice->meaning)
    json_object_set_new(args, slice->meaning, json_integer((json_int_t)slice->value));
  add_event(builder, json_pack("{s:s,s:s,s:s,s:i,s:I,s:f,s:f,s:o}", "name", slice->name, "cat",
                               slice->category, "ph", "X", "pid", TIMELINE_PID, "tid",
                               (json_int_t)tid, "ts", us(slice->begin_ns), "dur",
                               us(slice->end_ns - slice->begin_ns), "args", args));
  if (strcmp(slice->category, "stage") == 0) write_marker(builder, slice->name, slice->begin_ns);
}

static void write_counters(timeline_builder *builder) {
  const timeline_run *run = builder->run;
  for (size_t i = 0; i < run->sample_count; i++) {
    const sampler_sample *sample = &run->samples[i];
    write_counter(builder, "RSS", sample->time_ns, sample->rss_bytes);
    if (sample->footprint_bytes > 0)
      write_counter(builder, "footprint", sample->time_ns, sample->footprint_bytes);
  }
  for (size_t i = 0; i < builder->slice_count; i++) {
    const timeline_slice *slice = &builder->slices[i];
    if (slice->log == 0 && slice->kind == HS_EVENT_CYCLE)
      write_counter(builder, "found live", slice->end_ns, slice->value);
  }
}

static void write_dropped(timeline_builder *builder) {
  if (builder->dropped_count == 0) return;
  char text[96];
  snprintf(text, sizeof text, "the log was full: %llu later events are missing",
           (unsigned long long)builder->dropped_count);
  write_marker(builder, text, builder->last_ns);
}

json_t *timeline_empty(void) {
  return json_pack("{s:s,s:{s:i},s:[]}", "displayTimeUnit", "ns", "otherData", "dropped_events", 0,
                   "traceEvents");
}

json_t *timeline_json(const timeline_run *run) {
  json_t *timeline = timeline_empty();
  timeline_builder builder = {.run = run, .events = json_object_get(timeline, "traceEvents")};
  builder.failed = !timeline || !collect(&builder);
  if (!builder.failed) {
    add_event(&builder, json_pack("{s:s,s:s,s:i,s:{s:s}}", "name", "process_name", "ph", "M", "pid",
                                  TIMELINE_PID, "args", "name", run->title));
    for (size_t i = 0; i < builder.slice_count; i++) write_slice(&builder, &builder.slices[i]);
    write_counters(&builder);
    write_dropped(&builder);
    json_object_set_new(json_object_get(timeline, "otherData"), "dropped_events",
                        json_integer((json_int_t)builder.dropped_count));
  }
  for (size_t i = 0; i < builder.lane_count; i++) free(builder.lanes[i].open_ns);
  free(builder.lanes);
  free(builder.slices);
  if (!builder.failed) return timeline;
  json_decref(timeline);
  return NULL;
}

void timeline_add(json_t *into, json_t *run, uint64_t pid) {
  json_t *events = json_object_get(into, "traceEvents"), *event;
  size_t index;
  json_array_foreach(json_object_get(run, "traceEvents"), index, event) {
    json_object_set_new(event, "pid", json_integer((json_int_t)pid));
    json_array_append(events, event);
  }
  json_t *data = json_object_get(into, "otherData");
  const json_int_t dropped =
      json_integer_value(json_object_get(data, "dropped_events")) +
      json_integer_value(json_object_get(json_object_get(run, "otherData"), "dropped_events"));
  json_object_set_new(data, "dropped_events", json_integer(dropped));
}

bool timeline_write(const char *path, const json_t *timeline) {
  FILE *out = fopen(path, "w");
  if (!out) return false;
  // 15 digits hold every nanosecond of a run of days and print no 0.10000000000000001.
  bool good = json_dumpf(timeline, out, JSON_COMPACT | JSON_REAL_PRECISION(15)) == 0;
  good = fputc('\n', out) != EOF && good;
  return fclose(out) == 0 && good;
}
