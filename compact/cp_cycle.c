// SPDX-License-Identifier: MIT
// One collection, start to end:
//   begin    mark bits and counts of the last cycle are cleared
//   mark     everything reachable (runtime/marking.h)
//   map      choose the regions to empty and find their objects
//   turn     dead runs are freed, mark bits become allocation bits, threads give back what they hold and
//            their barriers go off; regions without live objects are free. Note [bitmap turn] in cp_handle.c
//   pace     the next goal and trigger
//   compact  empty the sources into dense regions
//   rename   move the handles of sparse slabs into dense ones; beside the program it is part of marking
//   release  give free pages back, all of them or those above what the next cycle needs
// gc=concurrent: the collector thread runs automatic cycles, and all of that happens beside the program:
// threads answer handshakes. compaction= says how objects are moved: beside it too, in short stops, in one.
// A cycle that the program asks for (FULL, RELEASE) is run by the thread that asks. It stops the world
// after marking, which lets it empty the regions that threads had open and make the table dense.
// gc=stw: the thread that finds a cycle due runs it, and the world is stopped from mark on.
// A cycle that cannot get memory for compacting or renaming leaves that out; it never fails.
#include "compact/cp_internal.h"

// Queue memory above this is given back after a cycle: mapping it again costs more than it saves below.
static const size_t QUEUE_RETAINED_BYTES = 1 << 20;
static hs_thread *base_of(compact_thread *thread) { return thread ? &thread->base : NULL; }
static uint32_t id_of(const cp_course *course) { return course->self ? course->self->id : 0; }

typedef struct phase_clock {
  compact_heap *heap;
  uint64_t begin_ns;
} phase_clock;

static void phase_end(phase_clock *clock, hs_event_kind kind, uint64_t value) {
  const uint64_t now_ns = hs_os_now_ns();
  hs_event_log_add(&clock->heap->log, kind, id_of(&clock->heap->course), clock->begin_ns, now_ns,
                   value);
  clock->begin_ns = now_ns;
}

static cp_effort effort_of(const compact_heap *heap, heap_collect_kind kind) {
  if (cp_is_stress(heap)) return CP_EFFORT_EVERYTHING;
  if (heap->course.idle) return CP_EFFORT_FULL;
  return kind == HEAP_COLLECT_MINOR ? CP_EFFORT_AUTOMATIC : CP_EFFORT_FULL;
}

static void mark(compact_heap *heap) {
  cp_course *const course = &heap->course;
  course->live_at_start_bytes = cp_pace_live_bytes(heap);
  cp_pace_begin(heap);
  cp_trace_begin(heap);
  const uint64_t begin_cpu_ns = hs_os_thread_cpu_ns();
  course->mark_begin_ns = hs_os_now_ns();
  hs_limiter_begin_marking(&heap->limiter, course->mark_begin_ns, heap->pacer.background_share);
  hs_marking_run(&heap->marking, course->self, cp_pace_revise);
  course->mark_end_ns = hs_os_now_ns();
  course->marker_cpu_ns = hs_os_thread_cpu_ns() - begin_cpu_ns;
  hs_limiter_add_assist(&heap->limiter, hs_load_relaxed(&heap->marking.assist_ns));
  hs_limiter_end_marking(&heap->limiter, course->mark_end_ns);
  hs_event_log_add(&heap->log, HS_EVENT_MARK, id_of(course), course->mark_begin_ns,
                   course->mark_end_ns, hs_load_relaxed(&heap->marking.bytes));
  cp_mark_queue_count(heap);
}

// From marks to free memory. What markers and black threads counted is what lives.
static void turn(compact_heap *heap) {
  cp_totals *const totals = &heap->totals;
  phase_clock clock = {heap, hs_os_now_ns()};
  const uint64_t bytes = totals->live_bytes, objects = totals->live_objects;
  cp_large_sweep(heap);
  if (cp_is_stress(heap)) cp_handle_clear_dead(heap);
  cp_handle_turn(heap);
  hs_marking_end(&heap->marking, heap->course.self); // turns the threads
  cp_handle_count(heap);
  hs_mutex_lock(&heap->lock);
  totals->live_bytes = hs_load_relaxed(&heap->marking.bytes) + hs_load_relaxed(&heap->black_bytes);
  totals->live_objects =
      hs_load_relaxed(&heap->marking.objects_count) + hs_load_relaxed(&heap->black_count);
  totals->frees += objects + totals->turn_objects - totals->live_objects;
  const uint64_t freed_bytes = bytes + totals->turn_bytes - totals->live_bytes;
  hs_mutex_unlock(&heap->lock);
  cp_region_free_dead(heap);
  phase_end(&clock, HS_EVENT_SWEEP, freed_bytes);
}

