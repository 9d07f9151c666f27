// SPDX-License-Identifier: MIT
// The application behind the seed: a service with one long task. For each of its entries the task
// computes in a burst of objects that dies when the entry is done, retains a little in small
// objects, and a few objects of the burst itself stay until the task ends. Unrelated requests
// allocate bursts of their own meanwhile. What stays is spread thinly over the pages of what went,
// so a heap that never moves anything keeps those pages. The four mitigations are what a programmer
// can do about it without another heap:
//   copy      reallocate all retained objects whenever they have doubled
//   pool      bursts take buffers of few sizes from a pool; what must stay is copied out
//   array     retained values lie in a few big chunks instead of objects of their own
//   separate  the task retains on a second heap; what must stay is copied over
// All variants retain the same content, so their checksum is the same.
#include "workloads/support.h"

enum {
  CHUNK_BYTES = 32 << 10, // array: raw bytes of a chunk
  COPY_FIRST = 64 << 10,  // copy: no copying below this many retained bytes
  POOL_CLASSES = 4,       // pool: buffers of 64, 256, 1024 and 4096 bytes
  POOL_SMALLEST = 64,     // bytes
  POOL_FACTOR_LOG2 = 2,   // each class is 4 times the one before
  RETAINED_LOW = 32,      // bytes of an object that an entry retains
  RETAINED_HIGH = 128,    // bytes
  SIZE_ALIGN = 8,         // object sizes are multiples of this
  PERMILLE = 1000,
  QUARTERS = 4,
};

enum { SERVICE_NONE, SERVICE_COPY, SERVICE_POOL, SERVICE_ARRAY, SERVICE_SEPARATE };
enum { SERVICE_MIX_SHIFT, SERVICE_MIX_UNIFORM };

// An item: slot 0 links it into a list; then a header and content up to `bytes`. In a chunk it lies
// without the slot.
enum { ITEM_NEXT, ITEM_REFS };
typedef struct item_header {
  uint64_t tag;
  uint64_t bytes; // of header and content
} item_header;

// A chunk: slot 0 is the next chunk; the first word counts the bytes used, itself included.
enum { CHUNK_NEXT, CHUNK_REFS };

// Roots of the task, on its heap.
enum { TASK_INDEX, TASK_CHUNK, TASK_OLD, TASK_ROOTS };
// Roots of the service, on the main heap. A burst needs its list and the item being looked at.
enum { MAIN_POOL, MAIN_ENTRY, MAIN_REQUEST, MAIN_ITEM, MAIN_ROOTS };

typedef struct service {
  workload_run *run;
  heap_thread *t;      // main heap
  heap_thread *task_t; // where the task retains: t, or the second heap
  heap_ref *main_roots, *task_roots;
  hs_rng rng;
  uint64_t mitigation, mix;
  size_t entries, requests;
  uint64_t burst_bytes, retained_bytes, keep_permille, size_low, size_high, size_octaves;
  uint64_t live_bytes;     // reachable from the task: slots and raw bytes
  uint64_t pool_bytes;     // reachable from the pool
  uint64_t retained_count; // items
  uint64_t retained_total; // their bytes
  uint64_t copied_bytes;   // by mitigation=copy
  uint64_t copy_threshold; // retained_total that triggers the next copy
  uint64_t burst_digest;   // of what was read back from bursts
} service;

// ---- items --------------------------------------------------------------------------------------

static void item_write(void *raw, item_header header) {
  memcpy(raw, &header, sizeof header);
  content_write((unsigned char *)raw + sizeof header, header.bytes - sizeof header, header.tag);
}

static item_header item_header_of(const void *raw) {
  item_header header;
  memcpy(&header, raw, sizeof header);
  return header;
}

static uint64_t item_digest(service *s, const void *raw) {
  const item_header header = item_header_of(raw);
  const unsigned char *content = (const unsigned char *)raw + sizeof header;
  if (header.bytes < sizeof header ||
      !content_matches(content, header.bytes - sizeof header, header.tag))
    workload_invalid(s->run, "a retained object has wrong content");
  return content_digest(raw, header.bytes);
}

// ---- what the task retains ----------------------------------------------------------------------

