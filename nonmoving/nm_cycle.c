// SPDX-License-Identifier: MIT
// The collection cycle, a driver of named steps, in both modes. gc=concurrent: the collector thread runs
// it beside the program and stops nobody; gc=stw: the thread that finds it due runs it with the world
// stopped. A cycle that the program asks for is run by the thread that asks.
//
// Note [turning]
//   Marking ends with every barrier BLACK. Then sweepgen grows by 2: what was swept is to be swept. Spans
//   that threads hold stay at the old sweepgen; their threads go on marking the slots they hand out of
//   them (I-nm-11) until they answer C and give them up, onto the lists of unswept spans. A span obtained
//   after the turn is of the new sweepgen, swept, and not marked. So no instant has to be common to
//   all threads.
#include "allocators/base/assert.h"
#include "nonmoving/nm_internal.h"

// Grey memory above this is given back after a cycle: mapping it again costs more than it saves below.
static const size_t GREY_RETAINED_BYTES = 1 << 20;
// A delay of a mutator that is not worth an event.
static const uint64_t STALL_LOGGED_NS = 1000;
// The background sweep waits first: threads that allocate sweep what they need, and then reuse an empty
// span without the page heap. After that so many spans at a time, some 5 % of a core.
static const uint64_t SWEEP_DELAY_NS = 10 * 1000 * 1000, SWEEP_PAUSE_NS = 200 * 1000;
enum { SWEEP_BATCH_SPANS = 100 };
// A heap that may grow by this until the next cycle is small.
enum { SMALL_HEAP_ROOM_BYTES = 32 << 20 };
// How far threads may allocate beyond the goal before they wait for the collector, percent of the goal;
// and how long they wait at a time.
enum { OVERSHOOT_PERCENT = 25 };
static const uint64_t OVERSHOOT_WAIT_NS = 200 * 1000;
// Of that, time to spin, answering handshakes, before it gives its core away; and how long it sleeps at a
// time, to which the kernel may add some 50 us.
static const uint64_t OVERSHOOT_SPIN_NS = 50 * 1000, OVERSHOOT_SLEEP_NS = 50 * 1000;

static bool is_concurrent(const nonmoving_heap *heap) {
  return heap->config.gc == HEAP_GC_CONCURRENT;
}

static bool verifies(const nonmoving_heap *heap) {
  return heap->config.verify || heap->config.stress;
}

static uint32_t id_of(const nm_thread *self) { return self ? self->hot.base.id : 0; }
static hs_thread *base_of(nm_thread *self) { return self ? &self->hot.base : NULL; }

// ---- the heap's part in handshakes --------------------------------------------------------------

static void thread_black(void *heap, hs_thread *thread) {
  nm_cache_blacken(heap, (nm_thread *)thread);
}

static void thread_off(void *context, hs_thread *thread) {
  nonmoving_heap *const heap = context;
  nm_cache_flush(heap, (nm_thread *)thread, heap->flush_pages);
}

const hs_marking_ops nm_marking_ops = {
    .drain = nm_mark_drain,
    .mark_only = nm_mark_only,
    .rescan = nm_mark_rescan,
    .is_marked = nm_is_marked,
    .shade_roots = nm_mark_shade_roots,
    .thread_black = thread_black,
    .thread_off = thread_off,
};

// ---- steps --------------------------------------------------------------------------------------

// Sweep what the last cycle left. stall: the calling mutator waits for it and did not ask to.
static void finish_sweep(nonmoving_heap *heap, nm_thread *self, bool stall) {
  if (nm_sweep_is_done(heap)) return;
  const uint64_t begin_ns = hs_os_now_ns();
  const uint64_t swept = nm_sweep_all(heap);
  const uint64_t end_ns = hs_os_now_ns();
  if (end_ns - begin_ns < STALL_LOGGED_NS) return;
  hs_event_log_add(&heap->log, HS_EVENT_SWEEP, id_of(self), begin_ns, end_ns, swept);
  if (stall) hs_event_log_add(&heap->log, HS_EVENT_STALL, id_of(self), begin_ns, end_ns, 0);
}

static void revise_pace(void *context) {
  nonmoving_heap *const heap = context;
  hs_pacer_revise(&heap->pacer, hs_load_relaxed(&heap->live_bytes),
                  hs_load_relaxed(&heap->marking.scanned_bytes) + heap->marking.roots_bytes);
  const uint64_t now_ns = hs_os_now_ns();
  if (hs_limiter_needs_update(&heap->limiter, now_ns)) hs_limiter_update(&heap->limiter, now_ns);
}

