// SPDX-License-Identifier: MIT
// A runner: one workload, once, on the heap this program was compiled for; then one record.
// Exit codes: 0 a record with status ok or skipped, 2 bad command line, 3 anything else.
//
// Note [no malloc before the end]
//   Until the last measurement nothing here calls malloc, directly or through stdio or jansson: in
//   run_libc and run_mimalloc it is the heap under test. All buffers are mapped and resident before
//   the first number is read.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/run.h"

enum { RUN_EXIT_OK = 0, RUN_EXIT_USAGE = 2, RUN_EXIT_FAILED = 3 };

// Too large for the stack, and zero at start.
static workload_run the_run;

static uint64_t run_footprint(void *context) {
  workload_run *run = context;
  uint64_t bytes = 0;
  const uint32_t count = hs_load_acquire(&run->heap_count); // pairs: run_heap_opened
  for (uint32_t i = 0; i < count; i++) bytes += heap_footprint(run->heaps[i].heap);
  return bytes;
}

static void run_skip(workload_run *run, const char *what) {
  run->record.status = RECORD_SKIPPED;
  snprintf(run->record.reason, RECORD_REASON_BYTES, "needs %s", what);
}

// RSS of the process without its heap: the floor that every later RSS is explained from.
static void run_measure_base(workload_run *run) {
  hs_os_memory memory;
  // Twice: the first read maps what reading itself needs.
  if (hs_os_memory_read(&memory) != 0 || hs_os_memory_read(&memory) != 0) return;
  run->record.base_rss_bytes = memory.rss_bytes - run_memory_bytes(&run->memory);
}

static bool run_open_heap(workload_run *run) {
  run_heap *main_heap = &run->heaps[0];
  const heap_status status = heap_create(&run->options->config, &main_heap->heap);
  if (status == HEAP_UNSUPPORTED || status == HEAP_INVALID) {
    run_skip(run, run->options->config.limit_bytes > 0 && (HEAP_CAPS & HEAP_CAP_LIMIT) == 0
                      ? "a heap limit"
                      : "a configuration this heap does not support");
    return false;
  }
  if (status != HEAP_OK || heap_thread_enter(main_heap->heap, &main_heap->thread) != HEAP_OK) {
    run->record.status = RECORD_OOM;
    snprintf(run->record.reason, RECORD_REASON_BYTES, "out of memory while creating the heap");
    return false;
  }
  run->record.identity = heap_identify(main_heap->heap);
  run_heap_opened(run, 0);
  return true;
}

static void run_workload(workload_run *run) {
  if (setjmp(run->end) != 0) return;
  const uint64_t begin_ns = hs_os_now_ns(), begin_cpu_ns = hs_os_process_cpu_ns();
  run->options->load->run(run);
  HS_REQUIRE(!run->timing, "workload %s left its timed section open", run->options->load->name);
  if (run->timed) return;
  const uint64_t end_ns = hs_os_now_ns();
  run->timed_wall_ns = end_ns - begin_ns - run->stage_wall_ns;
  run->timed_cpu_ns = hs_os_process_cpu_ns() - begin_cpu_ns - run->stage_cpu_ns;
  run->timed_span = (pauses_window){begin_ns, end_ns};
}

static void run_set_time_metrics(workload_run *run) {
  run_record *record = &run->record;
  if (run->timed_wall_ns > 0) {
    record_metric_set(record, "timed_wall_ns", (double)run->timed_wall_ns);
    record_metric_set(record, "timed_cpu_ns", (double)run->timed_cpu_ns);
  }
  if (run->timed_operations > 0 && run->timed_wall_ns > 0) {
    const double operations = (double)run->timed_operations, ns = (double)run->timed_wall_ns;
    record_metric_set(record, "ops_count", operations);
    record_metric_set(record, "ops_per_s", operations / ns * 1e9);
    record_metric_set(record, "ns_per_op", ns / operations);
  }
}

static void run_set_process_metrics(workload_run *run) {
  run_record *record = &run->record;
  record_metric_set(record, "wall_ns", (double)(hs_os_now_ns() - run->begin_ns));
  hs_os_usage usage;
  if (hs_os_usage_read(&usage) == 0) {
    record_metric_set(record, "user_ns", (double)usage.user_ns);
    record_metric_set(record, "sys_ns", (double)usage.sys_ns);
    record_metric_set(record, "minor_faults_count", (double)usage.minor_faults_count);
    record_metric_set(record, "major_faults_count", (double)usage.major_faults_count);
    record_metric_set(record, "involuntary_switches_count",
                      (double)usage.involuntary_switches_count);
  }
  hs_os_memory memory;
  if (hs_os_memory_read(&memory) == 0)
    record_metric_set(record, "peak_rss_bytes", (double)memory.peak_rss_bytes);
}

