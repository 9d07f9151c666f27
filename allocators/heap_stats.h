// SPDX-License-Identifier: MIT
// The numbers every heap reports: one list from which the struct, the records, the tables and the
// documentation derive. Names carry their unit. A number a heap cannot measure is absent, not zero.
#ifndef HEAP_STATS_H
#define HEAP_STATS_H

#include <stdbool.h>
#include <stdint.h>

// X(name, meaning)
#define HEAP_STAT_LIST(X)                                                                          \
  X(heap_sys_bytes, "address space obtained for objects: in use + idle (Go MemStats HeapSys)")     \
  X(heap_released_bytes, "of that, returned to the OS or never touched (HeapReleased)")            \
  X(heap_idle_bytes, "of that, in no span or region (HeapIdle, includes released)")                \
  X(heap_inuse_bytes, "spans or regions that hold at least one object (HeapInuse)")                \
  X(heap_alloc_bytes, "slots or object extents allocated and not yet swept (HeapAlloc)")           \
  X(heap_objects_count, "objects allocated and not yet swept (HeapObjects)")                       \
  X(heap_usage_bytes, "heap_sys - heap_released: the seed's heapUsage")                            \
  X(max_fragmentation_bytes, "heap_inuse - heap_alloc: the seed's maxFragmentation")               \
  X(metadata_bytes, "resident bytes of everything else the heap owns")                             \
  X(handle_table_bytes, "part of metadata: resident bytes of the handle table")                    \
  X(hollow_bytes, "given back inside spans or regions in use, at the grain of OS pages")           \
  X(footprint_bytes, "heap_usage + metadata - hollow: the honest total")                           \
  X(total_alloc_bytes, "cumulative bytes allocated")                                               \
  X(mallocs_count, "cumulative objects allocated")                                                 \
  X(frees_count, "cumulative objects found dead or freed")                                         \
  X(next_gc_bytes, "heap size at which the next collection starts")                                \
  X(cycles_count, "completed collections")                                                         \
  X(forced_cycles_count, "of those, asked for by the program")                                     \
  X(gc_cpu_ns, "CPU time spent collecting, all threads")                                           \
  X(marked_bytes, "bytes found live by the last collection")                                       \
  X(moved_bytes, "cumulative bytes copied by compaction")                                          \
  X(aborted_moves_count, "cumulative moves beside the program that a writer or a pin prevented")   \
  X(fallback_stops_count, "cumulative stops for objects that could not be moved beside it")        \
  X(renamed_count, "cumulative handles renamed to defragment the handle table")                    \
  X(scavenged_bytes, "cumulative bytes returned to the OS")                                        \
  X(peak_footprint_bytes, "largest footprint seen at a growth of the heap")

typedef enum heap_stat {
#define HEAP_STAT_ENUM(name, meaning) HEAP_STAT_##name,
  HEAP_STAT_LIST(HEAP_STAT_ENUM)
#undef HEAP_STAT_ENUM
      HEAP_STAT_COUNT
} heap_stat;

// value[s] is meaningful only where bit s of present is set.
typedef struct heap_stats {
  uint64_t present;
  uint64_t value[HEAP_STAT_COUNT];
} heap_stats;

static inline void heap_stats_set(heap_stats *stats, heap_stat which, uint64_t value) {
  stats->value[which] = value;
  stats->present |= 1ull << which;
}

static inline bool heap_stats_has(const heap_stats *stats, heap_stat which) {
  return (stats->present >> which) & 1;
}

// Name of a statistic, static storage; NULL when out of range.
const char *heap_stat_name(heap_stat which);
const char *heap_stat_meaning(heap_stat which);

#endif
