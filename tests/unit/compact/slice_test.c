// SPDX-License-Identifier: MIT
// The marker's loop alone, slice by slice, on random graphs whose references mostly stay in one slab: what is
// marked and counted is what can be reached, whatever the shapes of objects and the budget of a slice; and
// a slice looks at no more references than its budget and a constant beyond it.
#include "tests/unit/compact/fixture.h"

#include "allocators/base/rng.h"
#include "tests/unit/seed.h"

enum {
  OBJECTS = 1600, // some three slabs
  ROOTS = 8,
  PIECE_REFS = 512,                    // of an array
  SLAB_REFS = 2 * CP_SLAB_ENTRIES,     // beyond the budget, in the slab at hand
  EXCESS_REFS = PIECE_REFS + SLAB_REFS // with the object that led to it
};

typedef struct graph {
  fixture f;
  heap_ref refs[OBJECTS]; // good for as long as nothing is collected
  size_t slots[OBJECTS];  // of each object, which has no raw bytes
  uint32_t *edges[OBJECTS];
  bool reached[OBJECTS];
  uint64_t reached_count, reached_bytes, reached_slots;
  hs_rng rng;
} graph;

static size_t random_slots(graph *g) {
  static const size_t rare[] = {PIECE_REFS - 1,     PIECE_REFS, PIECE_REFS + 1,
                                2 * PIECE_REFS + 7, 4095,       9000};
  if (hs_rng_below(&g->rng, 40) == 0)
    return rare[hs_rng_below(&g->rng, sizeof rare / sizeof *rare)];
  return hs_rng_below(&g->rng, 6);
}

// A neighbour, the object itself, any object, or none.
static uint32_t random_target(graph *g, uint32_t from) {
  const uint32_t kind = (uint32_t)hs_rng_below(&g->rng, 16);
  if (kind == 0) return (uint32_t)hs_rng_below(&g->rng, OBJECTS);
  if (kind < 3) return OBJECTS;
  if (kind == 3) return from;
  const uint32_t near = from + (uint32_t)hs_rng_below(&g->rng, 64);
  return near < 32 || near - 32 >= OBJECTS ? OBJECTS : near - 32;
}

static void graph_make(graph *g, uint64_t seed, size_t (*slots)(graph *g)) {
  *g = (graph){.f = fixture_open_quiet(), .rng = hs_rng_seed(seed)};
  for (uint32_t i = 0; i < OBJECTS; i++) {
    g->slots[i] = i < ROOTS ? 2 : slots(g);
    g->refs[i] = heap_alloc(g->f.t, g->slots[i], 0);
    assert_false(heap_is_null(g->refs[i]));
  }
  for (uint32_t i = 0; i < OBJECTS; i++) {
    g->edges[i] = calloc(g->slots[i] + 1, sizeof *g->edges[i]);
    for (size_t slot = 0; slot < g->slots[i]; slot++) {
      const uint32_t to = g->edges[i][slot] = random_target(g, i);
      heap_store(g->f.t, g->refs[i], slot, to == OBJECTS ? HEAP_NULL : g->refs[to]);
    }
  }
}

static void graph_destroy(graph *g) {
  for (uint32_t i = 0; i < OBJECTS; i++) free(g->edges[i]);
  heap_collect(g->f.t, HEAP_COLLECT_FULL); // marks and counts are a cycle's again
  assert_int_equal(STAT(g->f, heap_objects_count), 0);
  fixture_close(g->f);
}

static void reach(graph *g, uint32_t *stack) {
  size_t depth = 0;
  for (uint32_t root = 0; root < ROOTS; root++) {
    stack[depth++] = root;
    g->reached[root] = true;
  }
  while (depth > 0) {
    const uint32_t i = stack[--depth];
    g->reached_count++;
    g->reached_slots += g->slots[i];
    g->reached_bytes += g->slots[i] == 0 ? CP_GRANULE_BYTES : g->slots[i] * sizeof(heap_ref);
    for (size_t slot = 0; slot < g->slots[i]; slot++) {
      const uint32_t to = g->edges[i][slot];
      if (to == OBJECTS || g->reached[to]) continue;
      g->reached[to] = true;
      stack[depth++] = to;
    }
  }
}

