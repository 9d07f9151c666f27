// SPDX-License-Identifier: MIT
// The n-th request to the operating system fails, for every n, once or from then on, in cycles that run
// beside the program: while handles are renamed, objects marked, the map of sources made, bitmaps
// turned, objects moved and pages given back. Requests are the cycle's own, or those of a thread that
// allocates in the phase. What cannot be had is left out: contents are intact, the heap is consistent,
// nothing is kept, and later cycles do what this one did not.
// The functions of the phases are wrapped by the linker (see CMakeLists.txt), which tells where a request
// comes from.
#include <stdio.h>

#include "allocators/base/track.h"
#include "tests/unit/compact/fixture.h"

enum {
  BYTES = 48,
  STEP = 8, // one object of so many is kept, which is worth moving and renaming
  FULL_REGIONS =
      16, // the objects end where address space is made accessible: moving them needs more
  STRESS_COUNT = 600,
  WIDE = 20000,          // slots of a frame: more than the marker's queue has room for
  LARGE_BYTES = 5 << 20, // of an object that the other thread allocates: always a request
  LARGE_COUNT = 32,
  CYCLES = 2,        // the first finds what died, and moves; the second renames
  PINNED = 5 * STEP, // number of an object
  MAX_CALLS = 5000,
  MAX_ROUNDS = 5,
  STACK_BYTES = 1 << 20, // more than any path takes
};

// Steps are between one n and the next, the last so many runs of a sweep are those in which nothing failed,
// one after another. Sanitizers are ten and more times slower, and see what others do not in any run.
#if defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1, ONCE_STEP = 17, PERSISTENT_STEP = 43, MAX_IN_VAIN = 1 };
#elif HS_TRACK_ASAN
enum { SANITIZED = 1, ONCE_STEP = 7, PERSISTENT_STEP = 19, MAX_IN_VAIN = 1 };
#else
enum { SANITIZED = 0, ONCE_STEP = 1, PERSISTENT_STEP = 5, MAX_IN_VAIN = 4 };
#endif

// ---- where requests come from -------------------------------------------------------------------

typedef enum phase { OUTSIDE, BEGIN, MARK, MAP, TURN, MOVE, RELEASE, PHASES } phase;
static const char *const phase_names[] = {"outside", "begin", "mark",   "map",
                                          "turn",    "move",  "release"};

static _Atomic(uint32_t) now;               // phase
static _Atomic(uint64_t) failed[PHASES][2]; // requests: the cycle's own, of the other thread
static _Atomic(uint64_t) failed_marking_with_twins; // own
static compact_heap *under_test;
static _Thread_local bool is_beside, allocates;
static _Atomic(uint32_t) helper_waits; // a request of the other thread has failed

bool __real_hs_os_fault_check(hs_os_fault_class call);
bool __wrap_hs_os_fault_check(hs_os_fault_class call);
bool __wrap_hs_os_fault_check(hs_os_fault_class call) {
  if (!__real_hs_os_fault_check(call)) return false;
  const uint32_t where = hs_load_relaxed(&now);
  hs_add_relaxed(&failed[where][is_beside], (uint64_t)1);
  if (allocates) hs_store_release(&helper_waits, 1u);
  if (where == MARK && !is_beside && cp_twin_is_on(under_test))
    hs_add_relaxed(&failed_marking_with_twins, (uint64_t)1);
  return true;
}

// ---- the other thread ---------------------------------------------------------------------------

typedef struct beside {
  hs_os_thread thread;
  fixture f;      // its own thread of the same heap
  heap_ref *slot; // of a global root: the array
  size_t count;   // of its slots
  _Atomic(uint32_t) asked, done, stopping, ready;
  uint64_t refused;
} beside;

static beside *helper; // asked for an object in each phase; NULL: nobody is

// The helper allocates before the phase goes on, or waits for the cycle's end because its request failed.
static void enter(phase which) {
  hs_store_relaxed(&now, (uint32_t)which);
  if (which == OUTSIDE || is_beside || !helper || hs_load_acquire(&helper_waits)) return;
  const uint32_t asked = hs_add_acq_rel(&helper->asked, 1u) + 1;
  while (hs_load_acquire(&helper->done) != asked && !hs_load_acquire(&helper_waits)) hs_os_yield();
}

