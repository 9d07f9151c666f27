// SPDX-License-Identifier: MIT
#include "fixture.h"

#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const double mib = 1024.0 * 1024.0;

// What a made-up row is like, so that the figures have something to tell apart.
typedef struct row {
  const char *heap;
  double kept_mib; // heap_usage or RSS left at point (3)
  double pause_ns; // 0: keeps no log of pauses
  double op_ns;    // median operation
  double garbage_ns;
  int accounts; // has heap_usage, footprint, residual
} row;

static const row rows[] = {
    {"nonmoving", 16.02, 21e6, 310, 9.1, 1}, {"compact", 0.06, 35e6, 420, 10.8, 1},
    {"bdwgc", 16.9, 610e6, 390, 14.2, 0},    {"mimalloc", 16.4, 0, 360, 6.1, 0},
    {"libc", 8.03, 0, 450, 8.8, 0},          {"go", 16.10, 0.14e6, 540, 21.5, 1},
    {"model", 16.016, 0, 0, 0, 1},
};
enum { ROWS = sizeof rows / sizeof *rows };

static int row_is_go(const row *r) {
  return strcmp(r->heap, "go") == 0 || strcmp(r->heap, "model") == 0;
}
static int row_is_model(const row *r) { return strcmp(r->heap, "model") == 0; }

// A number in 0..1 that depends on nothing but its arguments.
static double noise(const char *name, int block) {
  uint64_t h = 1469598103934665603ull + (uint64_t)block * 977;
  for (; *name; name++) h = (h ^ (unsigned char)*name) * 1099511628211ull;
  return (double)(h >> 40) / (double)(1u << 24);
}

static void set_number(json_t *object, const char *key, double value) {
  json_object_set_new(object, key, json_integer((json_int_t)llround(value)));
}

static json_t *record_new(const char *workload, const row *r, int block, json_t *params) {
  return json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:o,s:{},s:i,s:i,s:s,s:s,s:{s:s,s:i,s:s}}", "schema",
                   1, "workload", workload, "heap", r->heap, "variant", "", "heap_version",
                   "fixture", "heap_settings", "made_up=1", "params", params, "config", "seed", 1,
                   "block", block, "status", "ok", "checksum", "0123456789abcdef", "environment",
                   "cpu", "no machine: fixture", "cores", 2, "kernel", "none");
}

static json_t *stage_new(const row *r, const char *name, double usage_mib, double fragmentation_mib,
                         double live_mib, double peak_mib) {
  json_t *stage = json_pack("{s:s}", "name", name);
  const double table_mib = strcmp(r->heap, "compact") == 0 ? live_mib / 2 : 0;
  set_number(stage, "live_bytes", live_mib * mib);
  if (r->accounts) {
    set_number(stage, "heap_usage_bytes", (0.41 + usage_mib) * mib);
    set_number(stage, "max_fragmentation_bytes", (0.25 + fragmentation_mib) * mib);
  }
  if (row_is_model(r)) return stage;
  set_number(stage, "rss_bytes", (3.1 + usage_mib + table_mib) * mib);
  if (!r->accounts || row_is_go(r)) return stage;
  set_number(stage, "metadata_bytes", (0.2 + table_mib) * mib);
  set_number(stage, "handle_table_bytes", table_mib * mib);
  set_number(stage, "footprint_bytes", (0.61 + usage_mib + table_mib) * mib);
  set_number(stage, "peak_footprint_bytes", (peak_mib + table_mib) * mib);
  set_number(stage, "accounted_bytes", (3.05 + usage_mib + table_mib) * mib);
  set_number(stage, "residual_bytes", 0.05 * mib);
  return stage;
}

static void stages_set(json_t *record, const row *r, json_t *stages) {
  json_t *start = json_object();
  if (!row_is_model(r)) set_number(start, "rss_bytes", 2.9 * mib);
  json_object_set_new(record, "start", start);
  json_object_set_new(record, "stages", stages);
}

// ---- the seed -----------------------------------------------------------------------------------

static json_t *map_pages(int count, double live_bytes) {
  json_t *pages = json_array();
  for (int i = 0; i < count; i++) {
    json_t *page = json_pack("[i,i,i]", (int)live_bytes, 8192, i % 200 == 199 ? 3 : 1);
    json_array_append_new(pages, page);
  }
  return pages;
}

