// SPDX-License-Identifier: MIT
#include "tests/unit/compact/model.h"

#include <stdio.h>
#include <string.h>

// Bytes of an object beyond its identity are a function of the identity.
static unsigned char pattern(uint64_t id, size_t at) { return (unsigned char)(hs_mix64(id) + at); }

static bool complain(const model *m, const char *what, uint64_t id) {
  (void)m;
  fprintf(stderr, "model: %s, object %llu\n", what, (unsigned long long)id);
  return false;
}

void model_init(model *m, heap_thread *thread, heap_ref *roots, uint64_t seed, bool large) {
  memset(m, 0, sizeof *m);
  m->thread = thread;
  m->roots = roots;
  m->rng = hs_rng_seed(seed);
  m->large = large;
  m->next_id = seed << 32 | 1;
  for (int i = 0; i < MODEL_ROOTS; i++) m->root[i] = -1;
  for (int32_t i = 0; i < MODEL_NODES; i++) m->free[i] = MODEL_NODES - 1 - i;
  m->free_count = MODEL_NODES;
}

static void reach(model *m, int32_t start) {
  int32_t stack[MODEL_NODES];
  int depth = 0;
  if (start < 0 || m->nodes[start].reached) return;
  m->nodes[start].reached = true;
  stack[depth++] = start;
  while (depth > 0) {
    const model_node *const node = &m->nodes[stack[--depth]];
    for (int s = 0; s < MODEL_SLOTS; s++) {
      const int32_t to = node->slots[s];
      if (to < 0 || m->nodes[to].reached) continue;
      m->nodes[to].reached = true;
      stack[depth++] = to;
    }
  }
}

// Model's own collection: node numbers of unreachable nodes are free again.
static void model_reclaim(model *m) {
  for (int i = 0; i < MODEL_NODES; i++) m->nodes[i].reached = false;
  for (int i = 0; i < MODEL_ROOTS; i++) reach(m, m->root[i]);
  m->free_count = 0;
  for (int32_t i = MODEL_NODES - 1; i >= 0; i--)
    if (!m->nodes[i].reached) m->free[m->free_count++] = i;
}

static uint32_t pick_bytes(model *m) {
  switch (hs_rng_below(&m->rng, 16)) {
  case 0:
    return 8 + (uint32_t)hs_rng_below(&m->rng, 4096);
  case 1:
    return 8 + (uint32_t)hs_rng_below(&m->rng, 40000);
  case 2:
    return m->large ? 8 + (uint32_t)hs_rng_below(&m->rng, 200000) : 8;
  default:
    return 8 + (uint32_t)hs_rng_below(&m->rng, 64);
  }
}

static bool node_matches(model *m, const model_node *node, heap_ref object) {
  const unsigned char *const bytes = heap_read(m->thread, object, node->ref_count);
  uint64_t id;
  memcpy(&id, bytes, sizeof id);
  if (id != node->id) return complain(m, "wrong identity", node->id);
  for (size_t at = 8; at < node->byte_count; at += at < 64 ? 1 : 509)
    if (bytes[at] != pattern(id, at)) return complain(m, "wrong bytes", id);
  return true;
}

static bool allocate(model *m) {
  if (m->free_count == 0) model_reclaim(m);
  if (m->free_count == 0) return true;
  const int32_t number = m->free[m->free_count - 1];
  model_node *const node = &m->nodes[number];
  const uint32_t refs = hs_rng_below(&m->rng, 40) == 0 ? (uint32_t)hs_rng_below(&m->rng, 5000)
                                                       : (uint32_t)hs_rng_below(&m->rng, 8);
  const uint32_t byte_count = pick_bytes(m);
  const heap_ref object = heap_alloc(m->thread, refs, byte_count);
  if (heap_is_null(object)) {
    m->out_of_memory++;
    return true;
  }
  m->free_count--;
  *node = (model_node){.id = m->next_id++, .ref_count = refs, .byte_count = byte_count};
  for (int s = 0; s < MODEL_SLOTS; s++) node->slots[s] = -1;
  for (uint32_t s = 0; s < refs; s++)
    if (!heap_is_null(heap_load(m->thread, object, s)))
      return complain(m, "new slot not null", node->id);
  unsigned char *const bytes = heap_write(m->thread, object, refs);
  for (uint32_t at = 0; at < byte_count; at++)
    if (bytes[at] != 0) return complain(m, "new byte not zero", node->id);
  memcpy(bytes, &node->id, sizeof node->id);
  for (size_t at = 8; at < byte_count; at++) bytes[at] = pattern(node->id, at);
  const size_t root = hs_rng_below(&m->rng, MODEL_ROOTS);
  // A third of the objects keep what the root held before.
  if (refs > 0 && hs_rng_below(&m->rng, 3) == 0) {
    heap_store(m->thread, object, 0, m->roots[root]);
    node->slots[0] = m->root[root];
  }
  m->roots[root] = object;
  m->root[root] = number;
  return true;
}

