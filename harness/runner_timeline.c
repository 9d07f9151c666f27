// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness/run.h"
#include "harness/timeline.h"

static json_t *run_timeline(const workload_run *run) {
  const hs_event_log *logs[RUN_HEAPS] = {NULL};
  for (size_t i = 0; i < RUN_HEAPS; i++)
    if (run->heaps[i].heap) logs[i] = heap_events(run->heaps[i].heap);
  timeline_stage stages[RECORD_STAGES];
  const run_record *record = &run->record;
  for (size_t i = 0; i < record->stage_count; i++)
    stages[i] =
        (timeline_stage){record->stages[i].name, record->stages[i].live_bytes, run->windows[i]};
  char title[2 * RECORD_NAME_BYTES];
  snprintf(title, sizeof title, "%s on %s%s%s", record->workload, record->heap,
           record->variant[0] ? " " : "", record->variant);
  return timeline_json(&(timeline_run){.title = title,
                                       .origin_ns = run->begin_ns,
                                       .logs = logs,
                                       .log_count = RUN_HEAPS,
                                       .timed = run->timed_span,
                                       .stages = stages,
                                       .stage_count = record->stage_count,
                                       .samples = record->samples,
                                       .sample_count = record->sample_count});
}

bool run_write_timeline(const workload_run *run) {
  json_t *timeline = run_timeline(run);
  errno = ENOMEM; // unless writing says otherwise
  const bool good = timeline && timeline_write(run->options->timeline, timeline);
  if (!good)
    fprintf(stderr, "run_%s: cannot write the timeline to %s: %s\n", HEAP_NAME,
            run->options->timeline, strerror(errno));
  json_decref(timeline);
  return good;
}
