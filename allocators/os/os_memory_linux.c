// SPDX-License-Identifier: MIT
// Virtual memory on Linux. Reservations are PROT_NONE and MAP_NORESERVE: they cost address space
// only. Alignment above the page is had by reserving too much and trimming both ends.
#include "allocators/os/os.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allocators/base/assert.h"
#include "allocators/base/bits.h"

size_t hs_os_page_bytes(void) {
  static _Atomic(size_t) cached; // idempotent, so relaxed is enough
  size_t bytes = hs_load_relaxed(&cached);
  if (HS_UNLIKELY(bytes == 0)) {
    bytes = (size_t)sysconf(_SC_PAGESIZE);
    hs_store_relaxed(&cached, bytes);
  }
  return bytes;
}

static bool range_is_valid(const void *start, size_t bytes) {
  const size_t page = hs_os_page_bytes();
  return bytes > 0 && hs_is_aligned((size_t)(uintptr_t)start, page) && hs_is_aligned(bytes, page);
}

// The value of a failed system call as the interface returns it; restores the caller's errno.
static int error_of(int result, int saved_errno) {
  const int error = result == 0 ? 0 : -errno;
  errno = saved_errno;
  return error;
}

static void unmap_exactly(void *start, size_t bytes) {
  const int saved_errno = errno;
  HS_REQUIRE(munmap(start, bytes) == 0, "cannot unmap %zu bytes at %p: error %d", bytes, start,
             errno);
  errno = saved_errno;
}

static int reserve(size_t bytes, size_t align, void **out) {
  const size_t page = hs_os_page_bytes();
  HS_REQUIRE(bytes > 0 && hs_is_aligned(bytes, page), "reservation of %zu bytes is not in pages",
             bytes);
  HS_REQUIRE(hs_is_pow2(align) && align >= page, "reservation aligned to %zu bytes", align);
  size_t padded;
  if (!hs_add_fits(bytes, align - page, &padded)) return -ENOMEM;

  const int saved_errno = errno;
  char *const mapped =
      mmap(NULL, padded, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return error_of(-1, saved_errno);

  const size_t before = hs_align_up((size_t)(uintptr_t)mapped, align) - (size_t)(uintptr_t)mapped;
  const size_t after = padded - bytes - before;
  if (before > 0) unmap_exactly(mapped, before);
  if (after > 0) unmap_exactly(mapped + before + bytes, after);
  *out = mapped + before;
  return 0;
}

static int set_access(void *start, size_t bytes, bool accessible) {
  HS_REQUIRE(range_is_valid(start, bytes), "%zu bytes at %p are not whole pages", bytes, start);
  const int saved_errno = errno;
  const int result = mprotect(start, bytes, accessible ? PROT_READ | PROT_WRITE : PROT_NONE);
  return error_of(result, saved_errno);
}

int hs_os_reserve(size_t bytes, size_t align, void **out) {
  if (hs_os_fault_check(HS_OS_FAULT_RESERVE)) return -ENOMEM;
  return reserve(bytes, align, out);
}

int hs_os_commit(void *start, size_t bytes) {
  if (hs_os_fault_check(HS_OS_FAULT_COMMIT)) return -ENOMEM;
  return set_access(start, bytes, true);
}

int hs_os_map(size_t bytes, size_t align, void **out) {
  void *start;
  int error = hs_os_reserve(bytes, align, &start);
  if (error != 0) return error;
  error = hs_os_commit(start, bytes);
  if (error != 0) {
    unmap_exactly(start, bytes);
    return error;
  }
  *out = start;
  return 0;
}

int hs_os_purge(void *start, size_t bytes, hs_os_purge_mode mode) {
  if (hs_os_fault_check(HS_OS_FAULT_PURGE)) return -ENOMEM;
  HS_REQUIRE(range_is_valid(start, bytes), "%zu bytes at %p are not whole pages", bytes, start);
  const int saved_errno = errno;
  const int advice = mode == HS_OS_PURGE_FREE ? MADV_FREE : MADV_DONTNEED;
  return error_of(madvise(start, bytes, advice), saved_errno);
}

// Purge first: when the protection cannot change the range is still usable, and reads as zero.
int hs_os_decommit(void *start, size_t bytes) {
  const int error = hs_os_purge(start, bytes, HS_OS_PURGE_DONTNEED);
  return error != 0 ? error : set_access(start, bytes, false);
}

int hs_os_protect(void *start, size_t bytes, bool accessible) {
  if (hs_os_fault_check(HS_OS_FAULT_PROTECT)) return -ENOMEM;
  return set_access(start, bytes, accessible);
}

void hs_os_populate(void *start, size_t bytes) {
#ifdef MADV_POPULATE_WRITE
  const int saved_errno = errno;
  (void)madvise(start, bytes, MADV_POPULATE_WRITE); // since Linux 5.14
  errno = saved_errno;
#else
  (void)start, (void)bytes;
#endif
}

void hs_os_huge_pages(void *start, size_t bytes, bool on) {
  const int saved_errno = errno;
  (void)madvise(start, bytes, on ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  errno = saved_errno;
}

void hs_os_unmap(void *start, size_t bytes) {
  HS_REQUIRE(range_is_valid(start, bytes), "%zu bytes at %p are not whole pages", bytes, start);
  unmap_exactly(start, bytes);
}
