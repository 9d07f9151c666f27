// SPDX-License-Identifier: MIT
#include "harness/schedule.h"

#include <stdlib.h>

#include "allocators/base/rng.h"
#include "harness/cli.h"
#include "harness/record_file.h"

void schedule_shuffle(job_list *list, uint64_t order_seed, uint64_t block) {
  hs_rng rng = hs_rng_seed(hs_mix64(order_seed) ^ block);
  for (size_t left = list->count; left > 1; left--) { // Fisher and Yates
    const size_t other = (size_t)hs_rng_below(&rng, left);
    const run_job swapped = list->jobs[left - 1];
    list->jobs[left - 1] = list->jobs[other];
    list->jobs[other] = swapped;
  }
  for (size_t i = 0; i < list->count; i++) {
    list->jobs[i].padding_bytes = (size_t)hs_rng_below(&rng, JOB_PADDING_LIMIT);
    list->jobs[i].order_seed = order_seed;
  }
}

static bool schedule_is_finished(const json_t *finished, const run_job *job) {
  if (!finished) return false;
  char *key = job_key(job);
  const bool found = record_file_has(finished, key);
  free(key);
  return found;
}

schedule_result schedule_run(const job_list *list, const run_catalogue *catalogue,
                             const json_t *finished, run_progress *progress, schedule_cost_fn cost,
                             schedule_sink_fn sink, void *context) {
  schedule_result result = SCHEDULE_OK;
  for (size_t i = 0; i < list->count; i++) {
    const run_job *job = &list->jobs[i];
    const double expected = cost ? cost(job) : 1;
    if (schedule_is_finished(finished, job)) {
      progress->total_cost -= expected; // nothing to wait for
      progress_done(progress, 0, true);
      continue;
    }
    if (cli_interrupted()) return SCHEDULE_INTERRUPTED;
    char *title = job_title(job);
    progress_job(progress, title);
    if (job->copy_stderr) fprintf(stderr, "heapduel: %s\n", title); // whose lines follow
    free(title);
    json_t *record = job_run(job, catalogue);
    if (!record) return SCHEDULE_INTERRUPTED;
    const bool good = job_is_good(record);
    progress_done(progress, expected, good);
    if (!good) {
      result = SCHEDULE_JOB_FAILED;
      progress_clear(progress);
      title = job_title(job);
      fprintf(stderr, "heapduel: %s: %s, %s\n", title, job_text(record, "status"),
              job_text(record, "reason"));
      free(title);
    }
    const bool taken = sink(context, job, record);
    json_decref(record);
    if (!taken) return SCHEDULE_STOPPED;
  }
  return result;
}
