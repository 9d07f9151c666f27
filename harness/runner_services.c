// SPDX-License-Identifier: MIT
// The services of workloads/workload.h: what a workload may ask of the harness while it runs.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "allocators/runtime/stats.h"
#include "harness/run.h"

// longjmp works on the thread that called setjmp only.
static _Thread_local bool run_is_main;

// ---- set-up -------------------------------------------------------------------------------------

static void run_describe_params(workload_run *run) {
  const workload *load = run->options->load;
  for (size_t i = 0; i < load->param_count; i++) {
    record_param *param = &run->params[i];
    param->name = load->params[i].name;
    param->value = run->options->values[i];
    if (load->params[i].choices)
      param->choice = run_choice(load->params[i].choices, param->value, &param->choice_length);
  }
  run->record.params = run->params;
  run->record.param_count = load->param_count;
}

static bool run_prepare_map(workload_run *run) {
  run->record.maps = run_memory_map(&run->memory, RECORD_STAGES * sizeof *run->record.maps);
  void *pages = NULL;
  // Not run_memory_map: only the pages of the buffer that get used become resident, see run_add_map.
  if (hs_os_map(RUN_MAP_PAGES * sizeof *run->pages, hs_os_page_bytes(), &pages) != 0) return false;
  run->record.pages = run->pages = pages;
  return run->record.maps != NULL;
}

bool run_prepare(workload_run *run, const run_options *options) {
  run->options = options;
  run_is_main = true;
  run_record *record = &run->record;
  record->workload = options->load->name;
  record->variant = options->variant;
  record->config = options->config;
  record->seed = options->seed;
  record->block = options->block;
  run_describe_params(run);
  record->stages = run_memory_map(&run->memory, RECORD_STAGES * sizeof *record->stages);
  run->latency = run_memory_map(&run->memory, sizeof *run->latency);
  if (!record->stages || !run->latency) return false;
  record->latency = run->latency;
  run->heaps[0].pauses = run_memory_map(&run->memory, sizeof *run->heaps[0].pauses);
  if (!run->heaps[0].pauses) return false;
  if (options->map && (HEAP_CAPS & HEAP_CAP_MAP) != 0 && !run_prepare_map(run)) return false;
  return options->sample_ms == 0 ||
         sampler_init(&run->sampler, &run->memory, options->sample_ms * 1000000) == 0;
}

void run_heap_opened(workload_run *run, size_t at) {
  pauses_skip(run->heaps[at].pauses, heap_events(run->heaps[at].heap));
  hs_store_release(&run->heap_count, (uint32_t)at + 1); // pairs: the sampler's run_footprint
}

// ---- measuring ----------------------------------------------------------------------------------

void run_measure(workload_run *run, record_stage *out, const char *name, uint64_t live_bytes) {
  snprintf(out->name, sizeof out->name, "%s", name);
  out->time_ns = hs_os_now_ns() - run->begin_ns;
  out->live_bytes = live_bytes;
  heap_stats_read(run->heaps[0].thread, &out->stats);
  // A heap that can draw its pages knows what is its own, so two of them add up. The others report
  // what the whole process has, second heap included.
  if (run->heaps[1].heap && (HEAP_CAPS & HEAP_CAP_MAP) != 0) {
    heap_stats extra;
    heap_stats_read(run->heaps[1].thread, &extra);
    hs_stats_sum(&out->stats, &extra);
  }
  out->harness_bytes = run_memory_bytes(&run->memory);
  out->memory_known = hs_os_memory_read(&out->memory) == 0;
}

void run_count_pauses(workload_run *run) {
  for (size_t i = 0; i < RUN_HEAPS; i++)
    if (run->heaps[i].heap) pauses_count(run->heaps[i].pauses, heap_events(run->heaps[i].heap));
}

static void run_add_page(void *context, const heap_map_page *page) {
  workload_run *run = context;
  if (run->page_count == RUN_MAP_PAGES) return; // the map ends here; a figure shows far fewer
  run->pages[run->page_count++] = (record_page){
      page->live_bytes, page->page_bytes, (page->resident ? 1u : 0) | (page->metadata ? 2u : 0)};
}

static void run_add_map(workload_run *run, record_map *map) {
  const size_t page = hs_os_page_bytes();
  const size_t before = hs_align_up(run->page_count * sizeof *run->pages, page);
  map->first = run->page_count;
  for (size_t i = 0; i < RUN_HEAPS; i++)
    if (run->heaps[i].heap) heap_map(run->heaps[i].thread, run_add_page, run);
  map->count = run->page_count - map->first;
  const size_t after = hs_align_up(run->page_count * sizeof *run->pages, page);
  hs_add_relaxed(&run->memory.bytes, after - before); // a statistic: orders nothing
}

