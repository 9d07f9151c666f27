// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "allocators/base/bits.h"
#include "allocators/base/rng.h"
#include "allocators/runtime/meta.h"
#include "tests/unit/seed.h"

static void test_pieces_are_zero_aligned_and_apart(void **state) {
  (void)state;
  enum { PIECES = 3000 };
  static unsigned char *pieces[PIECES];
  static size_t sizes[PIECES];
  hs_rng rng = hs_rng_seed(test_seed(1));
  hs_meta meta;
  hs_meta_init(&meta);
  size_t total = 0;
  for (int i = 0; i < PIECES; i++) {
    const size_t align = (size_t)1 << hs_rng_below(&rng, 13);
    sizes[i] = hs_rng_between(&rng, 1, 3000);
    pieces[i] = hs_meta_alloc(&meta, sizes[i], align);
    assert_non_null(pieces[i]);
    assert_true(hs_is_aligned((size_t)(uintptr_t)pieces[i], align));
    for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(pieces[i][k], 0);
    memset(pieces[i], i & 0xff, sizes[i]);
    total += sizes[i];
  }
  for (int i = 0; i < PIECES; i++) // nobody wrote over anybody
    for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(pieces[i][k], i & 0xff);
  assert_true(hs_meta_bytes(&meta) >= total);
  hs_meta_destroy(&meta);
  assert_int_equal(hs_meta_bytes(&meta), 0);
}

static void test_bytes_count_pages_once(void **state) {
  (void)state;
  const size_t page = hs_os_page_bytes();
  hs_meta meta;
  hs_meta_init(&meta);
  assert_int_equal(hs_meta_bytes(&meta), 0);
  for (size_t used = 0; used < page / 2; used += 64) assert_non_null(hs_meta_alloc(&meta, 64, 8));
  assert_int_equal(hs_meta_bytes(&meta), page);
  assert_non_null(hs_meta_alloc(&meta, 10 * page, 8));
  assert_int_equal(hs_meta_bytes(&meta), 11 * page);
  hs_meta_destroy(&meta);
}

static void test_large_pieces_get_their_own_chunk(void **state) {
  (void)state;
  hs_meta meta;
  hs_meta_init(&meta);
  char *const large = hs_meta_alloc(&meta, (size_t)16 << 20, 4096);
  assert_non_null(large);
  large[0] = large[((size_t)16 << 20) - 1] = 1;
  assert_non_null(hs_meta_alloc(&meta, 100, 8));
  assert_null(hs_meta_alloc(&meta, SIZE_MAX - 100, 8));
  assert_null(hs_meta_alloc(&meta, (size_t)1 << 60, 8));
  assert_non_null(hs_meta_alloc(&meta, 100, 8)); // a refusal leaves it usable
  hs_meta_destroy(&meta);
}

enum { THREADS = 4, EACH = 2000 };

static hs_meta shared;

static void allocate_many(void *argument) {
  uint64_t **const out = argument;
  for (uint64_t i = 0; i < EACH; i++) {
    out[i] = hs_meta_alloc(&shared, sizeof(uint64_t), 8);
    if (out[i]) *out[i] = (uint64_t)(uintptr_t)out[i];
  }
}

static void test_threads_get_different_pieces(void **state) {
  (void)state;
  static uint64_t *pieces[THREADS][EACH];
  hs_os_thread threads[THREADS];
  hs_meta_init(&shared);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(hs_os_thread_start(&threads[i], allocate_many, pieces[i]), 0);
  for (int i = 0; i < THREADS; i++) hs_os_thread_join(&threads[i]);
  for (int i = 0; i < THREADS; i++)
    for (int k = 0; k < EACH; k++) {
      assert_non_null(pieces[i][k]);
      assert_true(*pieces[i][k] == (uint64_t)(uintptr_t)pieces[i][k]);
    }
  assert_true(hs_meta_bytes(&shared) >= THREADS * EACH * sizeof(uint64_t));
  hs_meta_destroy(&shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pieces_are_zero_aligned_and_apart),
      cmocka_unit_test(test_bytes_count_pages_once),
      cmocka_unit_test(test_large_pieces_get_their_own_chunk),
      cmocka_unit_test(test_threads_get_different_pieces),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
