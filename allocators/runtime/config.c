// SPDX-License-Identifier: MIT
#include "allocators/runtime/config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// The public description and where the field lives, from one list.
static const hs_config_option options[] = {
#define OPTION(field, name, fallback, low, high, words, help)                                      \
  {name, words, help, fallback, low, high},
    HEAP_CONFIG_LIST(OPTION)
#undef OPTION
};

static const size_t offsets[] = {
#define OFFSET(field, name, fallback, low, high, words, help) offsetof(heap_config, field),
    HEAP_CONFIG_LIST(OFFSET)
#undef OFFSET
};

enum { OPTION_COUNT = sizeof options / sizeof options[0] };

static int64_t get(const heap_config *config, size_t option) {
  int64_t value;
  memcpy(&value, (const char *)config + offsets[option], sizeof value);
  return value;
}

static void set(heap_config *config, size_t option, int64_t value) {
  memcpy((char *)config + offsets[option], &value, sizeof value);
}

heap_config hs_config_default(void) {
  heap_config config;
  for (size_t i = 0; i < OPTION_COUNT; i++) set(&config, i, options[i].fallback);
  return config;
}

const hs_config_option *hs_config_options(size_t *count) {
  *count = OPTION_COUNT;
  return options;
}

// Appends to out[0..bytes) like snprintf: keeps counting when the text no longer fits.
HS_PRINTF(4, 5)
static void append(char *out, size_t bytes, size_t *length, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const size_t at = *length < bytes ? *length : bytes;
  const int added = vsnprintf(out ? out + at : NULL, bytes - at, format, arguments);
  va_end(arguments);
  if (added > 0) *length += (size_t)added;
}

// ---- parsing ------------------------------------------------------------------------------------

// Shift of a size suffix ("", K, KiB, M, ...), or -1. Upper and lower case of the letter are taken.
static int suffix_shift(const char *text) {
  if (*text == '\0') return 0;
  static const char letters[] = "KMG";
  const char letter = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
  const char *const found = strchr(letters, letter);
  if (!found) return -1;
  if (text[1] != '\0' && strcmp(text + 1, "iB") != 0) return -1;
  return 10 * (int)(found - letters + 1);
}

bool hs_parse_i64(const char *text, int64_t *out) {
  const bool negative = *text == '-';
  if (negative) text++;
  if (*text < '0' || *text > '9') return false;
  int64_t value = 0;
  for (; *text >= '0' && *text <= '9'; text++) {
    // Accumulated below zero, where the range is one larger.
    if (__builtin_mul_overflow(value, 10, &value)) return false;
    if (__builtin_sub_overflow(value, *text - '0', &value)) return false;
  }
  const int shift = suffix_shift(text);
  if (shift < 0 || __builtin_mul_overflow(value, (int64_t)1 << shift, &value)) return false;
  if (!negative && __builtin_sub_overflow((int64_t)0, value, &value)) return false;
  *out = value;
  return true;
}

static bool is_set(const hs_config_option *option) { return strchr(option->words, ',') != NULL; }

// Position of the word of `length` characters in the option's list, or -1.
static int word_position(const hs_config_option *option, const char *word, size_t length) {
  int position = 0;
  for (const char *at = option->words; *at != '\0'; position++) {
    const size_t here = strcspn(at, "|,");
    if (here == length && strncmp(at, word, length) == 0) return position;
    at += here + (at[here] != '\0');
  }
  return -1;
}

// A word of a choice, or words of a set with commas between.
static bool parse_words(const hs_config_option *option, const char *text, int64_t *out) {
  if (!is_set(option)) {
    const int position = word_position(option, text, strlen(text));
    *out = position;
    return position >= 0;
  }
  *out = 0;
  for (bool more = strcmp(text, "none") != 0; more;) {
    const size_t length = strcspn(text, ",");
    const int position = word_position(option, text, length);
    if (position < 0) return false;
    *out |= (int64_t)1 << position;
    more = text[length] == ',';
    text += length + more;
  }
  return true;
}

static bool parse_value(const hs_config_option *option, const char *text, int64_t *out) {
  if (strcmp(option->name, "gogc") == 0 && strcmp(text, "off") == 0) {
    *out = -1;
    return true;
  }
  if (option->words[0] != '\0' && parse_words(option, text, out)) return true;
  return hs_parse_i64(text, out) && *out >= option->low && *out <= option->high;
}

static void explain_unknown(const char *name, char *error, size_t bytes) {
  size_t length = 0;
  append(error, bytes, &length, "unknown heap option '%s'; there are:", name);
  for (size_t i = 0; i < OPTION_COUNT; i++) append(error, bytes, &length, " %s", options[i].name);
}

static void explain_value(const hs_config_option *option, const char *value, char *error,
                          size_t bytes) {
  size_t length = 0;
  append(error, bytes, &length, "heap option %s cannot be '%s'; allowed is ", option->name, value);
  if (option->words[0] != '\0')
    append(error, bytes, &length, "%s%s", option->words,
           is_set(option) ? ", some of them, or none" : "");
  else if (option->high == INT64_MAX)
    append(error, bytes, &length, "a number from %" PRId64 " up (suffixes K, M, G)", option->low);
  else
    append(error, bytes, &length, "%" PRId64 " to %" PRId64, option->low, option->high);
  if (strcmp(option->name, "gogc") == 0) append(error, bytes, &length, ", or off");
}

hs_config_result hs_config_set(heap_config *config, const char *name, const char *value,
                               char *error, size_t error_bytes) {
  for (size_t i = 0; i < OPTION_COUNT; i++) {
    if (strcmp(name, options[i].name) != 0) continue;
    int64_t parsed;
    if (!parse_value(&options[i], value, &parsed)) {
      explain_value(&options[i], value, error, error_bytes);
      return HS_CONFIG_BAD_VALUE;
    }
    set(config, i, parsed);
    return HS_CONFIG_OK;
  }
  explain_unknown(name, error, error_bytes);
  return HS_CONFIG_UNKNOWN;
}

static void print_value(const hs_config_option *option, int64_t value, char *out, size_t bytes,
                        size_t *length) {
  if (option->words[0] == '\0') {
    append(out, bytes, length, "%" PRId64, value);
    return;
  }
  const char *comma = "";
  int position = 0;
  for (const char *at = option->words; *at != '\0'; position++) {
    const size_t here = strcspn(at, "|,");
    if (is_set(option) ? value >> position & 1 : value == position) {
      append(out, bytes, length, "%s%.*s", comma, (int)here, at);
      comma = ",";
    }
    at += here + (at[here] != '\0');
  }
  if (*comma == '\0') append(out, bytes, length, "none");
}

size_t hs_config_print(const heap_config *config, bool all, char *out, size_t out_bytes) {
  size_t length = 0;
  if (out_bytes > 0) out[0] = '\0';
  for (size_t i = 0; i < OPTION_COUNT; i++) {
    const int64_t value = get(config, i);
    if (!all && value == options[i].fallback) continue;
    append(out, out_bytes, &length, "%s%s=", length > 0 ? " " : "", options[i].name);
    print_value(&options[i], value, out, out_bytes, &length);
  }
  return length;
}
