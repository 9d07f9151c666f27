// SPDX-License-Identifier: MIT
// Mutator threads and how a collector reaches them: registry, safepoint poll, stop-the-world,
// ragged handshake, blocking regions. Shared by every heap that traces; identical for all of them.
//
// Note [handshake]
//   A mutator is RUNNING (may touch the heap), NATIVE (inside a blocking region: holds no raw
//   pointer that is not pinned, will check before it touches the heap again) or STOPPED (held by
//   a stop, whether it was blocking or parked in a poll).
//   The collector stores a request and then the thread's poll word (release); the mutator sees the
//   poll word at its next poll (acquire), answers (release), and the collector reads the answer
//   (acquire). So whatever a mutator wrote before its answer is visible to the collector, and
//   whatever the collector wrote before its request is visible to the mutator after its poll.
//   A NATIVE thread is answered on its behalf: leaving NATIVE is a CAS that fails while the
//   collector works on the thread. Mutators never wait for a handshake; they wait for a stop.
//
//   All of it goes through one word, the state, and every change that two may try is one
//   read-modify-write of it:
//     owner       RUNNING|AWAITED -> NATIVE (exchange)   begins a blocking region, parks in a poll
//     owner       NATIVE -> RUNNING (CAS)                only while no stop is wanted
//     collector   NATIVE -> STOPPED or SERVED (CAS)      claims it, for a stop or for one handshake
//     collector   STOPPED or SERVED -> NATIVE (store)    lets it go, then bumps resume_epoch
//     collector   RUNNING -> AWAITED (CAS)               before it sleeps on this very word
//     owner       AWAITED -> RUNNING (exchange)          answered a handshake
//   An owner that finds AWAITED in its exchange wakes the collector. It stores its answer to a handshake
//   before that exchange, and the collector, once it has made the state AWAITED, looks for the answer
//   before it sleeps: so no wake-up is lost and no pair of words needs a total order. A request is taken
//   off the poll word before it is answered, because with the last answer the next one may begin. (Both
//   orders, and what happens without, are checked by tests/model/handshake.pml.) A parked thread stays NATIVE between two stops until it
//   wakes up, and can be claimed again: it is never mistaken for running.
//   The registry lock is held from stop to start and during a handshake: the list of threads is
//   frozen. A detaching thread becomes NATIVE before it waits for that lock, an attaching one is
//   not in the list yet, so neither can block the collector.
#ifndef HS_RUNTIME_WORLD_H
#define HS_RUNTIME_WORLD_H

#include "allocators/base/assert.h"
#include "allocators/base/atomic.h"
#include "allocators/heap_types.h"
#include "allocators/os/os.h"
#include "allocators/runtime/event_log.h"
#include "allocators/runtime/grey.h"

typedef struct hs_world hs_world;
typedef struct hs_thread hs_thread;

typedef enum hs_thread_state {
  HS_THREAD_RUNNING = 1,
  HS_THREAD_NATIVE = 2,
  HS_THREAD_STOPPED = 3, // was NATIVE (blocking, or parked in a poll), held until the world starts
  HS_THREAD_SERVED = 4,  // was NATIVE, and the collector is acting on its behalf right now
  HS_THREAD_AWAITED = 5, // RUNNING, and the collector sleeps until it answers
} hs_thread_state;

// What the write barrier of a thread does; see Note [marking] in marking.h.
typedef enum hs_barrier {
  HS_BARRIER_OFF = 0,
  HS_BARRIER_GREY = 1,  // shade the reference overwritten and the one written
  HS_BARRIER_BLACK = 2, // own frames are scanned: shade the one overwritten; allocate black
} hs_barrier;

// What every heap thread begins with. Embedded as the first member of <heap>_thread.
struct hs_thread {
  uint32_t magic;            // [const] HS_THREAD_MAGIC while registered
  _Atomic(uint32_t) poll;    // [atomic] nonzero: answer at the next poll. Note [handshake]
  uint32_t barrier;          // [owner] hs_barrier; changes in a handshake or a stop
  heap_frame *frames;        // [owner] innermost root frame; read by others when not RUNNING
  hs_grey grey;              // [owner] references shaded since the last handshake of a marking
  int64_t assist_debt_bytes; // [owner] scanning owed for what was allocated
  _Atomic(uint32_t) visits;  // [atomic] written by the owner: its visits to a slow path that polls
  uint32_t visits_seen;      // [lock world->lock] see hs_world_is_responsive
  hs_world *world;           // [const]
  _Atomic(uint32_t) state;   // [atomic] hs_thread_state. Note [handshake]
  _Atomic(uint32_t) handshake; // [atomic] number of the last handshake answered
  uint32_t id;                 // [const] small, unique among live threads; 1-based
  hs_thread *previous, *next;  // [lock world->registry and world->lock] in ascending order of id
};

typedef void (*hs_handshake_fn)(void *context, hs_thread *thread);

