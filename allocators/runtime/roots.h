// SPDX-License-Identifier: MIT
// Roots: shadow-stack frames of each thread and global root ranges, with one visitor for both, and
// weak cells. The visitor is called per range of slots, so the loop over slots belongs to the heap
// and no call is paid per reference.
#ifndef HS_RUNTIME_ROOTS_H
#define HS_RUNTIME_ROOTS_H

#include "allocators/base/atomic.h"
#include "allocators/base/assert.h"
#include "allocators/runtime/world.h"

// May rewrite the slots (renaming, moving).
typedef void (*hs_roots_fn)(void *context, heap_ref *slots, size_t count);

static inline void hs_frame_push(hs_thread *thread, heap_frame *frame, heap_ref *slots,
                                 size_t count) {
  for (size_t i = 0; i < count; i++) slots[i] = HEAP_NULL;
  frame->previous = thread->frames;
  frame->slots = slots;
  frame->count = count;
  thread->frames = frame;
}

static inline void hs_frame_pop(hs_thread *thread, heap_frame *frame) {
  HS_REQUIRE(thread->frames == frame, "root frames must be popped in the reverse order of pushing");
  thread->frames = frame->previous;
}

// Slots are set to null. The root must stay valid until removed. Removing takes time in proportion to
// the range, as adding does.
void hs_root_add(hs_world *world, heap_root *root, heap_ref *slots, size_t count);
void hs_root_remove(hs_thread *thread, heap_root *root);

// Frames of one thread (itself, or stopped), the global ranges (world stopped or lock held), all.
void hs_roots_visit_thread(hs_thread *thread, hs_roots_fn visit, void *context);
void hs_roots_visit_global(hs_world *world, hs_roots_fn visit, void *context);
void hs_roots_visit_all_stw(hs_world *world, hs_roots_fn visit, void *context);
// Replaces what global ranges and weak cells refer to, in pieces, while the program runs: after a marking is
// complete and before its barriers go off. What threads store meanwhile needs no replacement.
typedef heap_ref (*hs_replace_fn)(void *context, heap_ref target);
void hs_roots_replace(hs_world *world, hs_replace_fn replace, void *context);
uint64_t hs_roots_slot_count_stw(hs_world *world);

// ---- weak cells ---------------------------------------------------------------------------------

typedef struct hs_weak {
  _Atomic(uintptr_t)
      target; // [atomic] heap_ref bits; 0 once dead; rewritten while barriers are on, or in a stop
  struct hs_weak *previous, *next; // [lock world->lock]
  hs_world *world;                 // [const] NULL once unlinked
} hs_weak;

// What cells may do to a marking under way. See Note [weak cells] in marking.h.
typedef enum hs_weak_phase {
  HS_WEAK_OPEN = 0,     // a reference read from a cell is shaded, which keeps its object
  HS_WEAK_CLEARING = 1, // everything reachable is marked: cells of unmarked objects read as null
} hs_weak_phase;

// The target, or null. Any registered thread.
heap_ref hs_weak_get(hs_thread *thread, hs_weak *weak);

// Link a caller-allocated cell to a live object / unlink it.
void hs_weak_link(hs_world *world, hs_weak *weak, heap_ref target);
void hs_weak_unlink(hs_weak *weak);

// After marking: visit returns what each live-or-dead target becomes (HEAP_NULL when dead).
typedef heap_ref (*hs_weak_fn)(void *context, heap_ref target);
void hs_weak_visit_stw(hs_world *world, hs_weak_fn visit, void *context);

#endif
