// SPDX-License-Identifier: MIT
// Template of a binding for an explicit-free allocator: every operation of the contract that such a
// library answers alike. A binding header defines three macros and includes this file once:
//
//   MALLOC_LIKE_PREFIX          prefix of the binding (libc)
//   MALLOC_LIKE_ZALLOC(bytes)   zeroed memory of at least one byte, or NULL
//   MALLOC_LIKE_FREE(address)   gives it back; accepts NULL
//
// A reference is the address the library returned and objects die by heap_discard. Nothing is traced
// and nothing moves, so roots, pins and safepoints cost nothing. The library's one process-wide
// allocator serves every heap_create, as it serves a program. What differs between libraries (life
// cycle, purging, statistics, identity) is declared here and defined in the adapter's .c file.
// No include guard: included once per binding.
#include "allocators/base/bits.h"
#include "allocators/base/compiler.h"
#include "allocators/heap_stats.h"
#include "allocators/heap_types.h"
#include "allocators/runtime/event_log.h"

#define MALLOC_LIKE(name) HS_CONCAT(HS_CONCAT(MALLOC_LIKE_PREFIX, _), name)
#define MALLOC_LIKE_HEAP MALLOC_LIKE(heap)
#define MALLOC_LIKE_THREAD MALLOC_LIKE(thread)
#define MALLOC_LIKE_WEAK MALLOC_LIKE(weak)

enum { MALLOC_LIKE(caps) = HEAP_CAP_FREES | HEAP_CAP_THREADS };

typedef struct MALLOC_LIKE(heap) MALLOC_LIKE(heap);
typedef struct MALLOC_LIKE(thread) {
  MALLOC_LIKE_HEAP *heap;
} MALLOC_LIKE(thread);
typedef struct MALLOC_LIKE(weak) MALLOC_LIKE(weak); // never created: no HEAP_CAP_WEAK

// ---- defined by each adapter ---------------------------------------------------------------------

heap_status MALLOC_LIKE(create)(const heap_config *config, MALLOC_LIKE_HEAP **out);
void MALLOC_LIKE(destroy)(MALLOC_LIKE_HEAP *heap);
heap_status MALLOC_LIKE(thread_enter)(MALLOC_LIKE_HEAP *heap, MALLOC_LIKE_THREAD **out);
void MALLOC_LIKE(thread_leave)(MALLOC_LIKE_THREAD *thread);
void MALLOC_LIKE(collect)(MALLOC_LIKE_THREAD *thread, heap_collect_kind kind);
void MALLOC_LIKE(stats_read)(MALLOC_LIKE_THREAD *thread, heap_stats *out);
uint64_t MALLOC_LIKE(footprint)(MALLOC_LIKE_HEAP *heap);
heap_identity MALLOC_LIKE(identify)(MALLOC_LIKE_HEAP *heap);

// ---- objects -------------------------------------------------------------------------------------

static inline heap_ref MALLOC_LIKE(alloc)(MALLOC_LIKE_THREAD *thread, size_t ref_count,
                                          size_t byte_count) {
  (void)thread;
  size_t slots, bytes;
  if (HS_UNLIKELY(!hs_mul_fits(ref_count, sizeof(heap_ref), &slots) ||
                  !hs_add_fits(slots, byte_count, &bytes)))
    return HEAP_NULL;
  return (heap_ref){(uintptr_t)MALLOC_LIKE_ZALLOC(bytes ? bytes : 1)};
}

static inline void MALLOC_LIKE(discard)(MALLOC_LIKE_THREAD *thread, heap_ref object) {
  (void)thread;
  MALLOC_LIKE_FREE((void *)object.bits);
}

static inline heap_ref MALLOC_LIKE(load)(MALLOC_LIKE_THREAD *thread, heap_ref object, size_t slot) {
  (void)thread;
  return ((const heap_ref *)object.bits)[slot];
}

static inline void MALLOC_LIKE(store)(MALLOC_LIKE_THREAD *thread, heap_ref object, size_t slot,
                                      heap_ref value) {
  (void)thread;
  ((heap_ref *)object.bits)[slot] = value;
}

