// SPDX-License-Identifier: MIT
// What pinned objects cost a heap that moves the others. `count` objects are allocated side by side,
// all but every `step`-th are dropped, and of those that stay some are pinned before the heap may
// collect. It collects once, the program only polls for `idle_ms`, then the heap gives back all it can:
// with the pins, and again after they are gone, memory is measured before and after that last step.
//   mode=share   `percent` of the survivors, evenly spread
//   mode=stride  the first survivor in every `stride` bytes of allocation: with the size of a region
//                of a moving heap, one pin for each region, the least that holds all of them
// On a heap that never moves anything a pin is a root and nothing else: the two measurements agree.
// A pin that a heap refuses (its table is full) is counted and done without. A pinned object must lie
// where it lay, at the address that heap_pin gave.
#include "workloads/support.h"
#include "workloads/usage.h"

enum { PINS_SHARE, PINS_STRIDE };
enum { PERCENT = 100, NS_PER_MS = 1000000 };

typedef struct pins {
  workload_run *run;
  heap_thread *t;
  size_t size, count, step;       // [const]
  uint64_t mode, percent, stride; // [const]
  uint64_t idle_ms;               // [const]
  heap_ref *slots;                // global roots, in order of allocation
  const void **pinned;            // where a pinned object lies, else NULL
  size_t pinned_count, refused_count;
  usage usage;
} pins;

static size_t pins_kept(const pins *p) { return (p->count - 1) / p->step + 1; }

static uint64_t pins_live_bytes(const pins *p) { return (uint64_t)pins_kept(p) * p->size; }

static heap_ref pins_object(const pins *p, size_t i) { return heap_root_load(p->t, &p->slots[i]); }

// ---- objects ------------------------------------------------------------------------------------

static void pins_build(pins *p) {
  for (size_t i = 0; i < p->count; i++) {
    const heap_ref object = workload_new(p->run, p->t, 0, p->size);
    content_write(heap_write(p->t, object, 0), p->size, content_tag(workload_seed(p->run), 0, i));
    heap_root_store(p->t, &p->slots[i], object);
  }
}

static void pins_drop(pins *p, size_t i) {
  const heap_ref object = pins_object(p, i);
  heap_root_store(p->t, &p->slots[i], HEAP_NULL);
  heap_discard(p->t, object);
}

// What is left has the content that it was given, and lies where it must.
static void pins_check(const pins *p) {
  for (size_t i = 0; i < p->count; i += p->step) {
    const void *bytes = heap_read(p->t, pins_object(p, i), 0);
    if (!content_matches(bytes, p->size, content_tag(workload_seed(p->run), 0, i)))
      workload_invalid(p->run, "object %zu has wrong content", i);
    if (p->pinned[i] && p->pinned[i] != bytes)
      workload_invalid(p->run, "object %zu moved while it was pinned", i);
  }
}

// ---- pins ---------------------------------------------------------------------------------------

// Whether the survivor of that number, object i, is to be pinned.
static bool pins_wants(const pins *p, size_t survivor, size_t i) {
  if (p->mode == PINS_SHARE)
    return (survivor + 1) * p->percent / PERCENT > survivor * p->percent / PERCENT;
  const uint64_t before = i > 0 ? (uint64_t)(i - p->step) * p->size / p->stride : 0;
  return i == 0 || (uint64_t)i * p->size / p->stride != before;
}

// No safepoint since the others were dropped: everything still lies where it was allocated, unless a
// collection was under way.
static void pins_pin(pins *p) {
  size_t survivor = 0;
  for (size_t i = 0; i < p->count; i += p->step, survivor++) {
    if (!pins_wants(p, survivor, i)) continue;
    p->pinned[i] = heap_pin(p->t, pins_object(p, i), 0);
    if (p->pinned[i])
      p->pinned_count++;
    else
      p->refused_count++;
  }
}

// The last first: pins are meant to nest.
static void pins_unpin(pins *p) {
  for (size_t i = p->count; i-- > 0;) {
    if (!p->pinned[i]) continue;
    heap_unpin(p->t, pins_object(p, i));
    p->pinned[i] = NULL;
  }
}

// ---- the run ------------------------------------------------------------------------------------

// What the heap does by itself while the program only polls, then all that can be asked for; measured
// after each.
static void pins_settle(pins *p, const char *stage) {
  heap_collect(p->t, HEAP_COLLECT_FULL);
  const uint64_t end_ns = workload_now_ns() + p->idle_ms * NS_PER_MS;
  while (workload_now_ns() < end_ns) heap_poll(p->t);
  usage_stage(&p->usage, stage, pins_live_bytes(p));
  pins_check(p);
}

static void pins_phases(pins *p) {
  pins_build(p);
  usage_mark(&p->usage, "built", (uint64_t)p->count * p->size);
  for (size_t i = 0; i < p->count; i++)
    if (i % p->step != 0) pins_drop(p, i);
  pins_pin(p);
  pins_settle(p, "pinned");
  pins_unpin(p);
  pins_settle(p, "unpinned");
  workload_metric(p->run, "pinned_count", (double)p->pinned_count);
  workload_metric(p->run, "refused_pins_count", (double)p->refused_count);
  for (size_t i = 0; i < p->count; i += p->step) {
    workload_checksum_add(p->run, content_digest(heap_read(p->t, pins_object(p, i), 0), p->size));
    pins_drop(p, i);
  }
}

static void pins_run(workload_run *run) {
  pins p = {.run = run,
            .t = workload_thread(run),
            .size = (size_t)workload_param_value(run, "size"),
            .count = (size_t)workload_param_value(run, "count"),
            .step = (size_t)workload_param_value(run, "step"),
            .mode = workload_param_value(run, "mode"),
            .percent = workload_param_value(run, "percent"),
            .stride = workload_param_value(run, "stride"),
            .idle_ms = workload_param_value(run, "idle_ms")};
  p.slots = workload_scratch(run, p.count * sizeof *p.slots);
  p.pinned = workload_scratch(run, p.count * sizeof *p.pinned);
  heap_root root;
  heap_root_add(p.t, &root, p.slots, p.count);
  p.usage = usage_begin(run);
  pins_phases(&p);
  heap_root_remove(p.t, &root);
  workload_scratch_free(run, p.pinned, p.count * sizeof *p.pinned);
  workload_scratch_free(run, p.slots, p.count * sizeof *p.slots);
}

static const workload_param pins_params[] = {
    {"mode", "which survivors are pinned: a share of them, or one in each stride", PINS_SHARE,
     PINS_SHARE, PINS_STRIDE, "share|stride"},
    {"percent", "mode=share: pinned of the survivors, percent", 10, 0, PERCENT / 2, NULL},
    {"stride", "mode=stride: bytes of allocation for each pin", 256 << 10, 64, 1ull << 32, NULL},
    {"size", "bytes of one object", 1024, 8, 32768, NULL},
    {"count", "objects allocated", 65536, 1, 1 << 26, NULL},
    {"step", "every step-th object survives", 16, 1, 1 << 26, NULL},
    {"idle_ms", "milliseconds that the program waits before it measures, twice", 50, 0, 60000,
     NULL},
};

const workload workload_pins = {
    .name = "pins",
    .summary = "memory behind a few survivors while some of them are pinned, and after",
    .params = pins_params,
    .param_count = sizeof pins_params / sizeof pins_params[0],
    .run = pins_run,
};
