// SPDX-License-Identifier: MIT
// One background thread with a wake-up: the scavenger of either heap runs on one.
#ifndef HS_RUNTIME_BACKGROUND_H
#define HS_RUNTIME_BACKGROUND_H

#include "allocators/os/os.h"

// Does a slice of work; returns the time to sleep before the next slice in ns, or
// HS_BACKGROUND_IDLE to sleep until woken. Runs unregistered with the heap's world.
typedef uint64_t (*hs_background_fn)(void *context);
#define HS_BACKGROUND_IDLE UINT64_MAX

typedef struct hs_background {
  hs_os_thread thread;
  hs_background_fn work;      // [const]
  void *context;              // [const]
  const char *name;           // [const]
  _Atomic(uint32_t) wake;     // [atomic] futex; bumped to wake
  _Atomic(uint32_t) stopping; // [atomic]
} hs_background;

HS_NODISCARD int hs_background_start(hs_background *background, const char *name,
                                     hs_background_fn work, void *context);
void hs_background_wake(hs_background *background);
void hs_background_stop(hs_background *background); // waits for it; no-op when not started

#endif