static void read_and_write(const beside *b, uint64_t step) {
  heap_thread *const t = b->f.t;
  const size_t i = step * 7919 % (b->count / STEP) * STEP;
  const heap_ref object = heap_load(t, heap_root_load(t, b->slot), i);
  assert_true(heap_same(t, object, heap_load(t, heap_root_load(t, b->slot), i)));
  uint64_t *const words = heap_write(t, object, 0);
  assert_int_equal(words[0], i);
  words[1]++;
  heap_store(t, heap_root_load(t, b->slot), i, object);
  if (step % 16 == 0 && heap_pin(t, object, 0)) heap_unpin(t, object);
}

static void allocate(beside *b, heap_ref *frame, uint32_t asked) {
  allocates = true;
  frame[asked % LARGE_COUNT] = heap_alloc(b->f.t, 0, LARGE_BYTES);
  allocates = false;
  const heap_ref large = frame[asked % LARGE_COUNT];
  if (heap_is_null(large))
    b->refused++;
  else
    *(uint64_t *)heap_write(b->f.t, large, 0) = asked;
  hs_store_release(&helper_waits, 0u);
  hs_store_release(&b->done, asked);
}

static void run_beside(void *argument) {
  beside *const b = argument;
  is_beside = true;
  assert_int_equal(heap_thread_enter(b->f.h, &b->f.t), HEAP_OK);
  HEAP_FRAME(b->f.t, large, LARGE_COUNT);
  hs_store_release(&b->ready, 1u);
  for (uint64_t step = 0; !hs_load_acquire(&b->stopping); step++) {
    heap_poll(b->f.t);
    read_and_write(b, step);
    const uint32_t asked = hs_load_acquire(&b->asked);
    if (asked != hs_load_relaxed(&b->done)) allocate(b, large, asked);
  }
  for (uint32_t i = 0; i < LARGE_COUNT; i++)
    if (!heap_is_null(large[i]))
      assert_int_equal(*(const uint64_t *)heap_read(b->f.t, large[i], 0) % LARGE_COUNT, i);
  HEAP_FRAME_END(b->f.t, large);
  heap_thread_leave(b->f.t);
}

static void beside_start(beside *b) {
  assert_int_equal(hs_os_thread_start(&b->thread, run_beside, b), 0);
  while (!hs_load_acquire(&b->ready)) hs_os_yield();
}

// Until it has what it was asked for.
static void beside_wait(beside *b, fixture f) {
  heap_blocking_begin(f.t);
  while (hs_load_acquire(&b->done) != hs_load_relaxed(&b->asked)) hs_os_yield();
  heap_blocking_end(f.t);
}

static void beside_join(beside *b, fixture f) {
  hs_store_release(&b->stopping, 1u);
  heap_blocking_begin(f.t);
  hs_os_thread_join(&b->thread);
  heap_blocking_end(f.t);
}

// ---- phases -------------------------------------------------------------------------------------

#define WRAP_VOID(which, name, parameters, arguments)                                              \
  void __real_##name parameters;                                                                   \
  void __wrap_##name parameters;                                                                   \
  void __wrap_##name parameters {                                                                  \
    enter(which);                                                                                  \
    __real_##name arguments;                                                                       \
    enter(OUTSIDE);                                                                                \
  }

WRAP_VOID(BEGIN, cp_twin_begin, (compact_heap * h, cp_effort effort), (h, effort))
WRAP_VOID(MARK, hs_marking_run, (hs_marking * marking, hs_thread *self, hs_marking_tick_fn tick),
          (marking, self, tick))
WRAP_VOID(MAP, cp_back_map_make, (compact_heap * h, cp_back_map *map, cp_effort effort),
          (h, map, effort))
WRAP_VOID(TURN, hs_marking_end, (hs_marking * marking, hs_thread *self), (marking, self))
WRAP_VOID(MOVE, cp_relocate_give_up, (compact_heap * h, cp_back_map *map), (h, map))
WRAP_VOID(RELEASE, cp_release, (compact_heap * h), (h))

bool __real_cp_relocate(compact_heap *h, cp_back_map *map, cp_effort effort, cp_moves *moves);
bool __wrap_cp_relocate(compact_heap *h, cp_back_map *map, cp_effort effort, cp_moves *moves);
bool __wrap_cp_relocate(compact_heap *h, cp_back_map *map, cp_effort effort, cp_moves *moves) {
  enter(MOVE);
  const bool done = __real_cp_relocate(h, map, effort, moves);
  enter(OUTSIDE);
  return done;
}

// ---- a heap to collect --------------------------------------------------------------------------

typedef struct kind {
  const char *name;
  bool stress, idle;
  bool persistent; // every request from the n-th on fails
} kind;

