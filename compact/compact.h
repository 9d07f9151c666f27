// SPDX-License-Identifier: MIT
// The compacting heap: a reference is the address of an 8-byte handle-table entry that holds the
// object's place, so objects move by changing one word and no reference is ever fixed up for it.
// Public types and prototypes; what each operation means is said once, in allocators/heap.h. Design,
// invariants and sources: compact/DESIGN.md.
//
// Note [entry]
//   bits 0-31   location: object address in 8-byte granules from the base of the object space, which
//               is therefore at most 32 GiB. 0 is a guard page: a free or stale entry faults.
//   bits 32-43  size in granules, at most 4095 (32,760 bytes), at least 1
//   bits 44-55  reference slots, at most 4095: never more than the size, so it always fits
//   bit  56     LARGE: bits 32-55 are the index of a descriptor, which holds size and slots
//   bit  62     FORWARDED: bits 32-61 are the index of the entry that replaces this one (renaming)
//   bit  63     MOVING: the sign of the word tells a writer that the object is being copied
//   Objects have no header: one of 16 bytes costs 16 + 8.
//   Readers load the low half only; writers and markers the word. An entry is written by the thread that
//   allocates the object, before it stores the reference with release. Then it changes while the world
//   is stopped, or by compare-and-swap while the object is moved beside the program: Note [relocation]
//   in cp_relocate.c. Acquire loads pair with the commit of a
//   move; on x86-64 they are plain ones.
#ifndef COMPACT_H
#define COMPACT_H

#include "allocators/base/assert.h"
#include "allocators/base/atomic.h"
#include "allocators/base/bits.h"
#include "allocators/heap_stats.h"
#include "allocators/heap_types.h"
#include "allocators/runtime/event_log.h"
#include "allocators/runtime/marking.h"
#include "allocators/runtime/roots.h"
#include "allocators/runtime/world.h"

enum {
  compact_caps = HEAP_CAP_TRACES | HEAP_CAP_MOVES | HEAP_CAP_WEAK | HEAP_CAP_LIMIT |
                 HEAP_CAP_THREADS | HEAP_CAP_MAP | HEAP_CAP_VERIFY
};

// Layout of an entry, see Note [entry].
enum {
  COMPACT_GRANULE_SHIFT = 3, // log2 bytes; objects are aligned to a granule
  COMPACT_SIZE_SHIFT = 32,
  COMPACT_REFS_SHIFT = 44,
  COMPACT_FIELD_MAX = 4095,                                         // of size and of slots
  COMPACT_SMALL_BYTES = COMPACT_FIELD_MAX << COMPACT_GRANULE_SHIFT, // larger ones are LARGE
  COMPACT_COUNT_SHIFT = 15, // a slot or byte count of 2^15 or more cannot be small
};
_Static_assert(COMPACT_SMALL_BYTES < 1 << COMPACT_COUNT_SHIFT, "the quick test is exact enough");

#define COMPACT_MOVING (1ull << 63) // Note [entry]

