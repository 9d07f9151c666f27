// SPDX-License-Identifier: MIT
// The operations of nonmoving_inline.h as functions: the outline build and debuggers call these.
#define HEAP_OUTLINE 1 // declares the operations extern; the bodies below then define them
#include "nonmoving/nonmoving.h"

#include "nonmoving/nonmoving_inline.h"
