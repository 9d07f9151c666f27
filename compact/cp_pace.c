// SPDX-License-Identifier: MIT
// When to collect: the heap's numbers for the pacer (runtime/pacer.h), and what allocation pays. Bytes
// that pace cycles are those of objects and of their entries, because both are what a cycle frees.
#include "compact/cp_internal.h"

// A cycle is not due before a region's worth was allocated, however close the limit is: the limit
// itself is enforced page by page (cp_charge), and collecting at every allocation helps nobody.
static const uint64_t MIN_TRIGGER_BYTES = CP_REGION_BYTES;
// Beyond the goal by more than a quarter of it, and while objects are marked by more than all of it, a
// thread waits at each refill (about 32 KiB), 1 ms at most: it goes on at 32 MB/s.
static const uint64_t STALL_FRACTION = 4;
static const uint64_t STALL_NS = 1000 * 1000;

// Until it has been measured: small objects on a machine of 2020.
static const double INITIAL_MOVED_BYTES_PER_NS = 0.5;

static void set_trigger(compact_heap *heap) {
  const uint64_t due =
      cp_is_concurrent(heap) ? hs_pacer_trigger(&heap->pacer) : hs_pacer_goal(&heap->pacer);
  const uint64_t marked = hs_load_relaxed(&heap->marked_bytes);
  const uint64_t runway = due > marked ? due - marked : 0;
  hs_store_relaxed(&heap->trigger_bytes,
                   due == UINT64_MAX ? UINT64_MAX : hs_max_u64(runway, MIN_TRIGGER_BYTES));
}

void cp_pace_init(compact_heap *heap) {
  heap->cores = (unsigned)hs_os_core_count();
  heap->created_ns = hs_os_now_ns();
  hs_limiter_init(&heap->limiter, heap->created_ns, heap->cores);
  hs_pacer_init(&heap->pacer, &heap->config, heap->cores);
  set_trigger(heap);
  heap->selected_ns = heap->created_ns;
  heap->moved_bytes_per_ns = INITIAL_MOVED_BYTES_PER_NS;
}

// A thread that gives back what it had taken before the last cycle ended takes the sum below zero.
static uint64_t since_bytes(const compact_heap *heap) {
  const int64_t bytes = (int64_t)hs_load_relaxed(&heap->since_bytes);
  return bytes > 0 ? (uint64_t)bytes : 0;
}

bool cp_pace_is_due(const compact_heap *heap) {
  // Relaxed: a stale value delays or repeats the test, and the collector tests again.
  return since_bytes(heap) >= hs_load_relaxed(&heap->trigger_bytes);
}

uint64_t cp_pace_live_bytes(const compact_heap *heap) {
  return hs_load_relaxed(&heap->marked_bytes) + since_bytes(heap);
}

void cp_pace_begin(compact_heap *heap) {
  const uint64_t now_ns = hs_os_now_ns();
  if (hs_limiter_needs_update(&heap->limiter, now_ns)) hs_limiter_update(&heap->limiter, now_ns);
  const hs_marking *const marking = &heap->marking; // roots as the last marking found them
  hs_pacer_start_cycle(&heap->pacer, cp_pace_live_bytes(heap),
                       marking->roots_bytes + marking->frames_bytes);
}

void cp_pace_revise(void *context) {
  compact_heap *const heap = context;
  const hs_marking *const marking = &heap->marking;
  hs_pacer_revise(&heap->pacer, cp_pace_live_bytes(heap),
                  hs_load_relaxed(&marking->scanned_bytes) + marking->roots_bytes +
                      marking->frames_bytes);
  cp_mark_queue_count(heap);
}

// Share of the cores that marked.
static double utilisation(const compact_heap *heap) {
  const cp_course *const course = &heap->course;
  const hs_marking *const marking = &heap->marking;
  const uint64_t cpu_ns = course->marker_cpu_ns + hs_load_relaxed(&marking->worker_ns) +
                          hs_load_relaxed(&marking->assist_ns);
  const double available =
      (double)(course->mark_end_ns - course->mark_begin_ns) * (double)heap->cores;
  return available > 0 ? hs_min_double((double)cpu_ns / available, 1.0) : 0;
}

