// SPDX-License-Identifier: MIT
// Micro-costs: what one allocation, one dereference, one store costs, collection included. Sizes
// are compile-time constants, so each heap's fast path folds as it would in a program. Every case
// reads back what it wrote into the checksum, so no allocation or access can be optimised away.
#include "workloads/support.h"

enum {
  GARBAGE_BYTES = 16,
  STORE_VALUES = 2, // store alternates between two values
  NODE_BYTES = 8,   // ring node: one reference and one word
  // Larger objects get fewer operations, so that a case takes a comparable time; never fewer than
  // 1/16 of `ops`, or fast heaps would finish below the clock's noise.
  PAIR_UNSCALED_BYTES = 64,
  PAIR_MAX_SCALE = 16,
};

typedef struct alloc_run {
  workload_run *run;
  heap_thread *t;
  uint64_t ops;
  uint64_t rounds;    // of batch16
  size_t batch;       // objects alive together in batch16
  size_t ring;        // nodes of the dereference and store cases, a power of two
  uint64_t done;      // operations of all cases
  const char *metric; // of the case under way
} alloc_run;

static void alloc_report(alloc_run *a, uint64_t begin_ns, uint64_t ops) {
  const uint64_t elapsed_ns = workload_now_ns() - begin_ns;
  workload_metric(a->run, a->metric, (double)elapsed_ns / (double)ops);
  a->done += ops;
}

// Allocate 16 bytes, write a word, keep it in a root until the next one replaces it.
static void alloc_imm16(alloc_run *a) {
  heap_thread *t = a->t;
  HEAP_FRAME(t, root, 1);
  uint64_t sum = 0;
  const uint64_t begin_ns = workload_now_ns();
  for (uint64_t i = 0; i < a->ops; i++) {
    root[0] = workload_new(a->run, t, 0, GARBAGE_BYTES);
    uint64_t *word = heap_write(t, root[0], 0);
    *word = i;
    sum += *(const uint64_t *)heap_read(t, root[0], 0);
    heap_discard(t, root[0]);
  }
  alloc_report(a, begin_ns, a->ops);
  workload_checksum_add(a->run, sum);
  HEAP_FRAME_END(t, root);
}

// Allocate, write the first word, read the last one (zero unless it is the first), drop.
HS_ALWAYS_INLINE void alloc_pair(alloc_run *a, size_t bytes) {
  heap_thread *t = a->t;
  const size_t last = bytes / sizeof(uint64_t) - 1;
  const size_t wanted = bytes / PAIR_UNSCALED_BYTES;
  const size_t scale = wanted < 1 ? 1 : wanted > PAIR_MAX_SCALE ? PAIR_MAX_SCALE : wanted;
  const uint64_t ops = a->ops / scale + 1;
  uint64_t sum = 0;
  const uint64_t begin_ns = workload_now_ns();
  for (uint64_t i = 0; i < ops; i++) {
    const heap_ref ref = workload_new(a->run, t, 0, bytes);
    uint64_t *words = heap_write(t, ref, 0);
    words[0] = i;
    sum += words[0] + words[last];
    heap_discard(t, ref);
  }
  alloc_report(a, begin_ns, ops);
  workload_checksum_add(a->run, sum);
}

static void alloc_pair16(alloc_run *a) { alloc_pair(a, 16); }
static void alloc_pair64(alloc_run *a) { alloc_pair(a, 64); }
static void alloc_pair256(alloc_run *a) { alloc_pair(a, 256); }
static void alloc_pair1024(alloc_run *a) { alloc_pair(a, 1024); }
static void alloc_pair8192(alloc_run *a) { alloc_pair(a, 8192); }

static uint64_t batch_fill(alloc_run *a, const heap_ref *table) {
  heap_thread *t = a->t;
  for (size_t i = 0; i < a->batch; i++) {
    const heap_ref ref = workload_new(a->run, t, 0, GARBAGE_BYTES);
    *(uint64_t *)heap_write(t, ref, 0) = i;
    heap_store(t, *table, i, ref);
  }
  return *(const uint64_t *)heap_read(t, heap_load(t, *table, a->batch - 1), 0);
}

// Fill a table with objects, then drop them all one by one; nanoseconds per object.
static void alloc_batch16(alloc_run *a) {
  heap_thread *t = a->t;
  HEAP_FRAME(t, table, 1);
  table[0] = workload_new(a->run, t, a->batch, 0);
  uint64_t sum = 0;
  const uint64_t begin_ns = workload_now_ns();
  for (uint64_t round = 0; round < a->rounds; round++) {
    sum += batch_fill(a, &table[0]);
    for (size_t i = 0; i < a->batch; i++) {
      heap_discard(t, heap_load(t, table[0], i));
      heap_store(t, table[0], i, HEAP_NULL);
    }
  }
  alloc_report(a, begin_ns, a->rounds * a->batch);
  workload_checksum_add(a->run, sum);
  heap_discard(t, table[0]);
  HEAP_FRAME_END(t, table);
}

