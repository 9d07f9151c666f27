// SPDX-License-Identifier: MIT
#include "allocators/runtime/event_log.h"

#include <math.h>
#include <string.h>

#include "allocators/base/assert.h"
#include "allocators/base/bits.h"

static const bool kind_is_pause[HS_EVENT_KIND_COUNT] = {
#define EVENT_IS_PAUSE(name, is_pause, meaning) is_pause,
    HS_EVENT_LIST(EVENT_IS_PAUSE)
#undef EVENT_IS_PAUSE
};

static size_t mapped_bytes(size_t capacity) {
  return hs_align_up(capacity * sizeof(hs_event), hs_os_page_bytes());
}

int hs_event_log_init(hs_event_log *log, size_t capacity) {
  log->lock = (hs_mutex){0};
  log->events = NULL;
  log->count = log->capacity = log->dropped_count = 0;
  for (int kind = 0; kind < HS_EVENT_KIND_COUNT; kind++) hs_histogram_reset(&log->durations[kind]);
  hs_histogram_reset(&log->pauses);
  if (capacity == 0) return 0;
  void *events;
  const int error = hs_os_map(mapped_bytes(capacity), hs_os_page_bytes(), &events);
  if (error != 0) return error;
  log->events = events;
  log->capacity = capacity;
  return 0;
}

void hs_event_log_destroy(hs_event_log *log) {
  if (log->capacity > 0) hs_os_unmap(log->events, mapped_bytes(log->capacity));
  log->events = NULL;
  log->count = log->capacity = 0;
}

void hs_event_log_add(hs_event_log *log, hs_event_kind kind, uint32_t thread, uint64_t begin_ns,
                      uint64_t end_ns, uint64_t value) {
  HS_ASSERT((unsigned)kind < HS_EVENT_KIND_COUNT && begin_ns <= end_ns);
  hs_mutex_lock(&log->lock);
  hs_histogram_add(&log->durations[kind], end_ns - begin_ns);
  if (kind_is_pause[kind]) hs_histogram_add(&log->pauses, end_ns - begin_ns);
  if (log->count < log->capacity) {
    log->events[log->count++] = (hs_event){.begin_ns = begin_ns,
                                           .end_ns = end_ns,
                                           .value = value,
                                           .kind = (uint32_t)kind,
                                           .thread = thread};
  } else {
    log->dropped_count++;
  }
  hs_mutex_unlock(&log->lock);
}

// Bytes of [start, start + bytes) on pages that were written: a page that holds only zeroes was at
// most read, and then it is the kernel's shared zero page.
static size_t touched_bytes(const void *start, size_t bytes) {
  const char *const end = (const char *)start + bytes;
  size_t touched = 0;
  for (const char *from = start; from < end;) {
    const size_t in_page = hs_os_page_bytes() - ((uintptr_t)from & (hs_os_page_bytes() - 1));
    const size_t piece = hs_min_size(in_page, (size_t)(end - from));
    bool zero = from[0] == 0 && memcmp(from, from + 1, piece - 1) == 0;
    if (!zero) touched += piece;
    from += piece;
  }
  return touched;
}

// Locking does not change what the log says, hence the cast.
static void lock_const(const hs_event_log *log) { hs_mutex_lock(&((hs_event_log *)log)->lock); }
static void unlock_const(const hs_event_log *log) { hs_mutex_unlock(&((hs_event_log *)log)->lock); }

size_t hs_event_log_bytes(const hs_event_log *log) {
  lock_const(log);
  const size_t events = hs_align_up(log->count * sizeof(hs_event), hs_os_page_bytes());
  // Not the lock, which others write while they wait for it; its page was touched by taking it.
  const size_t head = sizeof log->lock;
  const size_t bytes = events + head + touched_bytes((const char *)log + head, sizeof *log - head);
  unlock_const(log);
  return bytes;
}

const char *hs_event_kind_name(hs_event_kind kind) {
  static const char *const lower[HS_EVENT_KIND_COUNT] = {
      "stop",  "handshake", "stall",  "assist",   "cycle", "mark",
      "sweep", "compact",   "rename", "scavenge", "grow",
  };
  return (unsigned)kind < HS_EVENT_KIND_COUNT ? lower[kind] : NULL;
}

