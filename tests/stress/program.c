// SPDX-License-Identifier: MIT
#include "tests/stress/program.h"

#include <stdio.h>
#include <stdlib.h>

#include "allocators/os/os.h"
#include "allocators/runtime/stats.h"

enum {
  PLACE_TRIES = 24,   // walks to find a free slot, at most
  WALK_STEPS = 16,    // longest random walk from a root
  CUT_ONE_IN = 200,   // edges overwritten or removed
  NEST_STEPS = 40,    // steps run inside a nested frame
  TINY_BYTES = 16,    // pointer-free objects below may share a block, and then its fate
  CHECK_EVERY = 4000, // steps between comparisons of the whole graph
  FULL_PERCENT = 75,  // of the model's entries live: drop some roots
};

HS_NORETURN static void program_fail(const program *p, const char *what) {
  fprintf(stderr, "stress: %s: %s; seed %llu, thread %u, step %llu of %llu\n", HEAP_NAME, what,
          (unsigned long long)p->seed, p->id, (unsigned long long)p->step,
          (unsigned long long)p->steps);
  abort();
}
#define CHECK(p, condition, what)                                                                  \
  do {                                                                                             \
    if (HS_UNLIKELY(!(condition))) program_fail((p), (what));                                      \
  } while (0)

static uint32_t below(program *p, uint32_t bound) { return (uint32_t)hs_rng_below(&p->rng, bound); }

// ---- raw bytes: a pattern that depends on the key; long objects are probed, not read whole ----------

enum { DENSE_BYTES = 512, SPARSE_STEP = 509 };

static unsigned char pattern_byte(uint64_t key, uint32_t i) {
  return (unsigned char)(hs_mix64(key) >> (i % 8 * 8) ^ i);
}

static uint32_t pattern_next(uint32_t i) { return i < DENSE_BYTES ? i + 1 : i + SPARSE_STEP; }

static void bytes_write(program *p, heap_ref object, uint32_t refs, uint32_t count, uint64_t key) {
  unsigned char *bytes = heap_write(p->thread, object, refs);
  for (uint32_t i = 0; i < count; i = pattern_next(i)) bytes[i] = pattern_byte(key, i);
}

static void bytes_check(program *p, heap_ref object, uint32_t refs, uint32_t count, uint64_t key) {
  const unsigned char *bytes = heap_read(p->thread, object, refs);
  for (uint32_t i = 0; i < count; i = pattern_next(i))
    CHECK(p, bytes[i] == pattern_byte(key, i), "the bytes of an object changed");
}

static void object_check(program *p, heap_ref object, uint32_t index) {
  const model_object *m = &p->model.objects[index];
  CHECK(p, heap_is_null(object) == (index == 0), "a reference is null in one heap only");
  if (index != 0) bytes_check(p, object, m->ref_count, m->byte_count, m->key);
}

// ---- roots -----------------------------------------------------------------------------------------

static heap_ref root_get(program *p, uint32_t root) {
  if (root < FRAME_FIRST) return heap_root_load(p->thread, &p->global[root]);
  if (root < PIN_FIRST) return p->frame[root - FRAME_FIRST];
  if (root < NEST_FIRST) return p->pins[root - PIN_FIRST];
  return p->nest[(root - NEST_FIRST) / NEST_ROOTS][(root - NEST_FIRST) % NEST_ROOTS];
}

static void root_set(program *p, uint32_t root, heap_ref value, uint32_t index) {
  p->model.roots[root] = index;
  if (root < FRAME_FIRST) {
    heap_root_store(p->thread, &p->global[root], value);
  } else if (root < PIN_FIRST) {
    p->frame[root - FRAME_FIRST] = value;
  } else if (root < NEST_FIRST) {
    p->pins[root - PIN_FIRST] = value;
  } else {
    p->nest[(root - NEST_FIRST) / NEST_ROOTS][(root - NEST_FIRST) % NEST_ROOTS] = value;
  }
}

static uint32_t root_count(const program *p) { return NEST_FIRST + p->nest_depth * NEST_ROOTS; }

