// SPDX-License-Identifier: MIT
#include "allocators/runtime/grey.h"

#include <string.h>

#include "allocators/base/assert.h"
#include "allocators/base/bits.h"

// A block is mapped at once and cut into chunks as they are needed, so that its untouched end costs
// nothing. Its first chunk is the header.
enum { BLOCK_BYTES = 64 << 10, CHUNKS_PER_BLOCK = BLOCK_BYTES / HS_GREY_CHUNK_BYTES };

typedef struct hs_grey_block {
  struct hs_grey_block *next; // [const]
  size_t cut_count;           // [lock pool] chunks handed out, the header included
} hs_grey_block;
_Static_assert(sizeof(hs_grey_block) <= HS_GREY_CHUNK_BYTES, "the header takes one chunk");

void hs_grey_pool_init(hs_grey_pool *pool) { *pool = (hs_grey_pool){0}; }

static void release_blocks(hs_grey_pool *pool) {
  for (hs_grey_block *block = pool->blocks; block;) {
    hs_grey_block *const next = block->next;
    hs_os_unmap(block, BLOCK_BYTES);
    block = next;
  }
  pool->blocks = NULL;
  pool->full = pool->empty = NULL;
  pool->mapped_bytes = 0;
  hs_store_relaxed(&pool->used_bytes, (uint64_t)0);
  hs_store_relaxed(&pool->full_count, 0u);
}

void hs_grey_pool_destroy(hs_grey_pool *pool) { release_blocks(pool); }

static void trim(hs_grey_pool *pool, bool all) {
  hs_mutex_lock(&pool->lock);
  HS_REQUIRE(!pool->full, "grey objects were dropped before they were scanned");
  hs_grey_block *const kept = all ? NULL : pool->blocks;
  if (kept) pool->blocks = kept->next;
  release_blocks(pool);
  if (kept) {
    *kept = (hs_grey_block){.cut_count = 1};
    pool->blocks = kept;
    pool->mapped_bytes = BLOCK_BYTES;
    hs_store_relaxed(&pool->used_bytes, (uint64_t)hs_os_page_bytes()); // its header
  }
  hs_mutex_unlock(&pool->lock);
}

void hs_grey_pool_trim(hs_grey_pool *pool) { trim(pool, true); }

void hs_grey_pool_shrink(hs_grey_pool *pool) { trim(pool, false); }

// Read by samplers and at each growth of a heap: never a walk over the blocks under the lock.
size_t hs_grey_pool_bytes(hs_grey_pool *pool) { return (size_t)hs_load_relaxed(&pool->used_bytes); }

static size_t block_bytes(const hs_grey_block *block) {
  return hs_align_up(block->cut_count * HS_GREY_CHUNK_BYTES, hs_os_page_bytes());
}

// An empty chunk, or NULL when the OS refuses another block.
static hs_grey_chunk *take_empty_locked(hs_grey_pool *pool) {
  hs_grey_chunk *const chunk = pool->empty;
  if (chunk) {
    pool->empty = chunk->next;
    return chunk;
  }
  hs_grey_block *block = pool->blocks;
  if (!block || block->cut_count == CHUNKS_PER_BLOCK) {
    void *mapped;
    if (hs_os_map(BLOCK_BYTES, hs_os_page_bytes(), &mapped) != 0) return NULL;
    block = mapped;
    block->next = pool->blocks;
    block->cut_count = 1;
    pool->blocks = block;
    pool->mapped_bytes += BLOCK_BYTES;
    hs_owner_add(&pool->used_bytes, (uint64_t)hs_os_page_bytes()); // its header
  }
  hs_grey_chunk *const cut =
      (hs_grey_chunk *)(void *)((char *)block + block->cut_count * HS_GREY_CHUNK_BYTES);
  const size_t before = block_bytes(block);
  block->cut_count++;
  hs_owner_add(&pool->used_bytes, (uint64_t)(block_bytes(block) - before));
  return cut;
}

static void put_full_locked(hs_grey_pool *pool, hs_grey_chunk *chunk) {
  chunk->next = pool->full;
  pool->full = chunk;
  hs_add_relaxed(&pool->full_count, 1u); // a hint; the lock orders the chunks
}

