// SPDX-License-Identifier: MIT
#include "allocators/runtime/stats.h"