// A root that a step may overwrite: not a pin.
static uint32_t root_pick(program *p) {
  uint32_t root = below(p, root_count(p) - PIN_ROOTS);
  return root < PIN_FIRST ? root : root + PIN_ROOTS;
}

// A random walk through both graphs; the object where it ends, or null. Not a safepoint.
static uint32_t walk(program *p, heap_ref *out) {
  const uint32_t root = below(p, root_count(p));
  uint32_t index = p->model.roots[root];
  heap_ref object = root_get(p, root);
  object_check(p, object, index);
  for (uint32_t left = below(p, WALK_STEPS); index != 0 && left > 0; left--) {
    const model_object *m = &p->model.objects[index];
    if (m->ref_count == 0) break;
    const uint32_t slot = below(p, m->ref_count);
    if (m->slots[slot] == 0) continue;
    object = heap_load(p->thread, object, slot);
    index = m->slots[slot];
    object_check(p, object, index);
  }
  *out = object;
  return index;
}

// ---- the whole graph -------------------------------------------------------------------------------

typedef struct pair {
  heap_ref object;
  uint32_t index;
} pair;

// Compare everything the roots reach, and that one object is one object on every path. No safepoint.
static void graph_check(program *p) {
  static _Thread_local heap_ref seen[MODEL_OBJECTS];
  static _Thread_local pair pending[MODEL_OBJECTS];
  uint32_t count = 0;
  for (uint32_t i = 0; i < MODEL_OBJECTS; i++) seen[i] = HEAP_NULL;
#define MEET(reference, at)                                                                        \
  do {                                                                                             \
    const heap_ref met = (reference);                                                              \
    const uint32_t met_index = (at);                                                               \
    CHECK(p, heap_is_null(met) == (met_index == 0), "a reference is null in one heap only");       \
    if (met_index != 0 && heap_is_null(seen[met_index])) {                                         \
      seen[met_index] = met;                                                                       \
      pending[count++] = (pair){met, met_index};                                                   \
    } else if (met_index != 0) {                                                                   \
      CHECK(p, heap_same(p->thread, seen[met_index], met), "one object became two");               \
    }                                                                                              \
  } while (0)
  for (uint32_t r = 0; r < root_count(p); r++) MEET(root_get(p, r), p->model.roots[r]);
  while (count > 0) {
    const pair next = pending[--count];
    object_check(p, next.object, next.index);
    const model_object *m = &p->model.objects[next.index];
    for (uint32_t i = 0; i < m->ref_count; i++)
      MEET(heap_load(p->thread, next.object, i), m->slots[i]);
  }
#undef MEET
}

static void pins_check(program *p) {
  for (uint32_t i = 0; i < PIN_ROOTS; i++) {
    const uint32_t index = p->model.roots[PIN_FIRST + i];
    if (index == 0) continue;
    CHECK(p,
          heap_read(p->thread, p->pins[i], p->model.objects[index].ref_count) ==
              p->pin_addresses[i],
          "a pinned object moved");
  }
}

static void object_dead(void *context, const model_object *object) {
  program *p = context;
  if (HEAP_CAPS & HEAP_CAP_FREES) heap_discard(p->thread, object->address);
}

static void weak_drop(program *p, weak_cell *weak) {
  heap_weak_destroy(p->thread, weak->cell);
  *weak = (weak_cell){0};
}

// After a collection and the model's sweep: live targets are there, dead ones are gone.
static void weak_check(program *p, bool collected_all) {
  for (uint32_t i = 0; i < WEAK_CELLS; i++) {
    weak_cell *weak = &p->weak[i];
    if (!weak->cell) continue;
    const heap_ref target = heap_weak_get(p->thread, weak->cell);
    if (model_has(&p->model, weak->index, weak->serial)) {
      CHECK(p, !heap_is_null(target), "a weak reference lost a living object");
      object_check(p, target, weak->index);
    } else {
      CHECK(p, heap_is_null(target) || !collected_all || (HEAP_CAPS & HEAP_CAP_CONSERVATIVE) != 0,
            "a weak reference kept a dead object");
      weak_drop(p, weak);
    }
  }
}

