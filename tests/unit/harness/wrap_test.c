// SPDX-License-Identifier: MIT
// Text for terminals stays within 80 columns.
#include "harness/wrap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *wrapped(size_t at, size_t indent, const char *text) {
  char *out = NULL;
  size_t bytes = 0;
  FILE *stream = open_memstream(&out, &bytes);
  assert_non_null(stream);
  wrap_print(stream, at, indent, text);
  assert_int_equal(fclose(stream), 0);
  return out;
}

static void test_short_text_is_one_line(void **state) {
  (void)state;
  char *out = wrapped(10, 4, "a few words");
  assert_string_equal(out, "a few words\n");
  free(out);
  out = wrapped(0, 4, "");
  assert_string_equal(out, "\n");
  free(out);
}

static void test_lines_fit_and_lose_nothing(void **state) {
  (void)state;
  const char text[] = "one two three four five six seven eight nine ten eleven twelve thirteen "
                      "fourteen fifteen sixteen seventeen eighteen nineteen twenty";
  for (size_t at = 0; at < 40; at++) {
    char *out = wrapped(at, at, text);
    size_t taken = at, words = 0;
    for (const char *c = out; *c; c++) {
      words += *c != ' ' && *c != '\n' && (c[1] == ' ' || c[1] == '\n');
      taken = *c == '\n' ? 0 : taken + 1;
      assert_true(taken <= 80);
    }
    assert_int_equal(words, 20);
    free(out);
  }
}

static void test_long_word_is_not_broken(void **state) {
  (void)state;
  char word[101];
  memset(word, 'x', 100);
  word[100] = 0;
  char *out = wrapped(0, 2, word);
  assert_int_equal(strlen(out), 101);
  free(out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_short_text_is_one_line),
      cmocka_unit_test(test_lines_fit_and_lose_nothing),
      cmocka_unit_test(test_long_word_is_not_broken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
