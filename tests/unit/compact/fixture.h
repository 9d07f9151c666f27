// SPDX-License-Identifier: MIT
// What the tests of the compacting heap share: a heap with one thread, and its statistics.
#ifndef COMPACT_FIXTURE_H
#define COMPACT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compact/cp_internal.h" // before heap.h, whose type names would shadow parameters

#include "allocators/heap.h"
#include "allocators/runtime/config.h"
#include "allocators/runtime/stats.h"

typedef struct fixture {
  heap *h;
  heap_thread *t;
} fixture;

static inline fixture fixture_open(heap_config config) {
  fixture f;
  assert_int_equal(heap_create(&config, &f.h), HEAP_OK);
  assert_int_equal(heap_thread_enter(f.h, &f.t), HEAP_OK);
  return f;
}

// Collections only when asked for.
static inline fixture fixture_open_quiet(void) {
  heap_config config = hs_config_default();
  config.gogc_percent = -1;
  return fixture_open(config);
}

static inline void fixture_close(fixture f) {
  assert_true(heap_verify(f.t));
  heap_thread_leave(f.t);
  heap_destroy(f.h);
}

static inline uint64_t stat_of(fixture f, heap_stat which) {
  heap_stats stats;
  heap_stats_read(f.t, &stats);
  assert_null(hs_stats_violation(&stats));
  assert_true(heap_stats_has(&stats, which));
  return stats.value[which];
}
#define STAT(f, name) stat_of((f), HEAP_STAT_##name)

// A rooted array of `count` objects of `bytes` raw bytes, each beginning with its index.
static inline void fill_array(fixture f, heap_ref *root, size_t count, size_t bytes) {
  *root = heap_alloc(f.t, count, 0);
  assert_false(heap_is_null(*root));
  for (size_t i = 0; i < count; i++) {
    const heap_ref object = heap_alloc(f.t, 0, bytes);
    assert_false(heap_is_null(object));
    *(uint64_t *)heap_write(f.t, object, 0) = i;
    heap_store(f.t, *root, i, object);
  }
}

static inline void keep_every(fixture f, heap_ref root, size_t count, size_t step) {
  for (size_t i = 0; i < count; i++)
    if (i % step != 0) heap_store(f.t, root, i, HEAP_NULL);
}

static inline void check_array(fixture f, heap_ref root, size_t count, size_t step) {
  for (size_t i = 0; i < count; i += step) {
    const heap_ref object = heap_load(f.t, root, i);
    assert_false(heap_is_null(object));
    assert_int_equal(*(const uint64_t *)heap_read(f.t, object, 0), i);
  }
}

#endif