bool hs_event_kind_is_pause(hs_event_kind kind) {
  return (unsigned)kind < HS_EVENT_KIND_COUNT && kind_is_pause[kind];
}

// ---- minimum mutator utilisation ----------------------------------------------------------------

typedef struct interval {
  uint64_t begin_ns, end_ns;
} interval;

// Copies the pauses within [begin_ns, end_ns) to `out`, ordered by begin and merged where they
// overlap (several threads may wait at once). Returns how many intervals there are.
static size_t collect_pauses_locked(const hs_event_log *log, uint64_t begin_ns, uint64_t end_ns,
                                    interval *out) {
  size_t count = 0;
  for (size_t i = 0; i < log->count; i++) {
    const hs_event *const event = &log->events[i];
    const interval clipped = {hs_max_u64(event->begin_ns, begin_ns),
                              hs_min_u64(event->end_ns, end_ns)};
    if (!kind_is_pause[event->kind] || clipped.begin_ns >= clipped.end_ns) continue;
    // The log is nearly in this order already, so few entries move.
    size_t at = count++;
    for (; at > 0 && out[at - 1].begin_ns > clipped.begin_ns; at--) out[at] = out[at - 1];
    out[at] = clipped;
  }
  size_t merged = 0;
  for (size_t i = 0; i < count; i++) {
    if (merged > 0 && out[i].begin_ns <= out[merged - 1].end_ns)
      out[merged - 1].end_ns = hs_max_u64(out[merged - 1].end_ns, out[i].end_ns);
    else
      out[merged++] = out[i];
  }
  return merged;
}

// Largest pause time in a window. Some worst window begins with a pause or ends with one, so both
// families are walked, each with one pass: `first` is the first pause that reaches into the window,
// `inside` the time of the pauses [first, last).
static uint64_t worst_window(const interval *pauses, size_t count, uint64_t begin_ns,
                             uint64_t end_ns, uint64_t window_ns) {
  uint64_t worst = 0, inside = 0;
  size_t last = 0;
  for (size_t first = 0; first < count; first++) { // windows that begin with pause `first`
    const uint64_t limit = pauses[first].begin_ns + window_ns;
    if (limit > end_ns) break; // the window would not fit; one ending at end_ns covers it
    for (; last < count && pauses[last].begin_ns < limit; last++)
      inside += pauses[last].end_ns - pauses[last].begin_ns;
    const uint64_t tail = pauses[last - 1].end_ns;
    worst = hs_max_u64(worst, inside - (tail > limit ? tail - limit : 0));
    inside -= pauses[first].end_ns - pauses[first].begin_ns;
  }
  inside = 0;
  size_t first = 0;
  for (last = 0; last <= count; last++) { // windows that end with pause `last`, and at end_ns
    const uint64_t limit = last < count ? pauses[last].end_ns : end_ns;
    if (last < count) inside += pauses[last].end_ns - pauses[last].begin_ns;
    if (limit < begin_ns + window_ns) continue;
    const uint64_t from = limit - window_ns;
    for (; first < count && pauses[first].end_ns <= from; first++)
      inside -= pauses[first].end_ns - pauses[first].begin_ns;
    const uint64_t head = first < count ? pauses[first].begin_ns : from;
    worst = hs_max_u64(worst, inside - (head < from ? from - head : 0));
  }
  return worst;
}

double hs_event_log_mmu(const hs_event_log *log, uint64_t begin_ns, uint64_t end_ns,
                        uint64_t window_ns) {
  HS_REQUIRE(window_ns > 0 && begin_ns < end_ns, "utilisation of an empty window");
  window_ns = hs_min_u64(window_ns, end_ns - begin_ns);
  lock_const(log);
  double utilisation = 1.0;
  if (log->count > 0) {
    const size_t bytes = hs_align_up(log->count * sizeof(interval), hs_os_page_bytes());
    void *scratch;
    if (hs_os_map(bytes, hs_os_page_bytes(), &scratch) == 0) {
      const size_t count = collect_pauses_locked(log, begin_ns, end_ns, scratch);
      const uint64_t worst = worst_window(scratch, count, begin_ns, end_ns, window_ns);
      utilisation = 1.0 - (double)worst / (double)window_ns;
      hs_os_unmap(scratch, bytes);
    } else {
      utilisation = NAN;
    }
  }
  unlock_const(log);
  return utilisation;
}
