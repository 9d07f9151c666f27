// SPDX-License-Identifier: MIT
// Checks every invariant of the heap with the world stopped and caches flushed. Reports each failure
// on standard error, up to a limit, and goes on, so that one run shows the whole damage.
#include <stdarg.h>
#include <stdio.h>

#include "compact/cp_internal.h"

static const unsigned MAX_REPORTS = 20;

typedef struct verifier {
  compact_heap *heap;
  uint64_t *granules; // one bit per granule of the region part: taken by an object
  size_t granule_bytes;
  unsigned failures;
  uint64_t objects, bytes, larges, large_pages;
} verifier;

static HS_PRINTF(2, 3) void fail(verifier *v, const char *format, ...) {
  if (v->failures++ >= MAX_REPORTS) return;
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "heapduel: compact verify: ");
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
}

// ---- handle table: I-cp-3, I-cp-7 ---------------------------------------------------------------

static void check_slabs(verifier *v) {
  const compact_heap *const heap = v->heap;
  uint64_t resident = 0;
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++) {
    const cp_slab *const s = cp_slab_at(heap, slab);
    unsigned used = 0;
    for (int i = 0; i < CP_SLAB_WORDS; i++)
      used += hs_popcount64(hs_load_relaxed(&cp_alloc_at(heap, slab)->words[i]));
    if (used != s->used) fail(v, "slab %u counts %u entries, its bits %u", slab, s->used, used);
    if (used > 0 && !(s->flags & CP_SLAB_RESIDENT)) fail(v, "slab %u is used, not charged", slab);
    if (s->flags & CP_SLAB_OWNED) fail(v, "slab %u is owned while caches are flushed", slab);
    if (s->flags & CP_SLAB_RESIDENT) resident += CP_SLAB_BYTES;
  }
  if (resident != hs_load_relaxed(&heap->table_bytes))
    fail(v, "the handle table has %llu bytes, charged are %llu", (unsigned long long)resident,
         (unsigned long long)hs_load_relaxed(&heap->table_bytes));
}

// ---- objects: I-cp-4, no two overlap ------------------------------------------------------------

static void check_small(verifier *v, uint32_t index, uint64_t word) {
  const compact_heap *const heap = v->heap;
  const size_t offset = cp_entry_offset(word);
  const uint32_t bytes = cp_entry_bytes(word);
  const size_t number = offset >> CP_REGION_SHIFT;
  if (number >= heap->region_frontier) {
    fail(v, "entry %u: location %zu lies in no region", index, offset);
    return;
  }
  const cp_region *const region = cp_region_at(heap, number);
  if (region->state != CP_REGION_CLOSED)
    fail(v, "entry %u: region %zu is in state %u", index, number, region->state);
  if (bytes == 0 || (offset & (CP_REGION_BYTES - 1)) + bytes > region->top)
    fail(v, "entry %u: %u bytes at %zu reach past the top of the region", index, bytes, offset);
  if (cp_entry_refs(word) * sizeof(heap_ref) > bytes)
    fail(v, "entry %u: %u slots in %u bytes", index, cp_entry_refs(word), bytes);
  for (size_t g = offset / CP_GRANULE_BYTES; g < (offset + bytes) / CP_GRANULE_BYTES; g++) {
    if (v->granules[g / 64] >> (g % 64) & 1) {
      fail(v, "entry %u: overlaps another object at %zu", index, offset);
      break;
    }
    v->granules[g / 64] |= 1ull << (g % 64);
  }
  v->bytes += bytes;
}

static void check_large(verifier *v, uint32_t index, uint64_t word) {
  const compact_heap *const heap = v->heap;
  const uint32_t descriptor = cp_entry_descriptor(word);
  if (descriptor >= heap->large_count) {
    fail(v, "entry %u: no descriptor %u", index, descriptor);
    return;
  }
  const cp_large *const large = cp_large_at(heap, descriptor);
  if (large->handle != heap->table + index)
    fail(v, "entry %u: descriptor %u belongs to another handle", index, descriptor);
  if (heap->objects + cp_entry_offset(word) != cp_large_start(heap, large))
    fail(v, "entry %u: descriptor %u is elsewhere", index, descriptor);
  for (uint32_t page = large->page; page < large->page + large->page_count; page++)
    if (page >= heap->page_frontier || !(((uint8_t *)heap->pages.base)[page] & CP_PAGE_USED))
      fail(v, "entry %u: page %u of a large object is not in use", index, page);
  v->bytes += large->bytes;
  v->larges++;
  v->large_pages += large->page_count;
}

static void check_slots(void *context, heap_ref *slots, size_t count) {
  verifier *const v = context;
  for (size_t i = 0; i < count; i++)
    if (!heap_is_null(slots[i]) && !cp_entry_is_allocated(v->heap, slots[i]))
      fail(v, "slot %zu at %p holds %p, which is no object", i, (void *)slots,
           (void *)slots[i].bits);
}

