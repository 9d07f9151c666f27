// SPDX-License-Identifier: MIT
// Steps that the seed programs have in common ("Memory Fragmentation in Go", 2023): allocate many
// pointer-free objects behind an array of pointers, keep every n-th, read back, drop.
// The arrays of pointers are heap objects of `count` slots, as in Go: their 8 bytes per entry are
// part of what the seed measures. Every table lives in a root slot passed by address (R2).
#ifndef WORKLOAD_SEED_H
#define WORKLOAD_SEED_H

#include "workloads/support.h"

// Limits of the parameters: 2^28 objects of 16 B are 4 GiB; larger runs are not this program's point.
#define SEED_COUNT_HIGH (1ull << 28)
#define SEED_SIZE_HIGH (1ull << 28)

// clang-format off
#define SEED_PARAM_COUNT {"count", "objects allocated", 1 << 20, 1, SEED_COUNT_HIGH, NULL}
#define SEED_PARAM_SIZE {"size", "bytes of one object, pointer-free", 16, 1, SEED_SIZE_HIGH, NULL}
#define SEED_PARAM_STEP {"step", "every step-th object is kept", 512, 1, SEED_COUNT_HIGH, NULL}
// clang-format on

// Objects of one batch: object i has the tag content_tag(seed, batch, i).
typedef struct seed_batch {
  uint64_t number; // distinguishes the batches of one run
  size_t count;
  size_t size;
} seed_batch;

static inline size_t seed_kept_count(size_t count, size_t step) { return (count - 1) / step + 1; }

// Payload of `count` objects of `size` bytes and the array of pointers to them.
static inline uint64_t seed_live_bytes(size_t count, size_t size) {
  return (uint64_t)count * (sizeof(heap_ref) + size);
}

// *table becomes an array of pointers to batch.count fresh objects.
static inline void seed_allocate(workload_run *run, heap_ref *table, seed_batch batch) {
  heap_thread *t = workload_thread(run);
  const uint64_t seed = workload_seed(run);
  *table = workload_new(run, t, batch.count, 0);
  for (size_t i = 0; i < batch.count; i++) {
    const heap_ref object = workload_new(run, t, 0, batch.size);
    content_write(heap_write(t, object, 0), batch.size, content_tag(seed, batch.number, i));
    heap_store(t, *table, i, object);
  }
}

// *kept becomes an array of every step-th object of *table; the table and the others die.
static inline void seed_keep(workload_run *run, heap_ref *kept, heap_ref *table, size_t count,
                             size_t step) {
  heap_thread *t = workload_thread(run);
  *kept = workload_new(run, t, seed_kept_count(count, step), 0);
  for (size_t i = 0; i < count; i++) {
    const heap_ref object = heap_load(t, *table, i);
    if (i % step == 0)
      heap_store(t, *kept, i / step, object);
    else
      heap_discard(t, object);
  }
  heap_discard(t, *table);
  *table = HEAP_NULL;
}

static inline void seed_read_object(workload_run *run, const void *bytes, seed_batch batch,
                                    size_t index) {
  const uint64_t tag = content_tag(workload_seed(run), batch.number, index);
  if (!content_matches(bytes, batch.size, tag))
    workload_invalid(run, "object %zu of batch %llu has wrong content", index,
                     (unsigned long long)batch.number);
  workload_checksum_add(run, content_digest(bytes, batch.size));
}

// Read back every object of an array that holds objects 0, step, 2 step, ... of a batch.
static inline void seed_read(workload_run *run, heap_ref table, seed_batch batch, size_t step) {
  heap_thread *t = workload_thread(run);
  const size_t kept = seed_kept_count(batch.count, step);
  for (size_t i = 0; i < kept; i++)
    seed_read_object(run, heap_read(t, heap_load(t, table, i), 0), batch, i * step);
}

// The array of `count` pointers and everything in it die.
static inline void seed_drop(workload_run *run, heap_ref *table, size_t count) {
  heap_thread *t = workload_thread(run);
  for (size_t i = 0; i < count; i++) heap_discard(t, heap_load(t, *table, i));
  heap_discard(t, *table);
  *table = HEAP_NULL;
}

#endif
