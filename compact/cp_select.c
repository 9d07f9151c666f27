// SPDX-License-Identifier: MIT
// Which regions to empty and when to rename: policy only, no effect but the choice. Freeing one byte
// of a region with live fraction u costs u / (1 - u) bytes copied, so the emptiest regions come first.
//
// Note [selection]
//   The footprint that is meant here is that of regions with objects in them; a dense heap's is its live bytes.
//   What is above them when regions have been chosen are holes, which last as garbage does not.
//     above MOST    regions are emptied whatever it costs: garbage in a region can be reused in no other way,
//                   and what is not reused the heap has to grow by
//     above MUST    whatever CPU time it costs, if it is done soon
//     above START   as far as the budget of CPU time goes (compaction_cpu=), which is then the price of memory
//     down to STOP  and no further
//   A cycle says at what it stopped (cp_verdict; trace=compact).
//
//   Holes are in proportion to room: the last three thresholds are as below where the pace leaves half of the live
//   bytes, or more, as room until the next cycle, and come down with it, so that holes are half of the room at
//   most. They might as well be garbage: what has to be moved is a matter of both together. Where objects die at
//   random the emptiest regions are live by u = 1 - 2 (holes + garbage) / live, about, and u / (1 - u) bytes are
//   moved for each byte freed; so a cycle moves a third of what it marks, at any pace. Fewer holes cost more: with
//   none it moves half, and in fact more, because regions are then emptied before they are as empty as they
//   might be. Who can bear more is better served by a slower pace, which saves marking too.
//   Soon: the program goes on meanwhile, and what it takes before a region is empty is beyond the goal. So moving
//   takes no longer than the program for half of the room; then the next cycle is sooner and finds regions emptier.
#include "compact/cp_internal.h"

// Percent of the live bytes.
static const uint32_t MOST_HOLES = 25, MUST_HOLES = 25, START_HOLES = 10, STOP_HOLES = 3;
// The room for which that is meant, and the least that counts: what the regions at AUTOMATIC_LIVE_PERCENT hold
// is more than the holes that belong to less.
static const uint32_t FULL_ROOM = 50, LEAST_ROOM = 3;
// Of the time in which the program takes the room.
static const double SOON = 0.5;
// Fuller regions are left alone: 9 bytes copied per byte freed in an automatic cycle. A full one leaves
// behind what is within the 2-5 % of a dense heap on average.
static const uint32_t AUTOMATIC_LIVE_PERCENT = 90, FULL_LIVE_PERCENT = 94;
// Below these many bytes of garbage nothing is gained in pages. A full collection also joins regions of
// which little more than a page is left.
static const uint32_t AUTOMATIC_MIN_GARBAGE_BYTES = 16 << 10,
                      FULL_MIN_GARBAGE_BYTES = CP_PAGE_BYTES / 2;

bool cp_select_is_source(const cp_region *region, cp_effort effort) {
  if (region->state != CP_REGION_CLOSED) return false;
  if (region->pinned > 0 && !cp_region_has_movable(region) && region->hollow > 0) return false;
  if (effort == CP_EFFORT_EVERYTHING) return true;
  const bool full = effort == CP_EFFORT_FULL;
  const uint32_t used = full ? (uint32_t)hs_align_up(region->top, CP_PAGE_BYTES) : region->top;
  const uint32_t garbage = used - region->live_bytes;
  if (garbage < (full ? FULL_MIN_GARBAGE_BYTES : AUTOMATIC_MIN_GARBAGE_BYTES)) return false;
  const uint32_t percent = full ? FULL_LIVE_PERCENT : AUTOMATIC_LIVE_PERCENT;
  return (uint64_t)region->live_bytes * 100 < (uint64_t)used * percent;
}

// Less garbage than this in all regions is not worth two handshakes and a map.
static const uint64_t MIN_GAIN_BYTES = 512 << 10;

enum { PERCENT = 100 };

// Regions by their live fraction, in steps of 1/FRACTIONS.
enum { FRACTIONS = 64 };

