// SPDX-License-Identifier: MIT
// Threads that keep writing a few of many objects while a heap may be moving them: what does a write
// cost beside an evacuation, and does one get lost in it? Each thread owns `objects` objects of mixed
// sizes in a table, `share` permille of them hot and scattered among the others. A write increments
// the counter in a random hot object of its thread. After every `every` writes the thread allocates
// an object, checks a random cold one, and stores the new object; the two phases differ in where:
//   steady       beside the table, where the next one replaces it: garbage in whole, nothing to move
//   fragmented   in place of the cold object: holes of all sizes around the hot objects
// so both allocate, store and drop the same, and collections come as often. The metric is writes per
// second in each, and their quotient; what the collector did meanwhile stands beside it.
//
// A thread knows how often it wrote each hot object. At the end every counter must say so, and every
// object must have the content of its number: an update lost in a copy ends the run as invalid.
#include <stdio.h>

#include "workloads/support.h"
#include "workloads/threads.h"

enum {
  SIZE_ALIGN = 8, // sizes are multiples of this
  WORDS_MIN = 4,  // header and one word of content
  PERMILLE = 1000,
  PHASES = 2,
};

enum { PHASE_STEADY, PHASE_FRAGMENTED };
static const char *const phase_names[PHASES] = {"steady", "fragmented"};

// What an object says of itself; its content follows.
typedef struct hot_header {
  uint64_t number; // of the object, in the content of which it is
  uint64_t writes; // the counter
  uint64_t bytes;  // raw bytes of the object
} hot_header;

// One thread's part; what it writes often is on its stack or its own scratch memory.
typedef struct hot_part {
  _Alignas(WORKLOAD_APART_BYTES) uint32_t *hot; // slots of its hot objects, ascending
  uint64_t *expected;                           // writes of each
  uint8_t *is_hot;                              // by slot, from the first of the part
  uint64_t number;                              // objects that the thread has made
  uint64_t begin_ns, end_ns;                    // of the last phase
  const char *wrong;                            // NULL, or what it saw
  bool no_memory;                               // an allocation failed
} hot_part;

typedef struct write_hot {
  uint64_t seed, writes, every;    // [const]
  uint64_t size_low, size_high;    // [const]
  size_t threads, per_thread, hot; // [const] objects of a thread; of those, hot
  int phase;                       // of the threads that run now
  heap_ref table;                  // global root: threads * per_thread slots
  heap_root table_root;
  hot_part parts[WORKLOAD_THREADS_MAX];
} write_hot;

enum { ROOT_TABLE, ROOT_FRESH, ROOT_BESIDE, ROOT_COUNT };

// One thread at work.
typedef struct hot_worker {
  const write_hot *shared;
  hot_part *part;
  heap_thread *t;
  heap_ref *root;      // ROOT_COUNT slots
  size_t index, first; // of the thread; of its slots
  hs_rng rng;
} hot_worker;

// ---- objects ------------------------------------------------------------------------------------

static uint64_t hot_tag(const write_hot *shared, size_t index, uint64_t number) {
  return content_tag(shared->seed, index + 1, number);
}

// ROOT_FRESH becomes a new object. False: no memory. Safepoint.
static bool object_create(hot_worker *w) {
  const write_hot *shared = w->shared;
  const uint64_t drawn = hs_rng_between(&w->rng, shared->size_low, shared->size_high);
  const size_t bytes = (size_t)(drawn / SIZE_ALIGN * SIZE_ALIGN);
  const heap_ref fresh = heap_alloc(w->t, 0, bytes);
  if (HS_UNLIKELY(heap_is_null(fresh))) return false;
  w->root[ROOT_FRESH] = fresh;
  const hot_header header = {.number = w->part->number++, .writes = 0, .bytes = bytes};
  unsigned char *raw = heap_write(w->t, fresh, 0);
  memcpy(raw, &header, sizeof header);
  content_write(raw + sizeof header, bytes - sizeof header,
                hot_tag(shared, w->index, header.number));
  return true;
}

// Its content is that of its number and nobody wrote it more or less often than `writes`.
static bool object_is_whole(const write_hot *shared, size_t index, const void *bytes,
                            uint64_t writes) {
  hot_header header;
  memcpy(&header, bytes, sizeof header);
  return header.bytes >= WORDS_MIN * sizeof(uint64_t) && header.bytes <= shared->size_high &&
         header.writes == writes &&
         content_matches((const unsigned char *)bytes + sizeof header,
                         (size_t)header.bytes - sizeof header,
                         hot_tag(shared, index, header.number));
}

// ---- one thread ---------------------------------------------------------------------------------

static hot_worker worker_make(write_hot *shared, heap_thread *t, size_t index, heap_ref *root) {
  root[ROOT_TABLE] = heap_root_load(t, &shared->table);
  return (hot_worker){
      .shared = shared,
      .part = &shared->parts[index],
      .t = t,
      .root = root,
      .index = index,
      .first = index * shared->per_thread,
      .rng = hs_rng_seed(content_tag(shared->seed, index + 1, (uint64_t)shared->phase << 32))};
}

