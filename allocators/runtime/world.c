// SPDX-License-Identifier: MIT
// The state machine of Note [handshake]: every decision about a thread is one read-modify-write of
// its state word, so no pair of words has to be read in a total order.
#include "allocators/runtime/world.h"

#include "allocators/runtime/marking.h"

enum {
  POLL_STOP = 1u << 0,      // park at the next poll until the stop ends
  POLL_HANDSHAKE = 1u << 1, // answer the current handshake at the next poll
};

// A mutator polls within a few microseconds almost always; a futex sleep and wake-up costs more.
static const uint64_t SPIN_BUDGET_NS = 20 * 1000;
static const unsigned SPINS_PER_CLOCK_READ = 32;
// A handshake that costs its mutator less is not worth an event.
static const uint64_t HANDSHAKE_LOGGED_NS = 1000;

enum { STOP_NONE, STOP_REQUESTED, STOP_IN_FORCE }; // hs_world.stop_requested

// ---- checks -------------------------------------------------------------------------------------

static void thread_check(const hs_thread *thread) {
  HS_REQUIRE(thread && thread->magic == HS_THREAD_MAGIC,
             "not a registered heap thread (left already, or memory corrupted)");
}

void hs_world_check(const hs_world *world) {
  HS_REQUIRE(world->magic == HS_WORLD_MAGIC, "not a world, or memory corrupted");
  uint32_t count = 0, last_id = 0;
  const hs_thread *previous = NULL;
  HS_WORLD_EACH_THREAD(world, thread) {
    thread_check(thread);
    HS_REQUIRE(thread->world == world && thread->previous == previous, "thread list is broken");
    HS_REQUIRE(thread->id > last_id, "thread ids are not ascending");
    const uint32_t state = hs_load_relaxed(&thread->state);
    HS_REQUIRE(state >= HS_THREAD_RUNNING && state <= HS_THREAD_AWAITED, "thread state is %u",
               state);
    previous = thread;
    last_id = thread->id;
    count++;
  }
  HS_REQUIRE(count == world->thread_count, "thread list has %u entries, expected %u", count,
             world->thread_count);
  const heap_root *before = NULL;
  for (const heap_root *root = world->roots; root; before = root, root = root->next)
    HS_REQUIRE(root->previous == before, "list of global roots is broken");
}

void hs_world_init(hs_world *world, hs_event_log *log) {
  *world = (hs_world){.log = log};
  world->magic = HS_WORLD_MAGIC;
}

void hs_world_require_empty(hs_world *world) {
  HS_REQUIRE(world->magic == HS_WORLD_MAGIC, "a world was destroyed twice");
  hs_mutex_lock(&world->lock);
  const uint32_t count = world->thread_count;
  hs_mutex_unlock(&world->lock);
  HS_REQUIRE(count == 0, "a heap was destroyed while %u threads are registered", count);
}

void hs_world_destroy(hs_world *world) {
  hs_world_require_empty(world);
  world->magic = 0;
}

// ---- mutator side -------------------------------------------------------------------------------

// Owner: give the heap up to the collector. Everything written so far is visible to whoever claims
// the thread. pairs: claim.
static void enter_native(hs_thread *thread) {
  const uint32_t old = hs_exchange_acq_rel(&thread->state, (uint32_t)HS_THREAD_NATIVE);
  HS_REQUIRE(old == HS_THREAD_RUNNING || old == HS_THREAD_AWAITED,
             "blocking regions do not nest, and hold no heap operation");
  if (old == HS_THREAD_AWAITED) hs_os_futex_wake(&thread->state, 1);
}

// Owner: take the heap back; sleeps while the collector holds the thread or wants to.
static void leave_native(hs_thread *thread) {
  hs_world *const world = thread->world;
  for (;;) {
    // The epoch first: a restart between the tests below and the sleep changes it.
    const uint32_t epoch = hs_load_acquire(&world->resume_epoch); // pairs: resume
    if ((hs_load_acquire(&thread->poll) & POLL_STOP) == 0) {
      uint32_t state = HS_THREAD_NATIVE;
      if (hs_cas_acq_rel(&thread->state, &state, HS_THREAD_RUNNING)) return; // pairs: release
      HS_REQUIRE(state == HS_THREAD_STOPPED || state == HS_THREAD_SERVED,
                 "a blocking region was ended that was not begun");
    }
    (void)hs_os_futex_wait(&world->resume_epoch, epoch, UINT64_MAX);
  }
}

