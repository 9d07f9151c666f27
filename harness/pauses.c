// SPDX-License-Identifier: MIT
#include "harness/pauses.h"

#include <stdlib.h>

#include "allocators/base/bits.h"

// Kinds by row; a unit test holds this against hs_event_kind_is_pause.
static const hs_event_kind pauses_kinds[PAUSES_ROWS] = {
    [1] = HS_EVENT_STOP, [2] = HS_EVENT_HANDSHAKE, [3] = HS_EVENT_STALL, [4] = HS_EVENT_ASSIST};

const char *pauses_row_name(size_t row) {
  return row == 0 ? "all" : hs_event_kind_name(pauses_kinds[row]);
}

static const hs_histogram *pauses_source(const hs_event_log *log, size_t row) {
  return row == 0 ? &log->pauses : &log->durations[pauses_kinds[row]];
}

// into += now - before. The largest value of a difference is exact when it is a new maximum of the
// log, else known to the width of a bucket (1.6 %); its upper edge is taken.
static void pauses_add_difference(hs_histogram *into, const hs_histogram *now,
                                  const hs_histogram *before) {
  if (now->count == before->count) return;
  size_t lowest = HS_HISTOGRAM_BUCKETS, highest = 0;
  for (size_t i = 0; i < HS_HISTOGRAM_BUCKETS; i++) {
    const uint64_t added = now->buckets[i] - before->buckets[i];
    if (added == 0) continue;
    into->buckets[i] += added;
    if (lowest == HS_HISTOGRAM_BUCKETS) lowest = i;
    highest = i;
  }
  const bool new_maximum = before->count == 0 || now->max > before->max;
  const uint64_t edge = hs_histogram_bucket_low(highest + 1) - 1;
  const uint64_t largest = new_maximum ? now->max : hs_min_u64(edge, now->max);
  const uint64_t smallest = hs_max_u64(hs_histogram_bucket_low(lowest), now->min);
  if (into->count == 0 || smallest < into->min) into->min = smallest;
  if (largest > into->max) into->max = largest;
  into->count += now->count - before->count;
  into->sum += now->sum - before->sum;
}

// The log is const to its readers but for its lock.
static void pauses_lock(const hs_event_log *log) { hs_mutex_lock((hs_mutex *)&log->lock); }
static void pauses_unlock(const hs_event_log *log) { hs_mutex_unlock((hs_mutex *)&log->lock); }

void pauses_count(run_pauses *pauses, const hs_event_log *log) {
  if (!log) return;
  pauses_lock(log);
  for (size_t row = 0; row < PAUSES_ROWS; row++) {
    pauses_add_difference(&pauses->counted[row], pauses_source(log, row), &pauses->seen[row]);
    pauses->seen[row] = *pauses_source(log, row);
  }
  pauses_unlock(log);
}

void pauses_skip(run_pauses *pauses, const hs_event_log *log) {
  if (!log) return;
  pauses_lock(log);
  for (size_t row = 0; row < PAUSES_ROWS; row++) pauses->seen[row] = *pauses_source(log, row);
  pauses_unlock(log);
}

// ---- MMU ----------------------------------------------------------------------------------------

// Time on the axis without stages; false when `ns` lies inside one. See Note [stages are cut out].
static bool pauses_shift(uint64_t ns, const pauses_window *stages, size_t count, uint64_t *out) {
  uint64_t cut_ns = 0;
  for (size_t i = 0; i < count && stages[i].begin_ns < ns; i++) {
    if (ns < stages[i].end_ns) return false;
    cut_ns += stages[i].end_ns - stages[i].begin_ns;
  }
  *out = ns - cut_ns;
  return true;
}

static int pauses_by_end(const void *a, const void *b) {
  const hs_event *x = a, *y = b;
  return (x->end_ns > y->end_ns) - (x->end_ns < y->end_ns);
}

