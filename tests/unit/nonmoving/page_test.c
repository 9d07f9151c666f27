// SPDX-License-Identifier: MIT
// The page allocator alone, on page numbers: address-ordered first fit, released pages, page caches,
// scavenging order. Vectors after Go's mpagealloc_test.go, mpagecache_test.go and
// mgcscavenge_test.go: operations and expected results only.
#include "cm.h"

#include <stdlib.h>
#include <string.h>

#include "allocators/base/rng.h"
#include "nonmoving/nm_page.h"

enum { CHUNK = NM_CHUNK_PAGES };

typedef struct fixture {
  nm_pages pages;
  nm_chunk *chunks;
  nm_sum *levels[NM_LEVELS];
} fixture;

static fixture fixture_make(size_t chunk_count) {
  fixture f;
  f.chunks = calloc(NM_ROOT_CHUNKS, sizeof *f.chunks);
  assert_non_null(f.chunks);
  for (unsigned l = 0; l < NM_LEVELS; l++) {
    f.levels[l] = calloc(nm_pages_level_count(NM_ROOT_CHUNKS, l), sizeof(nm_sum));
    assert_non_null(f.levels[l]);
  }
  nm_pages_init(&f.pages, f.chunks, f.levels, NM_ROOT_CHUNKS);
  if (chunk_count > 0) nm_pages_grow(&f.pages, 0, chunk_count);
  return f;
}

static void fixture_free(fixture *f) {
  assert_null(nm_pages_violation(&f->pages));
  free(f->chunks);
  for (unsigned l = 0; l < NM_LEVELS; l++) free(f->levels[l]);
}

static void expect_alloc(fixture *f, size_t n, size_t page, size_t released) {
  size_t scavenged = 0;
  assert_int_equal(nm_pages_alloc(&f->pages, n, &scavenged), page);
  if (page != NM_NO_PAGE) assert_int_equal(scavenged, released);
  assert_null(nm_pages_violation(&f->pages));
}

// All pages free; only the ranges given are released.
static void set_released(fixture *f, const size_t (*ranges)[2], size_t count) {
  for (size_t c = 0; c < f->pages.chunk_end; c++)
    memset(f->chunks[c].scavenged, 0, sizeof f->chunks[c].scavenged);
  for (size_t i = 0; i < count; i++)
    nm_bits_set_range(f->chunks[ranges[i][0] / CHUNK].scavenged, ranges[i][0] % CHUNK,
                      ranges[i][1]);
}

static void test_nothing_to_find_before_growth(void **state) {
  (void)state;
  fixture f = fixture_make(0);
  expect_alloc(&f, 1, NM_NO_PAGE, 0);
  nm_pages_grow(&f.pages, 0, 1);
  expect_alloc(&f, 1, 0, 1); // born released
  fixture_free(&f);
}

static void test_single_pages_report_what_was_released(void **state) {
  (void)state;
  fixture f = fixture_make(1);
  set_released(&f, (const size_t[][2]){{0, 1}, {2, 2}}, 2);
  static const size_t released[] = {1, 0, 1, 1, 0};
  for (size_t i = 0; i < 5; i++) expect_alloc(&f, 1, i, released[i]);
  fixture_free(&f);
}

static void test_runs_of_64_report_what_was_released(void **state) {
  (void)state;
  fixture f = fixture_make(1);
  set_released(&f, (const size_t[][2]){{21, 1}, {63, 65}}, 2);
  expect_alloc(&f, 64, 0, 2);
  expect_alloc(&f, 64, 64, 64);
  expect_alloc(&f, 64, 128, 0);
  fixture_free(&f);
}

static void test_skips_full_chunks_and_gaps(void **state) {
  (void)state;
  fixture f = fixture_make(2);
  nm_pages_grow(&f.pages, 0xff, 1); // far from the others
  expect_alloc(&f, 2 * CHUNK, 0, 2 * CHUNK);
  expect_alloc(&f, 1, 0xff * CHUNK, 1);
  nm_pages_free(&f.pages, CHUNK + 511, 1, false);
  expect_alloc(&f, 1, CHUNK + 511, 0);
  expect_alloc(&f, CHUNK, NM_NO_PAGE, 0);
  fixture_free(&f);
}

static void test_runs_straddle_chunks(void **state) {
  (void)state;
  fixture f = fixture_make(2);
  expect_alloc(&f, 2 * CHUNK, 0, 2 * CHUNK);
  nm_pages_free(&f.pages, CHUNK - 1, 2, false);
  expect_alloc(&f, 2, CHUNK - 1, 0);
  fixture_free(&f);
}

