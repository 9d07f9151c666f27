// SPDX-License-Identifier: MIT
// How much of the processor the collector may take: a leaky bucket of core-time, which collection
// fills and the program drains, both at full rate. When it is full the limiter is "limiting":
// threads that allocate skip their assists, and the heap grows past its goal instead of the program
// standing still. So collection stays near half of the core-time over any long window, with the
// bucket's capacity (one second of each core) for bursts; it never holds credit for time without
// collection. Model: gcCPULimiterState of Go 1.21, file mgclimit.go; why: golang/go #48409.
//
// Pure arithmetic: time is passed in, nanoseconds of any monotonic clock.
#ifndef HS_RUNTIME_LIMITER_H
#define HS_RUNTIME_LIMITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "allocators/base/atomic.h"

enum { HS_LIMITER_CAPACITY_NS = 1000000000 };    // of the bucket, for each core (Go: 1 s)
enum { HS_LIMITER_UPDATE_PERIOD_NS = 10000000 }; // longest time to leave it alone (Go: 10 ms)

// Threads: updates belong to one thread at a time ([collector], the caller serialises); the atomic
// fields are relaxed, since each stands for itself.
// I-limiter-1: 0 <= fill_ns <= capacity_ns; limiting only while they are equal.
typedef struct hs_limiter {
  uint64_t fill_ns, capacity_ns; // [collector] core-time
  uint64_t overflow_ns;          // [collector] collection time that found the bucket full, in total
  unsigned cores;                // [collector]
  bool marking;                  // [collector]
  double background_share; // [collector] of all cores, that background workers take while marking
  _Atomic(uint64_t) updated_ns; // [atomic] time of the last update
  _Atomic(uint64_t) assist_ns;  // [atomic] assist time since then
  _Atomic(uint64_t) idle_ns;    // [atomic] core-time since then that nobody wanted
  _Atomic(bool) limiting;       // [atomic]
} hs_limiter;

// An empty bucket. cores >= 1. Owns nothing.
void hs_limiter_init(hs_limiter *limiter, uint64_t now_ns, unsigned cores);

// Should assists be skipped? Any thread.
static inline bool hs_limiter_limiting(const hs_limiter *limiter) {
  return hs_load_relaxed(&limiter->limiting);
}

// Time a thread has spent in an assist, or on other work the collector asked of it; counted by the
// next update. Any thread.
static inline void hs_limiter_add_assist(hs_limiter *limiter, uint64_t ns) {
  hs_add_relaxed(&limiter->assist_ns, ns);
}

// Core-time in which a core had no work, or only background marking that nobody paid for; counted
// by the next update, as neither the program's nor the collector's. Any thread.
static inline void hs_limiter_add_idle(hs_limiter *limiter, uint64_t ns) {
  hs_add_relaxed(&limiter->idle_ns, ns);
}

// Has the last update been too long ago? Any thread.
static inline bool hs_limiter_needs_update(const hs_limiter *limiter, uint64_t now_ns) {
  const uint64_t updated_ns = hs_load_relaxed(&limiter->updated_ns);
  return now_ns > updated_ns && now_ns - updated_ns > HS_LIMITER_UPDATE_PERIOD_NS;
}

// [collector] Account the time since the last update. An earlier now_ns than that is ignored.
void hs_limiter_update(hs_limiter *limiter, uint64_t now_ns);

// [collector] Concurrent marking begins, or ends, now. `background_share`:
// hs_pacer.background_share.
void hs_limiter_begin_marking(hs_limiter *limiter, uint64_t now_ns, double background_share);
void hs_limiter_end_marking(hs_limiter *limiter, uint64_t now_ns);

// [collector] The program stood still in between: all cores count as collecting.
void hs_limiter_pause(hs_limiter *limiter, uint64_t begin_ns, uint64_t end_ns);

// [collector] Another number of cores from now on. Keeps the fill as far as the new capacity
// allows.
void hs_limiter_resize(hs_limiter *limiter, uint64_t now_ns, unsigned cores);

#endif
