// SPDX-License-Identifier: MIT
#include "nonmoving/nm_page.h"

#include "allocators/base/assert.h"

// Pages under one entry of a level, as a shift.
static unsigned level_shift(unsigned level) {
  return 9 + NM_FANOUT_BITS * (NM_LEVELS - 1 - level); // a leaf is 2^9 pages
}

size_t nm_pages_level_count(size_t chunk_capacity, unsigned level) {
  return chunk_capacity >> (NM_FANOUT_BITS * (NM_LEVELS - 1 - level));
}

void nm_pages_init(nm_pages *pages, nm_chunk *chunks, nm_sum *const levels[NM_LEVELS],
                   size_t chunk_capacity) {
  HS_REQUIRE(chunk_capacity > 0 && chunk_capacity % NM_ROOT_CHUNKS == 0,
             "%zu chunks are not whole root entries", chunk_capacity);
  *pages = (nm_pages){.chunks = chunks, .chunk_capacity = chunk_capacity, .search = NM_NO_PAGE};
  for (unsigned l = 0; l < NM_LEVELS; l++) pages->levels[l] = levels[l];
}

// Recompute the summaries above chunks [first, last]; stops where nothing changes (I-nm-2).
static void update_summaries(nm_pages *pages, size_t first, size_t last) {
  nm_sum *leaves = pages->levels[NM_LEVELS - 1];
  for (size_t c = first; c <= last; c++) leaves[c] = nm_chunk_summarize(pages->chunks[c].used);
  for (unsigned l = NM_LEVELS - 1; l-- > 0;) {
    first >>= NM_FANOUT_BITS;
    last >>= NM_FANOUT_BITS;
    bool changed = false;
    for (size_t i = first; i <= last; i++) {
      const nm_sum sum = nm_sum_merge(&pages->levels[l + 1][i << NM_FANOUT_BITS], NM_FANOUT,
                                      1u << level_shift(l + 1));
      changed |= sum != pages->levels[l][i];
      pages->levels[l][i] = sum;
    }
    if (!changed) return;
  }
}

void nm_pages_grow(nm_pages *pages, size_t first_chunk, size_t chunk_count) {
  const size_t end = first_chunk + chunk_count;
  HS_REQUIRE(chunk_count > 0 && end <= pages->chunk_capacity, "page heap grown past its range");
  for (size_t c = first_chunk; c < end; c++) {
    for (unsigned w = 0; w < NM_CHUNK_WORDS; w++) {
      pages->chunks[c].used[w] = 0;
      pages->chunks[c].scavenged[w] = ~0ull;
    }
  }
  if (end > pages->chunk_end) pages->chunk_end = end;
  if (first_chunk * NM_CHUNK_PAGES < pages->search) pages->search = first_chunk * NM_CHUNK_PAGES;
  update_summaries(pages, first_chunk, end - 1);
}

// Apply `change` to the part of [first, first + n) in each chunk; returns the sum of its results.
typedef unsigned (*chunk_fn)(nm_chunk *chunk, size_t start, size_t count);
static size_t each_chunk(nm_pages *pages, size_t first, size_t n, chunk_fn change) {
  size_t total = 0;
  for (size_t page = first, end = first + n; page < end;) {
    const size_t start = page % NM_CHUNK_PAGES;
    const size_t count = hs_min_size(end - page, NM_CHUNK_PAGES - start);
    total += change(&pages->chunks[page / NM_CHUNK_PAGES], start, count);
    page += count;
  }
  return total;
}

static unsigned chunk_take(nm_chunk *chunk, size_t start, size_t count) {
  const unsigned scavenged = nm_bits_popcount_range(chunk->scavenged, start, count);
  nm_bits_set_range(chunk->used, start, count);
  nm_bits_clear_range(chunk->scavenged, start, count);
  return scavenged;
}

static unsigned chunk_give(nm_chunk *chunk, size_t start, size_t count) {
  nm_bits_clear_range(chunk->used, start, count);
  return 0;
}

static unsigned chunk_give_scavenged(nm_chunk *chunk, size_t start, size_t count) {
  nm_bits_clear_range(chunk->used, start, count);
  nm_bits_set_range(chunk->scavenged, start, count);
  return 0;
}

static size_t take(nm_pages *pages, size_t first, size_t n) {
  const size_t scavenged = each_chunk(pages, first, n, chunk_take);
  update_summaries(pages, first / NM_CHUNK_PAGES, (first + n - 1) / NM_CHUNK_PAGES);
  return scavenged;
}