static void evacuate(compact_heap *heap, cp_back_map *map, cp_effort effort, phase_clock *clock) {
  uint64_t moved = 0;
  (void)cp_evacuate_stw(heap, map, effort, UINT64_MAX, &moved);
  heap->totals.moved_bytes += moved;
  if (moved > 0) phase_end(clock, HS_EVENT_COMPACT, moved);
}

static void rename_handles(compact_heap *heap, cp_effort effort) {
  if (!heap->config.renaming) return;
  phase_clock clock = {heap, hs_os_now_ns()};
  const uint64_t renamed = cp_rename_stw(heap, heap->totals.live_objects, effort);
  heap->totals.renamed_count += renamed;
  if (renamed > 0) phase_end(&clock, HS_EVENT_RENAME, renamed);
}

// placement=traversal. What it leaves is moved and renamed as ever.
static void place(compact_heap *heap, cp_back_map *map, cp_effort effort) {
  if (!map->placing) return;
  phase_clock clock = {heap, hs_os_now_ns()};
  cp_order order;
  const uint64_t moved = cp_place_stw(heap, map, effort, &order);
  heap->totals.moved_bytes += moved;
  if (moved > 0) phase_end(&clock, HS_EVENT_COMPACT, moved);
  const uint64_t renamed = cp_place_names_stw(heap, effort, &order);
  heap->totals.renamed_count += renamed;
  if (renamed > 0) phase_end(&clock, HS_EVENT_RENAME, renamed);
  cp_back_map_remake_stw(heap, map, effort); // by the names that are current now
}

static void release(compact_heap *heap) {
  phase_clock clock = {heap, hs_os_now_ns()};
  const uint64_t before = heap->totals.scavenged_bytes;
  cp_release(heap);
  if (heap->totals.scavenged_bytes > before)
    phase_end(&clock, HS_EVENT_SCAVENGE, heap->totals.scavenged_bytes - before);
}

static uint64_t pause_budget_ns(const compact_heap *heap) {
  return (uint64_t)heap->config.pause_budget_us * 1000;
}

// When the moving in a stop has to end. The way to the safepoint is part of the stop; where it was long, a quarter of
// the budget is for moving nevertheless, else the stop would be for nothing. Resuming takes a little, too.
static uint64_t end_of_moving(uint64_t asked_ns, uint64_t reached_ns, uint64_t budget_ns) {
  if (budget_ns == UINT64_MAX) return UINT64_MAX;
  const uint64_t resume_ns = budget_ns / 16;
  return hs_max_u64(asked_ns + budget_ns, reached_ns + budget_ns / 4) - resume_ns;
}

// One stop for moving objects; false: there are more. Note [short stops] in cp_evacuate.c.
static bool evacuate_in_stop(compact_heap *heap, cp_back_map *map, cp_effort effort,
                             uint64_t budget_ns) {
  if (!cp_evacuate_prepare(heap, map, effort, budget_ns)) return true;
  uint64_t moved = 0;
  const uint64_t asked_ns = hs_os_now_ns();
  hs_world_stop(&heap->world, heap->course.self);
  const uint64_t begin_ns = hs_os_now_ns();
  const bool done =
      cp_evacuate_stw(heap, map, effort, end_of_moving(asked_ns, begin_ns, budget_ns), &moved);
  heap->totals.moved_bytes += moved;
  const uint64_t end_ns = hs_os_now_ns();
  hs_limiter_pause(&heap->limiter, begin_ns, end_ns);
  hs_world_start(&heap->world);
  if (moved > 0)
    hs_event_log_add(&heap->log, HS_EVENT_COMPACT, id_of(&heap->course), begin_ns, end_ns, moved);
  return done;
}

