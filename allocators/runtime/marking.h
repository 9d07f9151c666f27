// SPDX-License-Identifier: MIT
// Marking while the program runs (or while it is stopped): phases, write barrier, roots, shared work,
// assists, termination. Shared by every heap that traces. A heap gives the loop that scans its objects
// (hs_marking_ops), called per slice and never per object; where marks are kept is its own affair.
//
// Note [marking]
//   A hybrid barrier: deletion always, insertion only by threads whose frames are not scanned yet (the
//   rule and its proof: Go, proposal 17503, A. Clements and R. Hudson, 2016). Threads change what they
//   do one by one, in ragged handshakes; nobody is stopped:
//     A  OFF -> GREY    every reference that is overwritten, and every one that is written, is shaded.
//                       Objects are still allocated white: a thread that has not answered A stores
//                       without a barrier, so nobody may have a black object yet.
//     B  GREY -> BLACK  the thread's frames are copied to the grey pool, in one piece, because frames are
//                       plain C variables; from here on the thread shades only what it overwrites, and
//                       allocates black. Tracing begins when all have answered A.
//     C  BLACK -> OFF   after the heap has turned its bitmaps.
//   To shade is to append the reference to the thread's own grey chunk, without looking at the object:
//   the markers do that. So buffers hold marked and unmarked references alike.
//   Termination. In a round every thread publishes its buffer, then the markers empty the pool. The
//   marking is complete when in a whole round nothing was marked that was not marked before, counted from
//   a moment before the round at which nothing was grey, and no rescan was needed: then all buffers held
//   only marked references when they were published and the pool held none others, so at the time of
//   the first answer nothing was grey, and a thread can shade a white object only while one
//   is. What threads shade after their last answer is marked, and is dropped in C.
//   A thread that detaches publishes its buffer first. A new thread begins in the state that all have
//   answered last, or are being asked for: it has no frames.
//
// Note [assisting]
//   A thread that allocates owes scanning in proportion (the pacer says how much). It pays from the
//   credit that background markers earn, or scans for ASSIST_NS at most (URGENT_ASSIST_NS when the heap has
//   outgrown its goal), in slices, and then goes on, in debt if need be: its delay is bounded by a constant.
//   `active` counts markers at work. A thread adds itself, then tests `on`; the collector clears `on`,
//   then waits until `active` is 0. Both in the total order of seq_cst, so no thread is inside a slice
//   when the heap turns its bitmaps.
//
// Note [weak cells]
//   Until the marking is complete an unmarked object read from a weak cell is shaded, under the world
//   lock, and counted: a round during which that happened is not the last. (A marked one needs nothing;
//   else a program that goes on reading cells would keep the marking from ending.) Then, under the same
//   lock, the cells pass to CLEARING: from now on a cell whose object is unmarked reads as null, and the
//   collector clears such cells in pieces. OPEN again before the bitmaps turn.
#ifndef HS_RUNTIME_MARKING_H
#define HS_RUNTIME_MARKING_H

#include "allocators/runtime/background.h"
#include "allocators/runtime/grey.h"
#include "allocators/runtime/roots.h"
#include "allocators/runtime/world.h"

enum { HS_MARKING_MAX_WORKERS = 64 };

// What a slice of marking did.
typedef struct hs_marked {
  uint64_t objects_count; // newly marked
  uint64_t bytes;         // of them
  uint64_t scanned_bytes; // of objects whose slots were read, the pacer's unit of work
} hs_marked;

typedef struct hs_marking_ops {
  // Scan grey words, the pool's included, until about `refs` references were looked at or nothing is
  // left. Any marker; several at once.
  hs_marked (*drain)(void *heap, hs_grey *grey, uint64_t refs);
  // Mark one reference's object without queueing it. See Note [mark overflow].
  void (*mark_only)(void *heap, heap_ref ref);
  // Scan every marked object again. Collector; see Note [mark overflow].
  hs_marked (*rescan)(void *heap, hs_grey *grey);
  bool (*is_marked)(void *heap, heap_ref ref);
  // Shade the heap's own roots (pins) with hs_marking_shade. Collector, after A.
  void (*shade_roots)(void *heap, hs_grey *grey);
  // The heap's part in B and C. On the thread, or on its behalf.
  void (*thread_black)(void *heap, hs_thread *thread);
  void (*thread_off)(void *heap, hs_thread *thread);
} hs_marking_ops;

