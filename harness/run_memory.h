// SPDX-License-Identifier: MIT
// Memory of the harness itself inside a measured process: mapped apart from every heap under test,
// touched at once and counted, so that `harness_bytes` of a record is what it costs in RSS. Nothing
// in a runner calls malloc before the last measurement is taken: malloc may be what is measured.
#ifndef RUN_MEMORY_H
#define RUN_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "allocators/base/atomic.h"

typedef struct run_memory {
  _Atomic(uint64_t) bytes; // [atomic] resident bytes handed out
} run_memory;

// Zeroed, resident memory rounded up to pages; NULL when the OS refuses. Any thread.
void *run_memory_map(run_memory *memory, size_t bytes);

// Undo run_memory_map with the same size; accepts NULL.
void run_memory_unmap(run_memory *memory, void *start, size_t bytes);

uint64_t run_memory_bytes(run_memory *memory);

#endif
