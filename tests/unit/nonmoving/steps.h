// SPDX-License-Identifier: MIT
// A concurrent cycle step by step on one OS thread: the test's first thread collects, and hooks in the
// marking's table of operations act for a second one, which is blocked as far as the collector knows.
#ifndef NONMOVING_TEST_STEPS_H
#define NONMOVING_TEST_STEPS_H

#include "kit.h"

typedef void (*step_hook)(void);

static struct steps {
  kit k;                   // of the thread that collects
  nonmoving_thread *other; // the program
  step_hook on_grey;       // `other` has answered A and not B, the collector's own thread both
  step_hook on_shade;      // both are BLACK; roots and pins are not scanned
  step_hook on_drain;      // before each slice
  step_hook on_turned;     // the bitmaps have turned; the collector's thread is answering C
  unsigned drains;         // of this cycle
} steps;

static inline void steps_call(step_hook hook) {
  if (hook) hook();
}

static inline void steps_thread_black(void *heap, hs_thread *thread) {
  nm_marking_ops.thread_black(heap, thread);
  if (thread == &steps.k.t->base) steps_call(steps.on_grey);
}

static inline void steps_shade_roots(void *heap, hs_grey *grey) {
  steps_call(steps.on_shade);
  nm_marking_ops.shade_roots(heap, grey);
}

static inline hs_marked steps_drain(void *heap, hs_grey *grey, uint64_t refs) {
  steps.drains++;
  steps_call(steps.on_drain);
  return nm_marking_ops.drain(heap, grey, refs);
}

static inline void steps_thread_off(void *heap, hs_thread *thread) {
  if (thread == &steps.k.t->base) steps_call(steps.on_turned);
  nm_marking_ops.thread_off(heap, thread);
}

// No background thread, no cycle but those the test asks for.
static inline void steps_open(int64_t verify) {
  static hs_marking_ops ops;
  heap_config config = kit_config();
  config.verify = verify;
  config.workers = 1;
  steps = (struct steps){.k = kit_make(config)};
  kit_stop_background(&steps.k);
  ops = nm_marking_ops;
  ops.thread_black = steps_thread_black;
  ops.shade_roots = steps_shade_roots;
  ops.drain = steps_drain;
  ops.thread_off = steps_thread_off;
  steps.k.heap->marking.ops = &ops;
  assert_int_equal(nonmoving_thread_enter(steps.k.heap, &steps.other), HEAP_OK);
  nonmoving_blocking_begin(steps.other);
}

static inline void steps_close(void) {
  steps.on_grey = steps.on_shade = steps.on_drain = steps.on_turned = NULL;
  if (steps.other) {
    nonmoving_blocking_end(steps.other);
    nonmoving_thread_leave(steps.other);
  }
  kit_free(&steps.k);
}

static inline void steps_collect(void) {
  steps.drains = 0;
  nonmoving_collect(steps.k.t, HEAP_COLLECT_FULL);
}

// Allocation by `other`, which polls when it has to ask for a run, and may then answer the handshake that
// is under way.
static inline heap_ref steps_alloc(size_t refs, size_t bytes) {
  nonmoving_blocking_end(steps.other);
  const heap_ref ref = nonmoving_alloc(steps.other, refs, bytes);
  nonmoving_blocking_begin(steps.other);
  HS_REQUIRE(!heap_is_null(ref), "no memory");
  return ref;
}

// The same from a run that it has, inside a handshake: nothing is answered.
static inline heap_ref steps_alloc_quick(size_t refs, size_t bytes) {
  const heap_ref ref = nonmoving_alloc(steps.other, refs, bytes);
  HS_REQUIRE(!heap_is_null(ref), "no memory");
  return ref;
}

static inline bool steps_is_allocated(heap_ref ref) {
  const nm_span *const span = kit_span(&steps.k, ref);
  if (!span) return false;
  const size_t offset = ref.bits - nm_span_base(steps.k.heap, span);
  return nm_span_is_allocated(steps.k.heap, span, (unsigned)(offset / nm_span_slot_bytes(span)));
}

#endif
