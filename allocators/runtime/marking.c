// SPDX-License-Identifier: MIT
// See Notes [marking], [assisting] and [weak cells] in the header.
#include "allocators/runtime/marking.h"

enum {
  ASSIST_REFS = 256,       // some 10 us of cache misses, between looks at the clock
  SLICE_REFS = 16384,      // a background marker's: long enough to make its counters cheap
  ROOT_SLICE_SLOTS = 1024, // copied per hold of the world lock: a microsecond or so
  WEAK_SLICE_CELLS = 256,  // looked at per hold of the world lock
  WORKER_IDLE_NS = 50000,  // a worker that found nothing looks again
};
// What an assisting thread is delayed by, plus one slice: while the heap is within its goal, and beyond.
static const uint64_t ASSIST_NS = 30 * 1000, URGENT_ASSIST_NS = 200 * 1000;
// A marking that scans no more is small: some 10 us.
static const uint64_t SMALL_MARKING_BYTES = 32 << 10;
// A thread that visits a slow path within this time will answer handshakes at once.
static const uint64_t RESPONSE_NS = 5 * 1000;
static const int64_t MAX_DEBT_BYTES = 1 << 20; // more is forgiven: it could not be paid in slices

// ---- shading ------------------------------------------------------------------------------------

void hs_marking_shade(hs_marking *marking, hs_grey *grey, uintptr_t ref) {
  if (ref == 0 || hs_grey_offer(grey, ref | HS_GREY_REF)) return;
  // Note [mark overflow]. What is marked already needs nothing, so a program that goes on shading does
  // not keep the marking from ending. Told after it is marked, or a rescan under way would miss it.
  if (marking->ops->is_marked(marking->heap, (heap_ref){ref})) return;
  marking->ops->mark_only(marking->heap, (heap_ref){ref});
  hs_store_relaxed(&marking->pool.overflowed, 1u); // read after the thread's next answer
}

void hs_shade(hs_thread *thread, uintptr_t ref) {
  hs_marking_shade(thread->world->marking, &thread->grey, ref);
}

void hs_barrier_store_slow(hs_thread *thread, _Atomic(uintptr_t) *slot, uintptr_t value) {
  // Threads that share a slot synchronise: no other writer. Slots of new objects are null.
  const uintptr_t old = hs_load_relaxed(slot);
  if (old != 0) hs_shade(thread, old);
  if (thread->barrier == HS_BARRIER_GREY) hs_shade(thread, value);
  hs_store_release(slot, value); // pairs: the marker's load of the slot
}

// ---- slices -------------------------------------------------------------------------------------

static uint64_t count_slice(hs_marking *marking, const hs_marked *marked) {
  // Released by the decrement of `active`, or by the collector's own order.
  hs_add_relaxed(&marking->objects_count, marked->objects_count);
  hs_add_relaxed(&marking->bytes, marked->bytes);
  hs_add_relaxed(&marking->scanned_bytes, marked->scanned_bytes);
  return marked->objects_count + marked->scanned_bytes;
}

// One slice by a marker that is not the collector. False: there was nothing to do.
static bool slice(hs_marking *marking, uint64_t refs, hs_marked *marked) {
  *marked = (hs_marked){0};
  if (hs_load_relaxed(&marking->pool.full_count) == 0) return false; // a hint
  bool any = false;
  hs_add_seq_cst(&marking->active, 1u); // Note [assisting]
  if (hs_load_seq_cst(&marking->on)) {
    hs_grey grey;
    hs_grey_begin(&grey, &marking->pool);
    *marked = marking->ops->drain(marking->heap, &grey, refs);
    hs_grey_end(&grey);
    any = count_slice(marking, marked) > 0;
  }
  hs_sub_acq_rel(&marking->active, 1u); // pairs: is_quiet
  return any;
}

