// SPDX-License-Identifier: MIT
#include "allocators/runtime/config.h"
