// SPDX-License-Identifier: MIT
// What the tests of the live heap share: a heap with one thread, and shorthands.
#ifndef NONMOVING_TEST_KIT_H
#define NONMOVING_TEST_KIT_H

#include "cm.h"

#include "allocators/runtime/config.h"
#include "nonmoving/nm_internal.h"

typedef struct kit {
  nonmoving_heap *heap;
  nonmoving_thread *t;
} kit;

// No automatic collection, no background thread: tests say when things happen.
static inline heap_config kit_config(void) {
  heap_config config = hs_config_default();
  config.gogc_percent = -1;
  config.scavenge = 0;
  return config;
}

static inline kit kit_make(heap_config config) {
  kit k;
  assert_int_equal(nonmoving_create(&config, &k.heap), HEAP_OK);
  assert_int_equal(nonmoving_thread_enter(k.heap, &k.t), HEAP_OK);
  return k;
}

// From here on no cycle is run and no span swept but by the test's threads.
static inline void kit_stop_background(kit *k) { hs_background_stop(&k->heap->collector); }

static inline void kit_free(kit *k) {
  assert_true(nonmoving_verify(k->t));
  nonmoving_thread_leave(k->t);
  nonmoving_destroy(k->heap);
}

static inline heap_ref kit_alloc(kit *k, size_t refs, size_t bytes) {
  const heap_ref ref = nonmoving_alloc(k->t, refs, bytes);
  assert_false(heap_is_null(ref));
  return ref;
}

static inline uint64_t kit_stat(kit *k, heap_stat which) {
  heap_stats stats;
  nonmoving_stats_read(k->t, &stats);
  assert_true(heap_stats_has(&stats, which));
  return stats.value[which];
}

static inline nm_span *kit_span(const kit *k, heap_ref ref) {
  return nm_span_find(k->heap, ref.bits);
}

// `count` objects of `bytes`, linked into table slots; slots must be `count`.
static inline void kit_fill(kit *k, heap_ref table, size_t count, size_t bytes) {
  for (size_t i = 0; i < count; i++) nonmoving_store(k->t, table, i, kit_alloc(k, 0, bytes));
}

#define KIT_FRAME(k, name, count)                                                                  \
  heap_ref name[count];                                                                            \
  heap_frame name##_frame;                                                                         \
  nonmoving_frame_push((k)->t, &name##_frame, name, (count))
#define KIT_FRAME_END(k, name) nonmoving_frame_pop((k)->t, &name##_frame)

#endif