// Stops with at least as much time for the program in between.
static void evacuate_in_turns(compact_heap *heap, cp_back_map *map, cp_effort effort) {
  while (!evacuate_in_stop(heap, map, effort, pause_budget_ns(heap))) {
    const uint32_t wake = hs_load_relaxed(&heap->collector.wake);
    // Awake early: no harm.
    (void)hs_os_futex_wait(&heap->collector.wake, wake, pause_budget_ns(heap));
  }
  cp_relocate_give_up(heap, map);
}

// What writers would not let go is moved in one stop, as far as its budget goes; the rest stays where it is
// until the next cycle.
static void relocate(compact_heap *heap, cp_back_map *map, cp_effort effort) {
  enum { MEASURED_BYTES = 1 << 20 }; // less says little about the speed
  phase_clock clock = {heap, hs_os_now_ns()};
  cp_moves moves = {0};
  const uint64_t begin_ns = hs_os_thread_cpu_ns();
  const bool done = cp_relocate(heap, map, effort, &moves);
  cp_course *const course = &heap->course;
  course->moving_ns = hs_os_thread_cpu_ns() - begin_ns;
  course->moved_bytes = moves.bytes;
  course->aborted_count = moves.aborted_count;
  if (moves.bytes >= MEASURED_BYTES && course->moving_ns > 0)
    heap->moved_bytes_per_ns = (double)moves.bytes / (double)course->moving_ns;
  heap->totals.moved_bytes += moves.bytes;
  heap->totals.aborted_moves += moves.aborted_count;
  if (moves.bytes > 0) phase_end(&clock, HS_EVENT_COMPACT, moves.bytes);
  if (!done && map->entries) {
    heap->totals.fallback_stops++;
    (void)evacuate_in_stop(heap, map, effort, pause_budget_ns(heap));
  }
  cp_relocate_give_up(heap, map);
}

static void compact(compact_heap *heap, cp_back_map *map, cp_effort effort) {
  switch (heap->config.compaction) {
  case HEAP_COMPACTION_CONCURRENT:
    relocate(heap, map, effort);
    break;
  case HEAP_COMPACTION_INCREMENTAL:
    evacuate_in_turns(heap, map, effort);
    break;
  case HEAP_COMPACTION_STW:
    (void)evacuate_in_stop(heap, map, effort, UINT64_MAX);
    break;
  default:
    break;
  }
  cp_back_map_destroy(heap, map);
}

static void verify_stw(compact_heap *heap) {
  if (!heap->config.verify && !cp_is_stress(heap)) return;
  cp_cache_release_all_stw(heap);
  HS_REQUIRE(cp_verify_stw(heap), "the compacting heap is inconsistent after a collection");
}

static void end_cycle(compact_heap *heap) {
  heap->totals.cycles++;
  heap->totals.forced_cycles += heap->course.forced;
  hs_add_acq_rel(&heap->cycles_count, 1u); // pairs: stall, whose thread looks at the pace again
}

// ---- the two ways to finish a cycle whose marking is complete -----------------------------------

static void finish_beside(compact_heap *heap, cp_effort effort) {
  cp_back_map map = {0};
  if (heap->config.compaction) cp_back_map_make(heap, &map, effort);
  cp_twin_replace_shared(heap);
  turn(heap);
  heap->totals.renamed_count += cp_twin_end(heap);
  cp_peak_note(heap);
  cp_pace_end(heap);
  end_cycle(heap);
  compact(heap, &map, effort);
  release(heap);
  if (!heap->config.verify && !cp_is_stress(heap)) return;
  hs_world_stop(&heap->world, heap->course.self);
  verify_stw(heap);
  hs_world_start(&heap->world);
}

static void finish_stopped(compact_heap *heap, cp_effort effort) {
  cp_back_map map = {0};
  phase_clock clock = {heap, hs_os_now_ns()};
  const uint64_t stopped_ns = clock.begin_ns;
  cp_peak_note(heap); // chunks taken since the last region was opened are not in it
  cp_cache_release_all_stw(heap);
  if (heap->config.compaction) cp_back_map_make(heap, &map, effort);
  turn(heap);
  place(heap, &map, effort);
  evacuate(heap, &map, effort, &clock);
  cp_back_map_destroy(heap, &map);
  rename_handles(heap, effort);
  cp_pace_end(heap);
  release(heap);
  // Reads the log's pages: not in the short pauses.
  if (heap->course.kind != HEAP_COLLECT_MINOR) cp_fixed_count(heap);
  end_cycle(heap);
  verify_stw(heap);
  hs_limiter_pause(&heap->limiter, stopped_ns, hs_os_now_ns());
}

