// SPDX-License-Identifier: MIT
// A program whose objects change size: the eight cases W1..W8 of Rumble, Kejriwal and Ousterhout,
// "Log-structured Memory for DRAM-based Storage" (FAST 2014). It allocates objects of one law of sizes,
// deleting random ones so that live bytes never exceed a cap; then deletes a part of all; then goes on
// with another law. Each half allocates `turnover` times the cap (the paper: 5). What the first half
// leaves behind has holes of the wrong size for the second.
#include "workloads/laws.h"
#include "workloads/support.h"
#include "workloads/usage.h"

typedef struct size_shift {
  size_law before, after; // bytes of an object
  uint64_t deleted_percent;
} size_shift;

static const size_shift shifts[] = {
    {{100, 100}, {100, 100}, 0},      {{100, 100}, {130, 130}, 0},
    {{100, 100}, {130, 130}, 90},     {{100, 150}, {200, 250}, 0},
    {{100, 150}, {200, 250}, 90},     {{100, 200}, {1000, 2000}, 50},
    {{1000, 2000}, {1500, 2500}, 90}, {{50, 150}, {5000, 15000}, 90},
};
enum { SHIFTS = sizeof shifts / sizeof shifts[0] };

enum {
  SIZE_LEAST = 50,       // bytes, of any law above
  CHUNK_SLOTS = 512,     // references in a chunk of the table: a page of 4 KiB
  SAMPLES_PER_LIVE = 64, // samples of the memory while as much as the cap is allocated
  PERCENT = 100,
  LIVE_MIN = 1 << 16, // bytes: several objects of the largest law
};

// First raw bytes of an object.
typedef struct object_header {
  uint64_t number; // from 0, in order of allocation: says what the content is
  uint64_t bytes;
} object_header;

enum { ROOT_TABLE, ROOT_FRESH, ROOTS };

// Objects are in a dense table of two levels, so that the table shrinks with their number:
// object i is in slot i % CHUNK_SLOTS of chunk i / CHUNK_SLOTS, and there is no chunk beyond the last.
// object_bytes is the sum of their sizes, which objects_read checks.
typedef struct sizeshift {
  workload_run *run;
  heap_thread *t;
  heap_ref *roots;
  usage memory;
  hs_rng rng;
  uint64_t seed, live_cap;
  size_t directory_slots, count;
  uint64_t object_bytes, next_number;
  uint64_t digest; // of the numbers of the deleted objects, in order
} sizeshift;

static uint64_t live_bytes(const sizeshift *s) {
  const size_t chunks = (s->count + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
  return s->object_bytes + (s->directory_slots + chunks * CHUNK_SLOTS) * sizeof(heap_ref);
}

static heap_ref chunk_of(const sizeshift *s, size_t index) {
  return heap_load(s->t, s->roots[ROOT_TABLE], index / CHUNK_SLOTS);
}

static heap_ref object_at(const sizeshift *s, size_t index) {
  return heap_load(s->t, chunk_of(s, index), index % CHUNK_SLOTS);
}

static object_header object_check(const sizeshift *s, heap_ref object) {
  const unsigned char *raw = heap_read(s->t, object, 0);
  object_header header;
  memcpy(&header, raw, sizeof header);
  if (header.number >= s->next_number || header.bytes < sizeof header ||
      header.bytes > s->live_cap ||
      !content_matches(raw + sizeof header, header.bytes - sizeof header,
                       content_tag(s->seed, 0, header.number)))
    workload_invalid(s->run, "object %llu has wrong content", (unsigned long long)header.number);
  return header;
}

// The last object takes the place of a random one, which is gone.
static void delete_random(sizeshift *s) {
  const size_t index = (size_t)hs_rng_below(&s->rng, s->count), last = s->count - 1;
  const heap_ref object = object_at(s, index);
  const object_header header = object_check(s, object);
  s->digest = hs_mix64(s->digest ^ header.number);
  s->object_bytes -= header.bytes;
  heap_store(s->t, chunk_of(s, index), index % CHUNK_SLOTS, object_at(s, last));
  heap_store(s->t, chunk_of(s, last), last % CHUNK_SLOTS, HEAP_NULL);
  heap_discard(s->t, object);
  s->count = last;
  if (last % CHUNK_SLOTS != 0) return;
  heap_discard(s->t, chunk_of(s, last));
  heap_store(s->t, s->roots[ROOT_TABLE], last / CHUNK_SLOTS, HEAP_NULL);
}

static void allocate(sizeshift *s, uint64_t bytes) {
  const heap_ref fresh = workload_new(s->run, s->t, 0, (size_t)bytes);
  const object_header header = {s->next_number++, bytes};
  unsigned char *raw = heap_write(s->t, fresh, 0);
  memcpy(raw, &header, sizeof header);
  content_write(raw + sizeof header, (size_t)bytes - sizeof header,
                content_tag(s->seed, 0, header.number));
  s->roots[ROOT_FRESH] = fresh;
  const size_t index = s->count++;
  if (index % CHUNK_SLOTS == 0) {
    const heap_ref chunk = workload_new(s->run, s->t, CHUNK_SLOTS, 0);
    heap_store(s->t, s->roots[ROOT_TABLE], index / CHUNK_SLOTS, chunk);
  }
  heap_store(s->t, chunk_of(s, index), index % CHUNK_SLOTS, s->roots[ROOT_FRESH]);
  s->roots[ROOT_FRESH] = HEAP_NULL;
  s->object_bytes += bytes;
}

// Allocate that many bytes of a law under the cap; the number of objects.
static uint64_t allocate_law(sizeshift *s, size_law law, uint64_t bytes_to_allocate) {
  const uint64_t sample_bytes = s->live_cap / SAMPLES_PER_LIVE;
  uint64_t objects = 0, next_sample = sample_bytes;
  for (uint64_t allocated = 0; allocated < bytes_to_allocate; objects++) {
    const uint64_t bytes = law_uniform(&s->rng, law);
    while (s->object_bytes + bytes > s->live_cap) delete_random(s);
    allocate(s, bytes);
    allocated += bytes;
    if (allocated < next_sample) continue;
    usage_sample(&s->memory, live_bytes(s));
    next_sample += sample_bytes;
  }
  return objects;
}

static void phase_end(sizeshift *s, const char *name, bool forced) {
  if (forced)
    usage_stage(&s->memory, name, live_bytes(s));
  else
    usage_mark(&s->memory, name, live_bytes(s));
}

static void objects_read(const sizeshift *s) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < s->count; i++) {
    const heap_ref object = object_at(s, i);
    const object_header header = object_check(s, object);
    workload_checksum_add(s->run, content_digest(heap_read(s->t, object, 0), header.bytes));
    bytes += header.bytes;
  }
  if (bytes != s->object_bytes)
    workload_invalid(s->run, "%llu bytes of objects should be live, %llu are",
                     (unsigned long long)s->object_bytes, (unsigned long long)bytes);
  workload_checksum_add(s->run, s->count);
  workload_checksum_add(s->run, s->next_number);
  workload_checksum_add(s->run, s->digest);
}

