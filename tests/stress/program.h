// SPDX-License-Identifier: MIT
// One thread's random program: every step does the same to the heap and to the model, and what is met
// on the way is compared.
#ifndef STRESS_PROGRAM_H
#define STRESS_PROGRAM_H

#include "allocators/base/rng.h"
#include "allocators/heap.h"
#include "tests/stress/model.h"

// Areas of the model's roots, each mirrored by real root slots of the heap.
enum {
  GLOBAL_ROOTS = 16, // a global root range
  FRAME_ROOTS = 16,  // the outermost frame
  PIN_ROOTS = 16,    // a frame that holds the pinned objects
  NEST_DEPTH = 16,   // nested frames of
  NEST_ROOTS = 4,    // this many slots each
  GLOBAL_FIRST = 0,
  FRAME_FIRST = GLOBAL_FIRST + GLOBAL_ROOTS,
  PIN_FIRST = FRAME_FIRST + FRAME_ROOTS,
  NEST_FIRST = PIN_FIRST + PIN_ROOTS,
  WEAK_CELLS = 16,
  SHARED_SLOTS = 8,
};
_Static_assert(NEST_FIRST + NEST_DEPTH * NEST_ROOTS <= MODEL_ROOTS, "every root has its place");

// Leaves that threads hand to each other: slots under a lock, described beside them.
typedef struct stress_shared {
  hs_mutex lock;
  heap_ref slots[SHARED_SLOTS]; // [lock] a global root range
  struct {
    uint64_t key;
    uint32_t byte_count;
  } described[SHARED_SLOTS]; // [lock] of the object in the slot, if any
} stress_shared;

typedef struct weak_cell {
  heap_weak *cell;
  uint32_t index;
  uint64_t serial;
} weak_cell;

typedef struct program {
  heap *heap;
  heap_thread *thread;
  stress_shared *shared;
  uint64_t seed, steps, step;
  uint64_t break_at; // at this step an object is damaged: the comparison must find it; 0: never
  uint32_t id;
  bool limited;       // null from heap_alloc is an answer
  uint64_t refused;   // how often it was
  uint32_t peak_live; // most objects live at a sweep
  hs_rng rng;
  heap_ref *global, *frame, *pins; // the slots of the root areas
  heap_ref *nest[NEST_DEPTH];
  uint32_t nest_depth;
  const void *pin_addresses[PIN_ROOTS];
  weak_cell weak[WEAK_CELLS];
  model model;
} program;

// Run p->steps steps on the calling thread, which enters and leaves p->heap. Aborts on a difference,
// printing what is needed to run it again.
void program_run(program *p);

#endif
