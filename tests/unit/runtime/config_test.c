// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "allocators/runtime/config.h"

static void test_numbers_parse(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t value;
  } good[] = {
      {"0", 0},
      {"-1", -1},
      {"42", 42},
      {"007", 7},
      {"1K", 1024},
      {"1k", 1024},
      {"3KiB", 3072},
      {"64M", 64 << 20},
      {"64MiB", 64 << 20},
      {"-2M", -(2 << 20)},
      {"5G", (int64_t)5 << 30},
      {"5GiB", (int64_t)5 << 30},
      {"9223372036854775807", INT64_MAX},
      {"-9223372036854775808", INT64_MIN},
      {"8589934591G", INT64_MAX - ((1 << 30) - 1)},
  };
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    int64_t value = 0;
    assert_true(hs_parse_i64(good[i].text, &value));
    assert_true(value == good[i].value);
  }
}

static void test_what_is_no_number_is_refused(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",
      "-",
      "K",
      "abc",
      "1x",
      "1 ",
      " 1",
      "1.5M",
      "1KB",
      "1KiBx",
      "1Ki",
      "--1",
      "+1",
      "0x10",
      "1MM",
      "9223372036854775808",
      "-9223372036854775809",
      "8589934592G",
      "99999999999999999999",
      "1kib",
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    int64_t value = 77;
    if (hs_parse_i64(bad[i], &value)) fail_msg("'%s' was accepted", bad[i]);
    assert_int_equal(value, 77);
  }
}

static void test_defaults_are_those_of_the_list(void **state) {
  (void)state;
  const heap_config config = hs_config_default();
#define CHECK(field, name, fallback, low, high, words, help)                                       \
  assert_true(config.field == (fallback) && (low) <= (fallback) && (fallback) <= (high));
  HEAP_CONFIG_LIST(CHECK)
#undef CHECK
}

// Sets an option of `config` and expects that to succeed.
static void set_option(heap_config *config, const char *name, const char *value) {
  char error[512] = "";
  if (hs_config_set(config, name, value, error, sizeof error) != HS_CONFIG_OK)
    fail_msg("%s=%s: %s", name, value, error);
}

// What differs from the default, as printed, must be `expected`.
static void expect_print(const heap_config *config, const char *expected) {
  char printed[512];
  assert_int_equal(hs_config_print(config, false, printed, sizeof printed), strlen(expected));
  assert_string_equal(printed, expected);
}

static void test_every_option_can_be_set_by_name(void **state) {
  (void)state;
  size_t count;
  const hs_config_option *const options = hs_config_options(&count);
  assert_int_equal(count, sizeof(heap_config) / sizeof(int64_t));
  for (size_t i = 0; i < count; i++) {
    heap_config config = hs_config_default();
    char text[32], printed[256];
    const int64_t value = options[i].fallback == options[i].high ? options[i].low : options[i].high;
    snprintf(text, sizeof text, "%lld", (long long)value);
    set_option(&config, options[i].name, text);
    assert_true(strlen(options[i].help) > 0);
    // What is printed is the option's name and a value that sets it again.
    hs_config_print(&config, false, printed, sizeof printed);
    const size_t name_length = strlen(options[i].name);
    assert_true(strncmp(printed, options[i].name, name_length) == 0);
    assert_int_equal(printed[name_length], '=');
    if (options[i].words[0] == '\0') assert_string_equal(printed + name_length + 1, text);
    heap_config again = hs_config_default();
    set_option(&again, options[i].name, printed + name_length + 1);
    assert_memory_equal(&again, &config, sizeof config);
  }
}

static void test_a_choice_is_one_of_its_words(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  assert_int_equal(config.gc, HEAP_GC_CONCURRENT);
  set_option(&config, "gc", "stw");
  assert_int_equal(config.gc, HEAP_GC_STW);
  expect_print(&config, "gc=stw");
  set_option(&config, "gc", "concurrent");
  assert_int_equal(config.gc, HEAP_GC_CONCURRENT);
  expect_print(&config, "");
  set_option(&config, "gc", "0"); // the number is as good
  expect_print(&config, "gc=stw");
}

static void test_a_set_is_some_of_its_words(void **state) {
  (void)state;
  static const struct {
    const char *text, *printed;
    int64_t value;
  } sets[] = {
      {"gc", "trace=gc", HEAP_TRACE_GC},
      {"scav", "trace=scav", HEAP_TRACE_SCAV},
      {"gc,scav", "trace=gc,scav", HEAP_TRACE_GC | HEAP_TRACE_SCAV},
      {"pacer,gc", "trace=gc,pacer", HEAP_TRACE_GC | HEAP_TRACE_PACER}, // in the list's order
      {"gc,scav,pacer", "trace=gc,scav,pacer", 7},
      {"gc,gc", "trace=gc", HEAP_TRACE_GC},
      {"6", "trace=scav,pacer", HEAP_TRACE_SCAV | HEAP_TRACE_PACER},
      {"none", "", 0},
      {"0", "", 0},
  };
  for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
    heap_config config = hs_config_default();
    config.trace = 5;
    set_option(&config, "trace", sets[i].text);
    assert_int_equal(config.trace, sets[i].value);
    expect_print(&config, sets[i].printed);
  }
  char all[1024];
  const heap_config config = hs_config_default();
  hs_config_print(&config, true, all, sizeof all);
  assert_non_null(strstr(all, " gc=concurrent "));
  assert_non_null(strstr(all, " trace=none "));
}

