// SPDX-License-Identifier: MIT
// Assertions: which strengths fire at which check level. The level is raised here, so that the test
// is the same in every build.
#undef HS_CHECK_LEVEL
#define HS_CHECK_LEVEL 1

#include "tests/death/death.h"

#include "allocators/base/assert.h"

static int evaluated;
static int count_and_fail(void) {
  evaluated++;
  return 0;
}

static void require_false(void) { HS_REQUIRE(evaluated > 0, "bad value %d of %s", 42, "answer"); }
static void assert_false_at_level_1(void) { HS_ASSERT(count_and_fail() == 1); }
static void panic(void) { HS_PANIC("cannot go on"); }

static void test_messages_name_place_and_values(void **state) {
  (void)state;
  expect_death(require_false, "bad value 42 of answer");
  expect_death(require_false, "base_death_test.c:");
  expect_death(panic, "cannot go on");
}

static void test_enabled_assertions_show_their_condition(void **state) {
  (void)state;
  expect_death(assert_false_at_level_1, "assertion failed: count_and_fail() == 1");
}

static void test_disabled_assertions_are_not_evaluated(void **state) {
  (void)state;
  evaluated = 0;
  HS_ASSERT_SLOW(count_and_fail() == 1);
  assert_int_equal(evaluated, 0);
}

static void long_message(void) {
  static char text[2000];
  for (size_t i = 0; i + 1 < sizeof text; i++) text[i] = 'x';
  HS_PANIC("%s", text);
}

static void test_long_messages_are_cut(void **state) {
  (void)state;
  char text[4096];
  (void)death_run(long_message, text, sizeof text);
  assert_true(strlen(text) < 1000);
  assert_true(strlen(text) > 500);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_messages_name_place_and_values),
      cmocka_unit_test(test_enabled_assertions_show_their_condition),
      cmocka_unit_test(test_disabled_assertions_are_not_evaluated),
      cmocka_unit_test(test_long_messages_are_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
