// SPDX-License-Identifier: MIT
// Idle time: when nothing has been allocated for a while, the collector thread runs one cycle for the sake
// of memory alone. It makes the heap as dense as a full collection does and gives back what is free, but
// beside the program like any automatic cycle.
// What a program drops without allocating is not noticed. But a cache that is being cut back is often met in the
// midst of it: so a cycle that found much dead is followed by another, until one finds little.
#include "compact/cp_internal.h"

// An idle cycle is work for density, and takes no larger share of the cores than other such work may
// (compaction_cpu=): a program that allocates now and then does not pay for marking a large heap each time it rests,
// and one that only works on what it has for a while does not wait long when it rests in earnest.
static uint64_t time_for_ns(const compact_heap *heap, uint64_t cpu_ns) {
  return cpu_ns * 100 / ((uint64_t)heap->config.compaction_cpu_percent * heap->cores);
}

// Part of the live bytes.
static const uint64_t MUCH_DEAD = 16;

static uint64_t idle_ns(const compact_heap *heap) {
  return (uint64_t)heap->config.idle_ms * 1000 * 1000;
}

static bool is_wanted(const compact_heap *heap) {
  return heap->config.idle_ms > 0 && heap->config.compaction_cpu_percent > 0 &&
         !cp_is_stress(heap) &&
         (heap->config.gogc_percent >= 0 || heap->config.memory_limit_bytes > 0);
}

// Since the last idle cycle. An automatic cycle leaves behind what died while it marked.
static bool has_something_to_do(const compact_heap *heap) {
  return heap->idle.found_much ||
         (int64_t)hs_load_relaxed(&heap->since_bytes) > 0 || // see cp_pace.c for the sign
         hs_load_relaxed(&heap->cycles_count) != heap->idle.done_cycles;
}

uint64_t cp_idle_step(compact_heap *heap) {
  cp_idle *const idle = &heap->idle;
  if (!is_wanted(heap)) return HS_BACKGROUND_IDLE;
  hs_store_seq_cst(&idle->resting, 1u);
  if (!has_something_to_do(heap)) return HS_BACKGROUND_IDLE; // woken by cp_idle_notice
  hs_store_relaxed(&idle->resting, 0u);
  const uint64_t since = hs_load_relaxed(&heap->since_bytes), now_ns = hs_os_now_ns();
  const uint32_t cycles = hs_load_relaxed(&heap->cycles_count);
  if (since != idle->seen_bytes || cycles != idle->seen_cycles) {
    idle->seen_bytes = since;
    idle->seen_cycles = cycles;
    idle->seen_ns = now_ns;
  }
  const uint64_t due_ns = hs_max_u64(idle->seen_ns + idle_ns(heap), idle->not_before_ns);
  if (now_ns < due_ns) return due_ns - now_ns;
  const uint64_t before_ns = hs_os_thread_cpu_ns(), before_bytes = cp_pace_live_bytes(heap);
  (void)cp_cycle_run(heap, NULL, HEAP_COLLECT_MINOR, CP_REASON_IDLE);
  // Which slabs are sparse is known only after a marking, and the next one empties them.
  if (cp_twin_is_due(heap, CP_EFFORT_FULL))
    (void)cp_cycle_run(heap, NULL, HEAP_COLLECT_MINOR, CP_REASON_IDLE);
  const uint64_t live_bytes = hs_load_relaxed(&heap->marked_bytes);
  idle->found_much = before_bytes > live_bytes + live_bytes / MUCH_DEAD;
  idle->done_cycles = hs_load_relaxed(&heap->cycles_count);
  idle->not_before_ns = hs_os_now_ns() + time_for_ns(heap, hs_os_thread_cpu_ns() - before_ns);
  return idle_ns(heap);
}

static void flush(void *context, hs_thread *thread) {
  (void)context;
  cp_cache_release((compact_thread *)thread, false);
}

void cp_idle_begin(compact_heap *heap) {
  hs_world_handshake(&heap->world, heap->course.self, flush, NULL);
}

HS_COLD void cp_idle_wake(compact_heap *heap) {
  if (hs_exchange_acq_rel(&heap->idle.resting, 0u) != 0) hs_background_wake(&heap->collector);
}
