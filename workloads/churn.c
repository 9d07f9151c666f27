// SPDX-License-Identifier: MIT
// Steady replacement in a big graph: 2^n nodes of 64 bytes in a table; node i refers to the nodes
// P(i) and Q(i), where P and Q are affine bijections modulo 2^n. One operation replaces a random
// node by a fresh one and redirects the two nodes that refer to it. Exactly two nodes and the table
// refer to each node, and the inverse bijections say which, so ownership is known without tracing
// and every heap can run it. Live size never changes; what is seen is the time of each operation.
//
// With noalloc=1 the replaced node is used again: everything else is done, nothing is allocated.
// That is the floor of machine, clock and memory traffic.
#include "workloads/support.h"

enum {
  CHURN_REFS = 2,
  CHURN_WORDS = 6, // 2 references + 6 words = 64 bytes
  CHURN_WORD_INDEX = 0,
  CHURN_WORD_VERSION = 1,
  CHURN_WORD_CONTENT = 2, // the rest
  CHURN_WARMUP_SHARE = 4, // ops / 4 operations run before any is recorded
};

// x -> (factor * x + shift) mod 2^n, a bijection because the factor is odd.
typedef struct affine {
  uint64_t factor, inverse, shift, mask;
} affine;

static affine affine_make(hs_rng *rng, uint64_t mask) {
  const uint64_t factor = hs_rng_next(rng) | 1;
  // Newton's iteration doubles the correct low bits of the inverse; factor itself has three.
  uint64_t inverse = factor;
  for (int bits = 3; bits < 64; bits *= 2) inverse *= 2 - factor * inverse;
  return (affine){factor, inverse, hs_rng_next(rng) & mask, mask};
}

static uint64_t affine_apply(const affine *map, uint64_t x) {
  return (map->factor * x + map->shift) & map->mask;
}

static uint64_t affine_invert(const affine *map, uint64_t y) {
  return (map->inverse * (y - map->shift)) & map->mask;
}

typedef struct churn {
  heap_thread *t;
  heap_ref *table; // root slot: object of node_count slots
  size_t node_count;
  affine p, q;
  hs_rng rng;
  bool reuse; // noalloc=1
} churn;

static void churn_build(workload_run *run, churn *c) {
  *c->table = workload_new(run, c->t, c->node_count, 0);
  for (size_t i = 0; i < c->node_count; i++) {
    const heap_ref node = workload_new(run, c->t, CHURN_REFS, CHURN_WORDS * sizeof(uint64_t));
    uint64_t *words = heap_write(c->t, node, CHURN_REFS);
    words[CHURN_WORD_INDEX] = i;
    content_write(words + CHURN_WORD_CONTENT, (CHURN_WORDS - CHURN_WORD_CONTENT) * sizeof(uint64_t),
                  content_tag(workload_seed(run), 0, i));
    heap_store(c->t, *c->table, i, node);
  }
  for (size_t i = 0; i < c->node_count; i++) {
    const heap_ref node = heap_load(c->t, *c->table, i);
    heap_store(c->t, node, 0, heap_load(c->t, *c->table, affine_apply(&c->p, i)));
    heap_store(c->t, node, 1, heap_load(c->t, *c->table, affine_apply(&c->q, i)));
  }
}

// Replace one node. The table entry is replaced first: where P(i) == i or Q(i) == i, reading and
// writing through the table then treats the fresh node as its own predecessor and successor.
static inline void churn_step(workload_run *run, churn *c) {
  heap_thread *t = c->t;
  const size_t i = (size_t)hs_rng_below(&c->rng, c->node_count);
  const bool reuse = c->reuse;
  const heap_ref allocated =
      reuse ? HEAP_NULL : workload_new(run, t, CHURN_REFS, CHURN_WORDS * sizeof(uint64_t));
  const heap_ref table = *c->table;
  const heap_ref old = heap_load(t, table, i);
  const heap_ref fresh = reuse ? old : allocated;

  uint64_t words[CHURN_WORDS];
  memcpy(words, heap_read(t, old, CHURN_REFS), sizeof words);
  words[CHURN_WORD_VERSION]++;
  memcpy(heap_write(t, fresh, CHURN_REFS), words, sizeof words);

  heap_store(t, table, i, fresh);
  heap_store(t, fresh, 0, heap_load(t, table, affine_apply(&c->p, i)));
  heap_store(t, fresh, 1, heap_load(t, table, affine_apply(&c->q, i)));
  heap_store(t, heap_load(t, table, affine_invert(&c->p, i)), 0, fresh);
  heap_store(t, heap_load(t, table, affine_invert(&c->q, i)), 1, fresh);
  if (!reuse) heap_discard(t, old);
}

