// SPDX-License-Identifier: MIT
// The fast paths, one small function each, so that their machine code can be looked at: the codegen
// test disassembles this file for every heap of the suite and fails on a call that is not to a
// *_slow function. Never run.
#include "allocators/heap.h"

enum { PAIR_BYTES = 16, NODE_REFS = 2, NODE_BYTES = 48, BLOB_BYTES = 256 };

// Prototypes, for -Wmissing-prototypes.
uint64_t probe_walk(heap_thread *t, heap_ref node);
heap_ref probe_load(heap_thread *t, heap_ref object, size_t slot);
void probe_store(heap_thread *t, heap_ref object, size_t slot, heap_ref value);
heap_ref probe_alloc_small(heap_thread *t);
heap_ref probe_alloc_node(heap_thread *t, heap_ref next);
heap_ref probe_alloc_blob(heap_thread *t);
uint64_t probe_read(heap_thread *t, heap_ref object);
void probe_write(heap_thread *t, heap_ref object, uint64_t value);
bool probe_same(heap_thread *t, heap_ref a, heap_ref b);
void probe_discard(heap_thread *t, heap_ref object);
void probe_poll(heap_thread *t);
heap_ref probe_root(heap_thread *t, heap_ref *slot, heap_ref value);
heap_ref probe_frame(heap_thread *t, heap_ref value);

uint64_t probe_walk(heap_thread *t, heap_ref node) {
  uint64_t sum = 0;
  for (; !heap_is_null(node); node = heap_load(t, node, 0))
    sum += *(const uint64_t *)heap_read(t, node, 1);
  return sum;
}

heap_ref probe_load(heap_thread *t, heap_ref object, size_t slot) {
  return heap_load(t, object, slot);
}

void probe_store(heap_thread *t, heap_ref object, size_t slot, heap_ref value) {
  heap_store(t, object, slot, value);
}

heap_ref probe_alloc_small(heap_thread *t) { return heap_alloc(t, 0, PAIR_BYTES); }

heap_ref probe_alloc_node(heap_thread *t, heap_ref next) {
  HEAP_FRAME(t, frame, 1);
  frame[0] = next;
  const heap_ref node = heap_alloc(t, NODE_REFS, NODE_BYTES);
  if (!heap_is_null(node)) heap_store(t, node, 0, frame[0]);
  HEAP_FRAME_END(t, frame);
  return node;
}

heap_ref probe_alloc_blob(heap_thread *t) { return heap_alloc(t, 0, BLOB_BYTES); }

uint64_t probe_read(heap_thread *t, heap_ref object) {
  return *(const uint64_t *)heap_read(t, object, NODE_REFS);
}

void probe_write(heap_thread *t, heap_ref object, uint64_t value) {
  *(uint64_t *)heap_write(t, object, NODE_REFS) = value;
}

bool probe_same(heap_thread *t, heap_ref a, heap_ref b) { return heap_same(t, a, b); }

void probe_discard(heap_thread *t, heap_ref object) { heap_discard(t, object); }

void probe_poll(heap_thread *t) { heap_poll(t); }

heap_ref probe_root(heap_thread *t, heap_ref *slot, heap_ref value) {
  const heap_ref old = heap_root_load(t, slot);
  heap_root_store(t, slot, value);
  return old;
}

heap_ref probe_frame(heap_thread *t, heap_ref value) {
  HEAP_FRAME(t, frame, 2);
  frame[0] = value;
  heap_poll(t);
  const heap_ref kept = frame[0];
  HEAP_FRAME_END(t, frame);
  return kept;
}