static void test_straddling_many_chunks_leaves_low_holes(void **state) {
  (void)state;
  static const size_t sizes[] = {CHUNK + 1, CHUNK * 2, CHUNK * 5 / 4, CHUNK * 7 + 5};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    fixture f = fixture_make(10);
    expect_alloc(&f, CHUNK / 2, 0, CHUNK / 2);
    expect_alloc(&f, sizes[i], CHUNK / 2, sizes[i]);
    nm_pages_free(&f.pages, 3, 1, false);
    expect_alloc(&f, 2, CHUNK / 2 + sizes[i], 2); // the hole is too small
    expect_alloc(&f, 1, 3, 0);
    fixture_free(&f);
  }
}

static void test_exhaustion_of_one_chunk(void **state) {
  (void)state;
  fixture f = fixture_make(1);
  expect_alloc(&f, 509, 0, 509);
  expect_alloc(&f, 509, NM_NO_PAGE, 0);
  expect_alloc(&f, 1, 509, 1);
  expect_alloc(&f, 2, 510, 2);
  expect_alloc(&f, 1, NM_NO_PAGE, 0);
  nm_pages_free(&f.pages, 100, 1, false);
  expect_alloc(&f, 1, 100, 0); // found again after a failure
  fixture_free(&f);
}

static void test_every_size_is_packed_until_exhaustion(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 2, 3, 4, 5, 8, 16, 64, 1024, 1025, 2048, 2049};
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
    fixture f = fixture_make(4);
    const size_t fits = 4 * CHUNK / sizes[s];
    size_t scavenged;
    for (size_t i = 0; i < fits; i++)
      assert_int_equal(nm_pages_alloc(&f.pages, sizes[s], &scavenged), i * sizes[s]);
    expect_alloc(&f, sizes[s], NM_NO_PAGE, 0);
    for (size_t p = 0; p < 4 * CHUNK; p++)
      assert_int_equal(nm_pages_is_used(&f.pages, p), p < fits * sizes[s]);
    fixture_free(&f);
  }
}

static void test_large_runs_come_back_to_the_base(void **state) {
  (void)state;
  fixture f = fixture_make(8);
  for (int i = 0; i < 3; i++) {
    expect_alloc(&f, 8 * CHUNK, 0, i == 0 ? 8 * CHUNK : 0);
    nm_pages_free(&f.pages, 0, 8 * CHUNK, false);
    expect_alloc(&f, 1, 0, 0);
    nm_pages_free(&f.pages, 0, 1, false);
  }
  fixture_free(&f);
}

// ---- page caches --------------------------------------------------------------------------------

static void test_cache_takes_aligned_blocks_in_order(void **state) {
  (void)state;
  fixture f = fixture_make(1);
  set_released(&f, (const size_t[][2]){{0, 1}, {126, 4}}, 2);
  static const uint64_t released[] = {1, 3ull << 62, 3, 0};
  for (size_t i = 0; i < 4; i++) {
    nm_page_cache cache = {0};
    nm_pages_fill_cache(&f.pages, &cache);
    assert_int_equal(cache.base, i * 64);
    assert_true(cache.free == ~0ull);
    assert_true(cache.scavenged == released[i]);
    assert_null(nm_pages_violation(&f.pages));
  }
  fixture_free(&f);
}

static void test_cache_takes_what_is_free_of_a_block(void **state) {
  (void)state;
  fixture f = fixture_make(1);
  expect_alloc(&f, 70, 0, 70);
  nm_pages_free(&f.pages, 3, 2, false);
  nm_page_cache cache = {0};
  nm_pages_fill_cache(&f.pages, &cache);
  assert_int_equal(cache.base, 0);
  assert_true(cache.free == 3ull << 3);
  assert_true(cache.scavenged == 0);
  nm_page_cache second = {0};
  nm_pages_fill_cache(&f.pages, &second);
  assert_int_equal(second.base, 64);
  assert_true(second.free == ~0ull << 6);
  nm_pages_flush_cache(&f.pages, &cache);
  expect_alloc(&f, 2, 3, 0); // the search address came down
  fixture_free(&f);
}

static void test_cache_stays_empty_when_exhausted(void **state) {
  (void)state;
  fixture f = fixture_make(1);
  expect_alloc(&f, CHUNK, 0, CHUNK);
  nm_page_cache cache = {0};
  nm_pages_fill_cache(&f.pages, &cache);
  assert_true(cache.free == 0);
  fixture_free(&f);
}