// Runs the current handshake for a thread that has not answered it: its owner, or the collector
// that serves it. Exactly one of the two, because only a RUNNING thread answers itself and only a
// thread that is not RUNNING is served.
static void answer_handshake(hs_world *world, hs_thread *thread) {
  // First, or it might erase the request of the next handshake, which begins when all have answered.
  hs_and_acq_rel(&thread->poll, ~(uint32_t)POLL_HANDSHAKE);
  const uint32_t number = hs_load_relaxed(&world->handshake); // published by the poll word
  if (hs_load_relaxed(&thread->handshake) != number) {
    world->handshake_fn(world->handshake_context, thread);
    hs_store_release(&thread->handshake, number); // pairs: handshake_locked
  }
}

static void answer_handshake_owner(hs_thread *thread) {
  hs_world *const world = thread->world;
  const uint64_t begin_ns = hs_os_now_ns();
  answer_handshake(world, thread);
  const uint64_t end_ns = hs_os_now_ns();
  if (hs_exchange_acq_rel(&thread->state, (uint32_t)HS_THREAD_RUNNING) == HS_THREAD_AWAITED)
    hs_os_futex_wake(&thread->state, 1);
  if (world->log && end_ns - begin_ns > HANDSHAKE_LOGGED_NS)
    hs_event_log_add(world->log, HS_EVENT_HANDSHAKE, thread->id, begin_ns, end_ns, thread->id);
}

void hs_poll_slow(hs_thread *thread) {
  thread_check(thread);
  uint32_t poll;
  while ((poll = hs_load_acquire(&thread->poll)) != 0) { // pairs: request
    if (poll & POLL_HANDSHAKE) answer_handshake_owner(thread);
    if (poll & POLL_STOP) {
      enter_native(thread);
      leave_native(thread);
    }
  }
}

void hs_blocking_begin(hs_thread *thread) {
  thread_check(thread);
  enter_native(thread);
}

void hs_blocking_end(hs_thread *thread) {
  thread_check(thread);
  leave_native(thread);
  hs_poll(thread); // a handshake that had not come round to this thread yet
}

// ---- registry -----------------------------------------------------------------------------------

void hs_thread_attach(hs_world *world, hs_thread *thread) {
  HS_REQUIRE(world->magic == HS_WORLD_MAGIC, "a thread entered a heap that does not exist");
  hs_mutex_lock(&world->registry); // sleeps while the world is stopped
  hs_mutex_lock(&world->lock);
  // Without frames a thread is black as soon as every older one has its barrier on.
  *thread = (hs_thread){.world = world, .id = 1, .barrier = world->birth_barrier};
  if (world->marking) hs_grey_begin(&thread->grey, &world->marking->pool);
  hs_store_relaxed(&thread->state, (uint32_t)HS_THREAD_RUNNING); // published by the locks
  hs_store_relaxed(&thread->handshake, hs_load_relaxed(&world->handshake));
  // The list ascends by id; the new thread takes the first gap.
  hs_thread **link = &world->threads;
  hs_thread *before = NULL;
  for (; *link && (*link)->id == thread->id; link = &before->next) {
    before = *link;
    thread->id++;
  }
  thread->previous = before;
  thread->next = *link;
  if (thread->next) thread->next->previous = thread;
  *link = thread;
  world->thread_count++;
  thread->magic = HS_THREAD_MAGIC;
  hs_mutex_unlock(&world->lock);
  hs_mutex_unlock(&world->registry);
}

void hs_thread_detach(hs_thread *thread) {
  thread_check(thread);
  HS_REQUIRE(!thread->frames, "a thread left the heap with root frames pushed");
  hs_world *const world = thread->world;
  enter_native(thread); // the collector need not wait for us while we wait for it
  hs_mutex_lock(&world->registry);
  hs_mutex_lock(&world->lock);
  if (thread->previous)
    thread->previous->next = thread->next;
  else
    world->threads = thread->next;
  if (thread->next) thread->next->previous = thread->previous;
  world->thread_count--;
  world->departures_count++;
  thread->magic = 0;
  if (thread->grey.pool)
    hs_grey_end(
        &thread->grey); // no handshake is under way: what it shaded counts in the next round
  hs_mutex_unlock(&world->lock);
  hs_mutex_unlock(&world->registry);
}

