// SPDX-License-Identifier: MIT
// Programs made to waste memory: what stands behind `live` bytes at worst. Live payload never exceeds
// `live`, sizes grow from `unit` to `largest`, and before each size is allocated the program drops
// what a heap can make the least use of.
//   robson     adaptive, for every heap that does not move (Robson 1974, "Bounds for some functions
//              concerning dynamic storage allocation"). Sizes are powers of two. Before size P it keeps
//              only objects that cover an address = f mod P, so that no free run of P bytes lies
//              between two such addresses; f is the better of the two residues left from the size
//              before, by the space that its objects block. Whatever the placement, M units of live
//              data then need M (lg n / 2 + 1) - n + 1 units of address space, n being the largest
//              size. A heap that returns the pages of a hole can be below, one with size classes above.
//   staircase  oblivious: of each of Go's size classes it keeps one object for every span and goes to
//              the next. On a heap of such spans nothing can be reused: the space is M times
//              SUM w(i) PROD (1 - 1/k(j)) over j < i, k(i) being the slots of a span and w(i) its bytes
//              over those of its slots.
// After each power of two the memory is measured (usage.h) next to what the formula says for the sizes
// so far. Addresses are what they are at that moment: on a heap that moves objects they soon are history.
//
// Which objects stay depends on addresses, so robson's checksum covers the objects of the first size,
// all of which exist on every heap; the others are only compared with what was written.
#include <stdio.h>

#include "workloads/reference/model/size_classes.h"
#include "workloads/support.h"
#include "workloads/usage.h"

enum { ADVERSARY_ROBSON, ADVERSARY_STAIRCASE };

// An object that lives, beside its root: its content follows from both.
typedef struct adversary_object {
  uint32_t bytes;
  uint32_t number; // among those of its size
} adversary_object;

typedef struct adversary {
  workload_run *run;
  heap_thread *t;
  uint64_t kind, unit, largest;       // [const]
  uint64_t limit_bytes;               // [const] of live payload: M
  heap_ref *slots;                    // global roots: slots[i] is objects[i]
  adversary_object *objects;          // those that live, oldest first
  size_t count, capacity;             // of them
  uint64_t live_bytes;                // their sum
  usage usage;                        // from before the first of them
  uint64_t created_count, read_count; // objects
  uint64_t digest;                    // commutative sum over the objects that the checksum covers
} adversary;

// ---- objects ------------------------------------------------------------------------------------

// Fill up with objects of one size, as many as fit.
static void adversary_fill(adversary *a, uint64_t bytes) {
  const uint64_t wanted = (a->limit_bytes - a->live_bytes) / bytes;
  for (uint64_t number = 0; number < wanted; number++) {
    const heap_ref object = workload_new(a->run, a->t, 0, (size_t)bytes);
    content_write(heap_write(a->t, object, 0), (size_t)bytes,
                  content_tag(workload_seed(a->run), bytes, number));
    heap_root_store(a->t, &a->slots[a->count], object);
    a->objects[a->count++] = (adversary_object){(uint32_t)bytes, (uint32_t)number};
  }
  a->live_bytes += wanted * bytes;
  a->created_count += wanted;
}

// Read an object back and give it up. Its root still refers to it.
static void adversary_drop(adversary *a, size_t at) {
  const adversary_object *known = &a->objects[at];
  const heap_ref object = heap_root_load(a->t, &a->slots[at]);
  const void *bytes = heap_read(a->t, object, 0);
  if (!content_matches(bytes, known->bytes,
                       content_tag(workload_seed(a->run), known->bytes, known->number)))
    workload_invalid(a->run, "object %u of %u bytes has wrong content", known->number,
                     known->bytes);
  if (a->kind == ADVERSARY_STAIRCASE || known->bytes == a->unit)
    a->digest += content_digest(bytes, known->bytes);
  a->read_count++;
  a->live_bytes -= known->bytes;
  heap_discard(a->t, object);
}