// ---- steps -----------------------------------------------------------------------------------------

static void sweep(program *p) {
  model_sweep(&p->model, object_dead, p);
  if (p->model.live_count > p->peak_live) p->peak_live = p->model.live_count;
}

// Make room: forget most of what is not pinned.
static void roots_drop(program *p) {
  for (uint32_t r = 0; r < root_count(p); r++)
    if ((r < PIN_FIRST || r >= NEST_FIRST) && below(p, 4) != 0) root_set(p, r, HEAP_NULL, 0);
  sweep(p);
}

static uint32_t random_bytes(program *p) {
  const uint32_t dice = below(p, 1000);
  if (dice < 700) return below(p, 129);
  if (dice < 950) return below(p, 2049);
  if (dice < 995) return below(p, 40000);
  return below(p, p->limited ? 100000 : 600000);
}

// A free slot of the object, or MODEL_SLOTS.
static uint32_t free_slot(const model_object *m) {
  for (uint32_t i = 0; i < m->ref_count; i++)
    if (m->slots[i] == 0) return i;
  return MODEL_SLOTS;
}

// Give a new object (unrooted, no safepoint since its allocation) its place: mostly in a free slot, so
// that the graph grows, now and then over something else.
static void object_place(program *p, heap_ref object, uint32_t index) {
  if (HEAP_CAPS & HEAP_CAP_FREES) p->model.objects[index].address = object;
  for (uint32_t tries = 0; tries < PLACE_TRIES; tries++) {
    heap_ref parent;
    model_object *m = &p->model.objects[walk(p, &parent)];
    const uint32_t slot = free_slot(m);
    if (slot == MODEL_SLOTS) continue;
    heap_store(p->thread, parent, slot, object);
    m->slots[slot] = index;
    return;
  }
  root_set(p, root_pick(p), object, index);
}

static void step_alloc(program *p) {
  const uint32_t refs = below(p, MODEL_SLOTS + 1), bytes = random_bytes(p);
  if (p->model.live_count > MODEL_OBJECTS * FULL_PERCENT / 100) {
    sweep(p);
    if (p->model.live_count > MODEL_OBJECTS * FULL_PERCENT / 100) roots_drop(p);
  }
  const heap_ref object = heap_alloc(p->thread, refs, bytes);
  if (heap_is_null(object)) {
    CHECK(p, p->limited, "out of memory without a limit");
    p->refused++;
    roots_drop(p);
    return;
  }
  for (uint32_t i = 0; i < refs; i++)
    CHECK(p, heap_is_null(heap_load(p->thread, object, i)), "a new slot is not null");
  const unsigned char *raw = heap_read(p->thread, object, refs);
  for (uint32_t i = 0; i < bytes; i = pattern_next(i))
    CHECK(p, raw[i] == 0, "a new object is not zero");
  const uint32_t index = model_add(&p->model, refs, bytes);
  CHECK(p, index != 0, "the model is full");
  bytes_write(p, object, refs, bytes, p->model.objects[index].key);
  object_place(p, object, index);
}

// Mostly add an edge. Cutting one drops all that only it held, and walks begin at the top, so it is
// rare: the graph would stay small otherwise.
static void step_link(program *p) {
  heap_ref from, to = HEAP_NULL;
  const uint32_t from_index = walk(p, &from);
  model_object *m = &p->model.objects[from_index];
  if (from_index == 0 || m->ref_count == 0) return;
  const bool cut = below(p, CUT_ONE_IN) == 0;
  const uint32_t to_index = cut && below(p, 2) ? 0 : walk(p, &to);
  const uint32_t slot = cut ? below(p, m->ref_count) : free_slot(m);
  if (slot == MODEL_SLOTS) return;
  heap_store(p->thread, from, slot, to);
  m->slots[slot] = to_index;
}