// ---- collector side -----------------------------------------------------------------------------

void hs_world_enter_collector(hs_world *world, hs_thread *self) {
  if (hs_mutex_try(&world->collector)) return;
  if (self) hs_blocking_begin(self);
  hs_mutex_lock(&world->collector);
  // Nobody else can stop the world now, so this does not wait.
  if (self) hs_blocking_end(self);
}

void hs_world_leave_collector(hs_world *world) { hs_mutex_unlock(&world->collector); }

static void request(hs_world *world, const hs_thread *self, uint32_t bit) {
  HS_WORLD_EACH_THREAD(world, thread) {
    if (thread != self) hs_or_acq_rel(&thread->poll, bit); // pairs: hs_poll_slow
  }
}

// One try at taking a thread that has given the heap up. pairs: enter_native.
static bool claim(hs_thread *thread, hs_thread_state as) {
  uint32_t state = HS_THREAD_NATIVE;
  return hs_cas_acq_rel(&thread->state, &state, (uint32_t)as);
}

// Let a claimed thread go; the caller then resumes. pairs: leave_native.
static void release(hs_thread *thread) {
  hs_store_release(&thread->state, (uint32_t)HS_THREAD_NATIVE);
}

static void resume(hs_world *world) {
  hs_add_acq_rel(&world->resume_epoch, 1); // pairs: leave_native
  hs_os_futex_wake(&world->resume_epoch, UINT32_MAX);
}

// Wait until a RUNNING thread may have answered: spin while the budget lasts, then sleep until the
// thread leaves the state AWAITED. Spurious returns are harmless: callers test again. `handshake`: the
// number waited for, 0 for a stop.
static void await_answer(hs_thread *thread, uint64_t spin_until_ns, uint32_t handshake) {
  if (hs_os_now_ns() < spin_until_ns) {
    for (unsigned i = 0; i < SPINS_PER_CLOCK_READ; i++) HS_CPU_RELAX();
    return;
  }
  uint32_t state = HS_THREAD_RUNNING;
  if (!hs_cas_acq_rel(&thread->state, &state, HS_THREAD_AWAITED) && state != HS_THREAD_AWAITED)
    return;
  // The thread may have answered before it was AWAITED, and then wakes nobody. It stores its answer
  // before it exchanges its state, so either this test sees the answer or the exchange sees AWAITED.
  if (handshake != 0 && hs_load_acquire(&thread->handshake) == handshake) return;
  (void)hs_os_futex_wait(&thread->state, HS_THREAD_AWAITED, UINT64_MAX);
}

static void require_collector(hs_world *world) {
  HS_REQUIRE(world->magic == HS_WORLD_MAGIC, "not a world, or memory corrupted");
  HS_REQUIRE(hs_mutex_is_held(&world->collector), "only the collector may stop threads");
  HS_REQUIRE(hs_load_relaxed(&world->stop_requested) == STOP_NONE, "the world is stopped already");
}

void hs_world_stop(hs_world *world, hs_thread *self) {
  require_collector(world);
  const uint64_t begin_ns = hs_os_now_ns();
  hs_mutex_lock(&world->registry); // until hs_world_start: the list of threads is frozen
  world->stop_requested_ns = begin_ns;
  world->stopper = self;
  hs_store_relaxed(&world->stop_requested, (uint32_t)STOP_REQUESTED);
  request(world, self, POLL_STOP);
  HS_WORLD_EACH_THREAD(world, thread) {
    while (thread != self && !claim(thread, HS_THREAD_STOPPED))
      await_answer(thread, begin_ns + SPIN_BUDGET_NS, 0);
  }
  world->stop_reached_ns = hs_os_now_ns();
  hs_store_release(&world->stop_requested, (uint32_t)STOP_IN_FORCE); // pairs: hs_world_is_stopped
}