// Walk the tree for the lowest run of n pages. Within a block of siblings a free run is carried from
// one entry to the next, so a run that straddles them is found without descending.
static size_t find(const nm_pages *pages, size_t n) {
  size_t block = 0; // first entry of the block of siblings at this level
  size_t count = nm_pages_level_count(pages->chunk_capacity, 0);
  for (unsigned l = 0; l < NM_LEVELS; l++) {
    const unsigned shift = level_shift(l);
    const size_t first_useful = pages->search >> shift;
    size_t base = 0, size = 0, descend = SIZE_MAX; // run [base, base + size) ends at the last entry
    for (size_t j = first_useful > block ? first_useful - block : 0; j < count; j++) {
      const nm_sum sum = pages->levels[l][block + j];
      const size_t start = nm_sum_start(sum);
      if (size == 0) base = (block + j) << shift;
      if (size + start >= n) return base;
      if (nm_sum_max(sum) >= n) {
        descend = block + j;
        break;
      }
      if (start == (size_t)1 << shift) {
        size += start;
      } else {
        size = nm_sum_end(sum);
        base = ((block + j + 1) << shift) - size;
      }
    }
    if (descend == SIZE_MAX) {
      HS_REQUIRE(l == 0, "I-nm-2: a summary promised %zu free pages that are not there", n);
      return NM_NO_PAGE;
    }
    if (l == NM_LEVELS - 1) {
      const size_t chunk = descend;
      const unsigned at = nm_chunk_find(pages->chunks[chunk].used, (unsigned)n, 0);
      HS_REQUIRE(at != NM_NOT_FOUND, "I-nm-2: chunk %zu has no %zu free pages", chunk, n);
      return chunk * NM_CHUNK_PAGES + at;
    }
    block = descend << NM_FANOUT_BITS;
    count = NM_FANOUT;
  }
  HS_UNREACHABLE();
}

size_t nm_pages_alloc(nm_pages *pages, size_t n, size_t *scavenged) {
  if (pages->search == NM_NO_PAGE) return NM_NO_PAGE;
  const size_t first = find(pages, n);
  if (first == NM_NO_PAGE) {
    if (n == 1) pages->search = NM_NO_PAGE;
    return NM_NO_PAGE;
  }
  *scavenged = take(pages, first, n);
  // A run found at the search address, or a single page, is the lowest free one.
  if (n == 1 || first == pages->search) pages->search = first + n;
  return first;
}

void nm_pages_take(nm_pages *pages, size_t first, size_t n) { (void)take(pages, first, n); }

void nm_pages_free(nm_pages *pages, size_t first, size_t n, bool scavenged) {
  each_chunk(pages, first, n, scavenged ? chunk_give_scavenged : chunk_give);
  if (first < pages->search) pages->search = first;
  update_summaries(pages, first / NM_CHUNK_PAGES, (first + n - 1) / NM_CHUNK_PAGES);
}

// ---- page caches --------------------------------------------------------------------------------

void nm_pages_fill_cache(nm_pages *pages, nm_page_cache *cache) {
  HS_ASSERT(cache->free == 0);
  if (pages->search == NM_NO_PAGE) return;
  const size_t first = find(pages, 1);
  if (first == NM_NO_PAGE) {
    pages->search = NM_NO_PAGE;
    return;
  }
  nm_chunk *const chunk = &pages->chunks[first / NM_CHUNK_PAGES];
  const unsigned w = (unsigned)(first % NM_CHUNK_PAGES / NM_CACHE_PAGES);
  cache->base = hs_align_down(first, NM_CACHE_PAGES);
  cache->free = ~chunk->used[w];
  cache->scavenged = chunk->scavenged[w] & cache->free;
  chunk->used[w] = ~0ull;
  chunk->scavenged[w] = 0; // used pages have no scavenged bit (I-nm-1)
  pages->search = cache->base + NM_CACHE_PAGES;
  update_summaries(pages, first / NM_CHUNK_PAGES, first / NM_CHUNK_PAGES);
}

void nm_pages_flush_cache(nm_pages *pages, nm_page_cache *cache) {
  if (cache->free == 0) return;
  nm_chunk *const chunk = &pages->chunks[cache->base / NM_CHUNK_PAGES];
  const unsigned w = (unsigned)(cache->base % NM_CHUNK_PAGES / NM_CACHE_PAGES);
  HS_ASSERT((cache->free & ~chunk->used[w]) == 0);
  chunk->used[w] &= ~cache->free;
  chunk->scavenged[w] |= cache->scavenged;
  const size_t lowest = cache->base + hs_ctz64(cache->free);
  if (lowest < pages->search) pages->search = lowest;
  update_summaries(pages, cache->base / NM_CHUNK_PAGES, cache->base / NM_CHUNK_PAGES);
  *cache = (nm_page_cache){0};
}

