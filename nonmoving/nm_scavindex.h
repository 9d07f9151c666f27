// SPDX-License-Identifier: MIT
// Which chunks are worth scavenging: per chunk how many pages are used, now and when the last cycle
// ended, and two cursors that come down from the highest freed page. A collection cycle begins a
// generation: what was freed in one is returned in the background from the next on, unless the chunk
// was dense then or is now, because it will be wanted again and may be backed by a huge page. A forced
// search sees everything at once. After Go's scavengeIndex (mgcscavenge.go, Go 1.21+, golang/go
// #59960). Works on chunk and page numbers and touches no page.
//
// I-nm-12 `in_use` of a chunk is the number of its used bits, those of runs under a purge apart.
// I-nm-13 a free page with memory behind it lies below the forced cursor, in a chunk that has
//         `candidates` set.
#ifndef NM_SCAVINDEX_H
#define NM_SCAVINDEX_H

#include "nonmoving/nm_pagebits.h"

#define NM_NO_PAGE SIZE_MAX

enum {
  // A chunk with as many used pages is dense: 96.875 % (Go 1.21+, scavChunkHiOccFrac).
  NM_DENSE_PAGES = NM_CHUNK_PAGES - NM_CHUNK_PAGES / 32,
};

// All zero for a chunk that was just grown: its pages are released, there is nothing to find.
typedef struct nm_scav_chunk {
  uint32_t generation;       // in which in_use last changed
  uint16_t in_use;           // I-nm-12; page caches hold used pages
  uint16_t last_in_use : 14; // in_use when that generation began
  uint16_t candidates : 1;   // pages came back since the scavenger last found none here
  uint16_t small_pages : 1;  // asked the OS not to back it by huge pages (huge_pages=1)
} nm_scav_chunk;
_Static_assert(sizeof(nm_scav_chunk) == 8, "512 chunks, 2 GiB of heap, to an OS page");

typedef enum nm_scav_mode {
  NM_SCAV_BACKGROUND, // what the last generation left, in chunks that are not dense
  NM_SCAV_FORCED,     // everything
  NM_SCAV_MODES
} nm_scav_mode;

// [lock heap.lock] throughout.
typedef struct nm_scav_index {
  nm_scav_chunk *chunks;
  size_t cursor[NM_SCAV_MODES]; // pages at and above have no candidate in this mode
  size_t freed_end;             // one above the highest page freed in this generation
  uint32_t generation;
} nm_scav_index;

// chunks: all zero, one per chunk of the page allocator.
void nm_scav_index_init(nm_scav_index *index, nm_scav_chunk *chunks);

// `count` pages of a chunk came into use.
void nm_scav_index_take(nm_scav_index *index, size_t chunk, unsigned count);

// `count` pages of a chunk, page `last` of it the highest, are free again.
void nm_scav_index_give(nm_scav_index *index, size_t chunk, unsigned last, unsigned count);

// Pages up to `last` of a chunk, free all the time, came back from a purge that the OS refused.
void nm_scav_index_restore(nm_scav_index *index, size_t chunk, unsigned last);

void nm_scav_index_next_generation(nm_scav_index *index);

// The highest page to look at, with all below it in its chunk, or NM_NO_PAGE.
size_t nm_scav_index_find(nm_scav_index *index, nm_scav_mode mode);

// The search found nothing at and below the page in its chunk.
void nm_scav_index_exhaust(nm_scav_index *index, nm_scav_mode mode, size_t page);

#endif
