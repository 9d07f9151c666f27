// SPDX-License-Identifier: MIT
// The fast paths. Allocation takes the next slot of a run of free slots that the slow path prepared;
// everything else about it (finding the run, clearing it, collecting, growing) is out of line.
#ifndef NONMOVING_INLINE_H
#define NONMOVING_INLINE_H

#include "allocators/base/track.h"
#include "nonmoving/nm_sizeclass.h"
#include "nonmoving/nonmoving.h"

enum {
  NM_TINY_BYTES = 8, // raw bytes are aligned to 8, so a tiny block of 16 holds two objects
  NM_TINY_CLASS = 2, // the 16-byte class: tiny blocks share its spans (Go: span class 5)
};

// Flag the last reference slot of an object, by which the marker finds how many there are. The flags
// of a run were cleared when it was prepared.
HS_ALWAYS_INLINE void nm_flag_last_ref(nonmoving_thread *thread, uintptr_t object,
                                       size_t ref_count) {
  const uintptr_t last = object + (ref_count - 1) * sizeof(heap_ref);
  _Atomic(uint64_t) *const word =
      (_Atomic(uint64_t) *)(thread->ref_flag_bias + (last >> 9) * sizeof(uint64_t));
  hs_store_relaxed(word, hs_load_relaxed(word) | 1ull << (last >> 3 & 63)); // its only writer
}

HEAP_INLINE heap_ref nonmoving_alloc(nonmoving_thread *thread, size_t ref_count,
                                     size_t byte_count) {
  const size_t size = ref_count * sizeof(heap_ref) + byte_count;
  if (HS_UNLIKELY((ref_count | byte_count | size) >= NM_MAX_SMALL_BYTES)) // or it overflowed
    return nonmoving_alloc_slow(thread, ref_count, byte_count);
  const bool tiny = ref_count == 0 && size <= NM_TINY_BYTES;
  if (tiny && thread->tiny != 0) {
    const uintptr_t object = thread->tiny;
    thread->tiny = 0;
    thread->tiny_count++;
    hs_track_live((void *)object, size);
    return (heap_ref){object};
  }
  const unsigned class = tiny ? NM_TINY_CLASS : nm_class_of(size);
  nonmoving_run *const run = &thread->runs[2 * class + (ref_count == 0)];
  const uintptr_t object = run->next, end = object + nm_class_bytes[class];
  if (HS_UNLIKELY(end > run->limit)) return nonmoving_alloc_slow(thread, ref_count, byte_count);
  run->next = end;
  if (ref_count > 0) nm_flag_last_ref(thread, object, ref_count);
  if (tiny) thread->tiny = object + NM_TINY_BYTES;
  hs_track_live((void *)object, size);
  return (heap_ref){object};
}

// Objects die by being unreachable.
HEAP_INLINE void nonmoving_discard(nonmoving_thread *thread, heap_ref object) {
  (void)thread, (void)object;
}

// Slots are accessed as relaxed atomics, which cost nothing, so that the marker and a program that
// races on a slot have defined behaviour.
HS_ALWAYS_INLINE _Atomic(uintptr_t) *nm_slot(heap_ref object, size_t slot) {
  return (_Atomic(uintptr_t) *)object.bits + slot;
}

HEAP_INLINE heap_ref nonmoving_load(nonmoving_thread *thread, heap_ref object, size_t slot) {
  HS_ASSERT(slot < nonmoving_ref_count_slow(thread, object));
  (void)thread;
  return (heap_ref){hs_load_relaxed(nm_slot(object, slot))};
}

HEAP_INLINE void nonmoving_store(nonmoving_thread *thread, heap_ref object, size_t slot,
                                 heap_ref value) {
  HS_ASSERT(slot < nonmoving_ref_count_slow(thread, object));
  hs_barrier_store(&thread->base, nm_slot(object, slot), value.bits);
}

HEAP_INLINE const void *nonmoving_read(nonmoving_thread *thread, heap_ref object,
                                       size_t ref_count) {
  HS_ASSERT(ref_count == nonmoving_ref_count_slow(thread, object));
  (void)thread;
  return (const heap_ref *)object.bits + ref_count;
}

HEAP_INLINE void *nonmoving_write(nonmoving_thread *thread, heap_ref object, size_t ref_count) {
  HS_ASSERT(ref_count == nonmoving_ref_count_slow(thread, object));
  (void)thread;
  return (heap_ref *)object.bits + ref_count;
}

HEAP_INLINE bool nonmoving_same(nonmoving_thread *thread, heap_ref a, heap_ref b) {
  (void)thread;
  return a.bits == b.bits;
}

HEAP_INLINE void nonmoving_frame_push(nonmoving_thread *thread, heap_frame *frame, heap_ref *slots,
                                      size_t count) {
  hs_frame_push(&thread->base, frame, slots, count);
}

HEAP_INLINE void nonmoving_frame_pop(nonmoving_thread *thread, heap_frame *frame) {
  hs_frame_pop(&thread->base, frame);
}

HEAP_INLINE heap_ref nonmoving_root_load(nonmoving_thread *thread, const heap_ref *slot) {
  (void)thread;
  return (heap_ref){hs_load_relaxed((const _Atomic(uintptr_t) *)&slot->bits)};
}

HEAP_INLINE void nonmoving_root_store(nonmoving_thread *thread, heap_ref *slot, heap_ref value) {
  hs_barrier_store(&thread->base, (_Atomic(uintptr_t) *)&slot->bits, value.bits);
}

HEAP_INLINE void nonmoving_poll(nonmoving_thread *thread) { hs_poll(&thread->base); }

#endif