static void put_empty_locked(hs_grey_pool *pool, hs_grey_chunk *chunk) {
  chunk->next = pool->empty;
  pool->empty = chunk;
}

void hs_grey_pool_clear(hs_grey_pool *pool) {
  hs_mutex_lock(&pool->lock);
  while (pool->full) {
    hs_grey_chunk *const chunk = pool->full;
    pool->full = chunk->next;
    put_empty_locked(pool, chunk);
  }
  hs_store_relaxed(&pool->full_count, 0u);
  hs_mutex_unlock(&pool->lock);
}

bool hs_grey_pool_is_empty(hs_grey_pool *pool) {
  hs_mutex_lock(&pool->lock);
  const bool empty = pool->full == NULL;
  hs_mutex_unlock(&pool->lock);
  return empty;
}

bool hs_grey_pool_prime(hs_grey_pool *pool) {
  hs_mutex_lock(&pool->lock);
  hs_grey_chunk *const chunk = take_empty_locked(pool);
  if (chunk) put_empty_locked(pool, chunk);
  hs_mutex_unlock(&pool->lock);
  return chunk != NULL;
}

void hs_grey_begin(hs_grey *grey, hs_grey_pool *pool) { *grey = (hs_grey){.pool = pool}; }

void hs_grey_end(hs_grey *grey) {
  hs_grey_chunk *const chunk = grey->chunk;
  if (chunk) {
    hs_mutex_lock(&grey->pool->lock);
    if (chunk->count > 0)
      put_full_locked(grey->pool, chunk);
    else
      put_empty_locked(grey->pool, chunk);
    hs_mutex_unlock(&grey->pool->lock);
  }
  grey->chunk = NULL;
}

void hs_grey_drop(hs_grey *grey) {
  if (grey->chunk) grey->chunk->count = 0;
  hs_grey_end(grey);
}

void hs_grey_share(hs_grey *grey) {
  hs_grey_chunk *const chunk = grey->chunk;
  if (!chunk || chunk->count == 0) return;
  hs_mutex_lock(&grey->pool->lock);
  put_full_locked(grey->pool, chunk);
  hs_mutex_unlock(&grey->pool->lock);
  grey->chunk = NULL;
}

void hs_grey_donate(hs_grey *grey) {
  hs_grey_pool *const pool = grey->pool;
  hs_grey_chunk *const chunk = grey->chunk;
  const uint64_t given = chunk->count / 2;
  hs_mutex_lock(&pool->lock);
  hs_grey_chunk *const gift = take_empty_locked(pool);
  if (gift) {
    memcpy(gift->words, chunk->words, given * sizeof chunk->words[0]);
    gift->count = given;
    put_full_locked(pool, gift);
  }
  hs_mutex_unlock(&pool->lock);
  if (!gift) return; // no memory: it stays here
  chunk->count -= given;
  memmove(chunk->words, chunk->words + given, chunk->count * sizeof chunk->words[0]);
}

bool hs_grey_push_slow(hs_grey *grey, uintptr_t word) {
  hs_grey_pool *const pool = grey->pool;
  hs_mutex_lock(&pool->lock);
  hs_grey_chunk *const fresh = take_empty_locked(pool);
  if (fresh && grey->chunk) put_full_locked(pool, grey->chunk);
  hs_mutex_unlock(&pool->lock);
  if (!fresh) return false;
  fresh->next = NULL;
  fresh->count = 1;
  fresh->words[0] = word;
  grey->chunk = fresh;
  return true;
}

bool hs_grey_pop_slow(hs_grey *grey, uintptr_t *out) {
  hs_grey_pool *const pool = grey->pool;
  if (hs_load_relaxed(&pool->full_count) == 0) return false; // own shares are always seen
  hs_mutex_lock(&pool->lock);
  hs_grey_chunk *const chunk = pool->full;
  if (chunk) {
    pool->full = chunk->next;
    hs_sub_relaxed(&pool->full_count, 1u);
    if (grey->chunk) put_empty_locked(pool, grey->chunk);
  }
  hs_mutex_unlock(&pool->lock);
  if (!chunk) return false;
  grey->chunk = chunk;
  *out = chunk->words[--chunk->count]; // full chunks hold at least one word
  return true;
}