void hs_marking_assist(hs_marking *marking, hs_thread *thread, uint64_t owed_bytes, bool urgent) {
  const uint64_t limit_ns = urgent ? URGENT_ASSIST_NS : ASSIST_NS;
  int64_t debt = thread->assist_debt_bytes + (int64_t)owed_bytes;
  if (debt > 0) { // spend what background markers earned
    int64_t credit = hs_load_relaxed(&marking->credit_bytes);
    while (credit > 0) {
      const int64_t spent = credit < debt ? credit : debt;
      if (!hs_cas_relaxed(&marking->credit_bytes, &credit, credit - spent)) continue;
      debt -= spent;
      break;
    }
  }
  if (debt > 0) {
    const uint64_t begin_ns = hs_os_now_ns();
    uint64_t end_ns = begin_ns, scanned = 0;
    hs_marked marked;
    while ((int64_t)scanned < debt && end_ns - begin_ns < limit_ns &&
           slice(marking, ASSIST_REFS, &marked)) {
      scanned += marked.scanned_bytes;
      end_ns = hs_os_now_ns();
    }
    debt -= (int64_t)scanned;
    hs_add_relaxed(&marking->assist_ns, end_ns - begin_ns);
    if (end_ns > begin_ns && thread->world->log)
      hs_event_log_add(thread->world->log, HS_EVENT_ASSIST, thread->id, begin_ns, end_ns, scanned);
  }
  thread->assist_debt_bytes = debt < MAX_DEBT_BYTES ? debt : MAX_DEBT_BYTES;
}

static uint64_t work(void *context) {
  hs_marking *const marking = context;
  if (!hs_marking_is_on(marking)) return HS_BACKGROUND_IDLE; // woken by the next marking
  const uint64_t begin_ns = hs_os_thread_cpu_ns();
  hs_marked marked;
  const bool any = slice(marking, SLICE_REFS, &marked);
  hs_add_relaxed(&marking->credit_bytes, (int64_t)marked.scanned_bytes);
  hs_add_relaxed(&marking->worker_ns, hs_os_thread_cpu_ns() - begin_ns);
  return any ? 0 : WORKER_IDLE_NS;
}

void hs_marking_init(hs_marking *marking, hs_world *world, void *heap, const hs_marking_ops *ops,
                     unsigned worker_count) {
  *marking = (hs_marking){.world = world, .heap = heap, .ops = ops};
  hs_grey_pool_init(&marking->pool);
  world->marking = marking;
  while (marking->worker_count < worker_count) {
    hs_background *const worker = &marking->workers[marking->worker_count];
    if (hs_background_start(worker, "hs-marker", work, marking) != 0) break;
    marking->worker_count++;
  }
}

void hs_marking_destroy(hs_marking *marking) {
  for (unsigned i = 0; i < marking->worker_count; i++) hs_background_stop(&marking->workers[i]);
  hs_grey_pool_destroy(&marking->pool);
}

// ---- handshakes ---------------------------------------------------------------------------------

static void answer_grey(void *context, hs_thread *thread) {
  (void)context;
  HS_ASSERT(thread->barrier == HS_BARRIER_OFF && !thread->grey.chunk);
  thread->barrier = HS_BARRIER_GREY;
  thread->assist_debt_bytes = 0;
}

static void shade_slots(void *context, heap_ref *slots, size_t count) {
  hs_thread *const thread = context;
  for (size_t i = 0; i < count; i++) hs_shade(thread, slots[i].bits);
  hs_add_relaxed(&thread->world->marking->frames_slots_count, (uint64_t)count);
}

static void answer_black(void *context, hs_thread *thread) {
  hs_marking *const marking = context;
  HS_ASSERT(thread->barrier == HS_BARRIER_GREY);
  hs_roots_visit_thread(thread, shade_slots, thread);
  thread->barrier = HS_BARRIER_BLACK;
  marking->ops->thread_black(marking->heap, thread);
  hs_grey_end(&thread->grey); // publish: markers wait for it
}

static void answer_publish(void *context, hs_thread *thread) {
  (void)context;
  hs_grey_end(&thread->grey);
}

static void answer_off(void *context, hs_thread *thread) {
  hs_marking *const marking = context;
  HS_ASSERT(thread->barrier == HS_BARRIER_BLACK);
  marking->ops->thread_off(marking->heap, thread); // still black
  thread->barrier = HS_BARRIER_OFF;
  hs_grey_drop(&thread->grey);
}

// ---- roots and weak cells -----------------------------------------------------------------------

