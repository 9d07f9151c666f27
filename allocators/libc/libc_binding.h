// SPDX-License-Identifier: MIT
// libc malloc behind the contract: the smallest adapter, and the one to copy for a new allocator.
#ifndef LIBC_BINDING_H
#define LIBC_BINDING_H

#include <stdlib.h>

#define MALLOC_LIKE_PREFIX libc
#define MALLOC_LIKE_ZALLOC(bytes) calloc(1, (bytes))
#define MALLOC_LIKE_FREE(address) free((address))
#include "allocators/malloc_like.h"

#endif
