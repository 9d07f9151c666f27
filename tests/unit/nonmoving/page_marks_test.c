// SPDX-License-Identifier: MIT
// Objects that refer to others in their page are marked together (Note [page at a time] in nm_mark.c):
// exactly what is reachable is marked, and counted once, whatever the size of the objects and however their
// references lie.
#include "allocators/base/rng.h"
#include "tests/unit/nonmoving/kit.h"

enum { OBJECTS = 2000, ROOTS = 20, SEEDS = 4 };

// How references lie, as distances in the order of allocation.
typedef enum layout { CHAIN_UP, CHAIN_DOWN, NEAR, ANYWHERE, LAYOUTS } layout;

static size_t pick(layout how, hs_rng *rng, size_t from) {
  const size_t near = 1 + (size_t)hs_rng_below(rng, 50);
  switch (how) {
  case CHAIN_UP:
    return from + 1;
  case CHAIN_DOWN:
    return from - 1; // beyond the last for the first: none
  case NEAR:
    return hs_rng_below(rng, 2) ? from + near : from - near;
  default:
    return (size_t)hs_rng_below(rng, OBJECTS);
  }
}

// What each slot refers to; OBJECTS: nothing.
static void draw_graph(layout how, hs_rng *rng, size_t refs, size_t *targets) {
  for (size_t i = 0; i < OBJECTS; i++)
    for (size_t j = 0; j < refs; j++) {
      const size_t target = hs_rng_below(rng, refs) < 2 ? pick(how, rng, i) : OBJECTS;
      targets[i * refs + j] = target < OBJECTS ? target : OBJECTS;
    }
}

static size_t count_reachable(const size_t *targets, size_t refs, const size_t *roots,
                              bool *reached) {
  static size_t stack[OBJECTS];
  size_t depth = 0, count = 0;
  for (size_t i = 0; i < OBJECTS; i++) reached[i] = false;
  for (size_t i = 0; i < ROOTS; i++) {
    if (reached[roots[i]]) continue;
    reached[roots[i]] = true;
    stack[depth++] = roots[i];
  }
  while (depth > 0) {
    const size_t at = stack[--depth];
    count++;
    for (size_t j = 0; j < refs; j++) {
      const size_t next = targets[at * refs + j];
      if (next == OBJECTS || reached[next]) continue;
      reached[next] = true;
      stack[depth++] = next;
    }
  }
  return count;
}

static void build(kit *k, heap_ref table, const size_t *targets, size_t refs) {
  for (size_t i = 0; i < OBJECTS; i++) nonmoving_store(k->t, table, i, kit_alloc(k, refs, 0));
  for (size_t i = 0; i < OBJECTS; i++) {
    const heap_ref object = nonmoving_load(k->t, table, i);
    for (size_t j = 0; j < refs; j++)
      if (targets[i * refs + j] < OBJECTS)
        nonmoving_store(k->t, object, j, nonmoving_load(k->t, table, targets[i * refs + j]));
  }
}

static void check(layout how, size_t refs, uint64_t seed) {
  hs_rng rng = hs_rng_seed(seed);
  size_t *const targets = test_malloc(OBJECTS * refs * sizeof *targets);
  bool *const reached = test_malloc(OBJECTS * sizeof *reached);
  size_t roots[ROOTS];
  draw_graph(how, &rng, refs, targets);
  for (size_t i = 0; i < ROOTS; i++) roots[i] = (size_t)hs_rng_below(&rng, OBJECTS);
  const size_t expected = count_reachable(targets, refs, roots, reached);

  kit k = kit_make(kit_config());
  KIT_FRAME(&k, root, 2);
  root[0] = kit_alloc(&k, OBJECTS, 0);
  build(&k, root[0], targets, refs);
  root[1] = kit_alloc(&k, ROOTS, 0);
  for (size_t i = 0; i < ROOTS; i++)
    nonmoving_store(k.t, root[1], i, nonmoving_load(k.t, root[0], roots[i]));
  root[0] = HEAP_NULL;
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  const uint64_t bytes = nm_span_slot_bytes(kit_span(&k, nonmoving_load(k.t, root[1], 0)));
  const uint64_t table_bytes = nm_span_slot_bytes(kit_span(&k, root[1]));
  assert_int_equal(hs_load_relaxed(&k.heap->marking.objects_count), expected + 1);
  assert_int_equal(hs_load_relaxed(&k.heap->marking.bytes), expected * bytes + table_bytes);
  assert_int_equal(hs_load_relaxed(&k.heap->marking.scanned_bytes), expected * bytes + table_bytes);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
  test_free(reached);
  test_free(targets);
}

static void test_what_is_reachable_is_marked_once(void **state) {
  (void)state;
  // A span of one page with 1024, 512, 341, 113, 36 and 8 objects; then one of several pages.
  static const size_t refs[] = {1, 2, 3, 9, 28, 128, 200};
  for (size_t i = 0; i < sizeof refs / sizeof refs[0]; i++)
    for (layout how = 0; how < LAYOUTS; how++)
      for (uint64_t seed = 1; seed <= SEEDS; seed++) check(how, refs[i], seed);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_reachable_is_marked_once)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
