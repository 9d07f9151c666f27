// SPDX-License-Identifier: MIT
// A heap that is only counted: for every size class the number of used slots in each span. Objects
// of a class fill partly used spans in address order, then fresh ones; a span without objects is
// returned. That is all of Go's heap that its heapUsage and maxFragmentation depend on, so the
// numbers follow from the layout alone and no memory is allocated for any object.
#ifndef MODEL_HEAP_H
#define MODEL_HEAP_H

#include "workloads/reference/model/size_classes.h"

enum { MODEL_POOLS = 8 }; // different classes that one program uses; the seed's use at most 5

// Spans of one class. Invariant: used[i] <= layout.slots.
typedef struct model_pool {
  model_layout layout;
  bool has_pointers;
  uint32_t *used;
  size_t span_count, capacity;
} model_pool;

typedef struct model_heap {
  model_pool pools[MODEL_POOLS];
  size_t pool_count;
} model_heap;

// Objects allocated together, for dropping them again: added[i] slots in span i of the pool.
typedef struct model_batch {
  model_pool *pool;
  uint32_t *added;
  size_t span_count;
  uint64_t object_count;
} model_batch;

typedef struct model_totals {
  uint64_t usage_bytes, alloc_bytes;
} model_totals;

// `count` objects of `size` bytes, in allocation order.
model_batch model_allocate(model_heap *heap, uint64_t count, uint64_t size, bool has_pointers);

// Of a batch that was the first of its class: keep objects 0, step, 2 step, ... and drop the rest.
void model_keep(model_batch *batch, uint64_t step);

void model_drop(model_batch *batch);
model_totals model_measure(const model_heap *heap);
void model_heap_free(model_heap *heap);

#endif