void hs_world_start(hs_world *world) {
  HS_REQUIRE(hs_world_is_stopped(world), "the world was started without having been stopped");
  const hs_thread *const self = world->stopper;
  const uint64_t begin_ns = world->stop_requested_ns;
  const uint64_t reached_ns = world->stop_reached_ns;
  HS_WORLD_EACH_THREAD(world, thread) {
    if (thread == self) continue;
    hs_and_acq_rel(&thread->poll, ~(uint32_t)POLL_STOP);
    release(thread);
  }
  hs_store_release(&world->stop_requested, (uint32_t)STOP_NONE);
  const uint64_t end_ns = hs_os_now_ns();
  const uint32_t id = self ? self->id : 0;
  resume(world);
  hs_mutex_unlock(&world->registry);
  if (world->log)
    hs_event_log_add(world->log, HS_EVENT_STOP, id, begin_ns, end_ns, reached_ns - begin_ns);
}

bool hs_world_is_stopped(const hs_world *world) {
  return hs_load_acquire(&world->stop_requested) == STOP_IN_FORCE; // pairs: hs_world_stop
}

// Serve a thread that is not RUNNING on its behalf. False: it is RUNNING and must answer itself.
static bool serve(hs_world *world, hs_thread *thread) {
  if (!claim(thread, HS_THREAD_SERVED)) return false;
  answer_handshake(world, thread);
  release(thread);
  resume(world); // it may have tried to leave meanwhile
  return true;
}

static void handshake_locked(hs_world *world, hs_thread *self, hs_handshake_fn fn, void *context) {
  world->handshake_fn = fn;
  world->handshake_context = context;
  uint32_t number = hs_load_relaxed(&world->handshake) + 1;
  if (number == 0) number = 1;                 // 0 is none
  hs_store_relaxed(&world->handshake, number); // published by the poll words
  request(world, self, POLL_HANDSHAKE);
  if (self) answer_handshake_owner(self);
  const uint64_t spin_until_ns = hs_os_now_ns() + SPIN_BUDGET_NS;
  HS_WORLD_EACH_THREAD(world, thread) {
    while (hs_load_acquire(&thread->handshake) != number && !serve(world, thread)) // pairs: answer
      await_answer(thread, spin_until_ns, number);
  }
}

void hs_world_handshake(hs_world *world, hs_thread *self, hs_handshake_fn fn, void *context) {
  require_collector(world);
  hs_mutex_lock(&world->registry);
  handshake_locked(world, self, fn, context);
  hs_mutex_unlock(&world->registry);
}

// One look; begins a new period when `begin` is set.
static bool all_visited(hs_world *world, const hs_thread *self, bool begin) {
  bool all = true;
  hs_mutex_lock(&world->lock);
  HS_WORLD_EACH_THREAD(world, thread) {
    const uint32_t visits = hs_load_relaxed(&thread->visits);
    if (begin) thread->visits_seen = visits;
    if (thread != self && visits == thread->visits_seen &&
        hs_load_relaxed(&thread->state) != HS_THREAD_NATIVE)
      all = false;
  }
  hs_mutex_unlock(&world->lock);
  return all;
}

bool hs_world_is_responsive(hs_world *world, const hs_thread *self, uint64_t budget_ns) {
  if (all_visited(world, self, true)) return true;
  const uint64_t end_ns = hs_os_now_ns() + budget_ns;
  do {
    for (unsigned i = 0; i < SPINS_PER_CLOCK_READ; i++) HS_CPU_RELAX();
    if (all_visited(world, self, false)) return true;
  } while (hs_os_now_ns() < end_ns);
  return false;
}

void hs_world_reach_all(hs_world *world, hs_thread *self, hs_barrier birth_barrier,
                        hs_handshake_fn fn, void *context) {
  if (hs_world_is_stopped(world)) { // the registry lock is held by the stop
    world->birth_barrier = birth_barrier;
    HS_WORLD_EACH_THREAD(world, thread) fn(context, thread);
    return;
  }
  require_collector(world);
  hs_mutex_lock(&world->registry);
  world->birth_barrier = birth_barrier;
  handshake_locked(world, self, fn, context);
  hs_mutex_unlock(&world->registry);
}
