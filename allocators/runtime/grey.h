// SPDX-License-Identifier: MIT
// Grey objects: work queues of a marker. A pool of fixed chunks shared by all markers, and per
// marker one chunk to push and pop without synchronisation. Entries are one word: the address of a
// marked object that is still to be scanned, or tagged in its low bits, of which the shared runtime knows
// one: HS_GREY_REF, a reference (from a frame, a root, the write barrier) whose object may not be marked
// yet. Other tags are the heap's own.
//
// Note [mark overflow]
//   The pool may fail to grow. A push that finds no room drops the entry, sets `overflowed` and says
//   so. An object that is marked is scanned again: the marker, when its queues are empty, scans every
//   marked object until a round does not overflow. A reference (HS_GREY_REF) that was dropped must be
//   marked on the spot by its pusher, and is then such an object. Marking never needs memory to finish.
//   With no chunk at all each rescan may get one object further along a list; with one chunk it follows
//   the list to its end. So a heap keeps a block at all times.
#ifndef HS_RUNTIME_GREY_H
#define HS_RUNTIME_GREY_H

#include "allocators/base/atomic.h"
#include "allocators/base/compiler.h"
#include "allocators/os/os.h"

enum { HS_GREY_MIN_DONATION = 8 }; // words; fewer are not worth a lock
enum { HS_GREY_REF = 2, HS_GREY_TAGS = 7 };
enum { HS_GREY_CHUNK_BYTES = 2048, HS_GREY_CHUNK_WORDS = HS_GREY_CHUNK_BYTES / 8 - 2 };

typedef struct hs_grey_chunk {
  struct hs_grey_chunk *next;
  uint64_t count;
  uintptr_t words[HS_GREY_CHUNK_WORDS];
} hs_grey_chunk;
_Static_assert(sizeof(hs_grey_chunk) == HS_GREY_CHUNK_BYTES, "a chunk is its stated size");

typedef struct hs_grey_pool {
  hs_mutex lock;
  hs_grey_chunk *full, *empty;  // [lock]
  struct hs_grey_block *blocks; // [lock] mapped memory, released by hs_grey_pool_trim
  size_t mapped_bytes;          // [lock]
  _Atomic(uint64_t) used_bytes; // [atomic] written under lock: pages of blocks that hold chunks
  _Atomic(uint32_t) full_count; // [atomic] hint: is there something to take
  _Atomic(uint32_t) overflowed; // [atomic] Note [mark overflow]
} hs_grey_pool;

// One marker's end; a pool alone is empty.
typedef struct hs_grey {
  hs_grey_pool *pool;
  hs_grey_chunk *chunk;
} hs_grey;

void hs_grey_pool_init(hs_grey_pool *pool);
void hs_grey_pool_destroy(hs_grey_pool *pool);
void hs_grey_pool_trim(hs_grey_pool *pool); // give all memory back; requires all queues empty
// The same but for one block; and have one. False: the OS refuses. See Note [mark overflow].
void hs_grey_pool_shrink(hs_grey_pool *pool);
HS_NODISCARD bool hs_grey_pool_prime(hs_grey_pool *pool);
void hs_grey_pool_clear(hs_grey_pool *pool); // drop every published entry
bool hs_grey_pool_is_empty(hs_grey_pool *pool);
size_t hs_grey_pool_bytes(hs_grey_pool *pool);

void hs_grey_begin(hs_grey *grey, hs_grey_pool *pool);
void hs_grey_end(hs_grey *grey); // publishes what is left, returns the chunk

void hs_grey_drop(hs_grey *grey); // forgets what is left, returns the chunk

HS_COLD bool hs_grey_push_slow(hs_grey *grey, uintptr_t word);
HS_COLD bool hs_grey_pop_slow(hs_grey *grey, uintptr_t *out);

// Hand all local work to the pool, so that idle markers can take it.
void hs_grey_share(hs_grey *grey);

// Hand the older half of the local work to the pool: what was pushed first leads to more. A depth-first marker would otherwise keep all work to itself.
HS_COLD void hs_grey_donate(hs_grey *grey);

// Call it after each object: keeps something in the pool, also for a thread that comes to assist while
// this one is preempted.
static inline void hs_grey_balance(hs_grey *grey) {
  if (HS_UNLIKELY(hs_load_relaxed(&grey->pool->full_count) == 0) && grey->chunk &&
      grey->chunk->count >= HS_GREY_MIN_DONATION)
    hs_grey_donate(grey);
}

// False: no memory, and the entry is the caller's to deal with.
static inline bool hs_grey_offer(hs_grey *grey, uintptr_t word) {
  hs_grey_chunk *chunk = grey->chunk;
  if (HS_LIKELY(chunk && chunk->count < HS_GREY_CHUNK_WORDS)) {
    chunk->words[chunk->count++] = word;
    return true;
  }
  return hs_grey_push_slow(grey, word);
}

// False: no memory, the entry was dropped and the pool says so. See Note [mark overflow].
static inline bool hs_grey_push(hs_grey *grey, uintptr_t word) {
  if (HS_LIKELY(hs_grey_offer(grey, word))) return true;
  hs_store_relaxed(&grey->pool->overflowed, 1u); // read after the marker has left its slice
  return false;
}

// LIFO within a chunk. False: nothing here and nothing in the pool.
static inline bool hs_grey_pop(hs_grey *grey, uintptr_t *out) {
  hs_grey_chunk *chunk = grey->chunk;
  if (HS_LIKELY(chunk && chunk->count > 0)) {
    *out = chunk->words[--chunk->count];
    return true;
  }
  return hs_grey_pop_slow(grey, out);
}

#endif
