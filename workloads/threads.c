// SPDX-License-Identifier: MIT
#include "workloads/threads.h"

#include "allocators/base/assert.h"
#include "allocators/base/atomic.h"
#include "allocators/heap.h"
#include "allocators/os/os.h"
#include "allocators/runtime/histogram.h"

enum { CREW_WAITING = 0, CREW_GO = 1, CREW_DISMISSED = 2 }; // crew.signal

// The threads of one workload_threads_run beside the main one. On its stack.
typedef struct crew {
  heap *heap;                   // [const]
  workload_thread_fn fn;        // [const]
  void *context;                // [const]
  _Atomic(uint32_t) signal;     // [atomic] futex: what those that are ready wait for
  _Atomic(uint32_t) ready;      // [atomic] futex: threads that have entered the heap, or failed to
  _Atomic(uint32_t) failed;     // [atomic] those that failed
  _Atomic(uint32_t) finished;   // [atomic] futex: threads whose fn has returned
  _Atomic(uint64_t) operations; // [atomic] sum over them; published by finished
} crew;

typedef struct crew_member {
  crew *crew;
  size_t index;
  hs_os_thread os;
} crew_member;

static void crew_wait(_Atomic(uint32_t) *word, uint32_t at_least) {
  uint32_t seen;
  // pairs: crew_count, and the store of the signal in crew_give
  while ((seen = hs_load_acquire(word)) < at_least) hs_os_futex_wait(word, seen, UINT64_MAX);
}

static void crew_count(_Atomic(uint32_t) *word) {
  hs_add_acq_rel(word, 1); // pairs: crew_wait
  hs_os_futex_wake(word, 1);
}

static void crew_give(crew *c, uint32_t signal) {
  hs_store_release(&c->signal, signal); // pairs: crew_wait
  hs_os_futex_wake(&c->signal, UINT32_MAX);
}

static void crew_main(void *argument) {
  crew_member *member = argument;
  crew *c = member->crew;
  heap_thread *t;
  hs_os_thread_name("worker");
  if (heap_thread_enter(c->heap, &t) != HEAP_OK) {
    hs_add_relaxed(&c->failed, 1); // published by the count below
    crew_count(&c->ready);
    return;
  }
  heap_blocking_begin(t);
  crew_count(&c->ready);
  crew_wait(&c->signal, CREW_GO);
  heap_blocking_end(t);
  if (hs_load_acquire(&c->signal) == CREW_GO) {                          // pairs: crew_give
    hs_add_relaxed(&c->operations, c->fn(c->context, member->index, t)); // published by the count
    crew_count(&c->finished);
  }
  heap_thread_leave(t);
}

// Start threads 1 .. count - 1 and wait until each is ready; how many were started. Fewer than
// wanted, or a failed one: no memory.
static uint32_t crew_start(crew *c, crew_member *members, size_t count, heap_thread *t) {
  uint32_t started = 0;
  for (size_t i = 1; i < count; i++) {
    members[i] = (crew_member){.crew = c, .index = i};
    if (hs_os_thread_start(&members[i].os, crew_main, &members[i]) != 0) break;
    started++;
  }
  heap_blocking_begin(t);
  crew_wait(&c->ready, started);
  heap_blocking_end(t);
  return started;
}

static void crew_join(crew_member *members, uint32_t started, heap_thread *t) {
  heap_blocking_begin(t);
  for (uint32_t i = 1; i <= started; i++) hs_os_thread_join(&members[i].os);
  heap_blocking_end(t);
}

void workload_threads_run(workload_run *run, size_t count, workload_thread_fn fn, void *context) {
  heap_thread *t = workload_thread(run);
  HS_REQUIRE(count >= 1 && count <= WORKLOAD_THREADS_MAX, "%zu threads", count);
  crew c = {.heap = workload_heap(run), .fn = fn, .context = context};
  crew_member members[WORKLOAD_THREADS_MAX];
  const uint32_t started = crew_start(&c, members, count, t);
  if (started + 1 < count || hs_load_acquire(&c.failed) > 0) { // pairs: crew_count(ready)
    crew_give(&c, CREW_DISMISSED);
    crew_join(members, started, t);
    workload_out_of_memory(run);
  }
  workload_timed_begin(run);
  crew_give(&c, CREW_GO);
  const uint64_t own_operations = fn(context, 0, t);
  heap_blocking_begin(t);
  crew_wait(&c.finished, started);
  heap_blocking_end(t);
  workload_timed_end(run,
                     own_operations + hs_load_relaxed(&c.operations)); // after the acquire above
  crew_join(members, started, t);
}

void workload_latencies_record(workload_run *run, const workload_latencies *latencies) {
  if (latencies->count == 0) return;
  uint64_t left = latencies->count - 1; // the largest comes last, exactly
  for (size_t i = 0; i < HS_HISTOGRAM_BUCKETS; i++) {
    const uint64_t low = hs_histogram_bucket_low(i);
    const uint64_t value = low < latencies->min ? latencies->min : low;
    for (uint64_t n = latencies->buckets[i]; n > 0 && left > 0; n--, left--)
      workload_latency_add(run, value);
  }
  workload_latency_add(run, latencies->max);
}
