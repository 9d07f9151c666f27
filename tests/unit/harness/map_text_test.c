// SPDX-License-Identifier: MIT
// Shades of page maps.
#include "harness/map_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_one_page_per_cell_until_it_does_not_fit(void **state) {
  (void)state;
  const size_t cells = (size_t)MAP_TEXT_COLUMNS * MAP_TEXT_LINES;
  assert_int_equal(map_text_pages_per_cell(0), 1);
  assert_int_equal(map_text_pages_per_cell(cells), 1);
  assert_int_equal(map_text_pages_per_cell(cells + 1), 2);
  for (size_t pages = 1; pages < 100000; pages += 997) {
    const size_t per_cell = map_text_pages_per_cell(pages);
    assert_true((pages + per_cell - 1) / per_cell <= cells);
  }
}

static void test_shades(void **state) {
  (void)state;
  static const struct {
    const char *pages, *shade;
  } cases[] = {{"[[0,100,0]]", "."},
               {"[[0,100,3]]", "m"},
               {"[[0,100,1]]", "_"},
               {"[[1,100,1]]", "░"},
               {"[[25,100,1]]", "░"},
               {"[[26,100,1]]", "▒"},
               {"[[75,100,1]]", "▓"},
               {"[[76,100,1]]", "█"},
               {"[[100,100,1],[0,100,1]]", "▒"},
               {"[[100,100,1],[0,100,0]]", "█"}, // what was returned is no empty space
               {"[[50,100,1],[0,100,3]]", "▒"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    json_t *pages = json_loads(cases[i].pages, 0, NULL);
    assert_string_equal(map_text_cell(pages, 0, json_array_size(pages)), cases[i].shade);
    json_decref(pages);
  }
}

static void test_every_page_is_drawn(void **state) {
  (void)state;
  for (size_t count = 0; count < 3000; count += 499) {
    json_t *pages = json_array();
    for (size_t i = 0; i < count; i++)
      json_array_append_new(pages, json_pack("[i,i,i]", 0, 4096, 0));
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    map_text_print(out, "kept", pages);
    fclose(out);
    size_t dots = 0;
    const char *sums = strchr(text + 1, '\n') + 1; // after the line of pages
    const char *cells = strchr(sums, '\n');
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
      assert_true(strcspn(line, "\n") <= 80); // all of it is ASCII here
    for (const char *at = cells; *at; at++) dots += *at == '.';
    const size_t per_cell = map_text_pages_per_cell(count);
    assert_int_equal(dots, (count + per_cell - 1) / per_cell);
    free(text);
    json_decref(pages);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_page_per_cell_until_it_does_not_fit),
      cmocka_unit_test(test_shades),
      cmocka_unit_test(test_every_page_is_drawn),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