static void objects_drop(sizeshift *s) {
  for (size_t i = 0; i < s->count; i++) heap_discard(s->t, object_at(s, i));
  for (size_t i = 0; i < s->count; i += CHUNK_SLOTS) heap_discard(s->t, chunk_of(s, i));
  heap_discard(s->t, s->roots[ROOT_TABLE]);
  s->roots[ROOT_TABLE] = HEAP_NULL;
}

static void sizeshift_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  HEAP_FRAME(t, roots, ROOTS);
  const size_shift *shift = &shifts[workload_param_value(run, "law")];
  const bool forced = workload_param_value(run, "forced") != 0;
  const usage memory = usage_begin(run);
  sizeshift s = {.run = run,
                 .t = t,
                 .roots = roots,
                 .memory = memory,
                 .rng = hs_rng_seed(workload_seed(run)),
                 .seed = workload_seed(run),
                 .live_cap = workload_param_value(run, "live")};
  const uint64_t half_bytes = s.live_cap * workload_param_value(run, "turnover");
  s.directory_slots = (size_t)(s.live_cap / SIZE_LEAST / CHUNK_SLOTS + 1);
  roots[ROOT_TABLE] = workload_new(run, t, s.directory_slots, 0);

  workload_timed_begin(run);
  uint64_t objects = allocate_law(&s, shift->before, half_bytes);
  usage_report(&s.memory, "before");
  phase_end(&s, "before", forced);
  const size_t kept = (size_t)(s.count * (PERCENT - shift->deleted_percent) / PERCENT);
  while (s.count > kept) delete_random(&s);
  phase_end(&s, "deleted", forced);
  objects += allocate_law(&s, shift->after, half_bytes);
  workload_timed_end(run, objects);
  usage_report(&s.memory, "after");
  usage_stage(&s.memory, "after", live_bytes(&s));

  objects_read(&s);
  workload_metric(run, "objects_count", (double)s.count);
  objects_drop(&s);
  HEAP_FRAME_END(t, roots);
}

static const workload_param sizeshift_params[] = {
    {"law", "the change of sizes", SHIFTS - 1, 0, SHIFTS - 1, "W1|W2|W3|W4|W5|W6|W7|W8"},
    {"live", "bytes of live objects at most", 32 << 20, LIVE_MIN, 1ull << 36, NULL},
    {"turnover", "allocated before the change, and again after it, in multiples of live", 5, 1,
     1000, NULL},
    {"forced", "1: a stage at the end of each phase, which collects; 0: at the last one's alone", 1,
     0, 1, NULL},
};

const workload workload_sizeshift = {
    .name = "sizeshift",
    .summary = "objects change size under a cap on what is live",
    .params = sizeshift_params,
    .param_count = sizeof sizeshift_params / sizeof sizeshift_params[0],
    .run = sizeshift_run,
};
