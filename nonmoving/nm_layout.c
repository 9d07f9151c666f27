// SPDX-License-Identifier: MIT
// Address space: one range for objects, and one that all tables share. Both are reserved when the heap
// is created and cost memory only where they are used.
#include "allocators/base/assert.h"
#include "nonmoving/nm_internal.h"

// The range objects may take; halved down to the minimum while the OS refuses.
static const size_t RANGE_BYTES = (size_t)64 << 30, MIN_RANGE_BYTES = 256 << 20;

// Tables that are small and made accessible at once come first; the others grow with the heap.
static bool table_is_small(unsigned id) { return id >= NM_TABLE_CHUNKS; }

static size_t table_bytes(unsigned id, size_t range_bytes) {
  const size_t pages = range_bytes / NM_PAGE_BYTES;
  const size_t root_chunks = hs_align_up(pages / NM_CHUNK_PAGES, NM_ROOT_CHUNKS);
  switch (id) {
  case NM_TABLE_ENTRIES:
    return pages * sizeof(nm_page_entry);
  case NM_TABLE_REF_FLAGS:
    return range_bytes / sizeof(heap_ref) / 8;
  case NM_TABLE_BITS:
    return pages * 2 * NM_MAX_BITMAP_WORDS * sizeof(uint64_t);
  case NM_TABLE_SPANS:
    return pages * sizeof(nm_span);
  case NM_TABLE_CHUNKS:
    return root_chunks * sizeof(nm_chunk);
  case NM_TABLE_SCAVENGE:
    return root_chunks * sizeof(nm_scav_chunk);
  case NM_TABLE_IN_USE:
  case NM_TABLE_MARKED:
    return pages / 8;
  case NM_TABLE_ZEROED:
    return range_bytes / NM_ARENA_BYTES * sizeof(uint64_t);
  case NM_TABLE_HOLLOW:
    return range_bytes / hs_os_page_bytes() / 8;
  case NM_TABLE_PINS:
    return NM_PIN_CAPACITY * sizeof(uintptr_t);
  default:
    return nm_pages_level_count(root_chunks, id - NM_TABLE_SUMMARIES) * sizeof(nm_sum);
  }
}

typedef struct layout {
  size_t offset[NM_TABLE_COUNT], bytes[NM_TABLE_COUNT], bitmap_offset[NM_TABLE_COUNT];
  size_t small_bytes, total_bytes;
} layout;

static layout plan(size_t range_bytes) {
  layout plan = {0};
  const size_t page = hs_os_page_bytes();
  size_t at = 0;
  for (unsigned id = 0; id < NM_TABLE_COUNT; id++) {
    plan.bytes[id] = hs_align_up(table_bytes(id, range_bytes), page);
    plan.bitmap_offset[id] = at;
    at += nm_table_bitmap_bytes(plan.bytes[id]);
  }
  at = hs_align_up(at, page);
  for (int small = 1; small >= 0; small--) {
    for (unsigned id = 0; id < NM_TABLE_COUNT; id++) {
      if (table_is_small(id) != (small == 1)) continue;
      plan.offset[id] = at;
      at += plan.bytes[id];
    }
    if (small) plan.small_bytes = at;
  }
  plan.total_bytes = at;
  return plan;
}

static bool reserve_tables(nonmoving_heap *heap) {
  const layout where = plan(heap->range_bytes);
  void *memory;
  if (hs_os_reserve(where.total_bytes, hs_os_page_bytes(), &memory) != 0) return false;
  if (hs_os_commit(memory, where.small_bytes) != 0) {
    hs_os_unmap(memory, where.total_bytes);
    return false;
  }
  hs_os_huge_pages(memory, where.total_bytes, false); // or a touched byte might cost 2 MiB
  heap->tables_memory = memory;
  heap->tables_bytes = where.total_bytes;
  for (unsigned id = 0; id < NM_TABLE_COUNT; id++) {
    char *const base = (char *)memory + where.offset[id];
    char *const touched = (char *)memory + where.bitmap_offset[id];
    nm_table_init(&heap->tables[id], base, where.bytes[id], (uint64_t *)(void *)touched);
    if (table_is_small(id)) heap->tables[id].committed_bytes = where.bytes[id];
  }
  return true;
}

static void *table_base(nonmoving_heap *heap, nm_table_id id) { return heap->tables[id].base; }

static void set_views(nonmoving_heap *heap) {
  heap->entries = table_base(heap, NM_TABLE_ENTRIES);
  heap->ref_flags = table_base(heap, NM_TABLE_REF_FLAGS);
  heap->bits = table_base(heap, NM_TABLE_BITS);
  heap->span_structs = table_base(heap, NM_TABLE_SPANS);
  heap->in_use = table_base(heap, NM_TABLE_IN_USE);
  heap->marked = table_base(heap, NM_TABLE_MARKED);
  heap->zeroed = table_base(heap, NM_TABLE_ZEROED);
  heap->hollow = table_base(heap, NM_TABLE_HOLLOW);
  heap->pins = table_base(heap, NM_TABLE_PINS);
  nm_sum *levels[NM_LEVELS];
  for (unsigned l = 0; l < NM_LEVELS; l++)
    levels[l] = table_base(heap, (nm_table_id)(NM_TABLE_SUMMARIES + l));
  nm_pages_init(&heap->pages, table_base(heap, NM_TABLE_CHUNKS),
                table_base(heap, NM_TABLE_SCAVENGE), levels,
                hs_align_up(heap->range_bytes / NM_CHUNK_BYTES, NM_ROOT_CHUNKS));
}

bool nm_layout_reserve(nonmoving_heap *heap) {
  for (size_t bytes = RANGE_BYTES; bytes >= MIN_RANGE_BYTES; bytes /= 2) {
    void *range;
    if (hs_os_reserve(bytes, NM_ARENA_BYTES, &range) != 0) continue;
    hs_os_huge_pages(range, bytes, heap->config.huge_pages != 0); // Go since 1.21.4: none
    heap->base = (uintptr_t)range;
    heap->range_bytes = bytes;
    if (reserve_tables(heap)) {
      set_views(heap);
      return true;
    }
    hs_os_unmap(range, bytes);
    heap->base = 0;
  }
  return false;
}

void nm_layout_release(nonmoving_heap *heap) {
  if (heap->base == 0) return;
  hs_track_live((void *)heap->base, nm_grown_pages(heap) << NM_PAGE_SHIFT);
  hs_os_unmap(heap->tables_memory, heap->tables_bytes);
  hs_os_unmap((void *)heap->base, heap->range_bytes);
  heap->base = 0;
}

bool nm_layout_commit_arena(nonmoving_heap *heap, size_t end_page) {
  const size_t flag_bytes = (end_page << NM_PAGE_SHIFT) / sizeof(heap_ref) / 8;
  return nm_table_commit(&heap->tables[NM_TABLE_ENTRIES], end_page * sizeof(nm_page_entry)) &&
         nm_table_commit(&heap->tables[NM_TABLE_REF_FLAGS], flag_bytes);
}
