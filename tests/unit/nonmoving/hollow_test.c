// SPDX-License-Identifier: MIT
// The variant subpage_release: which OS pages inside spans a forced release gives back, what that does to
// the accounts, and that what is allocated there later is new.
#include "kit.h"

#include <string.h>

#include "allocators/base/rng.h"

enum {
  SURVIVOR_BYTE = 0x5a,
  DIRT_BYTE = 0xa5,     // of objects that die, so that memory which is not cleared shows
  MAX_SURVIVORS = 5000, // slots of tables: 40 KB, so that a table is large and has no part in this
};

static bool grain_is_too_coarse(void) { return hs_os_page_bytes() >= NM_PAGE_BYTES; }

static heap_config hollow_config(int64_t subpage_release) {
  heap_config config = kit_config();
  config.subpage_release = subpage_release;
  return config;
}

static heap_ref dirty_alloc(kit *k, size_t bytes, int byte) {
  const heap_ref ref = kit_alloc(k, 0, bytes);
  memset(nonmoving_write(k->t, ref, 0), byte, bytes);
  return ref;
}

static bool bytes_are(kit *k, heap_ref ref, size_t bytes, unsigned char byte) {
  const unsigned char *const at = nonmoving_read(k->t, ref, 0);
  for (size_t i = 0; i < bytes; i++)
    if (at[i] != byte) return false;
  return true;
}

// `count` survivors in `table`, each the first of `every` objects; the others are garbage.
static void strew(kit *k, heap_ref table, size_t count, size_t every, size_t bytes) {
  for (size_t i = 0; i < count * every; i++) {
    const bool kept = i % every == 0;
    const heap_ref ref = dirty_alloc(k, bytes, kept ? SURVIVOR_BYTE : DIRT_BYTE);
    if (kept) nonmoving_store(k->t, table, i / every, ref);
  }
}

static void check_survivors(kit *k, heap_ref table, size_t count, size_t bytes) {
  for (size_t i = 0; i < count; i++)
    assert_true(bytes_are(k, nonmoving_load(k->t, table, i), bytes, SURVIVOR_BYTE));
}

// ---- one survivor in each page ------------------------------------------------------------------

enum {
  PAGES = 400,
  SMALL_BYTES = 16,
  PER_PAGE = NM_PAGE_BYTES / SMALL_BYTES,
};

// Footprint after the same script with and without the option; *hollow: bytes given back inside spans.
static uint64_t footprint_of_sparse_pages(int64_t subpage_release, uint64_t *hollow) {
  kit k = kit_make(hollow_config(subpage_release));
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, MAX_SURVIVORS, 0);
  strew(&k, root[0], PAGES, PER_PAGE, SMALL_BYTES);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_true(nonmoving_verify(k.t));
  check_survivors(&k, root[0], PAGES, SMALL_BYTES);
  *hollow = nm_hollow_bytes(k.heap);
  if (subpage_release) assert_int_equal(kit_stat(&k, HEAP_STAT_hollow_bytes), *hollow);
  const uint64_t metadata = kit_stat(&k, HEAP_STAT_metadata_bytes);
  const uint64_t footprint = nonmoving_footprint(k.heap);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
  assert_true(footprint > metadata);
  return footprint - metadata;
}

static void test_one_survivor_keeps_one_os_page(void **state) {
  (void)state;
  if (grain_is_too_coarse()) skip();
  uint64_t without, with;
  const uint64_t whole = footprint_of_sparse_pages(0, &without);
  const uint64_t less = footprint_of_sparse_pages(1, &with);
  assert_int_equal(without, 0);
  assert_int_equal(with, PAGES * (NM_PAGE_BYTES - hs_os_page_bytes()));
  assert_int_equal(whole - less, with);
}

