// SPDX-License-Identifier: MIT
// The page allocator alone, on page numbers, beyond the vectors taken from Go (README.md): against a slow
// allocator, what its checks see, and how scavenging, generations and page caches meet.
#include "vector.h"

#include "allocators/base/rng.h"

static fixture fixture_grown(size_t chunk_count) {
  fixture f = fixture_make_empty(chunk_count);
  if (chunk_count > 0) nm_pages_grow(&f.pages, 0, chunk_count);
  return f;
}

static void fixture_free(fixture *f) {
  assert_null(nm_pages_violation(&f->pages));
  fixture_release(f);
}

static void expect_alloc(fixture *f, size_t n, size_t page, size_t released) {
  size_t scavenged = 0;
  assert_int_equal(nm_pages_alloc(&f->pages, n, &scavenged), page);
  if (page != NM_NO_PAGE) assert_int_equal(scavenged, released);
  assert_null(nm_pages_violation(&f->pages));
}

// All pages have been used and are free, with memory but for the ranges given.
static void set_released(fixture *f, const size_t (*ranges)[2], size_t count) {
  nm_pages_take(&f->pages, 0, f->pages.chunk_end * CHUNK);
  nm_pages_free(&f->pages, 0, f->pages.chunk_end * CHUNK, false);
  for (size_t i = 0; i < count; i++)
    nm_bits_set_range(f->chunks[ranges[i][0] / CHUNK].scavenged, ranges[i][0] % CHUNK,
                      ranges[i][1]);
}

static void test_nothing_to_find_before_growth(void **state) {
  (void)state;
  fixture f = fixture_grown(0);
  expect_alloc(&f, 1, NM_NO_PAGE, 0);
  nm_pages_grow(&f.pages, 0, 1);
  expect_alloc(&f, 1, 0, 1); // born released
  fixture_free(&f);
}

static void test_skips_full_chunks_and_gaps(void **state) {
  (void)state;
  fixture f = fixture_grown(2);
  nm_pages_grow(&f.pages, 0xff, 1); // far from the others
  expect_alloc(&f, 2 * CHUNK, 0, 2 * CHUNK);
  expect_alloc(&f, 1, 0xff * CHUNK, 1);
  nm_pages_free(&f.pages, CHUNK + 511, 1, false);
  expect_alloc(&f, 1, CHUNK + 511, 0);
  expect_alloc(&f, CHUNK, NM_NO_PAGE, 0);
  fixture_free(&f);
}

static void test_straddling_many_chunks_leaves_low_holes(void **state) {
  (void)state;
  static const size_t sizes[] = {CHUNK + 1, CHUNK * 2, CHUNK * 5 / 4, CHUNK * 7 + 5};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    fixture f = fixture_grown(10);
    expect_alloc(&f, CHUNK / 2, 0, CHUNK / 2);
    expect_alloc(&f, sizes[i], CHUNK / 2, sizes[i]);
    nm_pages_free(&f.pages, 3, 1, false);
    expect_alloc(&f, 2, CHUNK / 2 + sizes[i], 2); // the hole is too small
    expect_alloc(&f, 1, 3, 0);
    fixture_free(&f);
  }
}

// ---- page caches --------------------------------------------------------------------------------

