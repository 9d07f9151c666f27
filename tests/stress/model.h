// SPDX-License-Identifier: MIT
// The model heap: the same graph as the heap under test, in plain memory. Objects have an index;
// index 0 is null. One model per thread.
//   I-model-1  every live object of the model exists in the heap with the same shape, slots and bytes
//              as long as the model can reach it from its roots
#ifndef STRESS_MODEL_H
#define STRESS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "allocators/heap_types.h"

enum {
  MODEL_OBJECTS = 4096, // entry 0 is null
  MODEL_SLOTS = 6,      // most slots of one object
  MODEL_ROOTS = 160,    // see the areas in program.h
};

typedef struct model_object {
  bool live;
  uint32_t ref_count, byte_count;
  uint64_t serial; // unique in the run: tells a reused entry from the object it once was
  uint64_t key;    // decides the raw bytes
  uint32_t slots[MODEL_SLOTS];
  heap_ref address; // where discarding frees: what to discard; addresses are stable there
} model_object;

typedef struct model {
  model_object objects[MODEL_OBJECTS];
  uint32_t roots[MODEL_ROOTS];
  uint32_t live_count;
  uint32_t next_free; // where the search for a free entry starts
  uint64_t next_serial;
  bool reached[MODEL_OBJECTS];     // of the last model_reach
  uint32_t pending[MODEL_OBJECTS]; // its work list
} model;

void model_init(model *m);

// Index of a new object, or 0 when every entry is live (sweep, or drop something).
uint32_t model_add(model *m, uint32_t ref_count, uint32_t byte_count);

// Mark in m->reached what the roots reach.
void model_reach(model *m);

// Remove what the roots do not reach; `dead` is called for each object before it goes.
typedef void (*model_dead_fn)(void *context, const model_object *object);
void model_sweep(model *m, model_dead_fn dead, void *context);

// Whether the object that had this index and serial is still in the model.
bool model_has(const model *m, uint32_t index, uint64_t serial);

#endif
