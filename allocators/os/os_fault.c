// SPDX-License-Identifier: MIT
// Fault injection for the OS layer: a class mask, a call counter, and the number at which to fail.
#include "allocators/os/os.h"

static _Atomic(unsigned) armed_classes;    // [atomic] 0: nothing armed
static _Atomic(uint64_t) armed_calls;      // [atomic] calls of the armed classes since arming
static _Atomic(uint64_t) armed_nth;        // [atomic] published by armed_classes
static _Atomic(uint32_t) armed_persistent; // [atomic] published by armed_classes

void hs_os_fault_arm(unsigned classes, uint64_t nth, bool persistent) {
  hs_store_relaxed(&armed_calls, 0);
  hs_store_relaxed(&armed_nth, nth);
  hs_store_relaxed(&armed_persistent, persistent);
  hs_store_release(&armed_classes, classes); // pairs: hs_os_fault_check
}

void hs_os_fault_disarm(void) { hs_store_release(&armed_classes, 0u); }

uint64_t hs_os_fault_calls(void) { return hs_load_relaxed(&armed_calls); }

bool hs_os_fault_check(hs_os_fault_class call) {
  if (HS_LIKELY((hs_load_relaxed(&armed_classes) & (unsigned)call) == 0)) return false;
  if ((hs_load_acquire(&armed_classes) & (unsigned)call) == 0) return false;
  const uint64_t number = hs_add_relaxed(&armed_calls, 1) + 1;
  const uint64_t nth = hs_load_relaxed(&armed_nth);
  return hs_load_relaxed(&armed_persistent) ? number >= nth : number == nth;
}
