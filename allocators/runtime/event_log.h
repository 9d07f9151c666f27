// SPDX-License-Identifier: MIT
// What the collector did and what it cost others: a bounded log of timed events and, per kind, a
// histogram of durations that never drops a sample. The pause distribution, the MMU curve and the
// timeline of a report come from here.
#ifndef HS_RUNTIME_EVENT_LOG_H
#define HS_RUNTIME_EVENT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators/os/os.h"
#include "allocators/runtime/histogram.h"

// X(name, is a delay that a mutator feels, meaning of `value`)
#define HS_EVENT_LIST(X)                                                                           \
  X(STOP, true, "time to safepoint, ns")                                                           \
  X(HANDSHAKE, true, "thread id")                                                                  \
  X(STALL, true, "bytes whose allocation waited")                                                  \
  X(ASSIST, true, "bytes marked")                                                                  \
  X(CYCLE, false, "bytes found live")                                                              \
  X(MARK, false, "bytes marked")                                                                   \
  X(SWEEP, false, "bytes freed")                                                                   \
  X(COMPACT, false, "bytes moved")                                                                 \
  X(RENAME, false, "handles renamed")                                                              \
  X(SCAVENGE, false, "bytes released")                                                             \
  X(GROW, false, "bytes obtained")

typedef enum hs_event_kind {
#define HS_EVENT_ENUM(name, is_pause, meaning) HS_EVENT_##name,
  HS_EVENT_LIST(HS_EVENT_ENUM)
#undef HS_EVENT_ENUM
      HS_EVENT_KIND_COUNT
} hs_event_kind;

typedef struct hs_event {
  uint64_t begin_ns, end_ns; // hs_os_now_ns
  uint64_t value;
  uint32_t kind; // hs_event_kind
  uint32_t thread;
} hs_event;

// Events are appended under the lock (rare: never on a fast path). A full log keeps what it has and
// counts later events in dropped_count; histograms go on. The struct is large (about 230 KiB):
// embed it in mapped memory, where only the pages of buckets that were hit cost anything.
typedef struct hs_event_log {
  hs_mutex lock;
  hs_event *events;                            // [lock] mapped, capacity entries
  size_t count, capacity, dropped_count;       // [lock]
  hs_histogram durations[HS_EVENT_KIND_COUNT]; // [lock] ns
  hs_histogram pauses;                         // [lock] ns, all kinds a mutator feels
} hs_event_log;

// Accepts memory of any contents; of zeroed memory it writes only the head.
// A log without room for events (capacity 0) still keeps histograms. -ENOMEM leaves it so.
int hs_event_log_init(hs_event_log *log, size_t capacity);
void hs_event_log_destroy(hs_event_log *log);
void hs_event_log_add(hs_event_log *log, hs_event_kind kind, uint32_t thread, uint64_t begin_ns,
                      uint64_t end_ns, uint64_t value);
// Resident bytes for accounting: pages of the struct and of the events that were written. Looks at
// the whole struct (some 10 us).
size_t hs_event_log_bytes(const hs_event_log *log);
const char *hs_event_kind_name(hs_event_kind kind); // lower case, static
bool hs_event_kind_is_pause(hs_event_kind kind);

// Minimum mutator utilisation over windows of window_ns within [begin_ns, end_ns), from the logged
// pauses: 1 - (largest pause time in any window) / window. Cheng and Blelloch 2001. 1 when no
// pause.
// Pauses of several threads that overlap count once. A window longer than the whole is the whole.
// NAN when scratch memory cannot be had; dropped events are missing from the result.
double hs_event_log_mmu(const hs_event_log *log, uint64_t begin_ns, uint64_t end_ns,
                        uint64_t window_ns);

#endif
