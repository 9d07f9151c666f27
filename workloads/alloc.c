// SPDX-License-Identifier: MIT
// Micro-costs: what one allocation, one dereference, one store costs, collection included. Sizes
// are compile-time constants, so each heap's fast path folds as it would in a program. Every case
// reads back what it wrote into the checksum, so no allocation or access can be optimised away.
// With several threads each runs the case on objects of its own, all at once: what one operation
// costs while others allocate, and what allocation gains from a core more.
#include "workloads/support.h"
#include "workloads/threads.h"

enum {
  GARBAGE_BYTES = 16,
  STORE_VALUES = 2, // store alternates between two values
  NODE_BYTES = 8,   // ring node: one reference and one word
  // Larger objects get fewer operations, so that a case takes a comparable time; never fewer than
  // 1/16 of `ops`, or fast heaps would finish below the clock's noise.
  PAIR_UNSCALED_BYTES = 64,
  PAIR_MAX_SCALE = 16,
};

// One thread at one case. On its own stack: shares no cache line with another.
typedef struct alloc_worker {
  heap_thread *t;
  uint64_t ops;
  uint64_t rounds;       // of batch16
  size_t batch;          // objects alive together in batch16
  size_t ring;           // nodes of the dereference and store cases, a power of two
  const uint32_t *order; // of the ring: the successor of each node
  uint64_t done;         // operations
  uint64_t elapsed_ns;   // that they took
  uint64_t sum;          // of what was read back
  bool no_memory;        // an allocation failed, and the case ended there
} alloc_worker;

// heap_alloc that notes a failure: the case must end, and the run does once all threads have ended.
// `t` is that of the worker, which the callers have in a register.
static inline heap_ref alloc_new(alloc_worker *a, heap_thread *t, size_t ref_count,
                                 size_t byte_count) {
  const heap_ref ref = heap_alloc(t, ref_count, byte_count);
  if (HS_UNLIKELY(heap_is_null(ref))) a->no_memory = true;
  return ref;
}

static void alloc_report(alloc_worker *a, uint64_t begin_ns, uint64_t ops) {
  a->elapsed_ns = workload_now_ns() - begin_ns;
  a->done = ops;
}

// Allocate 16 bytes, write a word, keep it in a root until the next one replaces it.
static void alloc_imm16(alloc_worker *a) {
  heap_thread *t = a->t;
  HEAP_FRAME(t, root, 1);
  uint64_t sum = 0;
  const uint64_t begin_ns = workload_now_ns();
  for (uint64_t i = 0; i < a->ops; i++) {
    root[0] = alloc_new(a, t, 0, GARBAGE_BYTES);
    if (HS_UNLIKELY(heap_is_null(root[0]))) break;
    uint64_t *word = heap_write(t, root[0], 0);
    *word = i;
    sum += *(const uint64_t *)heap_read(t, root[0], 0);
    heap_discard(t, root[0]);
  }
  alloc_report(a, begin_ns, a->ops);
  a->sum = sum;
  HEAP_FRAME_END(t, root);
}

// Allocate, write the first word, read the last one (zero unless it is the first), drop.
HS_ALWAYS_INLINE void alloc_pair(alloc_worker *a, size_t bytes) {
  heap_thread *t = a->t;
  const size_t last = bytes / sizeof(uint64_t) - 1;
  const size_t wanted = bytes / PAIR_UNSCALED_BYTES;
  const size_t scale = wanted < 1 ? 1 : wanted > PAIR_MAX_SCALE ? PAIR_MAX_SCALE : wanted;
  const uint64_t ops = a->ops / scale + 1;
  uint64_t sum = 0;
  const uint64_t begin_ns = workload_now_ns();
  for (uint64_t i = 0; i < ops; i++) {
    const heap_ref ref = alloc_new(a, t, 0, bytes);
    if (HS_UNLIKELY(heap_is_null(ref))) break;
    uint64_t *words = heap_write(t, ref, 0);
    words[0] = i;
    sum += words[0] + words[last];
    heap_discard(t, ref);
  }
  alloc_report(a, begin_ns, ops);
  a->sum = sum;
}

static void alloc_pair16(alloc_worker *a) { alloc_pair(a, 16); }
static void alloc_pair64(alloc_worker *a) { alloc_pair(a, 64); }
static void alloc_pair256(alloc_worker *a) { alloc_pair(a, 256); }
static void alloc_pair1024(alloc_worker *a) { alloc_pair(a, 1024); }
static void alloc_pair8192(alloc_worker *a) { alloc_pair(a, 8192); }

