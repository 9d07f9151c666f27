// SPDX-License-Identifier: MIT
// The Boehm-Demers-Weiser collector behind the contract. A reference is the address the collector
// returned; stacks, registers and static data are scanned conservatively, so frames need not be
// registered and some garbage may look alive. Objects without reference slots are allocated atomic
// (never scanned) and cleared here, the others are scanned whole, raw bytes included.
//
// The library has one collector per process: every heap_create shares it. The first create must run
// on the program's main thread and fixes the settings.
#ifndef BDWGC_BINDING_H
#define BDWGC_BINDING_H

#include <string.h>

#define GC_THREADS             // threads may call; the library is built for them
#define GC_NO_THREAD_REDIRECTS // threads register themselves in heap_thread_enter
#include <gc/gc.h>

#include "allocators/base/assert.h"
#include "allocators/base/bits.h"
#include "allocators/heap_stats.h"
#include "allocators/heap_types.h"
#include "allocators/runtime/event_log.h"

enum {
  bdwgc_caps =
      HEAP_CAP_TRACES | HEAP_CAP_CONSERVATIVE | HEAP_CAP_WEAK | HEAP_CAP_LIMIT | HEAP_CAP_THREADS
};

typedef struct bdwgc_heap bdwgc_heap;
typedef struct bdwgc_weak bdwgc_weak;
typedef struct bdwgc_thread {
  bdwgc_heap *heap;   // [const]
  heap_frame *frames; // [owner] innermost root frame, see bdwgc_frame_push
} bdwgc_thread;

heap_status bdwgc_create(const heap_config *config, bdwgc_heap **out);
void bdwgc_destroy(bdwgc_heap *heap);
heap_status bdwgc_thread_enter(bdwgc_heap *heap, bdwgc_thread **out);
void bdwgc_thread_leave(bdwgc_thread *thread);
void bdwgc_root_add(bdwgc_thread *thread, heap_root *root, heap_ref *slots, size_t count);
void bdwgc_root_remove(bdwgc_thread *thread, heap_root *root);
void bdwgc_collect(bdwgc_thread *thread, heap_collect_kind kind);
void *bdwgc_pin(bdwgc_thread *thread, heap_ref object, size_t ref_count);
void bdwgc_unpin(bdwgc_thread *thread, heap_ref object);
heap_status bdwgc_weak_create(bdwgc_thread *thread, heap_ref target, bdwgc_weak **out);
heap_ref bdwgc_weak_get(bdwgc_thread *thread, bdwgc_weak *weak);
void bdwgc_weak_destroy(bdwgc_thread *thread, bdwgc_weak *weak);
void bdwgc_stats_read(bdwgc_thread *thread, heap_stats *out);
uint64_t bdwgc_footprint(bdwgc_heap *heap);
const hs_event_log *bdwgc_events(bdwgc_heap *heap);
heap_identity bdwgc_identify(bdwgc_heap *heap);

// ---- objects -------------------------------------------------------------------------------------

// Collect, then try once more: after one refusal the library refuses again without a collection,
// whatever died in between. Null when the memory still cannot be had.
HS_COLD heap_ref bdwgc_alloc_slow(size_t ref_count, size_t bytes);

static inline heap_ref bdwgc_alloc(bdwgc_thread *thread, size_t ref_count, size_t byte_count) {
  (void)thread;
  size_t slots, bytes;
  if (HS_UNLIKELY(!hs_mul_fits(ref_count, sizeof(heap_ref), &slots) ||
                  !hs_add_fits(slots, byte_count, &bytes)))
    return HEAP_NULL;
  void *address;
  if (ref_count == 0) {
    address = GC_malloc_atomic(bytes);
    if (HS_LIKELY(address)) memset(address, 0, bytes);
  } else {
    address = GC_malloc(bytes);
  }
  return HS_LIKELY(address) ? (heap_ref){(uintptr_t)address} : bdwgc_alloc_slow(ref_count, bytes);
}

static inline void bdwgc_discard(bdwgc_thread *thread, heap_ref object) {
  (void)thread, (void)object;
}

static inline heap_ref bdwgc_load(bdwgc_thread *thread, heap_ref object, size_t slot) {
  (void)thread;
  return ((const heap_ref *)object.bits)[slot];
}

static inline void bdwgc_store(bdwgc_thread *thread, heap_ref object, size_t slot, heap_ref value) {
  (void)thread;
  ((heap_ref *)object.bits)[slot] = value;
}

static inline const void *bdwgc_read(bdwgc_thread *thread, heap_ref object, size_t ref_count) {
  (void)thread;
  return (const heap_ref *)object.bits + ref_count;
}

static inline void *bdwgc_write(bdwgc_thread *thread, heap_ref object, size_t ref_count) {
  (void)thread;
  return (heap_ref *)object.bits + ref_count;
}

static inline bool bdwgc_same(bdwgc_thread *thread, heap_ref a, heap_ref b) {
  (void)thread;
  return a.bits == b.bits;
}

// ---- roots ---------------------------------------------------------------------------------------

// The slots lie on the scanned stack. Linking the frame is not for the collector: it publishes the
// address of the slots, so that the compiler must keep their stores up to each call of the library
// (a slot that only keeps an object alive would otherwise be dropped as never read).
static inline void bdwgc_frame_push(bdwgc_thread *thread, heap_frame *frame, heap_ref *slots,
                                    size_t count) {
  for (size_t i = 0; i < count; i++) slots[i] = HEAP_NULL;
  frame->previous = thread->frames;
  frame->slots = slots;
  frame->count = count;
  thread->frames = frame;
}

static inline void bdwgc_frame_pop(bdwgc_thread *thread, heap_frame *frame) {
  HS_REQUIRE(thread->frames == frame, "root frames must be popped in the reverse order of pushing");
  thread->frames = frame->previous;
}

static inline heap_ref bdwgc_root_load(bdwgc_thread *thread, const heap_ref *slot) {
  (void)thread;
  return *slot;
}

static inline void bdwgc_root_store(bdwgc_thread *thread, heap_ref *slot, heap_ref value) {
  (void)thread;
  *slot = value;
}

// ---- safepoints: threads are stopped by a signal wherever they are ---------------------------------

static inline void bdwgc_poll(bdwgc_thread *thread) { (void)thread; }
static inline void bdwgc_blocking_begin(bdwgc_thread *thread) { (void)thread; }
static inline void bdwgc_blocking_end(bdwgc_thread *thread) { (void)thread; }

// ---- nothing to show -------------------------------------------------------------------------------

static inline bool bdwgc_verify(bdwgc_thread *thread) {
  (void)thread;
  return true;
}

static inline bool bdwgc_map(bdwgc_thread *thread, heap_map_fn visit, void *context) {
  (void)thread, (void)visit, (void)context;
  return false;
}

#endif
