// SPDX-License-Identifier: MIT
// heapduel doctor: is this machine fit to measure on, and is everything there?
#include <argp.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocators/os/os.h"
#include "harness/catalogue.h"
#include "harness/child.h"
#include "harness/cli.h"
#include "harness/cli_options.h"
#include "harness/wrap.h"

typedef enum doctor_verdict { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_BAD } doctor_verdict;

enum {
  DOCTOR_NAME = 14,  // width of the column of names
  DOCTOR_INDENT = 21 // verdict and name in front of the text
};

typedef struct doctor_state {
  unsigned bad_count, note_count;
} doctor_state;

// One line: verdict, what was looked at, what was found and, when not ok, what to do.
static void HS_PRINTF(4, 5) doctor_say(doctor_state *state, doctor_verdict verdict,
                                       const char *what, const char *format, ...) {
  static const char *const words[] = {"ok  ", "note", "BAD "};
  va_list args;
  va_start(args, format);
  char *text;
  if (vasprintf(&text, format, args) < 0) text = NULL;
  va_end(args);
  printf("%s  %-*s ", words[verdict], DOCTOR_NAME, what);
  wrap_print(stdout, DOCTOR_INDENT, DOCTOR_INDENT, text ? text : "");
  free(text);
  state->bad_count += verdict == DOCTOR_BAD;
  state->note_count += verdict == DOCTOR_NOTE;
}

// First line of a small file; false when it cannot be read.
static bool doctor_read(const char *path, char *out, size_t out_bytes) {
  FILE *file = fopen(path, "r");
  if (!file) return false;
  const bool good = fgets(out, (int)out_bytes, file) != NULL;
  fclose(file);
  if (good) out[strcspn(out, "\n")] = 0;
  return good;
}

// ---- the machine --------------------------------------------------------------------------------

static void doctor_cores(doctor_state *state) {
  const int cores = hs_os_core_count();
  if (cores >= 2)
    doctor_say(state, DOCTOR_OK, "cores", "%d", cores);
  else
    doctor_say(state, DOCTOR_BAD, "cores",
               "%d: collectors with threads of their own compete with the program; use 2 or more",
               cores);
}

static void doctor_load(doctor_state *state) {
  double load[1];
  if (getloadavg(load, 1) != 1) {
    doctor_say(state, DOCTOR_NOTE, "load", "unknown");
    return;
  }
  // A quarter of a core busy with something else is visible in every timing.
  const bool calm = load[0] < 0.25 * hs_os_core_count();
  if (calm)
    doctor_say(state, DOCTOR_OK, "load", "%.2f", load[0]);
  else
    doctor_say(state, DOCTOR_BAD, "load", "%.2f on %d cores: stop other programs, or wait", load[0],
               hs_os_core_count());
}

static void doctor_memory(doctor_state *state) {
  char line[128];
  FILE *file = fopen("/proc/meminfo", "r");
  unsigned long long kib = 0;
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) break;
  if (file) fclose(file);
  // The largest default run takes about 250 MiB; 1 GiB leaves room for the page cache.
  if (kib >= 1 << 20)
    doctor_say(state, DOCTOR_OK, "memory", "%llu MiB available", kib >> 10);
  else
    doctor_say(state, DOCTOR_BAD, "memory", "%llu MiB available: 1024 MiB are needed", kib >> 10);
}