static void begin_mark(nonmoving_heap *heap) {
  for (size_t w = 0; w < hs_div_up(nm_grown_pages(heap), 64); w++)
    if (hs_load_relaxed(&heap->marked[w]) != 0) hs_store_relaxed(&heap->marked[w], (uint64_t)0);
  // Published by handshake A.
  hs_store_relaxed(&heap->mark_gen, hs_load_relaxed(&heap->sweepgen));
  hs_store_relaxed(&heap->black_bytes, (uint64_t)0);
  const hs_marking *const marking = &heap->marking;
  heap->cycle.live_at_start_bytes = hs_load_relaxed(&heap->live_bytes);
  hs_pacer_start_cycle(&heap->pacer, heap->cycle.live_at_start_bytes,
                       marking->roots_bytes + marking->frames_bytes);
  nm_trace_begin(heap);
}

static void mark(nonmoving_heap *heap, nm_thread *self, nm_cycle_trace *cycle) {
  const uint64_t begin_cpu_ns = hs_os_thread_cpu_ns();
  cycle->mark_begin_ns = hs_os_now_ns();
  hs_limiter_begin_marking(&heap->limiter, cycle->mark_begin_ns, heap->pacer.background_share);
  hs_marking_run(&heap->marking, base_of(self), revise_pace);
  cycle->mark_end_ns = hs_os_now_ns();
  cycle->collector_cpu_ns = hs_os_thread_cpu_ns() - begin_cpu_ns;
  hs_limiter_add_assist(&heap->limiter, hs_load_relaxed(&heap->marking.assist_ns));
  hs_limiter_end_marking(&heap->limiter, cycle->mark_end_ns);
  hs_event_log_add(&heap->log, HS_EVENT_MARK, id_of(self), cycle->mark_begin_ns, cycle->mark_end_ns,
                   hs_load_relaxed(&heap->marking.bytes));
  hs_mutex_lock(&heap->lock);
  nm_pageheap_note_peak_locked(heap); // with the grey queues at their largest
  hs_mutex_unlock(&heap->lock);
}

// From here on every span in use is unswept, and the lists have changed roles. Note [turning].
static void turn_sweepgen(nonmoving_heap *heap) {
  hs_mutex_lock(&heap->lock);
  const uint64_t spans = hs_load_relaxed(&heap->spans_in_use);
  const uint64_t pages = hs_load_relaxed(&heap->counts.in_use);
  hs_store_relaxed(&heap->unswept, NM_UNSWEPT(spans, pages));
  hs_store_relaxed(&heap->sweep_pages, pages);
  hs_store_relaxed(&heap->reclaim_page, (uint64_t)0);
  hs_store_relaxed(&heap->reclaim_credit, (uint64_t)0);
  hs_store_relaxed(&heap->sweep_class, 0u);
  hs_store_release(&heap->sweepgen, hs_load_relaxed(&heap->sweepgen) + 2); // pairs: nm_central.c
  hs_mutex_unlock(&heap->lock);
}

// Share of the cores that marked.
static double utilisation(const nonmoving_heap *heap, const nm_cycle_trace *cycle) {
  const hs_marking *const marking = &heap->marking;
  const uint64_t cpu_ns = cycle->collector_cpu_ns + hs_load_relaxed(&marking->worker_ns) +
                          hs_load_relaxed(&marking->assist_ns);
  const uint64_t wall_ns = cycle->mark_end_ns - cycle->mark_begin_ns;
  const double available = (double)wall_ns * (double)heap->cores;
  return available > 0 ? hs_min_double((double)cpu_ns / available, 1.0) : 0;
}

// Live bytes at which threads wait: some way past the goal, but not past the soft limit, also where gogc
// and not the limit set the goal.
static uint64_t overshoot_bytes(const nonmoving_heap *heap, uint64_t goal) {
  const hs_pacer_memory *const memory = &heap->pacer.memory;
  const uint64_t limit = (uint64_t)hs_max_i64(heap->config.memory_limit_bytes, 0);
  const uint64_t slack = heap->pacer.memory_limited ? 0 : goal / 100 * OVERSHOOT_PERCENT;
  const uint64_t most = goal > UINT64_MAX - slack ? UINT64_MAX : goal + slack;
  if (limit == 0) return most;
  const uint64_t usable = memory->heap_free_bytes + memory->heap_alloc_bytes; // by objects
  const uint64_t other = memory->mapped_bytes - hs_min_u64(memory->mapped_bytes, usable);
  return hs_max_u64(goal, hs_min_u64(most, limit - hs_min_u64(limit, other)));
}

