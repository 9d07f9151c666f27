// SPDX-License-Identifier: MIT
// Time, futex, mutex and threads on Linux.
//
// The mutex has three states (Drepper, "Futexes Are Tricky", 2011, mutex 2): 0 free, 1 held, 2 held
// and somebody may sleep. Only an unlock from state 2 pays a system call.
#include "allocators/os/os.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "allocators/base/assert.h"

enum { NS_PER_S = 1000000000 };

_Static_assert(sizeof(pthread_t) <= sizeof(uintptr_t), "a thread handle holds a pthread_t");
_Static_assert(sizeof(_Atomic(uint32_t)) == 4, "the kernel compares 4 bytes");

// ---- time ---------------------------------------------------------------------------------------

static uint64_t clock_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now); // cannot fail for these clocks and a valid pointer
  return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t hs_os_now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
uint64_t hs_os_thread_cpu_ns(void) { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }
uint64_t hs_os_process_cpu_ns(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

// ---- futex --------------------------------------------------------------------------------------

int hs_os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t timeout_ns) {
  struct timespec limit = {.tv_sec = (time_t)(timeout_ns / NS_PER_S),
                           .tv_nsec = (long)(timeout_ns % NS_PER_S)};
  struct timespec *const until = timeout_ns == UINT64_MAX ? NULL : &limit;
  const int saved_errno = errno;
  int error = 0;
  if (syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, until, NULL, 0) != 0) error = -errno;
  errno = saved_errno;
  return error == -EAGAIN ? 0 : error;
}

void hs_os_futex_wake(_Atomic(uint32_t) *word, uint32_t count) {
  const int saved_errno = errno;
  const int limit = count > INT_MAX ? INT_MAX : (int)count;
  (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, limit, NULL, NULL, 0);
  errno = saved_errno;
}

// ---- mutex --------------------------------------------------------------------------------------

enum {
  MUTEX_FREE = 0,
  MUTEX_HELD = 1,
  MUTEX_CONTENDED = 2,
  // Our critical sections last well under a microsecond, but a sleep ends with a wake-up that takes
  // tens of microseconds, and on a virtual core that went idle now and then a millisecond or two. So
  // spin for about as long as a wake-up takes (some 20 us): it ends long before, or the holder is
  // preempted.
  MUTEX_SPINS = 1024,
};

bool hs_mutex_try(hs_mutex *mutex) {
  uint32_t expected = MUTEX_FREE;
  return hs_cas_acq_rel(&mutex->state, &expected, MUTEX_HELD); // pairs: hs_mutex_unlock
}

HS_COLD static void mutex_lock_slow(hs_mutex *mutex) {
  for (int i = 0; i < MUTEX_SPINS; i++) {
    const uint32_t state = hs_load_relaxed(&mutex->state);
    if (state == MUTEX_FREE && hs_mutex_try(mutex)) return;
    if (state == MUTEX_CONTENDED) break; // others sleep already: queue behind them
    HS_CPU_RELAX();
  }
  // Whoever comes through here takes the lock as contended: others may sleep, it cannot know.
  while (hs_exchange_acq_rel(&mutex->state, (uint32_t)MUTEX_CONTENDED) != MUTEX_FREE)
    (void)hs_os_futex_wait(&mutex->state, MUTEX_CONTENDED, UINT64_MAX);
}

void hs_mutex_lock(hs_mutex *mutex) {
  if (HS_UNLIKELY(!hs_mutex_try(mutex))) mutex_lock_slow(mutex);
}

void hs_mutex_unlock(hs_mutex *mutex) {
  const uint32_t state = hs_exchange_acq_rel(&mutex->state, (uint32_t)MUTEX_FREE);
  HS_REQUIRE(state != MUTEX_FREE, "a mutex that is not held was unlocked");
  if (state == MUTEX_CONTENDED) hs_os_futex_wake(&mutex->state, 1);
}

bool hs_mutex_is_held(hs_mutex *mutex) { return hs_load_relaxed(&mutex->state) != MUTEX_FREE; }

// ---- threads ------------------------------------------------------------------------------------

// Lives on the starter's stack; the new thread copies it and says so, after which it is gone.
typedef struct thread_start {
  hs_os_thread_fn run;
  void *argument;
  _Atomic(uint32_t) copied; // [atomic] futex
} thread_start;

static void *thread_main(void *context) {
  thread_start *const start = context;
  const hs_os_thread_fn run = start->run;
  void *const argument = start->argument;
  // The word may be gone as soon as it is set; waking an address that nobody waits on is harmless.
  _Atomic(uint32_t) *const copied = &start->copied;
  hs_store_release(copied, 1u); // pairs: hs_os_thread_start
  hs_os_futex_wake(copied, 1);
  run(argument);
  return NULL;
}

int hs_os_thread_start(hs_os_thread *out, hs_os_thread_fn run, void *argument) {
  if (hs_os_fault_check(HS_OS_FAULT_THREAD)) return -ENOMEM;
  const int saved_errno = errno;
  thread_start start = {.run = run, .argument = argument};
  pthread_t handle;
  const int error = pthread_create(&handle, NULL, thread_main, &start);
  errno = saved_errno;
  if (error != 0) return -error;
  while (hs_load_acquire(&start.copied) == 0) (void)hs_os_futex_wait(&start.copied, 0, UINT64_MAX);
  out->handle = (uintptr_t)handle;
  return 0;
}

void hs_os_thread_join(hs_os_thread *thread) {
  if (thread->handle == 0) return;
  const int saved_errno = errno;
  const int error = pthread_join((pthread_t)thread->handle, NULL);
  HS_REQUIRE(error == 0, "cannot join a thread: error %d", error);
  errno = saved_errno;
  thread->handle = 0;
}

void hs_os_thread_name(const char *name) {
  char clipped[16]; // the kernel's limit, terminator included
  const size_t length = strnlen(name, sizeof clipped - 1);
  memcpy(clipped, name, length);
  clipped[length] = '\0';
  const int saved_errno = errno;
  (void)pthread_setname_np(pthread_self(), clipped);
  errno = saved_errno;
}

void hs_os_yield(void) { (void)sched_yield(); } // never fails on Linux

int hs_os_pin_to_core(int core) {
  if (core < 0 || core >= CPU_SETSIZE) return -EINVAL;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((unsigned)core, &set);
  const int saved_errno = errno;
  const int error = sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : -errno;
  errno = saved_errno;
  return error;
}

int hs_os_core_count(void) {
  cpu_set_t set;
  const int saved_errno = errno;
  const int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  errno = saved_errno;
  return count;
}

int hs_os_stack_bounds(void **low, void **high) {
  const int saved_errno = errno;
  pthread_attr_t attributes;
  int error = pthread_getattr_np(pthread_self(), &attributes);
  if (error == 0) {
    void *start;
    size_t bytes;
    error = pthread_attr_getstack(&attributes, &start, &bytes);
    if (error == 0) {
      *low = start;
      *high = (char *)start + bytes;
    }
    pthread_attr_destroy(&attributes);
  }
  errno = saved_errno;
  return -error;
}