// Whether the object in slot `at` stays.
typedef bool (*adversary_keep)(const adversary *a, size_t at, uint64_t first, uint64_t second);

// Drop those that `keep` does not want; the rest moves up in order. No safepoint before the end.
static void adversary_thin(adversary *a, adversary_keep keep, uint64_t first, uint64_t second) {
  size_t kept = 0;
  for (size_t i = 0; i < a->count; i++) {
    if (!keep(a, i, first, second)) {
      adversary_drop(a, i);
      continue;
    }
    heap_root_store(a->t, &a->slots[kept], heap_root_load(a->t, &a->slots[i]));
    a->objects[kept++] = a->objects[i];
  }
  for (size_t i = kept; i < a->count; i++) heap_root_store(a->t, &a->slots[i], HEAP_NULL);
  a->count = kept;
  heap_collect(a->t, HEAP_COLLECT_FULL); // what was dropped is free before the next size comes
}

// ---- measuring ----------------------------------------------------------------------------------

// After sizes up to `bytes`, which are now in use, beside the formula's value for them. The last of
// these is the result.
static void adversary_measure(adversary *a, uint64_t bytes, double bound_ratio, bool last) {
  char stage[24], name[32], bound[48];
  snprintf(stage, sizeof stage, "%llu", (unsigned long long)bytes);
  snprintf(name, sizeof name, "size_%05llu", (unsigned long long)bytes);
  snprintf(bound, sizeof bound, "%s_bound_ratio", name);
  workload_stage(a->run, stage, a->live_bytes);
  usage_settled(&a->usage, name, a->live_bytes);
  usage_sample(&a->usage, a->live_bytes);
  workload_metric(a->run, bound, bound_ratio);
  workload_progress(a->run, bytes, a->largest);
  if (!last) return;
  usage_settled(&a->usage, "end", a->live_bytes);
  workload_metric(a->run, "end_bound_ratio", bound_ratio);
  usage_report(&a->usage, "steps");
}

// ---- robson -------------------------------------------------------------------------------------

static uint64_t adversary_address(const adversary *a, size_t at) {
  return (uint64_t)(uintptr_t)heap_read(a->t, heap_root_load(a->t, &a->slots[at]), 0);
}

// The object covers an address that is `residue` modulo `period`, a power of two.
static bool robson_covers(const adversary *a, size_t at, uint64_t residue, uint64_t period) {
  return ((residue - adversary_address(a, at)) & (period - 1)) < a->objects[at].bytes;
}

// Space that keeping the objects of a residue denies to objects of `period` bytes.
static uint64_t robson_blocked(const adversary *a, uint64_t residue, uint64_t period) {
  uint64_t blocked = 0;
  for (size_t i = 0; i < a->count; i++)
    if (robson_covers(a, i, residue, period)) blocked += period - a->objects[i].bytes;
  return blocked;
}

static double robson_bound(const adversary *a, unsigned log2_n) {
  const double m = (double)(a->limit_bytes / a->unit), n = (double)(1ull << log2_n);
  return (m * (log2_n / 2.0 + 1) - n + 1) / m;
}

static void robson_run(adversary *a) {
  uint64_t residue = 0;
  adversary_fill(a, a->unit);
  adversary_measure(a, a->unit, robson_bound(a, 0), a->unit * 2 > a->largest);
  for (unsigned step = 1; a->unit << step <= a->largest; step++) {
    const uint64_t period = a->unit << step, other = residue + period / 2;
    if (robson_blocked(a, other, period) > robson_blocked(a, residue, period)) residue = other;
    adversary_thin(a, robson_covers, residue, period);
    adversary_fill(a, period);
    adversary_measure(a, period, robson_bound(a, step), period * 2 > a->largest);
  }
}

// ---- staircase ----------------------------------------------------------------------------------