// Copy the delays outside stages, shifted, to `into` (room for all of them). Returns how many.
static size_t pauses_collect(const hs_event_log *log, const pauses_window *stages, size_t count,
                             hs_event *into) {
  size_t kept = 0;
  for (size_t i = 0; i < log->count; i++) {
    hs_event event = log->events[i];
    if (!hs_event_kind_is_pause((hs_event_kind)event.kind)) continue;
    if (!pauses_shift(event.begin_ns, stages, count, &event.begin_ns)) continue;
    if (!pauses_shift(event.end_ns, stages, count, &event.end_ns)) continue;
    into[kept++] = event;
  }
  return kept;
}

static const uint64_t pauses_mmu_windows_ns[PAUSES_MMU_POINTS] = {
    10000,   20000,    50000,    100000,   200000,    500000,    1000000,   2000000,
    5000000, 10000000, 20000000, 50000000, 100000000, 200000000, 500000000, 1000000000};

typedef struct pauses_delays {
  hs_event *events;
  size_t count;
} pauses_delays;

// Add the delays of one log, whose collector may still run. False: it has dropped some (a curve from
// part of the delays would flatter), or no memory.
static bool pauses_append(pauses_delays *into, const hs_event_log *log, const pauses_window *stages,
                          size_t stage_count) {
  if (!log) return true;
  pauses_lock(log);
  // The last measurement is taken by now: malloc disturbs nothing any more.
  const size_t room = into->count + log->count + 1;
  hs_event *larger = log->dropped_count > 0 ? NULL : realloc(into->events, room * sizeof *larger);
  if (larger) {
    into->events = larger;
    into->count += pauses_collect(log, stages, stage_count, larger + into->count);
  }
  pauses_unlock(log);
  return larger != NULL;
}

// The points of a curve over [section.begin, section.end), stages cut out already.
static size_t pauses_points(const pauses_delays *delays, pauses_window section,
                            pauses_mmu_point out[PAUSES_MMU_POINTS]) {
  size_t points = 0;
  hs_event_log *axis = calloc(1, sizeof *axis);
  if (!axis || hs_event_log_init(axis, delays->count + 1) != 0) goto free_axis;
  for (size_t i = 0; i < delays->count; i++) {
    const hs_event *delay = &delays->events[i];
    hs_event_log_add(axis, (hs_event_kind)delay->kind, delay->thread, delay->begin_ns,
                     delay->end_ns, delay->value);
  }
  for (size_t i = 0; i < PAUSES_MMU_POINTS; i++) {
    const uint64_t window_ns = pauses_mmu_windows_ns[i];
    if (window_ns > section.end_ns - section.begin_ns) break;
    out[points++] = (pauses_mmu_point){
        window_ns, hs_event_log_mmu(axis, section.begin_ns, section.end_ns, window_ns)};
  }
  hs_event_log_destroy(axis);
free_axis:
  free(axis);
  return points;
}

size_t pauses_mmu(const hs_event_log *const *logs, size_t log_count, pauses_window section,
                  const pauses_window *stages, size_t stage_count,
                  pauses_mmu_point out[PAUSES_MMU_POINTS]) {
  if (!pauses_shift(section.begin_ns, stages, stage_count, &section.begin_ns)) return 0;
  if (!pauses_shift(section.end_ns, stages, stage_count, &section.end_ns)) return 0;
  pauses_delays delays = {NULL, 0};
  size_t points = 0;
  bool good = true;
  for (size_t i = 0; good && i < log_count; i++)
    good = pauses_append(&delays, logs[i], stages, stage_count);
  if (good) {
    if (delays.count > 0) qsort(delays.events, delays.count, sizeof(hs_event), pauses_by_end);
    points = pauses_points(&delays, section, out);
  }
  free(delays.events);
  return points;
}

size_t pauses_dropped(const hs_event_log *log) {
  if (!log) return 0;
  pauses_lock(log);
  const size_t count = log->dropped_count;
  pauses_unlock(log);
  return count;
}

pauses_phase pauses_phase_of(const hs_event_log *log, hs_event_kind kind) {
  pauses_lock(log);
  const hs_histogram *durations = &log->durations[kind];
  const pauses_phase phase = {durations->count, durations->sum, durations->max};
  pauses_unlock(log);
  return phase;
}
