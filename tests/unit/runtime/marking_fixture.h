// SPDX-License-Identifier: MIT
// The smallest heap that can be marked: an array of objects of a few reference slots, each with a mark
// bit. A reference is the address of an object. Hooks let a test change the graph at exact moments of a
// marking, on the collector's own thread: then everything that happens is in one order.
#ifndef HS_TESTS_UNIT_RUNTIME_MARKING_FIXTURE_H
#define HS_TESTS_UNIT_RUNTIME_MARKING_FIXTURE_H

#include "allocators/base/assert.h"
#include "allocators/runtime/marking.h"

enum { TOY_SLOTS = 3, TOY_OBJECTS = 4096, TOY_BYTES = TOY_SLOTS * sizeof(heap_ref) };

typedef struct toy {
  _Atomic(uintptr_t) slots[TOY_SLOTS];
  _Atomic(uint32_t) mark;
  _Atomic(uint32_t) alive; // 0: free; a reference to it is a mistake of the collector
} toy;
_Static_assert(_Alignof(toy) > HS_GREY_TAGS, "the low bits of a reference are free");

typedef struct toy_heap toy_heap;
typedef void (*toy_hook)(toy_heap *heap);

struct toy_heap {
  hs_world world;
  hs_marking marking;
  toy objects[TOY_OBJECTS];
  toy_hook on_tick;   // after each slice of the collector
  toy_hook on_drain;  // before each slice of anybody
  toy_hook on_black;  // a thread has answered B
  toy_hook on_shade;  // all have answered B, roots are not scanned yet
  toy_hook on_rescan; // before a rescan
  toy_hook on_mark_only;
  unsigned ticks, rescans;                            // calls so far
  _Atomic(uint32_t) drains, mark_onlys, blacks, offs; // the same, of any thread
  void *extra;                                        // the test's own
};

static inline uintptr_t toy_ref(toy_heap *heap, unsigned i) { return (uintptr_t)&heap->objects[i]; }
static inline heap_ref toy_at(toy_heap *heap, unsigned i) { return (heap_ref){toy_ref(heap, i)}; }
static inline bool toy_is_marked(toy_heap *heap, unsigned i) {
  return hs_load_relaxed(&heap->objects[i].mark) != 0;
}
static inline void toy_link(toy_heap *heap, unsigned from, unsigned slot, unsigned to) {
  hs_store_relaxed(&heap->objects[from].slots[slot], toy_ref(heap, to));
}

static inline void toy_call(toy_hook hook, toy_heap *heap) {
  if (hook) hook(heap);
}

// ---- hs_marking_ops -----------------------------------------------------------------------------

static inline bool toy_mark(uintptr_t ref) {
  toy *const object = (toy *)ref;
  HS_REQUIRE(hs_load_relaxed(&object->alive), "a reference to a free object was met");
  return hs_exchange_acq_rel(&object->mark, 1u) == 0;
}

static inline void toy_mark_and_push(hs_grey *grey, uintptr_t ref, hs_marked *done) {
  if (ref == 0 || !toy_mark(ref)) return;
  done->objects_count++;
  done->bytes += TOY_BYTES;
  (void)hs_grey_push(grey, ref);
}

static inline void toy_scan(hs_grey *grey, uintptr_t object, hs_marked *done) {
  for (unsigned i = 0; i < TOY_SLOTS; i++)
    toy_mark_and_push(grey, hs_load_acquire(&((toy *)object)->slots[i]), done);
  done->scanned_bytes += TOY_BYTES;
}

static inline hs_marked toy_drain(void *context, hs_grey *grey, uint64_t refs) {
  toy_heap *const heap = context;
  hs_add_relaxed(&heap->drains, 1u);
  toy_call(heap->on_drain, heap);
  hs_marked done = {0};
  uintptr_t word;
  for (uint64_t looked = 0; looked < refs && hs_grey_pop(grey, &word); looked += TOY_SLOTS) {
    if (word & HS_GREY_REF)
      toy_mark_and_push(grey, word & ~(uintptr_t)HS_GREY_TAGS, &done);
    else
      toy_scan(grey, word, &done);
  }
  return done;
}

