// SPDX-License-Identifier: MIT
#include "allocators/runtime/meta.h"