static inline const void *MALLOC_LIKE(read)(MALLOC_LIKE_THREAD *thread, heap_ref object,
                                            size_t ref_count) {
  (void)thread;
  return (const heap_ref *)object.bits + ref_count;
}

static inline void *MALLOC_LIKE(write)(MALLOC_LIKE_THREAD *thread, heap_ref object,
                                       size_t ref_count) {
  (void)thread;
  return (heap_ref *)object.bits + ref_count;
}

static inline bool MALLOC_LIKE(same)(MALLOC_LIKE_THREAD *thread, heap_ref a, heap_ref b) {
  (void)thread;
  return a.bits == b.bits;
}

// ---- roots: only the promise that new slots are null ----------------------------------------------

static inline void MALLOC_LIKE(frame_push)(MALLOC_LIKE_THREAD *thread, heap_frame *frame,
                                           heap_ref *slots, size_t count) {
  (void)thread, (void)frame;
  for (size_t i = 0; i < count; i++) slots[i] = HEAP_NULL;
}

static inline void MALLOC_LIKE(frame_pop)(MALLOC_LIKE_THREAD *thread, heap_frame *frame) {
  (void)thread, (void)frame;
}

static inline void MALLOC_LIKE(root_add)(MALLOC_LIKE_THREAD *thread, heap_root *root,
                                         heap_ref *slots, size_t count) {
  (void)thread, (void)root;
  for (size_t i = 0; i < count; i++) slots[i] = HEAP_NULL;
}

static inline void MALLOC_LIKE(root_remove)(MALLOC_LIKE_THREAD *thread, heap_root *root) {
  (void)thread, (void)root;
}

static inline heap_ref MALLOC_LIKE(root_load)(MALLOC_LIKE_THREAD *thread, const heap_ref *slot) {
  (void)thread;
  return *slot;
}

static inline void MALLOC_LIKE(root_store)(MALLOC_LIKE_THREAD *thread, heap_ref *slot,
                                           heap_ref value) {
  (void)thread;
  *slot = value;
}

// ---- nothing to do, nothing to show ---------------------------------------------------------------

static inline void MALLOC_LIKE(poll)(MALLOC_LIKE_THREAD *thread) { (void)thread; }
static inline void MALLOC_LIKE(blocking_begin)(MALLOC_LIKE_THREAD *thread) { (void)thread; }
static inline void MALLOC_LIKE(blocking_end)(MALLOC_LIKE_THREAD *thread) { (void)thread; }

static inline void *MALLOC_LIKE(pin)(MALLOC_LIKE_THREAD *thread, heap_ref object,
                                     size_t ref_count) {
  return MALLOC_LIKE(write)(thread, object, ref_count);
}

static inline void MALLOC_LIKE(unpin)(MALLOC_LIKE_THREAD *thread, heap_ref object) {
  (void)thread, (void)object;
}

static inline heap_status MALLOC_LIKE(weak_create)(MALLOC_LIKE_THREAD *thread, heap_ref target,
                                                   MALLOC_LIKE_WEAK **out) {
  (void)thread, (void)target, (void)out;
  return HEAP_UNSUPPORTED;
}

static inline heap_ref MALLOC_LIKE(weak_get)(MALLOC_LIKE_THREAD *thread, MALLOC_LIKE_WEAK *weak) {
  (void)thread, (void)weak;
  return HEAP_NULL;
}

static inline void MALLOC_LIKE(weak_destroy)(MALLOC_LIKE_THREAD *thread, MALLOC_LIKE_WEAK *weak) {
  (void)thread, (void)weak;
}

static inline bool MALLOC_LIKE(verify)(MALLOC_LIKE_THREAD *thread) {
  (void)thread;
  return true;
}

static inline bool MALLOC_LIKE(map)(MALLOC_LIKE_THREAD *thread, heap_map_fn visit, void *context) {
  (void)thread, (void)visit, (void)context;
  return false;
}

static inline const hs_event_log *MALLOC_LIKE(events)(MALLOC_LIKE_HEAP *heap) {
  (void)heap;
  return NULL;
}
