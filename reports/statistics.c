// SPDX-License-Identifier: MIT
#include "reports/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- reading ------------------------------------------------------------------------------------

static const json_t *record_stage(const record *r, const char *name) {
  if (strcmp(name, "start") == 0) return json_object_get(r->json, "start");
  size_t i;
  const json_t *stage;
  json_array_foreach(json_object_get(r->json, "stages"), i, stage) {
    if (strcmp(json_string_value(json_object_get(stage, "name")), name) == 0) return stage;
  }
  return NULL;
}

static bool number_read(const json_t *object, const char *key, double *out) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_number(value)) return false;
  *out = json_number_value(value);
  return true;
}

bool measure_read(const record *r, measure what, double *out) {
  if (!record_ok(r)) return false;
  if (!what.stage) return number_read(json_object_get(r->json, "metrics"), what.key, out);
  if (!number_read(record_stage(r, what.stage), what.key, out)) return false;
  if (!what.baseline) return true;
  double baseline;
  if (!number_read(record_stage(r, what.baseline), what.key, &baseline)) return false;
  *out -= baseline;
  return true;
}

static sample sample_new(arena *memory, size_t capacity) {
  return (sample){0, arena_alloc(memory, capacity * sizeof(double)),
                  arena_alloc(memory, capacity * sizeof(int64_t))};
}

sample measure_sample(arena *memory, const group *g, measure what) {
  sample s = sample_new(memory, g ? g->count : 0);
  for (size_t i = 0; g && i < g->count; i++) {
    if (!measure_read(&g->records[i], what, &s.value[s.count])) continue;
    s.block[s.count++] = g->records[i].block;
  }
  return s;
}

sample sample_ratio(arena *memory, const sample *top, const sample *bottom) {
  sample s = sample_new(memory, top->count);
  // Both are in order of block; runs that share a block number pair in order.
  for (size_t t = 0, b = 0; t < top->count && b < bottom->count;) {
    if (top->block[t] < bottom->block[b]) {
      t++;
    } else if (top->block[t] > bottom->block[b]) {
      b++;
    } else {
      if (top->value[t] > 0 && bottom->value[b] > 0) {
        s.value[s.count] = top->value[t] / bottom->value[b];
        s.block[s.count++] = top->block[t];
      }
      t++, b++;
    }
  }
  return s;
}

// Cores of the machine as the record's environment names them; 0 when it does not.
static double record_cores(const record *r) {
  const json_t *cores = json_object_get(json_object_get(r->json, "environment"), "cores");
  return json_is_string(cores) ? strtod(json_string_value(cores), NULL) : json_number_value(cores);
}

sample collector_share(arena *memory, const group *g) {
  sample s = sample_new(memory, g ? g->count : 0);
  for (size_t i = 0; g && i < g->count; i++) {
    const record *r = &g->records[i];
    const json_t *stages = json_object_get(r->json, "stages");
    const size_t stage_count = json_array_size(stages);
    const double cores = record_cores(r);
    double wall_ns, collector_ns;
    if (!measure_read(r, (measure){NULL, "wall_ns", NULL}, &wall_ns) || stage_count == 0) continue;
    if (!number_read(json_array_get(stages, stage_count - 1), "gc_cpu_ns", &collector_ns)) continue;
    if (cores <= 0 || wall_ns <= 0) continue;
    s.value[s.count] = collector_ns / (wall_ns * cores);
    s.block[s.count++] = r->block;
  }
  return s;
}

// ---- estimates ----------------------------------------------------------------------------------

static int compare_doubles(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

// P(the k-th and (n-1-k)-th order statistics do not bracket the median) = 2 * P(Binomial(n, 1/2) <= k).
void median_interval_ranks(size_t n, size_t *low, size_t *high) {
  static const double allowed = 0.05;
  double term = pow(0.5, (double)n), below = term; // P(X <= k) for k = 0
  size_t k = 0;
  while (k + 1 < n / 2) {
    term *= (double)(n - k) / (double)(k + 1); // P(X = k + 1)
    if (2 * (below + term) > allowed) break;
    below += term;
    k++;
  }
  *low = k;
  *high = n - 1 - k;
}

estimate sample_estimate(arena *memory, const sample *s) {
  static const size_t smallest_interval_n = 6; // see the header
  const size_t n = s->count;
  if (n == 0) return (estimate){0};
  double *sorted = arena_alloc(memory, n * sizeof *sorted);
  memcpy(sorted, s->value, n * sizeof *sorted);
  qsort(sorted, n, sizeof *sorted, compare_doubles);
  estimate e = {.n = n, .interval95 = n >= smallest_interval_n};
  e.median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  size_t low = 0, high = n - 1;
  if (e.interval95) median_interval_ranks(n, &low, &high);
  e.low = sorted[low];
  e.high = sorted[high];
  return e;
}

estimate measure_estimate(arena *memory, const group *g, measure what) {
  const sample s = measure_sample(memory, g, what);
  return sample_estimate(memory, &s);
}

estimate measure_ratio(arena *memory, const group *top, const group *bottom, measure what) {
  const sample t = measure_sample(memory, top, what), b = measure_sample(memory, bottom, what);
  const sample ratio = sample_ratio(memory, &t, &b);
  return sample_estimate(memory, &ratio);
}

// ---- distributions ------------------------------------------------------------------------------

typedef struct bucket {
  double low_ns, events;
} bucket;

static int compare_buckets(const void *left, const void *right) {
  const bucket *a = left, *b = right;
  return (a->low_ns > b->low_ns) - (a->low_ns < b->low_ns);
}

static const json_t *record_histogram(const record *r, const char *key, const char *kind) {
  if (!record_ok(r)) return NULL;
  const json_t *value = json_object_get(r->json, key);
  return kind ? json_object_get(value, kind) : value;
}

distribution group_distribution(arena *memory, const group *g, const char *key, const char *kind) {
  size_t room = 0;
  for (size_t i = 0; g && i < g->count; i++)
    room += json_array_size(record_histogram(&g->records[i], key, kind));
  bucket *all = arena_alloc(memory, room * sizeof *all);
  size_t count = 0;
  for (size_t i = 0; g && i < g->count; i++) {
    size_t j;
    const json_t *pair;
    json_array_foreach(record_histogram(&g->records[i], key, kind), j, pair) {
      const double low = json_number_value(json_array_get(pair, 0));
      const double events = json_number_value(json_array_get(pair, 1));
      if (events > 0) all[count++] = (bucket){low, events};
    }
  }
  qsort(all, count, sizeof *all, compare_buckets);
  distribution d = {.low_ns = arena_alloc(memory, count * sizeof(double)),
                    .events = arena_alloc(memory, count * sizeof(double))};
  for (size_t i = 0; i < count; i++) {
    // Bounds are whole nanoseconds, so equal buckets compare equal.
    if (d.count == 0 || d.low_ns[d.count - 1] < all[i].low_ns) d.low_ns[d.count++] = all[i].low_ns;
    d.events[d.count - 1] += all[i].events;
    d.total += all[i].events;
  }
  return d;
}

double distribution_quantile(const distribution *d, double fraction) {
  double seen = 0;
  for (size_t i = 0; i < d->count; i++) {
    seen += d->events[i];
    if (seen >= fraction * d->total) return d->low_ns[i];
  }
  return d->count ? d->low_ns[d->count - 1] : 0;
}
