// SPDX-License-Identifier: MIT
// tcmalloc (gperftools) behind the contract, through its own names: tc_calloc and tc_free.
#ifndef TCMALLOC_BINDING_H
#define TCMALLOC_BINDING_H

#include <gperftools/tcmalloc.h>

#define MALLOC_LIKE_PREFIX tcmalloc
#define MALLOC_LIKE_ZALLOC(bytes) tc_calloc(1, (bytes))
#define MALLOC_LIKE_FREE(address) tc_free((address))
#include "allocators/malloc_like.h"

#endif