void cp_pace_end(compact_heap *heap) {
  const hs_marking *const marking = &heap->marking;
  const cp_totals *const totals = &heap->totals;
  const uint64_t marked = totals->live_bytes + totals->live_objects * sizeof(compact_entry);
  const uint64_t roots = marking->roots_bytes + marking->frames_bytes;
  const hs_pacer_cycle cycle = {
      .live_bytes = cp_pace_live_bytes(heap),
      .marked_bytes = marked,
      .scanned_bytes = hs_load_relaxed(&marking->scanned_bytes) + roots,
      .roots_bytes = roots,
      .utilisation = utilisation(heap),
  };
  hs_pacer_memory memory = {.mapped_bytes = compact_footprint(heap), .heap_alloc_bytes = marked};
  if (heap->config.memory_limit_bytes > 0) // looks at every page of large objects
    memory.heap_free_bytes = cp_region_free_bytes(heap) + cp_large_free_bytes(heap);
  heap->course.taken_bytes = since_bytes(heap);
  hs_pacer_end_cycle(&heap->pacer, &cycle);
  hs_pacer_commit(&heap->pacer, marked, true, &memory);
  hs_store_relaxed(&heap->marked_bytes, marked);
  (void)hs_exchange_acq_rel(&heap->since_bytes, (uint64_t)0); // threads add and subtract meanwhile
  set_trigger(heap);
}

// ---- what allocation pays -----------------------------------------------------------------------

static void assist(compact_heap *heap, compact_thread *thread, size_t bytes) {
  const double owed = hs_pacer_assist_ratio(&heap->pacer) * (double)bytes;
  const bool urgent = cp_pace_live_bytes(heap) > hs_pacer_goal(&heap->pacer);
  hs_marking_assist(&heap->marking, &thread->base, (uint64_t)owed, urgent);
}

static bool is_far_beyond_goal(const compact_heap *heap) {
  const uint64_t goal = hs_pacer_goal(&heap->pacer);
  // While there is marking to do, assists keep the pace, and waiting is only for when they fail.
  const uint64_t more = hs_marking_is_on(&heap->marking) ? goal : goal / STALL_FRACTION;
  return cp_pace_is_due(heap) && cp_pace_live_bytes(heap) > goal + more && goal < UINT64_MAX / 2;
}

// The collector does not get a core, or has not got far enough: a thread that goes on allocating would
// fill the memory. It waits for the end of the cycle, but not long.
static void stall(compact_heap *heap, compact_thread *thread, size_t bytes) {
  const uint32_t cycles_count = hs_load_acquire(&heap->cycles_count);
  if (!is_far_beyond_goal(heap)) return; // a cycle that ends changes this, then the count
  const uint64_t begin_ns = hs_os_now_ns();
  hs_blocking_begin(&thread->base);
  (void)hs_os_futex_wait(&heap->cycles_count, cycles_count, STALL_NS);
  hs_blocking_end(&thread->base);
  hs_event_log_add(&heap->log, HS_EVENT_STALL, thread->base.id, begin_ns, hs_os_now_ns(), bytes);
}

void cp_pace_step(compact_thread *thread, size_t bytes) {
  compact_heap *const heap = thread->heap;
  const bool marking = hs_marking_is_on(&heap->marking);
  if (!marking && !cp_pace_is_due(heap)) return;
  if (!cp_is_concurrent(heap)) {
    (void)cp_cycle_run(heap, thread, HEAP_COLLECT_MINOR, CP_REASON_DUE);
    return;
  }
  if (!marking && hs_load_relaxed(&heap->wanted) == 0 &&
      hs_exchange_acq_rel(&heap->wanted, 1u) == 0)
    hs_background_wake(&heap->collector);
  if (hs_limiter_limiting(&heap->limiter)) return; // the program gets half of the time, at least
  if (marking) assist(heap, thread, bytes);
  stall(heap, thread, bytes);
}
