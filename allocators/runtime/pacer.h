// SPDX-License-Identifier: MIT
// When to collect: one rule for every traced heap, so that collection frequency differs by design
// and not by accident. goal = marked * (1 + gogc/100), at least min_heap * gogc/100 (Go 1.18+,
// golang/go #44167, without the concurrent terms).
#ifndef HS_RUNTIME_PACER_H
#define HS_RUNTIME_PACER_H

#include <stdint.h>

#include "allocators/heap_types.h"

// Heap size in bytes at which the next cycle starts: marked + (marked + roots) * gogc/100, at least
// min_heap * gogc/100 and at least 64 KiB above marked. UINT64_MAX when gogc is off. `roots_bytes`
// is scanned root memory and counts as in Go. limit_bytes > 0 caps the goal, also when gogc is off
// (as GOMEMLIMIT does), but never below marked_bytes. Saturates instead of overflowing.
uint64_t hs_pacer_goal_bytes(const heap_config *config, uint64_t marked_bytes,
                             uint64_t roots_bytes);

#endif
