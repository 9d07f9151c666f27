// SPDX-License-Identifier: MIT
#include "allocators/runtime/event_log.h"