typedef struct census {
  uint64_t live_bytes, used_bytes;           // of all regions that hold objects and are nobody's
  uint64_t live[FRACTIONS], used[FRACTIONS]; // of possible sources
} census;

static uint32_t fraction_of(const cp_region *region) {
  return (uint32_t)((uint64_t)region->live_bytes * FRACTIONS / ((uint64_t)region->top + 1));
}

static void census_take_locked(compact_heap *heap, uint32_t regions, cp_effort effort, census *c) {
  *c = (census){0};
  for (uint32_t region = 1; region < regions; region++) {
    const cp_region *const r = cp_region_at(heap, region);
    if (r->state != CP_REGION_CLOSED || r->live_count == 0) continue; // the sweep frees it
    c->live_bytes += r->live_bytes;
    c->used_bytes += r->top;
    if (!cp_select_is_source(r, effort)) continue;
    c->live[fraction_of(r)] += r->live_bytes;
    c->used[fraction_of(r)] += r->top;
  }
}

static uint64_t saturated(double bytes) {
  return bytes < (double)(UINT64_MAX / 4) ? (uint64_t)bytes : UINT64_MAX / 4;
}

cp_budget cp_select_budget(const compact_heap *heap, uint64_t interval_ns) {
  const double share = (double)heap->config.compaction_cpu_percent / 100 * heap->cores;
  const double bytes = (double)interval_ns * heap->moved_bytes_per_ns;
  const uint64_t goal = hs_pacer_goal(&heap->pacer);
  const uint64_t marked = hs_load_relaxed(&heap->marked_bytes);
  cp_budget budget = {.room_bytes = UINT64_MAX, .soon_bytes = UINT64_MAX};
  if (goal < UINT64_MAX) {
    const int64_t taken = (int64_t)hs_load_relaxed(&heap->since_bytes); // in the interval
    budget.room_bytes =
        hs_max_u64(goal > marked ? goal - marked : 0, marked / PERCENT * LEAST_ROOM);
    const double intervals = (double)budget.room_bytes / (double)(taken > 0 ? taken : 1);
    budget.soon_bytes = saturated(bytes * SOON * intervals);
  }
  budget.cpu_bytes = hs_min_u64(saturated(bytes * share), budget.soon_bytes);
  return budget;
}

// What regions may take when so much of the live bytes may be holes, given the room.
static uint64_t with_holes(const census *c, uint32_t percent, const cp_budget *budget) {
  const uint64_t holes = c->live_bytes / PERCENT * percent;
  const double part =
      (double)budget->room_bytes * PERCENT / ((double)c->live_bytes * FULL_ROOM + 1);
  return c->live_bytes + (part < 1 ? (uint64_t)((double)holes * part) : holes);
}

static uint64_t above(uint64_t bytes, uint64_t threshold) {
  return bytes > threshold ? bytes - threshold : 0;
}

// Garbage of one fraction that can be had when objects of at most moving_bytes are moved.
static uint64_t garbage_for(const census *c, uint32_t fraction, uint64_t moving_bytes) {
  const uint64_t live = c->live[fraction], garbage = c->used[fraction] - live;
  return moving_bytes >= live ? garbage
                              : (uint64_t)((double)garbage * (double)moving_bytes / (double)live);
}

// Regions of fractions below `end` are sources, and of those at `end` some, of so much garbage.
typedef struct choice {
  uint32_t end;
  uint64_t garbage_bytes;
} choice;

