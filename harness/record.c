// SPDX-License-Identifier: MIT
#include "harness/record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "allocators/base/assert.h"

const char *record_status_name(record_status status) {
  static const char *const names[] = {
#define RECORD_STATUS_NAME(name, text) text,
      RECORD_STATUS_LIST(RECORD_STATUS_NAME)
#undef RECORD_STATUS_NAME
  };
  return names[status];
}

// ---- metrics ------------------------------------------------------------------------------------

void record_metric_set(run_record *record, const char *name, double value) {
  HS_REQUIRE(strlen(name) < RECORD_NAME_BYTES, "metric name '%s' is too long", name);
  size_t at = 0;
  while (at < record->metric_count && strcmp(record->metrics[at].name, name) != 0) at++;
  HS_REQUIRE(at < RECORD_METRICS, "more than %d metrics", RECORD_METRICS);
  if (at == record->metric_count) record->metric_count++;
  snprintf(record->metrics[at].name, RECORD_NAME_BYTES, "%s", name);
  record->metrics[at].value = value;
}

static void record_quantile(run_record *record, const hs_histogram *histogram, const char *name,
                            double q) {
  record_metric_set(record, name, (double)hs_histogram_quantile(histogram, q));
}

void record_metrics_derive(run_record *record) {
  const hs_histogram *latency = record->latency;
  if (latency && latency->count > 0) {
    record_quantile(record, latency, "op_p50_ns", 0.5);
    record_quantile(record, latency, "op_p90_ns", 0.9);
    record_quantile(record, latency, "op_p99_ns", 0.99);
    record_quantile(record, latency, "op_p999_ns", 0.999);
    record_quantile(record, latency, "op_p9999_ns", 0.9999);
    record_metric_set(record, "op_max_ns", (double)latency->max);
    record_metric_set(record, "op_count", (double)latency->count);
  }
  if (record->pauses) {
    const hs_histogram *all = &record->pauses->counted[0];
    record_metric_set(record, "pause_count", (double)all->count);
    record_metric_set(record, "pause_total_ns", (double)all->sum);
    if (all->count == 0) return; // no pause has no quantile
    record_quantile(record, all, "pause_p50_ns", 0.5);
    record_quantile(record, all, "pause_p99_ns", 0.99);
    record_metric_set(record, "pause_max_ns", (double)all->max);
  }
}

// ---- parts of the object ------------------------------------------------------------------------

static json_t *record_integer(uint64_t value) { return json_integer((json_int_t)value); }

// Whole numbers print exactly; 2^53 is where a double stops holding every integer.
static json_t *record_number(double value) {
  if (value == floor(value) && fabs(value) < 0x1p53) return json_integer((json_int_t)value);
  return json_real(value);
}

static json_t *record_params(const run_record *record) {
  json_t *object = json_object();
  for (size_t i = 0; i < record->param_count; i++) {
    const record_param *param = &record->params[i];
    json_object_set_new(object, param->name,
                        param->choice ? json_stringn(param->choice, param->choice_length)
                                      : record_integer(param->value));
  }
  return object;
}

static json_t *record_config(const heap_config *config) {
  json_t *object = json_object();
#define RECORD_CONFIG_FIELD(field, name, fallback, low, high, words, help)                         \
  json_object_set_new(object, name, json_integer((json_int_t)config->field));
  HEAP_CONFIG_LIST(RECORD_CONFIG_FIELD)
#undef RECORD_CONFIG_FIELD
  return object;
}

static json_t *record_stage_json(const run_record *record, const record_stage *stage) {
  json_t *object = json_object();
  json_object_set_new(object, "name", json_string(stage->name));
  json_object_set_new(object, "time_ns", record_integer(stage->time_ns));
  json_object_set_new(object, "live_bytes", record_integer(stage->live_bytes));
  for (int i = 0; i < HEAP_STAT_COUNT; i++)
    if (heap_stats_has(&stage->stats, (heap_stat)i))
      json_object_set_new(object, heap_stat_name((heap_stat)i),
                          record_integer(stage->stats.value[i]));
  json_object_set_new(object, "harness_bytes", record_integer(stage->harness_bytes));
  if (stage->memory_known) {
    const hs_os_memory *memory = &stage->memory;
    json_object_set_new(object, "rss_bytes", record_integer(memory->rss_bytes));
    json_object_set_new(object, "pss_bytes", record_integer(memory->pss_bytes));
    json_object_set_new(object, "lazyfree_bytes", record_integer(memory->lazyfree_bytes));
    json_object_set_new(object, "anon_huge_bytes", record_integer(memory->anon_huge_bytes));
  }
  if (stage->memory_known && heap_stats_has(&stage->stats, HEAP_STAT_footprint_bytes)) {
    const uint64_t accounted = stage->stats.value[HEAP_STAT_footprint_bytes] +
                               stage->harness_bytes + record->base_rss_bytes;
    json_object_set_new(object, "accounted_bytes", record_integer(accounted));
    json_object_set_new(object, "residual_bytes",
                        json_integer((json_int_t)stage->memory.rss_bytes - (json_int_t)accounted));
  }
  return object;
}

static json_t *record_stages(const run_record *record) {
  json_t *array = json_array();
  for (size_t i = 0; i < record->stage_count; i++)
    json_array_append_new(array, record_stage_json(record, &record->stages[i]));
  return array;
}

static json_t *record_maps(const run_record *record) {
  json_t *object = json_object();
  for (size_t i = 0; i < record->stage_count; i++) {
    json_t *pages = json_array();
    for (size_t p = 0; p < record->maps[i].count; p++) {
      const record_page *page = &record->pages[record->maps[i].first + p];
      json_array_append_new(pages, json_pack("[i,i,i]", (int)page->live_bytes,
                                             (int)page->page_bytes, (int)page->flags));
    }
    json_object_set_new(object, record->stages[i].name, pages);
  }
  return object;
}

