// SPDX-License-Identifier: MIT
// The one collector of the process, shared by every bdwgc heap: start-up, settings, stop windows.
#ifndef BDWGC_COLLECTOR_H
#define BDWGC_COLLECTOR_H

#include "allocators/bdwgc/bdwgc_binding.h"
#include "allocators/os/os.h"

enum {
  BDWGC_TEXT_BYTES = 160,
  BDWGC_PATH_BYTES = 512,
  BDWGC_EVENT_CAPACITY = 1 << 14, // stop windows kept with their times; histograms have them all
};

typedef struct bdwgc_collector {
  hs_mutex lock;
  uint32_t heap_count;          // [lock] heaps alive
  uint32_t unlimited_count;     // [lock] of those, heaps without a limit
  uint64_t limit_bytes;         // [lock] sum of the limits of the others
  bool started, stock;          // [lock] fixed by the first create of the process
  hs_event_log log;             // created with the first heap, destroyed with the last
  uint64_t stop_ns, stopped_ns; // [world] of the stop window in progress
  _Atomic(uint64_t) forced_count;
} bdwgc_collector;

extern bdwgc_collector bdwgc_shared;

// A heap begins or ends to use the collector. HEAP_UNSUPPORTED: the process runs with the other
// value of `stock`, which cannot change once the library is initialised.
heap_status bdwgc_collector_join(const heap_config *config);
void bdwgc_collector_leave(const heap_config *config);

#endif