static void retain_link(service *s, size_t entry, heap_ref item) {
  const heap_ref index = s->task_roots[TASK_INDEX];
  heap_store(s->task_t, item, ITEM_NEXT, heap_load(s->task_t, index, entry));
  heap_store(s->task_t, index, entry, item);
  s->live_bytes += sizeof(heap_ref);
}

// Room for `bytes` in the newest chunk; the address dies at the next safepoint.
static unsigned char *retain_chunk_room(service *s, size_t bytes) {
  heap_ref *const chunk = &s->task_roots[TASK_CHUNK];
  uint64_t *used = heap_is_null(*chunk) ? NULL : heap_write(s->task_t, *chunk, CHUNK_REFS);
  if (!used || *used + bytes > CHUNK_BYTES) {
    const heap_ref fresh = workload_new(s->run, s->task_t, CHUNK_REFS, CHUNK_BYTES);
    heap_store(s->task_t, fresh, CHUNK_NEXT, *chunk);
    *chunk = fresh;
    used = heap_write(s->task_t, fresh, CHUNK_REFS);
    *used = sizeof *used;
    s->live_bytes += sizeof(heap_ref) + CHUNK_BYTES;
  }
  unsigned char *room = (unsigned char *)used + *used;
  *used += bytes;
  return room;
}

// A new item with its content written.
static void retain_new(service *s, size_t entry, item_header header) {
  s->retained_count++;
  s->retained_total += header.bytes;
  if (s->mitigation == SERVICE_ARRAY) {
    item_write(retain_chunk_room(s, header.bytes), header);
    return;
  }
  const heap_ref item = workload_new(s->run, s->task_t, ITEM_REFS, header.bytes);
  item_write(heap_write(s->task_t, item, ITEM_REFS), header);
  retain_link(s, entry, item);
  s->live_bytes += header.bytes;
}

static bool burst_items_stay_in_place(const service *s) {
  return s->mitigation == SERVICE_NONE || s->mitigation == SERVICE_COPY;
}

// Replace every retained object of the list of one entry by a copy.
static void copy_entry(service *s, size_t entry) {
  heap_thread *t = s->task_t;
  heap_ref *const index = &s->task_roots[TASK_INDEX], *const old = &s->task_roots[TASK_OLD];
  *old = heap_load(t, *index, entry);
  heap_store(t, *index, entry, HEAP_NULL);
  while (!heap_is_null(*old)) {
    const uint64_t bytes = item_header_of(heap_read(t, *old, ITEM_REFS)).bytes;
    const heap_ref fresh = workload_new(s->run, t, ITEM_REFS, bytes);
    memcpy(heap_write(t, fresh, ITEM_REFS), heap_read(t, *old, ITEM_REFS), bytes);
    heap_store(t, fresh, ITEM_NEXT, heap_load(t, *index, entry));
    heap_store(t, *index, entry, fresh);
    const heap_ref dead = *old;
    *old = heap_load(t, dead, ITEM_NEXT);
    heap_discard(t, dead);
    s->copied_bytes += bytes;
  }
}

static void copy_if_doubled(service *s) {
  if (s->retained_total < s->copy_threshold) return;
  for (size_t entry = 0; entry < s->entries; entry++) copy_entry(s, entry);
  s->copy_threshold = 2 * s->retained_total;
}

// ---- bursts -------------------------------------------------------------------------------------

static size_t pool_class(uint64_t bytes) {
  size_t size_class = 0;
  while (((uint64_t)POOL_SMALLEST << (size_class * POOL_FACTOR_LOG2)) < bytes) size_class++;
  return size_class;
}

static heap_ref pool_take(service *s, uint64_t bytes) {
  const size_t size_class = pool_class(bytes);
  const heap_ref pool = s->main_roots[MAIN_POOL];
  const heap_ref buffer = heap_load(s->t, pool, size_class);
  if (!heap_is_null(buffer)) {
    heap_store(s->t, pool, size_class, heap_load(s->t, buffer, ITEM_NEXT));
    return buffer;
  }
  const uint64_t capacity = (uint64_t)POOL_SMALLEST << (size_class * POOL_FACTOR_LOG2);
  s->pool_bytes += sizeof(heap_ref) + capacity;
  return workload_new(s->run, s->t, ITEM_REFS, capacity);
}

