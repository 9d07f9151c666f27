// SPDX-License-Identifier: MIT
#include "allocators/runtime/stats.h"

#include <stddef.h>

_Static_assert(HEAP_STAT_COUNT <= 64, "heap_stats.present has a bit per statistic");

static const char *const names[HEAP_STAT_COUNT] = {
#define STAT_NAME(name, meaning) #name,
    HEAP_STAT_LIST(STAT_NAME)
#undef STAT_NAME
};

static const char *const meanings[HEAP_STAT_COUNT] = {
#define STAT_MEANING(name, meaning) meaning,
    HEAP_STAT_LIST(STAT_MEANING)
#undef STAT_MEANING
};

const char *heap_stat_name(heap_stat which) {
  return (unsigned)which < HEAP_STAT_COUNT ? names[which] : NULL;
}

const char *heap_stat_meaning(heap_stat which) {
  return (unsigned)which < HEAP_STAT_COUNT ? meanings[which] : NULL;
}

// ---- identities ---------------------------------------------------------------------------------

static bool has_both(const heap_stats *stats, heap_stat a, heap_stat b) {
  return heap_stats_has(stats, a) && heap_stats_has(stats, b);
}

static void derive_difference(heap_stats *stats, heap_stat out, heap_stat from, heap_stat less) {
  if (has_both(stats, from, less))
    heap_stats_set(stats, out, stats->value[from] - stats->value[less]);
}

static uint64_t hollow(const heap_stats *stats) {
  return heap_stats_has(stats, HEAP_STAT_hollow_bytes) ? stats->value[HEAP_STAT_hollow_bytes] : 0;
}

void hs_stats_derive(heap_stats *stats) {
  derive_difference(stats, HEAP_STAT_heap_idle_bytes, HEAP_STAT_heap_sys_bytes,
                    HEAP_STAT_heap_inuse_bytes);
  derive_difference(stats, HEAP_STAT_heap_usage_bytes, HEAP_STAT_heap_sys_bytes,
                    HEAP_STAT_heap_released_bytes);
  derive_difference(stats, HEAP_STAT_max_fragmentation_bytes, HEAP_STAT_heap_inuse_bytes,
                    HEAP_STAT_heap_alloc_bytes);
  if (has_both(stats, HEAP_STAT_heap_usage_bytes, HEAP_STAT_metadata_bytes))
    heap_stats_set(stats, HEAP_STAT_footprint_bytes,
                   stats->value[HEAP_STAT_heap_usage_bytes] +
                       stats->value[HEAP_STAT_metadata_bytes] - hollow(stats));
}

static bool all_present(const heap_stats *stats, heap_stat a, heap_stat b, heap_stat c) {
  return has_both(stats, a, b) && heap_stats_has(stats, c);
}

// total == part + rest, or one of them is absent.
static bool is_sum(const heap_stats *stats, heap_stat total, heap_stat part, heap_stat rest) {
  return !all_present(stats, total, part, rest) ||
         stats->value[total] == stats->value[part] + stats->value[rest];
}

// small <= large, or one of them is absent.
static bool is_within(const heap_stats *stats, heap_stat small, heap_stat large) {
  return !has_both(stats, small, large) || stats->value[small] <= stats->value[large];
}

const char *hs_stats_violation(const heap_stats *stats) {
  const struct {
    bool holds;
    const char *text;
  } identities[] = {
      {is_sum(stats, HEAP_STAT_heap_sys_bytes, HEAP_STAT_heap_idle_bytes,
              HEAP_STAT_heap_inuse_bytes),
       "heap_sys = heap_idle + heap_inuse"},
      {is_within(stats, HEAP_STAT_heap_released_bytes, HEAP_STAT_heap_idle_bytes),
       "heap_released <= heap_idle"},
      {is_within(stats, HEAP_STAT_heap_alloc_bytes, HEAP_STAT_heap_inuse_bytes),
       "heap_alloc <= heap_inuse"},
      {is_sum(stats, HEAP_STAT_mallocs_count, HEAP_STAT_frees_count, HEAP_STAT_heap_objects_count),
       "mallocs = frees + heap_objects"},
      {is_within(stats, HEAP_STAT_heap_alloc_bytes, HEAP_STAT_total_alloc_bytes),
       "heap_alloc <= total_alloc"},
      {is_sum(stats, HEAP_STAT_heap_sys_bytes, HEAP_STAT_heap_usage_bytes,
              HEAP_STAT_heap_released_bytes),
       "heap_usage = heap_sys - heap_released"},
      {is_sum(stats, HEAP_STAT_heap_inuse_bytes, HEAP_STAT_max_fragmentation_bytes,
              HEAP_STAT_heap_alloc_bytes),
       "max_fragmentation = heap_inuse - heap_alloc"},
      {is_within(stats, HEAP_STAT_handle_table_bytes, HEAP_STAT_metadata_bytes),
       "handle_table <= metadata"},
      {!all_present(stats, HEAP_STAT_footprint_bytes, HEAP_STAT_heap_usage_bytes,
                    HEAP_STAT_metadata_bytes) ||
           stats->value[HEAP_STAT_footprint_bytes] + hollow(stats) ==
               stats->value[HEAP_STAT_heap_usage_bytes] + stats->value[HEAP_STAT_metadata_bytes],
       "footprint = heap_usage + metadata - hollow"},
      {is_within(stats, HEAP_STAT_hollow_bytes, HEAP_STAT_heap_inuse_bytes),
       "hollow <= heap_inuse"},
      {is_within(stats, HEAP_STAT_forced_cycles_count, HEAP_STAT_cycles_count),
       "forced_cycles <= cycles"},
  };
  for (size_t i = 0; i < sizeof identities / sizeof identities[0]; i++)
    if (!identities[i].holds) return identities[i].text;
  return NULL;
}

void hs_stats_sum(heap_stats *into, const heap_stats *from) {
  into->present &= from->present;
  for (int i = 0; i < HEAP_STAT_COUNT; i++)
    into->value[i] = heap_stats_has(into, (heap_stat)i) ? into->value[i] + from->value[i] : 0;
}
