// SPDX-License-Identifier: MIT
// A slice of marking looks at no more references than its budget, and a constant beyond it, whatever the
// objects are: the delay of a thread that assists does not depend on the shape of the heap.
#include <string.h>

#include "tests/unit/nonmoving/kit.h"

enum {
  BUDGET_REFS = 256, // of a slice
  OBJECTS = 64,      // all grey at once
  // Beyond the budget: what waits for its prefetch, and what a slice is at, the objects of one page together,
  // or a piece of a larger object.
  QUEUED_REFS = 16,
  PAGE_REFS = NM_PAGE_BYTES / sizeof(heap_ref),
  PIECE_REFS = 512,
};

typedef struct shape {
  const char *name;
  size_t refs; // of an object, which fill their slot: then scanned bytes are 8 for a reference
  size_t excess_refs; // of a slice, at most
} shape;

// An array of OBJECTS objects, all of whose slots refer to the array.
static heap_ref make_objects(kit *k, const shape *s) {
  KIT_FRAME(k, root, 1);
  root[0] = kit_alloc(k, OBJECTS, 0);
  for (size_t i = 0; i < OBJECTS; i++) {
    const heap_ref object = kit_alloc(k, s->refs, 0);
    nonmoving_store(k->t, root[0], i, object);
    for (size_t j = 0; j < s->refs; j++) nonmoving_store(k->t, object, j, root[0]);
  }
  const heap_ref array = root[0];
  KIT_FRAME_END(k, root);
  return array;
}

// Slices as an assisting thread makes them, until there is nothing left to do.
static void mark_in_slices(kit *k, const shape *s, heap_ref array) {
  hs_grey_pool *const pool = &k->heap->marking.pool;
  hs_grey grey;
  hs_grey_begin(&grey, pool);
  assert_true(hs_grey_push(&grey, array.bits | HS_GREY_REF));
  hs_grey_end(&grey);
  uint64_t total_refs = 0, objects = 0, slices = 0;
  for (bool more = true; more; slices++) {
    hs_grey_begin(&grey, pool);
    const hs_marked marked = nm_mark_drain(k->heap, &grey, BUDGET_REFS);
    hs_grey_end(&grey);
    const uint64_t refs = marked.scanned_bytes / sizeof(heap_ref);
    if (refs > BUDGET_REFS + s->excess_refs) fail_msg("%s: a slice of %u", s->name, (unsigned)refs);
    total_refs += refs;
    objects += marked.objects_count;
    more = marked.objects_count + marked.scanned_bytes > 0;
  }
  assert_true(hs_grey_pool_is_empty(pool));
  assert_false(hs_load_relaxed(&pool->overflowed));
  assert_int_equal(objects, OBJECTS + 1); // nothing was left out
  assert_int_equal(total_refs, OBJECTS * s->refs + OBJECTS);
  assert_true(slices > total_refs / (BUDGET_REFS + s->excess_refs)); // the last one finds nothing
}

static void clear_marks(nonmoving_heap *heap) {
  for (size_t page = 0; page < nm_grown_pages(heap); page++) {
    const nm_span *const span = heap->entries[page].span;
    if (!span || page != span->first_page) continue;
    memset(nm_span_bitmap(heap, span, span->sweepgen + 2), 0,
           nm_span_words(span) * sizeof(uint64_t));
  }
}

static void check_shape(const shape *s) {
  kit k = kit_make(kit_config());
  kit_stop_background(&k);
  KIT_FRAME(&k, root, 1);
  root[0] = make_objects(&k, s);
  assert_true(nonmoving_verify(k.t)); // flushes caches, and leaves no mark
  const uint32_t generation = hs_load_relaxed(&k.heap->mark_gen);
  hs_store_relaxed(&k.heap->mark_gen, hs_load_relaxed(&k.heap->sweepgen)); // as a cycle begins
  mark_in_slices(&k, s, root[0]);
  hs_store_relaxed(&k.heap->mark_gen, generation);
  clear_marks(k.heap);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_a_slice_is_bounded_whatever_the_objects_are(void **state) {
  (void)state;
  static const shape shapes[] = {
      {"small objects, many in a page", 2, PAGE_REFS + QUEUED_REFS},
      {"half a page of references", PAGE_REFS / 2, PAGE_REFS + QUEUED_REFS},
      {"objects in spans of several pages", 176, 176 + QUEUED_REFS},
      {"a little more than a piece", 608, PIECE_REFS + QUEUED_REFS},
      {"the largest small objects", 4096, PIECE_REFS + QUEUED_REFS},
      {"large objects", 100352, PIECE_REFS + QUEUED_REFS},
  };
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) check_shape(&shapes[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_slice_is_bounded_whatever_the_objects_are),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
