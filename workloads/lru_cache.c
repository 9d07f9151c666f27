// SPDX-License-Identifier: MIT
// A cache that runs for long while the sizes of its values change: three phases, each of which writes
// `turnover` times the capacity. Keys are new with each put (the oldest entry goes), or Zipf's, so that
// popular keys are written again and again. After each put an entry is touched, a random one or one of a
// Zipf key, so what goes is not what was written first. Live bytes stay at the capacity: whatever a
// heap holds beyond them is garbage, headers, or holes that values of the new sizes do not fit into.
#include "workloads/cache.h"
#include "workloads/laws.h"
#include "workloads/usage.h"

enum { KEYS_FRESH, KEYS_ZIPF };
enum { SIZES_UNIFORM, SIZES_LOG_NORMAL };
enum {
  PHASES = 3,
  // Payload of a typical entry of the phase with the smallest values: links and about 40 bytes.
  TYPICAL_BYTES = 64,
  VALUE_MAX = 32 << 10, // bytes: bounds the tail of the log-normal law
  CAPACITY_MIN = 1 << 16,
};

typedef struct phase {
  const char *name;
  size_law values; // bytes
} phase;

static const phase phases[PHASES] = {
    {"small", {64, 256}}, {"large", {512, 1024}}, {"tiny", {16, 64}}};

typedef struct lru_cache {
  workload_run *run;
  cache cache;
  hs_rng rng;
  uint64_t keys, sizes, octaves, turnover, touches;
  uint64_t hits, gets;
} lru_cache;

static uint32_t key_draw(lru_cache *w) {
  if (w->keys == KEYS_ZIPF) return (uint32_t)law_zipf(&w->rng, w->octaves);
  return (uint32_t)w->cache.put_count;
}

static uint64_t size_draw(lru_cache *w, const phase *p) {
  if (w->sizes == SIZES_UNIFORM) return law_uniform(&w->rng, p->values);
  const uint64_t bytes = law_log_normal(&w->rng, (p->values.low + p->values.high) / 2);
  return bytes < CACHE_VALUE_MIN ? CACHE_VALUE_MIN : bytes > VALUE_MAX ? VALUE_MAX : bytes;
}

static void touch(lru_cache *w) {
  if (w->keys != KEYS_ZIPF) {
    cache_touch_random(&w->cache);
    return;
  }
  w->gets++;
  w->hits += cache_get(&w->cache, (uint32_t)law_zipf(&w->rng, w->octaves));
}

// One clock read per operation: the latency of one is the difference of successive reads.
static uint64_t phase_run(lru_cache *w, const phase *p) {
  const uint64_t bytes_to_write = w->turnover * w->cache.capacity_bytes;
  uint64_t puts = 0, before_ns = workload_now_ns();
  for (uint64_t written = 0; written < bytes_to_write; puts++) {
    const uint32_t key = key_draw(w);
    const uint64_t bytes = size_draw(w, p);
    cache_put(&w->cache, key, bytes);
    for (uint64_t i = 0; i < w->touches; i++) touch(w);
    written += cache_entry_bytes(CACHE_LRU, bytes);
    const uint64_t now_ns = workload_now_ns();
    workload_latency_add(w->run, now_ns - before_ns);
    before_ns = now_ns;
  }
  return puts;
}

static void lru_cache_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  HEAP_FRAME(t, roots, CACHE_ROOTS);
  const usage memory = usage_begin(run);
  lru_cache w = {.run = run,
                 .cache = cache_make(run, roots, CACHE_LRU, workload_param_value(run, "capacity"),
                                     TYPICAL_BYTES),
                 .rng = hs_rng_seed(workload_seed(run)),
                 .keys = workload_param_value(run, "keys"),
                 .sizes = workload_param_value(run, "sizes"),
                 .octaves = workload_param_value(run, "key_octaves"),
                 .turnover = workload_param_value(run, "turnover"),
                 .touches = workload_param_value(run, "touches")};
  for (size_t i = 0; i < PHASES; i++) {
    workload_timed_begin(run);
    const uint64_t puts = phase_run(&w, &phases[i]);
    workload_timed_end(run, puts);
    usage_stage(&memory, phases[i].name, cache_live_bytes(&w.cache));
    workload_progress(run, i + 1, PHASES);
  }
  cache_read(&w.cache);
  workload_metric(run, "entries_count", (double)w.cache.entry_count);
  if (w.gets > 0) workload_metric(run, "hit_ratio", (double)w.hits / (double)w.gets);
  cache_drop(&w.cache);
  HEAP_FRAME_END(t, roots);
}

static const workload_param lru_cache_params[] = {
    {"capacity", "payload of the cache's entries, bytes", 100 << 20, CAPACITY_MIN, 1ull << 36,
     NULL},
    {"turnover", "capacities written in each phase", 4, 1, 1000, NULL},
    {"touches", "entries touched after each put", 1, 0, 1000, NULL},
    {"keys", "new with each put, or Zipf's", KEYS_FRESH, KEYS_FRESH, KEYS_ZIPF, "fresh|zipf"},
    {"key_octaves", "log2 of the number of Zipf keys", 22, 1, 32, NULL},
    {"sizes", "law of the sizes of values in a phase", SIZES_UNIFORM, SIZES_UNIFORM,
     SIZES_LOG_NORMAL, "uniform|lognormal"},
};

const workload workload_lru_cache = {
    .name = "lru_cache",
    .summary = "a full cache whose values change size: small, large, tiny",
    .params = lru_cache_params,
    .param_count = sizeof lru_cache_params / sizeof lru_cache_params[0],
    .run = lru_cache_run,
};
