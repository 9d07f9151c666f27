// SPDX-License-Identifier: MIT
// One collection, start to end, with the world stopped:
//   flush    threads give regions and slabs back: allocation bits and tops are exact
//   mark     from roots and pins
//   sweep    weak cells, large objects, handles (the bitmap swap), regions without live objects
//   compact  empty sparse regions into dense ones
//   rename   move the handles of sparse slabs into dense ones
//   release  give free pages back, all of them or those above what the next cycle needs
//   schedule the next trigger
// A cycle that cannot get memory for compacting or renaming leaves that out; it never fails.
#include "allocators/runtime/pacer.h"
#include "compact/cp_internal.h"

// A cycle is not due before a region's worth was allocated, however close the limit is: the limit
// itself is enforced page by page (cp_charge), and collecting at every allocation helps nobody.
static const uint64_t MIN_TRIGGER_BYTES = CP_REGION_BYTES;

typedef struct phase_clock {
  compact_heap *heap;
  uint32_t thread;
  uint64_t begin_ns;
} phase_clock;

static void phase_end(phase_clock *clock, hs_event_kind kind, uint64_t value) {
  const uint64_t now_ns = hs_os_now_ns();
  hs_event_log_add(&clock->heap->log, kind, clock->thread, clock->begin_ns, now_ns, value);
  clock->begin_ns = now_ns;
}

bool cp_cycle_is_due(compact_heap *heap) {
  // Relaxed: a stale value delays or repeats the test, and the collector tests again.
  return hs_load_relaxed(&heap->since_bytes) >= hs_load_relaxed(&heap->trigger_bytes);
}

void cp_cycle_schedule(compact_heap *heap, uint64_t roots_bytes) {
  const uint64_t entries = heap->totals.live_objects * sizeof(compact_entry);
  const uint64_t marked = heap->totals.live_bytes + entries;
  heap->goal_bytes = hs_pacer_goal_bytes(&heap->config, marked, roots_bytes);
  hs_store_relaxed(&heap->trigger_bytes,
                   heap->goal_bytes == UINT64_MAX
                       ? UINT64_MAX
                       : hs_max_u64(heap->goal_bytes - marked, MIN_TRIGGER_BYTES));
  hs_store_relaxed(&heap->since_bytes, (uint64_t)0);
}

static heap_ref weak_survivor(void *context, heap_ref target) {
  const compact_heap *const heap = context;
  return cp_entry_is_marked(heap, cp_entry_index(heap, cp_entry_of(target))) ? target : HEAP_NULL;
}

static cp_effort effort_of(const compact_heap *heap, heap_collect_kind kind) {
  if (cp_is_stress(heap)) return CP_EFFORT_EVERYTHING;
  return kind == HEAP_COLLECT_MINOR ? CP_EFFORT_AUTOMATIC : CP_EFFORT_FULL;
}

// Returns the number of live entries.
static uint64_t mark_and_sweep(compact_heap *heap, phase_clock *clock) {
  cp_totals *const totals = &heap->totals;
  const uint64_t bytes_before = totals->live_bytes + totals->since_bytes;
  const uint64_t objects_before = totals->live_objects + totals->since_objects;
  cp_mark_stw(heap);
  phase_end(clock, HS_EVENT_MARK, totals->live_bytes);
  hs_weak_visit_stw(&heap->world, weak_survivor, heap);
  (void)cp_large_sweep_stw(heap);
  const uint64_t entries = cp_handle_sweep_stw(heap);
  cp_region_free_dead_stw(heap);
  HS_ASSERT(entries == totals->live_objects);
  totals->frees += objects_before - totals->live_objects;
  totals->since_bytes = totals->since_objects = 0;
  phase_end(clock, HS_EVENT_SWEEP, bytes_before - totals->live_bytes);
  return entries;
}

static void move_and_rename(compact_heap *heap, cp_effort effort, uint64_t entries,
                            phase_clock *clock) {
  if (heap->config.compaction) {
    const uint64_t moved = cp_evacuate_stw(heap, effort);
    heap->totals.moved_bytes += moved;
    if (moved > 0) phase_end(clock, HS_EVENT_COMPACT, moved);
  }
  if (heap->config.renaming) {
    const uint64_t renamed = cp_rename_stw(heap, entries, effort);
    heap->totals.renamed_count += renamed;
    if (renamed > 0) phase_end(clock, HS_EVENT_RENAME, renamed);
  }
}

static void run_phases(compact_heap *heap, phase_clock *clock, heap_collect_kind kind) {
  cp_peak_note(heap); // chunks taken since the last region was opened are not in it
  HS_WORLD_EACH_THREAD(&heap->world, thread)
  cp_cache_release((compact_thread *)thread, true);
  const uint64_t entries = mark_and_sweep(heap, clock);
  move_and_rename(heap, effort_of(heap, kind), entries, clock);
  cp_cycle_schedule(heap, hs_roots_slot_count_stw(&heap->world) * sizeof(heap_ref));
  const uint64_t released = heap->totals.scavenged_bytes;
  cp_release_stw(heap, kind);
  if (heap->totals.scavenged_bytes > released)
    phase_end(clock, HS_EVENT_SCAVENGE, heap->totals.scavenged_bytes - released);
  // Reads the log's pages: not in the short pauses.
  if (kind != HEAP_COLLECT_MINOR) cp_fixed_count(heap);
  HS_REQUIRE(!(heap->config.verify || cp_is_stress(heap)) || cp_verify_stw(heap),
             "the compacting heap is inconsistent after a collection");
}

void cp_cycle_run(compact_thread *thread, heap_collect_kind kind, cp_reason reason) {
  compact_heap *const heap = thread->heap;
  hs_world_enter_collector(&heap->world, &thread->base);
  // Another thread may have collected while this one waited.
  if (reason != CP_REASON_DUE || cp_is_stress(heap) || cp_cycle_is_due(heap)) {
    const uint64_t cpu_ns = hs_os_thread_cpu_ns();
    hs_world_stop(&heap->world, &thread->base);
    phase_clock clock = {heap, thread->base.id, hs_os_now_ns()};
    const uint64_t begin_ns = clock.begin_ns;
    run_phases(heap, &clock, kind);
    heap->totals.cycles++;
    heap->totals.forced_cycles += reason == CP_REASON_FORCED;
    clock.begin_ns = begin_ns;
    phase_end(&clock, HS_EVENT_CYCLE, heap->totals.live_bytes);
    heap->totals.gc_cpu_ns += hs_os_thread_cpu_ns() - cpu_ns;
    hs_world_start(&heap->world);
  }
  hs_world_leave_collector(&heap->world);
}

void compact_collect(compact_thread *thread, heap_collect_kind kind) {
  HS_REQUIRE(kind >= HEAP_COLLECT_MINOR && kind <= HEAP_COLLECT_RELEASE,
             "unknown kind of collection %d", (int)kind);
  hs_poll(&thread->base);
  cp_cycle_run(thread, kind, CP_REASON_FORCED);
}