static inline void toy_mark_only(void *context, heap_ref ref) {
  toy_heap *const heap = context;
  hs_add_relaxed(&heap->mark_onlys, 1u);
  toy_call(heap->on_mark_only, heap);
  if (toy_mark(ref.bits)) hs_add_relaxed(&heap->marking.objects_count, 1u);
}

static inline hs_marked toy_rescan(void *context, hs_grey *grey) {
  toy_heap *const heap = context;
  heap->rescans++;
  toy_call(heap->on_rescan, heap);
  hs_marked done = {0};
  for (unsigned i = 0; i < TOY_OBJECTS; i++)
    if (toy_is_marked(heap, i)) toy_scan(grey, toy_ref(heap, i), &done);
  return done;
}

static inline bool toy_op_is_marked(void *context, heap_ref ref) {
  (void)context;
  return hs_load_relaxed(&((toy *)ref.bits)->mark) != 0;
}

static inline void toy_shade_roots(void *context, hs_grey *grey) {
  (void)grey;
  toy_heap *const heap = context;
  toy_call(heap->on_shade, heap);
}

static inline void toy_thread_black(void *context, hs_thread *thread) {
  toy_heap *const heap = context;
  HS_REQUIRE(thread->barrier == HS_BARRIER_BLACK, "not black when the heap is told so");
  hs_add_relaxed(&heap->blacks, 1u);
  toy_call(heap->on_black, heap);
}

static inline void toy_thread_off(void *context, hs_thread *thread) {
  toy_heap *const heap = context;
  HS_REQUIRE(thread->barrier == HS_BARRIER_BLACK, "no longer black when it gives up its cache");
  hs_add_relaxed(&heap->offs, 1u);
}

static inline void toy_tick(void *context) {
  toy_heap *const heap = context;
  heap->ticks++;
  toy_call(heap->on_tick, heap);
}

static const hs_marking_ops toy_ops = {
    .drain = toy_drain,
    .mark_only = toy_mark_only,
    .rescan = toy_rescan,
    .is_marked = toy_op_is_marked,
    .shade_roots = toy_shade_roots,
    .thread_black = toy_thread_black,
    .thread_off = toy_thread_off,
};

// ---- the test's side ----------------------------------------------------------------------------

// All objects alive, unmarked and without references.
static inline void toy_open(toy_heap *heap, unsigned worker_count) {
  *heap = (toy_heap){0};
  for (unsigned i = 0; i < TOY_OBJECTS; i++) hs_store_relaxed(&heap->objects[i].alive, 1u);
  hs_world_init(&heap->world, NULL);
  hs_marking_init(&heap->marking, &heap->world, heap, &toy_ops, worker_count);
}

static inline void toy_close(toy_heap *heap) {
  hs_marking_destroy(&heap->marking);
  hs_world_destroy(&heap->world);
}

// A thread that the collector serves: the test acts for it without leaving its blocking region, which
// only a test on one OS thread may do.
static inline void toy_enter(toy_heap *heap, hs_thread *thread) {
  hs_thread_attach(&heap->world, thread);
  hs_blocking_begin(thread);
}

static inline void toy_leave(hs_thread *thread) {
  hs_blocking_end(thread);
  hs_thread_detach(thread);
}

static inline void toy_store(toy_heap *heap, hs_thread *thread, unsigned object, unsigned slot,
                             uintptr_t value) {
  hs_barrier_store(thread, &heap->objects[object].slots[slot], value);
}

static inline void toy_run(toy_heap *heap) {
  hs_world_enter_collector(&heap->world, NULL);
  hs_marking_run(&heap->marking, NULL, toy_tick);
}

static inline void toy_end(toy_heap *heap) {
  hs_marking_end(&heap->marking, NULL);
  hs_world_leave_collector(&heap->world);
}

#endif