// The array, its objects: as many as fill the regions. Every STEP-th is kept.
static size_t fill(fixture f, heap_ref *root, bool stress) {
  const size_t capacity = stress ? STRESS_COUNT : FULL_REGIONS * (CP_REGION_BYTES / BYTES);
  size_t count = 0;
  *root = heap_alloc(f.t, capacity, 0);
  for (; count < capacity && (stress || f.h->region_frontier < FULL_REGIONS); count++) {
    const heap_ref object = heap_alloc(f.t, 0, BYTES);
    assert_false(heap_is_null(object));
    *(uint64_t *)heap_write(f.t, object, 0) = count;
    heap_store(f.t, *root, count, object);
  }
  count -= count % STEP;
  keep_every(f, *root, capacity, STEP);
  return count;
}

static void collect(fixture f, const kind *k) {
  if (k->idle) // as the collector thread does
    assert_true(cp_cycle_run(f.h, f.t, HEAP_COLLECT_MINOR, CP_REASON_IDLE));
  else
    heap_collect(f.t, HEAP_COLLECT_MINOR);
}

// The cycles that requests fail in. False: there were fewer than n.
static bool collect_with_faults(fixture f, const kind *k, beside *b, uint64_t n) {
  HEAP_FRAME(f.t, wide, WIDE);
  for (size_t i = 0; !k->stress && i < WIDE; i++)
    wide[i] = heap_load(f.t, heap_root_load(f.t, b->slot), i % (b->count / STEP) * STEP);
  helper = k->stress ? NULL : b; // in stress mode an allocation is a cycle
  hs_os_fault_arm(HS_OS_FAULT_ALL & ~(unsigned)HS_OS_FAULT_THREAD, n, k->persistent);
  for (int cycle = 0; cycle < CYCLES; cycle++) {
    collect(f, k);
    if (helper) beside_wait(b, f);
    assert_int_equal(hs_load_relaxed(&f.h->side_bytes), 0); // the map is gone
    if (k->stress || cycle > 0) continue;
    hs_grey_pool_trim(&f.h->marking.pool); // so that the marking that renames makes requests too
    (void)cp_mark_prime(f.h);
  }
  const bool fired = hs_os_fault_calls() >= n;
  hs_os_fault_disarm();
  helper = NULL;
  HEAP_FRAME_END(f.t, wide);
  return fired;
}

static void check_entries(fixture f, const beside *b) {
  assert_false(cp_twin_is_on(f.h));
  for (size_t i = 0; i < b->count; i += STEP) {
    const heap_ref object = heap_load(f.t, heap_root_load(f.t, b->slot), i);
    const uint64_t word = cp_entry_load(cp_entry_of(object));
    assert_int_equal(word & (COMPACT_MOVING | CP_ENTRY_FORWARDED), 0);
  }
  check_array(f, heap_root_load(f.t, b->slot), b->count, STEP);
}

// The faults are over: what was left out is made up for, and nothing was kept.
static void recover(fixture f, const kind *k, const beside *b) {
  for (int cycle = 0; cycle < CYCLES; cycle++) collect(f, k);
  assert_true(f.h->totals.moved_bytes > 0);
  assert_true(f.h->totals.renamed_count > 0);
  check_entries(f, b);
  heap_root_store(f.t, b->slot, HEAP_NULL);
  HEAP_FRAME(f.t, again, 1);
  fill_array(f, &again[0], STRESS_COUNT, BYTES);
  check_array(f, again[0], STRESS_COUNT, 1);
  HEAP_FRAME_END(f.t, again);
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  heap_collect(f.t, HEAP_COLLECT_RELEASE);
  assert_int_equal(STAT(f, heap_objects_count), 0);
  assert_int_equal(STAT(f, heap_usage_bytes), 0);
  assert_int_equal(hs_load_relaxed(&f.h->side_bytes), 0);
}

// Pages of address space of this process. Sanitizers map memory of their own for threads.
static uint64_t mapped_pages(void) {
  if (SANITIZED) return 0;
  unsigned long long pages = 0;
  FILE *const file = fopen("/proc/self/statm", "r");
  assert_non_null(file);
  assert_int_equal(fscanf(file, "%llu", &pages), 1);
  (void)fclose(file);
  return pages;
}

// The stack is as large as it will ever be.
static void grow_stack(void) {
  volatile char stack[STACK_BYTES];
  for (size_t i = 0; i < STACK_BYTES; i += CP_PAGE_BYTES) stack[i] = 0;
  assert_int_equal(stack[0], 0);
}