typedef struct hs_marking {
  hs_world *world;           // [const]
  void *heap;                // [const]
  const hs_marking_ops *ops; // [const]
  hs_grey_pool pool;         // published work
  unsigned worker_count;     // [const] background markers besides the collector
  _Atomic(uint32_t) on;      // [atomic] slices are welcome. Note [assisting]
  _Atomic(uint32_t) active;  // [atomic] markers inside a slice
  _Atomic(uint64_t) objects_count, bytes,
      scanned_bytes;                      // [atomic] of this marking, as in hs_marked
  _Atomic(uint64_t) assist_ns, worker_ns; // [atomic] CPU time of this marking
  _Atomic(int64_t) credit_bytes;          // [atomic] scanned and not yet spent
  uint64_t roots_bytes, frames_bytes;     // [collector] slots read, of this marking
  _Atomic(uint64_t) frames_slots_count;   // [atomic] counted by the answers to B
  uint64_t rounds_count;                  // [collector] of this marking
  _Atomic(bool) was_small;                // [atomic] the last marking had next to nothing to scan
  hs_background workers[HS_MARKING_MAX_WORKERS - 1]; // [const] after init
} hs_marking;

// worker_count: markers besides the collector's own thread, below HS_MARKING_MAX_WORKERS; fewer run when
// threads cannot be had. Registers itself with the world, in which no thread is attached yet.
void hs_marking_init(hs_marking *marking, hs_world *world, void *heap, const hs_marking_ops *ops,
                     unsigned worker_count);
void hs_marking_destroy(hs_marking *marking); // no marking is under way

// Mark everything reachable. The caller is the collector (self as in hs_world_handshake), the world is
// stopped or runs. When it returns every barrier is BLACK and weak cells of dead objects are cleared.
// tick, if given, is called by the collector between slices (to revise the pace).
typedef void (*hs_marking_tick_fn)(void *heap);
void hs_marking_run(hs_marking *marking, hs_thread *self, hs_marking_tick_fn tick);

// After the heap has turned its bitmaps: barriers off, thread_off on every thread.
void hs_marking_end(hs_marking *marking, hs_thread *self);

// Shade a reference on behalf of the collector: into its queue, or mark at once if there is no room.
void hs_marking_shade(hs_marking *marking, hs_grey *grey, uintptr_t ref);

// Whether a cycle that is due is best run by self, the thread that found it due, and not by the collector's
// thread: the last marking had next to nothing to scan, nobody is collecting, and every other thread will answer
// its handshakes at once, for which the caller may have to spin some microseconds. All of that
// takes less than waking a thread. A thread answers at once if it calls hs_thread_visit where it often polls.
bool hs_marking_suits_inline(hs_marking *marking, const hs_thread *self);

// ---- mutator side -------------------------------------------------------------------------------

static inline bool hs_marking_is_on(const hs_marking *marking) {
  return hs_load_relaxed(&marking->on) != 0; // a hint
}

// Pay for an allocation; owed_bytes of scanning are added to the thread's debt. urgent: the heap has
// outgrown its goal, so the thread may be held longer. Not a safepoint. Call it
// where the thread holds nothing that a marker might touch. See Note [assisting].
void hs_marking_assist(hs_marking *marking, hs_thread *thread, uint64_t owed_bytes, bool urgent);

// The thread's barrier is on: append a reference to its buffer.
void hs_shade(hs_thread *thread, uintptr_t ref);

// Write a slot (of an object, or a global root) that markers may read at the same time. The store is a
// release, so that a marker that finds a new object through it sees it initialised.
HS_COLD void hs_barrier_store_slow(hs_thread *thread, _Atomic(uintptr_t) *slot, uintptr_t value);

HS_ALWAYS_INLINE void hs_barrier_store(hs_thread *thread, _Atomic(uintptr_t) *slot,
                                       uintptr_t value) {
  if (HS_UNLIKELY(thread->barrier != HS_BARRIER_OFF))
    hs_barrier_store_slow(thread, slot, value);
  else
    hs_store_release(slot, value); // pairs: the marker's load of the slot
}

#endif