void nm_cycle_set_due(nonmoving_heap *heap) {
  const uint64_t goal = hs_pacer_goal(&heap->pacer);
  hs_store_relaxed(&heap->due_bytes, is_concurrent(heap) ? hs_pacer_trigger(&heap->pacer) : goal);
  hs_store_relaxed(&heap->overshoot_bytes, overshoot_bytes(heap, goal));
}

// Live bytes that the next goal is based on: what tracing found. Slots allocated black were not traced;
// in a steady state as much dies while the heap is marked as is allocated and stays, so adding them (as
// Go does) would count it twice, and the goal of a large heap would creep up with the time that marking
// takes. But a cycle leaves room for half of the growth that is asked for, whatever it ran into; and a
// small heap for all of it, as in Go, because there it costs little memory and saves cycles.
static uint64_t paced_bytes(const nonmoving_heap *heap, uint64_t traced, uint64_t black) {
  const double growth = (double)hs_max_i64(heap->config.gogc_percent, 0) / 100;
  const double live = (double)(traced + black), whole = live * growth;
  const double room = hs_max_double(whole / 2, hs_min_double(whole, (double)SMALL_HEAP_ROOM_BYTES));
  return hs_max_u64(traced, (uint64_t)((live + room) / (1 + growth)));
}

// Where goals come from: what was marked, and how the pace went.
static void set_goals(nonmoving_heap *heap, const nm_cycle_trace *course) {
  const hs_marking *const marking = &heap->marking;
  const uint64_t black = hs_load_relaxed(&heap->black_bytes);
  const uint64_t traced = hs_load_relaxed(&marking->bytes), marked = traced + black;
  const uint64_t roots = marking->roots_bytes + marking->frames_bytes;
  const hs_pacer_cycle cycle = {
      .live_bytes = hs_load_relaxed(&heap->live_bytes),
      .marked_bytes = paced_bytes(heap, traced, black),
      .scanned_bytes = hs_load_relaxed(&marking->scanned_bytes) + roots,
      .roots_bytes = roots,
      .utilisation = utilisation(heap, course),
  };
  const hs_pacer_memory memory = {
      .mapped_bytes = nonmoving_footprint(heap),
      .heap_free_bytes = hs_load_relaxed(&heap->counts.free) << NM_PAGE_SHIFT,
      .heap_alloc_bytes = cycle.live_bytes,
  };
  const uint64_t old_goal = hs_pacer_goal(&heap->pacer);
  heap->cycle.marked_bytes = marked;
  hs_pacer_end_cycle(&heap->pacer, &cycle);
  hs_pacer_commit(&heap->pacer, marked, false, &memory);
  hs_store_relaxed(&heap->live_bytes, marked);
  nm_cycle_set_due(heap);
  nm_scavenge_note_cycle(heap, old_goal, hs_pacer_goal(&heap->pacer));
  const double ratio = hs_pacer_sweep_ratio(hs_load_relaxed(&heap->counts.in_use), marked,
                                            hs_load_relaxed(&heap->due_bytes));
  hs_store_relaxed(&heap->sweep_basis, marked);
  hs_store_relaxed(&heap->sweep_ratio, (uint64_t)(ratio * NM_SWEEP_RATIO_ONE));
}

// Whether self alone has been in the heap since `left_count` threads had left it: then everything
// that is allocated after a collection was reachable when it was marked. Stopped, or self holds it still.
static bool is_alone(nonmoving_heap *heap, const nm_thread *self, uint64_t left_count) {
  hs_mutex_lock(&heap->world.lock);
  const bool alone =
      self && heap->world.thread_count == 1 && heap->world.departures_count == left_count;
  hs_mutex_unlock(&heap->world.lock);
  return alone;
}

static uint64_t departures_count(nonmoving_heap *heap) {
  hs_mutex_lock(&heap->world.lock);
  const uint64_t count = heap->world.departures_count;
  hs_mutex_unlock(&heap->world.lock);
  return count;
}

