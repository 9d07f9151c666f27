// SPDX-License-Identifier: MIT
// A team of mutator threads for the tests of the world. Each mutator has plain (not atomic) fields
// that the collector reads and writes while the mutator is held: ThreadSanitizer reports any moment
// at which the protocol would let both run.
//
// Assertions of cmocka only on the main thread; other threads use HS_REQUIRE.
#ifndef HS_TESTS_UNIT_RUNTIME_WORLD_FIXTURE_H
#define HS_TESTS_UNIT_RUNTIME_WORLD_FIXTURE_H

#include "allocators/base/rng.h"
#include "allocators/runtime/roots.h"
#include "allocators/runtime/world.h"

enum { TEAM_MAX = 8 };

typedef struct mutator {
  hs_thread base;      // first, as in a heap
  uint64_t steps;      // plain: written by the mutator, read by the collector
  uint64_t handshakes; // plain: written by whoever answers
  uint64_t last_stop;  // plain: written by the collector
  hs_world *world;
  hs_rng rng;
  void (*run)(struct mutator *self);
  hs_os_thread thread;
} mutator;

typedef struct team {
  hs_world world;
  mutator members[TEAM_MAX];
  int size;
  _Atomic(uint32_t) ready; // how many have attached
  _Atomic(uint32_t) done;  // tells them to finish
} team;

static team crew;

// One step of work between two polls, of varied length, so that the collector meets threads that
// answer while it spins and threads that it has to sleep for.
static inline void mutator_step(mutator *self) {
  self->steps++;
  const uint64_t kind = hs_rng_below(&self->rng, 64);
  if (kind == 0) hs_os_yield();
  for (uint64_t i = 0; i < kind; i++) HS_CPU_RELAX();
}

static inline void mutator_thread(void *argument) {
  mutator *const self = argument;
  hs_thread_attach(self->world, &self->base);
  hs_add_acq_rel(&crew.ready, 1);
  self->run(self);
  hs_thread_detach(&self->base);
}

// Starts `size` mutators and waits until all have attached.
static inline void team_start(int size, hs_event_log *log, void (*run)(mutator *), uint64_t seed) {
  hs_store_relaxed(&crew.ready, 0u);
  hs_store_relaxed(&crew.done, 0u);
  crew.size = size;
  hs_world_init(&crew.world, log);
  for (int i = 0; i < size; i++) {
    mutator *const member = &crew.members[i];
    *member = (mutator){.world = &crew.world, .run = run, .rng = hs_rng_seed(seed + (uint64_t)i)};
    HS_REQUIRE(hs_os_thread_start(&member->thread, mutator_thread, member) == 0, "no thread");
  }
  while (hs_load_acquire(&crew.ready) < (uint32_t)size) hs_os_yield();
}

// Waits for the mutators, which must be finishing, and destroys the world.
static inline void team_join(void) {
  for (int i = 0; i < crew.size; i++) hs_os_thread_join(&crew.members[i].thread);
  hs_world_check(&crew.world);
  hs_world_destroy(&crew.world);
}

static inline void team_finish(void) {
  hs_store_release(&crew.done, 1u);
  team_join();
}

static inline bool team_is_done(void) { return hs_load_acquire(&crew.done) != 0; }

#endif
