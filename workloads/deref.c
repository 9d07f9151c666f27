// SPDX-License-Identifier: MIT
// The price of following references: a walk around a ring of 2^n nodes of 64 bytes, each step a
// reference read from the node before and a word of the node it leads to, so one step cannot begin
// before the one before ends.
//   sequential   the ring follows the order of allocation
//   shuffled     a random order, the same on every heap: nothing foretells the next address
// and each of them where the nodes lie
//   dense        side by side
//   sparse       among `gap` dropped objects each
//   compacted    the same nodes after a full collection that found the ring linked as it is walked: some
//                heaps move them together, in the order of allocation, or as the ring goes
// Six metrics, ns per step: the fastest of `rounds` walks, since noise only ever adds; and how long the two
// full collections took, ns per node. With n small the ring fits a cache and what is seen is the length of
// the path; with n large, what that path misses.
// All nodes are roots too, in the order of allocation: an index, as programs have it.
#include "workloads/support.h"

enum {
  NODE_REFS = 1,
  NODE_WORDS = 7,      // 1 reference + 7 words = 64 bytes, a cache line
  POLL_STEPS = 1 << 14 // steps between safepoints: a collector waits some 100 us at most
};

enum { ROOT_NODE, ROOT_GARBAGE, ROOT_COUNT };

typedef struct deref {
  workload_run *run;
  heap_thread *t;
  heap_ref *root;  // ROOT_COUNT slots
  heap_ref *nodes; // global roots, in order of allocation
  uint32_t *order; // a permutation of the nodes
  size_t count;    // of nodes
  uint64_t gap, laps, rounds;
} deref;

static size_t node_bytes(void) { return NODE_WORDS * sizeof(uint64_t); }

static heap_ref node_at(const deref *d, size_t i) { return heap_root_load(d->t, &d->nodes[i]); }

// Objects that lie between the nodes: a list, dropped when all nodes are there.
static void garbage_add(deref *d) {
  const heap_ref object = workload_new(d->run, d->t, NODE_REFS, node_bytes());
  content_write(heap_write(d->t, object, NODE_REFS), node_bytes(), 0);
  heap_store(d->t, object, 0, d->root[ROOT_GARBAGE]);
  d->root[ROOT_GARBAGE] = object;
}

static void garbage_drop(deref *d) {
  heap_ref object = d->root[ROOT_GARBAGE];
  while (!heap_is_null(object)) {
    const heap_ref next = heap_load(d->t, object, 0);
    heap_discard(d->t, object);
    object = next;
  }
  d->root[ROOT_GARBAGE] = HEAP_NULL;
}

static void nodes_build(deref *d, uint64_t gap) {
  for (size_t i = 0; i < d->count; i++) {
    const heap_ref node = workload_new(d->run, d->t, NODE_REFS, node_bytes());
    content_write(heap_write(d->t, node, NODE_REFS), node_bytes(),
                  content_tag(workload_seed(d->run), gap, i));
    heap_root_store(d->t, &d->nodes[i], node);
    for (uint64_t g = 0; g < gap; g++) garbage_add(d);
  }
  garbage_drop(d);
}

static void nodes_drop(deref *d, uint64_t gap) {
  for (size_t i = 0; i < d->count; i++) {
    const heap_ref node = node_at(d, i);
    if (!content_matches(heap_read(d->t, node, NODE_REFS), node_bytes(),
                         content_tag(workload_seed(d->run), gap, i)))
      workload_invalid(d->run, "node %zu has wrong content", i);
    heap_root_store(d->t, &d->nodes[i], HEAP_NULL);
    heap_discard(d->t, node);
  }
}

static size_t ring_position(const deref *d, bool shuffled, size_t i) {
  return shuffled ? d->order[i] : i;
}

// Each node refers to the next in the order, the last one to the first.
static void ring_link(deref *d, bool shuffled) {
  for (size_t i = 0; i < d->count; i++) {
    const size_t next = i + 1 < d->count ? i + 1 : 0;
    heap_store(d->t, node_at(d, ring_position(d, shuffled, i)), 0,
               node_at(d, ring_position(d, shuffled, next)));
  }
}

// `steps` steps from the node in the root, which then holds where they end; the sum of what was read.
static uint64_t ring_steps(deref *d, uint64_t steps) {
  heap_thread *t = d->t;
  uint64_t sum = 0;
  while (steps > 0) {
    const uint64_t part = hs_min_u64(steps, POLL_STEPS);
    heap_ref node = d->root[ROOT_NODE];
    for (uint64_t i = 0; i < part; i++) {
      node = heap_load(t, node, 0);
      sum += *(const uint64_t *)heap_read(t, node, NODE_REFS);
    }
    d->root[ROOT_NODE] = node;
    heap_poll(t);
    steps -= part;
  }
  return sum;
}

