// SPDX-License-Identifier: MIT
// Marking beside threads that rewrite the graph without pause. After each marking the world is stopped
// and the graph walked: whatever is reachable is marked, as the barrier promises; the rest is freed at
// once, so that a reference that was missed is met as a free object. Run under ThreadSanitizer too.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "allocators/base/rng.h"
#include "tests/unit/runtime/marking_fixture.h"
#include "tests/unit/seed.h"

enum { THREADS = 4, FRAME_SLOTS = 6, SHARED = 8, MARKINGS = 150 };

static toy_heap heap;
static hs_mutex lock; // the free list and the shared slots
static unsigned free_objects[TOY_OBJECTS], free_count;
static heap_ref shared[SHARED]; // a global root range; threads hand objects over here
static _Atomic(uint32_t) ready, done, allocated;

typedef struct actor {
  hs_thread base; // first
  hs_rng rng;
  hs_os_thread os;
} actor;

static uintptr_t load(uintptr_t object, unsigned slot) {
  toy *const o = (toy *)object;
  HS_REQUIRE(hs_load_relaxed(&o->alive), "a thread met a free object");
  return hs_load_relaxed(&o->slots[slot]);
}

// 0 when there is none left. As a heap does: marked when the thread is black.
static uintptr_t allocate(actor *self) {
  uintptr_t object = 0;
  hs_mutex_lock(&lock);
  if (free_count > 0) object = toy_ref(&heap, free_objects[--free_count]);
  hs_mutex_unlock(&lock);
  if (object == 0) return 0;
  toy *const o = (toy *)object;
  for (unsigned i = 0; i < TOY_SLOTS; i++) hs_store_relaxed(&o->slots[i], (uintptr_t)0);
  hs_store_relaxed(&o->mark, self->base.barrier == HS_BARRIER_BLACK ? 1u : 0u);
  hs_store_relaxed(&o->alive, 1u);
  hs_add_relaxed(&allocated, 1u);
  return object;
}

static void step(actor *self, heap_ref *frame) {
  heap_ref *const a = &frame[hs_rng_below(&self->rng, FRAME_SLOTS)];
  heap_ref *const b = &frame[hs_rng_below(&self->rng, FRAME_SLOTS)];
  const unsigned slot = (unsigned)hs_rng_below(&self->rng, TOY_SLOTS);
  const uint64_t dice = hs_rng_below(&self->rng, 16);
  if (dice < 4) {
    const uintptr_t fresh = allocate(self);
    if (fresh) a->bits = fresh;
  } else if (dice < 9 && a->bits) { // move down, the commonest way to lose an object
    const uintptr_t next = load(a->bits, slot);
    if (next) b->bits = next;
    if (dice < 7) hs_barrier_store(&self->base, &((toy *)a->bits)->slots[slot], 0);
  } else if (dice < 13 && a->bits) {
    hs_barrier_store(&self->base, &((toy *)a->bits)->slots[slot], b->bits);
  } else if (dice == 13) {
    *a = HEAP_NULL;
  } else { // exchange with the others
    _Atomic(uintptr_t) *const root =
        (_Atomic(uintptr_t) *)&shared[hs_rng_below(&self->rng, SHARED)].bits;
    hs_mutex_lock(&lock);
    const uintptr_t old = hs_load_relaxed(root);
    hs_barrier_store(&self->base, root, a->bits);
    hs_mutex_unlock(&lock);
    b->bits = old;
  }
}

static void act(void *context) {
  actor *const self = context;
  bool counted = false;
  while (!hs_load_acquire(&done)) {
    hs_thread_attach(&heap.world, &self->base);
    if (!counted) hs_add_acq_rel(&ready, 1u);
    counted = true;
    heap_frame frame;
    heap_ref slots[FRAME_SLOTS];
    hs_frame_push(&self->base, &frame, slots, FRAME_SLOTS);
    for (unsigned i = 0; i < 2000; i++) {
      step(self, slots);
      if (hs_marking_is_on(&heap.marking)) hs_marking_assist(&heap.marking, &self->base, 16, false);
      hs_poll(&self->base);
      if (hs_rng_below(&self->rng, 512) != 0) continue;
      hs_blocking_begin(&self->base); // the collector answers for it
      hs_os_yield();
      hs_blocking_end(&self->base);
    }
    hs_frame_pop(&self->base, &frame);
    hs_thread_detach(&self->base); // and comes back as another thread
  }
}