static choice choose(const census *c, const cp_budget *budget, cp_selection *s) {
  const uint64_t most = c->live_bytes + c->live_bytes / PERCENT * MOST_HOLES;
  const uint64_t must = with_holes(c, MUST_HOLES, budget);
  const uint64_t stop = with_holes(c, STOP_HOLES, budget);
  uint64_t used = c->used_bytes;
  choice chosen = {0, 0};
  s->live_bytes = c->live_bytes;
  s->used_bytes = used;
  s->verdict = CP_VERDICT_DENSE;
  if (used > with_holes(c, START_HOLES, budget) && used - c->live_bytes >= MIN_GAIN_BYTES) {
    s->verdict = CP_VERDICT_FULL_REGIONS;
    for (; chosen.end < FRACTIONS; chosen.end++) {
      const uint32_t i = chosen.end;
      const uint64_t garbage = c->used[i] - c->live[i], wanted = above(used, stop);
      const uint64_t cheap = garbage_for(c, i, above(budget->cpu_bytes, s->moving_bytes));
      const uint64_t soon = garbage_for(c, i, above(budget->soon_bytes, s->moving_bytes));
      const uint64_t most_needed = above(used, most), needed = above(used, must);
      const uint64_t affordable =
          hs_max_u64(hs_max_u64(cheap, hs_min_u64(soon, needed)), most_needed);
      const uint64_t taken = hs_min_u64(hs_min_u64(affordable, wanted), garbage);
      used -= taken;
      s->moving_bytes +=
          garbage > 0 ? (uint64_t)((double)c->live[i] * (double)taken / (double)garbage) : 0;
      if (taken == garbage) continue;
      chosen.garbage_bytes = taken;
      s->verdict = taken == wanted  ? CP_VERDICT_REACHED
                   : needed > taken ? CP_VERDICT_SOON
                                    : CP_VERDICT_BUDGET;
      break;
    }
  }
  s->predicted_bytes = used;
  return chosen;
}

cp_selection cp_select_sources(compact_heap *heap, uint32_t regions, cp_effort effort,
                               const cp_budget *budget) {
  cp_selection selection = {0};
  census c;
  hs_mutex_lock(&heap->lock);
  census_take_locked(heap, regions, effort, &c);
  choice chosen = {FRACTIONS, 0};
  if (effort == CP_EFFORT_AUTOMATIC) chosen = choose(&c, budget, &selection);
  for (uint32_t region = 1; region < regions; region++) {
    cp_region *const r = cp_region_at(heap, region);
    if (!cp_select_is_source(r, effort) || r->live_count == 0) continue;
    const uint32_t fraction = fraction_of(r);
    if (fraction > chosen.end || (fraction == chosen.end && chosen.garbage_bytes == 0)) continue;
    if (fraction == chosen.end) // the last one may be more than needed
      chosen.garbage_bytes -= hs_min_u64(chosen.garbage_bytes, r->top - r->live_bytes);
    r->state = CP_REGION_SOURCE;
    r->source = true;
    selection.objects += r->live_count;
  }
  hs_mutex_unlock(&heap->lock);
  return selection;
}

const char *cp_verdict_name(cp_verdict verdict) {
  switch (verdict) {
  case CP_VERDICT_ALL:
    return "everything";
  case CP_VERDICT_DENSE:
    return "dense enough";
  case CP_VERDICT_REACHED:
    return "as dense as wanted";
  case CP_VERDICT_BUDGET:
    return "no CPU time left";
  case CP_VERDICT_SOON:
    return "the program would be faster";
  case CP_VERDICT_FULL_REGIONS:
    return "the rest is not worth it";
  }
  return "unknown";
}

// Free entries of sparse slabs serve new objects, so an automatic cycle renames only when the table is
// less than a quarter used, which shows that the program has shrunk, and when there are pages to gain.
static const uint64_t AUTOMATIC_SPARSENESS = 4;
static const uint64_t AUTOMATIC_MIN_SLABS = 64;

bool cp_select_renaming(const cp_table_use *use, cp_effort effort) {
  const uint64_t needed = hs_div_up(use->live_entries, CP_SLAB_ENTRIES);
  if (effort == CP_EFFORT_EVERYTHING) return use->live_entries > 0;
  // One entry at the top of the table holds its page, and the side arrays up to there.
  if (effort == CP_EFFORT_FULL) return use->top_slab > needed;
  return use->occupied_slabs > AUTOMATIC_SPARSENESS * needed + AUTOMATIC_MIN_SLABS;
}
