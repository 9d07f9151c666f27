// SPDX-License-Identifier: MIT
#include "allocators/base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void hs_panic(const char *file, int line, const char *format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  fprintf(stderr, "heapduel: %s:%d: %s\n", file, line, message);
  fflush(stderr);
  abort();
}