static void pool_give(service *s, heap_ref buffer) {
  const heap_ref pool = s->main_roots[MAIN_POOL];
  const size_t size_class = pool_class(item_header_of(heap_read(s->t, buffer, ITEM_REFS)).bytes);
  heap_store(s->t, buffer, ITEM_NEXT, heap_load(s->t, pool, size_class));
  heap_store(s->t, pool, size_class, buffer);
}

// Sizes of one burst: with mix=shift narrowly around a size of its own, so what one burst frees does
// not fit the next; with mix=uniform over the whole range. Octaves are equally likely.
typedef struct burst_sizes {
  uint64_t low, high;
} burst_sizes;

static burst_sizes burst_sizes_draw(service *s) {
  const uint64_t octave = s->size_low << hs_rng_below(&s->rng, s->size_octaves);
  if (s->mix == SERVICE_MIX_UNIFORM) return (burst_sizes){0, 0};
  const uint64_t high = octave + hs_rng_below(&s->rng, octave);
  return (burst_sizes){high - high / 4, high};
}

static item_header burst_item_draw(service *s, burst_sizes sizes) {
  uint64_t bytes;
  if (sizes.high == 0) {
    const uint64_t octave = s->size_low << hs_rng_below(&s->rng, s->size_octaves);
    bytes = octave + hs_rng_below(&s->rng, octave);
  } else {
    bytes = hs_rng_between(&s->rng, sizes.low, sizes.high);
  }
  if (bytes > s->size_high) bytes = s->size_high; // the last octave may reach beyond
  bytes = bytes / SIZE_ALIGN * SIZE_ALIGN;
  if (bytes < sizeof(item_header)) bytes = sizeof(item_header);
  return (item_header){hs_rng_next(&s->rng), bytes};
}

static void burst_allocate(service *s, heap_ref *list, item_header header) {
  const heap_ref item = s->mitigation == SERVICE_POOL
                            ? pool_take(s, header.bytes)
                            : workload_new(s->run, s->t, ITEM_REFS, header.bytes);
  item_write(heap_write(s->t, item, ITEM_REFS), header);
  heap_store(s->t, item, ITEM_NEXT, *list);
  *list = item;
}

// The burst of an entry, with what the entry retains spread evenly through it.
static void entry_begin(service *s, size_t entry) {
  const burst_sizes sizes = burst_sizes_draw(s);
  uint64_t allocated = 0, retained = 0;
  while (allocated < s->burst_bytes || retained < s->retained_bytes) {
    if (allocated < s->burst_bytes) {
      const item_header header = burst_item_draw(s, sizes);
      burst_allocate(s, &s->main_roots[MAIN_ENTRY], header);
      allocated += header.bytes;
    }
    if (retained < s->retained_bytes && (double)retained * (double)s->burst_bytes <=
                                            (double)allocated * (double)s->retained_bytes) {
      const uint64_t bytes = hs_rng_between(&s->rng, RETAINED_LOW, RETAINED_HIGH);
      const item_header header = {hs_rng_next(&s->rng), bytes / SIZE_ALIGN * SIZE_ALIGN};
      retain_new(s, entry, header);
      retained += header.bytes;
    }
  }
}

static bool item_is_kept(const service *s, item_header header) {
  return hs_mix64(header.tag) % PERMILLE < s->keep_permille;
}

// The burst dies, but for the items of it that the task keeps (entry < entries).
static void burst_end(service *s, heap_ref *list, size_t entry) {
  heap_thread *t = s->t;
  heap_ref *const item = &s->main_roots[MAIN_ITEM]; // rooted: retaining may be a safepoint
  while (!heap_is_null(*list)) {
    *item = *list;
    *list = heap_load(t, *item, ITEM_NEXT);
    const item_header header = item_header_of(heap_read(t, *item, ITEM_REFS));
    s->burst_digest = hs_mix64(s->burst_digest ^ header.tag);
    const bool kept = entry < s->entries && item_is_kept(s, header);
    if (kept && burst_items_stay_in_place(s)) {
      retain_link(s, entry, *item);
      s->live_bytes += header.bytes;
      s->retained_count++;
      s->retained_total += header.bytes;
      continue;
    }
    if (kept) retain_new(s, entry, header); // copied out: the content follows from the header
    if (s->mitigation == SERVICE_POOL)
      pool_give(s, *item);
    else
      heap_discard(t, *item);
  }
  *item = HEAP_NULL;
}

