// SPDX-License-Identifier: MIT
// Assertions in three strengths.
//   HS_REQUIRE      always on: API misuse and heap corruption; aborts with one clear line.
//   HS_ASSERT       HS_CHECK_LEVEL >= 1: O(1) conditions.
//   HS_ASSERT_SLOW  HS_CHECK_LEVEL >= 2: any cost (whole-structure checks).
// A disabled assertion is still compiled but never evaluated; none has side effects.
#ifndef HS_BASE_ASSERT_H
#define HS_BASE_ASSERT_H

#include "allocators/base/compiler.h"

#ifndef HS_CHECK_LEVEL
#define HS_CHECK_LEVEL 0
#endif

// Prints "heapduel: FILE:LINE: MESSAGE" on standard error and aborts. Any thread; allocates
// nothing.
HS_NORETURN HS_COLD void hs_panic(const char *file, int line, const char *format, ...)
    HS_PRINTF(3, 4);

#define HS_PANIC(...) hs_panic(__FILE__, __LINE__, __VA_ARGS__)
#define HS_REQUIRE(condition, ...)                                                                 \
  do {                                                                                             \
    if (HS_UNLIKELY(!(condition))) hs_panic(__FILE__, __LINE__, __VA_ARGS__);                      \
  } while (0)

#define HS_CHECK_IF_(enabled, condition)                                                           \
  do {                                                                                             \
    if ((enabled) && HS_UNLIKELY(!(condition)))                                                    \
      hs_panic(__FILE__, __LINE__, "assertion failed: %s", #condition);                            \
  } while (0)

#define HS_ASSERT(condition) HS_CHECK_IF_(HS_CHECK_LEVEL >= 1, condition)
#define HS_ASSERT_SLOW(condition) HS_CHECK_IF_(HS_CHECK_LEVEL >= 2, condition)

#endif
