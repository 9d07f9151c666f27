// SPDX-License-Identifier: MIT
// The fragmentation test of Redis that Mesh (Powers et al., PLDI 2019) and Alaska (Wanninger et al.,
// ASPLOS 2024) publish, as a program: a store capped at 100 MiB takes 700000 keys with values of 240
// bytes, then 170000 with values of 492 bytes, and then idles: whatever the heap does about the holes on
// its own, it may do now. Then all over again.
// In Alaska's script, as in the test of active defragmentation of Redis's own suite, each filling is one command
// (DEBUG POPULATE). Redis evicts between commands, so the store overflows by 70 % and is cut back to its cap
// after the fact (evict=command); evict=put keeps it under its cap at every moment. Of a few random keys Redis
// evicts the one that was used first, by a clock of one second, in which it is assumed to take 700000 keys
// (clock_puts): so survivors of the first sizes lie everywhere.
// While idle the program only polls. That time is the one thing here that no operation count bounds;
// nothing that it does enters the checksum. There is no stage before the end, as a stage would collect.
#include "workloads/cache.h"
#include "workloads/usage.h"

enum {
  SAMPLE_PUTS = 2048, // puts between two samples of the memory: about 0.5 MB written
  CAPACITY_MIN = 1 << 16,
  VALUE_MAX = 32 << 10,
};
enum { EVICT_COMMAND, EVICT_PUT }; // values of `evict`

typedef struct redis_frag {
  workload_run *run;
  cache cache;
  usage memory;
} redis_frag;

// Keys are new: none is written twice.
static void fill(redis_frag *w, const char *name, uint64_t count, uint64_t bytes) {
  workload_timed_begin(w->run);
  uint64_t before_ns = workload_now_ns();
  for (uint64_t put = 0; put < count; put++) {
    cache_put(&w->cache, (uint32_t)w->cache.put_count, bytes);
    const uint64_t now_ns = workload_now_ns();
    workload_latency_add(w->run, now_ns - before_ns);
    before_ns = now_ns;
    if (w->cache.put_count % SAMPLE_PUTS != 0) continue;
    usage_sample(&w->memory, cache_live_bytes(&w->cache));
    before_ns = workload_now_ns();
  }
  cache_evict_excess(&w->cache);
  workload_timed_end(w->run, count);
  usage_mark(&w->memory, name, cache_live_bytes(&w->cache));
}

static void idle(redis_frag *w, uint64_t milliseconds) {
  const uint64_t end_ns = workload_now_ns() + milliseconds * 1000000;
  while (workload_now_ns() < end_ns) heap_poll(w->cache.t);
  usage_mark(&w->memory, "idle", cache_live_bytes(&w->cache));
}

static void redis_frag_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  HEAP_FRAME(t, roots, CACHE_ROOTS);
  const uint64_t small_count = workload_param_value(run, "small_count");
  const uint64_t large_count = workload_param_value(run, "large_count");
  const uint64_t small_bytes = workload_param_value(run, "small_bytes");
  const uint64_t large_bytes = workload_param_value(run, "large_bytes");
  const uint64_t idle_ms = workload_param_value(run, "idle_ms");
  const uint64_t rounds = workload_param_value(run, "rounds");
  const usage memory = usage_begin(run);
  redis_frag w = {.run = run,
                  .memory = memory,
                  .cache =
                      cache_make(run, roots, CACHE_SAMPLED, workload_param_value(run, "capacity"),
                                 cache_entry_bytes(CACHE_SAMPLED, small_bytes))};
  w.cache.evicts_late = workload_param_value(run, "evict") == EVICT_COMMAND;
  w.cache.tick_puts = workload_param_value(run, "clock_puts");
  usage_sample(&w.memory, cache_live_bytes(&w.cache));
  for (uint64_t round = 0; round < rounds; round++) {
    fill(&w, "small", small_count, small_bytes);
    fill(&w, "large", large_count, large_bytes);
    idle(&w, idle_ms);
    workload_progress(run, round + 1, rounds);
  }
  usage_report(&w.memory, "run");
  usage_stage(&w.memory, "end", cache_live_bytes(&w.cache));
  cache_read(&w.cache);
  workload_metric(run, "entries_count", (double)w.cache.entry_count);
  cache_drop(&w.cache);
  HEAP_FRAME_END(t, roots);
}

static const workload_param redis_frag_params[] = {
    {"capacity", "payload of the store's entries, bytes", 100 << 20, CAPACITY_MIN, 1ull << 36,
     NULL},
    {"small_count", "keys written first in a round", 700000, 1, 1ull << 32, NULL},
    {"small_bytes", "their values, bytes", 240, CACHE_VALUE_MIN, VALUE_MAX, NULL},
    {"large_count", "keys written then", 170000, 1, 1ull << 32, NULL},
    {"large_bytes", "their values, bytes", 492, CACHE_VALUE_MIN, VALUE_MAX, NULL},
    {"idle_ms", "time for the heap to itself at the end of a round, ms", 5000, 0, 600000, NULL},
    {"rounds", "how often: write both, idle", 2, 1, 1000, NULL},
    {"evict", "down to the capacity after each filling, or before each put", EVICT_COMMAND,
     EVICT_COMMAND, EVICT_PUT, "command|put"},
    {"clock_puts", "keys written in a row that count as equally old", 700000, 1, 1ull << 32, NULL},
};

const workload workload_redis_frag = {
    .name = "redis_frag",
    .summary = "a capped store whose values double in size, then idle time",
    .params = redis_frag_params,
    .param_count = sizeof redis_frag_params / sizeof redis_frag_params[0],
    .run = redis_frag_run,
};