static void step_root(program *p) {
  heap_ref object = HEAP_NULL;
  const uint32_t root = root_pick(p);
  if (p->model.roots[root] != 0 && below(p, CUT_ONE_IN) != 0) return;
  const uint32_t index = below(p, 8) ? walk(p, &object) : 0; // an eighth drops
  root_set(p, root, object, index);
}

static void step_rewrite(program *p) {
  heap_ref object;
  const uint32_t index = walk(p, &object);
  if (index == 0) return;
  model_object *m = &p->model.objects[index];
  m->key = hs_rng_next(&p->rng);
  bytes_write(p, object, m->ref_count, m->byte_count, m->key);
}

// The control: from here on the heap is not what the model says.
static void step_damage(program *p) {
  for (;;) {
    heap_ref object;
    const model_object *m = &p->model.objects[walk(p, &object)];
    if (m->byte_count == 0) continue;
    *(unsigned char *)heap_write(p->thread, object, m->ref_count) ^= 1;
    return;
  }
}

static void step_pin(program *p) {
  const uint32_t i = below(p, PIN_ROOTS);
  if (p->model.roots[PIN_FIRST + i] != 0) {
    heap_unpin(p->thread, p->pins[i]);
    root_set(p, PIN_FIRST + i, HEAP_NULL, 0);
    return;
  }
  heap_ref object;
  const uint32_t index = walk(p, &object);
  if (index == 0) return;
  p->pin_addresses[i] = heap_pin(p->thread, object, p->model.objects[index].ref_count);
  if (p->pin_addresses[i]) root_set(p, PIN_FIRST + i, object, index);
}

static void step_weak(program *p) {
  if (!(HEAP_CAPS & HEAP_CAP_WEAK)) return;
  weak_cell *weak = &p->weak[below(p, WEAK_CELLS)];
  if (weak->cell) {
    weak_drop(p, weak);
    return;
  }
  // The walk's end may be reachable through a slot only; creation is a safepoint, and it is rooted.
  heap_ref object;
  const uint32_t index = walk(p, &object);
  const model_object *m = &p->model.objects[index];
  if (index == 0 || (m->ref_count == 0 && m->byte_count < TINY_BYTES)) return;
  const heap_status status = heap_weak_create(p->thread, object, &weak->cell);
  CHECK(p, status == HEAP_OK || (p->limited && status == HEAP_NO_MEMORY), "no weak reference");
  if (status != HEAP_OK) weak->cell = NULL;
  weak->index = index;
  weak->serial = m->serial;
}

static void step_collect(program *p) {
  const heap_collect_kind kind = (heap_collect_kind)below(p, 3);
  heap_collect(p->thread, kind);
  sweep(p);
  weak_check(p, kind != HEAP_COLLECT_MINOR);
  pins_check(p);
  if (below(p, 8) == 0) {
    heap_stats stats;
    heap_stats_read(p->thread, &stats);
    const char *violation = hs_stats_violation(&stats);
    CHECK(p, !violation, violation);
    CHECK(p, heap_verify(p->thread), "the heap is not valid");
  }
}

static void lock(program *p) {
  if (hs_mutex_try(&p->shared->lock)) return;
  heap_blocking_begin(p->thread);
  hs_mutex_lock(&p->shared->lock);
  heap_blocking_end(p->thread);
}

// Swap a new leaf for the one another thread left, and adopt that one.
static void step_exchange(program *p) {
  const uint32_t slot = below(p, SHARED_SLOTS), bytes = 8 + below(p, 200);
  const uint64_t key = hs_rng_next(&p->rng);
  HEAP_FRAME(p->thread, fresh, 1);
  fresh[0] = heap_alloc(p->thread, 0, bytes);
  if (heap_is_null(fresh[0])) {
    CHECK(p, p->limited, "out of memory without a limit");
    HEAP_FRAME_END(p->thread, fresh);
    return;
  }
  bytes_write(p, fresh[0], 0, bytes, key);
  lock(p);
  const heap_ref old = heap_root_load(p->thread, &p->shared->slots[slot]);
  const uint64_t old_key = p->shared->described[slot].key;
  const uint32_t old_bytes = p->shared->described[slot].byte_count;
  heap_root_store(p->thread, &p->shared->slots[slot], fresh[0]);
  p->shared->described[slot].key = key;
  p->shared->described[slot].byte_count = bytes;
  hs_mutex_unlock(&p->shared->lock);
  HEAP_FRAME_END(p->thread, fresh);
  if (heap_is_null(old)) return;
  bytes_check(p, old, 0, old_bytes, old_key);
  const uint32_t index = model_add(&p->model, 0, old_bytes);
  if (index == 0) { // no entry left to adopt it
    heap_discard(p->thread, old);
    return;
  }
  p->model.objects[index].key = old_key;
  object_place(p, old, index);
}