// Copies the next global root slots to the queue; false when there are none left.
static bool scan_root_slice(hs_marking *marking, hs_grey *grey) {
  hs_world *const world = marking->world;
  size_t budget = ROOT_SLICE_SLOTS;
  hs_mutex_lock(&world->lock);
  while (world->root_cursor && budget > 0) {
    const heap_root *const root = world->root_cursor;
    for (; world->root_cursor_slot < root->count && budget > 0; budget--) {
      const heap_ref *const slot = &root->slots[world->root_cursor_slot++];
      // pairs: hs_barrier_store
      hs_marking_shade(marking, grey, hs_load_acquire((const _Atomic(uintptr_t) *)&slot->bits));
    }
    if (world->root_cursor_slot < root->count) break;
    world->root_cursor = root->next;
    world->root_cursor_slot = 0;
    if (budget > 0) budget--; // a list of many short ranges is cut in pieces too
  }
  const bool more = world->root_cursor != NULL;
  hs_mutex_unlock(&world->lock);
  marking->roots_bytes += (ROOT_SLICE_SLOTS - budget) * sizeof(heap_ref);
  return more;
}

static void begin_roots(hs_world *world) {
  hs_mutex_lock(&world->lock);
  world->root_cursor = world->roots;
  world->root_cursor_slot = 0;
  hs_mutex_unlock(&world->lock);
}

// CLEARING, unless a cell gave out a reference since `shaded_count` was read. See Note [weak cells].
static bool close_weak_cells(hs_world *world, uint64_t shaded_count) {
  hs_mutex_lock(&world->lock);
  const bool closed = world->weak_shaded_count == shaded_count;
  if (closed) {
    world->weak_phase = HS_WEAK_CLEARING;
    world->weak_cursor = world->weaks;
  }
  hs_mutex_unlock(&world->lock);
  return closed;
}

static uint64_t weak_shaded_count(hs_world *world) {
  hs_mutex_lock(&world->lock);
  const uint64_t count = world->weak_shaded_count;
  hs_mutex_unlock(&world->lock);
  return count;
}

static void clear_weak_cells(hs_marking *marking) {
  hs_world *const world = marking->world;
  for (bool more = true; more;) {
    hs_mutex_lock(&world->lock);
    for (unsigned i = 0; world->weak_cursor && i < WEAK_SLICE_CELLS; i++) {
      hs_weak *const weak = world->weak_cursor;
      const heap_ref target = {hs_load_relaxed(&weak->target)};
      if (!heap_is_null(target) && !marking->ops->is_marked(marking->heap, target))
        hs_store_relaxed(&weak->target, (uintptr_t)0); // read under the lock while barriers are on
      world->weak_cursor = weak->next;
    }
    more = world->weak_cursor != NULL;
    if (!more) world->weak_phase = HS_WEAK_OPEN;
    hs_mutex_unlock(&world->lock);
  }
}

// ---- the marking --------------------------------------------------------------------------------

// False: there was nothing to do.
static bool drain_slice(hs_marking *marking, hs_grey *grey, hs_marking_tick_fn tick) {
  const hs_marked marked = marking->ops->drain(marking->heap, grey, SLICE_REFS);
  const bool any = count_slice(marking, &marked) > 0;
  hs_add_relaxed(&marking->credit_bytes, (int64_t)marked.scanned_bytes);
  if (tick) tick(marking->heap);
  return any;
}

// Nothing is queued and nobody is at work, at one moment: a marker counts itself in `active` before it
// takes work, under the pool's lock, and gives back what is left before it leaves. *marked_count: what
// was marked until then.
static bool is_quiet(hs_marking *marking, const hs_grey *grey, uint64_t *marked_count) {
  if (grey->chunk && grey->chunk->count > 0) return false;
  hs_mutex_lock(&marking->pool.lock);
  const bool quiet = !marking->pool.full && hs_load_acquire(&marking->active) == 0; // pairs: slice
  *marked_count = hs_load_relaxed(&marking->objects_count);
  hs_mutex_unlock(&marking->pool.lock);
  return quiet;
}

typedef struct drained {
  uint64_t marked_count; // objects, until the moment at which nothing was grey
  bool rescanned;        // something was marked without being queued
} drained;