static bool run(const kind *k, uint64_t n) {
  heap_config config = hs_config_default();
  config.gogc_percent = -1;
  config.idle_ms = 0;
  config.stress = k->stress;
  fixture f = fixture_open(config);
  under_test = f.h;
  heap_root root;
  heap_ref slot[1];
  heap_root_add(f.t, &root, slot, 1);
  HEAP_FRAME(f.t, array, 1);
  beside b = {.f.h = f.h, .slot = slot};
  b.count = fill(f, &array[0], k->stress);
  heap_root_store(f.t, slot, array[0]);
  HEAP_FRAME_END(f.t, array);
  assert_non_null(heap_pin(f.t, heap_load(f.t, slot[0], PINNED), 0)); // its region becomes hollow
  beside_start(&b);
  const bool fired = collect_with_faults(f, k, &b, n);
  beside_join(&b, f);
  assert_true(k->persistent || b.refused == 0); // it waits for the cycle, and tries again
  assert_true(heap_verify(f.t));
  check_entries(f, &b);
  heap_unpin(f.t, heap_load(f.t, heap_root_load(f.t, slot), PINNED));
  recover(f, k, &b);
  heap_root_remove(f.t, &root);
  fixture_close(f);
  return fired;
}

static void count_nothing(void) {
  for (int p = 0; p < PHASES; p++)
    for (int who = 0; who < 2; who++) hs_store_relaxed(&failed[p][who], (uint64_t)0);
  hs_store_relaxed(&failed_marking_with_twins, (uint64_t)0);
}

// How many requests there are differs a little from run to run, as the other thread does.
static void sweep_once(const kind *k) {
  const uint64_t pages = mapped_pages();
  const uint64_t step = k->persistent && !k->stress ? PERSISTENT_STEP : ONCE_STEP;
  int in_vain = 0;
  for (uint64_t n = 1; in_vain < MAX_IN_VAIN; n += step) {
    assert_true(n < MAX_CALLS);
    in_vain = run(k, n) ? 0 : in_vain + 1;
    assert_int_equal(mapped_pages(), pages);
  }
}

// Until a request has failed wherever one can.
static void sweep(const kind *k, bool (*is_covered)(const kind *)) {
  grow_stack();
  (void)run(k, MAX_CALLS); // what libc maps once, the stacks of threads among it, is mapped now
  count_nothing();
  bool covered = false;
  for (int round = 0; round < MAX_ROUNDS && !covered; round++) {
    sweep_once(k);
    covered = SANITIZED || is_covered(k);
  }
  for (int p = 0; p < PHASES && !covered; p++)
    print_error("%s: in phase %s %u requests of the cycle failed, %u of the other thread\n",
                k->name, phase_names[p], (unsigned)hs_load_relaxed(&failed[p][0]),
                (unsigned)hs_load_relaxed(&failed[p][1]));
  assert_true(covered);
}

static bool has_failed(phase p, bool other) { return hs_load_relaxed(&failed[p][other]) > 0; }

static bool is_covered_beside(const kind *k) {
  bool covered = has_failed(MARK, false) && has_failed(MAP, false) && has_failed(MOVE, false) &&
                 hs_load_relaxed(&failed_marking_with_twins) > 0 &&
                 (!k->idle || has_failed(RELEASE, false));
  for (phase p = BEGIN; p <= RELEASE && !k->persistent; p++) covered &= has_failed(p, true);
  return covered;
}

// Here targets of renaming and destinations of moves are fresh memory, and what they leave is given back.
static bool is_covered_in_stress(const kind *k) {
  (void)k;
  return has_failed(BEGIN, false) && has_failed(MAP, false) && has_failed(MOVE, false) &&
         has_failed(RELEASE, false);
}

static void test_requests_of_automatic_cycles(void **state) {
  (void)state;
  sweep(&(kind){.name = "automatic, once"}, is_covered_beside);
  sweep(&(kind){.name = "automatic, from then on", .persistent = true}, is_covered_beside);
}

static void test_requests_of_idle_cycles(void **state) {
  (void)state;
  sweep(&(kind){.name = "idle, once", .idle = true}, is_covered_beside);
  sweep(&(kind){.name = "idle, from then on", .idle = true, .persistent = true}, is_covered_beside);
}

static void test_requests_of_stress_mode(void **state) {
  (void)state;
  sweep(&(kind){.name = "stress, once", .stress = true}, is_covered_in_stress);
  sweep(&(kind){.name = "stress, from then on", .stress = true, .persistent = true},
        is_covered_in_stress);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_requests_of_automatic_cycles),
      cmocka_unit_test(test_requests_of_idle_cycles),
      cmocka_unit_test(test_requests_of_stress_mode),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
