// SPDX-License-Identifier: MIT
// What `heapduel run` prints: only columns that say something, in a terminal's width.
#include "harness/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *printed(const char *records) {
  json_t *json = json_loads(records, 0, NULL);
  assert_non_null(json);
  char *out = NULL;
  size_t bytes = 0;
  FILE *stream = open_memstream(&out, &bytes);
  assert_non_null(stream);
  table_print_records(stream, json);
  assert_int_equal(fclose(stream), 0);
  json_decref(json);
  return out;
}

static const char two_rows[] =
    "[{\"heap\":\"aaaaaaaaa\",\"status\":\"oom\",\"reason\":\"no memory\",\"block\":0,"
    "\"metrics\":{\"timed_wall_ns\":1500000},\"start\":{\"rss_bytes\":1048576},"
    "\"stages\":[{\"name\":\"1\",\"live_bytes\":0,\"rss_bytes\":1048576}]},"
    "{\"heap\":\"b\",\"status\":\"ok\",\"block\":0,\"metrics\":{\"timed_wall_ns\":2500000},"
    "\"start\":{\"rss_bytes\":1048576},"
    "\"stages\":[{\"name\":\"1\",\"live_bytes\":0,\"rss_bytes\":1048576},"
    "{\"name\":\"2\",\"live_bytes\":1024,\"rss_bytes\":3145728}]}]";

static void test_columns_without_a_value_are_left_out(void **state) {
  (void)state;
  char *out = printed(two_rows);
  assert_non_null(strstr(out, "1.50 ms"));
  assert_null(strstr(out, "pause"));
  assert_null(strstr(out, "Footprint")); // neither row knows one
  free(out);
}

// A row that ended early has no number at later stages; its row says so, and why.
static void test_stages_are_columns(void **state) {
  (void)state;
  char *out = printed(two_rows);
  assert_non_null(strstr(out, "\nstage           1         2\n"));
  assert_non_null(strstr(out, "\nlive objects  0 B     1 KiB\n"));
  assert_non_null(strstr(out, "\naaaaaaaaa     0 B         -\n"));
  assert_non_null(strstr(out, "\nb             0 B  2.00 MiB\n"));
  assert_non_null(strstr(out, "\naaaaaaaaa: oom, no memory\n"));
  free(out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_columns_without_a_value_are_left_out),
      cmocka_unit_test(test_stages_are_columns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