// Slices as an assisting thread makes them, until there is nothing left to do.
static void mark_in_slices(graph *g, uint64_t budget_refs) {
  compact_heap *const h = g->f.h;
  hs_grey_pool *const pool = &h->marking.pool;
  cp_mark_begin(h);
  hs_grey grey;
  hs_grey_begin(&grey, pool);
  for (uint32_t root = 0; root < ROOTS; root++)
    assert_true(hs_grey_push(&grey, g->refs[root].bits | HS_GREY_REF));
  hs_grey_end(&grey);
  hs_marked sum = {0};
  for (bool more = true; more;) {
    hs_grey_begin(&grey, pool);
    const hs_marked marked = cp_marking_ops.drain(h, &grey, budget_refs);
    hs_grey_end(&grey);
    if (budget_refs < UINT32_MAX)
      assert_true(marked.scanned_bytes / sizeof(heap_ref) <= budget_refs + EXCESS_REFS);
    sum.objects_count += marked.objects_count;
    sum.bytes += marked.bytes;
    sum.scanned_bytes += marked.scanned_bytes;
    more = !hs_grey_pool_is_empty(pool);
  }
  assert_false(hs_load_relaxed(&pool->overflowed));
  assert_int_equal(sum.objects_count, g->reached_count);
  assert_int_equal(sum.bytes, g->reached_bytes);
  assert_int_equal(sum.scanned_bytes, g->reached_slots * sizeof(heap_ref));
}

// Marks are those of what can be reached, and each region's count is what they add up to. I-cp-13
static void check_marks(const graph *g) {
  const compact_heap *const h = g->f.h;
  uint64_t *const live = calloc(h->region_frontier, sizeof *live);
  for (uint32_t i = 0; i < OBJECTS; i++) {
    const compact_entry *const entry = cp_entry_of(g->refs[i]);
    assert_int_equal(cp_entry_is_marked(h, cp_entry_index(h, entry)), g->reached[i]);
    const uint64_t word = cp_entry_load(entry);
    if (g->reached[i] && !(word & CP_ENTRY_LARGE))
      live[cp_entry_offset(word) >> CP_REGION_SHIFT] += CP_LIVE(cp_entry_bytes(word), 1);
  }
  for (uint32_t region = 1; region < h->region_frontier; region++)
    assert_int_equal(live[region], hs_load_relaxed(&cp_region_at(h, region)->live));
  free(live);
}

static void check_graph(uint64_t seed, size_t (*slots)(graph *g)) {
  static graph g; // too large for a stack
  static uint32_t stack[OBJECTS];
  graph_make(&g, seed, slots);
  reach(&g, stack);
  assert_true(g.reached_count > OBJECTS / 2);
  static const uint64_t budgets[] = {1, 8, 100, 256, 5000, UINT64_MAX / 2};
  for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
    mark_in_slices(&g, budgets[i]);
    check_marks(&g);
  }
  graph_destroy(&g);
}

static void test_slices_mark_and_count_what_can_be_reached(void **state) {
  (void)state;
  const uint64_t seed = test_seed(20261123);
  for (uint64_t round = 0; round < 8; round++) check_graph(seed + round, random_slots);
}

static size_t full_piece(graph *g) {
  (void)g;
  return PIECE_REFS;
}

static void test_a_slab_of_large_pieces_takes_many_slices(void **state) {
  (void)state;
  check_graph(test_seed(20261123), full_piece);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slices_mark_and_count_what_can_be_reached),
      cmocka_unit_test(test_a_slab_of_large_pieces_takes_many_slices),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
