// SPDX-License-Identifier: MIT
// libc malloc behind the contract: the smallest adapter, and the one to copy for a new allocator.
// A reference is the address calloc returned; objects die by heap_discard. Nothing is traced, so
// roots and safepoints cost nothing.
#ifndef LIBC_BINDING_H
#define LIBC_BINDING_H

#include <stdlib.h>

#include "allocators/base/bits.h"
#include "allocators/heap_stats.h"
#include "allocators/heap_types.h"
#include "allocators/runtime/event_log.h"

enum { libc_caps = HEAP_CAP_FREES | HEAP_CAP_THREADS };

typedef struct libc_heap libc_heap;
typedef struct libc_thread {
  libc_heap *heap;
} libc_thread;
typedef struct libc_weak libc_weak; // never created: no HEAP_CAP_WEAK

heap_status libc_create(const heap_config *config, libc_heap **out);
void libc_destroy(libc_heap *heap);
heap_status libc_thread_enter(libc_heap *heap, libc_thread **out);
void libc_thread_leave(libc_thread *thread);
void libc_collect(libc_thread *thread, heap_collect_kind kind);
void libc_stats_read(libc_thread *thread, heap_stats *out);
heap_identity libc_identify(libc_heap *heap);

static inline heap_ref libc_alloc(libc_thread *thread, size_t ref_count, size_t byte_count) {
  (void)thread;
  size_t slots, bytes;
  if (HS_UNLIKELY(!hs_mul_fits(ref_count, sizeof(heap_ref), &slots) ||
                  !hs_add_fits(slots, byte_count, &bytes)))
    return HEAP_NULL;
  return (heap_ref){(uintptr_t)calloc(1, bytes ? bytes : 1)};
}

static inline void libc_discard(libc_thread *thread, heap_ref ref) {
  (void)thread;
  free((void *)ref.bits);
}

static inline heap_ref libc_load(libc_thread *thread, heap_ref object, size_t slot) {
  (void)thread;
  return ((const heap_ref *)object.bits)[slot];
}

static inline void libc_store(libc_thread *thread, heap_ref object, size_t slot, heap_ref value) {
  (void)thread;
  ((heap_ref *)object.bits)[slot] = value;
}

static inline const void *libc_read(libc_thread *thread, heap_ref object, size_t ref_count) {
  (void)thread;
  return (const heap_ref *)object.bits + ref_count;
}

static inline void *libc_write(libc_thread *thread, heap_ref object, size_t ref_count) {
  (void)thread;
  return (heap_ref *)object.bits + ref_count;
}

static inline bool libc_same(libc_thread *thread, heap_ref a, heap_ref b) {
  (void)thread;
  return a.bits == b.bits;
}

static inline void libc_frame_push(libc_thread *thread, heap_frame *frame, heap_ref *slots,
                                   size_t count) {
  (void)thread, (void)frame;
  for (size_t i = 0; i < count; i++) slots[i] = HEAP_NULL;
}
static inline void libc_frame_pop(libc_thread *thread, heap_frame *frame) {
  (void)thread, (void)frame;
}
static inline void libc_root_add(libc_thread *thread, heap_root *root, heap_ref *slots,
                                 size_t count) {
  (void)thread, (void)root;
  for (size_t i = 0; i < count; i++) slots[i] = HEAP_NULL;
}
static inline void libc_root_remove(libc_thread *thread, heap_root *root) {
  (void)thread, (void)root;
}
static inline heap_ref libc_root_load(libc_thread *thread, const heap_ref *slot) {
  (void)thread;
  return *slot;
}
static inline void libc_root_store(libc_thread *thread, heap_ref *slot, heap_ref value) {
  (void)thread;
  *slot = value;
}

static inline void libc_poll(libc_thread *thread) { (void)thread; }
static inline void libc_blocking_begin(libc_thread *thread) { (void)thread; }
static inline void libc_blocking_end(libc_thread *thread) { (void)thread; }

static inline void *libc_pin(libc_thread *thread, heap_ref object, size_t ref_count) {
  return libc_write(thread, object, ref_count);
}
static inline void libc_unpin(libc_thread *thread, heap_ref object) { (void)thread, (void)object; }

static inline heap_status libc_weak_create(libc_thread *thread, heap_ref target, libc_weak **out) {
  (void)thread, (void)target, (void)out;
  return HEAP_UNSUPPORTED;
}
static inline heap_ref libc_weak_get(libc_thread *thread, libc_weak *weak) {
  (void)thread, (void)weak;
  return HEAP_NULL;
}
static inline void libc_weak_destroy(libc_thread *thread, libc_weak *weak) {
  (void)thread, (void)weak;
}

static inline uint64_t libc_footprint(libc_heap *heap) {
  (void)heap;
  return 0;
}
static inline bool libc_verify(libc_thread *thread) {
  (void)thread;
  return true;
}
static inline bool libc_map(libc_thread *thread, heap_map_fn visit, void *context) {
  (void)thread, (void)visit, (void)context;
  return false;
}
static inline const hs_event_log *libc_events(libc_heap *heap) {
  (void)heap;
  return NULL;
}

#endif