// From finding everything reachable to having every thread allocate for the next cycle.
static void collect(nonmoving_heap *heap, nm_thread *self, nm_reason reason,
                    nm_cycle_trace *cycle) {
  const bool releases = reason == NM_REASON_RELEASE || reason == NM_REASON_FAILED;
  heap->flush_pages = releases || verifies(heap);
  const uint64_t left_count = departures_count(heap);
  begin_mark(heap);
  mark(heap, self, cycle);
  // To be verified, the heap must not change between the turn and the look at it.
  const bool stops = verifies(heap) && !hs_world_is_stopped(&heap->world);
  if (stops) hs_world_stop(&heap->world, base_of(self));
  set_goals(heap, cycle);
  turn_sweepgen(heap);
  hs_marking_end(&heap->marking, base_of(self));
  heap->cycle.cycles_count++;
  cycle->forced = reason == NM_REASON_FORCED || reason == NM_REASON_RELEASE;
  if (cycle->forced) heap->cycle.forced_count++;
  if (heap->config.limit_bytes > 0 || heap->config.memory_limit_bytes > 0) // the event log counts
    hs_store_relaxed(&heap->log_bytes, (uint64_t)hs_event_log_bytes(&heap->log));
  if (releases) finish_sweep(heap, self, false); // its time is in the stop, or asked for
  if (releases || hs_grey_pool_bytes(&heap->marking.pool) > GREY_RETAINED_BYTES)
    hs_grey_pool_shrink(&heap->marking.pool);
  if (releases) {
    nm_scavenge_all(heap);
    (void)nm_hollow_release(heap);
  }
  if (verifies(heap)) {
    const bool exact = !is_concurrent(heap) || is_alone(heap, self, left_count);
    HS_REQUIRE(nm_verify_stw(heap, exact), "the heap is corrupt after a collection");
  }
  if (stops) hs_world_start(&heap->world);
}

void nm_cycle_run(nonmoving_heap *heap, nm_thread *self, nm_reason reason) {
  const uint64_t asked_ns = hs_os_now_ns();
  if (self) nm_cycle_charge(heap, self);
  hs_world_enter_collector(&heap->world, base_of(self));
  if (reason == NM_REASON_TRIGGER && !nm_cycle_is_due(heap)) { // another thread was faster
    hs_world_leave_collector(&heap->world);
    return;
  }
  const uint64_t begin_cpu_ns = hs_os_thread_cpu_ns();
  finish_sweep(heap, self, self && reason == NM_REASON_TRIGGER);
  nm_cycle_trace cycle = {.begin_ns = hs_os_now_ns()};
  if (!is_concurrent(heap)) hs_world_stop(&heap->world, base_of(self));
  collect(heap, self, reason, &cycle);
  if (!is_concurrent(heap)) hs_world_start(&heap->world);
  cycle.end_ns = hs_os_now_ns();
  hs_event_log_add(&heap->log, HS_EVENT_CYCLE, id_of(self), cycle.begin_ns, cycle.end_ns,
                   heap->cycle.marked_bytes);
  if (reason == NM_REASON_FORCED) finish_sweep(heap, self, false);
  heap->cycle.cpu_ns += hs_os_thread_cpu_ns() - begin_cpu_ns +
                        hs_load_relaxed(&heap->marking.worker_ns) +
                        hs_load_relaxed(&heap->marking.assist_ns);
  nm_trace_end(heap, &cycle);
  hs_world_leave_collector(&heap->world);
  if (reason == NM_REASON_FAILED && is_concurrent(heap))
    hs_event_log_add(&heap->log, HS_EVENT_STALL, id_of(self), asked_ns, hs_os_now_ns(), 0);
  hs_add_acq_rel(&heap->cycle_epoch, 1u);               // pairs: wait_for_collector
  if (self && !hs_load_acquire(&heap->collector_dozes)) // pairs: nm_cycle_background
    hs_background_wake(&heap->collector);               // it sweeps what is left
  if (heap->config.scavenge && nm_scavenge_is_due(heap)) hs_background_wake(&heap->scavenger);
}

// ---- who runs it --------------------------------------------------------------------------------

static void log_stall(nonmoving_heap *heap, const nm_thread *thread, uint64_t begin_ns,
                      size_t bytes) {
  const uint64_t end_ns = hs_os_now_ns();
  if (end_ns - begin_ns < STALL_LOGGED_NS) return;
  hs_event_log_add(&heap->log, HS_EVENT_STALL, id_of(thread), begin_ns, end_ns, bytes);
}

