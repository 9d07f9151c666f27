// SPDX-License-Identifier: MIT
// Statistics that follow from others, so that every heap derives them alike.
#ifndef HS_RUNTIME_STATS_H
#define HS_RUNTIME_STATS_H

#include "allocators/heap_stats.h"

// Fill in heap_idle, heap_usage, max_fragmentation and footprint wherever their inputs are present.
void hs_stats_derive(heap_stats *stats);

// NULL when all hold, or the text of the first violated identity (Go MemStats: sys = idle + inuse,
// idle >= released, inuse >= alloc, mallocs - frees = objects, usage, footprint).
const char *hs_stats_violation(const heap_stats *stats);

// into += from for every number present in both; numbers absent in either become absent.
void hs_stats_sum(heap_stats *into, const heap_stats *from);

#endif