// One clock read per operation: the latency of an operation is the difference of successive reads.
static void churn_measure(workload_run *run, churn *c, uint64_t ops) {
  workload_timed_begin(run);
  uint64_t before = workload_now_ns();
  for (uint64_t op = 0; op < ops; op++) {
    churn_step(run, c);
    const uint64_t now = workload_now_ns();
    workload_latency_add(run, now - before);
    before = now;
  }
  workload_timed_end(run, ops);
}

// The graph is what the bijections say, and every node has the content of its index.
static void churn_read(workload_run *run, const churn *c) {
  heap_thread *t = c->t;
  const size_t content_bytes = (CHURN_WORDS - CHURN_WORD_CONTENT) * sizeof(uint64_t);
  uint64_t versions = 0;
  for (size_t i = 0; i < c->node_count; i++) {
    const heap_ref node = heap_load(t, *c->table, i);
    const heap_ref p = heap_load(t, *c->table, affine_apply(&c->p, i));
    const heap_ref q = heap_load(t, *c->table, affine_apply(&c->q, i));
    if (!heap_same(t, heap_load(t, node, 0), p) || !heap_same(t, heap_load(t, node, 1), q))
      workload_invalid(run, "node %zu refers to the wrong node", i);
    const uint64_t *words = heap_read(t, node, CHURN_REFS);
    if (words[CHURN_WORD_INDEX] != i || !content_matches(words + CHURN_WORD_CONTENT, content_bytes,
                                                         content_tag(workload_seed(run), 0, i)))
      workload_invalid(run, "node %zu has wrong content", i);
    versions += words[CHURN_WORD_VERSION];
    workload_checksum_add(run, content_digest(words, CHURN_WORDS * sizeof(uint64_t)));
  }
  workload_checksum_add(run, versions);
}

static void churn_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  HEAP_FRAME(t, root, 1);
  hs_rng rng = hs_rng_seed(workload_seed(run));
  const size_t node_count = (size_t)1 << workload_param_value(run, "n");
  const affine p = affine_make(&rng, node_count - 1), q = affine_make(&rng, node_count - 1);
  churn c = {.t = t,
             .table = &root[0],
             .node_count = node_count,
             .p = p,
             .q = q,
             .rng = rng,
             .reuse = workload_param_value(run, "noalloc") != 0};
  const uint64_t ops = workload_param_value(run, "ops");
  const size_t node_bytes = CHURN_REFS * sizeof(heap_ref) + CHURN_WORDS * sizeof(uint64_t);
  const uint64_t live_bytes = (uint64_t)node_count * (sizeof(heap_ref) + node_bytes);

  churn_build(run, &c);
  workload_stage(run, "built", live_bytes);
  for (uint64_t op = 0; op < ops / CHURN_WARMUP_SHARE; op++) churn_step(run, &c);
  churn_measure(run, &c, ops);
  workload_stage(run, "end", live_bytes);
  churn_read(run, &c);

  for (size_t i = 0; i < node_count; i++) heap_discard(t, heap_load(t, root[0], i));
  heap_discard(t, root[0]);
  HEAP_FRAME_END(t, root);
}

static const workload_param churn_params[] = {
    {"n", "log2 of the number of 64-byte nodes", 20, 1, 26, NULL},
    {"ops", "operations recorded, after ops/4 of warm-up", 2000000, 1, 1ull << 40, NULL},
    {"noalloc", "1: reuse the node instead of allocating (floor)", 0, 0, 1, NULL},
};

const workload workload_churn = {
    .name = "churn",
    .summary = "replace random nodes of a big graph; latency of every operation",
    .params = churn_params,
    .param_count = sizeof churn_params / sizeof churn_params[0],
    .run = churn_run,
};
