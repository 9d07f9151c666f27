// SPDX-License-Identifier: MIT
// When to collect: the heap's numbers for the pacer (runtime/pacer.h), and what allocation pays. Bytes
// that pace cycles are those of objects and of their entries, because both are what a cycle frees.
#include "compact/cp_internal.h"

// A cycle is not due before a region's worth was allocated, however close the limit is: the limit
// itself is enforced page by page (cp_charge), and collecting at every allocation helps nobody.
static const uint64_t MIN_TRIGGER_BYTES = CP_REGION_BYTES;
// Beyond the goal by more than a quarter of it, and while objects are marked by more than all of it, a
// thread waits at each refill (64 objects, 32 KiB at most), no longer than it may have to assist: it goes on
// at 200 MB/s at most, with objects of 64 bytes at 30. Not by sleeping: to be woken may take longer than
// the wait. First it spins, in case the end of the cycle is near; then the collector may have the core.
static const uint64_t STALL_FRACTION = 4;
static const uint64_t STALL_NS = 150 * 1000, STALL_SPIN_NS = 50 * 1000;

// A cycle that moves nothing visits each descriptor a few times: of no more than these, in a few microseconds.
enum { SMALL_SLABS = 512, SMALL_REGIONS = 128, SMALL_LARGES = 512 };

// Share of the cores that cycles may take more for the sake of memory, and part of the room that they may
// take away: they are twice as frequent at most. Note [thrift]
static const double THRIFT_CPU = 0.015, MAX_SAVED = 0.5;
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
  heap->selected_ns = heap->paced_ns = heap->created_ns;
  heap->thrift.since_ns = heap->retention.set_ns = heap->created_ns;
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

// Note [thrift]
//   Pacing counts objects and entries, and lets their sum grow by gogc percent of it. What the heap takes is
//   more, by holes, descriptors and garbage that nobody has looked at. Where collecting is cheap the heap
//   makes up for all of it: the room until the next cycle is made less by
//     - what describes objects, at its peak: live entries and their share, or what there is, if that is more
//     - what was allocated black, and its share: as much may have died since the marking began
//     - the holes that the selection of sources puts up with
//   so that the peak of the footprint is what gogc says of objects alone. The price is a cycle more often, and
//   what that costs is bounded (THRIFT_CPU): a program that keeps the collector busy gets nearly the whole
//   room, and one that does not, as a cache, gets the memory back.
//   Only that black objects bring no room of their own does not depend on the price: the faster the program is
//   while objects are marked the more of them there are, and the peak would go up with it.
static uint64_t overhead_bytes(const compact_heap *heap, double share) {
  const uint64_t black = hs_min_u64(hs_load_relaxed(&heap->black_bytes), heap->totals.live_bytes);
  const uint64_t entries = heap->totals.live_objects * sizeof(compact_entry);
  // The back-map is gone long before the peak.
  const uint64_t metadata = cp_metadata_bytes(heap) - hs_load_relaxed(&heap->side_bytes);
  const cp_selection *const selection = &heap->course.selection;
  const uint64_t holes =
      selection->predicted_bytes - hs_min_u64(selection->predicted_bytes, selection->live_bytes);
  const double at_peak = hs_max_double((double)metadata, (1 + share) * (double)entries);
  return (uint64_t)(at_peak + (1 + share) * (double)black) + holes;
}

// A cycle that was asked for is not the pace's, and the time before it tells nothing.
static void thrift_measure(compact_heap *heap) {
  cp_thrift *const thrift = &heap->thrift;
  const hs_marking *const marking = &heap->marking;
  const uint64_t now_ns = hs_os_now_ns();
  const uint64_t cpu_ns = heap->totals.gc_cpu_ns + hs_os_thread_cpu_ns() -
                          heap->course.begin_cpu_ns + hs_load_relaxed(&marking->worker_ns) +
                          hs_load_relaxed(&marking->assist_ns);
  const double available = (double)(now_ns - thrift->since_ns) * (double)heap->cores;
  if (!heap->course.forced && !heap->course.idle && available > 0)
    thrift->cost = (double)(cpu_ns - thrift->since_cpu_ns) / available * (1 - thrift->saved);
  thrift->since_ns = now_ns;
  thrift->since_cpu_ns = cpu_ns;
}

