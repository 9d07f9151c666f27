// SPDX-License-Identifier: MIT
// heap_config by name: defaults, parsing with clear errors, and printing for the record.
#ifndef HS_RUNTIME_CONFIG_H
#define HS_RUNTIME_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "allocators/heap_types.h"

heap_config hs_config_default(void);

typedef enum hs_config_result {
  HS_CONFIG_OK,
  HS_CONFIG_UNKNOWN,
  HS_CONFIG_BAD_VALUE
} hs_config_result;

// Set one option from text. Sizes accept K, M, G suffixes (powers of 1024); gogc accepts "off", a choice
// one of its words, a set some of them with commas between ("gc,scav") or "none"; both also the number.
// On error *config is unchanged and `error` says what is wrong and what is allowed.
hs_config_result hs_config_set(heap_config *config, const char *name, const char *value,
                               char *error, size_t error_bytes);

typedef struct hs_config_option {
  const char *name, *words, *help; // words: see HEAP_CONFIG_LIST
  int64_t fallback, low, high;
} hs_config_option;
const hs_config_option *hs_config_options(size_t *count);

// "gogc=100 limit=0 ..." of the options that differ from the default (or all). Returns the length.
size_t hs_config_print(const heap_config *config, bool all, char *out, size_t out_bytes);

// A size or number with an optional K/M/G (or KiB/MiB/GiB) suffix. False: not a number, or too big.
bool hs_parse_i64(const char *text, int64_t *out);

#endif
