// SPDX-License-Identifier: MIT
// When to collect, and how hard. Pure arithmetic: no thread, clock or system call, so that a
// simulation can run it (tests/unit/runtime/pacer_sim.h).
//
// One rule serves every traced heap, so that collection frequency differs by design and not by
// accident: the next cycle should end when the heap has grown by gogc percent of what the last one
// marked (the goal), or earlier where a limit says so. A concurrent cycle starts before that (the
// trigger), by the runway: the bytes the program is expected to allocate while the background
// workers, in their share of the cores, do the expected scan work. If they fall behind, threads
// that allocate owe scan work in proportion (the assist ratio). Model: gcControllerState of Go
// 1.21, file mgcpacer.go; design: golang/go #44167, soft limit #48409.
//
// Bytes are those of "live bytes": what the last cycle marked plus what was allocated since. They
// grow between cycles and drop to the marked bytes at the end of one.
#ifndef HS_RUNTIME_PACER_H
#define HS_RUNTIME_PACER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "allocators/base/atomic.h"
#include "allocators/heap_types.h"

// Goal of a stop-the-world cycle, in bytes: marked + (marked + roots) * gogc/100, at least
// min_heap * gogc/100 and at least 64 KiB above marked. UINT64_MAX when gogc is off. `roots_bytes`
// is scanned root memory and counts as in Go. limit_bytes > 0 caps the goal, also when gogc is off
// (as GOMEMLIMIT does), but never below marked_bytes. Saturates instead of overflowing.
uint64_t hs_pacer_goal_bytes(const heap_config *config, uint64_t marked_bytes,
                             uint64_t roots_bytes);

enum { HS_PACER_HISTORY = 4 }; // cycles whose cons/mark the estimate remembers (Go 1.21: 4)

// What the soft limit (heap_config.memory_limit_bytes) is compared with. A momentary, even slightly
// inconsistent, view is good enough.
typedef struct hs_pacer_memory {
  uint64_t mapped_bytes;     // footprint: everything not released (Go mappedReady)
  uint64_t heap_free_bytes;  // of those: free pages, not released (Go heapFree)
  uint64_t heap_alloc_bytes; // of those: objects, as accounted (Go heapAlloc)
} hs_pacer_memory;

// One finished cycle.
typedef struct hs_pacer_cycle {
  uint64_t live_bytes;      // live bytes when marking ended, before they drop to marked_bytes
  uint64_t marked_bytes;    // bytes of marked objects, those allocated black included
  uint64_t scanned_bytes;   // scan work done, roots included
  uint64_t scannable_bytes; // of marked_bytes: objects that hold references; 0 is "as scanned"
  uint64_t roots_bytes;     // of scanned_bytes: root slots
  double utilisation;       // share of all cores that marked: workers and assists, 0 to 1
  double idle_utilisation;  // further share that marked only because it was idle, 0 to 1
} hs_pacer_cycle;

// Threads: everything but the published fields belongs to the one collector at a time ([collector],
// the caller serialises); published fields are relaxed atomics, each a best effort on its own.
// I-pacer-1: trigger_bytes <= goal_bytes, both at least marked_bytes, as the collector publishes
// them (a reader of both may see two moments).
typedef struct hs_pacer {
  heap_config config;      // [const]
  double background_share; // [const] share of the cores the background workers take, 0.05 .. 0.5

  // [collector] what the last cycle found
  uint64_t marked_bytes;                     // live bytes it left
  uint64_t heap_scan_bytes;                  // heap scan work it did
  uint64_t roots_bytes;                      // root scan work it did
  double scannable_share;                    // scannable bytes per marked byte, 0 to 1
  double cons_mark;                          // estimate in use: see hs_pacer_end_cycle
  double recent_cons_mark[HS_PACER_HISTORY]; // of the cycles before, oldest first
  // [collector] what the last commit found
  hs_pacer_memory memory;
  uint64_t sweep_floor_bytes; // goal and trigger are no lower while sweeping goes on; 0 after it
  uint64_t runway_bytes;
  uint64_t overhead_bytes; // [collector] see hs_pacer_charge
  bool memory_limited;     // the soft limit, not gogc, set the goal

  // [collector] for a trace line, about the last cycle: Go's gcpacertrace
  double last_utilisation, last_idle_utilisation;
  double last_cons_mark;    // estimate it ran with
  uint64_t last_goal_bytes; // goal it ended with
  uint64_t last_triggered_bytes;
  uint64_t last_live_bytes;     // live bytes at its end
  uint64_t last_scanned_bytes;  // work done, roots included
  uint64_t last_expected_bytes; // work that was expected

  // [atomic] published: any thread reads; revise also writes assist_ratio from any thread
  _Atomic(uint64_t) goal_bytes, trigger_bytes;
  _Atomic(uint64_t) triggered_bytes;     // live bytes at its start; HS_PACER_NO_CYCLE outside
  _Atomic(uint64_t) expected_scan_bytes; // of this cycle, if the heap is as the last one found it
  _Atomic(uint64_t) worst_scan_bytes;    // of this cycle, if nothing scannable is garbage
  _Atomic(double) assist_ratio;
} hs_pacer;

