// SPDX-License-Identifier: MIT
#include "harness/run_memory.h"

#include "allocators/base/bits.h"
#include "allocators/os/os.h"

static size_t run_memory_round(size_t bytes) {
  return hs_align_up(bytes ? bytes : 1, hs_os_page_bytes());
}

void *run_memory_map(run_memory *memory, size_t bytes) {
  const size_t page = hs_os_page_bytes();
  if (bytes > SIZE_MAX - page) return NULL;
  const size_t rounded = run_memory_round(bytes);
  void *start = NULL;
  if (hs_os_map(rounded, page, &start) != 0) return NULL;
  // One write per page makes it resident now: no page fault later inside a timed section.
  for (size_t at = 0; at < rounded; at += page) ((volatile char *)start)[at] = 0;
  hs_add_relaxed(&memory->bytes, rounded); // a statistic: orders nothing
  return start;
}

void run_memory_unmap(run_memory *memory, void *start, size_t bytes) {
  if (!start) return;
  const size_t rounded = run_memory_round(bytes);
  hs_os_unmap(start, rounded);
  hs_sub_relaxed(&memory->bytes, rounded);
}

uint64_t run_memory_bytes(run_memory *memory) { return hs_load_relaxed(&memory->bytes); }