// The heap has outgrown its goal by far, because the collector's thread gets no core or another thread
// does not answer. Give it time: a bounded delay for each span. First by spinning, in case the end is near,
// then asleep. To yield would give the core away for a time slice, milliseconds, if another wants it; who
// slept gets it back when the time is over.
static void wait_for_collector(nonmoving_heap *heap, nm_thread *thread, size_t bytes) {
  const uint32_t epoch = hs_load_acquire(&heap->cycle_epoch); // pairs: nm_cycle_run
  const uint64_t begin_ns = hs_os_now_ns();
  uint64_t waited_ns = 0;
  while (hs_load_acquire(&heap->cycle_epoch) == epoch && waited_ns < OVERSHOOT_WAIT_NS) {
    hs_thread_visit(&thread->hot.base);
    hs_poll(&thread->hot.base);
    if (waited_ns < OVERSHOOT_SPIN_NS) {
      HS_CPU_RELAX();
    } else {
      hs_blocking_begin(&thread->hot.base); // handshakes are answered for it
      (void)hs_os_futex_wait(&heap->cycle_epoch, epoch, OVERSHOOT_SLEEP_NS);
      hs_blocking_end(&thread->hot.base);
    }
    waited_ns = hs_os_now_ns() - begin_ns;
  }
  log_stall(heap, thread, begin_ns, bytes);
}

static void start_concurrent(nonmoving_heap *heap, nm_thread *thread, size_t bytes) {
  if (hs_load_relaxed(&heap->collector_wanted) ||
      hs_exchange_acq_rel(&heap->collector_wanted, 1u) != 0)
    return; // another thread sees to it
  const uint64_t begin_ns = hs_os_now_ns();
  // What is left of a sweep may be as much as the heap is large: the collector's work.
  if (nm_sweep_is_done(heap) && hs_marking_suits_inline(&heap->marking, &thread->hot.base)) {
    nm_cycle_run(heap, thread, NM_REASON_TRIGGER);
    hs_store_relaxed(&heap->collector_wanted, 0u);
    log_stall(heap, thread, begin_ns, bytes);
  } else {
    hs_background_wake(&heap->collector);
  }
}

// The thread pays for a cycle under way, or sees to it that one is.
static void pay(nonmoving_heap *heap, nm_thread *thread, size_t bytes) {
  if (!is_concurrent(heap)) {
    nm_cycle_run(heap, thread, NM_REASON_TRIGGER);
    return;
  }
  if (!hs_marking_is_on(&heap->marking))
    start_concurrent(heap, thread, bytes);
  else if (hs_limiter_limiting(&heap->limiter))
    return; // the program gets half of the time, at least
  else {
    const bool urgent = hs_load_relaxed(&heap->live_bytes) > hs_pacer_goal(&heap->pacer);
    const double owed = hs_pacer_assist_ratio(&heap->pacer) * (double)bytes;
    hs_marking_assist(&heap->marking, &thread->hot.base, (uint64_t)owed, urgent);
  }
  if (hs_load_relaxed(&heap->live_bytes) > hs_load_relaxed(&heap->overshoot_bytes))
    wait_for_collector(heap, thread, bytes);
}

// What a thread may have taken before it charges it, see Note [charging].
static size_t charge_batch_bytes(const nonmoving_heap *heap) {
  const bool exact = nm_shard_count(heap) == 1 || hs_marking_is_on(&heap->marking);
  return exact ? 0 : NM_CHARGE_BYTES;
}

size_t nm_cycle_step(nonmoving_heap *heap, nm_thread *thread, size_t bytes) {
  hs_thread_visit(&thread->hot.base);
  const size_t batch = charge_batch_bytes(heap);
  if (thread->uncharged_bytes < batch && bytes < batch) return 0;
  bytes = hs_max_size(bytes, thread->uncharged_bytes);
  nm_cycle_charge(heap, thread);
  if (nm_cycle_is_due(heap)) pay(heap, thread, bytes); // also while one is under way
  return bytes;
}

uint64_t nm_cycle_background(void *context) {
  nonmoving_heap *const heap = context;
  hs_store_relaxed(&heap->collector_dozes, false);
  if (is_concurrent(heap) && nm_cycle_is_due(heap)) nm_cycle_run(heap, NULL, NM_REASON_TRIGGER);
  hs_store_relaxed(&heap->collector_wanted, 0u);
  if (nm_sweep_is_done(heap)) return HS_BACKGROUND_IDLE;
  hs_store_release(&heap->collector_dozes, true); // pairs: nm_cycle_run
  const uint32_t sweepgen = hs_load_relaxed(&heap->sweepgen);
  if (sweepgen != heap->background_sweepgen) {
    heap->background_sweepgen = sweepgen;
    return SWEEP_DELAY_NS;
  }
  (void)nm_sweep_some(heap, SWEEP_BATCH_SPANS);
  return SWEEP_PAUSE_NS;
}