// No safepoint: the pointer from heap_write is used at once.
static inline void write_one(hot_worker *w) {
  const size_t at = (size_t)hs_rng_below(&w->rng, w->shared->hot);
  const heap_ref object = heap_load(w->t, w->root[ROOT_TABLE], w->part->hot[at]);
  ((hot_header *)heap_write(w->t, object, 0))->writes++;
  w->part->expected[at]++;
}

static size_t cold_slot(hot_worker *w) {
  size_t at = (size_t)hs_rng_below(&w->rng, w->shared->per_thread);
  while (w->part->is_hot[at]) at = at + 1 < w->shared->per_thread ? at + 1 : 0;
  return w->first + at;
}

// Allocate, check a cold object, store: over it, or beside the table. False: no memory, or wrong.
static bool replace_one(hot_worker *w) {
  if (HS_UNLIKELY(!object_create(w))) {
    w->part->no_memory = true;
    return false;
  }
  const size_t slot = cold_slot(w);
  const heap_ref table = w->root[ROOT_TABLE], cold = heap_load(w->t, table, slot);
  if (HS_UNLIKELY(!object_is_whole(w->shared, w->index, heap_read(w->t, cold, 0), 0))) {
    w->part->wrong = "a cold object has wrong content";
    return false;
  }
  if (w->shared->phase == PHASE_FRAGMENTED) {
    heap_store(w->t, table, slot, w->root[ROOT_FRESH]);
    heap_discard(w->t, cold);
  } else {
    heap_discard(w->t, w->root[ROOT_BESIDE]);
    w->root[ROOT_BESIDE] = w->root[ROOT_FRESH];
  }
  w->root[ROOT_FRESH] = HEAP_NULL;
  return true;
}

static uint64_t worker_run(void *context, size_t index, heap_thread *t) {
  write_hot *shared = context;
  HEAP_FRAME(t, root, ROOT_COUNT);
  hot_worker w = worker_make(shared, t, index, root);
  uint64_t done = 0;
  w.part->begin_ns = workload_now_ns();
  while (done < shared->writes) {
    const uint64_t part = hs_min_u64(shared->every, shared->writes - done);
    for (uint64_t i = 0; i < part; i++) write_one(&w);
    done += part;
    if (!replace_one(&w)) break;
  }
  w.part->end_ns = workload_now_ns();
  heap_discard(t, root[ROOT_BESIDE]);
  HEAP_FRAME_END(t, root);
  return done;
}

// ---- phases -------------------------------------------------------------------------------------

// Hot slots: one at random in each of `hot` equal strides of the part, so they lie everywhere.
static void part_make(workload_run *run, write_hot *shared, size_t index) {
  hot_part *part = &shared->parts[index];
  part->hot = workload_scratch(run, shared->hot * sizeof *part->hot);
  part->expected = workload_scratch(run, shared->hot * sizeof *part->expected);
  part->is_hot = workload_scratch(run, shared->per_thread);
  hs_rng rng = hs_rng_seed(content_tag(shared->seed, 0, index));
  const size_t stride = shared->per_thread / shared->hot;
  for (size_t i = 0; i < shared->hot; i++) {
    const size_t at = i * stride + (size_t)hs_rng_below(&rng, stride);
    part->hot[i] = (uint32_t)(index * shared->per_thread + at);
    part->is_hot[at] = 1;
  }
}

static void part_free(workload_run *run, write_hot *shared, size_t index) {
  hot_part *part = &shared->parts[index];
  workload_scratch_free(run, part->is_hot, shared->per_thread);
  workload_scratch_free(run, part->expected, shared->hot * sizeof *part->expected);
  workload_scratch_free(run, part->hot, shared->hot * sizeof *part->hot);
}

static void table_fill(workload_run *run, write_hot *shared) {
  heap_thread *t = workload_thread(run);
  HEAP_FRAME(t, root, ROOT_COUNT);
  for (size_t index = 0; index < shared->threads; index++) {
    hot_worker w = worker_make(shared, t, index, root);
    for (size_t i = 0; i < shared->per_thread; i++) {
      if (!object_create(&w)) workload_out_of_memory(run);
      heap_store(t, root[ROOT_TABLE], w.first + i, root[ROOT_FRESH]);
    }
  }
  HEAP_FRAME_END(t, root);
}

// Check everything, into the checksum unless it is only to know; the payload that is live.
static uint64_t table_check(workload_run *run, write_hot *shared, bool last) {
  heap_thread *t = workload_thread(run);
  const heap_ref table = heap_root_load(t, &shared->table);
  uint64_t live_bytes = shared->threads * shared->per_thread * sizeof(heap_ref);
  for (size_t index = 0; index < shared->threads; index++) {
    const hot_part *part = &shared->parts[index];
    size_t next_hot = 0;
    for (size_t i = 0; i < shared->per_thread; i++) {
      const size_t slot = index * shared->per_thread + i;
      const heap_ref object = heap_load(t, table, slot);
      const void *bytes = heap_read(t, object, 0);
      const uint64_t expected = part->is_hot[i] ? part->expected[next_hot++] : 0;
      hot_header header;
      memcpy(&header, bytes, sizeof header);
      if (!object_is_whole(shared, index, bytes, expected))
        workload_invalid(run, "object %zu has wrong content: %llu writes, %llu were made", slot,
                         (unsigned long long)header.writes, (unsigned long long)expected);
      live_bytes += header.bytes;
      if (last) workload_checksum_add(run, content_digest(bytes, (size_t)header.bytes));
    }
  }
  return live_bytes;
}

