// SPDX-License-Identifier: MIT
// What the contract tests share. They know allocators/heap.h and nothing of any heap, are built once
// per heap, and say so when they skip what a heap cannot do. With --stress the heap collects, moves
// and verifies at every allocation, and counts shrink.
#ifndef CONTRACT_H
#define CONTRACT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above.
#include <cmocka.h>

#include "allocators/heap.h"
#include "allocators/os/os.h"

// One test's heap, created before it and destroyed after it.
typedef struct contract {
  heap_config config;
  heap *heap;
  heap_thread *thread;
  heap_ref *owned; // objects of contract_new, freed at the end on heaps that free
  size_t owned_count, owned_capacity;
} contract;

extern bool contract_stress;

int contract_setup(void **state);
int contract_teardown(void **state);
#define CONTRACT_TEST(function)                                                                    \
  cmocka_unit_test_setup_teardown((function), contract_setup, contract_teardown)

// n, or a smaller count under --stress, where an allocation costs a collection.
size_t contract_count(size_t n);

// Skip the running test unless the heap has every capability of `needs`.
void contract_needs(unsigned needs);
HS_NORETURN void contract_skip(const char *reason);

// The defaults of every test, with stress as asked for on the command line.
heap_config contract_config(void);

// ---- single objects ------------------------------------------------------------------------------

// A new object that is not null. Safepoint. The test need not discard it.
heap_ref contract_new(contract *c, size_t ref_count, size_t byte_count);
// End the ownership of an object of contract_new now.
void contract_drop(contract *c, heap_ref object);

// Write a pattern that depends on key over the raw bytes / whether it is there / whether all is zero.
void contract_fill(heap_thread *t, heap_ref object, size_t ref_count, size_t byte_count,
                   uint64_t key);
bool contract_is_filled(heap_thread *t, heap_ref object, size_t ref_count, size_t byte_count,
                        uint64_t key);
bool contract_is_zero(heap_thread *t, heap_ref object, size_t ref_count, size_t byte_count);

// ---- lists: a rooted structure of any size; may be used by any thread ------------------------------

enum { CONTRACT_NODE_BYTES = 16 }; // one reference, then key and index

// Push up to n nodes in front of *head, a frame slot or a variable that only this thread uses.
// Returns how many could be allocated.
size_t contract_list_push(heap_thread *t, heap_ref *head, size_t n, uint64_t key);
// Whether the list has exactly n nodes of this key in order. Not a safepoint.
bool contract_list_check(heap_thread *t, heap_ref head, size_t n, uint64_t key);
// Discard every node and clear *head. Not a safepoint.
void contract_list_drop(heap_thread *t, heap_ref *head);

// ---- topics: each runs one group of tests ------------------------------------------------------------

#define CONTRACT_TOPICS(X)                                                                         \
  X(lifecycle)                                                                                     \
  X(alloc)                                                                                         \
  X(refs)                                                                                          \
  X(roots)                                                                                         \
  X(threads)                                                                                       \
  X(pins)                                                                                          \
  X(weak)                                                                                          \
  X(oom)                                                                                           \
  X(stats)                                                                                         \
  X(observe)
#define CONTRACT_DECLARE(topic) int contract_##topic(void);
CONTRACT_TOPICS(CONTRACT_DECLARE)
#undef CONTRACT_DECLARE

#endif
