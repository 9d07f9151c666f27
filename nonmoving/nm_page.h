// SPDX-License-Identifier: MIT
// The page allocator: which 8 KiB pages of the reserved range are used, and which are released to the
// OS. A bitmap per 4 MiB chunk under a tree of summaries, five levels, fan-out 8; address-ordered
// first fit. Works on page numbers and touches no page itself. After Go's mpagealloc.go (1.14+).
//
// I-nm-1  a used page is never marked scavenged.
// I-nm-2  every summary equals the merge of its children, a leaf that of its chunk's bitmap; the
//         summary of a chunk that was never grown is 0 (nothing free).
// I-nm-3  every page below `search` is used or not grown.
#ifndef NM_PAGE_H
#define NM_PAGE_H

#include "nonmoving/nm_pagebits.h"
#include "nonmoving/nm_scavindex.h"

enum {
  NM_LEVELS = 5,
  NM_FANOUT_BITS = 3,
  NM_FANOUT = 1 << NM_FANOUT_BITS,
  NM_ROOT_CHUNKS = 1 << (NM_FANOUT_BITS * (NM_LEVELS - 1)), // chunks under one root entry: 16 GiB
  NM_CACHE_PAGES = 64,                                      // one word of the bitmap: 512 KiB
};

typedef struct nm_chunk {
  uint64_t used[NM_CHUNK_WORDS];
  uint64_t scavenged[NM_CHUNK_WORDS]; // free and returned to the OS, or never touched
} nm_chunk;

// [lock heap.lock] throughout.
typedef struct nm_pages {
  nm_chunk *chunks;
  nm_sum *levels[NM_LEVELS]; // 0 is the root, the last has one entry per chunk
  size_t chunk_capacity;     // [const] multiple of NM_ROOT_CHUNKS
  size_t chunk_end;          // chunks at and above were never grown
  size_t search;             // I-nm-3
  nm_scav_index scav;
} nm_pages;

// 64 adjacent pages in the hands of one thread: bit i of `free` is page base + i. The pages it holds
// are marked used in the bitmap. Empty when free is 0.
typedef struct nm_page_cache {
  size_t base;
  uint64_t free, scavenged; // scavenged is a subset of free
} nm_page_cache;

// Bytes of the arrays that a capacity of `chunks` needs, per array; `level` < NM_LEVELS.
size_t nm_pages_level_count(size_t chunk_capacity, unsigned level);

// Arrays must be zero. chunk_capacity: multiple of NM_ROOT_CHUNKS.
void nm_pages_init(nm_pages *pages, nm_chunk *chunks, nm_scav_chunk *scav_chunks,
                   nm_sum *const levels[NM_LEVELS], size_t chunk_capacity);

// Add chunks; their pages are born free and scavenged.
void nm_pages_grow(nm_pages *pages, size_t first_chunk, size_t chunk_count);

// First page of the lowest run of n free pages, taken; NM_NO_PAGE when there is none.
// *scavenged: how many of them were released.
size_t nm_pages_alloc(nm_pages *pages, size_t n, size_t *scavenged);

// Give pages back. scavenged: they hold no memory (they go back as released).
void nm_pages_free(nm_pages *pages, size_t first, size_t n, bool scavenged);

// Fill an empty cache with the free pages of the aligned block that holds the first free page. The
// cache stays empty when nothing is free.
void nm_pages_fill_cache(nm_pages *pages, nm_page_cache *cache);
void nm_pages_flush_cache(nm_pages *pages, nm_page_cache *cache);

// n < 64 adjacent pages of a cache, NM_NO_PAGE when there is no such run.
size_t nm_page_cache_alloc(nm_page_cache *cache, size_t n, size_t *scavenged);

// Take these pages, which are free.
void nm_pages_take(nm_pages *pages, size_t first, size_t n);

// ---- scavenging ---------------------------------------------------------------------------------

// What a scavenger may take at a time. Pages; powers of two.
typedef struct nm_scav_rule {
  nm_scav_mode mode;
  unsigned align;     // of runs and their ends: an OS page, at least 1, at most 64
  unsigned huge_page; // do not split free huge pages of as many; 0: there are none to spare
} nm_scav_rule;

// In a chunk, the highest run of free pages with memory at or below page `from`, at most max_pages of
// its top (rounded up to `align`, at least one of it, and more where that would split a huge page).
// Returns its length and start, or 0.
unsigned nm_chunk_find_candidate(const nm_chunk *chunk, unsigned from, nm_scav_rule rule,
                                 size_t max_pages, unsigned *start);

// Take the next run to return to the OS, within one chunk: its length and *first, or 0 when there is
// none. It counts as used until nm_pages_scavenge_end, so the lock may be dropped for the purge.
size_t nm_pages_scavenge_begin(nm_pages *pages, nm_scav_rule rule, size_t max_pages, size_t *first);
void nm_pages_scavenge_end(nm_pages *pages, size_t first, size_t n, bool released);

// ---- checks -------------------------------------------------------------------------------------

bool nm_pages_is_used(const nm_pages *pages, size_t page);
bool nm_pages_is_scavenged(const nm_pages *pages, size_t page);

// NULL, or which invariant does not hold. No purge may be under way.
const char *nm_pages_violation(const nm_pages *pages);

#endif