static void test_cache_allocates_lowest_runs(void **state) {
  (void)state;
  nm_page_cache cache = {.base = 640, .free = 0x20005555, .scavenged = 0x5505};
  static const struct {
    size_t n, page, released;
  } rows[] = {{2, NM_NO_PAGE, 0}, {1, 640, 1},      {1, 642, 1},       {1, 644, 0},
              {1, 646, 0},        {1, 648, 1},      {1, 650, 1},       {1, 652, 1},
              {1, 654, 1},        {1, 640 + 29, 0}, {1, NM_NO_PAGE, 0}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t released = 0;
    assert_int_equal(nm_page_cache_alloc(&cache, rows[i].n, &released), rows[i].page);
    if (rows[i].page != NM_NO_PAGE) assert_int_equal(released, rows[i].released);
  }
}

static void test_random_caches_flush_exactly(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(23);
  for (int round = 0; round < 200; round++) {
    fixture f = fixture_make(1);
    nm_page_cache cache = {0};
    nm_pages_fill_cache(&f.pages, &cache);
    const uint64_t gone = round == 0 ? 0 : round == 1 ? ~0ull : hs_rng_next(&rng);
    cache.free &= ~gone; // handed out
    cache.scavenged = hs_rng_next(&rng) & cache.free;
    const uint64_t free = cache.free, scavenged = cache.scavenged;
    nm_pages_flush_cache(&f.pages, &cache);
    assert_true(f.chunks[0].used[0] == ~free);
    assert_true(f.chunks[0].scavenged[0] == scavenged);
    assert_true(cache.free == 0);
    fixture_free(&f);
  }
}

// ---- scavenging ---------------------------------------------------------------------------------

static void expect_candidate(fixture *f, size_t max, size_t page, size_t length) {
  size_t first = 0;
  assert_int_equal(nm_pages_find_unscavenged(&f->pages, SIZE_MAX, max, CHUNK + 1, &first), length);
  if (length > 0) assert_int_equal(first, page);
}

static void test_highest_pages_are_scavenged_first(void **state) {
  (void)state;
  fixture f = fixture_make(3);
  expect_candidate(&f, 8, 0, 0); // everything is released already
  set_released(&f, NULL, 0);
  expect_candidate(&f, 1, 3 * CHUNK - 1, 1);
  expect_candidate(&f, 8, 3 * CHUNK - 8, 8);
  expect_candidate(&f, 2 * CHUNK, 2 * CHUNK, CHUNK); // a chunk at a time
  nm_pages_take(&f.pages, 3 * CHUNK - 8, 8);
  nm_pages_free(&f.pages, 3 * CHUNK - 8, 8, true);
  expect_candidate(&f, 8, 3 * CHUNK - 16, 8);
  assert_true(nm_pages_is_scavenged(&f.pages, 3 * CHUNK - 1));
  assert_false(nm_pages_is_scavenged(&f.pages, 3 * CHUNK - 9));
  fixture_free(&f);
}

static void test_candidates_cross_words_and_stop_at_used_pages(void **state) {
  (void)state;
  fixture f = fixture_make(1);
  set_released(&f, NULL, 0);
  nm_pages_take(&f.pages, 0, CHUNK);
  nm_pages_free(&f.pages, 60, 80, false); // 60..139
  nm_pages_free(&f.pages, 200, 1, true);  // released: no candidate
  expect_candidate(&f, CHUNK, 60, 80);
  expect_candidate(&f, 79, 61, 79);
  nm_pages_free(&f.pages, 300, 64, false); // 300..363, the higher run wins
  expect_candidate(&f, CHUNK, 300, 64);
  fixture_free(&f);
}

static void test_dense_chunks_are_left_alone(void **state) {
  (void)state;
  fixture f = fixture_make(2);
  set_released(&f, NULL, 0);
  nm_pages_take(&f.pages, CHUNK, 496); // the upper chunk is dense
  size_t first;
  assert_int_equal(nm_pages_find_unscavenged(&f.pages, SIZE_MAX, 8, 496, &first), 8);
  assert_int_equal(first, CHUNK - 8);
  assert_int_equal(nm_pages_find_unscavenged(&f.pages, SIZE_MAX, 8, 497, &first), 8);
  assert_int_equal(first, 2 * CHUNK - 8);
  fixture_free(&f);
}

static void test_everything_can_be_scavenged(void **state) {
  (void)state;
  fixture f = fixture_make(3);
  set_released(&f, (const size_t[][2]){{5, 7}, {CHUNK, CHUNK}}, 2);
  size_t total = 0, first = 0, n;
  while ((n = nm_pages_find_unscavenged(&f.pages, SIZE_MAX, 13, CHUNK + 1, &first)) > 0) {
    nm_pages_take(&f.pages, first, n);
    nm_pages_free(&f.pages, first, n, true);
    total += n;
  }
  assert_int_equal(total, 3 * CHUNK - 7 - CHUNK);
  expect_alloc(&f, 3 * CHUNK, 0, 3 * CHUNK);
  fixture_free(&f);
}