static void test_cache_takes_what_is_free_of_a_block(void **state) {
  (void)state;
  fixture f = fixture_grown(1);
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

// ---- scavenging ---------------------------------------------------------------------------------

static const nm_scav_rule forced = {.mode = NM_SCAV_FORCED, .align = 1};
static const nm_scav_rule background = {.mode = NM_SCAV_BACKGROUND, .align = 1};

// Release the next run, of `length` at `page`; length 0: there is none.
static void expect_release(fixture *f, nm_scav_rule rule, size_t max, size_t page, size_t length) {
  size_t first = 0;
  const size_t n = nm_pages_scavenge_begin(&f->pages, rule, max, &first);
  assert_int_equal(n, length);
  if (n == 0) return;
  assert_int_equal(first, page);
  assert_true(nm_pages_is_used(&f->pages, first)); // nobody else takes it meanwhile
  nm_pages_scavenge_end(&f->pages, first, n, true);
  assert_true(nm_pages_is_scavenged(&f->pages, first));
  assert_null(nm_pages_violation(&f->pages));
}

static void test_highest_pages_are_scavenged_first(void **state) {
  (void)state;
  fixture f = fixture_grown(3);
  expect_release(&f, forced, 8, 0, 0); // everything is released already
  set_released(&f, NULL, 0);
  expect_release(&f, forced, 1, 3 * CHUNK - 1, 1);
  expect_release(&f, forced, 8, 3 * CHUNK - 9, 8);
  expect_release(&f, forced, 2 * CHUNK, 2 * CHUNK, CHUNK - 9); // a chunk at a time
  expect_release(&f, forced, 2 * CHUNK, CHUNK, CHUNK);
  assert_false(nm_pages_is_scavenged(&f.pages, CHUNK - 1));
  fixture_free(&f);
}

static void test_candidates_cross_words_and_stop_at_used_pages(void **state) {
  (void)state;
  fixture f = fixture_grown(1);
  set_released(&f, NULL, 0);
  nm_pages_take(&f.pages, 0, CHUNK);
  nm_pages_free(&f.pages, 60, 80, false);  // 60..139
  nm_pages_free(&f.pages, 200, 1, true);   // released: no candidate
  nm_pages_free(&f.pages, 300, 64, false); // 300..363
  expect_release(&f, forced, CHUNK, 300, 64);
  expect_release(&f, forced, 79, 61, 79);
  expect_release(&f, forced, 79, 60, 1);
  expect_release(&f, forced, 79, 0, 0);
  fixture_free(&f);
}

static void test_the_background_waits_for_a_generation(void **state) {
  (void)state;
  fixture f = fixture_grown(2);
  set_released(&f, NULL, 0);
  nm_pages_take(&f.pages, CHUNK, NM_DENSE_PAGES); // the upper chunk is dense
  expect_release(&f, background, 8, 0, 0);
  nm_scav_index_next_generation(&f.pages.scav);
  expect_release(&f, background, 8, CHUNK - 8, 8);
  nm_pages_free(&f.pages, CHUNK, 1, false); // no longer dense, but it was in this generation
  expect_release(&f, background, 8, CHUNK - 16, 8);
  expect_release(&f, forced, 8, 2 * CHUNK - 8, 8);
  nm_scav_index_next_generation(&f.pages.scav);
  expect_release(&f, background, 8, CHUNK, 1); // searching from the highest page freed since
  fixture_free(&f);
}

static void test_cached_pages_count_as_used(void **state) {
  (void)state;
  fixture f = fixture_grown(1);
  set_released(&f, NULL, 0);
  nm_page_cache cache = {0};
  nm_pages_fill_cache(&f.pages, &cache);
  assert_int_equal(f.scav_chunks[0].in_use, NM_CACHE_PAGES);
  expect_release(&f, forced, CHUNK, NM_CACHE_PAGES, CHUNK - NM_CACHE_PAGES);
  expect_release(&f, forced, CHUNK, 0, 0);
  size_t scavenged;
  assert_int_equal(nm_page_cache_alloc(&cache, 60, &scavenged), 0);
  nm_pages_flush_cache(&f.pages, &cache);
  assert_int_equal(f.scav_chunks[0].in_use, 60);
  expect_release(&f, forced, CHUNK, 60, 4); // what comes back is found
  fixture_free(&f);
}

static void test_a_refused_purge_can_be_tried_again(void **state) {
  (void)state;
  fixture f = fixture_grown(1);
  set_released(&f, NULL, 0);
  nm_pages_take(&f.pages, 0, CHUNK - 10);
  size_t first, other;
  assert_int_equal(nm_pages_scavenge_begin(&f.pages, forced, CHUNK, &first), 10);
  assert_int_equal(nm_pages_scavenge_begin(&f.pages, forced, CHUNK, &other), 0); // finds no more
  nm_pages_scavenge_end(&f.pages, first, 10, false);
  assert_null(nm_pages_violation(&f.pages));
  expect_release(&f, forced, CHUNK, CHUNK - 10, 10);
  fixture_free(&f);
}

static void test_everything_can_be_scavenged(void **state) {
  (void)state;
  fixture f = fixture_grown(3);
  set_released(&f, (const size_t[][2]){{5, 7}, {CHUNK, CHUNK}}, 2);
  size_t total = 0, first = 0, n;
  while ((n = nm_pages_scavenge_begin(&f.pages, forced, 13, &first)) > 0) {
    nm_pages_scavenge_end(&f.pages, first, n, true);
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

static void random_release(fixture *f, slow_pages *slow, hs_rng *rng) {
  if (hs_rng_below(rng, 10) == 0) nm_scav_index_next_generation(&f->pages.scav);
  const bool is_forced = hs_rng_below(rng, 2) == 0;
  size_t first = 0;
  const size_t n = nm_pages_scavenge_begin(&f->pages, is_forced ? forced : background,
                                           hs_rng_between(rng, 1, 40), &first);
  for (size_t p = first; p < first + n; p++) {
    assert_false(slow->used[p]);
    assert_false(slow->released[p]);
    slow->released[p] = true;
  }
  if (n > 0) nm_pages_scavenge_end(&f->pages, first, n, true);
  if (n > 0 || !is_forced) return;
  for (size_t p = 0; p < 6 * CHUNK; p++) assert_true(slow->used[p] || slow->released[p]);
}

static void random_step(fixture *f, slow_pages *slow, hs_rng *rng) {
  if (hs_rng_below(rng, 4) == 0) {
    random_release(f, slow, rng);
    return;
  }
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
    fixture f = fixture_grown(6);
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
  fixture f = fixture_grown(2);
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
  f.scav_chunks[0].in_use++;
  assert_non_null(nm_pages_violation(&f.pages));
  f.scav_chunks[0].in_use--;
  nm_pages_free(&f.pages, 0, 2, false); // with memory
  f.scav_chunks[0].candidates = 0;
  assert_non_null(nm_pages_violation(&f.pages));
  f.scav_chunks[0].candidates = 1;
  f.pages.scav.cursor[NM_SCAV_FORCED] = 1;
  assert_non_null(nm_pages_violation(&f.pages));
  f.pages.scav.cursor[NM_SCAV_FORCED] = 2;
  fixture_free(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nothing_to_find_before_growth),
      cmocka_unit_test(test_skips_full_chunks_and_gaps),
      cmocka_unit_test(test_straddling_many_chunks_leaves_low_holes),
      cmocka_unit_test(test_cache_takes_what_is_free_of_a_block),
      cmocka_unit_test(test_highest_pages_are_scavenged_first),
      cmocka_unit_test(test_candidates_cross_words_and_stop_at_used_pages),
      cmocka_unit_test(test_the_background_waits_for_a_generation),
      cmocka_unit_test(test_cached_pages_count_as_used),
      cmocka_unit_test(test_a_refused_purge_can_be_tried_again),
      cmocka_unit_test(test_everything_can_be_scavenged),
      cmocka_unit_test(test_random_operations_match_a_slow_allocator),
      cmocka_unit_test(test_violations_are_seen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