// An unrelated request: a burst of which nothing stays.
static void request_serve(service *s) {
  const burst_sizes sizes = burst_sizes_draw(s);
  for (uint64_t allocated = 0; allocated < s->burst_bytes;) {
    const item_header header = burst_item_draw(s, sizes);
    burst_allocate(s, &s->main_roots[MAIN_REQUEST], header);
    allocated += header.bytes;
  }
  burst_end(s, &s->main_roots[MAIN_REQUEST], s->entries);
}

// ---- the task -----------------------------------------------------------------------------------

static void task_run(service *s) {
  static const char *const names[QUARTERS] = {"25", "50", "75", "100"};
  size_t quarter = 0;
  for (size_t entry = 0; entry < s->entries; entry++) {
    const uint64_t entry_ns = workload_now_ns();
    entry_begin(s, entry);
    uint64_t requests_ns = 0;
    for (size_t request = 0; request < s->requests; request++) {
      const uint64_t begin_ns = workload_now_ns();
      request_serve(s);
      const uint64_t spent_ns = workload_now_ns() - begin_ns;
      workload_latency_add(s->run, spent_ns);
      requests_ns += spent_ns;
    }
    burst_end(s, &s->main_roots[MAIN_ENTRY], entry);
    if (s->mitigation == SERVICE_COPY) copy_if_doubled(s);
    workload_latency_add(s->run, workload_now_ns() - entry_ns - requests_ns);
    workload_progress(s->run, entry + 1, s->entries);
    if (entry + 1 == s->entries * (quarter + 1) / QUARTERS)
      workload_stage(s->run, names[quarter++], s->live_bytes + s->pool_bytes);
  }
}

// Read everything back. The sum does not depend on the order in which a variant keeps the items.
static void task_read(service *s) {
  heap_thread *t = s->task_t;
  uint64_t sum = 0, count = 0;
  for (size_t entry = 0; entry < s->entries; entry++) {
    heap_ref item = heap_load(t, s->task_roots[TASK_INDEX], entry);
    for (; !heap_is_null(item); item = heap_load(t, item, ITEM_NEXT), count++)
      sum += item_digest(s, heap_read(t, item, ITEM_REFS));
  }
  heap_ref chunk = s->task_roots[TASK_CHUNK];
  for (; !heap_is_null(chunk); chunk = heap_load(t, chunk, CHUNK_NEXT)) {
    const unsigned char *raw = heap_read(t, chunk, CHUNK_REFS);
    uint64_t used;
    memcpy(&used, raw, sizeof used);
    for (uint64_t at = sizeof used; at < used; count++) {
      sum += item_digest(s, raw + at);
      at += item_header_of(raw + at).bytes;
    }
  }
  if (count != s->retained_count)
    workload_invalid(s->run, "%llu objects retained, %llu found",
                     (unsigned long long)s->retained_count, (unsigned long long)count);
  workload_checksum_add(s->run, sum);
  workload_checksum_add(s->run, count);
  workload_checksum_add(s->run, s->burst_digest);
}

static void discard_list(heap_thread *t, heap_ref item) {
  while (!heap_is_null(item)) {
    const heap_ref next = heap_load(t, item, ITEM_NEXT);
    heap_discard(t, item);
    item = next;
  }
}

static void task_end(service *s) {
  heap_thread *t = s->task_t;
  for (size_t entry = 0; entry < s->entries; entry++)
    discard_list(t, heap_load(t, s->task_roots[TASK_INDEX], entry));
  discard_list(t, s->task_roots[TASK_CHUNK]); // chunks link through the same slot
  heap_discard(t, s->task_roots[TASK_INDEX]);
  s->task_roots[TASK_INDEX] = s->task_roots[TASK_CHUNK] = HEAP_NULL;
}

