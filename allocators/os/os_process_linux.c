// SPDX-License-Identifier: MIT
// What the kernel says of this process and of the machine. Files of /proc and /sys are read with
// system calls into stack buffers: no stdio and no malloc, so that measuring does not disturb the
// allocator that is being measured.
#include "allocators/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "allocators/base/bits.h"

enum {
  FILE_BYTES = 8192,       // holds smaps_rollup (1 KiB), status (1.5 KiB) and the head of cpuinfo
  LINE_BYTES = 4096 + 256, // a path and the numbers before it, in /proc/self/maps
  FACT_BYTES = 256,
};

// ---- reading ------------------------------------------------------------------------------------

static int open_read(const char *path) {
  int descriptor;
  do descriptor = open(path, O_RDONLY | O_CLOEXEC);
  while (descriptor < 0 && errno == EINTR);
  return descriptor < 0 ? -errno : descriptor;
}

// Bytes read, 0 at the end, or -errno.
static ssize_t read_some(int descriptor, char *out, size_t bytes) {
  ssize_t count;
  do count = read(descriptor, out, bytes);
  while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

// Reads the head of a file, terminated. Returns its length or -errno; errno is preserved.
static ssize_t read_file(const char *path, char *out, size_t bytes) {
  const int saved_errno = errno;
  const int descriptor = open_read(path);
  ssize_t result = descriptor;
  if (descriptor >= 0) {
    size_t length = 0;
    do {
      result = read_some(descriptor, out + length, bytes - 1 - length);
      if (result > 0) length += (size_t)result;
    } while (result > 0 && length < bytes - 1);
    close(descriptor);
    if (result >= 0) {
      out[length] = '\0';
      result = (ssize_t)length;
    }
  }
  errno = saved_errno;
  return result;
}

// The text after `key` at the start of a line, or NULL.
static const char *find_key(const char *text, const char *key) {
  const size_t length = strlen(key);
  for (const char *line = text; line; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (strncmp(line, key, length) == 0) return line + length;
  }
  return NULL;
}

static const char *parse_u64(const char *text, uint64_t *out) {
  while (*text == ' ' || *text == '\t') text++;
  uint64_t value = 0;
  for (; *text >= '0' && *text <= '9'; text++) value = value * 10 + (uint64_t)(*text - '0');
  *out = value;
  return text;
}

// A line "Key:   123 kB" in bytes; 0 when the kernel does not print the key.
static uint64_t find_kb(const char *text, const char *key) {
  uint64_t value = 0;
  const char *found = find_key(text, key);
  if (found) parse_u64(found, &value);
  return value * 1024;
}

// ---- memory and usage ---------------------------------------------------------------------------

int hs_os_memory_read(hs_os_memory *out) {
  char text[FILE_BYTES];
  hs_os_memory memory;
  ssize_t length = read_file("/proc/self/smaps_rollup", text, sizeof text);
  if (length < 0) return (int)length;
  memory.rss_bytes = find_kb(text, "Rss:");
  memory.pss_bytes = find_kb(text, "Pss:");
  memory.private_bytes = find_kb(text, "Private_Clean:") + find_kb(text, "Private_Dirty:");
  memory.lazyfree_bytes = find_kb(text, "LazyFree:");
  memory.anon_huge_bytes = find_kb(text, "AnonHugePages:");
  length = read_file("/proc/self/status", text, sizeof text);
  if (length < 0) return (int)length;
  memory.peak_rss_bytes = find_kb(text, "VmHWM:");
  *out = memory;
  return 0;
}

uint64_t hs_os_rss_bytes(void) {
  char text[128]; // seven numbers
  if (read_file("/proc/self/statm", text, sizeof text) <= 0) return 0;
  uint64_t pages;
  const char *rest = parse_u64(text, &pages); // total size first, resident second
  parse_u64(rest, &pages);
  return pages * hs_os_page_bytes();
}

static uint64_t timeval_ns(struct timeval time) {
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

int hs_os_usage_read(hs_os_usage *out) {
  struct rusage usage;
  const int saved_errno = errno;
  if (getrusage(RUSAGE_SELF, &usage) != 0) {
    const int error = -errno;
    errno = saved_errno;
    return error;
  }
  *out = (hs_os_usage){
      .user_ns = timeval_ns(usage.ru_utime),
      .sys_ns = timeval_ns(usage.ru_stime),
      .minor_faults_count = (uint64_t)usage.ru_minflt,
      .major_faults_count = (uint64_t)usage.ru_majflt,
      .voluntary_switches_count = (uint64_t)usage.ru_nvcsw,
      .involuntary_switches_count = (uint64_t)usage.ru_nivcsw,
  };
  return 0;
}

// ---- environment --------------------------------------------------------------------------------

typedef struct fact_sink {
  hs_os_fact_fn visit;
  void *context;
} fact_sink;

// Reports text up to the end of its line, without surrounding blanks and quotes; nothing if empty.
static void report_line(const fact_sink *sink, const char *name, const char *text) {
  if (!text) return;
  text += strspn(text, " \t\":");
  size_t length = strcspn(text, "\n");
  while (length > 0 && strchr(" \t\"", text[length - 1])) length--;
  if (length == 0) return;
  char value[FACT_BYTES];
  length = hs_min_size(length, sizeof value - 1);
  memcpy(value, text, length);
  value[length] = '\0';
  sink->visit(sink->context, name, value);
}

static void report_number(const fact_sink *sink, const char *name, uint64_t number) {
  char value[32];
  snprintf(value, sizeof value, "%llu", (unsigned long long)number);
  sink->visit(sink->context, name, value);
}

static void report_file(const fact_sink *sink, const char *name, const char *path) {
  char text[FACT_BYTES];
  if (read_file(path, text, sizeof text) > 0) report_line(sink, name, text);
}

static void report_key(const fact_sink *sink, const char *name, const char *path, const char *key) {
  char text[FILE_BYTES];
  if (read_file(path, text, sizeof text) > 0) report_line(sink, name, find_key(text, key));
}

// The kernel writes "always [madvise] never": the choice in force is bracketed.
static void report_thp(const fact_sink *sink) {
  char text[FACT_BYTES];
  if (read_file("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text) <= 0) return;
  char *const open = strchr(text, '[');
  char *const close = open ? strchr(open, ']') : NULL;
  if (!close) return;
  *close = '\0';
  report_line(sink, "thp", open + 1);
}

static void report_kernel(const fact_sink *sink) {
  struct utsname names;
  if (uname(&names) != 0) return;
  char value[FACT_BYTES];
  snprintf(value, sizeof value, "%s %s %s", names.sysname, names.release, names.machine);
  sink->visit(sink->context, "kernel", value);
}

void hs_os_environment(hs_os_fact_fn visit, void *context) {
  const int saved_errno = errno;
  const fact_sink sink = {visit, context};
  report_kernel(&sink);
  report_key(&sink, "distribution", "/etc/os-release", "PRETTY_NAME=");
  report_key(&sink, "cpu", "/proc/cpuinfo", "model name");
  report_number(&sink, "cores", (uint64_t)hs_os_core_count());
  const long pages = sysconf(_SC_PHYS_PAGES);
  if (pages > 0) report_number(&sink, "memory_bytes", (uint64_t)pages * hs_os_page_bytes());
  report_file(&sink, "memory_limit", "/sys/fs/cgroup/memory.max");
  report_number(&sink, "page_bytes", hs_os_page_bytes());
  report_thp(&sink);
  report_file(&sink, "overcommit", "/proc/sys/vm/overcommit_memory");
  report_file(&sink, "clocksource",
              "/sys/devices/system/clocksource/clocksource0/current_clocksource");
  report_file(&sink, "governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  char libc[FACT_BYTES];
  snprintf(libc, sizeof libc, "glibc %s", gnu_get_libc_version());
  visit(context, "libc", libc);
#if defined(__clang__)
  visit(context, "compiler", __VERSION__); // says "Clang" itself
#else
  visit(context, "compiler", "gcc " __VERSION__);
#endif
  errno = saved_errno;
}

// ---- mapped libraries ---------------------------------------------------------------------------

// The path of a line of /proc/self/maps when its base name starts with prefix, or NULL.
static const char *matching_path(const char *line, const char *prefix) {
  const char *const path = strchr(line, '/');
  if (!path) return NULL;
  const char *const base = strrchr(path, '/') + 1;
  return strncmp(base, prefix, strlen(prefix)) == 0 ? path : NULL;
}

static int search_maps(int descriptor, const char *prefix, char *path, size_t path_bytes) {
  char text[LINE_BYTES];
  size_t length = 0;
  for (;;) {
    const ssize_t count = read_some(descriptor, text + length, sizeof text - 1 - length);
    if (count <= 0) return count < 0 ? (int)count : -ENOENT;
    length += (size_t)count;
    text[length] = '\0';
    char *line = text;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
      *end = '\0';
      const char *const found = matching_path(line, prefix);
      if (!found) continue;
      if (strlen(found) >= path_bytes) return -ENAMETOOLONG;
      memcpy(path, found, strlen(found) + 1);
      return 0;
    }
    length -= (size_t)(line - text);           // keep the piece of a line for the next round
    if (length == sizeof text - 1) length = 0; // longer than any path: not a line we look for
    memmove(text, line, length);
  }
}

int hs_os_mapped_library(const char *prefix, char *path, size_t path_bytes) {
  const int saved_errno = errno;
  const int descriptor = open_read("/proc/self/maps");
  int result = descriptor;
  if (descriptor >= 0) {
    result = search_maps(descriptor, prefix, path, path_bytes);
    close(descriptor);
  }
  errno = saved_errno;
  return result;
}
