// SPDX-License-Identifier: MIT
// Seed of a random test: printed, so that a failure can be repeated with HS_TEST_SEED=<number>.
#ifndef HS_TESTS_UNIT_SEED_H
#define HS_TESTS_UNIT_SEED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline uint64_t test_seed(uint64_t fallback) {
  const char *const given = getenv("HS_TEST_SEED");
  const uint64_t seed = given ? strtoull(given, NULL, 0) : fallback;
  fprintf(stderr, "HS_TEST_SEED=%llu\n", (unsigned long long)seed);
  return seed;
}

#endif
