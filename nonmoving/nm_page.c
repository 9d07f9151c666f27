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

void nm_pages_init(nm_pages *pages, nm_chunk *chunks, nm_scav_chunk *scav_chunks,
                   nm_sum *const levels[NM_LEVELS], size_t chunk_capacity) {
  HS_REQUIRE(chunk_capacity > 0 && chunk_capacity % NM_ROOT_CHUNKS == 0,
             "%zu chunks are not whole root entries", chunk_capacity);
  *pages = (nm_pages){.chunks = chunks, .chunk_capacity = chunk_capacity, .search = NM_NO_PAGE};
  for (unsigned l = 0; l < NM_LEVELS; l++) pages->levels[l] = levels[l];
  nm_scav_index_init(&pages->scav, scav_chunks);
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

// The part of [first, first + n) in the chunk of page `at`.
typedef struct chunk_part {
  nm_chunk *chunk;
  size_t number;
  unsigned start, count;
} chunk_part;

static chunk_part part_at(nm_pages *pages, size_t at, size_t end) {
  const size_t number = at / NM_CHUNK_PAGES, start = at % NM_CHUNK_PAGES;
  return (chunk_part){&pages->chunks[number], number, (unsigned)start,
                      (unsigned)hs_min_size(end - at, NM_CHUNK_PAGES - start)};
}

// Returns how many of the pages were released.
static size_t take(nm_pages *pages, size_t first, size_t n) {
  size_t scavenged = 0;
  for (size_t page = first, end = first + n; page < end;) {
    const chunk_part part = part_at(pages, page, end);
    scavenged += nm_bits_popcount_range(part.chunk->scavenged, part.start, part.count);
    nm_bits_set_range(part.chunk->used, part.start, part.count);
    nm_bits_clear_range(part.chunk->scavenged, part.start, part.count);
    nm_scav_index_take(&pages->scav, part.number, part.count);
    page += part.count;
  }
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
  for (size_t page = first, end = first + n; page < end;) {
    const chunk_part part = part_at(pages, page, end);
    nm_bits_clear_range(part.chunk->used, part.start, part.count);
    if (scavenged) nm_bits_set_range(part.chunk->scavenged, part.start, part.count);
    nm_scav_index_give(&pages->scav, part.number, part.start + part.count - 1, part.count);
    page += part.count;
  }
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
  nm_scav_index_take(&pages->scav, first / NM_CHUNK_PAGES, hs_popcount64(cache->free));
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
  nm_scav_index_give(&pages->scav, cache->base / NM_CHUNK_PAGES,
                     w * NM_CACHE_PAGES + hs_log2_floor(cache->free), hs_popcount64(cache->free));
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

// Pages of word w that are no candidates, with those of an OS page that has one of them.
static uint64_t excluded_pages(const nm_chunk *chunk, unsigned w, unsigned align) {
  return nm_bits_fill_aligned(chunk->used[w] | chunk->scavenged[w], align);
}

// A run [end - run, end) and its upper part of `size`: extend the part downwards to the start of the
// huge page it would split, if that is free as a whole.
static unsigned spare_huge_page(unsigned end, unsigned run, unsigned size, unsigned huge_page) {
  if (huge_page == 0 || huge_page > NM_CHUNK_PAGES) return size;
  const unsigned start = end - size;
  const unsigned below = (unsigned)hs_align_down(start, huge_page);
  const unsigned above = (unsigned)hs_align_up(start, huge_page);
  return above <= end && below >= end - run ? end - below : size;
}

unsigned nm_chunk_find_candidate(const nm_chunk *chunk, unsigned from, nm_scav_rule rule,
                                 size_t max_pages, unsigned *start) {
  const unsigned limit = (unsigned)hs_align_up(from + 1, rule.align); // bits at and above are done
  unsigned run = 0, end = 0;
  for (unsigned w = (limit - 1) / 64 + 1; w-- > 0;) {
    uint64_t candidates = ~excluded_pages(chunk, w, rule.align);
    if (limit < (w + 1) * 64) candidates &= hs_low_mask(limit - w * 64);
    if (run > 0) { // it goes on from the word above, or not
      const unsigned more = nm_bits_leading_ones(candidates);
      run += more;
      if (more < 64) break;
    } else if (candidates != 0) {
      const unsigned top = hs_log2_floor(candidates);
      end = w * 64 + top + 1;
      run = nm_bits_leading_ones(candidates << (63 - top));
      if (run <= top) break;
    }
  }
  const size_t most =
      hs_max_size(hs_align_up(hs_min_size(max_pages, NM_CHUNK_PAGES), rule.align), rule.align);
  const unsigned size = run <= most ? run : (unsigned)most;
  const unsigned length = spare_huge_page(end, run, size, rule.huge_page);
  *start = end - length;
  return length;
}

size_t nm_pages_scavenge_begin(nm_pages *pages, nm_scav_rule rule, size_t max_pages,
                               size_t *first) {
  size_t from;
  while ((from = nm_scav_index_find(&pages->scav, rule.mode)) != NM_NO_PAGE) {
    const size_t number = from / NM_CHUNK_PAGES;
    nm_chunk *const chunk = &pages->chunks[number];
    unsigned start;
    const unsigned length =
        nm_chunk_find_candidate(chunk, from % NM_CHUNK_PAGES, rule, max_pages, &start);
    if (length == 0) {
      nm_scav_index_exhaust(&pages->scav, rule.mode, from);
      continue;
    }
    nm_bits_set_range(chunk->used, start, length); // not in use in the sense of I-nm-12
    update_summaries(pages, number, number);
    *first = number * NM_CHUNK_PAGES + start;
    return length;
  }
  return 0;
}

void nm_pages_scavenge_end(nm_pages *pages, size_t first, size_t n, bool released) {
  const size_t number = first / NM_CHUNK_PAGES, start = first % NM_CHUNK_PAGES;
  nm_chunk *const chunk = &pages->chunks[number];
  nm_bits_clear_range(chunk->used, start, n);
  if (released)
    nm_bits_set_range(chunk->scavenged, start, n);
  else
    nm_scav_index_restore(&pages->scav, number, (unsigned)(start + n - 1));
  if (first < pages->search) pages->search = first;
  update_summaries(pages, number, number);
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

static const char *chunk_violation(const nm_pages *pages, size_t c) {
  const nm_chunk *const chunk = &pages->chunks[c];
  const nm_scav_chunk *const scav = &pages->scav.chunks[c];
  for (unsigned w = 0; w < NM_CHUNK_WORDS; w++)
    if (chunk->used[w] & chunk->scavenged[w]) return "I-nm-1: a used page is marked scavenged";
  const nm_sum leaf = pages->levels[NM_LEVELS - 1][c];
  if (leaf == 0) return NULL; // full, or not grown; the former is checked by whoever counts pages
  if (leaf != summarize_slowly(chunk)) return "I-nm-2: a leaf summary differs from its bitmap";
  const size_t lowest = c * NM_CHUNK_PAGES + nm_chunk_find(chunk->used, 1, 0);
  if (lowest < pages->search) return "I-nm-3: a free page lies below the search address";
  if (scav->in_use != nm_bits_popcount_range(chunk->used, 0, NM_CHUNK_PAGES))
    return "I-nm-12: the number of used pages of a chunk is wrong";
  const nm_scav_rule all = {.mode = NM_SCAV_FORCED, .align = 1};
  unsigned start;
  const unsigned candidates =
      nm_chunk_find_candidate(chunk, NM_CHUNK_PAGES - 1, all, NM_CHUNK_PAGES, &start);
  const size_t end = c * NM_CHUNK_PAGES + start + candidates;
  if (candidates > 0 && (!scav->candidates || end > pages->scav.cursor[NM_SCAV_FORCED]))
    return "I-nm-13: a free page with memory is hidden from the scavenger";
  return NULL;
}

const char *nm_pages_violation(const nm_pages *pages) {
  for (size_t c = 0; c < pages->chunk_end; c++) {
    const char *const violation = chunk_violation(pages, c);
    if (violation) return violation;
  }
  for (unsigned l = 0; l + 1 < NM_LEVELS; l++)
    for (size_t i = 0; i < nm_pages_level_count(pages->chunk_capacity, l); i++)
      if (pages->levels[l][i] != nm_sum_merge(&pages->levels[l + 1][i << NM_FANOUT_BITS], NM_FANOUT,
                                              1u << level_shift(l + 1)))
        return "I-nm-2: a summary differs from the merge of its children";
  return NULL;
}
