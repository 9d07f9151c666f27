// SPDX-License-Identifier: MIT
#include "allocators/runtime/histogram.h"