static void test_words_that_are_not_listed_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *name, *text, *allowed;
  } bad[] = {
      {"gc", "", "stw|concurrent"},
      {"gc", "st", "stw|concurrent"},
      {"gc", "stww", "stw|concurrent"},
      {"gc", "STW", "stw|concurrent"},
      {"gc", "stw|concurrent", "stw|concurrent"},
      {"gc", "stw,concurrent", "stw|concurrent"},
      {"gc", "none", "stw|concurrent"},
      {"gc", "2", "stw|concurrent"},
      {"gc", "-1", "stw|concurrent"},
      {"trace", "", "gc,scav,pacer,compact, some of them, or none"},
      {"trace", "gc,", "gc,scav,pacer,compact, some of them, or none"},
      {"trace", ",gc", "gc,scav,pacer,compact, some of them, or none"},
      {"trace", "gc,none", "gc,scav,pacer,compact, some of them, or none"},
      {"trace", "gc|scav", "gc,scav,pacer,compact, some of them, or none"},
      {"trace", "gc scav", "gc,scav,pacer,compact, some of them, or none"},
      {"trace", "16", "gc,scav,pacer,compact, some of them, or none"},
      {"stress", "none", "0 to 1"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    heap_config config = hs_config_default();
    const heap_config before = config;
    char error[512], quoted[64];
    if (hs_config_set(&config, bad[i].name, bad[i].text, error, sizeof error) !=
        HS_CONFIG_BAD_VALUE)
      fail_msg("%s=%s was accepted", bad[i].name, bad[i].text);
    assert_memory_equal(&config, &before, sizeof config);
    snprintf(quoted, sizeof quoted, "%s cannot be '%s'", bad[i].name, bad[i].text);
    assert_non_null(strstr(error, quoted));
    assert_non_null(strstr(error, bad[i].allowed));
  }
}

static void test_fields_are_where_their_names_say(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  char error[256];
  assert_int_equal(hs_config_set(&config, "gogc", "off", error, sizeof error), HS_CONFIG_OK);
  assert_int_equal(config.gogc_percent, -1);
  assert_int_equal(hs_config_set(&config, "limit", "64M", error, sizeof error), HS_CONFIG_OK);
  assert_int_equal(config.limit_bytes, 64 << 20);
  assert_int_equal(hs_config_set(&config, "compaction", "off", error, sizeof error), HS_CONFIG_OK);
  assert_int_equal(config.compaction, 0);
  assert_int_equal(config.renaming, 1);
}

static void test_errors_say_what_is_wrong_and_what_is_allowed(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  const heap_config before = config;
  char error[512];
  assert_int_equal(hs_config_set(&config, "gogg", "1", error, sizeof error), HS_CONFIG_UNKNOWN);
  assert_non_null(strstr(error, "'gogg'"));
  assert_non_null(strstr(error, " gogc"));
  assert_non_null(strstr(error, " renaming"));
  assert_int_equal(hs_config_set(&config, "gogc", "-2", error, sizeof error), HS_CONFIG_BAD_VALUE);
  assert_non_null(strstr(error, "'-2'"));
  assert_non_null(strstr(error, "-1 to 100000"));
  assert_non_null(strstr(error, "off"));
  assert_int_equal(hs_config_set(&config, "stress", "2", error, sizeof error), HS_CONFIG_BAD_VALUE);
  assert_non_null(strstr(error, "0 to 1"));
  assert_int_equal(hs_config_set(&config, "stress", "off", error, sizeof error),
                   HS_CONFIG_BAD_VALUE);
  assert_int_equal(hs_config_set(&config, "limit", "lots", error, sizeof error),
                   HS_CONFIG_BAD_VALUE);
  assert_non_null(strstr(error, "'lots'"));
  assert_non_null(strstr(error, "K, M, G"));
  assert_int_equal(hs_config_set(&config, "limit", "", error, sizeof error), HS_CONFIG_BAD_VALUE);
  assert_memory_equal(&config, &before, sizeof config);
}

static void test_texts_are_cut_to_their_buffers(void **state) {
  (void)state;
  heap_config config = hs_config_default();
  char all[512], cut[20], error[10];
  const size_t length = hs_config_print(&config, true, all, sizeof all);
  assert_int_equal(length, strlen(all));
  static const char start[] = "gogc=100 memory_limit=0 limit=0 ";
  assert_true(strncmp(all, start, sizeof start - 1) == 0);
  assert_int_equal(hs_config_print(&config, true, cut, sizeof cut), length);
  assert_int_equal(strlen(cut), sizeof cut - 1);
  assert_true(strncmp(cut, all, sizeof cut - 1) == 0);
  assert_int_equal(hs_config_print(&config, true, NULL, 0), length);
  assert_int_equal(hs_config_print(&config, false, all, sizeof all), 0);
  assert_string_equal(all, "");
  assert_int_equal(hs_config_set(&config, "nonsense", "1", error, sizeof error), HS_CONFIG_UNKNOWN);
  assert_string_equal(error, "unknown h");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_numbers_parse),
      cmocka_unit_test(test_what_is_no_number_is_refused),
      cmocka_unit_test(test_defaults_are_those_of_the_list),
      cmocka_unit_test(test_every_option_can_be_set_by_name),
      cmocka_unit_test(test_a_choice_is_one_of_its_words),
      cmocka_unit_test(test_a_set_is_some_of_its_words),
      cmocka_unit_test(test_words_that_are_not_listed_are_refused),
      cmocka_unit_test(test_fields_are_where_their_names_say),
      cmocka_unit_test(test_errors_say_what_is_wrong_and_what_is_allowed),
      cmocka_unit_test(test_texts_are_cut_to_their_buffers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
