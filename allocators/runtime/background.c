// SPDX-License-Identifier: MIT
#include "allocators/runtime/background.h"