// *table becomes an array of `ring` nodes, each with its index as its word; node i refers to the
// node that follows it in a random cyclic order (Sattolo's shuffle: one cycle through all).
static void ring_build(alloc_run *a, heap_ref *table) {
  heap_thread *t = a->t;
  *table = workload_new(a->run, t, a->ring, 0);
  for (size_t i = 0; i < a->ring; i++) {
    const heap_ref node = workload_new(a->run, t, 1, NODE_BYTES);
    *(uint64_t *)heap_write(t, node, 1) = i;
    heap_store(t, *table, i, node);
  }
  const size_t order_bytes = a->ring * sizeof(uint32_t);
  uint32_t *order = workload_scratch(a->run, order_bytes);
  hs_rng rng = hs_rng_seed(workload_seed(a->run));
  for (size_t i = 0; i < a->ring; i++) order[i] = (uint32_t)i;
  for (size_t i = a->ring - 1; i > 0; i--) {
    const size_t j = (size_t)hs_rng_below(&rng, i);
    const uint32_t swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
  for (size_t i = 0; i < a->ring; i++)
    heap_store(t, heap_load(t, *table, i), 0, heap_load(t, *table, order[i]));
  workload_scratch_free(a->run, order, order_bytes);
}

static void ring_drop(alloc_run *a, heap_ref *table) {
  for (size_t i = 0; i < a->ring; i++) heap_discard(a->t, heap_load(a->t, *table, i));
  heap_discard(a->t, *table);
  *table = HEAP_NULL;
}

// Dependent loads: follow the cycle. The latency of one dereference.
static void alloc_deref(alloc_run *a) {
  heap_thread *t = a->t;
  HEAP_FRAME(t, table, 1);
  ring_build(a, &table[0]);
  heap_ref node = heap_load(t, table[0], 0);
  const uint64_t begin_ns = workload_now_ns();
  for (uint64_t i = 0; i < a->ops; i++) node = heap_load(t, node, 0);
  alloc_report(a, begin_ns, a->ops);
  workload_checksum_add(a->run, *(const uint64_t *)heap_read(t, node, 1));
  ring_drop(a, &table[0]);
  HEAP_FRAME_END(t, table);
}

// Independent loads: a slot of the table, then a word of the object. The throughput.
static void alloc_load(alloc_run *a) {
  heap_thread *t = a->t;
  HEAP_FRAME(t, table, 1);
  ring_build(a, &table[0]);
  const size_t mask = a->ring - 1;
  uint64_t sum = 0;
  const uint64_t begin_ns = workload_now_ns();
  for (uint64_t i = 0; i < a->ops; i++)
    sum += *(const uint64_t *)heap_read(t, heap_load(t, table[0], (size_t)i & mask), 1);
  alloc_report(a, begin_ns, a->ops);
  workload_checksum_add(a->run, sum);
  ring_drop(a, &table[0]);
  HEAP_FRAME_END(t, table);
}

// Reference stores through the barrier into the slots of separate objects.
static void alloc_store(alloc_run *a) {
  heap_thread *t = a->t;
  HEAP_FRAME(t, table, 1);
  ring_build(a, &table[0]);
  const size_t mask = a->ring - 1;
  heap_ref values[STORE_VALUES]; // no safepoint in the loop: plain variables are good
  for (size_t v = 0; v < STORE_VALUES; v++) values[v] = heap_load(t, table[0], v & mask);
  const uint64_t begin_ns = workload_now_ns();
  for (uint64_t i = 0; i < a->ops; i++)
    heap_store(t, heap_load(t, table[0], (size_t)i & mask), 0,
               values[(i / a->ring) % STORE_VALUES]);
  alloc_report(a, begin_ns, a->ops);
  uint64_t sum = 0;
  for (size_t i = 0; i < a->ring; i++) {
    const heap_ref successor = heap_load(t, heap_load(t, table[0], i), 0);
    sum += *(const uint64_t *)heap_read(t, successor, 1);
  }
  workload_checksum_add(a->run, sum);
  ring_drop(a, &table[0]);
  HEAP_FRAME_END(t, table);
}

static const struct alloc_case {
  const char *metric;
  void (*run)(alloc_run *a);
} alloc_cases[] = {
    {"imm16_ns", alloc_imm16},     {"pair16_ns", alloc_pair16},     {"pair64_ns", alloc_pair64},
    {"pair256_ns", alloc_pair256}, {"pair1024_ns", alloc_pair1024}, {"pair8192_ns", alloc_pair8192},
    {"batch16_ns", alloc_batch16}, {"deref_ns", alloc_deref},       {"load_ns", alloc_load},
    {"store_ns", alloc_store},
};
enum { ALLOC_CASE_COUNT = sizeof alloc_cases / sizeof alloc_cases[0] };

static void alloc_workload_run(workload_run *run) {
  const uint64_t chosen = workload_param_value(run, "case"); // 0 is all, else 1 + index
  alloc_run a = {.run = run,
                 .t = workload_thread(run),
                 .ops = workload_param_value(run, "ops"),
                 .rounds = workload_param_value(run, "rounds"),
                 .batch = (size_t)1 << workload_param_value(run, "batch"),
                 .ring = (size_t)1 << workload_param_value(run, "ring")};
  workload_timed_begin(run);
  for (size_t i = 0; i < ALLOC_CASE_COUNT; i++) {
    if (chosen != 0 && chosen != i + 1) continue;
    a.metric = alloc_cases[i].metric;
    alloc_cases[i].run(&a);
  }
  workload_timed_end(run, a.done);
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
};

const workload workload_alloc = {
    .name = "alloc",
    .summary = "micro-costs of allocation, dereference and store",
    .params = alloc_params,
    .param_count = sizeof alloc_params / sizeof alloc_params[0],
    .run = alloc_workload_run,
};
