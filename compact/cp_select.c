// SPDX-License-Identifier: MIT
// Which regions to empty and when to rename: policy only, no effect but the choice. Freeing one byte
// of a region with live fraction u costs u / (1 - u) bytes copied, so the emptiest regions come first.
//
// Note [selection]
//   The footprint that is meant here is that of regions with objects in them; a dense heap's is its live bytes.
//     above MUST    regions are emptied whatever it costs: garbage in a region can be reused in no other way,
//                   and what is not reused the heap has to grow by
//     above START   as far as the budget of CPU time goes (compaction_cpu=), which is then the price of memory
//     down to STOP  and no further
//   A cycle says at what it stopped (cp_verdict; trace=compact).
#include "compact/cp_internal.h"

static const uint32_t MUST_PERCENT = 125, START_PERCENT = 110, STOP_PERCENT = 103; // of live bytes
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

static bool exceeds(uint64_t used_bytes, uint64_t live_bytes, uint32_t percent) {
  return used_bytes * 100 > live_bytes * percent;
}

uint64_t cp_select_budget_bytes(const compact_heap *heap, uint64_t interval_ns) {
  const double share = (double)heap->config.compaction_cpu_percent / 100 * heap->cores;
  const double bytes = (double)interval_ns * share * heap->moved_bytes_per_ns;
  return bytes < (double)(UINT64_MAX / 4) ? (uint64_t)bytes : UINT64_MAX / 4;
}

// Sources have fractions below the one returned.
static uint32_t choose(const census *c, uint64_t budget_bytes, cp_selection *s) {
  uint64_t used = c->used_bytes;
  uint32_t fraction = 0;
  s->live_bytes = c->live_bytes;
  s->used_bytes = used;
  s->verdict = CP_VERDICT_DENSE;
  if (exceeds(used, c->live_bytes, START_PERCENT) && used - c->live_bytes >= MIN_GAIN_BYTES) {
    s->verdict = CP_VERDICT_FULL_REGIONS;
    for (; fraction < FRACTIONS; fraction++) {
      if (!exceeds(used, c->live_bytes, STOP_PERCENT)) {
        s->verdict = CP_VERDICT_REACHED;
        break;
      }
      if (!exceeds(used, c->live_bytes, MUST_PERCENT) &&
          s->moving_bytes + c->live[fraction] > budget_bytes) {
        s->verdict = CP_VERDICT_BUDGET;
        break;
      }
      used -= c->used[fraction] - c->live[fraction];
      s->moving_bytes += c->live[fraction];
    }
  }
  s->predicted_bytes = used;
  return fraction;
}

cp_selection cp_select_sources(compact_heap *heap, uint32_t regions, cp_effort effort,
                               uint64_t budget_bytes) {
  cp_selection selection = {0};
  census c;
  hs_mutex_lock(&heap->lock);
  census_take_locked(heap, regions, effort, &c);
  const uint32_t end = effort == CP_EFFORT_AUTOMATIC && !heap->pacer.memory_limited
                           ? choose(&c, budget_bytes, &selection)
                           : FRACTIONS;
  for (uint32_t region = 1; region < regions; region++) {
    cp_region *const r = cp_region_at(heap, region);
    if (!cp_select_is_source(r, effort) || r->live_count == 0 || fraction_of(r) >= end) continue;
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