static void seed_example(json_t *out, const row *r, unsigned parts) {
  json_t *record =
      record_new("seed_pathological", r, 0,
                 json_pack("{s:i,s:i,s:i}", "count", 1 << 20, "size", 16, "step", 512));
  json_t *stages = json_array();
  json_array_append_new(stages, stage_new(r, "1", 0, 0, 0, 0.6));
  json_array_append_new(stages, stage_new(r, "2", 24, 0, 24, 25));
  json_array_append_new(stages, stage_new(r, "3", r->kept_mib, r->kept_mib - 0.03, 0.05, 25));
  json_array_append_new(stages, stage_new(r, "4", r->kept_mib + 20, r->kept_mib, 20.05, 37));
  stages_set(record, r, stages);
  if ((parts & FIXTURE_MAPS) && strcmp(r->heap, "nonmoving") == 0)
    json_object_set_new(
        record, "map",
        json_pack("{s:o,s:o}", "2", map_pages(3072, 8192), "3", map_pages(2050, 16)));
  if ((parts & FIXTURE_MAPS) && strcmp(r->heap, "compact") == 0)
    json_object_set_new(
        record, "map", json_pack("{s:o,s:o}", "2", map_pages(4096, 8000), "3", map_pages(7, 8192)));
  json_array_append_new(out, record);
}

static void seed_others(json_t *out, const row *r) {
  static const struct {
    const char *workload;
    double usage_mib[4];
    int stages;
  } others[] = {{"seed_array", {0, 16, 16, 0}, 4},
                {"seed_pointers", {0, 24, 0, 0}, 3},
                {"seed_copy", {0, 24, 16.02, 0.06}, 4}};
  static const char *const names[] = {"1", "2", "3", "4"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    json_t *record = record_new(others[i].workload, r, 0, json_pack("{s:i}", "count", 1 << 20));
    json_t *stages = json_array();
    for (int s = 0; s < others[i].stages; s++)
      json_array_append_new(
          stages, stage_new(r, names[s], others[i].usage_mib[s], 0, others[i].usage_mib[s], 25));
    stages_set(record, r, stages);
    json_array_append_new(out, record);
  }
}

static void seed_steps(json_t *out, const row *r) {
  for (int step = 128; step <= 2048; step *= 2) {
    json_t *record = record_new(
        "seed_step", r, 0, json_pack("{s:i,s:i,s:i}", "count", 1 << 20, "size", 16, "step", step));
    const double usage = r->kept_mib * fmin(1, 512.0 / step) + 8.0 / step;
    json_t *stages = json_array();
    json_array_append_new(stages, stage_new(r, "baseline", 0, 0, 0, 0.6));
    json_array_append_new(stages,
                          stage_new(r, "kept", usage, usage - 16.0 / step, 24.0 / step, 25));
    stages_set(record, r, stages);
    json_array_append_new(out, record);
  }
}

// ---- timed rows ---------------------------------------------------------------------------------

// A long tail from `median` to `worst`: each decade of duration is ten times as rare.
static json_t *histogram(double median, double worst, double count) {
  json_t *buckets = json_array();
  for (double low = median / 2; low < worst && count >= 1; low *= 1.25, count *= 0.7)
    json_array_append_new(buckets, json_pack("[I,I]", (json_int_t)low, (json_int_t)ceil(count)));
  json_array_append_new(buckets, json_pack("[I,i]", (json_int_t)worst, 1));
  return buckets;
}