static void phase_metric(workload_run *run, int phase, const char *what, double value) {
  char name[48];
  snprintf(name, sizeof name, "%s_%s", phase_names[phase], what);
  workload_metric(run, name, value);
}

// What the collector did between two readings, where the heap can say.
static void phase_collector(workload_run *run, int phase, const heap_stats *from,
                            const heap_stats *to) {
  static const heap_stat shown[] = {HEAP_STAT_cycles_count, HEAP_STAT_moved_bytes};
  for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
    if (heap_stats_has(to, shown[i]))
      phase_metric(run, phase, heap_stat_name(shown[i]),
                   (double)(to->value[shown[i]] - from->value[shown[i]]));
}

// Writes per second, all threads together: from when the first began until the last was done.
static double phase_run(workload_run *run, write_hot *shared, int phase) {
  heap_stats before, after;
  shared->phase = phase;
  heap_stats_read(workload_thread(run), &before);
  workload_threads_run(run, shared->threads, worker_run, shared);
  heap_stats_read(workload_thread(run), &after);
  uint64_t begin_ns = UINT64_MAX, end_ns = 0;
  for (size_t i = 0; i < shared->threads; i++) {
    const hot_part *part = &shared->parts[i];
    if (part->wrong) workload_invalid(run, "thread %zu: %s", i, part->wrong);
    if (part->no_memory) workload_out_of_memory(run);
    begin_ns = hs_min_u64(begin_ns, part->begin_ns);
    end_ns = part->end_ns > end_ns ? part->end_ns : end_ns;
  }
  const double writes = (double)shared->writes * (double)shared->threads;
  const double rate = writes / ((double)(end_ns - begin_ns) / 1e9);
  phase_metric(run, phase, "writes_per_s", rate);
  phase_collector(run, phase, &before, &after);
  workload_stage(run, phase_names[phase], table_check(run, shared, false));
  return rate;
}

static void write_hot_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  const size_t threads = (size_t)workload_param_value(run, "threads");
  write_hot shared = {.seed = workload_seed(run),
                      .writes = workload_param_value(run, "writes"),
                      .every = workload_param_value(run, "every"),
                      .size_low = workload_param_value(run, "size_low"),
                      .size_high = workload_param_value(run, "size_high"),
                      .threads = threads,
                      .per_thread = (size_t)workload_param_value(run, "objects"),
                      .phase = PHASES}; // neither: the table is filled first
  const uint64_t share = workload_param_value(run, "share");
  shared.hot = (size_t)hs_max_u64(1, shared.per_thread * share / PERMILLE);
  for (size_t i = 0; i < threads; i++) part_make(run, &shared, i);
  heap_root_add(t, &shared.table_root, &shared.table, 1);
  heap_root_store(t, &shared.table, workload_new(run, t, threads * shared.per_thread, 0));
  table_fill(run, &shared);

  const double steady = phase_run(run, &shared, PHASE_STEADY);
  const double fragmented = phase_run(run, &shared, PHASE_FRAGMENTED);
  workload_metric(run, "fragmented_to_steady_ratio", fragmented / steady);
  table_check(run, &shared, true);

  const heap_ref table = heap_root_load(t, &shared.table);
  for (size_t i = 0; i < threads * shared.per_thread; i++) heap_discard(t, heap_load(t, table, i));
  heap_discard(t, table);
  heap_root_remove(t, &shared.table_root);
  for (size_t i = 0; i < threads; i++) part_free(run, &shared, i);
}

static const workload_param write_hot_params[] = {
    {"threads", "threads, each writing objects of its own", 2, 1, WORKLOAD_THREADS_MAX, NULL},
    {"writes", "writes of each thread in each of the two phases", 5000000, 1, 1ull << 40, NULL},
    {"objects", "objects of each thread", 50000, 2, 1 << 24, NULL},
    {"share", "of them written, permille", 10, 1, PERMILLE / 2, NULL},
    {"every", "writes for each object that is allocated", 16, 1, 1 << 20, NULL},
    {"size_low", "smallest object, bytes", 32, WORDS_MIN * sizeof(uint64_t), 256, NULL},
    {"size_high", "size that no object exceeds, bytes", 512, 256, 32768, NULL},
};

const workload workload_write_hot = {
    .name = "write_hot",
    .summary = "writes to a few objects while the heap moves everything around them",
    .needs = HEAP_CAP_THREADS,
    .params = write_hot_params,
    .param_count = sizeof write_hot_params / sizeof write_hot_params[0],
    .run = write_hot_run,
};
