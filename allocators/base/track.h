// SPDX-License-Identifier: MIT
// Tells memory checkers what is free. Under AddressSanitizer free heap memory is poisoned, so a
// stale access is reported where it happens; elsewhere these cost nothing.
#ifndef HS_BASE_TRACK_H
#define HS_BASE_TRACK_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define HS_TRACK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HS_TRACK_ASAN 1
#endif
#endif
#ifndef HS_TRACK_ASAN
#define HS_TRACK_ASAN 0
#endif

#if HS_TRACK_ASAN
void __asan_poison_memory_region(void const volatile *address, size_t bytes);
void __asan_unpoison_memory_region(void const volatile *address, size_t bytes);
static inline void hs_track_free(void *p, size_t bytes) { __asan_poison_memory_region(p, bytes); }
static inline void hs_track_live(void *p, size_t bytes) { __asan_unpoison_memory_region(p, bytes); }
#else
static inline void hs_track_free(void *p, size_t bytes) { (void)p, (void)bytes; }
static inline void hs_track_live(void *p, size_t bytes) { (void)p, (void)bytes; }
#endif

// Byte written over dead memory in stress mode, so that a stale read shows at once.
enum { HS_TRACK_DEAD_BYTE = 0xdb };

#endif
