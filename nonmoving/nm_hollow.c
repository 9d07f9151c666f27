// SPDX-License-Identifier: MIT
// Variant subpage_release: memory behind OS pages, inside spans in use, that no allocated slot touches.
// A page of the heap is 8 KiB and mostly two of the operating system, so one survivor per page needs only
// half of it. A forced release gives the other half back; it is charged again when its slots are
// handed out. Works because marks, alloc bits and reference flags lie outside the pages.
#include "allocators/base/assert.h"
#include "nonmoving/nm_internal.h"

static bool is_hollow(const nonmoving_heap *heap, size_t os_page) {
  return hs_load_relaxed(&heap->hollow[os_page / 64]) >> (os_page % 64) & 1;
}

static size_t os_page_of(const nonmoving_heap *heap, uintptr_t address) {
  return (address - heap->base) / hs_os_page_bytes();
}

static bool has_live_slot(const nonmoving_heap *heap, const nm_span *span, size_t from,
                          size_t end) {
  const size_t slot_bytes = nm_span_slot_bytes(span);
  for (size_t i = from / slot_bytes; i < nm_span_objects(span) && i * slot_bytes < end; i++)
    if (nm_span_is_allocated(heap, span, (unsigned)i)) return true;
  return false;
}

// The span is held by the caller. Returns the OS pages given back.
static size_t release_in_span(nonmoving_heap *heap, const nm_span *span) {
  const size_t page_bytes = hs_os_page_bytes();
  size_t released = 0;
  for (size_t at = 0; at < nm_span_bytes(span); at += page_bytes) {
    const uintptr_t address = nm_span_base(heap, span) + at;
    const size_t page = os_page_of(heap, address);
    if (is_hollow(heap, page) || has_live_slot(heap, span, at, at + page_bytes)) continue;
    hs_mutex_lock(&heap->lock);
    nm_table_touch(&heap->tables[NM_TABLE_HOLLOW], page / 64 * sizeof(uint64_t), sizeof(uint64_t));
    hs_mutex_unlock(&heap->lock);
    if (hs_os_purge((void *)address, page_bytes, HS_OS_PURGE_DONTNEED) != 0) continue;
    hs_or_relaxed(&heap->hollow[page / 64], 1ull << (page % 64)); // other spans share the word
    released++;
  }
  hs_add_relaxed(&heap->hollow_pages, (uint64_t)released);
  return released;
}

// Spans go back to the end of the list they came from; a thread may take some meanwhile.
static size_t release_in_quarter(nonmoving_heap *heap, nm_central *central, unsigned quarter) {
  size_t released = 0, left, count;
  nm_span *span = nm_central_take_quarter(heap, central, quarter, &left);
  while (span) {
    released += release_in_span(heap, span);
    nm_central_put(heap, span);
    span = --left > 0 ? nm_central_take_quarter(heap, central, quarter, &count) : NULL;
  }
  return released;
}

uint64_t nm_hollow_release(nonmoving_heap *heap) {
  size_t released = 0;
  if (!heap->config.subpage_release || hs_os_page_bytes() >= NM_PAGE_BYTES) return 0;
  for (unsigned shard = 0; shard < nm_shard_count(heap); shard++)
    for (unsigned c = 2; c < NM_SPAN_CLASS_COUNT; c++) // large objects have no slots to spare
      for (unsigned quarter = 0; quarter < NM_FULLNESS; quarter++)
        released += release_in_quarter(heap, &heap->shards[shard][c], quarter);
  return (uint64_t)released * hs_os_page_bytes();
}

void nm_hollow_fill(nonmoving_heap *heap, uintptr_t start, uintptr_t limit) {
  size_t filled = 0;
  for (size_t page = os_page_of(heap, start); page <= os_page_of(heap, limit - 1); page++) {
    if (!is_hollow(heap, page)) continue;
    hs_and_acq_rel(&heap->hollow[page / 64], ~(1ull << (page % 64)));
    filled++;
  }
  if (filled > 0) hs_sub_relaxed(&heap->hollow_pages, (uint64_t)filled);
}
