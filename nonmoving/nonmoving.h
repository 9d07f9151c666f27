// SPDX-License-Identifier: MIT
// The non-moving heap: Go 1.21's layout behind the contract of allocators/heap.h, which documents each
// operation. A reference is the address of its object, forever. DESIGN.md says how it works.
//
// With HEAP_OUTLINE the operations are calls into nonmoving_outline.c; otherwise they are inline.
#ifndef NONMOVING_H
#define NONMOVING_H

#include "allocators/heap_stats.h"
#include "allocators/heap_types.h"
#include "allocators/runtime/event_log.h"
#include "allocators/runtime/marking.h"
#include "allocators/runtime/roots.h"
#include "allocators/runtime/world.h"

enum {
  nonmoving_caps = HEAP_CAP_TRACES | HEAP_CAP_WEAK | HEAP_CAP_LIMIT | HEAP_CAP_THREADS |
                   HEAP_CAP_MAP | HEAP_CAP_VERIFY
};

typedef struct nonmoving_heap nonmoving_heap;
typedef struct nonmoving_weak nonmoving_weak;

// Free slots of one span class that are ready to be handed out: adjacent, zeroed, no reference flags.
// Both 0 when there are none.
typedef struct nonmoving_run {
  uintptr_t next, limit;
} nonmoving_run;

enum { NONMOVING_SPAN_CLASSES = 136 };

// What the fast path needs of a thread. [owner] throughout; others touch it while it is stopped.
typedef struct nonmoving_thread {
  hs_thread base;          // first: the runtime knows the thread by it
  uintptr_t tiny;          // free second half of a tiny block, or 0
  uint64_t tiny_count;     // objects that were second halves
  uintptr_t ref_flag_bias; // address of the reference-flag word of heap address 0
  nonmoving_run runs[NONMOVING_SPAN_CLASSES];
} nonmoving_thread;

heap_status nonmoving_create(const heap_config *config, nonmoving_heap **out);
void nonmoving_destroy(nonmoving_heap *heap);
heap_status nonmoving_thread_enter(nonmoving_heap *heap, nonmoving_thread **out);
void nonmoving_thread_leave(nonmoving_thread *thread);

void nonmoving_root_add(nonmoving_thread *thread, heap_root *root, heap_ref *slots, size_t count);
void nonmoving_root_remove(nonmoving_thread *thread, heap_root *root);
void nonmoving_blocking_begin(nonmoving_thread *thread);
void nonmoving_blocking_end(nonmoving_thread *thread);
void nonmoving_collect(nonmoving_thread *thread, heap_collect_kind kind);
void *nonmoving_pin(nonmoving_thread *thread, heap_ref object, size_t ref_count);
void nonmoving_unpin(nonmoving_thread *thread, heap_ref object);
heap_status nonmoving_weak_create(nonmoving_thread *thread, heap_ref target, nonmoving_weak **out);
heap_ref nonmoving_weak_get(nonmoving_thread *thread, nonmoving_weak *weak);
void nonmoving_weak_destroy(nonmoving_thread *thread, nonmoving_weak *weak);
void nonmoving_stats_read(nonmoving_thread *thread, heap_stats *out);
uint64_t nonmoving_footprint(nonmoving_heap *heap);
bool nonmoving_verify(nonmoving_thread *thread);
bool nonmoving_map(nonmoving_thread *thread, heap_map_fn visit, void *context);
const hs_event_log *nonmoving_events(nonmoving_heap *heap);
heap_identity nonmoving_identify(nonmoving_heap *heap);

HEAP_INLINE heap_ref nonmoving_alloc(nonmoving_thread *thread, size_t ref_count, size_t byte_count);
HEAP_INLINE void nonmoving_discard(nonmoving_thread *thread, heap_ref object);
HEAP_INLINE heap_ref nonmoving_load(nonmoving_thread *thread, heap_ref object, size_t slot);
HEAP_INLINE void nonmoving_store(nonmoving_thread *thread, heap_ref object, size_t slot,
                                 heap_ref value);
HEAP_INLINE const void *nonmoving_read(nonmoving_thread *thread, heap_ref object, size_t ref_count);
HEAP_INLINE void *nonmoving_write(nonmoving_thread *thread, heap_ref object, size_t ref_count);
HEAP_INLINE bool nonmoving_same(nonmoving_thread *thread, heap_ref a, heap_ref b);
HEAP_INLINE void nonmoving_frame_push(nonmoving_thread *thread, heap_frame *frame, heap_ref *slots,
                                      size_t count);
HEAP_INLINE void nonmoving_frame_pop(nonmoving_thread *thread, heap_frame *frame);
HEAP_INLINE heap_ref nonmoving_root_load(nonmoving_thread *thread, const heap_ref *slot);
HEAP_INLINE void nonmoving_root_store(nonmoving_thread *thread, heap_ref *slot, heap_ref value);
HEAP_INLINE void nonmoving_poll(nonmoving_thread *thread);

// Out-of-line halves of the fast paths.
heap_ref nonmoving_alloc_slow(nonmoving_thread *thread, size_t ref_count, size_t byte_count);
size_t nonmoving_ref_count_slow(nonmoving_thread *thread, heap_ref object); // checks: of an object

#ifndef HEAP_OUTLINE
#include "nonmoving/nonmoving_inline.h"
#endif

#endif
