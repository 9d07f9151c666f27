// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "allocators/base/bits.h"
#include "allocators/base/bytemap.h"
#include "allocators/base/rng.h"
#include "tests/unit/seed.h"

enum { WORDS = 5, NUMBERS = WORDS * HS_BYTEMAP_WORD };

typedef uint64_t (*take_fn)(uint8_t *map, unsigned word);

// Against a bitmap: what is added comes out once, in its word only.
static void check(take_fn take) {
  hs_rng rng = hs_rng_seed(test_seed(1));
  uint8_t map[NUMBERS] = {0};
  uint64_t expected[WORDS] = {0};
  for (int round = 0; round < 2000; round++) {
    const uint64_t added = hs_rng_below(&rng, 2 * NUMBERS);
    for (uint64_t i = 0; i < added; i++) {
      const unsigned number = (unsigned)hs_rng_below(&rng, NUMBERS);
      hs_bytemap_add(map, number);
      expected[number / HS_BYTEMAP_WORD] |= 1ull << (number % HS_BYTEMAP_WORD);
    }
    const unsigned word = (unsigned)hs_rng_below(&rng, WORDS); // the others go on growing
    assert_true(take(map, word) == expected[word]);
    assert_true(take(map, word) == 0);
    expected[word] = 0;
  }
  for (unsigned word = 0; word < WORDS; word++) assert_true(take(map, word) == expected[word]);
}

static void test_take_against_bitmap(void **state) {
  (void)state;
  check(hs_bytemap_take);
}

static void test_portable_take_against_bitmap(void **state) {
  (void)state;
  check(hs_bytemap_take_portable);
}

// Each number alone, and all but it.
static void test_each_number(void **state) {
  (void)state;
  for (unsigned number = 0; number < HS_BYTEMAP_WORD; number++) {
    uint8_t map[HS_BYTEMAP_WORD] = {0};
    hs_bytemap_add(map, number);
    assert_true(hs_bytemap_take(map, 0) == 1ull << number);
    for (unsigned other = 0; other < HS_BYTEMAP_WORD; other++)
      if (other != number) hs_bytemap_add(map, other);
    assert_true(hs_bytemap_take_portable(map, 0) == ~(1ull << number));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_take_against_bitmap),
      cmocka_unit_test(test_portable_take_against_bitmap),
      cmocka_unit_test(test_each_number),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
