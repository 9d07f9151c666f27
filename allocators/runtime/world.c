// SPDX-License-Identifier: MIT
#include "allocators/runtime/world.h"