// Walk once unmeasured, then `rounds` times; ns per step of the fastest.
static void ring_walk(deref *d, const char *name, bool shuffled) {
  uint64_t best_ns = UINT64_MAX;
  const uint64_t steps = d->laps * d->count;
  const size_t first = ring_position(d, shuffled, 0);
  d->root[ROOT_NODE] = node_at(d, first);
  const uint64_t lap_sum = ring_steps(d, d->count);
  for (uint64_t round = 0; round < d->rounds; round++) {
    const uint64_t begin_ns = workload_now_ns();
    const uint64_t sum = ring_steps(d, steps);
    best_ns = hs_min_u64(best_ns, workload_now_ns() - begin_ns);
    if (sum != lap_sum * d->laps) workload_invalid(d->run, "two walks around %s differ", name);
  }
  if (!heap_same(d->t, d->root[ROOT_NODE], node_at(d, first)))
    workload_invalid(d->run, "the ring %s does not close", name);
  d->root[ROOT_NODE] = HEAP_NULL;
  workload_metric(d->run, name, (double)best_ns / (double)steps);
  workload_checksum_add(d->run, lap_sum);
}

static void ring_measure(deref *d, const char *name, bool shuffled) {
  ring_link(d, shuffled);
  ring_walk(d, name, shuffled);
}

static void ring_compact(deref *d, const char *name, bool shuffled) {
  ring_link(d, shuffled);
  const uint64_t begin_ns = workload_now_ns();
  heap_collect(d->t, HEAP_COLLECT_FULL);
  workload_metric(d->run, name, (double)(workload_now_ns() - begin_ns) / (double)d->count);
}

static void order_shuffle(deref *d) {
  hs_rng rng = hs_rng_seed(workload_seed(d->run));
  for (size_t i = 0; i < d->count; i++) d->order[i] = (uint32_t)i;
  for (size_t i = d->count - 1; i > 0; i--) {
    const size_t j = (size_t)hs_rng_below(&rng, i + 1);
    const uint32_t swapped = d->order[i];
    d->order[i] = d->order[j];
    d->order[j] = swapped;
  }
}

static void deref_phases(deref *d) {
  const uint64_t live_bytes = d->count * (NODE_REFS * sizeof(heap_ref) + node_bytes());
  nodes_build(d, 0);
  workload_stage(d->run, "dense", live_bytes);
  ring_measure(d, "dense_sequential_ns", false);
  ring_measure(d, "dense_shuffled_ns", true);
  nodes_drop(d, 0);

  nodes_build(d, d->gap);
  ring_measure(d, "sparse_sequential_ns", false);
  ring_measure(d, "sparse_shuffled_ns", true);
  ring_compact(d, "collect_sequential_ns", false);
  ring_walk(d, "compacted_sequential_ns", false);
  ring_compact(d, "collect_shuffled_ns", true);
  ring_walk(d, "compacted_shuffled_ns", true);
  workload_stage(d->run, "compacted", live_bytes);
  nodes_drop(d, d->gap);
}

static void deref_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  HEAP_FRAME(t, root, ROOT_COUNT);
  deref d = {.run = run,
             .t = t,
             .root = root,
             .count = (size_t)1 << workload_param_value(run, "n"),
             .gap = workload_param_value(run, "gap"),
             .rounds = workload_param_value(run, "rounds")};
  const uint64_t steps = workload_param_value(run, "steps");
  d.laps = (steps + d.count - 1) / d.count;
  d.nodes = workload_scratch(run, d.count * sizeof *d.nodes);
  d.order = workload_scratch(run, d.count * sizeof *d.order);
  order_shuffle(&d);
  heap_root nodes_root;
  heap_root_add(t, &nodes_root, d.nodes, d.count);
  deref_phases(&d);
  heap_root_remove(t, &nodes_root);
  workload_scratch_free(run, d.order, d.count * sizeof *d.order);
  workload_scratch_free(run, d.nodes, d.count * sizeof *d.nodes);
  HEAP_FRAME_END(t, root);
}

static const workload_param deref_params[] = {
    {"n", "log2 of the number of 64-byte nodes in the ring", 16, 1, 24, NULL},
    {"steps", "steps of a measured walk, rounded up to whole rings", 1 << 19, 1, 1ull << 32, NULL},
    {"rounds", "measured walks, of which the fastest counts", 3, 1, 1000, NULL},
    {"gap", "objects between two nodes that are dropped: the sparse and compacted cases", 6, 0, 255,
     NULL},
};

const workload workload_deref = {
    .name = "deref",
    .summary = "ns to follow a reference, by order, density and after compaction",
    .params = deref_params,
    .param_count = sizeof deref_params / sizeof deref_params[0],
    .run = deref_run,
};
