// SPDX-License-Identifier: MIT
#include "workloads/reference/model/model_heap.h"

#include <stdlib.h>
#include <string.h>

#include "allocators/base/assert.h"

static void *model_resize(void *memory, size_t count) {
  void *resized = realloc(memory, (count ? count : 1) * sizeof(uint32_t));
  HS_REQUIRE(resized, "the model needs %zu bytes, which cannot be had: use a smaller count",
             count * sizeof(uint32_t));
  return resized;
}

static model_pool *model_pool_of(model_heap *heap, uint64_t size, bool has_pointers) {
  const model_layout layout = model_layout_of(size, has_pointers);
  for (size_t i = 0; i < heap->pool_count; i++) {
    model_pool *pool = &heap->pools[i];
    if (pool->has_pointers == has_pointers && pool->layout.slot_bytes == layout.slot_bytes &&
        pool->layout.per_slot == layout.per_slot)
      return pool;
  }
  HS_REQUIRE(heap->pool_count < MODEL_POOLS, "more than %d size classes in use", MODEL_POOLS);
  model_pool *pool = &heap->pools[heap->pool_count++];
  *pool = (model_pool){.layout = layout, .has_pointers = has_pointers};
  return pool;
}

static void model_pool_grow(model_pool *pool, size_t spans) {
  if (pool->span_count + spans > pool->capacity) {
    pool->capacity = pool->span_count + spans;
    pool->used = model_resize(pool->used, pool->capacity);
  }
  memset(pool->used + pool->span_count, 0, spans * sizeof *pool->used);
  pool->span_count += spans;
}

// Put slots into the spans for which `partial` holds; returns how many did not fit.
static uint64_t model_fill(model_batch *batch, uint64_t slots, bool partial) {
  model_pool *pool = batch->pool;
  for (size_t i = 0; i < pool->span_count && slots > 0; i++) {
    if ((pool->used[i] > 0) != partial) continue;
    const uint64_t room = pool->layout.slots - pool->used[i];
    const uint64_t taken = slots < room ? slots : room;
    pool->used[i] += (uint32_t)taken;
    batch->added[i] += (uint32_t)taken;
    slots -= taken;
  }
  return slots;
}

model_batch model_allocate(model_heap *heap, uint64_t count, uint64_t size, bool has_pointers) {
  model_pool *pool = model_pool_of(heap, size, has_pointers);
  const model_layout *layout = &pool->layout;
  uint64_t slots = (count + layout->per_slot - 1) / layout->per_slot, free_slots = 0;
  for (size_t i = 0; i < pool->span_count; i++) free_slots += layout->slots - pool->used[i];
  if (slots > free_slots)
    model_pool_grow(pool, (size_t)((slots - free_slots + layout->slots - 1) / layout->slots));

  model_batch batch = {.pool = pool, .span_count = pool->span_count, .object_count = count};
  batch.added = model_resize(NULL, batch.span_count);
  memset(batch.added, 0, batch.span_count * sizeof *batch.added);
  slots = model_fill(&batch, slots, true);
  slots = model_fill(&batch, slots, false);
  HS_ASSERT(slots == 0);
  return batch;
}

void model_keep(model_batch *batch, uint64_t step) {
  const model_layout *layout = &batch->pool->layout;
  for (size_t i = 0; i < batch->span_count; i++) batch->pool->used[i] -= batch->added[i];
  memset(batch->added, 0, batch->span_count * sizeof *batch->added);
  uint64_t previous_slot = UINT64_MAX; // survivors in one tiny block count once
  for (uint64_t object = 0; object < batch->object_count; object += step) {
    const uint64_t slot = object / layout->per_slot;
    if (slot == previous_slot) continue;
    previous_slot = slot;
    batch->added[slot / layout->slots]++;
    batch->pool->used[slot / layout->slots]++;
  }
}

void model_drop(model_batch *batch) {
  for (size_t i = 0; i < batch->span_count; i++) batch->pool->used[i] -= batch->added[i];
  free(batch->added);
  *batch = (model_batch){0};
}

model_totals model_measure(const model_heap *heap) {
  model_totals totals = {0, 0};
  for (size_t p = 0; p < heap->pool_count; p++) {
    const model_pool *pool = &heap->pools[p];
    for (size_t i = 0; i < pool->span_count; i++) {
      if (pool->used[i] == 0) continue;
      totals.usage_bytes += pool->layout.span_bytes;
      totals.alloc_bytes += pool->used[i] * pool->layout.slot_bytes;
    }
  }
  return totals;
}

void model_heap_free(model_heap *heap) {
  for (size_t i = 0; i < heap->pool_count; i++) free(heap->pools[i].used);
  *heap = (model_heap){.pool_count = 0};
}