static void observe(json_t *record, const row *r, double factor) {
  json_t *metrics = json_object_get(record, "metrics");
  const double worst = fmax(r->pause_ns * 1.1, 2.2e6) * factor;
  set_number(metrics, "op_p50_ns", r->op_ns * factor);
  set_number(metrics, "op_p99_ns", r->op_ns * 4 * factor);
  set_number(metrics, "op_p999_ns", r->op_ns * 20 * factor);
  set_number(metrics, "op_p9999_ns", r->op_ns * 90 * factor);
  set_number(metrics, "op_max_ns", worst);
  json_object_set_new(record, "latency", histogram(r->op_ns * factor, worst, 400000));
  if (r->pause_ns <= 0) return;
  set_number(metrics, "pause_count", 12);
  set_number(metrics, "pause_p50_ns", r->pause_ns * 0.6 * factor);
  set_number(metrics, "pause_p99_ns", r->pause_ns * factor);
  set_number(metrics, "pause_max_ns", r->pause_ns * factor);
  set_number(metrics, "pause_total_ns", r->pause_ns * 8 * factor);
  json_t *stops = histogram(r->pause_ns / 3, r->pause_ns * factor, 12);
  json_object_set_new(record, "pauses",
                      json_pack("{s:O,s:o,s:[[i,i],[i,i]],s:[],s:[]}", "all", stops, "stop", stops,
                                "handshake", 2048, 5, 9216, 2, "stall", "assist"));
  json_object_set_new(record, "phases",
                      json_pack("{s:{s:i,s:I,s:I}}", "mark", "count", 12, "total_ns",
                                (json_int_t)(r->pause_ns * 6), "max_ns", (json_int_t)r->pause_ns));
  json_t *mmu = json_array();
  for (double window = 1e4; window <= 1.01e9; window *= 10)
    json_array_append_new(
        mmu, json_pack("[I,f]", (json_int_t)window, fmax(0, 1 - 1.3 * r->pause_ns / window)));
  json_object_set_new(record, "mmu", mmu);
}

static json_t *timed_new(const char *workload, const row *r, int block, json_t *params,
                         double wall_ns) {
  json_t *record = record_new(workload, r, block, params);
  const double factor = 0.95 + 0.1 * noise(r->heap, block);
  json_t *metrics = json_object();
  set_number(metrics, "wall_ns", wall_ns * factor * 1.1);
  set_number(metrics, "timed_wall_ns", wall_ns * factor);
  set_number(metrics, "timed_cpu_ns", wall_ns * factor);
  set_number(metrics, "peak_rss_bytes", (90 + r->kept_mib + r->op_ns / 10) * mib);
  set_number(metrics, "ops_per_s", 1e9 / (r->op_ns * factor));
  json_object_set_new(record, "metrics", metrics);
  observe(record, r, factor);
  json_t *series = json_array();
  for (int i = 0; i < 900; i++)
    json_array_append_new(series, json_pack("[I,I,i]", (json_int_t)(i * wall_ns / 900),
                                            (json_int_t)((40 + r->kept_mib + i % 60) * mib), 0));
  json_object_set_new(record, "series", series);
  json_t *stages = json_array();
  static const char *const names[] = {"25", "50", "75", "100", "end"};
  for (int i = 0; i < 5; i++)
    json_array_append_new(
        stages, stage_new(r, names[i], (i + 1) * r->kept_mib / 4, 1, i < 4 ? i + 1 : 0, 60));
  stages_set(record, r, stages);
  return record;
}

static void alloc_rows(json_t *out, const row *r, int block, const char *variant, double price) {
  json_t *record =
      timed_new("alloc", r, block, json_pack("{s:s,s:i}", "case", "all", "ops", 1000000), 2e8);
  static const char *const cases[] = {"imm16_ns",    "pair16_ns",   "pair64_ns",  "pair256_ns",
                                      "pair1024_ns", "pair8192_ns", "batch16_ns", "deref_ns",
                                      "load_ns",     "store_ns"};
  json_t *metrics = json_object_get(record, "metrics");
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
    json_object_set_new(metrics, cases[c],
                        json_real(r->garbage_ns * price * (1 + (double)c / 3) *
                                  (0.95 + 0.1 * noise(cases[c], block))));
  json_object_set_new(record, "variant", json_string(variant));
  json_array_append_new(out, record);
}

// Our heaps with the program stopped while they mark: longer pauses. The log of one of them was full.
static void stopped_rows(json_t *out, const row *r, unsigned parts, int block) {
  row slower = *r;
  slower.pause_ns *= 3;
  json_t *churn = timed_new("churn", &slower, block,
                            json_pack("{s:i,s:i,s:i}", "n", 17, "ops", 300000, "noalloc", 0),
                            3e8 + r->op_ns * 1e6);
  json_t *trees =
      timed_new("bintrees", &slower, block, json_pack("{s:i}", "depth", 14), r->garbage_ns * 4e7);
  json_object_set_new(churn, "variant", json_string("stw"));
  json_object_set_new(trees, "variant", json_string("stw"));
  if (strcmp(r->heap, "compact") == 0) {
    json_object_del(churn, "mmu");
    set_number(json_object_get(churn, "metrics"), "events_dropped_count", 7);
  }
  if (parts & FIXTURE_CHURN) json_array_append(out, churn);
  if (parts & FIXTURE_BINTREES) json_array_append(out, trees);
  json_decref(churn);
  json_decref(trees);
}