// Delays of both heaps as one distribution, and the utilisation curve of the timed span.
static void run_set_pauses(workload_run *run) {
  const hs_event_log *logs[RUN_HEAPS] = {NULL};
  run_count_pauses(run);
  for (size_t i = 0; i < RUN_HEAPS; i++)
    if (run->heaps[i].heap) logs[i] = heap_events(run->heaps[i].heap);
  if (!logs[0]) return;
  size_t dropped = 0;
  for (size_t i = 0; i < RUN_HEAPS; i++) dropped += pauses_dropped(logs[i]);
  record_metric_set(&run->record, "events_dropped_count", (double)dropped);
  run_pauses *all = run->heaps[0].pauses;
  for (size_t row = 0; row < PAUSES_ROWS; row++)
    if (run->heaps[1].heap)
      hs_histogram_merge(&all->counted[row], &run->heaps[1].pauses->counted[row]);
  run->record.pauses = all;
  run->record.log = logs[0];
  if (run->timed_span.end_ns > run->timed_span.begin_ns)
    run->record.mmu_count = pauses_mmu(logs, RUN_HEAPS, run->timed_span, run->windows,
                                       run->record.stage_count, run->record.mmu);
}

static void run_close(workload_run *run) {
  if (run->options->config.verify && (HEAP_CAPS & HEAP_CAP_VERIFY) != 0)
    for (size_t i = 0; i < RUN_HEAPS; i++)
      if (run->heaps[i].heap && !heap_verify(run->heaps[i].thread)) {
        run->record.status = RECORD_INVALID;
        snprintf(run->record.reason, RECORD_REASON_BYTES, "the heap failed its verification");
      }
  run->record.checksum = run->checksum;
}

// The run itself; afterwards the record is complete but for its JSON form.
static void run_execute(workload_run *run) {
  char missing[RECORD_REASON_BYTES / 2];
  run_missing(run->options->load->needs, HEAP_CAPS, missing, sizeof missing);
  if (missing[0]) {
    run_skip(run, missing);
    return;
  }
  run_measure_base(run);
  run->begin_ns = hs_os_now_ns();
  if (!run_open_heap(run)) return;
  run_measure(run, &run->record.start, "start", 0);
  // Reading statistics stops the world: our doing, not a pause of the workload.
  pauses_skip(run->heaps[0].pauses, heap_events(run->heaps[0].heap));
  run->record.started = true;
  if (run->options->sample_ms > 0 &&
      sampler_start(&run->sampler, run_footprint, run, run->begin_ns) != 0)
    fprintf(stderr, "run_%s: the sampler cannot start; the record has no series\n", HEAP_NAME);
  run_workload(run);
  sampler_stop(&run->sampler);
  run_set_process_metrics(run);
  run_set_time_metrics(run);
  run_set_pauses(run);
  run->record.samples = run->sampler.samples;
  run->record.sample_count = run->sampler.count;
  record_metrics_derive(&run->record);
  // After a longjmp the root frames of the workload lie on a dead stack: the heap is not used again.
  if (run->record.status == RECORD_OK) run_close(run);
}

static bool run_write(const workload_run *run) {
  json_t *json = record_to_json(&run->record);
  char *line = json ? record_line(json) : NULL;
  if (!line) {
    fprintf(stderr, "run_%s: out of memory while writing the record\n", HEAP_NAME);
    return false;
  }
  const char *path = run->options->json;
  const bool to_file = strcmp(path, "-") != 0;
  FILE *out = to_file ? fopen(path, "a") : stdout;
  bool good = out && fprintf(out, "%s\n", line) > 0 && fflush(out) == 0;
  if (out && to_file) good = fclose(out) == 0 && good;
  if (!good)
    fprintf(stderr, "run_%s: cannot write the record to %s: %s\n", HEAP_NAME, path,
            strerror(errno));
  free(line);
  json_decref(json);
  return good;
}

// Leave no memory behind, so that a leak checker sees the leaks of the heap only.
static void run_destroy(workload_run *run) {
  if (run->record.status != RECORD_OK) return; // see run_execute
  for (size_t i = RUN_HEAPS; i-- > 0;) {
    if (!run->heaps[i].heap) continue;
    heap_thread_leave(run->heaps[i].thread);
    heap_destroy(run->heaps[i].heap);
  }
}

// Rows are named after the heap; that operations are calls is a variant of it.
static const char *run_heap_name(void) {
  static char name[RECORD_NAME_BYTES];
  snprintf(name, sizeof name, "%s", HEAP_NAME);
  char *suffix = strstr(name, "_outline");
  if (suffix) *suffix = 0;
  return name;
}

int main(int argc, char **argv) {
  static run_options options;
  if (!run_options_parse(&options, argc, argv)) return RUN_EXIT_USAGE;
  if (options.list) {
    run_list();
    return RUN_EXIT_OK;
  }
  workload_run *run = &the_run;
  run->record.heap = run_heap_name();
  if (!run_prepare(run, &options)) {
    fprintf(stderr, "run_%s: no memory for the harness itself\n", HEAP_NAME);
    return RUN_EXIT_FAILED;
  }
  run_execute(run);
  if (!run_write(run) || (options.timeline && !run_write_timeline(run))) return RUN_EXIT_FAILED;
  run_destroy(run);
  return run->record.status == RECORD_OK || run->record.status == RECORD_SKIPPED ? RUN_EXIT_OK
                                                                                 : RUN_EXIT_FAILED;
}