// What comes off the room for the next cycle.
static uint64_t thrift_bytes(compact_heap *heap, uint64_t marked_bytes) {
  cp_thrift *const thrift = &heap->thrift;
  thrift_measure(heap);
  const double share = (double)heap->config.gogc_percent / 100;
  const double room = share * (double)marked_bytes;
  if (!(room > 0)) return 0; // off: no goal
  // Cycles that are 1 / (1 - saved) times as frequent cost as many times as much.
  const double affordable = hs_min_double(THRIFT_CPU / (thrift->cost + THRIFT_CPU), MAX_SAVED);
  const double black = share * (double)hs_load_relaxed(&heap->black_bytes);
  thrift->saved =
      hs_max_double(hs_min_double((double)overhead_bytes(heap, share) / room, affordable),
                    hs_min_double(black / room, MAX_SAVED));
  return (uint64_t)(thrift->saved * room);
}

// Beside marking the cycle had next to nothing to do, nor will the next.
static bool is_small(compact_heap *heap) {
  hs_mutex_lock(&heap->lock);
  const bool few = heap->slab_frontier <= SMALL_SLABS && heap->region_frontier <= SMALL_REGIONS &&
                   heap->large_count <= SMALL_LARGES;
  hs_mutex_unlock(&heap->lock);
  const cp_course *const course = &heap->course;
  const bool automatic =
      course->kind == HEAP_COLLECT_MINOR && !course->idle; // others leave nothing
  return few && !(automatic && course->selection.objects > 0);
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
  const uint64_t now_ns = hs_os_now_ns();
  heap->course.taken_bytes = since_bytes(heap);
  heap->course.interval_ns = hs_max_u64(now_ns - heap->paced_ns, 1);
  heap->paced_ns = now_ns;
  hs_pacer_end_cycle(&heap->pacer, &cycle);
  hs_pacer_charge(&heap->pacer, thrift_bytes(heap, marked));
  hs_pacer_commit(&heap->pacer, marked, true, &memory);
  hs_store_relaxed(&heap->marked_bytes, marked);
  (void)hs_exchange_acq_rel(&heap->since_bytes, (uint64_t)0); // threads add and subtract meanwhile
  set_trigger(heap);
  hs_store_relaxed(&heap->cycles_are_small, is_small(heap));
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
  uint64_t waited_ns = 0;
  hs_blocking_begin(&thread->base);
  while (waited_ns < STALL_NS && hs_load_relaxed(&heap->cycles_count) == cycles_count) {
    if (waited_ns < STALL_SPIN_NS)
      HS_CPU_RELAX();
    else
      hs_os_yield();
    waited_ns = hs_os_now_ns() - begin_ns;
  }
  hs_blocking_end(&thread->base);
  hs_event_log_add(&heap->log, HS_EVENT_STALL, thread->base.id, begin_ns, hs_os_now_ns(), bytes);
}

// By the thread itself where that takes less than waking the collector: then a heap of the smallest size does
// not outgrow its goal, however fast it fills.
static void start_concurrent(compact_heap *heap, compact_thread *thread, size_t bytes) {
  if (hs_load_relaxed(&heap->wanted) != 0 || hs_exchange_acq_rel(&heap->wanted, 1u) != 0)
    return; // another thread sees to it
  const uint64_t begin_ns = hs_os_now_ns();
  if (!hs_load_relaxed(&heap->cycles_are_small) ||
      !hs_marking_suits_inline(&heap->marking, &thread->base)) {
    hs_background_wake(&heap->collector);
    return;
  }
  (void)cp_cycle_run(heap, thread, HEAP_COLLECT_MINOR, CP_REASON_DUE);
  hs_store_relaxed(&heap->wanted, 0u);
  hs_event_log_add(&heap->log, HS_EVENT_STALL, thread->base.id, begin_ns, hs_os_now_ns(), bytes);
}

void cp_pace_step(compact_thread *thread, size_t bytes) {
  compact_heap *const heap = thread->heap;
  hs_thread_visit(&thread->base);
  const bool marking = hs_marking_is_on(&heap->marking);
  if (!marking && !cp_pace_is_due(heap)) return;
  if (!cp_is_concurrent(heap)) {
    (void)cp_cycle_run(heap, thread, HEAP_COLLECT_MINOR, CP_REASON_DUE);
    return;
  }
  if (!marking) start_concurrent(heap, thread, bytes);
  if (hs_limiter_limiting(&heap->limiter)) return; // the program gets half of the time, at least
  if (marking) assist(heap, thread, bytes);
  stall(heap, thread, bytes);
}
