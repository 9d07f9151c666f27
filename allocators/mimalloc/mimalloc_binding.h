// SPDX-License-Identifier: MIT
// mimalloc behind the contract, through its own names: mi_zalloc and mi_free.
#ifndef MIMALLOC_BINDING_H
#define MIMALLOC_BINDING_H

#include <mimalloc.h>

#define MALLOC_LIKE_PREFIX mimalloc
#define MALLOC_LIKE_ZALLOC(bytes) mi_zalloc((bytes))
#define MALLOC_LIKE_FREE(address) mi_free((address))
#include "allocators/malloc_like.h"

#endif
