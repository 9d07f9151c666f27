// SPDX-License-Identifier: MIT
// The binary-trees program of the Computer Language Benchmarks Game: many short-lived perfect trees
// of every depth over one long-lived tree. A node is two references. Whoever builds a tree frees it
// as a whole, so explicit-free heaps run the same source.
#include "workloads/support.h"

enum { BINTREES_LEFT, BINTREES_RIGHT, BINTREES_REFS, BINTREES_DEPTH_LOW = 4 };

static heap_ref tree_build(workload_run *run, heap_thread *t, unsigned depth) {
  if (depth == 0) return workload_new(run, t, BINTREES_REFS, 0);
  HEAP_FRAME(t, child, BINTREES_REFS); // allocating the sibling and the node are safepoints
  child[BINTREES_LEFT] = tree_build(run, t, depth - 1);
  child[BINTREES_RIGHT] = tree_build(run, t, depth - 1);
  const heap_ref node = workload_new(run, t, BINTREES_REFS, 0);
  heap_store(t, node, BINTREES_LEFT, child[BINTREES_LEFT]);
  heap_store(t, node, BINTREES_RIGHT, child[BINTREES_RIGHT]);
  HEAP_FRAME_END(t, child);
  return node;
}

// Number of nodes. No safepoint inside, so plain references are good.
static uint64_t tree_count(heap_thread *t, heap_ref node) {
  const heap_ref left = heap_load(t, node, BINTREES_LEFT);
  if (heap_is_null(left)) return 1;
  return 1 + tree_count(t, left) + tree_count(t, heap_load(t, node, BINTREES_RIGHT));
}

static void tree_discard(heap_thread *t, heap_ref node) {
  const heap_ref left = heap_load(t, node, BINTREES_LEFT);
  if (!heap_is_null(left)) {
    tree_discard(t, left);
    tree_discard(t, heap_load(t, node, BINTREES_RIGHT));
  }
  heap_discard(t, node);
}

// The program frees a tree by walking it only where that frees memory: a traced heap need not.
static void tree_drop(heap_thread *t, heap_ref node) {
  if (HEAP_CAPS & HEAP_CAP_FREES) tree_discard(t, node);
}

static uint64_t tree_make_and_drop(workload_run *run, heap_thread *t, unsigned depth) {
  const heap_ref tree = tree_build(run, t, depth);
  const uint64_t nodes = tree_count(t, tree);
  tree_drop(t, tree);
  return nodes;
}

static void bintrees_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  const unsigned max_depth = (unsigned)workload_param_value(run, "depth");
  HEAP_FRAME(t, root, 1);
  uint64_t trees = 0;

  workload_timed_begin(run);
  workload_checksum_add(run, tree_make_and_drop(run, t, max_depth + 1)); // stretch the heap
  root[0] = tree_build(run, t, max_depth);
  for (unsigned depth = BINTREES_DEPTH_LOW; depth <= max_depth; depth += 2) {
    const uint64_t repeats = 1ull << (max_depth - depth + BINTREES_DEPTH_LOW);
    uint64_t nodes = 0;
    for (uint64_t i = 0; i < repeats; i++) nodes += tree_make_and_drop(run, t, depth);
    workload_checksum_add(run, nodes);
    trees += repeats;
  }
  workload_timed_end(run, trees);

  const uint64_t live_nodes = tree_count(t, root[0]);
  workload_checksum_add(run, live_nodes);
  workload_stage(run, "end", live_nodes * BINTREES_REFS * sizeof(heap_ref));
  workload_checksum_add(run, tree_count(t, root[0]));
  tree_drop(t, root[0]);
  HEAP_FRAME_END(t, root);
}

static const workload_param bintrees_params[] = {
    {"depth", "depth of the long-lived tree; 2^(depth+1) nodes", 16, BINTREES_DEPTH_LOW, 26, NULL},
};

const workload workload_bintrees = {
    .name = "bintrees",
    .summary = "binary-trees: many short-lived trees over a long-lived one",
    .params = bintrees_params,
    .param_count = sizeof bintrees_params / sizeof bintrees_params[0],
    .run = bintrees_run,
};