static void timed_rows(json_t *out, const row *r, unsigned parts, int block) {
  if (parts & FIXTURE_CHURN)
    json_array_append_new(
        out, timed_new("churn", r, block,
                       json_pack("{s:i,s:i,s:i}", "n", 17, "ops", 300000, "noalloc", 0),
                       3e8 + r->op_ns * 1e6));
  if ((parts & FIXTURE_CHURN) && strcmp(r->heap, "libc") == 0)
    json_array_append_new(
        out, timed_new("churn", r, block,
                       json_pack("{s:i,s:i,s:i}", "n", 17, "ops", 300000, "noalloc", 1), 2e8));
  if (parts & FIXTURE_BINTREES)
    json_array_append_new(
        out, timed_new("bintrees", r, block, json_pack("{s:i}", "depth", 14), r->garbage_ns * 4e7));
  if ((parts & (FIXTURE_CHURN | FIXTURE_BINTREES)) && r->accounts && !row_is_go(r))
    stopped_rows(out, r, parts, block);
  if (parts & FIXTURE_ALLOC) alloc_rows(out, r, block, "", 1);
  if ((parts & FIXTURE_ALLOC) &&
      (strcmp(r->heap, "compact") == 0 || strcmp(r->heap, "nonmoving") == 0))
    alloc_rows(out, r, block, "outline", 1.4);
  if ((parts & FIXTURE_ALLOC) && strcmp(r->heap, "mimalloc") == 0)
    alloc_rows(out, r, block, "stock", 0.8);
  if (parts & FIXTURE_SERVICE)
    json_array_append_new(
        out, timed_new("service", r, block,
                       json_pack("{s:s,s:i}", "mitigation", "none", "entries", 2000), 1e9));
  if ((parts & FIXTURE_SERVICE) && r->accounts && !row_is_go(r) && block == 0) {
    static const char *const remedies[] = {"copy", "pool", "array", "separate"};
    for (int i = 0; i < 4; i++)
      json_array_append_new(
          out,
          timed_new("service", r, 0,
                    json_pack("{s:s,s:i}", "mitigation", remedies[i], "entries", 2000), 1.1e9));
  }
}

// ---- memory for each live byte, and moving ------------------------------------------------------

static void set_ratio(json_t *metrics, const char *name, const char *what, double value) {
  char key[64];
  snprintf(key, sizeof key, "%s_%s_ratio", name, what);
  json_object_set_new(metrics, key, json_real(value));
}

// Both readings of a phase, raw and released.
static void set_phase(json_t *metrics, const row *r, const char *name, double raw,
                      double released) {
  set_ratio(metrics, name, "raw_rss", raw);
  set_ratio(metrics, name, "rss", released);
  set_ratio(metrics, name, "mean_rss", (raw + released) / 2);
  if (!r->accounts) return;
  set_ratio(metrics, name, "raw_footprint", raw + 0.05);
  set_ratio(metrics, name, "footprint", released + 0.05);
}

static void density_new(json_t *out, const row *r, const char *workload, json_t *params,
                        const char *const *phases, size_t count) {
  json_t *record = record_new(workload, r, 0, params), *metrics = json_object();
  // libc is best at lru_cache, compact elsewhere.
  const bool best = strcmp(workload, "lru_cache") == 0 && strcmp(r->heap, "libc") == 0;
  const double waste = best ? 0 : r->kept_mib / 8;
  for (size_t i = 0; i < count; i++)
    set_phase(metrics, r, phases[i], 1.2 + waste + (double)i, 1 + waste);
  if (strcmp(workload, "pins") == 0) {
    set_number(metrics, "pinned_count", 409);
    set_number(metrics, "refused_pins_count", 0);
  }
  json_object_set_new(record, "metrics", metrics);
  stages_set(record, r, json_array());
  json_array_append_new(out, record);
}

