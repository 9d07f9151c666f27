// SPDX-License-Identifier: MIT
#include "allocators/runtime/grey.h"
