// SPDX-License-Identifier: MIT
// Compiler facts that C17 cannot spell: branch hints, inlining, attributes.
// The only file that names GNU attributes; everything else uses the HS_ spelling.
#ifndef HS_BASE_COMPILER_H
#define HS_BASE_COMPILER_H

#define HS_LIKELY(x) __builtin_expect(!!(x), 1)
#define HS_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define HS_ALWAYS_INLINE __attribute__((always_inline)) static inline
#define HS_NOINLINE __attribute__((noinline))
#define HS_COLD __attribute__((cold, noinline))
#define HS_NORETURN _Noreturn
#define HS_NODISCARD __attribute__((warn_unused_result))
#define HS_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))
#define HS_NO_RACE_CHECK __attribute__((no_sanitize("thread"))) // say why it may race
#define HS_UNUSED __attribute__((unused))
#define HS_PREFETCH(p) __builtin_prefetch((p))
#define HS_PREFETCH_WRITE(p) __builtin_prefetch((p), 1)
#define HS_UNREACHABLE() __builtin_unreachable()

// Tells the core that this is a spin loop.
#if defined(__x86_64__) || defined(__i386__)
#define HS_CPU_RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define HS_CPU_RELAX() __asm__ volatile("yield")
#else
#define HS_CPU_RELAX() ((void)0)
#endif

#define HS_CONCAT_(a, b) a##b
#define HS_CONCAT(a, b) HS_CONCAT_(a, b)
#define HS_STRING_(a) #a
#define HS_STRING(a) HS_STRING_(a)

// Bytes of a cache line on the machines we measure; used to keep hot words apart.
enum { HS_CACHE_LINE_BYTES = 64 };

#endif