static void step_run(program *p);

static void step_nest(program *p) {
  if (p->nest_depth == NEST_DEPTH) return;
  const uint32_t first = NEST_FIRST + p->nest_depth * NEST_ROOTS;
  HEAP_FRAME(p->thread, slots, NEST_ROOTS);
  p->nest[p->nest_depth++] = slots;
  for (uint32_t i = 0; i < NEST_ROOTS; i++) {
    heap_ref object;
    const uint32_t index = walk(p, &object);
    root_set(p, first + i, object, index);
  }
  for (uint32_t i = below(p, NEST_STEPS); i > 0 && p->step < p->steps; i--) step_run(p);
  for (uint32_t i = 0; i < NEST_ROOTS; i++) {
    object_check(p, slots[i], p->model.roots[first + i]);
    p->model.roots[first + i] = 0;
  }
  p->nest_depth--;
  HEAP_FRAME_END(p->thread, slots);
}

static void step_run(program *p) {
  p->step++;
  if (p->step == p->break_at) step_damage(p);
  const uint32_t dice = below(p, 1000);
  if (dice < 350) {
    step_alloc(p);
  } else if (dice < 500) {
    step_link(p);
  } else if (dice < 520) {
    step_root(p);
  } else if (dice < 780) {
    step_rewrite(p);
  } else if (dice < 830) {
    step_pin(p);
  } else if (dice < 880) {
    step_weak(p);
  } else if (dice < 940) {
    step_exchange(p);
  } else if (dice < 960) {
    step_nest(p);
  } else if (dice < 964) {
    step_collect(p);
  } else if (dice < 980) {
    heap_blocking_begin(p->thread);
    if (dice < 968) hs_os_yield();
    heap_blocking_end(p->thread);
  } else {
    heap_poll(p->thread);
  }
  if (p->step % CHECK_EVERY == 0) graph_check(p);
}

void program_run(program *p) {
  p->rng = hs_rng_seed(hs_mix64(p->seed) + p->id);
  model_init(&p->model);
  CHECK(p, heap_thread_enter(p->heap, &p->thread) == HEAP_OK, "a thread cannot enter");
  heap_ref global[GLOBAL_ROOTS];
  heap_root root;
  heap_root_add(p->thread, &root, global, GLOBAL_ROOTS);
  HEAP_FRAME(p->thread, frame, FRAME_ROOTS);
  HEAP_FRAME(p->thread, pins, PIN_ROOTS);
  p->global = global;
  p->frame = frame;
  p->pins = pins;
  while (p->step < p->steps) step_run(p);
  heap_collect(p->thread, HEAP_COLLECT_RELEASE);
  sweep(p);
  graph_check(p);
  weak_check(p, true);
  for (uint32_t i = 0; i < WEAK_CELLS; i++)
    if (p->weak[i].cell) weak_drop(p, &p->weak[i]);
  for (uint32_t i = 0; i < PIN_ROOTS; i++)
    if (p->model.roots[PIN_FIRST + i] != 0) heap_unpin(p->thread, pins[i]);
  for (uint32_t r = 0; r < NEST_FIRST; r++) root_set(p, r, HEAP_NULL, 0);
  sweep(p);
  HEAP_FRAME_END(p->thread, pins);
  HEAP_FRAME_END(p->thread, frame);
  heap_root_remove(p->thread, &root);
  heap_thread_leave(p->thread);
}
