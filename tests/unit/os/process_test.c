// SPDX-License-Identifier: MIT
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocators/os/os.h"

static void test_memory_is_plausible(void **state) {
  (void)state;
  hs_os_memory memory;
  errno = 12345;
  assert_int_equal(hs_os_memory_read(&memory), 0);
  assert_int_equal(errno, 12345);
  assert_true(memory.rss_bytes > 0);
  assert_true(memory.pss_bytes > 0 && memory.pss_bytes <= memory.rss_bytes);
  assert_true(memory.private_bytes > 0 && memory.private_bytes <= memory.rss_bytes);
  assert_true(memory.peak_rss_bytes > 0);
}

static void test_memory_follows_a_mapping(void **state) {
  (void)state;
  const size_t bytes = (size_t)64 << 20;
  hs_os_memory before, touched, freed, gone;
  void *start;
  assert_int_equal(hs_os_memory_read(&before), 0);
  assert_int_equal(hs_os_map(bytes, hs_os_page_bytes(), &start), 0);
  memset(start, 1, bytes);
  assert_int_equal(hs_os_memory_read(&touched), 0);
  assert_int_equal(hs_os_purge(start, bytes, HS_OS_PURGE_FREE), 0);
  assert_int_equal(hs_os_memory_read(&freed), 0);
  hs_os_unmap(start, bytes);
  assert_int_equal(hs_os_memory_read(&gone), 0);
  assert_true(touched.rss_bytes >= before.rss_bytes + bytes / 2);
  assert_true(touched.private_bytes >= before.private_bytes + bytes / 2);
  assert_true(touched.peak_rss_bytes >= touched.rss_bytes / 2);
  // Pages given back lazily are still resident, and are shown apart (or are gone already).
  assert_true(freed.lazyfree_bytes >= bytes / 2 ||
              freed.rss_bytes + bytes / 2 <= touched.rss_bytes);
  assert_true(gone.rss_bytes + bytes / 2 <= touched.rss_bytes);
  assert_true(gone.peak_rss_bytes >= before.rss_bytes + bytes / 2);
}

static void test_usage_counts(void **state) {
  (void)state;
  hs_os_usage before, after;
  assert_int_equal(hs_os_usage_read(&before), 0);
  void *start;
  const size_t bytes = (size_t)4 << 20;
  assert_int_equal(hs_os_map(bytes, hs_os_page_bytes(), &start), 0);
  hs_os_huge_pages(start, bytes, false);
  memset(start, 1, bytes);
  assert_int_equal(hs_os_usage_read(&after), 0);
  hs_os_unmap(start, bytes);
  assert_true(after.minor_faults_count > before.minor_faults_count);
  assert_true(after.user_ns >= before.user_ns);
}

typedef struct facts {
  int count;
  char kernel[256], compiler[256], libc[256];
  uint64_t cores, memory_bytes, page_bytes;
} facts;

static void keep_fact(void *context, const char *name, const char *value) {
  facts *const out = context;
  out->count++;
  assert_true(strlen(name) > 0);
  assert_true(strlen(value) > 0);
  assert_null(strpbrk(value, "\n\""));
  if (strcmp(name, "kernel") == 0) strncpy(out->kernel, value, sizeof out->kernel - 1);
  if (strcmp(name, "compiler") == 0) strncpy(out->compiler, value, sizeof out->compiler - 1);
  if (strcmp(name, "libc") == 0) strncpy(out->libc, value, sizeof out->libc - 1);
  if (strcmp(name, "cores") == 0) out->cores = strtoull(value, NULL, 10);
  if (strcmp(name, "memory_bytes") == 0) out->memory_bytes = strtoull(value, NULL, 10);
  if (strcmp(name, "page_bytes") == 0) out->page_bytes = strtoull(value, NULL, 10);
}

static void test_environment_names_the_machine(void **state) {
  (void)state;
  facts found = {0};
  hs_os_environment(keep_fact, &found);
  assert_true(strncmp(found.kernel, "Linux ", 6) == 0);
  assert_true(strlen(found.compiler) > 0);
  assert_true(strncmp(found.libc, "glibc 2.", 8) == 0);
  assert_int_equal(found.cores, hs_os_core_count());
  assert_int_equal(found.page_bytes, hs_os_page_bytes());
  assert_true(found.memory_bytes > (uint64_t)64 << 20);
  assert_true(found.count >= 6);
}

static void test_mapped_library_is_found(void **state) {
  (void)state;
  char path[4096];
  errno = 12345;
  assert_int_equal(hs_os_mapped_library("libcmocka", path, sizeof path), 0);
  assert_int_equal(path[0], '/');
  assert_non_null(strstr(path, "/libcmocka"));
  strcpy(path, "kept");
  assert_int_equal(hs_os_mapped_library("libno-such-thing", path, sizeof path), -ENOENT);
  assert_int_equal(hs_os_mapped_library("libcmocka", path, 5), -ENAMETOOLONG);
  assert_string_equal(path, "kept");
  assert_int_equal(errno, 12345);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_memory_is_plausible),
      cmocka_unit_test(test_memory_follows_a_mapping),
      cmocka_unit_test(test_usage_counts),
      cmocka_unit_test(test_environment_names_the_machine),
      cmocka_unit_test(test_mapped_library_is_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
