// SPDX-License-Identifier: MIT
// Delays that a heap imposed on its mutators, without those the harness provoked itself.
//
// Note [stages are cut out]
//   At a stage the harness forces a collection; its stop is no property of the workload. The event
//   log keeps one histogram per kind of delay that only grows, so the delays between two instants
//   are the difference of two snapshots: pauses_count adds what came since the last snapshot,
//   pauses_skip forgets it. For the MMU curve the stages are cut out of the time axis: events inside
//   one are left out and later events move left by its length.
#ifndef PAUSES_H
#define PAUSES_H

#include <stdbool.h>
#include <stddef.h>

#include "allocators/runtime/event_log.h"
#include "allocators/runtime/histogram.h"

// Row 0 is every delay, the others one kind of delay each: stop, handshake, stall, assist.
enum { PAUSES_ROWS = 5 };

// All zero is empty.
typedef struct run_pauses {
  hs_histogram counted[PAUSES_ROWS];
  hs_histogram seen[PAUSES_ROWS]; // the log at the last snapshot
} run_pauses;

const char *pauses_row_name(size_t row); // "all", "stop", ...

void pauses_count(run_pauses *pauses, const hs_event_log *log);
void pauses_skip(run_pauses *pauses, const hs_event_log *log);

typedef struct pauses_window {
  uint64_t begin_ns, end_ns; // hs_os_now_ns
} pauses_window;

typedef struct pauses_mmu_point {
  uint64_t window_ns;
  double fraction;
} pauses_mmu_point;

enum { PAUSES_MMU_POINTS = 16 }; // 1-2-5 steps from 10 us to 1 s

// MMU over [section.begin, section.end) without the given stages (ascending, disjoint). Returns the
// number of points: windows longer than the section have none; 0 when a log has dropped events.
// Any log may be NULL.
size_t pauses_mmu(const hs_event_log *const *logs, size_t log_count, pauses_window section,
                  const pauses_window *stages, size_t stage_count,
                  pauses_mmu_point out[PAUSES_MMU_POINTS]);

// Events that the log was too full to keep; 0 for NULL. Collectors may run meanwhile, as above.
size_t pauses_dropped(const hs_event_log *log);

// What all events of one kind came to, dropped ones included.
typedef struct pauses_phase {
  uint64_t count, total_ns, max_ns;
} pauses_phase;

pauses_phase pauses_phase_of(const hs_event_log *log, hs_event_kind kind);

#endif