static void pool_drop(service *s) {
  const heap_ref pool = s->main_roots[MAIN_POOL];
  for (size_t size_class = 0; size_class < POOL_CLASSES; size_class++)
    discard_list(s->t, heap_load(s->t, pool, size_class));
  heap_discard(s->t, pool);
}

static service service_make(workload_run *run) {
  const uint64_t size_low = workload_param_value(run, "size_low");
  const uint64_t size_high = workload_param_value(run, "size_high");
  uint64_t octaves = 1;
  while (size_low << octaves < size_high) octaves++;
  return (service){.run = run,
                   .t = workload_thread(run),
                   .task_t = workload_thread(run),
                   .rng = hs_rng_seed(workload_seed(run)),
                   .mitigation = workload_param_value(run, "mitigation"),
                   .mix = workload_param_value(run, "mix"),
                   .entries = (size_t)workload_param_value(run, "entries"),
                   .requests = (size_t)workload_param_value(run, "requests"),
                   .burst_bytes = workload_param_value(run, "burst_bytes"),
                   .retained_bytes = workload_param_value(run, "retained_bytes"),
                   .keep_permille = workload_param_value(run, "keep_permille"),
                   .size_low = size_low,
                   .size_high = size_high,
                   .size_octaves = octaves,
                   .copy_threshold = COPY_FIRST};
}

static void service_run(workload_run *run) {
  service s = service_make(run);
  if (s.mitigation == SERVICE_SEPARATE) workload_heap_extra(run, &s.task_t);
  HEAP_FRAME(s.task_t, task_roots, TASK_ROOTS);
  HEAP_FRAME(s.t, main_roots, MAIN_ROOTS);
  s.task_roots = task_roots;
  s.main_roots = main_roots;
  task_roots[TASK_INDEX] = workload_new(run, s.task_t, s.entries, 0);
  s.live_bytes += s.entries * sizeof(heap_ref);
  if (s.mitigation == SERVICE_POOL) {
    main_roots[MAIN_POOL] = workload_new(run, s.t, POOL_CLASSES, 0);
    s.pool_bytes = POOL_CLASSES * sizeof(heap_ref);
  }

  workload_timed_begin(run);
  task_run(&s);
  workload_timed_end(run, s.entries * (1 + s.requests));
  task_read(&s);
  workload_metric(run, "retained_bytes", (double)s.retained_total);
  workload_metric(run, "retained_count", (double)s.retained_count);
  if (s.mitigation == SERVICE_COPY) workload_metric(run, "copied_bytes", (double)s.copied_bytes);

  task_end(&s);
  workload_stage(run, "end", s.pool_bytes); // the pool belongs to the service and stays
  if (s.mitigation == SERVICE_POOL) pool_drop(&s);
  HEAP_FRAME_END(s.t, main_roots);
  HEAP_FRAME_END(s.task_t, task_roots);
}

static const workload_param service_params[] = {
    {"mitigation", "what the program does against fragmentation", SERVICE_NONE, SERVICE_NONE,
     SERVICE_SEPARATE, "none|copy|pool|array|separate"},
    {"entries", "entries of the long task (the account: about 50000)", 1000, 4, 1 << 24, NULL},
    {"burst_bytes", "bytes allocated for an entry or request (the account: 10 MiB)", 1 << 20, 1,
     1ull << 32, NULL},
    {"retained_bytes", "bytes that an entry retains in small objects", 768, 0, 1 << 20, NULL},
    {"keep_permille", "of the objects of an entry's burst, kept until the task ends", 1, 0,
     PERMILLE, NULL},
    {"requests", "unrelated bursts during each entry", 1, 0, 1000, NULL},
    {"size_low", "smallest object of a burst, bytes", 32, 16, 1024, NULL},
    {"size_high", "size that no object of a burst exceeds, bytes", 1024, 32, 2048, NULL},
    {"mix", "sizes of a burst: around one size of its own, or all", SERVICE_MIX_SHIFT,
     SERVICE_MIX_SHIFT, SERVICE_MIX_UNIFORM, "shift|uniform"},
};

const workload workload_service = {
    .name = "service",
    .summary = "a long task retains a little from each of many bursts",
    .params = service_params,
    .param_count = sizeof service_params / sizeof service_params[0],
    .run = service_run,
};