size_t nm_page_cache_alloc(nm_page_cache *cache, size_t n, size_t *scavenged) {
  if (cache->free == 0) return NM_NO_PAGE;
  const unsigned at = nm_bits_find_run(cache->free, (unsigned)n);
  if (at == 64) return NM_NO_PAGE;
  const uint64_t mask = hs_low_mask((unsigned)n) << at;
  *scavenged = hs_popcount64(cache->scavenged & mask);
  cache->free &= ~mask;
  cache->scavenged &= ~mask;
  return cache->base + at;
}

// ---- scavenging ---------------------------------------------------------------------------------

static unsigned chunk_used_count(const nm_chunk *chunk) {
  return nm_bits_popcount_range(chunk->used, 0, NM_CHUNK_PAGES);
}

// Top of the highest run of ones at or below bit `from` of the candidates, and its length.
static size_t chunk_highest_candidate(const nm_chunk *chunk, size_t max_pages, size_t *start) {
  size_t length = 0;
  for (unsigned w = NM_CHUNK_WORDS; w-- > 0;) {
    uint64_t candidates = ~chunk->used[w] & ~chunk->scavenged[w];
    unsigned below = 64; // bits at and above are done
    if (length == 0) {
      if (candidates == 0) continue;
      below = hs_log2_floor(candidates) + 1;
    }
    // The run continues downwards from bit below - 1.
    const unsigned run = nm_bits_leading_ones(candidates << (64 - below));
    length += hs_min_size(run, below);
    *start = (size_t)w * 64 + below - hs_min_size(run, below);
    if (run < below) break;
  }
  if (length > max_pages) {
    *start += length - max_pages;
    length = max_pages;
  }
  return length;
}

size_t nm_pages_find_unscavenged(const nm_pages *pages, size_t below_chunk, size_t max_pages,
                                 unsigned dense_pages, size_t *first) {
  for (size_t c = hs_min_size(below_chunk, pages->chunk_end); c-- > 0;) {
    if (pages->levels[NM_LEVELS - 1][c] == 0) continue; // full, or never grown
    const nm_chunk *const chunk = &pages->chunks[c];
    if (chunk_used_count(chunk) >= dense_pages) continue;
    size_t start = 0;
    const size_t length = chunk_highest_candidate(chunk, max_pages, &start);
    if (length == 0) continue;
    *first = c * NM_CHUNK_PAGES + start;
    return length;
  }
  return 0;
}

// ---- checks -------------------------------------------------------------------------------------

bool nm_pages_is_used(const nm_pages *pages, size_t page) {
  const nm_chunk *const chunk = &pages->chunks[page / NM_CHUNK_PAGES];
  return (chunk->used[page % NM_CHUNK_PAGES / 64] >> page % 64) & 1;
}

bool nm_pages_is_scavenged(const nm_pages *pages, size_t page) {
  const nm_chunk *const chunk = &pages->chunks[page / NM_CHUNK_PAGES];
  return (chunk->scavenged[page % NM_CHUNK_PAGES / 64] >> page % 64) & 1;
}

// The summary of a chunk, read off page by page.
static nm_sum summarize_slowly(const nm_chunk *chunk) {
  unsigned start = 0, max = 0, run = 0;
  for (unsigned i = 0; i < NM_CHUNK_PAGES; i++) {
    run = (chunk->used[i / 64] >> (i % 64)) & 1 ? 0 : run + 1;
    if (run > max) max = run;
    if (run == i + 1) start = run;
  }
  return nm_sum_pack(start, max, run);
}

const char *nm_pages_violation(const nm_pages *pages) {
  for (size_t c = 0; c < pages->chunk_end; c++) {
    const nm_chunk *const chunk = &pages->chunks[c];
    for (unsigned w = 0; w < NM_CHUNK_WORDS; w++)
      if (chunk->used[w] & chunk->scavenged[w]) return "I-nm-1: a used page is marked scavenged";
    const nm_sum leaf = pages->levels[NM_LEVELS - 1][c];
    if (leaf == 0) continue; // full, or not grown; the former is checked by whoever counts pages
    if (leaf != summarize_slowly(chunk)) return "I-nm-2: a leaf summary differs from its bitmap";
    const size_t lowest = c * NM_CHUNK_PAGES + nm_chunk_find(chunk->used, 1, 0);
    if (lowest < pages->search) return "I-nm-3: a free page lies below the search address";
  }
  for (unsigned l = 0; l + 1 < NM_LEVELS; l++)
    for (size_t i = 0; i < nm_pages_level_count(pages->chunk_capacity, l); i++)
      if (pages->levels[l][i] != nm_sum_merge(&pages->levels[l + 1][i << NM_FANOUT_BITS], NM_FANOUT,
                                              1u << level_shift(l + 1)))
        return "I-nm-2: a summary differs from the merge of its children";
  return NULL;
}
