// SPDX-License-Identifier: MIT
// The generated size classes against Go's published table, and the lookups against the slow way.
#include "cm.h"

#include <stdio.h>

#include "nonmoving/nm_sizeclass.h"
#include "nonmoving/nm_sizeclass_rule.h"

static void test_classes_equal_the_published_table(void **state) {
  (void)state;
  FILE *const file = fopen(NM_TEST_DATA "/go-sizeclasses.csv", "r");
  assert_non_null(file);
  char line[256];
  assert_non_null(fgets(line, sizeof line, file)); // heading
  unsigned rows = 0;
  while (fgets(line, sizeof line, file)) {
    unsigned class, bytes, pages, span_bytes, objects;
    assert_int_equal(sscanf(line, "%u,%u,%u,%u,%u", &class, &bytes, &pages, &span_bytes, &objects),
                     5);
    assert_true(class < NM_CLASS_COUNT);
    assert_int_equal(nm_classes[class].bytes, bytes);
    assert_int_equal(nm_class_bytes[class], bytes);
    assert_int_equal(nm_classes[class].pages, pages);
    assert_int_equal(nm_classes[class].pages * NM_PAGE_BYTES, span_bytes);
    assert_int_equal(nm_classes[class].objects, objects);
    assert_int_equal(nm_classes[class].words, (objects + 63) / 64);
    rows++;
  }
  fclose(file);
  assert_int_equal(rows, NM_CLASS_COUNT - 1);
}

static void test_the_rule_is_what_was_generated(void **state) {
  (void)state;
  nm_rule_class classes[NM_RULE_MAX_CLASSES];
  assert_int_equal(nm_rule_generate(classes), NM_CLASS_COUNT);
  for (unsigned i = 1; i < NM_CLASS_COUNT; i++)
    assert_int_equal(classes[i].bytes, nm_classes[i].bytes);
}

static void test_lookup_finds_the_smallest_class_that_fits(void **state) {
  (void)state;
  unsigned class = 1;
  for (size_t size = 0; size <= NM_MAX_SMALL_BYTES; size++) {
    if (size > nm_classes[class].bytes) class ++;
    assert_int_equal(nm_class_of(size), class);
  }
}

static void test_magic_divides_every_offset(void **state) {
  (void)state;
  for (unsigned class = 1; class < NM_CLASS_COUNT; class ++) {
    const size_t span = (size_t)nm_classes[class].pages * NM_PAGE_BYTES;
    for (size_t offset = 0; offset <= span; offset++)
      if (nm_class_index(class, offset) != offset / nm_classes[class].bytes)
        fail_msg("class %u, offset %zu", class, offset);
  }
}

static void test_large_objects_have_index_zero(void **state) {
  (void)state;
  assert_int_equal(nm_class_index(0, 123456789), 0);
  assert_int_equal(nm_classes[0].objects, 1);
  assert_int_equal(nm_classes[0].words, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_classes_equal_the_published_table),
      cmocka_unit_test(test_the_rule_is_what_was_generated),
      cmocka_unit_test(test_lookup_finds_the_smallest_class_that_fits),
      cmocka_unit_test(test_magic_divides_every_offset),
      cmocka_unit_test(test_large_objects_have_index_zero),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
