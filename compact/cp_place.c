// SPDX-License-Identifier: MIT
// Placement along references (placement=traversal): a full collection puts each object behind the one from
// which it was reached, and its handle likewise, so that a program that follows references meets memory in
// the order in which it lies.
//
// Note [placement]
//   The order is that of a depth-first walk over the live graph, from the roots: an object, then all that is
//   reached first through its first slot, then through its second. Lists lie as they are linked, a tree by
//   subtrees, the chain of a hash bucket behind its head. Breadth first, which needs no stack (Cheney), lays
//   the elements of many lists side by side, each list apart from its own rest; and where an index refers to
//   everything, as a table of roots does, it yields the order of the index. Depth first takes an object when
//   the walk gets to it, not when it is first seen, so the index does not matter but for its first element.
//   (Moon, "Garbage collection in a large Lisp system", 1984; Wilson, Lam and Moher, "Effective static-graph
//   reorganization to improve locality in garbage-collected systems", 1991, who found both better than
//   breadth first.) No slot is known to be hotter than another here, so slots are taken as they come.
//   The markers' order would be free but is none: several of them take from one queue, through buffers, with
//   the program storing meanwhile. Hence a second walk, in the stop, by one thread, at the speed of memory: a
//   list lets nobody look ahead. Its stack is the markers' queue, a word for each object on the path with
//   slots still to be looked at; a list takes none. Without memory for the stack parts of the graph go
//   unvisited. They, and what was alive only when marking began, come last, by handles.
//   The bitmap of marks says what was visited: it holds the last cycle's allocations, which nobody needs
//   (I-cp-12).
//   An order is kept while it is nearly right: then nothing is moved for its sake. Automatic cycles move in
//   address order, which keeps it too.
#include <string.h>

#include "compact/cp_internal.h"

enum {
  NEAR_BYTES =
      CP_PAGE_BYTES, // behind the one before, this far: little is gained by moving it there
  NEAR_ENTRIES = 8,  // the same of handles: a cache line of them
  FAR_FRACTION = 8,  // one in so many is far: worth it
  REGION_LOSS = 8,   // one byte in so many at most is left free at the end of a region
  ENTRY_AHEAD = 8,   // slots; an array's elements are known before they are visited
  FRAME_SHIFT = 32,  // word of the stack: index of an entry, number of its next slot
};

typedef struct placer {
  compact_heap *heap;
  hs_grey stack;
  _Atomic(uint64_t) *visited; // bit per entry
  cp_order *order;
  size_t end_offset;  // of the object visited last
  uint32_t end_index; // of its entry
} placer;

// ---- the order ----------------------------------------------------------------------------------

static bool order_init(compact_heap *heap, cp_order *order) {
  const uint64_t objects = heap->totals.live_objects;
  *order = (cp_order){.bytes = hs_align_up(objects * sizeof(uint32_t), CP_PAGE_BYTES)};
  void *memory;
  if (objects == 0 || hs_os_map(order->bytes, CP_PAGE_BYTES, &memory) != 0) return false;
  order->entries = memory;
  hs_add_relaxed(&heap->side_bytes, (uint64_t)order->bytes);
  return true;
}

static void order_destroy(compact_heap *heap, cp_order *order) {
  if (!order->entries) return;
  hs_os_unmap(order->entries, order->bytes);
  hs_sub_relaxed(&heap->side_bytes, (uint64_t)order->bytes);
  order->entries = NULL;
}

static bool visit_try(const placer *p, uint32_t index) {
  _Atomic(uint64_t) *const word = p->visited + index / CP_WORD_ENTRIES;
  const uint64_t bits = hs_load_relaxed(word), bit = 1ull << (index % CP_WORD_ENTRIES);
  if (bits & bit) return false;
  hs_store_relaxed(word, bits | bit);
  return true;
}

static void append(placer *p, uint32_t index, uint64_t word) {
  cp_order *const order = p->order;
  HS_ASSERT(order->count < p->heap->totals.live_objects);
  order->entries[order->count++] = index;
  order->far_names += index - p->end_index > NEAR_ENTRIES;
  p->end_index = index + 1;
  if (word & CP_ENTRY_LARGE) return; // stays where it is
  order->far_objects += cp_entry_offset(word) - p->end_offset > NEAR_BYTES;
  p->end_offset = cp_entry_offset(word) + cp_entry_bytes(word);
}

// ---- the walk -----------------------------------------------------------------------------------

static inline void push(placer *p, uint32_t index, uint64_t slot) {
  (void)hs_grey_offer(&p->stack,
                      (uintptr_t)index << FRAME_SHIFT | slot); // else see Note [placement]
}

