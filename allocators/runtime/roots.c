// SPDX-License-Identifier: MIT
#include "allocators/runtime/roots.h"
