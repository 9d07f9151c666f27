// SPDX-License-Identifier: MIT
// The whole fast path of the compacting heap, on one screen. Allocation is a bump and a handle; an
// access is two dependent loads. Included by compact.h, or by compact_outline.c as real functions.
#ifndef COMPACT_INLINE_H
#define COMPACT_INLINE_H

#include "compact/compact.h"

struct compact_weak {
  hs_weak base;
  struct compact_weak *next_free; // [lock heap]
};

// Where the object is now, for reading: valid until the thread's next safepoint (R1) or acquire operation.
static inline char *compact_address(const compact_thread *thread, heap_ref object) {
  const compact_entry *entry = (const compact_entry *)object.bits;
  return thread->objects +
         ((size_t)hs_load_acquire(&entry->half.location) << COMPACT_GRANULE_SHIFT);
}

// The object is being copied: keep it where it is, and say where that is.
HS_COLD char *compact_write_slow(const compact_thread *thread, compact_entry *entry);

// For writing: valid until the thread's next safepoint. Note [relocation] in cp_relocate.c.
static inline char *compact_address_to_write(const compact_thread *thread, heap_ref object) {
  compact_entry *const entry = (compact_entry *)object.bits;
  const uint64_t word = hs_load_acquire(&entry->word);
  if (HS_UNLIKELY(word & COMPACT_MOVING)) return compact_write_slow(thread, entry);
  return thread->objects + ((size_t)(uint32_t)word << COMPACT_GRANULE_SHIFT);
}

// While handles are renamed an object may have two names: the current one is to be stored and compared. Slots are
// loaded with acquire, which is free on x86-64: who has seen a new name knows that there are two.
// Note [twins] in cp_twin.c.
HS_COLD heap_ref compact_name_slow(const compact_thread *thread, heap_ref ref);

static inline heap_ref compact_name(const compact_thread *thread, heap_ref ref) {
  return HS_UNLIKELY(thread->base.barrier != HS_BARRIER_OFF) ? compact_name_slow(thread, ref) : ref;
}

static inline bool compact_slot_is_valid(heap_ref object, size_t slot) {
  const uint64_t word = hs_load_relaxed(&((const compact_entry *)object.bits)->word);
  return (word >> COMPACT_REFS_SHIFT & COMPACT_FIELD_MAX) > slot || word >> 56 != 0; // large: later
}

HEAP_INLINE heap_ref compact_alloc(compact_thread *thread, size_t ref_count, size_t byte_count) {
  const size_t bytes = (ref_count << COMPACT_GRANULE_SHIFT) + byte_count;
  const size_t granules = ((bytes + 7) >> COMPACT_GRANULE_SHIFT) + (bytes == 0);
  char *const object = thread->next;
  const size_t room = (size_t)(thread->limit - object);
  const uint64_t handles = thread->handles;
  if (HS_UNLIKELY(((ref_count | byte_count) >> COMPACT_COUNT_SHIFT != 0) | (handles == 0) |
                  (granules << COMPACT_GRANULE_SHIFT > room)))
    return compact_alloc_slow(thread, ref_count, byte_count);
  thread->next = object + (granules << COMPACT_GRANULE_SHIFT);
  thread->handles = handles & (handles - 1);
  compact_entry *const entry = thread->handle_word + hs_ctz64(handles);
  hs_store_relaxed(&entry->word, (uint64_t)(object - thread->objects) >> COMPACT_GRANULE_SHIFT |
                                     (uint64_t)granules << COMPACT_SIZE_SHIFT |
                                     (uint64_t)ref_count << COMPACT_REFS_SHIFT);
  return (heap_ref){(uintptr_t)entry};
}

HEAP_INLINE void compact_discard(compact_thread *thread, heap_ref ref) { (void)thread, (void)ref; }

// Slots are atomics, which costs nothing, because markers read them while the program runs. Their
// addresses are stable between safepoints.
static inline _Atomic(uintptr_t) *compact_slots(char *object) {
  return (_Atomic(uintptr_t) *)(void *)object;
}

HEAP_INLINE heap_ref compact_load(compact_thread *thread, heap_ref object, size_t slot) {
  HS_ASSERT(compact_slot_is_valid(object, slot));
  return (heap_ref){hs_load_acquire(compact_slots(compact_address(thread, object)) + slot)};
}

// The thread's barrier is on: store the current name, and shade.
HS_COLD void compact_store_slow(compact_thread *thread, _Atomic(uintptr_t) *slot, heap_ref value);

static inline void compact_store_at(compact_thread *thread, _Atomic(uintptr_t) *slot,
                                    heap_ref value) {
  if (HS_UNLIKELY(thread->base.barrier != HS_BARRIER_OFF))
    compact_store_slow(thread, slot, value);
  else
    hs_store_release(slot, value.bits); // pairs: the marker's load of the slot
}

HEAP_INLINE void compact_store(compact_thread *thread, heap_ref object, size_t slot,
                               heap_ref value) {
  HS_ASSERT(compact_slot_is_valid(object, slot));
  compact_store_at(thread, compact_slots(compact_address_to_write(thread, object)) + slot, value);
}

HEAP_INLINE const void *compact_read(compact_thread *thread, heap_ref object, size_t ref_count) {
  return compact_address(thread, object) + (ref_count << COMPACT_GRANULE_SHIFT);
}

HEAP_INLINE void *compact_write(compact_thread *thread, heap_ref object, size_t ref_count) {
  return compact_address_to_write(thread, object) + (ref_count << COMPACT_GRANULE_SHIFT);
}

HEAP_INLINE bool compact_same(compact_thread *thread, heap_ref a, heap_ref b) {
  return a.bits == b.bits ||
         (HS_UNLIKELY(hs_load_acquire(thread->two_names) != 0) &&
          compact_name_slow(thread, a).bits == compact_name_slow(thread, b).bits);
}

HEAP_INLINE void compact_frame_push(compact_thread *thread, heap_frame *frame, heap_ref *slots,
                                    size_t count) {
  hs_frame_push(&thread->base, frame, slots, count);
}
HEAP_INLINE void compact_frame_pop(compact_thread *thread, heap_frame *frame) {
  hs_frame_pop(&thread->base, frame);
}
HEAP_INLINE void compact_root_add(compact_thread *thread, heap_root *root, heap_ref *slots,
                                  size_t count) {
  hs_root_add(thread->base.world, root, slots, count);
}
HEAP_INLINE void compact_root_remove(compact_thread *thread, heap_root *root) {
  hs_root_remove(&thread->base, root);
}
HEAP_INLINE heap_ref compact_root_load(compact_thread *thread, const heap_ref *slot) {
  (void)thread;
  return (heap_ref){hs_load_acquire((const _Atomic(uintptr_t) *)&slot->bits)};
}
HEAP_INLINE void compact_root_store(compact_thread *thread, heap_ref *slot, heap_ref value) {
  compact_store_at(thread, (_Atomic(uintptr_t) *)&slot->bits, value);
}

HEAP_INLINE void compact_poll(compact_thread *thread) { hs_poll(&thread->base); }
HEAP_INLINE void compact_blocking_begin(compact_thread *thread) {
  hs_blocking_begin(&thread->base);
}
HEAP_INLINE void compact_blocking_end(compact_thread *thread) { hs_blocking_end(&thread->base); }

HEAP_INLINE heap_ref compact_weak_get(compact_thread *thread, compact_weak *weak) {
  return hs_weak_get(&thread->base, &weak->base);
}

#endif