static size_t pick_slot(model *m, const model_node *node) {
  const uint32_t shown = node->ref_count < MODEL_SLOTS ? node->ref_count : MODEL_SLOTS;
  return (size_t)hs_rng_below(&m->rng, shown);
}

static bool store(model *m) {
  const size_t from = hs_rng_below(&m->rng, MODEL_ROOTS), to = hs_rng_below(&m->rng, MODEL_ROOTS);
  if (m->root[from] < 0 || m->nodes[m->root[from]].ref_count == 0) return true;
  model_node *const node = &m->nodes[m->root[from]];
  const size_t slot = pick_slot(m, node);
  heap_store(m->thread, m->roots[from], slot, m->roots[to]);
  node->slots[slot] = m->root[to];
  return true;
}

// Follow a random slot and root what is there.
static bool follow(model *m) {
  const size_t from = hs_rng_below(&m->rng, MODEL_ROOTS), to = hs_rng_below(&m->rng, MODEL_ROOTS);
  if (m->root[from] < 0 || m->nodes[m->root[from]].ref_count == 0) return true;
  const model_node *const node = &m->nodes[m->root[from]];
  if (!node_matches(m, node, m->roots[from])) return false;
  const size_t slot = pick_slot(m, node);
  const heap_ref found = heap_load(m->thread, m->roots[from], slot);
  const int32_t expected = node->slots[slot];
  if (heap_is_null(found) != (expected < 0)) return complain(m, "null or not", node->id);
  m->roots[to] = found;
  m->root[to] = expected;
  return true;
}

static bool drop(model *m) {
  const size_t root = hs_rng_below(&m->rng, MODEL_ROOTS);
  m->roots[root] = HEAP_NULL;
  m->root[root] = -1;
  return true;
}

bool model_step(model *m) {
  switch (hs_rng_below(&m->rng, 10)) {
  case 0:
  case 1:
  case 2:
  case 3:
    return allocate(m);
  case 4:
  case 5:
    return store(m);
  case 6:
  case 7:
  case 8:
    return follow(m);
  default:
    return hs_rng_below(&m->rng, 4) == 0 ? drop(m) : true;
  }
}

// Depth first with a stack of references: no allocation, so no safepoint and no stale reference.
bool model_check(model *m) {
  static _Thread_local struct {
    heap_ref ref;
    int32_t number;
  } stack[MODEL_NODES];
  int depth = 0;
  for (int i = 0; i < MODEL_NODES; i++) m->nodes[i].reached = false;
  for (int i = 0; i < MODEL_ROOTS; i++) {
    if (heap_is_null(m->roots[i]) != (m->root[i] < 0)) return complain(m, "root null or not", 0);
    if (m->root[i] < 0 || m->nodes[m->root[i]].reached) continue;
    m->nodes[m->root[i]].reached = true;
    stack[depth].ref = m->roots[i];
    stack[depth++].number = m->root[i];
    while (depth > 0) {
      const heap_ref ref = stack[--depth].ref;
      const model_node *const node = &m->nodes[stack[depth].number];
      if (!node_matches(m, node, ref)) return false;
      for (uint32_t s = 0; s < MODEL_SLOTS && s < node->ref_count; s++) {
        const heap_ref to = heap_load(m->thread, ref, s);
        if (heap_is_null(to) != (node->slots[s] < 0)) return complain(m, "slot", node->id);
        if (node->slots[s] < 0 || m->nodes[node->slots[s]].reached) continue;
        m->nodes[node->slots[s]].reached = true;
        stack[depth].ref = to;
        stack[depth++].number = node->slots[s];
      }
    }
  }
  return true;
}