static void test_a_second_release_finds_nothing_more(void **state) {
  (void)state;
  if (grain_is_too_coarse()) skip();
  kit k = kit_make(hollow_config(1));
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, MAX_SURVIVORS, 0);
  strew(&k, root[0], PAGES, PER_PAGE, SMALL_BYTES);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  const uint64_t hollow = nm_hollow_bytes(k.heap);
  assert_true(hollow > 0);
  assert_int_equal(nm_hollow_release(k.heap), 0);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(nm_hollow_bytes(k.heap), hollow);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL); // gives nothing back, and takes nothing
  assert_int_equal(nm_hollow_bytes(k.heap), hollow);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// A page is charged again when a run over it is handed out, that is with the first of its slots.
static void test_holes_are_charged_as_they_are_filled(void **state) {
  (void)state;
  if (grain_is_too_coarse()) skip();
  const uint64_t each = NM_PAGE_BYTES - hs_os_page_bytes();
  kit k = kit_make(hollow_config(1));
  KIT_FRAME(&k, root, 2);
  root[0] = kit_alloc(&k, MAX_SURVIVORS, 0);
  root[1] = kit_alloc(&k, PAGES * (PER_PAGE - 1), 0);
  strew(&k, root[0], PAGES, PER_PAGE, SMALL_BYTES);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  const uint64_t in_use = hs_load_relaxed(&k.heap->counts.in_use);
  for (size_t i = 0; i < PAGES * (PER_PAGE - 1); i++) {
    const heap_ref ref = kit_alloc(&k, 0, SMALL_BYTES);
    assert_true(bytes_are(&k, ref, SMALL_BYTES, 0));
    memset(nonmoving_write(k.t, ref, 0), DIRT_BYTE, SMALL_BYTES);
    nonmoving_store(k.t, root[1], i, ref);
    const size_t filled = i / (PER_PAGE - 1) + 1;
    assert_int_equal(nm_hollow_bytes(k.heap), (PAGES - filled) * each);
  }
  assert_int_equal(hs_load_relaxed(&k.heap->counts.in_use), in_use); // all of it in the holes
  check_survivors(&k, root[0], PAGES, SMALL_BYTES);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_spans_that_are_freed_are_not_hollow(void **state) {
  (void)state;
  if (grain_is_too_coarse()) skip();
  const uint64_t each = NM_PAGE_BYTES - hs_os_page_bytes();
  kit k = kit_make(hollow_config(1));
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, MAX_SURVIVORS, 0);
  strew(&k, root[0], PAGES, PER_PAGE, SMALL_BYTES);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  for (size_t i = 0; i < PAGES; i += 2) nonmoving_store(k.t, root[0], i, HEAP_NULL);
  nonmoving_collect(k.t, HEAP_COLLECT_FULL);
  assert_int_equal(nm_hollow_bytes(k.heap), PAGES / 2 * each);
  assert_true(nonmoving_verify(k.t));
  root[0] = HEAP_NULL;
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(nm_hollow_bytes(k.heap), 0);
  assert_int_equal(kit_stat(&k, HEAP_STAT_heap_usage_bytes), 0);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// ---- every size -----------------------------------------------------------------------------------

static size_t os_page_of(const kit *k, uintptr_t address) {
  return (address - k->heap->base) / hs_os_page_bytes();
}

static bool is_hollow(const kit *k, size_t os_page) {
  return hs_load_relaxed(&k->heap->hollow[os_page / 64]) >> (os_page % 64) & 1;
}

// The survivors say which pages must stay: those that a slot of theirs touches, the slots that lie across
// two pages in both. Every other page of a span of small objects must be gone.
static void check_hollow_pages(kit *k, heap_ref table, size_t count) {
  const size_t os_pages = (nm_grown_pages(k->heap) << NM_PAGE_SHIFT) / hs_os_page_bytes();
  bool *const touched = test_calloc(os_pages, sizeof *touched);
  for (size_t i = 0; i < count; i++) {
    const heap_ref ref = nonmoving_load(k->t, table, i);
    const size_t bytes = nm_span_slot_bytes(kit_span(k, ref));
    for (size_t p = os_page_of(k, ref.bits); p <= os_page_of(k, ref.bits + bytes - 1); p++)
      touched[p] = true;
  }
  size_t hollow = 0;
  for (size_t p = 0; p < os_pages; p++) {
    const uintptr_t address = k->heap->base + p * hs_os_page_bytes();
    const nm_span *const span = nm_span_find(k->heap, address);
    const bool small = span && nm_span_size_class(span) != NM_CLASS_LARGE;
    assert_int_equal(is_hollow(k, p), small && !touched[p]);
    hollow += small && !touched[p];
  }
  assert_int_equal(nm_hollow_bytes(k->heap), hollow * hs_os_page_bytes());
  test_free(touched);
}

static void check_size(size_t bytes) {
  const size_t every = NM_PAGE_BYTES / bytes + 3, count = 60; // drifts against the pages
  kit k = kit_make(hollow_config(1));
  KIT_FRAME(&k, root, 2);
  root[0] = kit_alloc(&k, MAX_SURVIVORS, 0);
  root[1] = kit_alloc(&k, MAX_SURVIVORS, 0);
  strew(&k, root[0], count, every, bytes);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_true(nonmoving_verify(k.t));
  check_hollow_pages(&k, root[0], count);
  check_survivors(&k, root[0], count, bytes);
  assert_true(nm_hollow_bytes(k.heap) > 0);
  for (size_t i = 0; i < count * every / 2; i++) {
    const heap_ref ref = kit_alloc(&k, 0, bytes);
    assert_true(bytes_are(&k, ref, bytes, 0));
    memset(nonmoving_write(k.t, ref, 0), DIRT_BYTE, bytes);
    if (i < MAX_SURVIVORS) nonmoving_store(k.t, root[1], i, ref);
  }
  assert_true(nonmoving_verify(k.t));
  check_survivors(&k, root[0], count, bytes);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_every_size_gives_back_what_no_slot_touches(void **state) {
  (void)state;
  if (grain_is_too_coarse()) skip();
  // 24 to 480: slots that lie across OS pages. Tiny objects share blocks: 16 is the smallest here.
  static const size_t sizes[] = {16, 24, 32, 48, 80, 96, 112, 144, 240, 256, 288, 480, 512};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) check_size(sizes[i]);
}

// Every size up to 1 KiB at once, tiny ones too, with references and without; dropped and replaced.
static void test_mixed_sizes_stay_whole_through_releases(void **state) {
  (void)state;
  kit k = kit_make(hollow_config(1));
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, MAX_SURVIVORS, 0);
  hs_rng rng = hs_rng_seed(7);
  static size_t sizes[MAX_SURVIVORS];
  for (unsigned round = 0; round < 6; round++) {
    for (size_t i = 0; i < MAX_SURVIVORS; i++) {
      if (round > 0 && hs_rng_below(&rng, 4) != 0) continue;
      sizes[i] = 8 + 8 * (size_t)hs_rng_below(&rng, 127);
      const heap_ref ref = kit_alloc(&k, i % 2, sizes[i]);
      char *const at = nonmoving_write(k.t, ref, i % 2);
      for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(at[b], 0);
      memset(at, SURVIVOR_BYTE, sizes[i]);
      nonmoving_store(k.t, root[0], i, ref);
    }
    for (size_t i = 0; i < MAX_SURVIVORS; i++)
      if (hs_rng_below(&rng, 8) != 0) nonmoving_store(k.t, root[0], i, HEAP_NULL);
    nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
    assert_true(nonmoving_verify(k.t));
    if (!grain_is_too_coarse()) assert_true(nm_hollow_bytes(k.heap) > 0);
    for (size_t i = 0; i < MAX_SURVIVORS; i++) {
      const heap_ref ref = nonmoving_load(k.t, root[0], i);
      if (heap_is_null(ref)) continue;
      const char *const at = nonmoving_read(k.t, ref, i % 2);
      for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(at[b], SURVIVOR_BYTE);
    }
  }
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

// ---- threads --------------------------------------------------------------------------------------

enum { THREADS = 3, HELD = 200, ROUNDS = 60, RELEASES = 20 };

#define CHECK(condition) HS_REQUIRE((condition), "%s", #condition) // on threads of the test

typedef struct actor {
  kit *k;
  uint64_t seed;
  hs_os_thread os;
} actor;

static _Atomic(uint32_t) busy_count;

static void check_word(nonmoving_thread *t, heap_ref ref, uint64_t word) {
  CHECK(((const uint64_t *)nonmoving_read(t, ref, 0))[1] == word);
}

// Objects that know their slot, most of them short-lived; memory of new ones must be clear.
static void act(void *context) {
  const actor *const self = context;
  hs_rng rng = hs_rng_seed(self->seed);
  nonmoving_thread *t;
  CHECK(nonmoving_thread_enter(self->k->heap, &t) == HEAP_OK);
  heap_ref held[HELD];
  heap_frame frame;
  nonmoving_frame_push(t, &frame, held, HELD);
  for (unsigned round = 0; round < ROUNDS; round++) {
    for (unsigned i = 0; i < 40 * HELD; i++) {
      const size_t slot = (size_t)hs_rng_below(&rng, HELD);
      const heap_ref ref = nonmoving_alloc(t, 0, 16 + 8 * (size_t)hs_rng_below(&rng, 40));
      CHECK(!heap_is_null(ref));
      uint64_t *const words = nonmoving_write(t, ref, 0);
      CHECK(words[0] == 0 && words[1] == 0);
      words[0] = UINT64_MAX;
      words[1] = slot + self->seed;
      if (i % 16 == 0) held[slot] = ref;
    }
    for (unsigned i = 0; i < HELD; i++)
      if (!heap_is_null(held[i])) check_word(t, held[i], i + self->seed);
  }
  nonmoving_frame_pop(t, &frame);
  nonmoving_thread_leave(t);
  hs_sub_acq_rel(&busy_count, 1u); // pairs: check_beside_threads
}

static void check_beside_threads(int64_t gc) {
  heap_config config = hollow_config(1);
  config.gc = gc;
  config.gogc_percent = 100;
  kit k = kit_make(config);
  KIT_FRAME(&k, root, 1);
  root[0] = kit_alloc(&k, MAX_SURVIVORS, 0);
  strew(&k, root[0], PAGES, PER_PAGE, SMALL_BYTES);
  static actor actors[THREADS];
  hs_store_relaxed(&busy_count, (uint32_t)THREADS);
  for (unsigned i = 0; i < THREADS; i++) {
    actors[i] = (actor){.k = &k, .seed = i + 1};
    assert_int_equal(hs_os_thread_start(&actors[i].os, act, &actors[i]), 0);
  }
  for (unsigned c = 0; c < RELEASES || hs_load_acquire(&busy_count) > 0; c++) // pairs: act
    nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  nonmoving_blocking_begin(k.t);
  for (unsigned i = 0; i < THREADS; i++) hs_os_thread_join(&actors[i].os);
  nonmoving_blocking_end(k.t);
  check_survivors(&k, root[0], PAGES, SMALL_BYTES);
  nonmoving_collect(k.t, HEAP_COLLECT_RELEASE);
  assert_true(nonmoving_verify(k.t));
  if (!grain_is_too_coarse()) assert_true(nm_hollow_bytes(k.heap) > 0);
  KIT_FRAME_END(&k, root);
  kit_free(&k);
}

static void test_threads_allocate_beside_releases(void **state) {
  (void)state;
  check_beside_threads(HEAP_GC_CONCURRENT);
  check_beside_threads(HEAP_GC_STW);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_survivor_keeps_one_os_page),
      cmocka_unit_test(test_a_second_release_finds_nothing_more),
      cmocka_unit_test(test_holes_are_charged_as_they_are_filled),
      cmocka_unit_test(test_spans_that_are_freed_are_not_hollow),
      cmocka_unit_test(test_every_size_gives_back_what_no_slot_touches),
      cmocka_unit_test(test_mixed_sizes_stay_whole_through_releases),
      cmocka_unit_test(test_threads_allocate_beside_releases),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