// What is left to do when the program runs again.
static void wind_up(compact_heap *heap) {
  cp_course *const course = &heap->course;
  course->end_ns = hs_os_now_ns();
  hs_event_log_add(&heap->log, HS_EVENT_CYCLE, id_of(course), course->begin_ns, course->end_ns,
                   heap->totals.live_bytes);
  if (hs_grey_pool_bytes(&heap->marking.pool) > QUEUE_RETAINED_BYTES) {
    hs_grey_pool_trim(&heap->marking.pool); // barriers are off: nobody else uses it
    (void)cp_mark_prime(heap);
  }
  heap->totals.gc_cpu_ns += hs_os_thread_cpu_ns() - course->begin_cpu_ns +
                            hs_load_relaxed(&heap->marking.worker_ns) +
                            hs_load_relaxed(&heap->marking.assist_ns);
  cp_trace_end(heap);
}

static void collect(compact_heap *heap) {
  cp_course *const course = &heap->course;
  const cp_effort effort = effort_of(heap, course->kind);
  const bool concurrent = cp_is_concurrent(heap);
  // In stress mode every cycle is a forced one.
  const bool beside =
      concurrent && (effort == CP_EFFORT_AUTOMATIC || course->idle ||
                     (cp_is_stress(heap) && heap->config.compaction == HEAP_COMPACTION_CONCURRENT));
  course->begin_ns = hs_os_now_ns();
  course->begin_cpu_ns = hs_os_thread_cpu_ns();
  if (course->idle) cp_idle_begin(heap);
  cp_mark_begin(heap);
  if (beside && heap->config.renaming) cp_twin_begin(heap, effort);
  if (!concurrent) hs_world_stop(&heap->world, course->self);
  mark(heap);
  if (beside) {
    finish_beside(heap, effort);
  } else {
    if (concurrent) hs_world_stop(&heap->world, course->self);
    finish_stopped(heap, effort);
    hs_world_start(&heap->world);
  }
  wind_up(heap);
}

// Another thread may have collected while this one waited for its turn.
static bool is_served(const compact_heap *heap, cp_reason reason, uint32_t cycles_count) {
  if (reason == CP_REASON_NO_MEMORY) return hs_load_relaxed(&heap->cycles_count) != cycles_count;
  return reason == CP_REASON_DUE && !cp_is_stress(heap) && !cp_pace_is_due(heap);
}

bool cp_cycle_run(compact_heap *heap, compact_thread *thread, heap_collect_kind kind,
                  cp_reason reason) {
  const uint64_t asked_ns = hs_os_now_ns();
  const uint32_t cycles_count = hs_load_relaxed(&heap->cycles_count);
  hs_world_enter_collector(&heap->world, base_of(thread));
  const bool served = is_served(heap, reason, cycles_count);
  if (!served) {
    heap->course = (cp_course){.self = base_of(thread),
                               .kind = kind,
                               .forced = reason == CP_REASON_FORCED,
                               .idle = reason == CP_REASON_IDLE};
    collect(heap);
  }
  hs_world_leave_collector(&heap->world);
  if (reason == CP_REASON_NO_MEMORY && cp_is_concurrent(heap))
    hs_event_log_add(&heap->log, HS_EVENT_STALL, thread->base.id, asked_ns, hs_os_now_ns(), 0);
  return !served;
}

uint64_t cp_cycle_background(void *context) {
  compact_heap *const heap = context;
  if (cp_pace_is_due(heap)) (void)cp_cycle_run(heap, NULL, HEAP_COLLECT_MINOR, CP_REASON_DUE);
  hs_store_relaxed(&heap->wanted, 0u);
  return cp_idle_step(heap);
}

void compact_collect(compact_thread *thread, heap_collect_kind kind) {
  HS_REQUIRE(kind >= HEAP_COLLECT_MINOR && kind <= HEAP_COLLECT_RELEASE,
             "unknown kind of collection %d", (int)kind);
  hs_poll(&thread->base);
  (void)cp_cycle_run(thread->heap, thread, kind, CP_REASON_FORCED);
}