#define HS_PACER_NO_CYCLE UINT64_MAX

// Background mark workers for a machine of `cores`: config->workers, or a quarter of the cores
// rounded (down where rounding up overshoots by more than 30 %, as in Go), at least 1.
unsigned hs_pacer_workers(const heap_config *config, unsigned cores);

// A pacer before the first cycle, its goal and trigger published. Owns nothing.
void hs_pacer_init(hs_pacer *pacer, const heap_config *config, unsigned cores);

// [collector] Recompute goal, runway and trigger. Call after hs_pacer_end_cycle and whenever
// `memory` changed notably; inside a cycle call hs_pacer_revise after it. live_bytes now;
// sweep_done false leaves the sweeper at least 1 MiB of allocation. memory NULL: unchanged since
// the last commit. While memory is short the goal may equal the marked bytes: then the next cycle
// is due as soon as a thread allocates, so start cycles from allocation only, or nothing else will
// ever run.
void hs_pacer_commit(hs_pacer *pacer, uint64_t live_bytes, bool sweep_done,
                     const hs_pacer_memory *memory);

// [collector] Memory that the heap takes beyond the bytes that pace it (holes, descriptions of objects) and
// will not use for new objects: it comes off the room that gogc gives, up to half of that. Takes effect in
// the next commit.
void hs_pacer_charge(hs_pacer *pacer, uint64_t overhead_bytes);

// [collector] A cycle starts now, at live_bytes. roots_bytes: root memory to scan, estimated.
// Publishes the first assist ratio.
void hs_pacer_start_cycle(hs_pacer *pacer, uint64_t live_bytes, uint64_t roots_bytes);

// Any thread, inside a cycle, as often as convenient (Go: at each span refill): renew the assist
// ratio from the live bytes and the scan work done up to now, roots included. No-op outside a
// cycle.
void hs_pacer_revise(hs_pacer *pacer, uint64_t live_bytes, uint64_t scanned_bytes);

// [collector] Marking has ended: learn from it. Follow with hs_pacer_commit(cycle->marked_bytes).
// cons/mark is bytes allocated per byte scanned, each per time of a core; the estimate is the
// largest of this cycle and the HS_PACER_HISTORY before, so that a lull does not make the next
// cycle late. A cycle during which nothing was allocated teaches nothing of it.
void hs_pacer_end_cycle(hs_pacer *pacer, const hs_pacer_cycle *cycle);

// Live bytes at which a cycle should end; UINT64_MAX: never. Any thread.
static inline uint64_t hs_pacer_goal(const hs_pacer *pacer) {
  return hs_load_relaxed(&pacer->goal_bytes);
}

// Live bytes at which a cycle should start; UINT64_MAX: never. In stop-the-world mode the goal
// itself. Any thread; relaxed because a thread that reads an old value only starts a cycle a little
// off.
static inline uint64_t hs_pacer_trigger(const hs_pacer *pacer) {
  return hs_load_relaxed(&pacer->trigger_bytes);
}

// Bytes of scan work that a thread owes per byte it allocates; 0 outside a cycle. May be very large
// (all that is left) when the goal is reached: bound the slice. Any thread.
static inline double hs_pacer_assist_ratio(const hs_pacer *pacer) {
  if (hs_load_relaxed(&pacer->triggered_bytes) == HS_PACER_NO_CYCLE) return 0;
  return hs_load_relaxed(&pacer->assist_ratio);
}

// Proportional sweep: pages to sweep per byte allocated, so that `unswept_pages` are swept before
// live bytes grow from live_bytes to 1 MiB short of trigger_bytes. 0 if no page is left.
double hs_pacer_sweep_ratio(uint64_t unswept_pages, uint64_t live_bytes, uint64_t trigger_bytes);

#endif