static void doctor_huge_pages(doctor_state *state) {
  char line[128];
  if (!doctor_read("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line))
    doctor_say(state, DOCTOR_OK, "huge pages", "none in this kernel");
  else if (strstr(line, "[always]"))
    doctor_say(state, DOCTOR_NOTE, "huge pages",
               "%s: RSS grows in steps of 2 MiB; 'madvise' compares with published numbers", line);
  else
    doctor_say(state, DOCTOR_OK, "huge pages", "%s", line);
}

static void doctor_frequency(doctor_state *state) {
  char line[64];
  if (!doctor_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", line, sizeof line))
    doctor_say(state, DOCTOR_NOTE, "governor", "not visible (usual in a virtual machine)");
  else if (strcmp(line, "performance") == 0)
    doctor_say(state, DOCTOR_OK, "governor", "%s", line);
  else
    doctor_say(state, DOCTOR_NOTE, "governor", "%s: 'performance' gives steadier times", line);
}

// Smallest step of the clock that is ever seen, and the cost of reading it.
static void doctor_clock(doctor_state *state) {
  enum { READS = 200000 };
  const uint64_t begin_ns = hs_os_now_ns();
  uint64_t step_ns = UINT64_MAX, last_ns = begin_ns;
  for (int i = 0; i < READS; i++) {
    const uint64_t now_ns = hs_os_now_ns();
    if (now_ns > last_ns && now_ns - last_ns < step_ns) step_ns = now_ns - last_ns;
    last_ns = now_ns;
  }
  const double cost_ns = (double)(last_ns - begin_ns) / READS;
  const bool good =
      step_ns <= 1000 && cost_ns <= 200; // operations to be timed take 100 ns and more
  doctor_say(state, good ? DOCTOR_OK : DOCTOR_BAD, "clock",
             "steps of %llu ns, %.0f ns per reading%s", (unsigned long long)step_ns, cost_ns,
             good ? "" : ": too coarse for latencies; use a machine with a tsc clock source");
}

static void doctor_counters(doctor_state *state) {
  struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
                                       .size = sizeof attributes,
                                       .config = PERF_COUNT_HW_INSTRUCTIONS,
                                       .exclude_kernel = 1};
  const long fd = syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0L);
  if (fd >= 0) close((int)fd);
  doctor_say(state, fd >= 0 ? DOCTOR_OK : DOCTOR_NOTE, "counters", "%s",
             fd >= 0 ? "hardware counters are available"
                     : "no hardware counters (not needed; usual in a virtual machine)");
}

// ---- programs -----------------------------------------------------------------------------------

static void doctor_tool(doctor_state *state, const char *program, const char *option,
                        const char *missing) {
  if (!cli_can_execute(program)) {
    doctor_say(state, DOCTOR_NOTE, program, "missing: %s", missing);
    return;
  }
  char *const argv[] = {(char *)program, (char *)option, NULL};
  const child_request request = {.argv = argv, .timeout_ms = 10000}; // prints one line
  child_result result;
  child_run(&request, &result);
  doctor_say(state, DOCTOR_OK, program, "%.*s", (int)strcspn(result.output, "\n"), result.output);
  child_result_free(&result);
}

static void doctor_heaps(doctor_state *state) {
  static const char *const required[] = {"nonmoving", "compact", "bdwgc", "mimalloc", "libc"};
  run_catalogue catalogue;
  if (!catalogue_load(&catalogue, cli_program_folder())) {
    state->bad_count++;
    return;
  }
  for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
    if (!catalogue_heap_find(&catalogue, required[i]))
      doctor_say(state, DOCTOR_BAD, required[i], "no runner: build the whole project");
  bool has_jvm = false;
  for (size_t i = 0; i < catalogue.count; i++) {
    const catalogue_heap *heap = &catalogue.heaps[i];
    has_jvm |= catalogue_is_jvm(heap);
    const char *version = json_string_value(json_object_get(heap->about, "heap_version"));
    if (heap->about)
      doctor_say(state, DOCTOR_OK, heap->name, "%s", version ? version : "no version");
    else
      doctor_say(state, DOCTOR_BAD, heap->name, "%s does not answer: build it again",
                 heap->program);
  }
  if (!catalogue_heap_find(&catalogue, "go"))
    doctor_say(state, DOCTOR_NOTE, "go", "no runner: apt-get install golang-go, build again");
  if (!has_jvm)
    doctor_say(state, DOCTOR_NOTE, "jvm",
               "no runner: apt-get install default-jdk-headless (17 or newer), build again");
  catalogue_free(&catalogue);
}

static error_t doctor_parse(int key, char *value, struct argp_state *state) {
  switch (key) {
  case 's':
    *(bool *)state->input = true;
    return 0;
  case ARGP_KEY_ARG:
    cli_error("doctor takes no argument; '%s' is too much", value);
    exit(EXIT_USAGE);
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

int command_doctor(int argc, char **argv) {
  static const struct argp_option options[] = {
      {"strict", 's', NULL, 0, "exit with 5 when anything is bad", 0}, {0}};
  static const struct argp argp = {
      .options = options,
      .parser = doctor_parse,
      .doc = "Check whether this machine is fit to measure on and everything needed is there.\v"
             "Exit codes: 0, or with --strict 5 when a line says BAD."};
  bool strict = false;
  cli_parse(&argp, argc, argv, &strict);
  doctor_state state = {0};
  doctor_cores(&state);
  doctor_load(&state);
  doctor_memory(&state);
  doctor_huge_pages(&state);
  doctor_frequency(&state);
  doctor_clock(&state);
  doctor_counters(&state);
  doctor_tool(&state, "gnuplot", "--version", "no figures in reports; apt-get install gnuplot-nox");
  doctor_tool(&state, "hyperfine", "--version",
              "no whole-process times; apt-get install hyperfine");
  doctor_heaps(&state);
  printf("%u bad, %u note%s\n", state.bad_count, state.note_count,
         state.note_count == 1 ? "" : "s");
  return strict && state.bad_count > 0 ? EXIT_UNSUITABLE : EXIT_GOOD;
}
