// SPDX-License-Identifier: MIT
// Runs jobs one after the other in a randomised order and hands on each record as it comes.
//
// Note [blocks]
//   A block holds every row once, so that slow drifts of the machine (temperature, neighbours) hit
//   all rows of a block alike and comparisons can be paired within blocks. The order inside a block
//   is shuffled by a seed that the records carry: a fixed order would give each row a fixed
//   predecessor, and what that one leaves behind would be measured with it.
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include "harness/job.h"
#include "harness/progress.h"

// Shuffle the jobs of one block and give each its environment padding; a function of the seed.
void schedule_shuffle(job_list *list, uint64_t order_seed, uint64_t block);

typedef enum schedule_result {
  SCHEDULE_OK,
  SCHEDULE_JOB_FAILED, // at least one record is not ok or skipped
  SCHEDULE_STOPPED,    // the sink refused a record (it printed why)
  SCHEDULE_INTERRUPTED,
} schedule_result;

// Takes a borrowed record as soon as its job has ended; false stops the schedule.
typedef bool (*schedule_sink_fn)(void *context, const run_job *job, json_t *record);

// Expected seconds of a job, to weigh it in the progress line. NULL: all jobs weigh the same.
typedef double (*schedule_cost_fn)(const run_job *job);

// Run the jobs in list order, except those for which `finished` (records, may be NULL) has a good
// record already.
schedule_result schedule_run(const job_list *list, const run_catalogue *catalogue,
                             const json_t *finished, run_progress *progress, schedule_cost_fn cost,
                             schedule_sink_fn sink, void *context);

#endif