// Visits what slots [from, count) refer to, up to the first object with slots of its own: that one is to be
// gone through before the rest. Returns the slot behind it; `child` is its entry, or NULL.
static size_t visit_slots(placer *p, const heap_ref *slots, size_t from, size_t count,
                          compact_entry **child) {
  for (size_t slot = from; slot < count; slot++) {
    if (count - slot > ENTRY_AHEAD) HS_PREFETCH(cp_entry_of(slots[slot + ENTRY_AHEAD]));
    if (heap_is_null(slots[slot])) continue;
    compact_entry *const entry = cp_entry_of(slots[slot]);
    const uint32_t index = cp_entry_index(p->heap, entry);
    if (!visit_try(p, index)) continue;
    const uint64_t word = cp_entry_load(entry);
    append(p, index, word);
    if (!(word & CP_ENTRY_LARGE) && cp_entry_refs(word) == 0) continue;
    *child = entry;
    return slot + 1;
  }
  *child = NULL;
  return count;
}

// Everything that is reached through the slots and not visited yet.
static void walk_from(void *context, heap_ref *roots, size_t root_count) {
  placer *const p = context;
  for (size_t root = 0; root < root_count;) {
    compact_entry *entry;
    root = visit_slots(p, roots, root, root_count, &entry);
    size_t from = 0;
    while (entry) {
      size_t count;
      compact_entry *child;
      const heap_ref *const slots = cp_object_slots(p->heap, cp_entry_load(entry), &count);
      from = visit_slots(p, slots, from, count, &child);
      if (child && from < count) push(p, cp_entry_index(p->heap, entry), from);
      from = 0;
      uintptr_t frame;
      if (!child && hs_grey_pop(&p->stack, &frame)) {
        child = p->heap->table + (frame >> FRAME_SHIFT);
        from = (uint32_t)frame;
      }
      entry = child;
    }
  }
}

static void walk_from_pin(void *context, compact_entry *entry) {
  heap_ref ref = cp_ref_of(entry);
  walk_from(context, &ref, 1);
}

static void append_unvisited(placer *p) {
  compact_heap *const heap = p->heap;
  uint32_t index;
  for (cp_walk walk = cp_walk_begin(heap, 0, heap->slab_frontier); cp_walk_next(&walk, &index);)
    if (visit_try(p, index)) append(p, index, cp_entry_load(heap->table + index));
}

static void order_make(compact_heap *heap, cp_order *order) {
  placer p = {
      .heap = heap, .visited = (_Atomic(uint64_t) *)(void *)heap->mark_bits.base, .order = order};
  memset(heap->mark_bits.base, 0, (size_t)heap->slab_frontier * sizeof(cp_bits));
  hs_grey_begin(&p.stack, &heap->marking.pool);
  hs_roots_visit_all_stw(&heap->world, walk_from, &p);
  cp_pin_visit(heap, walk_from_pin, &p);
  hs_grey_end(&p.stack);
  append_unvisited(&p);
  cp_mark_queue_count(heap);
  cp_peak_note(heap);
}

// ---- what follows from it -----------------------------------------------------------------------

bool cp_place_is_due(const compact_heap *heap, cp_effort effort) {
  const cp_course *const course = &heap->course;
  // Not when memory is short: it takes more of it for a while.
  const bool asked = course->forced || (cp_is_stress(heap) && course->kind != HEAP_COLLECT_RELEASE);
  return heap->config.placement == HEAP_PLACEMENT_TRAVERSAL && asked &&
         !heap->pacer.memory_limited && effort != CP_EFFORT_AUTOMATIC &&
         hs_world_is_stopped(&heap->world);
}

static bool is_worth_it(const cp_order *order, uint32_t far, cp_effort effort) {
  return effort == CP_EFFORT_EVERYTHING || far > order->count / FAR_FRACTION;
}

// For all copies at once, and the region that moving in address order needs.
static bool has_room(compact_heap *heap, const cp_back_map *map) {
  const uint64_t limit = (uint64_t)heap->config.limit_bytes;
  if (limit == 0) return true;
  uint64_t copies = 0;
  for (uint32_t region = 1; region < map->end; region++)
    if (cp_region_at(heap, region)->source) copies += cp_region_at(heap, region)->live_bytes;
  const uint64_t charged =
      hs_load_relaxed(&heap->resident_bytes) + hs_load_relaxed(&heap->table_bytes);
  return charged - cp_region_free_bytes(heap) + copies + copies / REGION_LOSS + CP_REGION_BYTES <=
         limit;
}

uint64_t cp_place_stw(compact_heap *heap, cp_back_map *map, cp_effort effort, cp_order *order) {
  uint64_t moved = 0;
  if (order_init(heap, order)) {
    order_make(heap, order);
    if (is_worth_it(order, order->far_objects, effort) && has_room(heap, map))
      moved = cp_evacuate_in_order_stw(heap, map, order, effort == CP_EFFORT_EVERYTHING);
    cp_peak_note(heap);
  }
  return moved;
}

uint64_t cp_place_names_stw(compact_heap *heap, cp_effort effort, cp_order *order) {
  uint64_t renamed = 0;
  if (order->entries && heap->config.renaming &&
      (is_worth_it(order, order->far_names, effort) ||
       cp_rename_is_due(heap, order->count, effort)))
    renamed = cp_rename_in_order_stw(heap, order, effort);
  order_destroy(heap, order);
  return renamed;
}