static drained drain_all(hs_marking *marking, hs_grey *grey, hs_marking_tick_fn tick) {
  drained result = {0};
  for (;;) {
    while (!is_quiet(marking, grey, &result.marked_count)) {
      if (marking->worker_count > 0) hs_grey_share(grey); // or workers would find nothing
      // Others have the rest; one may be preempted in its slice and need this core. Not while something is
      // published, were it only marked references: on a busy core a program that goes on shading would
      // publish more during a yield than one slice takes.
      if (!drain_slice(marking, grey, tick) && hs_load_relaxed(&marking->pool.full_count) == 0)
        hs_os_yield();
    }
    if (!hs_load_relaxed(&marking->pool.overflowed)) return result;
    hs_store_relaxed(&marking->pool.overflowed, 0u);
    result.rescanned = true;
    const hs_marked marked = marking->ops->rescan(marking->heap, grey);
    count_slice(marking, &marked);
  }
}

static void begin_counts(hs_marking *marking) {
  hs_store_relaxed(&marking->objects_count, (uint64_t)0);
  hs_store_relaxed(&marking->bytes, (uint64_t)0);
  hs_store_relaxed(&marking->scanned_bytes, (uint64_t)0);
  hs_store_relaxed(&marking->assist_ns, (uint64_t)0);
  hs_store_relaxed(&marking->worker_ns, (uint64_t)0);
  hs_store_relaxed(&marking->credit_bytes, (int64_t)0);
  hs_store_relaxed(&marking->frames_slots_count, (uint64_t)0);
  marking->roots_bytes = marking->frames_bytes = marking->rounds_count = 0;
}

// Rounds until one marks nothing: nothing was grey before it, and what was marked since was counted, or
// scanned by a rescan. See Note [marking].
static void terminate(hs_marking *marking, hs_thread *self, hs_grey *grey,
                      hs_marking_tick_fn tick) {
  drained before, now = drain_all(marking, grey, tick);
  uint64_t shaded;
  do {
    before = now;
    shaded = weak_shaded_count(marking->world);
    hs_world_reach_all(marking->world, self, HS_BARRIER_BLACK, answer_publish, marking);
    now = drain_all(marking, grey, tick);
    marking->rounds_count++;
  } while (now.marked_count != before.marked_count || now.rescanned ||
           !close_weak_cells(marking->world, shaded));
  hs_store_seq_cst(&marking->on, 0u); // Note [assisting]
  while (hs_load_seq_cst(&marking->active) != 0) hs_os_yield();
}

void hs_marking_run(hs_marking *marking, hs_thread *self, hs_marking_tick_fn tick) {
  hs_world *const world = marking->world;
  hs_grey grey;
  hs_grey_begin(&grey, &marking->pool);
  begin_counts(marking);
  hs_world_reach_all(world, self, HS_BARRIER_GREY, answer_grey, marking); // A
  begin_roots(world);
  hs_store_seq_cst(&marking->on, 1u);
  for (unsigned i = 0; i < marking->worker_count; i++) hs_background_wake(&marking->workers[i]);
  hs_world_reach_all(world, self, HS_BARRIER_BLACK, answer_black, marking); // B
  marking->frames_bytes = hs_load_relaxed(&marking->frames_slots_count) * sizeof(heap_ref);
  marking->ops->shade_roots(marking->heap, &grey);
  for (bool more = true; more;) {
    more = scan_root_slice(marking, &grey);
    (void)drain_slice(marking, &grey, tick);
  }
  terminate(marking, self, &grey, tick);
  hs_grey_end(&grey);
  clear_weak_cells(marking);
  const uint64_t scanned_bytes =
      hs_load_relaxed(&marking->scanned_bytes) + marking->roots_bytes + marking->frames_bytes;
  hs_store_relaxed(&marking->was_small, scanned_bytes <= SMALL_MARKING_BYTES); // a hint
}

bool hs_marking_suits_inline(hs_marking *marking, const hs_thread *self) {
  return hs_load_relaxed(&marking->was_small) && !hs_mutex_is_held(&marking->world->collector) &&
         hs_world_is_responsive(marking->world, self, RESPONSE_NS);
}

void hs_marking_end(hs_marking *marking, hs_thread *self) {
  hs_world_reach_all(marking->world, self, HS_BARRIER_OFF, answer_off, marking); // C
  hs_grey_pool_clear(&marking->pool); // what detaching threads published since the last round
}