static void check_objects(verifier *v) {
  const compact_heap *const heap = v->heap;
  uint32_t index;
  for (cp_walk walk = cp_walk_begin(heap, 0, heap->slab_frontier); cp_walk_next(&walk, &index);) {
    const uint64_t word = cp_entry_load(heap->table + index);
    v->objects++;
    const unsigned failures = v->failures;
    if (word & CP_ENTRY_FORWARDED)
      fail(v, "entry %u is forwarded but allocated", index);
    else if (word & CP_ENTRY_LARGE)
      check_large(v, index, word);
    else
      check_small(v, index, word);
    if (v->failures > failures) continue; // its slots may be anywhere
    size_t count;
    heap_ref *const slots = cp_object_slots(heap, word, &count);
    check_slots(v, slots, count);
  }
  const cp_totals *const totals = &heap->totals;
  if (v->objects != totals->live_objects + totals->since_objects)
    fail(v, "%llu objects, counted are %llu", (unsigned long long)v->objects,
         (unsigned long long)(totals->live_objects + totals->since_objects));
  if (v->bytes != totals->live_bytes + totals->since_bytes)
    fail(v, "%llu bytes of objects, counted are %llu", (unsigned long long)v->bytes,
         (unsigned long long)(totals->live_bytes + totals->since_bytes));
}

static heap_ref check_weak(void *context, heap_ref target) {
  check_slots(context, &target, 1);
  return target;
}

static void check_pin(void *context, compact_entry *entry) {
  heap_ref ref = cp_ref_of(entry);
  check_slots(context, &ref, 1);
}

// ---- regions and pages: I-cp-4 to I-cp-7, I-cp-10 -----------------------------------------------

static void check_memory(verifier *v) {
  const compact_heap *const heap = v->heap;
  uint64_t resident = 0, used = 0;
  for (uint32_t number = 1; number < heap->region_frontier; number++) {
    const cp_region *const r = cp_region_at(heap, number);
    if (r->state != CP_REGION_FREE && r->state != CP_REGION_CLOSED)
      fail(v, "region %u is in state %u while caches are flushed", number, r->state);
    if ((r->state == CP_REGION_FREE) != (r->top == 0))
      fail(v, "region %u: state %u and top %u", number, r->state, r->top);
    if (r->top > r->dirty || r->dirty > CP_REGION_BYTES || r->top > r->resident ||
        r->resident > CP_REGION_BYTES || r->resident % CP_PAGE_BYTES != 0)
      fail(v, "region %u: top %u, dirty %u, resident %u", number, r->top, r->dirty, r->resident);
    resident += r->resident - (uint64_t)r->hollow * CP_PAGE_BYTES;
  }
  const uint8_t *const states = (const uint8_t *)heap->pages.base;
  for (uint32_t page = 0; page < heap->page_frontier; page++) {
    if (states[page] & CP_PAGE_RESIDENT) resident += CP_PAGE_BYTES;
    if (states[page] & CP_PAGE_USED) used++;
    if (states[page] & CP_PAGE_USED && !(states[page] & CP_PAGE_RESIDENT))
      fail(v, "page %u is used, not charged", page);
  }
  if (used != v->large_pages || used * CP_PAGE_BYTES != hs_load_relaxed(&heap->large_bytes))
    fail(v, "%llu large pages, objects have %llu", (unsigned long long)used,
         (unsigned long long)v->large_pages);
  if (resident != hs_load_relaxed(&heap->resident_bytes))
    fail(v, "%llu bytes resident, charged are %llu", (unsigned long long)resident,
         (unsigned long long)hs_load_relaxed(&heap->resident_bytes));
  if (heap->low_committed + heap->high_committed > heap->object_bytes)
    fail(v, "regions and large objects have met");
}

bool cp_verify_stw(compact_heap *heap) {
  HS_REQUIRE(heap->magic == CP_HEAP_MAGIC, "not a heap");
  verifier v = {.heap = heap};
  const size_t bits = (size_t)heap->region_frontier * (CP_REGION_BYTES / CP_GRANULE_BYTES);
  v.granule_bytes = hs_align_up(bits / 8, CP_PAGE_BYTES);
  void *memory;
  if (hs_os_map(v.granule_bytes, CP_PAGE_BYTES, &memory) != 0) {
    fprintf(stderr, "heapduel: compact verify: skipped, no memory\n");
    return true;
  }
  v.granules = memory;
  hs_world_check(&heap->world);
  check_slabs(&v);
  check_objects(&v);
  check_memory(&v);
  hs_roots_visit_all_stw(&heap->world, check_slots, &v);
  hs_weak_visit_stw(&heap->world, check_weak, &v);
  cp_pin_visit(heap, check_pin, &v);
  hs_os_unmap(v.granules, v.granule_bytes);
  return v.failures == 0;
}