void workload_stage(workload_run *run, const char *name, uint64_t live_bytes) {
  run_record *record = &run->record;
  HS_REQUIRE(record->stage_count < RECORD_STAGES, "more than %d stages", RECORD_STAGES);
  HS_REQUIRE(strlen(name) < RECORD_NAME_BYTES, "stage name '%s' is too long", name);
  const size_t at = record->stage_count;
  const uint64_t begin_ns = hs_os_now_ns(), begin_cpu_ns = hs_os_process_cpu_ns();
  run_count_pauses(run);
  for (size_t i = 0; i < RUN_HEAPS; i++)
    if (run->heaps[i].heap) heap_collect(run->heaps[i].thread, HEAP_COLLECT_RELEASE);
  run_measure(run, &record->stages[at], name, live_bytes);
  if (record->maps) run_add_map(run, &record->maps[at]);
  for (size_t i = 0; i < RUN_HEAPS; i++)
    if (run->heaps[i].heap) pauses_skip(run->heaps[i].pauses, heap_events(run->heaps[i].heap));
  record->stage_count = at + 1;
  const uint64_t end_ns = hs_os_now_ns();
  run->windows[at] = (pauses_window){begin_ns, end_ns};
  run->stage_wall_ns += end_ns - begin_ns;
  run->stage_cpu_ns += hs_os_process_cpu_ns() - begin_cpu_ns;
}

// ---- what a workload asks about itself ----------------------------------------------------------

heap *workload_heap(workload_run *run) { return run->heaps[0].heap; }
heap_thread *workload_thread(workload_run *run) { return run->heaps[0].thread; }
uint64_t workload_seed(const workload_run *run) { return run->options->seed; }

uint64_t workload_param_value(const workload_run *run, const char *name) {
  const workload *load = run->options->load;
  for (size_t i = 0; i < load->param_count; i++)
    if (strcmp(load->params[i].name, name) == 0) return run->options->values[i];
  HS_PANIC("workload %s has no parameter '%s'", load->name, name);
}

heap *workload_heap_extra(workload_run *run, heap_thread **thread) {
  run_heap *extra = &run->heaps[1];
  if (!extra->heap) {
    const heap_status created = heap_create(&run->options->config, &extra->heap);
    if (created == HEAP_UNSUPPORTED) {
      run->record.status = RECORD_SKIPPED;
      snprintf(run->record.reason, RECORD_REASON_BYTES, "needs two heaps in one process");
      longjmp(run->end, 1);
    }
    extra->pauses = run_memory_map(&run->memory, sizeof *extra->pauses);
    if (created != HEAP_OK || !extra->pauses ||
        heap_thread_enter(extra->heap, &extra->thread) != HEAP_OK)
      workload_out_of_memory(run);
    run_heap_opened(run, 1);
  }
  *thread = extra->thread;
  return extra->heap;
}

void *workload_scratch(workload_run *run, size_t bytes) {
  void *memory = run_memory_map(&run->memory, bytes);
  if (!memory) workload_out_of_memory(run);
  return memory;
}

void workload_scratch_free(workload_run *run, void *memory, size_t bytes) {
  run_memory_unmap(&run->memory, memory, bytes);
}

// ---- time and results ---------------------------------------------------------------------------

uint64_t workload_now_ns(void) { return hs_os_now_ns(); }

void workload_timed_begin(workload_run *run) {
  HS_REQUIRE(!run->timing, "timed sections do not nest");
  run->timing = true;
  run->stage_wall_ns = run->stage_cpu_ns = 0;
  run->section_cpu_ns = hs_os_process_cpu_ns();
  run->section_wall_ns = hs_os_now_ns();
  if (!run->timed) run->timed_span.begin_ns = run->section_wall_ns;
  run->timed = true;
}

void workload_timed_end(workload_run *run, uint64_t operations) {
  const uint64_t now_ns = hs_os_now_ns(), cpu_ns = hs_os_process_cpu_ns();
  HS_REQUIRE(run->timing, "no timed section is open");
  run->timing = false;
  run->timed_wall_ns += now_ns - run->section_wall_ns - run->stage_wall_ns;
  run->timed_cpu_ns += cpu_ns - run->section_cpu_ns - run->stage_cpu_ns;
  run->timed_operations += operations;
  run->timed_span.end_ns = now_ns;
}

void workload_latency_add(workload_run *run, uint64_t ns) { hs_histogram_add(run->latency, ns); }

void workload_metric(workload_run *run, const char *name, double value) {
  record_metric_set(&run->record, name, value);
}

// Described in record.md: the reference programs compute the same value.
void workload_checksum_add(workload_run *run, uint64_t value) {
  run->checksum = hs_mix64(run->checksum ^ value);
}

void workload_progress(workload_run *run, uint64_t done, uint64_t total) {
  run->progress_done = done;
  run->progress_total = total;
}

// ---- the end ------------------------------------------------------------------------------------

HS_NORETURN static void run_end(workload_run *run, record_status status) {
  HS_REQUIRE(run_is_main, "a workload thread failed: %s", run->record.reason);
  run->record.status = status;
  longjmp(run->end, 1);
}

// What ran out: the limit that was set, which can be raised, or the machine's memory.
void workload_out_of_memory(workload_run *run) {
  char limit[96] = "", done[64] = "";
  if (run->options->config.limit_bytes > 0)
    snprintf(limit, sizeof limit, " under limit=%" PRIu64 "; raise it with --set limit=BYTES",
             (uint64_t)run->options->config.limit_bytes);
  if (run->progress_total > 0)
    snprintf(done, sizeof done, " after %.0f %% of the work",
             100.0 * (double)run->progress_done / (double)run->progress_total);
  snprintf(run->record.reason, RECORD_REASON_BYTES, "out of memory%s%s", done, limit);
  run_end(run, RECORD_OOM);
}

void workload_invalid(workload_run *run, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(run->record.reason, RECORD_REASON_BYTES, format, args);
  va_end(args);
  run_end(run, RECORD_INVALID);
}
