// SPDX-License-Identifier: MIT
#include "allocators/os/os.h"