// The last of the objects is read back; 0 when there was no memory for one.
static uint64_t batch_fill(alloc_worker *a, const heap_ref *table) {
  heap_thread *t = a->t;
  for (size_t i = 0; i < a->batch; i++) {
    const heap_ref ref = alloc_new(a, t, 0, GARBAGE_BYTES);
    if (HS_UNLIKELY(heap_is_null(ref))) return 0;
    *(uint64_t *)heap_write(t, ref, 0) = i;
    heap_store(t, *table, i, ref);
  }
  return *(const uint64_t *)heap_read(t, heap_load(t, *table, a->batch - 1), 0);
}

// Fill a table with objects, then drop them all one by one; nanoseconds per object.
static void alloc_batch16(alloc_worker *a) {
  heap_thread *t = a->t;
  HEAP_FRAME(t, table, 1);
  table[0] = alloc_new(a, t, a->batch, 0);
  uint64_t sum = 0;
  const uint64_t begin_ns = workload_now_ns();
  for (uint64_t round = 0; round < a->rounds && !a->no_memory; round++) {
    sum += batch_fill(a, &table[0]);
    for (size_t i = 0; i < a->batch; i++) {
      heap_discard(t, heap_load(t, table[0], i));
      heap_store(t, table[0], i, HEAP_NULL);
    }
  }
  alloc_report(a, begin_ns, a->rounds * a->batch);
  a->sum = sum;
  heap_discard(t, table[0]);
  HEAP_FRAME_END(t, table);
}

