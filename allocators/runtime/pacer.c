// SPDX-License-Identifier: MIT
#include "allocators/runtime/pacer.h"