static void density_rows(json_t *out, const row *r) {
  static const char *const shift[] = {"before", "deleted", "after"};
  static const char *const lru[] = {"small", "large", "tiny"};
  static const char *const redis[] = {"small", "large", "idle", "run", "end"};
  static const char *const pins[] = {"built", "pinned", "unpinned"};
  density_new(out, r, "sizeshift", json_pack("{s:s}", "law", "W8"), shift, 3);
  density_new(out, r, "lru_cache", json_pack("{s:i}", "capacity", 8 << 20), lru, 3);
  density_new(out, r, "redis_frag", json_pack("{s:i}", "idle_ms", 1500), redis, 5);
  density_new(out, r, "pins", json_pack("{s:s}", "mode", "share"), pins, 3);
  static const char *const kinds[] = {"robson", "staircase"};
  for (int kind = 0; kind < 2; kind++) {
    json_t *record = record_new("adversary", r, 0, json_pack("{s:s}", "kind", kinds[kind]));
    json_t *metrics = json_object();
    for (int size = 16, step = 0; size <= 32768; size *= 2, step++) {
      char name[24];
      snprintf(name, sizeof name, "size_%05d", size);
      set_phase(metrics, r, name, 2, 1 + r->kept_mib / 8 * step / 11);
      set_ratio(metrics, name, "bound", 1 + step * 0.5);
    }
    set_phase(metrics, r, "end", 2, 1 + r->kept_mib / 8);
    set_ratio(metrics, "end", "bound", 6.5);
    json_object_set_new(record, "metrics", metrics);
    stages_set(record, r, json_array());
    json_array_append_new(out, record);
  }
}

// What a collector says of its work, at the last stage of a record.
static void set_moving(json_t *record, double moved_mib, int aborted) {
  json_t *stages = json_object_get(record, "stages");
  json_t *last = json_array_get(stages, json_array_size(stages) - 1);
  set_number(last, "gc_cpu_ns",
             0.04 *
                 json_number_value(json_object_get(json_object_get(record, "metrics"), "wall_ns")));
  set_number(last, "moved_bytes", moved_mib * mib);
  set_number(last, "aborted_moves_count", aborted);
  set_number(last, "fallback_stops_count", aborted / 100);
}

static void moving_new(json_t *out, const row *r, int block, const char *variant,
                       double moved_mib) {
  json_t *churn =
      timed_new("churn", r, block, json_pack("{s:i,s:i,s:i}", "n", 17, "ops", 300000, "noalloc", 0),
                3e8 + r->op_ns * 1e6);
  set_moving(churn, moved_mib, *variant ? 0 : 1234);
  json_t *hot = timed_new("write_hot", r, block, json_pack("{s:i}", "threads", 2), 3e8);
  json_t *metrics = json_object_get(hot, "metrics");
  set_number(metrics, "steady_writes_per_s", 2e7);
  set_number(metrics, "fragmented_writes_per_s", 1.5e7);
  set_ratio(metrics, "fragmented", "to_steady", 0.75);
  set_number(metrics, "fragmented_moved_bytes", moved_mib * mib);
  json_object_set_new(churn, "variant", json_string(variant));
  json_object_set_new(hot, "variant", json_string(variant));
  // The plain row of churn is made with the others.
  if (*variant) json_array_append(out, churn);
  json_array_append_new(out, hot);
  json_decref(churn);
}

