// SPDX-License-Identifier: MIT
// The collection cycle, a driver of named steps: finish the sweep of the last cycle, stop the world,
// flush caches, mark, clear weak cells, turn the sweep generation, set the goals, start the world.
#include "allocators/base/assert.h"
#include "allocators/runtime/pacer.h"
#include "nonmoving/nm_internal.h"

// Grey memory above this is given back after a cycle: mapping it again costs more than it saves below.
static const size_t GREY_RETAINED_BYTES = 1 << 20;
// The scavenger leaves this much above what the next cycle will need (Go: 10 %).
static const uint64_t RETAIN_EXTRA_PERCENT = 10;
// A delay of a mutator that is not worth an event.
static const uint64_t STALL_LOGGED_NS = 1000;

// Sweep what the last cycle left. stall: the calling mutator waits for it and did not ask to.
static void finish_sweep(nonmoving_heap *heap, nm_thread *self, bool stall) {
  if (nm_sweep_is_done(heap)) return;
  const uint64_t begin_ns = hs_os_now_ns();
  const uint64_t swept = nm_sweep_all(heap);
  const uint64_t end_ns = hs_os_now_ns();
  if (end_ns - begin_ns < STALL_LOGGED_NS) return;
  const uint32_t id = self->hot.base.id;
  hs_event_log_add(&heap->log, HS_EVENT_SWEEP, id, begin_ns, end_ns, swept);
  if (stall) hs_event_log_add(&heap->log, HS_EVENT_STALL, id, begin_ns, end_ns, 0);
}

static heap_ref weak_target(void *heap, heap_ref target) {
  return nm_is_marked_stw(heap, target) ? target : HEAP_NULL;
}

static void mark_stw(nonmoving_heap *heap, nm_thread *self) {
  const uint64_t begin_ns = hs_os_now_ns();
  heap->cycle.marked_bytes = nm_mark_stw(heap).bytes;
  hs_weak_visit_stw(&heap->world, weak_target, heap);
  hs_event_log_add(&heap->log, HS_EVENT_MARK, self->hot.base.id, begin_ns, hs_os_now_ns(),
                   heap->cycle.marked_bytes);
  hs_mutex_lock(&heap->lock);
  nm_pageheap_note_peak_locked(heap); // with the grey queues at their largest
  hs_mutex_unlock(&heap->lock);
  if (hs_grey_pool_bytes(&heap->grey) > GREY_RETAINED_BYTES) hs_grey_pool_trim(&heap->grey);
}

// From here on every span in use is unswept, and the lists have changed roles.
static void turn_sweepgen_stw(nonmoving_heap *heap) {
  uint64_t spans = 0;
  for (size_t w = 0; w < hs_div_up(nm_grown_pages(heap), 64); w++)
    spans += hs_popcount64(heap->in_use[w]);
  hs_store_relaxed(&heap->unswept_count, spans); // published by the restart of the world
  hs_store_relaxed(&heap->reclaim_page, 0u);
  hs_store_relaxed(&heap->reclaim_credit, 0u);
  hs_add_relaxed(&heap->sweepgen, 2u);
}

// What the heap will need until the next cycle ends, and a little more, may stay unreleased:
// spans in use now, scaled as the goal is.
static uint64_t retained_goal(const nonmoving_heap *heap, uint64_t old_goal, uint64_t goal) {
  if (goal == UINT64_MAX || old_goal == UINT64_MAX || old_goal == 0) return UINT64_MAX;
  const double in_use = (double)(hs_load_relaxed(&heap->counts.in_use) << NM_PAGE_SHIFT);
  const double extra = 1.0 + (double)RETAIN_EXTRA_PERCENT / 100.0;
  return (uint64_t)(in_use * ((double)goal / (double)old_goal) * extra);
}

static void set_goals_stw(nonmoving_heap *heap) {
  const uint64_t marked = heap->cycle.marked_bytes;
  const uint64_t roots_bytes = hs_roots_slot_count_stw(&heap->world) * sizeof(heap_ref);
  const uint64_t old_goal = hs_load_relaxed(&heap->goal_bytes);
  const uint64_t goal = hs_pacer_goal_bytes(&heap->config, marked, roots_bytes);
  hs_store_relaxed(&heap->live_bytes, marked);
  hs_store_relaxed(&heap->goal_bytes, goal);
  hs_store_relaxed(&heap->scavenge_goal, retained_goal(heap, old_goal, goal));
}

static void run_stw(nonmoving_heap *heap, nm_thread *self, nm_reason reason) {
  const bool releases = reason == NM_REASON_RELEASE || reason == NM_REASON_FAILED;
  nm_cache_flush_all_stw(heap, releases || heap->config.verify || heap->config.stress);
  mark_stw(heap, self);
  turn_sweepgen_stw(heap);
  set_goals_stw(heap);
  heap->cycle.cycles_count++;
  if (reason == NM_REASON_FORCED || reason == NM_REASON_RELEASE) heap->cycle.forced_count++;
  if (heap->config.limit_bytes > 0) // the event log counts
    hs_store_relaxed(&heap->log_bytes, (uint64_t)hs_event_log_bytes(&heap->log));
  if (releases) {
    finish_sweep(heap, self, false); // the stop counts
    hs_grey_pool_trim(&heap->grey);
    nm_scavenge_all(heap);
  }
  if (heap->config.verify || heap->config.stress)
    HS_REQUIRE(nm_verify_stw(heap, true), "the heap is corrupt after a collection");
}

void nm_cycle_run(nonmoving_heap *heap, nm_thread *self, nm_reason reason) {
  hs_world_enter_collector(&heap->world, &self->hot.base);
  if (reason == NM_REASON_TRIGGER && !nm_cycle_is_due(heap)) { // another thread was faster
    hs_world_leave_collector(&heap->world);
    return;
  }
  const uint64_t begin_cpu_ns = hs_os_thread_cpu_ns();
  finish_sweep(heap, self, reason == NM_REASON_TRIGGER || reason == NM_REASON_FAILED);
  const uint64_t begin_ns = hs_os_now_ns();
  hs_world_stop(&heap->world, &self->hot.base);
  run_stw(heap, self, reason);
  const uint64_t marked = heap->cycle.marked_bytes;
  hs_world_start(&heap->world);
  hs_event_log_add(&heap->log, HS_EVENT_CYCLE, self->hot.base.id, begin_ns, hs_os_now_ns(), marked);
  if (reason == NM_REASON_FORCED) finish_sweep(heap, self, false);
  heap->cycle.cpu_ns += hs_os_thread_cpu_ns() - begin_cpu_ns;
  hs_world_leave_collector(&heap->world);
  if (heap->config.scavenge) hs_background_wake(&heap->scavenger);
}
