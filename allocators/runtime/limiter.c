// SPDX-License-Identifier: MIT
#include "allocators/runtime/limiter.h"

#include "allocators/base/assert.h"
#include "allocators/base/bits.h"

// Core-time of all cores in `ns` of wall-clock time.
static uint64_t core_time(const hs_limiter *limiter, uint64_t ns) {
  uint64_t product;
  return __builtin_mul_overflow(ns, limiter->cores, &product) ? UINT64_MAX : product;
}

// The only place that moves the fill.
static void pour(hs_limiter *limiter, uint64_t collector_ns, uint64_t program_ns) {
  if (collector_ns > program_ns) {
    const uint64_t more = collector_ns - program_ns;
    const uint64_t room = limiter->capacity_ns - limiter->fill_ns;
    limiter->fill_ns += hs_min_u64(more, room);
    limiter->overflow_ns += more - hs_min_u64(more, room);
    if (more >= room) hs_store_relaxed(&limiter->limiting, true);
  } else if (collector_ns < program_ns) {
    limiter->fill_ns -= hs_min_u64(program_ns - collector_ns, limiter->fill_ns);
    hs_store_relaxed(&limiter->limiting, false);
  }
  HS_ASSERT(limiter->fill_ns <= limiter->capacity_ns); // I-limiter-1
}

void hs_limiter_init(hs_limiter *limiter, uint64_t now_ns, unsigned cores) {
  *limiter = (hs_limiter){.cores = cores};
  limiter->capacity_ns = core_time(limiter, HS_LIMITER_CAPACITY_NS);
  hs_store_relaxed(&limiter->updated_ns, now_ns);
}

void hs_limiter_update(hs_limiter *limiter, uint64_t now_ns) {
  const uint64_t updated_ns = hs_load_relaxed(&limiter->updated_ns);
  if (now_ns < updated_ns) return;
  hs_store_relaxed(&limiter->updated_ns, now_ns);
  const uint64_t total_ns = core_time(limiter, now_ns - updated_ns);
  uint64_t collector_ns = hs_exchange_acq_rel(&limiter->assist_ns, 0);
  // The workers' share is one of all cores, idle ones included.
  if (limiter->marking) collector_ns += (uint64_t)((double)total_ns * limiter->background_share);
  // An idle core drains nothing: a collector that runs without end on a mostly idle machine is as
  // much of a burden to the one thread that wants to work. Counts that overlap leave the program no
  // time.
  const uint64_t idle_ns = hs_exchange_acq_rel(&limiter->idle_ns, 0);
  const uint64_t busy_ns = total_ns - hs_min_u64(idle_ns, total_ns);
  pour(limiter, collector_ns, busy_ns - hs_min_u64(collector_ns, busy_ns));
}

void hs_limiter_begin_marking(hs_limiter *limiter, uint64_t now_ns, double background_share) {
  hs_limiter_update(limiter, now_ns);
  limiter->marking = true;
  limiter->background_share = background_share;
}

void hs_limiter_end_marking(hs_limiter *limiter, uint64_t now_ns) {
  hs_limiter_update(limiter, now_ns);
  limiter->marking = false;
}

void hs_limiter_pause(hs_limiter *limiter, uint64_t begin_ns, uint64_t end_ns) {
  hs_limiter_update(limiter, begin_ns);
  const uint64_t updated_ns = hs_load_relaxed(&limiter->updated_ns);
  if (end_ns <= updated_ns) return;
  hs_store_relaxed(&limiter->updated_ns, end_ns);
  pour(limiter, core_time(limiter, end_ns - updated_ns), 0);
}

void hs_limiter_resize(hs_limiter *limiter, uint64_t now_ns, unsigned cores) {
  hs_limiter_update(limiter, now_ns);
  limiter->cores = cores;
  limiter->capacity_ns = core_time(limiter, HS_LIMITER_CAPACITY_NS);
  if (limiter->fill_ns > limiter->capacity_ns) {
    limiter->fill_ns = limiter->capacity_ns;
    hs_store_relaxed(&limiter->limiting, true);
  } else if (limiter->fill_ns < limiter->capacity_ns) {
    hs_store_relaxed(&limiter->limiting, false);
  }
}
