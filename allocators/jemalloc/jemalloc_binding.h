// SPDX-License-Identifier: MIT
// jemalloc behind the contract. The distribution's library has no prefix: linked into a program it
// is the program's calloc and free, which is also how programs use it.
#ifndef JEMALLOC_BINDING_H
#define JEMALLOC_BINDING_H

#include <stdlib.h>

#define MALLOC_LIKE_PREFIX jemalloc
#define MALLOC_LIKE_ZALLOC(bytes) calloc(1, (bytes))
#define MALLOC_LIKE_FREE(address) free((address))
#include "allocators/malloc_like.h"

#endif
