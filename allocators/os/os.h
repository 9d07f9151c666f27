// SPDX-License-Identifier: MIT
// Everything the suite asks of the operating system. The only folder that includes POSIX or Linux
// headers; a port is one more set of os_*_<platform>.c files.
//
// Errors: 0 for success or a negated errno (-ENOMEM); outputs are written only on success. errno is
// preserved by every call. All calls may be made from any thread unless said otherwise.
// Fault injection: every call marked [fault] asks hs_os_fault_check first, see the end of this
// file.
#ifndef HS_OS_OS_H
#define HS_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators/base/atomic.h"
#include "allocators/base/compiler.h"

// ---- memory: os_memory_linux.c ------------------------------------------------------------------

// Bytes of a page of the operating system (a power of two, 4 KiB on the machines we measure).
size_t hs_os_page_bytes(void);

// Reserve address space, inaccessible and uncharged. bytes > 0, multiple of the page; align a power
// of two >= the page. Release with hs_os_unmap(*out, bytes). [fault]
HS_NODISCARD int hs_os_reserve(size_t bytes, size_t align, void **out);

// Make a part of a reservation readable and writable; reads as zero until written, and costs memory
// only where touched. Idempotent. [fault]
HS_NODISCARD int hs_os_commit(void *start, size_t bytes);

// Reserve and commit in one call. [fault]
HS_NODISCARD int hs_os_map(size_t bytes, size_t align, void **out);

// Give pages back; the range stays accessible.
//   DONTNEED: physical pages are gone on return, the next read is zero.
//   FREE: pages go when the kernel wants them; until then they stay in RSS (shown as LazyFree) and
//         keep their contents, so the next read may be old data.
typedef enum hs_os_purge_mode { HS_OS_PURGE_DONTNEED, HS_OS_PURGE_FREE } hs_os_purge_mode;
HS_NODISCARD int hs_os_purge(void *start, size_t bytes, hs_os_purge_mode mode); // [fault]

// Give pages back and make the range inaccessible again (undo of hs_os_commit). [fault]
HS_NODISCARD int hs_os_decommit(void *start, size_t bytes);

// Make a committed range inaccessible without losing its contents, and back (stress mode). [fault]
HS_NODISCARD int hs_os_protect(void *start, size_t bytes, bool accessible);

// Pages of a committed range that are about to be written get their memory now, in one call, and not one by
// one when they are touched. Contents stay. Advice only: failures are ignored.
void hs_os_populate(void *start, size_t bytes);

// Ask for (on) or against (off) transparent huge pages. Advice only: failures are ignored.
void hs_os_huge_pages(void *start, size_t bytes, bool on);

// Undo hs_os_reserve / hs_os_map for the whole range. Aborts on an invalid range.
void hs_os_unmap(void *start, size_t bytes);

// ---- time and threads: os_sync_linux.c ----------------------------------------------------------

uint64_t hs_os_now_ns(void);         // CLOCK_MONOTONIC
uint64_t hs_os_thread_cpu_ns(void);  // CPU time of the calling thread
uint64_t hs_os_process_cpu_ns(void); // CPU time of the process, all threads

// Futex: sleep while *word == expected, at most timeout_ns (UINT64_MAX: no limit). Returns 0 when
// woken or the value differed, -ETIMEDOUT, or -EINTR; callers loop on their condition.
int hs_os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t timeout_ns);
void hs_os_futex_wake(_Atomic(uint32_t) *word, uint32_t count); // UINT32_MAX: all

// A 4-byte lock: 0 free, 1 held, 2 held with waiters. Zero-initialised is unlocked. Not recursive.
// pairs: unlock (release) with lock (acquire).
typedef struct hs_mutex {
  _Atomic(uint32_t) state;
} hs_mutex;
void hs_mutex_lock(hs_mutex *mutex);
void hs_mutex_unlock(hs_mutex *mutex);
bool hs_mutex_try(hs_mutex *mutex);
bool hs_mutex_is_held(hs_mutex *mutex); // by anybody; for assertions

typedef struct hs_os_thread {
  uintptr_t handle; // 0: not started
} hs_os_thread;
typedef void (*hs_os_thread_fn)(void *argument);
HS_NODISCARD int hs_os_thread_start(hs_os_thread *out, hs_os_thread_fn run,
                                    void *argument); // [fault]
void hs_os_thread_join(hs_os_thread *thread);        // no-op when not started; resets handle to 0
void hs_os_thread_name(const char *name);            // of the calling thread, at most 15 bytes
void hs_os_yield(void);
HS_NODISCARD int
hs_os_pin_to_core(int core); // calling thread; -EINVAL when the core does not exist
int hs_os_core_count(void);  // cores this process may run on

// Lowest and highest address of the calling thread's stack (highest exclusive).
HS_NODISCARD int hs_os_stack_bounds(void **low, void **high);

// ---- process: os_process_linux.c ----------------------------------------------------------------

// The kernel's view of this process, in bytes. From /proc/self/smaps_rollup and VmHWM of
// /proc/self/status; never from ru_maxrss, which carries the parent's mark across exec.
typedef struct hs_os_memory {
  uint64_t rss_bytes, pss_bytes, private_bytes, lazyfree_bytes, anon_huge_bytes, peak_rss_bytes;
} hs_os_memory;
HS_NODISCARD int hs_os_memory_read(hs_os_memory *out);

// RSS alone, from /proc/self/statm: cheap enough to sample every millisecond. 0 when unreadable.
uint64_t hs_os_rss_bytes(void);

typedef struct hs_os_usage {
  uint64_t user_ns, sys_ns, minor_faults_count, major_faults_count;
  uint64_t voluntary_switches_count, involuntary_switches_count;
} hs_os_usage;
HS_NODISCARD int hs_os_usage_read(hs_os_usage *out);

// One fact of the environment (kernel, cpu, cores, memory_bytes, thp, distribution, ...).
typedef void (*hs_os_fact_fn)(void *context, const char *name, const char *value);
void hs_os_environment(hs_os_fact_fn visit, void *context);

// Path of the file mapped into this process whose base name starts with prefix ("libmimalloc"), so
// that a record names the library actually mapped. -ENOENT when there is none.
HS_NODISCARD int hs_os_mapped_library(const char *prefix, char *path, size_t path_bytes);

// ---- fault injection: os_fault.c ----------------------------------------------------------------

// Make the n-th call (1-based) of a class fail with -ENOMEM, counted from arming; persistent makes
// every later call fail too. For tests; arming is not thread-safe, checking is. When nothing is
// armed a check costs one relaxed load.
typedef enum hs_os_fault_class {
  HS_OS_FAULT_RESERVE = 1u << 0,
  HS_OS_FAULT_COMMIT = 1u << 1,
  HS_OS_FAULT_PURGE = 1u << 2,
  HS_OS_FAULT_PROTECT = 1u << 3,
  HS_OS_FAULT_THREAD = 1u << 4,
  HS_OS_FAULT_ALL = 0x1f,
} hs_os_fault_class;
void hs_os_fault_arm(unsigned classes, uint64_t nth, bool persistent);
void hs_os_fault_disarm(void);
uint64_t hs_os_fault_calls(void);               // calls of the armed classes since arming
bool hs_os_fault_check(hs_os_fault_class call); // true: this call must fail

#endif
