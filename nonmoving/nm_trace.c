// SPDX-License-Identifier: MIT
// What a cycle says of itself: lines in Go's formats (runtime/trace.h), when the option asks for them.
#include "allocators/runtime/trace.h"

#include "nonmoving/nm_internal.h"

static double cpu_fraction(const nonmoving_heap *heap, uint64_t now_ns) {
  const double available = (double)(now_ns - heap->created_ns) * (double)heap->cores;
  return available > 0 ? (double)heap->cycle.cpu_ns / available : 0;
}

static void trace_gc(const nonmoving_heap *heap, const nm_cycle_trace *cycle) {
  const hs_marking *const marking = &heap->marking;
  const uint64_t start_ns = cycle->mark_begin_ns - cycle->begin_ns;
  const uint64_t finish_ns = cycle->end_ns - cycle->mark_end_ns;
  // In a stop every core waits; beside the program the handshakes cost next to nothing.
  const uint64_t waiting = heap->config.gc == HEAP_GC_STW ? heap->cores : 1;
  const hs_trace_gc trace = {
      .cycle = heap->cycle.cycles_count,
      .at_ns = cycle->begin_ns - heap->created_ns,
      .cpu_fraction = cpu_fraction(heap, cycle->end_ns),
      .clock_ns = {start_ns, cycle->mark_end_ns - cycle->mark_begin_ns, finish_ns},
      .cpu_ns = {[HS_TRACE_CPU_START] = start_ns * waiting,
                 [HS_TRACE_CPU_ASSIST] = hs_load_relaxed(&marking->assist_ns),
                 [HS_TRACE_CPU_WORKER] =
                     cycle->collector_cpu_ns + hs_load_relaxed(&marking->worker_ns),
                 [HS_TRACE_CPU_FINISH] = finish_ns * waiting},
      .live_start_bytes = heap->cycle.live_at_start_bytes,
      .live_end_bytes = heap->pacer.last_live_bytes,
      .marked_bytes = heap->cycle.marked_bytes,
      .goal_bytes = heap->pacer.last_goal_bytes,
      .stack_bytes = marking->frames_bytes,
      .global_bytes = marking->roots_bytes,
      .procs = heap->cores,
      .forced = cycle->forced,
  };
  char line[HS_TRACE_LINE_BYTES];
  hs_trace_emit(line, hs_trace_gc_format(&trace, line, sizeof line));
}

static void trace_pacer_end(const nonmoving_heap *heap) {
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

void nm_trace_begin(const nonmoving_heap *heap) {
  if ((heap->config.trace & HEAP_TRACE_PACER) == 0) return;
  const hs_pacer *const pacer = &heap->pacer;
  const hs_trace_pacer_begin trace = {
      .assist_ratio = hs_pacer_assist_ratio(pacer),
      .scan_bytes = hs_load_relaxed(&pacer->expected_scan_bytes),
      .live_bytes = heap->cycle.live_at_start_bytes,
      .goal_bytes = hs_pacer_goal(pacer),
      .dedicated_count = heap->marking.worker_count + 1,
  };
  char line[HS_TRACE_LINE_BYTES];
  hs_trace_emit(line, hs_trace_pacer_begin_format(&trace, line, sizeof line));
}

void nm_trace_end(const nonmoving_heap *heap, const nm_cycle_trace *cycle) {
  if (heap->config.trace & HEAP_TRACE_GC) trace_gc(heap, cycle);
  if (heap->config.trace & HEAP_TRACE_PACER) trace_pacer_end(heap);
}

void nm_trace_swept(const nonmoving_heap *heap) {
  if ((heap->config.trace & HEAP_TRACE_PACER) == 0) return;
  const uint64_t live = hs_load_relaxed(&heap->live_bytes);
  const uint64_t basis = hs_load_relaxed(&heap->sweep_basis);
  const hs_trace_pacer_sweep trace = {
      .live_bytes = live,
      .allocated_bytes = live > basis ? live - basis : 0,
      .swept_page_count = nm_sweep_done_pages(heap),
      .pages_per_byte = (double)hs_load_relaxed(&heap->sweep_ratio) / NM_SWEEP_RATIO_ONE,
  };
  char line[HS_TRACE_LINE_BYTES];
  hs_trace_emit(line, hs_trace_pacer_sweep_format(&trace, line, sizeof line));
}
