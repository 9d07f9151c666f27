// SPDX-License-Identifier: MIT
// A random program run against the heap and, in plain C memory, against a model of it: every object
// carries its identity, every slot is known, so a lost update, a stale handle or a premature death
// shows as a wrong identity. The heap under test is the compacting one, through the contract.
#ifndef COMPACT_MODEL_H
#define COMPACT_MODEL_H

#include "allocators/base/rng.h"
#include "allocators/heap.h"

enum { MODEL_ROOTS = 48, MODEL_NODES = 4096, MODEL_SLOTS = 6 };

// One object as the model sees it. Slots past `shown` (large arrays of references) stay null.
typedef struct model_node {
  uint64_t id;
  uint32_t ref_count, byte_count;
  int32_t slots[MODEL_SLOTS]; // node numbers, -1: null
  bool reached;
} model_node;

typedef struct model {
  heap_thread *thread;
  hs_rng rng;
  heap_ref *roots;           // a pushed frame of MODEL_ROOTS slots
  int32_t root[MODEL_ROOTS]; // node numbers, -1: null
  model_node nodes[MODEL_NODES];
  int32_t free[MODEL_NODES]; // unused node numbers
  int32_t free_count;
  uint64_t next_id, out_of_memory;
  bool large; // also objects of several pages
} model;

void model_init(model *m, heap_thread *thread, heap_ref *roots, uint64_t seed, bool large);
// One random operation. False: the heap disagreed with the model (reported on standard error).
bool model_step(model *m);
// Walk everything that is reachable and compare it.
bool model_check(model *m);

#endif