// ---- the check ----------------------------------------------------------------------------------

static uint8_t reached[TOY_OBJECTS];
static unsigned stack[TOY_OBJECTS], depth;

static void reach(void *context, heap_ref *slots, size_t count) {
  (void)context;
  for (size_t i = 0; i < count; i++) {
    if (slots[i].bits == 0) continue;
    const size_t index = (size_t)((toy *)slots[i].bits - heap.objects);
    if (reached[index]) continue;
    reached[index] = 1;
    stack[depth++] = (unsigned)index;
  }
}

// World stopped. Everything that can be reached is marked; everything else is freed.
static void check_and_free(void) {
  memset(reached, 0, sizeof reached);
  depth = 0;
  hs_roots_visit_all_stw(&heap.world, reach, NULL);
  while (depth > 0) {
    const unsigned i = stack[--depth];
    HS_REQUIRE(toy_is_marked(&heap, i), "object %u is reachable and was not marked", i);
    HS_REQUIRE(hs_load_relaxed(&heap.objects[i].alive), "object %u is reachable and free", i);
    heap_ref slots[TOY_SLOTS];
    for (unsigned s = 0; s < TOY_SLOTS; s++)
      slots[s].bits = hs_load_relaxed(&heap.objects[i].slots[s]);
    reach(NULL, slots, TOY_SLOTS);
  }
  for (unsigned i = 0; i < TOY_OBJECTS; i++) {
    toy *const o = &heap.objects[i];
    if (hs_load_relaxed(&o->alive) && !toy_is_marked(&heap, i)) {
      hs_store_relaxed(&o->alive, 0u);
      free_objects[free_count++] = i;
    }
    hs_store_relaxed(&o->mark, 0u);
  }
}

static void run_markings(unsigned worker_count, uint64_t seed) {
  static actor actors[THREADS];
  heap_root root;
  toy_open(&heap, worker_count);
  free_count = 0;
  for (unsigned i = 0; i < TOY_OBJECTS; i++) {
    hs_store_relaxed(&heap.objects[i].alive, 0u);
    free_objects[free_count++] = i;
  }
  hs_root_add(&heap.world, &root, shared, SHARED);
  hs_store_relaxed(&ready, 0u);
  hs_store_relaxed(&done, 0u);
  hs_store_relaxed(&allocated, 0u);
  for (unsigned i = 0; i < THREADS; i++) {
    actors[i] = (actor){.rng = hs_rng_seed(seed + i)};
    assert_int_equal(hs_os_thread_start(&actors[i].os, act, &actors[i]), 0);
  }
  while (hs_load_acquire(&ready) < THREADS) hs_os_yield();
  // Until what was freed has come back, too.
  for (unsigned m = 0; m < MARKINGS || hs_load_relaxed(&allocated) < 2 * TOY_OBJECTS; m++) {
    toy_run(&heap);
    hs_world_stop(&heap.world, NULL);
    check_and_free(); // no thread is inside the lock: it holds no safepoint
    hs_marking_end(&heap.marking, NULL);
    hs_world_start(&heap.world);
    hs_world_leave_collector(&heap.world);
  }
  hs_store_release(&done, 1u);
  for (unsigned i = 0; i < THREADS; i++) hs_os_thread_join(&actors[i].os);
  hs_thread last;
  hs_thread_attach(&heap.world, &last);
  hs_root_remove(&last, &root);
  hs_thread_detach(&last);
  toy_close(&heap);
}

static void test_nothing_reachable_is_missed(void **state) {
  (void)state;
  run_markings(0, test_seed(1));
}

static void test_nothing_reachable_is_missed_with_workers(void **state) {
  (void)state;
  run_markings(3, test_seed(2));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nothing_reachable_is_missed),
      cmocka_unit_test(test_nothing_reachable_is_missed_with_workers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