// The successor of each of `ring` nodes in a random cyclic order (Sattolo's shuffle: one cycle
// through all).
static uint32_t *ring_order(workload_run *run, size_t ring) {
  uint32_t *order = workload_scratch(run, ring * sizeof *order);
  hs_rng rng = hs_rng_seed(workload_seed(run));
  for (size_t i = 0; i < ring; i++) order[i] = (uint32_t)i;
  for (size_t i = ring - 1; i > 0; i--) {
    const size_t j = (size_t)hs_rng_below(&rng, i);
    const uint32_t swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
  return order;
}

// *table becomes an array of `ring` nodes, each with its index as its word, which refer to each other
// in that order. False: no memory.
static bool ring_build(alloc_worker *a, heap_ref *table) {
  heap_thread *t = a->t;
  *table = alloc_new(a, t, a->ring, 0);
  for (size_t i = 0; i < a->ring && !a->no_memory; i++) {
    const heap_ref node = alloc_new(a, t, 1, NODE_BYTES);
    if (HS_UNLIKELY(heap_is_null(node))) break;
    *(uint64_t *)heap_write(t, node, 1) = i;
    heap_store(t, *table, i, node);
  }
  if (a->no_memory) return false;
  for (size_t i = 0; i < a->ring; i++)
    heap_store(t, heap_load(t, *table, i), 0, heap_load(t, *table, a->order[i]));
  return true;
}

static void ring_drop(alloc_worker *a, heap_ref *table) {
  for (size_t i = 0; i < a->ring; i++) heap_discard(a->t, heap_load(a->t, *table, i));
  heap_discard(a->t, *table);
  *table = HEAP_NULL;
}

// Dependent loads: follow the cycle. The latency of one dereference.
static void ring_deref(alloc_worker *a, const heap_ref *table) {
  heap_thread *t = a->t;
  heap_ref node = heap_load(t, *table, 0);
  const uint64_t begin_ns = workload_now_ns();
  for (uint64_t i = 0; i < a->ops; i++) node = heap_load(t, node, 0);
  alloc_report(a, begin_ns, a->ops);
  a->sum = *(const uint64_t *)heap_read(t, node, 1);
}

// Independent loads: a slot of the table, then a word of the object. The throughput.
static void ring_load(alloc_worker *a, const heap_ref *table) {
  heap_thread *t = a->t;
  const size_t mask = a->ring - 1;
  uint64_t sum = 0;
  const uint64_t begin_ns = workload_now_ns();
  for (uint64_t i = 0; i < a->ops; i++)
    sum += *(const uint64_t *)heap_read(t, heap_load(t, *table, (size_t)i & mask), 1);
  alloc_report(a, begin_ns, a->ops);
  a->sum = sum;
}

// Reference stores through the barrier into the slots of separate objects.
static void ring_store(alloc_worker *a, const heap_ref *table) {
  heap_thread *t = a->t;
  const size_t mask = a->ring - 1;
  heap_ref values[STORE_VALUES]; // no safepoint in the loop: plain variables are good
  for (size_t v = 0; v < STORE_VALUES; v++) values[v] = heap_load(t, *table, v & mask);
  const uint64_t begin_ns = workload_now_ns();
  for (uint64_t i = 0; i < a->ops; i++)
    heap_store(t, heap_load(t, *table, (size_t)i & mask), 0, values[(i / a->ring) % STORE_VALUES]);
  alloc_report(a, begin_ns, a->ops);
  uint64_t sum = 0;
  for (size_t i = 0; i < a->ring; i++) {
    const heap_ref successor = heap_load(t, heap_load(t, *table, i), 0);
    sum += *(const uint64_t *)heap_read(t, successor, 1);
  }
  a->sum = sum;
}

HS_ALWAYS_INLINE void ring_case(alloc_worker *a, void (*body)(alloc_worker *, const heap_ref *)) {
  HEAP_FRAME(a->t, table, 1);
  if (ring_build(a, &table[0])) {
    body(a, &table[0]);
    ring_drop(a, &table[0]);
  }
  HEAP_FRAME_END(a->t, table);
}

static void alloc_deref(alloc_worker *a) { ring_case(a, ring_deref); }
static void alloc_load(alloc_worker *a) { ring_case(a, ring_load); }
static void alloc_store(alloc_worker *a) { ring_case(a, ring_store); }

static const struct alloc_case {
  const char *metric;
  void (*run)(alloc_worker *a);
} alloc_cases[] = {
    {"imm16_ns", alloc_imm16},     {"pair16_ns", alloc_pair16},     {"pair64_ns", alloc_pair64},
    {"pair256_ns", alloc_pair256}, {"pair1024_ns", alloc_pair1024}, {"pair8192_ns", alloc_pair8192},
    {"batch16_ns", alloc_batch16}, {"deref_ns", alloc_deref},       {"load_ns", alloc_load},
    {"store_ns", alloc_store},
};
enum { ALLOC_CASE_COUNT = sizeof alloc_cases / sizeof alloc_cases[0] };

// One case on all threads.
typedef struct alloc_section {
  const struct alloc_case *of;
  alloc_worker start;                         // what each thread starts from
  alloc_worker results[WORKLOAD_THREADS_MAX]; // written once, when a thread is done
} alloc_section;

static uint64_t alloc_thread(void *context, size_t index, heap_thread *t) {
  alloc_section *section = context;
  alloc_worker worker = section->start;
  worker.t = t;
  section->of->run(&worker);
  section->results[index] = worker;
  return worker.done;
}

// The metric is the time that one operation took on one thread, mean over the threads. The sum of
// what they read back does not depend on their number but by a factor, nor on who was first.
static void alloc_case_run(workload_run *run, alloc_section *section, size_t threads) {
  workload_threads_run(run, threads, alloc_thread, section);
  uint64_t elapsed_ns = 0, done = 0, sum = 0;
  for (size_t i = 0; i < threads; i++) {
    const alloc_worker *result = &section->results[i];
    if (result->no_memory) workload_out_of_memory(run);
    elapsed_ns += result->elapsed_ns;
    done += result->done;
    sum += result->sum;
  }
  workload_metric(run, section->of->metric, (double)elapsed_ns / (double)done);
  workload_checksum_add(run, sum);
}

static void alloc_workload_run(workload_run *run) {
  const uint64_t chosen = workload_param_value(run, "case"); // 0 is all, else 1 + index
  const size_t threads = (size_t)workload_param_value(run, "threads");
  const size_t ring = (size_t)1 << workload_param_value(run, "ring");
  uint32_t *order = ring_order(run, ring);
  alloc_section section = {.start = {.ops = workload_param_value(run, "ops"),
                                     .rounds = workload_param_value(run, "rounds"),
                                     .batch = (size_t)1 << workload_param_value(run, "batch"),
                                     .ring = ring,
                                     .order = order}};
  for (size_t i = 0; i < ALLOC_CASE_COUNT; i++) {
    if (chosen != 0 && chosen != i + 1) continue;
    section.of = &alloc_cases[i];
    alloc_case_run(run, &section, threads);
  }
  workload_scratch_free(run, order, ring * sizeof *order);
  workload_stage(run, "end", 0);
}

static const workload_param alloc_params[] = {
    {"case", "the case to run", 0, 0, ALLOC_CASE_COUNT,
     "all|imm16|pair16|pair64|pair256|pair1024|pair8192|batch16|deref|load|store"},
    {"ops", "operations of a case; fewer for objects above 64 bytes", 10000000, 1, 1ull << 36,
     NULL},
    {"rounds", "rounds of batch16", 10, 1, 1ull << 20, NULL},
    {"batch", "log2 of the objects alive together in batch16", 20, 1, 28, NULL},
    {"ring", "log2 of the nodes in deref, load and store", 12, 1, 24, NULL},
    {"threads", "threads, each doing all operations of a case", 1, 1, WORKLOAD_THREADS_MAX, NULL},
};

const workload workload_alloc = {
    .name = "alloc",
    .summary = "micro-costs of allocation, dereference and store",
    .params = alloc_params,
    .param_count = sizeof alloc_params / sizeof alloc_params[0],
    .run = alloc_workload_run,
};
