// SPDX-License-Identifier: MIT
// Global root ranges and weak cells: two doubly linked lists under the world lock.
#include "allocators/runtime/roots.h"

#include "allocators/runtime/marking.h"

void hs_root_add(hs_world *world, heap_root *root, heap_ref *slots, size_t count) {
  for (size_t i = 0; i < count; i++) slots[i] = HEAP_NULL;
  hs_mutex_lock(&world->lock);
  *root = (heap_root){.next = world->roots, .slots = slots, .count = count};
  if (root->next) root->next->previous = root;
  world->roots = root;
  hs_mutex_unlock(&world->lock);
}

void hs_root_remove(hs_thread *thread, heap_root *root) {
  hs_world *const world = thread->world;
  // Taking a range away overwrites its slots, as far as a marking is concerned.
  for (size_t i = 0; thread->barrier != HS_BARRIER_OFF && i < root->count; i++)
    hs_shade(thread, root->slots[i].bits);
  hs_mutex_lock(&world->lock);
  if (world->root_cursor == root) {
    world->root_cursor = root->next;
    world->root_cursor_slot = 0;
  }
  heap_root *const before = root->previous;
  HS_REQUIRE((before ? before->next : world->roots) == root,
             "a global root was removed that is not in this heap");
  if (before)
    before->next = root->next;
  else
    world->roots = root->next;
  if (root->next) root->next->previous = before;
  *root = (heap_root){0};
  hs_mutex_unlock(&world->lock);
}

void hs_roots_visit_thread(hs_thread *thread, hs_roots_fn visit, void *context) {
  for (heap_frame *frame = thread->frames; frame; frame = frame->previous)
    if (frame->count > 0) visit(context, frame->slots, frame->count);
}

void hs_roots_visit_global(hs_world *world, hs_roots_fn visit, void *context) {
  for (heap_root *root = world->roots; root; root = root->next)
    if (root->count > 0) visit(context, root->slots, root->count);
}

void hs_roots_visit_all_stw(hs_world *world, hs_roots_fn visit, void *context) {
  HS_ASSERT(hs_world_is_stopped(world));
  HS_WORLD_EACH_THREAD(world, thread) hs_roots_visit_thread(thread, visit, context);
  hs_roots_visit_global(world, visit, context);
}

static void count_slots(void *context, heap_ref *slots, size_t count) {
  (void)slots;
  *(uint64_t *)context += count;
}

enum { REPLACE_SLICE = 256 }; // slots or cells per hold of the lock: some microseconds

// False: there are no more ranges.
static bool replace_root_slice(hs_world *world, hs_replace_fn replace, void *context) {
  hs_mutex_lock(&world->lock);
  for (unsigned left = REPLACE_SLICE; world->root_cursor && left > 0; left--) {
    const heap_root *const root = world->root_cursor;
    if (world->root_cursor_slot == root->count) {
      world->root_cursor = root->next;
      world->root_cursor_slot = 0;
      continue;
    }
    heap_ref *const slot = &root->slots[world->root_cursor_slot++];
    uintptr_t bits = hs_load_acquire((_Atomic(uintptr_t) *)&slot->bits);
    if (bits == 0) continue;
    const heap_ref now = replace(context, (heap_ref){bits});
    if (now.bits != bits) // else the program has stored something
      (void)hs_cas_acq_rel((_Atomic(uintptr_t) *)&slot->bits, &bits, now.bits);
  }
  const bool more = world->root_cursor != NULL;
  hs_mutex_unlock(&world->lock);
  return more;
}

static bool replace_weak_slice(hs_world *world, hs_replace_fn replace, void *context) {
  hs_mutex_lock(&world->lock);
  for (unsigned left = REPLACE_SLICE; world->weak_cursor && left > 0; left--) {
    hs_weak *const weak = world->weak_cursor;
    const heap_ref target = {hs_load_relaxed(&weak->target)}; // cells are read under the lock now
    if (!heap_is_null(target)) hs_store_relaxed(&weak->target, replace(context, target).bits);
    world->weak_cursor = weak->next;
  }
  const bool more = world->weak_cursor != NULL;
  hs_mutex_unlock(&world->lock);
  return more;
}

void hs_roots_replace(hs_world *world, hs_replace_fn replace, void *context) {
  hs_mutex_lock(&world->lock);
  world->root_cursor = world->roots;
  world->root_cursor_slot = 0;
  world->weak_cursor = world->weaks;
  hs_mutex_unlock(&world->lock);
  while (replace_root_slice(world, replace, context)) {
  }
  while (replace_weak_slice(world, replace, context)) {
  }
}

uint64_t hs_roots_slot_count_stw(hs_world *world) {
  uint64_t total = 0;
  hs_roots_visit_all_stw(world, count_slots, &total);
  return total;
}

// ---- weak cells ---------------------------------------------------------------------------------

void hs_weak_link(hs_world *world, hs_weak *weak, heap_ref target) {
  hs_mutex_lock(&world->lock);
  hs_store_relaxed(&weak->target, target.bits); // the caller publishes the cell
  weak->world = world;
  weak->previous = NULL;
  weak->next = world->weaks;
  if (weak->next) weak->next->previous = weak;
  world->weaks = weak;
  hs_mutex_unlock(&world->lock);
}

void hs_weak_unlink(hs_weak *weak) {
  hs_world *const world = weak->world;
  HS_REQUIRE(world, "a weak cell was destroyed twice");
  hs_mutex_lock(&world->lock);
  HS_REQUIRE((weak->previous ? weak->previous->next : world->weaks) == weak,
             "a weak cell is not in the list of its heap");
  if (weak->previous)
    weak->previous->next = weak->next;
  else
    world->weaks = weak->next;
  if (weak->next) weak->next->previous = weak->previous;
  if (world->weak_cursor == weak) world->weak_cursor = weak->next;
  weak->world = NULL;
  weak->previous = weak->next = NULL;
  hs_mutex_unlock(&world->lock);
}

heap_ref hs_weak_get(hs_thread *thread, hs_weak *weak) {
  if (HS_LIKELY(thread->barrier == HS_BARRIER_OFF)) // cells change while every barrier is on
    return (heap_ref){hs_load_relaxed(&weak->target)};
  hs_world *const world = thread->world;
  hs_mutex_lock(&world->lock);
  heap_ref target = {hs_load_relaxed(&weak->target)};
  if (!heap_is_null(target)) {
    const hs_marking *const marking = world->marking;
    // What is marked already needs nothing, so a program that goes on reading cells does not keep the
    // marking from ending.
    const bool marked = marking->ops->is_marked(marking->heap, target);
    if (!marked && world->weak_phase == HS_WEAK_OPEN) {
      hs_shade(thread, target.bits);
      world->weak_shaded_count++;
    } else if (!marked) {
      target = HEAP_NULL;
    }
  }
  hs_mutex_unlock(&world->lock);
  return target;
}

void hs_weak_visit_stw(hs_world *world, hs_weak_fn visit, void *context) {
  HS_ASSERT(hs_world_is_stopped(world));
  for (hs_weak *weak = world->weaks; weak; weak = weak->next) {
    const heap_ref target = {hs_load_relaxed(&weak->target)};
    if (heap_is_null(target)) continue;
    // Relaxed: every reader is stopped and is released by the restart of the world.
    hs_store_relaxed(&weak->target, visit(context, target).bits);
  }
}