// ---- against a slow allocator -------------------------------------------------------------------

typedef struct slow_pages {
  bool used[6 * CHUNK], released[6 * CHUNK];
} slow_pages;

static size_t slow_find(const slow_pages *slow, size_t n) {
  size_t run = 0;
  for (size_t p = 0; p < 6 * CHUNK; p++) {
    run = slow->used[p] ? 0 : run + 1;
    if (run == n) return p + 1 - n;
  }
  return NM_NO_PAGE;
}

static void random_step(fixture *f, slow_pages *slow, hs_rng *rng) {
  const size_t n =
      hs_rng_below(rng, 4) == 0 ? hs_rng_between(rng, 1, 700) : hs_rng_between(rng, 1, 12);
  if (hs_rng_below(rng, 2) == 0) {
    size_t released = 0, expected = 0;
    const size_t page = nm_pages_alloc(&f->pages, n, &released);
    assert_int_equal(page, slow_find(slow, n));
    if (page == NM_NO_PAGE) return;
    for (size_t p = page; p < page + n; p++) {
      expected += slow->released[p];
      slow->used[p] = true;
      slow->released[p] = false;
    }
    assert_int_equal(released, expected);
    return;
  }
  // Free a used run that starts at a random page.
  const size_t from = hs_rng_below(rng, 6 * CHUNK);
  size_t length = 0;
  while (length < n && from + length < 6 * CHUNK && slow->used[from + length]) length++;
  if (length == 0) return;
  const bool released = hs_rng_below(rng, 2) == 0;
  nm_pages_free(&f->pages, from, length, released);
  for (size_t p = from; p < from + length; p++) {
    slow->used[p] = false;
    slow->released[p] = released;
  }
}

static void test_random_operations_match_a_slow_allocator(void **state) {
  (void)state;
  hs_rng rng = hs_rng_seed(4);
  for (int round = 0; round < 4; round++) {
    fixture f = fixture_make(6);
    slow_pages slow = {0};
    memset(slow.released, 1, sizeof slow.released);
    for (int i = 0; i < 1500; i++) {
      random_step(&f, &slow, &rng);
      if (i % 100 == 0) assert_null(nm_pages_violation(&f.pages));
    }
    fixture_free(&f);
  }
}

static void test_violations_are_seen(void **state) {
  (void)state;
  fixture f = fixture_make(2);
  expect_alloc(&f, 10, 0, 10);
  f.chunks[0].scavenged[0] |= 1; // used and scavenged
  assert_non_null(nm_pages_violation(&f.pages));
  f.chunks[0].scavenged[0] &= ~1ull;
  assert_null(nm_pages_violation(&f.pages));
  f.chunks[0].used[3] |= 4; // behind the summary's back
  assert_non_null(nm_pages_violation(&f.pages));
  f.chunks[0].used[3] &= ~4ull;
  f.pages.search += 5; // above a free page
  assert_non_null(nm_pages_violation(&f.pages));
  f.pages.search -= 5;
  f.levels[1][0] ^= 1;
  assert_non_null(nm_pages_violation(&f.pages));
  f.levels[1][0] ^= 1;
  fixture_free(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nothing_to_find_before_growth),
      cmocka_unit_test(test_single_pages_report_what_was_released),
      cmocka_unit_test(test_runs_of_64_report_what_was_released),
      cmocka_unit_test(test_skips_full_chunks_and_gaps),
      cmocka_unit_test(test_runs_straddle_chunks),
      cmocka_unit_test(test_straddling_many_chunks_leaves_low_holes),
      cmocka_unit_test(test_exhaustion_of_one_chunk),
      cmocka_unit_test(test_every_size_is_packed_until_exhaustion),
      cmocka_unit_test(test_large_runs_come_back_to_the_base),
      cmocka_unit_test(test_cache_takes_aligned_blocks_in_order),
      cmocka_unit_test(test_cache_takes_what_is_free_of_a_block),
      cmocka_unit_test(test_cache_stays_empty_when_exhausted),
      cmocka_unit_test(test_cache_allocates_lowest_runs),
      cmocka_unit_test(test_random_caches_flush_exactly),
      cmocka_unit_test(test_highest_pages_are_scavenged_first),
      cmocka_unit_test(test_candidates_cross_words_and_stop_at_used_pages),
      cmocka_unit_test(test_dense_chunks_are_left_alone),
      cmocka_unit_test(test_everything_can_be_scavenged),
      cmocka_unit_test(test_random_operations_match_a_slow_allocator),
      cmocka_unit_test(test_violations_are_seen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