typedef union compact_entry {
  _Atomic(uint64_t) word;
  struct {
    _Atomic(uint32_t) location; // granules
    _Atomic(uint32_t) shape;
  } half; // little-endian
} compact_entry;
_Static_assert(sizeof(compact_entry) == 8, "a handle costs 8 bytes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "half.location is the low half");

typedef struct compact_heap compact_heap;
typedef struct compact_weak compact_weak;

// I-cp-1: next <= limit and limit - next <= COMPACT_SMALL_BYTES, [next, limit) is zero, so whatever
//         fits below limit is a small object and needs no clearing.
// I-cp-2: bit i of handles set: handle_word[i] is free, and its allocation bit is already set, so
//         taking it needs no shared write.
typedef struct compact_thread {
  hs_thread base;                     // first member: the registry sees this
  char *objects;                      // [const] base of the object space
  char *next, *limit;                 // [owner] bump allocation
  uint64_t handles;                   // [owner] I-cp-2
  compact_entry *handle_word;         // [owner] first of 64 entries
  compact_heap *heap;                 // [const]
  const _Atomic(uint32_t) *two_names; // [const] nonzero: objects may have two names. Note [twins]

  // Refill state (cp_cache.c); read by the collector while the world is stopped.
  char *chunk;                            // [owner] objects below are counted
  uint64_t handles_taken;                 // [owner] value of handles at the last refill
  uint32_t region, slab, slab_word;       // [owner] open region and slab, CP_NONE: none; next word
  uint32_t slab_taken;                    // [owner] entries taken from the slab. I-cp-3
  uint32_t turn;                          // [owner] of the heap, when the thread last turned
  struct cp_bits *alloc_bits, *mark_bits; // [owner] what the bitmaps were then, one per slab
  uint64_t alloc_bytes, alloc_objects;    // [owner] since the last cycle, see cp_cache_count
  int64_t uncharged_bytes;                // [owner] Note [charging by the chunk] in cp_cache.c
  struct compact_thread *next_free;       // [lock heap] recycled descriptors
} compact_thread;

heap_status compact_create(const heap_config *config, compact_heap **out);
void compact_destroy(compact_heap *heap);
heap_status compact_thread_enter(compact_heap *heap, compact_thread **out);
void compact_thread_leave(compact_thread *thread);

HEAP_INLINE heap_ref compact_alloc(compact_thread *thread, size_t ref_count, size_t byte_count);
HS_COLD heap_ref compact_alloc_slow(compact_thread *thread, size_t ref_count, size_t byte_count);
HEAP_INLINE void compact_discard(compact_thread *thread, heap_ref ref);

HEAP_INLINE heap_ref compact_load(compact_thread *thread, heap_ref object, size_t slot);
HEAP_INLINE void compact_store(compact_thread *thread, heap_ref object, size_t slot,
                               heap_ref value);
HEAP_INLINE const void *compact_read(compact_thread *thread, heap_ref object, size_t ref_count);
HEAP_INLINE void *compact_write(compact_thread *thread, heap_ref object, size_t ref_count);
HEAP_INLINE bool compact_same(compact_thread *thread, heap_ref a, heap_ref b);

HEAP_INLINE void compact_frame_push(compact_thread *thread, heap_frame *frame, heap_ref *slots,
                                    size_t count);
HEAP_INLINE void compact_frame_pop(compact_thread *thread, heap_frame *frame);
HEAP_INLINE void compact_root_add(compact_thread *thread, heap_root *root, heap_ref *slots,
                                  size_t count);
HEAP_INLINE void compact_root_remove(compact_thread *thread, heap_root *root);
HEAP_INLINE heap_ref compact_root_load(compact_thread *thread, const heap_ref *slot);
HEAP_INLINE void compact_root_store(compact_thread *thread, heap_ref *slot, heap_ref value);

HEAP_INLINE void compact_poll(compact_thread *thread);
HEAP_INLINE void compact_blocking_begin(compact_thread *thread);
HEAP_INLINE void compact_blocking_end(compact_thread *thread);
void compact_collect(compact_thread *thread, heap_collect_kind kind);

// Pins are counted per object and belong to the heap: any thread may unpin, with a reference that it has from
// a root or a slot (R2): a pinned object's handle may be renamed like any other.
void *compact_pin(compact_thread *thread, heap_ref object, size_t ref_count);
void compact_unpin(compact_thread *thread, heap_ref object);

heap_status compact_weak_create(compact_thread *thread, heap_ref target, compact_weak **out);
HEAP_INLINE heap_ref compact_weak_get(compact_thread *thread, compact_weak *weak);
void compact_weak_destroy(compact_thread *thread, compact_weak *weak);

void compact_stats_read(compact_thread *thread, heap_stats *out);
uint64_t compact_footprint(compact_heap *heap);
bool compact_verify(compact_thread *thread);
bool compact_map(compact_thread *thread, heap_map_fn visit, void *context);
const hs_event_log *compact_events(compact_heap *heap);
heap_identity compact_identify(compact_heap *heap);

#ifndef HEAP_OUTLINE
#include "compact/compact_inline.h"
#endif

#endif
