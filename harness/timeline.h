// SPDX-License-Identifier: MIT
// A run as a picture over time: the event log, the stages and the memory samples in the trace event
// format of Chrome ("Trace Event Format", JSON object form), which ui.perfetto.dev and
// chrome://tracing open.
//
// Tracks of one process (a run): the workload with its stages, the collector with its phases, the
// scavenger, the growth of the heap, the stops that hold up every thread, and one track per thread with
// the delays it felt itself. On a track slices nest or are disjoint; what would cross another slice
// goes to a further track of the same name.
#ifndef TIMELINE_H
#define TIMELINE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators/runtime/event_log.h"
#include "harness/pauses.h"
#include "harness/sampler.h"

typedef struct timeline_stage {
  const char *name;
  uint64_t live_bytes; // that the program holds
  pauses_window window;
} timeline_stage;

typedef struct timeline_run {
  const char *title;               // of the process: "churn on nonmoving"
  uint64_t origin_ns;              // hs_os_now_ns at time 0
  const hs_event_log *const *logs; // of the heaps; each may be NULL
  size_t log_count;
  pauses_window timed; // section that was timed; empty: none
  const timeline_stage *stages;
  size_t stage_count;
  const sampler_sample *samples; // from the same origin
  size_t sample_count;
} timeline_run;

enum { TIMELINE_PID = 1 }; // of the process in a timeline of one run

// The whole file as one object, its events in order of their begin, an enclosing slice before those
// inside. A new reference; NULL only when malloc fails. Takes the lock of each log: collectors may still
// run. Events that a full log dropped are counted in otherData.dropped_events and in a marker.
json_t *timeline_json(const timeline_run *run);

// An object without events, for timeline_add.
json_t *timeline_empty(void);

// Add the events of `run` (as of timeline_json) to `into` as process `pid`.
void timeline_add(json_t *into, json_t *run, uint64_t pid);

// Write a timeline to a file. False with errno set.
bool timeline_write(const char *path, const json_t *timeline);

#endif