static json_t *record_histogram(const hs_histogram *histogram) {
  json_t *array = json_array();
  for (size_t i = 0; i < HS_HISTOGRAM_BUCKETS; i++)
    if (histogram->buckets[i] > 0)
      json_array_append_new(array, json_pack("[I,I]", (json_int_t)hs_histogram_bucket_low(i),
                                             (json_int_t)histogram->buckets[i]));
  return array;
}

static json_t *record_pauses(const run_pauses *pauses) {
  json_t *object = json_object();
  for (size_t row = 0; row < PAUSES_ROWS; row++)
    json_object_set_new(object, pauses_row_name(row), record_histogram(&pauses->counted[row]));
  return object;
}

// Forced collections included: here the work of the collector counts, whoever asked for it.
static json_t *record_phases(const hs_event_log *log) {
  json_t *object = json_object();
  for (int kind = 0; kind < HS_EVENT_KIND_COUNT; kind++) {
    const pauses_phase phase = pauses_phase_of(log, (hs_event_kind)kind);
    if (phase.count == 0) continue;
    json_object_set_new(object, hs_event_kind_name((hs_event_kind)kind),
                        json_pack("{s:I,s:I,s:I}", "count", (json_int_t)phase.count, "total_ns",
                                  (json_int_t)phase.total_ns, "max_ns", (json_int_t)phase.max_ns));
  }
  return object;
}

static json_t *record_series(const run_record *record) {
  json_t *array = json_array();
  for (size_t i = 0; i < record->sample_count; i++) {
    const sampler_sample *sample = &record->samples[i];
    json_array_append_new(array, json_pack("[I,I,I]", (json_int_t)sample->time_ns,
                                           (json_int_t)sample->rss_bytes,
                                           (json_int_t)sample->footprint_bytes));
  }
  return array;
}

static json_t *record_mmu(const run_record *record) {
  json_t *array = json_array();
  for (size_t i = 0; i < record->mmu_count; i++)
    json_array_append_new(
        array, json_pack("[I,f]", (json_int_t)record->mmu[i].window_ns, record->mmu[i].fraction));
  return array;
}

// ---- environment --------------------------------------------------------------------------------

static void record_fact(void *context, const char *name, const char *value) {
  json_object_set_new(context, name, json_string(value));
}

json_t *record_environment(void) {
  json_t *object = json_object();
  hs_os_environment(record_fact, object);
#if defined(__clang__)
  json_object_set_new(object, "compiler", json_string("clang " __clang_version__));
#else
  json_object_set_new(object, "compiler", json_string("gcc " __VERSION__));
#endif
#ifdef SUITE_BUILD_TYPE
  json_object_set_new(object, "build_type", json_string(SUITE_BUILD_TYPE));
#endif
  return object;
}

// ---- the object ---------------------------------------------------------------------------------

static void record_set_results(const run_record *record, json_t *object) {
  json_t *metrics = json_object();
  for (size_t i = 0; i < record->metric_count; i++)
    json_object_set_new(metrics, record->metrics[i].name, record_number(record->metrics[i].value));
  json_object_set_new(object, "metrics", metrics);
  json_object_set_new(object, "stages", record_stages(record));
  if (record->started)
    json_object_set_new(object, "start", record_stage_json(record, &record->start));
  if (record->maps) json_object_set_new(object, "map", record_maps(record));
  if (record->latency && record->latency->count > 0)
    json_object_set_new(object, "latency", record_histogram(record->latency));
  if (record->pauses) {
    json_object_set_new(object, "pauses", record_pauses(record->pauses));
    json_object_set_new(object, "forced_pauses_excluded", json_true());
  }
  if (record->log) json_object_set_new(object, "phases", record_phases(record->log));
  if (record->mmu_count > 0) json_object_set_new(object, "mmu", record_mmu(record));
  if (record->sample_count > 0) json_object_set_new(object, "series", record_series(record));
}

json_t *record_to_json(const run_record *record) {
  json_t *object = json_object();
  if (!object) return NULL;
  json_object_set_new(object, "schema", json_integer(RECORD_SCHEMA));
  json_object_set_new(object, "workload", json_string(record->workload));
  json_object_set_new(object, "heap", json_string(record->heap));
  json_object_set_new(object, "variant", json_string(record->variant));
  if (record->identity.version)
    json_object_set_new(object, "heap_version", json_string(record->identity.version));
  if (record->identity.settings)
    json_object_set_new(object, "heap_settings", json_string(record->identity.settings));
  json_object_set_new(object, "params", record_params(record));
  json_object_set_new(object, "config", record_config(&record->config));
  json_object_set_new(object, "contract", json_integer(HEAP_CONTRACT_VERSION));
  json_object_set_new(object, "seed", record_integer(record->seed));
  json_object_set_new(object, "block", record_integer(record->block));
  json_object_set_new(object, "status", json_string(record_status_name(record->status)));
  if (record->status == RECORD_OK) {
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)record->checksum);
    json_object_set_new(object, "checksum", json_string(text));
  } else {
    json_object_set_new(object, "reason", json_string(record->reason));
  }
  if (record->status != RECORD_SKIPPED) record_set_results(record, object);
  json_object_set_new(object, "environment", record_environment());
  return object;
}

char *record_line(const json_t *json) {
  // 12 digits: far below any timing noise, and no 0.10000000000000001.
  return json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(12));
}