// Objects before `first` are of earlier classes and stay; of the others every `slots`-th.
static bool staircase_keeps(const adversary *a, size_t at, uint64_t first, uint64_t slots) {
  (void)a;
  return at < first || (at - first) % slots == 0;
}

// It ends early when nothing is left to allocate: a class with one slot in a span keeps all of it.
static void staircase_run(adversary *a) {
  double bound_ratio = 0, left = 1; // of the formula: the sum so far, and the product
  uint64_t octave = a->unit;        // power of two to be measured next
  model_layout layout = model_layout_of(a->unit, false);
  for (;;) {
    const size_t first = a->count;
    adversary_fill(a, layout.slot_bytes);
    bound_ratio += left * (double)layout.span_bytes / (double)(layout.slots * layout.slot_bytes);
    left *= 1 - 1 / (double)layout.slots;
    const model_layout next = model_layout_of(layout.slot_bytes + 1, false);
    const bool last = next.slot_bytes > a->largest || left <= 0;
    if (layout.slot_bytes >= octave || last) {
      adversary_measure(a, layout.slot_bytes, bound_ratio, last);
      while (octave <= layout.slot_bytes) octave *= 2;
    }
    if (last) return;
    adversary_thin(a, staircase_keeps, first, layout.slots);
    layout = next;
  }
}

// ---- the run ------------------------------------------------------------------------------------

static bool adversary_keeps_none(const adversary *a, size_t at, uint64_t first, uint64_t second) {
  (void)a, (void)at, (void)first, (void)second;
  return false;
}

static uint64_t floor_power_of_two(uint64_t value) {
  uint64_t power = 1;
  while (power <= value / 2) power *= 2;
  return power;
}

static void adversary_run(workload_run *run) {
  adversary a = {.run = run,
                 .t = workload_thread(run),
                 .kind = workload_param_value(run, "kind"),
                 .unit = floor_power_of_two(workload_param_value(run, "unit")),
                 .limit_bytes = workload_param_value(run, "live")};
  a.largest = hs_min_u64(workload_param_value(run, "largest"), a.limit_bytes); // what fits at all
  a.capacity = (size_t)(a.limit_bytes / a.unit);
  const size_t slot_bytes = a.capacity * sizeof *a.slots;
  const size_t object_bytes = a.capacity * sizeof *a.objects;
  a.slots = workload_scratch(run, slot_bytes);
  a.objects = workload_scratch(run, object_bytes);
  heap_root root;
  heap_root_add(a.t, &root, a.slots, a.capacity);
  a.usage = usage_begin(run);

  if (a.kind == ADVERSARY_ROBSON)
    robson_run(&a);
  else
    staircase_run(&a);

  adversary_thin(&a, adversary_keeps_none, 0, 0);
  if (a.read_count != a.created_count)
    workload_invalid(run, "%llu objects created, %llu found", (unsigned long long)a.created_count,
                     (unsigned long long)a.read_count);
  workload_checksum_add(run, a.digest);
  heap_root_remove(a.t, &root);
  workload_scratch_free(run, a.objects, object_bytes);
  workload_scratch_free(run, a.slots, slot_bytes);
}

static const workload_param adversary_params[] = {
    {"kind", "robson: keep what blocks most addresses; staircase: one object of each span",
     ADVERSARY_ROBSON, ADVERSARY_ROBSON, ADVERSARY_STAIRCASE, "robson|staircase"},
    {"live", "largest live payload, bytes (M)", 8 << 20, 4096, 1ull << 34, NULL},
    {"unit", "smallest object, bytes; the power of two below", 16, 8, 4096, NULL},
    {"largest", "largest object, bytes (n)", 32768, 8, 1 << 18, NULL},
};

const workload workload_adversary = {
    .name = "adversary",
    .summary = "keeps what wastes most memory, against the bounds of theory",
    .params = adversary_params,
    .param_count = sizeof adversary_params / sizeof adversary_params[0],
    .run = adversary_run,
};
