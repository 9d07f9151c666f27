// SPDX-License-Identifier: MIT
// What a cycle says of itself: lines in Go's formats (runtime/trace.h), when the option asks for them.
#include <inttypes.h>
#include <stdio.h>

#include "allocators/runtime/trace.h"

#include "compact/cp_internal.h"

static double cpu_fraction(const compact_heap *heap) {
  const double available = (double)(heap->course.end_ns - heap->created_ns) * (double)heap->cores;
  return available > 0 ? hs_min_double((double)heap->totals.gc_cpu_ns / available, 1.0) : 0;
}

static void trace_gc(const compact_heap *heap) {
  const hs_marking *const marking = &heap->marking;
  const cp_course *const course = &heap->course;
  const uint64_t start_ns = course->mark_begin_ns - course->begin_ns;
  const uint64_t finish_ns = course->end_ns - course->mark_end_ns;
  const hs_trace_gc trace = {
      .cycle = heap->totals.cycles,
      .at_ns = course->begin_ns - heap->created_ns,
      .cpu_fraction = cpu_fraction(heap),
      .clock_ns = {start_ns, course->mark_end_ns - course->mark_begin_ns, finish_ns},
      // The program stands still at the end, in gc=stw all the time.
      .cpu_ns = {[HS_TRACE_CPU_START] = start_ns * (cp_is_concurrent(heap) ? 1 : heap->cores),
                 [HS_TRACE_CPU_ASSIST] = hs_load_relaxed(&marking->assist_ns),
                 [HS_TRACE_CPU_WORKER] =
                     course->marker_cpu_ns + hs_load_relaxed(&marking->worker_ns),
                 [HS_TRACE_CPU_FINISH] = finish_ns * heap->cores},
      .live_start_bytes = course->live_at_start_bytes,
      .live_end_bytes = heap->pacer.last_live_bytes,
      .marked_bytes = hs_load_relaxed(&heap->marked_bytes),
      .goal_bytes = heap->pacer.last_goal_bytes,
      .stack_bytes = marking->frames_bytes,
      .global_bytes = marking->roots_bytes,
      .procs = heap->cores,
      .forced = course->forced,
  };
  char line[HS_TRACE_LINE_BYTES];
  hs_trace_emit(line, hs_trace_gc_format(&trace, line, sizeof line));
}

static void trace_pacer_end(const compact_heap *heap) {
  const hs_pacer *const pacer = &heap->pacer;
  const hs_marking *const marking = &heap->marking;
  const hs_trace_pacer_end trace = {
      .cpu_fraction = pacer->last_utilisation,
      .goal_fraction = pacer->background_share,
      .heap_work_bytes = hs_load_relaxed(&marking->scanned_bytes),
      .stack_work_bytes = marking->frames_bytes,
      .global_work_bytes = marking->roots_bytes,
      .expected_work_bytes = pacer->last_expected_bytes,
      .trigger_bytes = pacer->last_triggered_bytes,
      .live_bytes = pacer->last_live_bytes,
      .goal_bytes = pacer->last_goal_bytes,
      .cons_mark = pacer->last_cons_mark,
  };
  char line[HS_TRACE_LINE_BYTES];
  hs_trace_emit(line, hs_trace_pacer_end_format(&trace, line, sizeof line));
}

// Go has no such line. Sizes are of regions with objects: before, predicted, live.
static void trace_compact(const compact_heap *heap) {
  const cp_course *const course = &heap->course;
  const cp_selection *const s = &course->selection;
  char line[HS_TRACE_LINE_BYTES];
  const int length = snprintf(
      line, sizeof line,
      "compact %" PRIu64 " @%.3fs%s: %.2f->%.2f MB, %.2f MB live, %.2f MB moved in %.3f ms, "
      "%" PRIu64 " moves aborted; %s\n",
      heap->totals.cycles, (double)(course->begin_ns - heap->created_ns) / 1e9,
      course->idle ? " (idle)" : "", (double)s->used_bytes / 1e6, (double)s->predicted_bytes / 1e6,
      (double)s->live_bytes / 1e6, (double)course->moved_bytes / 1e6,
      (double)course->moving_ns / 1e6, course->aborted_count, cp_verdict_name(s->verdict));
  hs_trace_emit(line, (size_t)length);
}

void cp_trace_begin(const compact_heap *heap) {
  if ((heap->config.trace & HEAP_TRACE_PACER) == 0) return;
  const hs_pacer *const pacer = &heap->pacer;
  const hs_trace_pacer_begin trace = {
      .assist_ratio = hs_pacer_assist_ratio(pacer),
      .scan_bytes = hs_load_relaxed(&pacer->expected_scan_bytes),
      .live_bytes = heap->course.live_at_start_bytes,
      .goal_bytes = hs_pacer_goal(pacer),
      .dedicated_count = heap->marking.worker_count + 1,
  };
  char line[HS_TRACE_LINE_BYTES];
  hs_trace_emit(line, hs_trace_pacer_begin_format(&trace, line, sizeof line));
}

void cp_trace_end(const compact_heap *heap) {
  if (heap->config.trace & HEAP_TRACE_GC) trace_gc(heap);
  if (heap->config.trace & HEAP_TRACE_PACER) trace_pacer_end(heap);
  if (heap->config.trace & HEAP_TRACE_COMPACT) trace_compact(heap);
}
