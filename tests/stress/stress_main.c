// SPDX-License-Identifier: MIT
// stress_<heap> [--seed N] [--steps N] [--threads N] [--limit BYTES] [--stress] [--stw]
//               [--compaction N] [--placement WORD] [--break-at STEP]
// Random programs against a model heap. The seed is printed; --seed or HS_SEED gives it back (one
// thread then does exactly the same again). Exit status 77: the heap cannot do what was asked.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/runtime/config.h"
#include "tests/stress/program.h"

enum { MAX_THREADS = 16, DEFAULT_STEPS = 100000, EXIT_SKIPPED = 77 };

static void thread_main(void *argument) { program_run(argument); }

static int64_t option(int argc, char **argv, const char *name, int64_t fallback) {
  for (int i = 1; i + 1 < argc; i++) {
    int64_t value;
    if (strcmp(argv[i], name) != 0) continue;
    if (hs_parse_i64(argv[i + 1], &value) && value >= 0) return value;
    fprintf(stderr, "stress: %s needs a number, not '%s'\n", name, argv[i + 1]);
    exit(2);
  }
  return fallback;
}

static void set_placement(heap_config *config, const char *word) {
  char error[256];
  if (hs_config_set(config, "placement", word, error, sizeof error) == HS_CONFIG_OK) return;
  fprintf(stderr, "stress: %s\n", error);
  exit(2);
}

static uint64_t seed_choose(int argc, char **argv) {
  const char *text = getenv("HS_SEED");
  int64_t seed = (int64_t)(hs_mix64(hs_os_now_ns()) >> 1);
  if (text && *text && !hs_parse_i64(text, &seed)) {
    fprintf(stderr, "stress: HS_SEED is not a number: '%s'\n", text);
    exit(2);
  }
  return (uint64_t)option(argc, argv, "--seed", seed);
}

// The programs of all threads, on one heap.
static void run_all(program *programs, uint32_t count, heap *h, heap_thread *t) {
  hs_os_thread threads[MAX_THREADS] = {{0}};
  static stress_shared shared;
  heap_root root;
  heap_root_add(t, &root, shared.slots, SHARED_SLOTS);
  for (uint32_t i = 0; i < count; i++) {
    programs[i].heap = h;
    programs[i].shared = &shared;
    if (hs_os_thread_start(&threads[i], thread_main, &programs[i]) != 0) abort();
  }
  heap_blocking_begin(t);
  for (uint32_t i = 0; i < count; i++) hs_os_thread_join(&threads[i]);
  heap_blocking_end(t);
  for (uint32_t i = 0; i < SHARED_SLOTS; i++) {
    heap_discard(t, heap_root_load(t, &shared.slots[i]));
    heap_root_store(t, &shared.slots[i], HEAP_NULL);
  }
  heap_root_remove(t, &root);
}

int main(int argc, char **argv) {
  heap_config config = hs_config_default();
  const uint64_t seed = seed_choose(argc, argv);
  const uint64_t steps = (uint64_t)option(argc, argv, "--steps", DEFAULT_STEPS);
  const uint32_t count = (uint32_t)option(argc, argv, "--threads", 1);
  config.limit_bytes = option(argc, argv, "--limit", 0);
  config.compaction = option(argc, argv, "--compaction", config.compaction);
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--stress") == 0)
      config.stress = 1;
    else if (strcmp(argv[i], "--stw") == 0)
      config.gc = HEAP_GC_STW;
    else if (strcmp(argv[i], "--placement") == 0 && i + 1 < argc)
      set_placement(&config, argv[i + 1]);
  if ((config.limit_bytes > 0 && !(HEAP_CAPS & HEAP_CAP_LIMIT)) || count == 0 ||
      count > MAX_THREADS || (count > 1 && !(HEAP_CAPS & HEAP_CAP_THREADS))) {
    printf("skipped: %s cannot run this\n", HEAP_NAME);
    return EXIT_SKIPPED;
  }
  printf("stress: %s --seed %" PRIu64 " --steps %" PRIu64 " --threads %u\n", HEAP_NAME, seed, steps,
         count);
  fflush(stdout);
  program *programs = calloc(count, sizeof *programs);
  heap *h = NULL;
  heap_thread *t;
  if (!programs || heap_create(&config, &h) != HEAP_OK || heap_thread_enter(h, &t) != HEAP_OK) {
    fprintf(stderr, "stress: the heap cannot be created\n");
    return 1;
  }
  for (uint32_t i = 0; i < count; i++) {
    programs[i].seed = seed;
    programs[i].id = i;
    programs[i].steps = steps;
    programs[i].break_at = (uint64_t)option(argc, argv, "--break-at", 0);
    programs[i].limited = config.limit_bytes > 0;
  }
  run_all(programs, count, h, t);
  heap_collect(t, HEAP_COLLECT_RELEASE);
  const bool valid = heap_verify(t);
  heap_thread_leave(t);
  heap_destroy(h);
  uint64_t refused = 0, live = 0;
  for (uint32_t i = 0; i < count; i++) {
    refused += programs[i].refused;
    live += programs[i].peak_live;
  }
  free(programs);
  printf("stress: %s: %s; at most %" PRIu64 " objects live, %" PRIu64 " allocations refused\n",
         HEAP_NAME, valid ? "ok" : "invalid", live, refused);
  return valid ? 0 : 1;
}
