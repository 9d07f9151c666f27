// SPDX-License-Identifier: MIT
// Several mutator threads in one workload, so that throughput on n threads compares with that on one:
// they begin at the same instant, each does the work of its index, and the time runs until the last
// is done. Starting and joining threads is not in it.
// With one thread everything happens on the main thread and no other exists.
#ifndef WORKLOADS_THREADS_H
#define WORKLOADS_THREADS_H

#include <stddef.h>
#include <stdint.h>

#include "allocators/base/compiler.h"
#include "allocators/heap.h"
#include "allocators/os/os.h"
#include "allocators/runtime/histogram.h"
#include "workloads/workload.h"

enum {
  // No workload scales further than this on the machines we measure; bounds what is kept on stacks.
  WORKLOAD_THREADS_MAX = 64,
  // Data of one thread keeps this distance from that of another: a cache line, and the one beside it,
  // which x86 prefetches with it.
  WORKLOAD_APART_BYTES = 128,
};

// What thread `index` does; returns the operations it completed. `t` is its own. It must not call
// what ends a run (workload_new, workload_invalid, ...): others are still running. It keeps what
// went wrong in `context`, and the caller of workload_threads_run ends the run afterwards.
typedef uint64_t (*workload_thread_fn)(void *context, size_t index, heap_thread *t);

// Run fn(context, i, t) for each i < count at once, i = 0 on the main thread; returns when all have
// returned. One timed section. Safepoint of the main thread. Ends the run with status "oom" when a
// thread cannot be had.
void workload_threads_run(workload_run *run, size_t count, workload_thread_fn fn, void *context);

// A lock that mutators may wait for: a collector does not wait for those that do. No heap operation
// that is a safepoint may happen while it is held. Zeroed memory is an unlocked lock.
typedef struct workload_lock {
  _Alignas(64) hs_mutex mutex; // a cache line each
} workload_lock;

// A safepoint.
static inline void workload_lock_take(workload_lock *lock, heap_thread *t) {
  if (HS_LIKELY(hs_mutex_try(&lock->mutex))) return;
  heap_blocking_begin(t);
  hs_mutex_lock(&lock->mutex);
  heap_blocking_end(t);
}

static inline void workload_lock_drop(workload_lock *lock) { hs_mutex_unlock(&lock->mutex); }

// Latencies of one thread, to be added to the record after workload_threads_run. In memory of
// workload_scratch: zeroed is empty.
typedef hs_histogram workload_latencies;

static inline void workload_latencies_add(workload_latencies *latencies, uint64_t ns) {
  hs_histogram_add(latencies, ns);
}

// As if each had been given to workload_latency_add; to the bucket exact, the extremes to the
// nanosecond.
void workload_latencies_record(workload_run *run, const workload_latencies *latencies);

#endif