struct hs_world {
  uint32_t magic;                   // [const]
  hs_mutex lock;                    // global roots, weak cells, threads. Never held at a safepoint
  hs_mutex registry;                // threads. Lock order: collector, registry, lock
  hs_mutex collector;               // held by the thread that stops the world or handshakes
  uint32_t thread_count;            // [lock registry and lock: writers hold both, readers either]
  hs_thread *threads;               // [lock registry and lock]
  heap_root *roots;                 // [lock lock]
  struct hs_weak *weaks;            // [lock lock] see roots.h
  struct hs_weak *weak_cursor;      // [lock lock] cells from here on are still to be cleared
  uint32_t weak_phase;              // [lock lock] hs_weak_phase
  uint64_t weak_shaded_count;       // [lock lock] references that cells gave to a marking
  _Atomic(uint32_t) stop_requested; // [atomic] 0 none, 1 a stop is wanted, 2 it is in force
  _Atomic(uint32_t) resume_epoch;   // [atomic] futex that threads held by the collector sleep on
  _Atomic(uint32_t) handshake;      // [atomic] number of the current handshake
  hs_handshake_fn handshake_fn;     // [collector] published to mutators by their poll word
  void *handshake_context;          // [collector]
  uint64_t departures_count;        // [lock registry and lock] threads that have detached
  uint32_t birth_barrier;           // [lock registry] hs_barrier of a thread that attaches
  struct hs_marking *marking;       // [const] see marking.h; NULL: no barrier is ever on
  heap_root *root_cursor;           // [lock lock] global roots from here on are still to be scanned
  size_t root_cursor_slot;          // [lock lock] and of this one, from this slot
  hs_thread *stopper;               // [collector] the registered thread that stopped the world
  uint64_t stop_requested_ns;       // [collector]
  uint64_t stop_reached_ns;         // [collector] when the last thread was claimed
  hs_event_log *log;                // [const] stop windows and handshakes are recorded here
};

enum { HS_THREAD_MAGIC = 0x68735448, HS_WORLD_MAGIC = 0x68735744 };

void hs_world_init(hs_world *world, hs_event_log *log);
// Both require that every thread has detached. A heap says so before it stops its own background threads,
// which use the world until then, and destroys it afterwards.
void hs_world_require_empty(hs_world *world);
void hs_world_destroy(hs_world *world);

// Lists, ids, states; the world is stopped, or its lock is held by the caller.
void hs_world_check(const hs_world *world);

// Register / unregister the calling thread; waits while the world is stopped. Attaching sets every
// field of *thread; it must not move until it is detached, RUNNING and without frames.
void hs_thread_attach(hs_world *world, hs_thread *thread);
void hs_thread_detach(hs_thread *thread);

// Become the collector: waits (as NATIVE when self is given) for any other collector to finish. Not
// recursive. A safepoint of self. Callers re-check their reason afterwards: the other one may have
// served it.
void hs_world_enter_collector(hs_world *world, hs_thread *self);
void hs_world_leave_collector(hs_world *world);

// Stop every thread but self (NULL: an unregistered thread), and let them go. The caller is the
// collector. The window is logged as HS_EVENT_STOP from request to resume, its time-to-safepoint in
// value. Between the two the caller may read and write every thread's frames and heap state.
void hs_world_stop(hs_world *world, hs_thread *self);
void hs_world_start(hs_world *world);
bool hs_world_is_stopped(const hs_world *world);

// Run fn once for every registered thread: on the thread itself at its next poll, here for a NATIVE
// one and for self. Returns when all have answered. The caller is the collector. fn must be short:
// it is a delay imposed on a mutator (logged as HS_EVENT_HANDSHAKE when above 1 us).
void hs_world_handshake(hs_world *world, hs_thread *self, hs_handshake_fn fn, void *context);

// The calling thread is about to poll. Cheap; for slow paths.
static inline void hs_thread_visit(hs_thread *thread) { hs_owner_add(&thread->visits, 1u); }

// Whether every thread but self is in a blocking region or visits a slow path within budget_ns, for which
// the caller spins: then a handshake is answered at once, most likely. Any thread.
bool hs_world_is_responsive(hs_world *world, const hs_thread *self, uint64_t budget_ns);

// The same for every thread, by handshake, or at once when the world is stopped. `birth_barrier` is what
// threads that attach from now on begin with.
void hs_world_reach_all(hs_world *world, hs_thread *self, hs_barrier birth_barrier,
                        hs_handshake_fn fn, void *context);

// Visit the registered threads; world stopped, or the world lock held by the caller.
#define HS_WORLD_EACH_THREAD(world, t) for (hs_thread *t = (world)->threads; t; t = t->next)

// ---- mutator side -------------------------------------------------------------------------------

HS_COLD void hs_poll_slow(hs_thread *thread);

static inline void hs_poll(hs_thread *thread) {
  if (HS_UNLIKELY(hs_load_relaxed(&thread->poll) != 0)) hs_poll_slow(thread); // acquires inside
}

// Inside, the thread touches neither the heap nor its frames. Regions do not nest. Ending one waits
// while the world is stopped.
void hs_blocking_begin(hs_thread *thread);
void hs_blocking_end(hs_thread *thread);

#endif
