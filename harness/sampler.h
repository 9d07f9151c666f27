// SPDX-License-Identifier: MIT
// Memory over time: a thread, unknown to the heap, that notes RSS and footprint at a fixed period.
// The buffer never grows: when it is full every second sample is dropped and the period doubles, so
// a run of any length keeps between half and all of its capacity, evenly spaced.
#ifndef SAMPLER_H
#define SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "allocators/os/os.h"
#include "harness/run_memory.h"

// 4096 samples x 24 bytes = 96 KiB: more points than a figure can show.
enum { SAMPLER_CAPACITY = 4096 };

typedef struct sampler_sample {
  uint64_t time_ns; // since the origin given to sampler_start
  uint64_t rss_bytes, footprint_bytes;
} sampler_sample;

// Approximate footprint of the heaps under test; 0 when they cannot tell. Runs on the sampler.
typedef uint64_t (*sampler_footprint_fn)(void *context);

typedef struct run_sampler {
  hs_os_thread thread;
  _Atomic(uint32_t) stopping;     // [atomic] futex
  sampler_footprint_fn footprint; // [const]
  void *context;                  // [const]
  uint64_t origin_ns;             // [const]
  uint64_t period_ns;             // [owner] the sampler thread
  sampler_sample *samples;        // [owner] SAMPLER_CAPACITY entries
  size_t count;                   // [owner] until sampler_stop returns
} run_sampler;

// Map the buffer, so that it is resident before the first measurement. -ENOMEM leaves it unusable.
HS_NODISCARD int sampler_init(run_sampler *sampler, run_memory *memory, uint64_t period_ns);

HS_NODISCARD int sampler_start(run_sampler *sampler, sampler_footprint_fn footprint, void *context,
                               uint64_t origin_ns);
void sampler_stop(run_sampler *sampler); // waits for the thread; no-op when not started

// Note one sample; the thread's step, separate so that decimation can be tested without a clock.
void sampler_add(run_sampler *sampler, sampler_sample sample);

#endif
