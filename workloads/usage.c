// SPDX-License-Identifier: MIT
#include "workloads/usage.h"

#include <stdio.h>

#include "allocators/base/assert.h"
#include "allocators/os/os.h"

enum { NAME_BYTES = 48 }; // of a metric; the record checks it

static usage_reading reading_now(const usage *u) {
  return (usage_reading){heap_footprint(workload_heap(u->run)), hs_os_rss_bytes()};
}

// Growth above the start; a heap may have released what it began with.
static usage_reading reading_growth(const usage *u) {
  const usage_reading now = reading_now(u);
  return (usage_reading){now.footprint_bytes > u->start.footprint_bytes
                             ? now.footprint_bytes - u->start.footprint_bytes
                             : 0,
                         now.rss_bytes > u->start.rss_bytes ? now.rss_bytes - u->start.rss_bytes
                                                            : 0};
}

static void metric_set(const usage *u, const char *name, const char *what, double value) {
  char text[NAME_BYTES];
  snprintf(text, sizeof text, "%s_%s", name, what);
  workload_metric(u->run, text, value);
}

usage usage_begin(workload_run *run) {
  usage u = {.run = run};
  u.start = reading_now(&u);
  return u;
}

static void moment_set(const usage *u, const char *name, const char *footprint, const char *rss,
                       uint64_t live_bytes) {
  HS_REQUIRE(live_bytes > 0, "usage '%s' of nothing", name);
  const usage_reading growth = reading_growth(u);
  if (growth.footprint_bytes > 0)
    metric_set(u, name, footprint, (double)growth.footprint_bytes / (double)live_bytes);
  metric_set(u, name, rss, (double)growth.rss_bytes / (double)live_bytes);
}

void usage_mark(const usage *u, const char *name, uint64_t live_bytes) {
  moment_set(u, name, "raw_footprint_ratio", "raw_rss_ratio", live_bytes);
}

void usage_settled(const usage *u, const char *name, uint64_t live_bytes) {
  moment_set(u, name, "footprint_ratio", "rss_ratio", live_bytes);
}

void usage_sample(usage *u, uint64_t live_bytes) {
  HS_REQUIRE(live_bytes > 0, "a sample of nothing");
  const usage_reading growth = reading_growth(u);
  if (growth.footprint_bytes > u->peak.footprint_bytes)
    u->peak.footprint_bytes = growth.footprint_bytes;
  if (growth.rss_bytes > u->peak.rss_bytes) u->peak.rss_bytes = growth.rss_bytes;
  u->footprint_ratio_sum += (double)growth.footprint_bytes / (double)live_bytes;
  u->rss_ratio_sum += (double)growth.rss_bytes / (double)live_bytes;
  u->sample_count++;
}

void usage_report(usage *u, const char *name) {
  HS_REQUIRE(u->sample_count > 0, "usage '%s' has no sample", name);
  const double count = (double)u->sample_count;
  if (u->peak.footprint_bytes > 0) {
    metric_set(u, name, "mean_footprint_ratio", u->footprint_ratio_sum / count);
    metric_set(u, name, "peak_footprint_bytes", (double)u->peak.footprint_bytes);
  }
  metric_set(u, name, "mean_rss_ratio", u->rss_ratio_sum / count);
  metric_set(u, name, "peak_rss_bytes", (double)u->peak.rss_bytes);
  *u = (usage){.run = u->run, .start = u->start};
}

void usage_stage(const usage *u, const char *name, uint64_t live_bytes) {
  usage_mark(u, name, live_bytes);
  workload_stage(u->run, name, live_bytes);
  usage_settled(u, name, live_bytes);
}