static void moving_rows(json_t *out, const row *r, int block) {
  const int compact = strcmp(r->heap, "compact") == 0;
  if (!compact && strcmp(r->heap, "nonmoving") != 0 && strcmp(r->heap, "libc") != 0) return;
  moving_new(out, r, block, "", compact ? 40 : 0);
  if (compact) {
    moving_new(out, r, block, "compaction_off", 0);
    moving_new(out, r, block, "compaction_stw", 38.5);
    moving_new(out, r, block, "compaction_incremental", 36);
  }
  json_t *steps = timed_new("deref", r, block, json_pack("{s:i}", "n", 16), 1e8);
  json_t *metrics = json_object_get(steps, "metrics");
  json_object_set_new(metrics, "dense_sequential_ns", json_real(1.25 + compact));
  json_object_set_new(metrics, "compacted_shuffled_ns", json_real(7.5 + 2.25 * compact));
  json_array_append_new(out, steps);
  if (block > 0 || !r->accounts) return;
  json_t *idle = record_new(
      "seed_pathological", r, 0,
      json_pack("{s:i,s:i,s:i,s:i}", "count", 1 << 20, "size", 16, "step", 512, "idle_ms", 2000));
  json_t *stages = json_array();
  json_array_append_new(stages, stage_new(r, "1", 0, 0, 0, 0.6));
  json_array_append_new(stages, stage_new(r, "2", 24, 0, 24, 25));
  json_array_append_new(stages, stage_new(r, "3", r->kept_mib, 0, 0.05, 25));
  stages_set(idle, r, stages);
  json_object_set_new(idle, "variant", json_string("idle"));
  json_object_set_new(idle, "metrics", json_object());
  set_number(json_object_get(idle, "metrics"), "idle_above_start_bytes",
             (compact ? 0.25 : 24.5) * mib);
  json_array_append_new(out, idle);
}

static void process_rows(json_t *out, const row *r) {
  json_t *record =
      record_new("process_time", r, 0, json_pack("{s:s,s:i}", "workload", "bintrees", "depth", 14));
  json_t *times = json_array();
  for (int i = 0; i < 7; i++)
    json_array_append_new(
        times, json_integer((json_int_t)(r->garbage_ns * 4.4e7 * (1 + 0.1 * noise(r->heap, i)))));
  json_object_set_new(record, "times_ns", times);
  json_array_append_new(out, record);
}

static void failure_rows(json_t *out) {
  static const char *const statuses[] = {"crashed", "timeout", "oom", "invalid", "skipped"};
  static const char *const reasons[] = {"signal 11", "no answer in 20 s", "limit=1 MiB",
                                        "checksum a|b differs", "needs tracing"};
  for (int i = 0; i < 5; i++) {
    json_t *record = record_new("graph", &rows[4], i, json_object());
    json_object_set_new(record, "status", json_string(statuses[i]));
    json_object_set_new(record, "reason", json_string(reasons[i]));
    json_object_del(record, "checksum");
    json_array_append_new(out, record);
  }
}

json_t *fixture_records(unsigned parts, int blocks) {
  json_t *out = json_array();
  for (int i = 0; i < ROWS; i++) {
    const row *r = &rows[i];
    if (row_is_go(r) && !(parts & FIXTURE_GO)) continue;
    if (parts & FIXTURE_SEED) {
      seed_example(out, r, parts);
      seed_others(out, r);
      seed_steps(out, r);
    }
    if (row_is_model(r)) continue;
    for (int block = 0; block < blocks; block++) {
      timed_rows(out, r, parts, block);
      if (parts & FIXTURE_MOVING) moving_rows(out, r, block);
    }
    if (parts & FIXTURE_DENSITY) density_rows(out, r);
    if (parts & FIXTURE_TIMES) process_rows(out, r);
  }
  if (parts & FIXTURE_FAILURES) failure_rows(out);
  return out;
}

// ---- files --------------------------------------------------------------------------------------

void fixture_write(const char *path, const json_t *records, int reverse) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  const size_t count = json_array_size(records);
  for (size_t i = 0; i < count; i++) {
    char *line = json_dumps(json_array_get(records, reverse ? count - 1 - i : i), JSON_COMPACT);
    assert_non_null(line);
    fprintf(file, "%s\n", line);
    free(line);
  }
  assert_int_equal(fclose(file), 0);
}

char *fixture_folder(void) {
  const char *base = getenv("TMPDIR");
  char path[512];
  snprintf(path, sizeof path, "%s/report-test-XXXXXX", base ? base : "/tmp");
  assert_non_null(mkdtemp(path));
  return strdup(path);
}

char *fixture_slurp(const char *path, size_t *length) {
  FILE *file = fopen(path, "r");
  if (!file) fail_msg("cannot read %s", path);
  char *bytes = NULL;
  size_t used = 0, got;
  do {
    bytes = realloc(bytes, used + 65537);
    assert_non_null(bytes);
    got = fread(bytes + used, 1, 65536, file);
    used += got;
  } while (got);
  fclose(file);
  bytes[used] = 0;
  if (length) *length = used;
  return bytes;
}
