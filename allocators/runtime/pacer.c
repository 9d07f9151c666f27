// SPDX-License-Identifier: MIT
#include "allocators/runtime/pacer.h"

#include "allocators/base/bits.h"

// Room above the live bytes that a cycle must have to be worth starting, whatever gogc says.
static const uint64_t SLACK_BYTES = 64 << 10;

static uint64_t add_saturating(uint64_t a, uint64_t b) {
  uint64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

// percent / 100 of bytes. Divides first where the product would not fit: exact enough at that size.
static uint64_t share_saturating(uint64_t bytes, uint64_t percent) {
  uint64_t product;
  if (!__builtin_mul_overflow(bytes, percent, &product)) return product / 100;
  return __builtin_mul_overflow(bytes / 100, percent, &product) ? UINT64_MAX : product;
}

uint64_t hs_pacer_goal_bytes(const heap_config *config, uint64_t marked_bytes,
                             uint64_t roots_bytes) {
  uint64_t goal = UINT64_MAX;
  if (config->gogc_percent >= 0) {
    const uint64_t percent = (uint64_t)config->gogc_percent;
    const uint64_t scanned = add_saturating(marked_bytes, roots_bytes);
    goal = add_saturating(marked_bytes, share_saturating(scanned, percent));
    goal = hs_max_u64(goal, share_saturating((uint64_t)config->min_heap_bytes, percent));
    goal = hs_max_u64(goal, add_saturating(marked_bytes, SLACK_BYTES));
  }
  if (config->limit_bytes > 0) goal = hs_min_u64(goal, (uint64_t)config->limit_bytes);
  return hs_max_u64(goal, marked_bytes);
}
