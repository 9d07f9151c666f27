// SPDX-License-Identifier: MIT
// The state word of allocators/runtime/world.c, Note [handshake]: owners that poll, block, leave
// and come back, and a collector that stops the world and handshakes, in any order, any number of
// times.
//
// Shown: no deadlock (a lost wake-up or request is one: see `end_polling`), a handshake runs
// exactly once for each registered thread, nobody touches the heap while a stop is in force.
//
// Stands for: enter_native, leave_native, answer_handshake (answer), hs_poll_slow (poll),
// hs_thread_attach and hs_thread_detach (owner), claim, await_answer, resume, hs_world_stop,
// hs_world_start and hs_world_handshake (collector). Each atomic operation of the code is one
// step here.
//
// Left out, and why that is sound:
//   memory order    steps are sequentially consistent. All words involved change by
//                   read-modify-write, except the answer, the request number and the release of a
//                   claimed thread; each of these is stored with release (or before one) and read
//                   after an acquire of what follows it. No step relies on the order of a store
//                   and a later load of another word.
//   numbers         a handshake's number is compared with the current one only, and is at most
//                   one behind: one bit. The resume epoch is compared with a value read before: a
//                   flag per owner, "moved since read". (The code's 32 bits would have to wrap
//                   between a read and a sleep.)
//   spurious wakes  only repeat a test.
//   the other lock  world->lock is never held at one of these steps.
//   a collector that is itself a registered thread does not wait for itself; it answers as an
//   owner does.
//   a thread that computes for ever waits, here, until its poll word is set: polling changes
//   nothing.
//
// Bounds: T owners (1 or 2), one collector. -DNO_BLOCKING, -DNO_LEAVING: owners do less, for T=2.
// Rules to leave out, one at a time:
//   CLEAR_LATE          the answer is published before the poll bit is cleared: the next request
//   is erased
//   NO_SECOND_TEST      the collector does not look at the answer again after it has set AWAITED
//   NO_WAKE, NO_WAKE_ON_ANSWER   the owner ignores that it found AWAITED (when it blocks, when it
//   answers)
//   EPOCH_AFTER_TESTS   the resume epoch is read after the tests it protects
//   SERVE_WITHOUT_CAS   a thread is claimed by a load and a store
#ifndef T
#define T 2 /* owners */
#endif
#define RUNNING 1
#define NATIVE 2
#define STOPPED 3
#define SERVED 4
#define AWAITED 5

byte state[T];
bool poll_stop[T], poll_handshake[T]; /* bits of the poll word */
bool number, answered[T];             /* of the current handshake, of the last one answered */
bool registered[T], registry;         /* the list of threads and its lock */
bool moved[T], asleep[T];             /* resume epoch: moved since the owner read it; sleeps on it */
byte collector_sleeps_on = T;         /* the owner whose state word it is, or T */
/* Of the proof, not of the code: a stop is in force; an owner is using the heap; runs of a handshake. */
bool in_force, touching[T];
byte runs[T];

#define LOCK(mutex) atomic { !mutex -> mutex = 1 }
#define UNLOCK(mutex) mutex = 0

inline wake_collector(t) {
  d_step {
    if
    :: collector_sleeps_on == t -> collector_sleeps_on = T
    :: else
    fi
  }
}

// Of the owner.
inline enter_native(t) {
  d_step {
    assert(state[t] == RUNNING || state[t] == AWAITED);
    old = state[t];
    state[t] = NATIVE
  };
#ifndef NO_WAKE
  if
  :: old == AWAITED -> wake_collector(t)
  :: else
  fi;
#endif
  old = 0
}

inline resume_futex_wait(t) {
  d_step {
    if
    :: !moved[t] -> asleep[t] = 1
    :: else
    fi
  };
  !asleep[t]
}

inline leave_native(t) {
  do
  :: true ->
#ifndef EPOCH_AFTER_TESTS
    moved[t] = 0; /* reads the epoch */
#endif
    if
    :: !poll_stop[t] ->
      d_step {
        if
        :: state[t] == NATIVE -> state[t] = RUNNING; old = 1
        :: else -> assert(state[t] == STOPPED || state[t] == SERVED); old = 0
        fi
      };
      if
      :: old -> break
      :: else
      fi
    :: else
    fi;
#ifdef EPOCH_AFTER_TESTS
    moved[t] = 0;
#endif
    resume_futex_wait(t)
  od;
  old = 0
}

// Of the owner, or of the collector that serves it.
inline answer(t) {
#ifndef CLEAR_LATE
  poll_handshake[t] = 0;
#endif
  if
  :: answered[t] != number ->
    d_step { runs[t]++; assert(runs[t] == 1) };
    answered[t] = number
  :: else
  fi;
#ifdef CLEAR_LATE
  poll_handshake[t] = 0;
#endif
}

inline poll(t) {
  do
  :: !poll_stop[t] && !poll_handshake[t] -> break
  :: else ->
    if
    :: poll_handshake[t] ->
      answer(t);
      d_step { old = state[t]; state[t] = RUNNING };
#ifndef NO_WAKE_ON_ANSWER
      if
      :: old == AWAITED -> wake_collector(t)
      :: else
      fi;
#endif
      old = 0
    :: else
    fi;
    if
    :: poll_stop[t] ->
      enter_native(t);
      leave_native(t)
    :: else
    fi
  od
}

proctype owner(byte t) {
  byte old;
outside:
  LOCK(registry);
  d_step {
    state[t] = RUNNING;
    answered[t] = number;
    registered[t] = 1;
    poll_stop[t] = 0;
    poll_handshake[t] = 0;
    runs[t] = 1
  };
  UNLOCK(registry);
  do
  :: d_step { assert(!in_force && state[t] != STOPPED && state[t] != SERVED); touching[t] = 1 };
    d_step { assert(!in_force && state[t] != STOPPED && state[t] != SERVED); touching[t] = 0 };
    poll(t)
  :: true ->
end_polling: /* computes from now on, and does nothing but poll until it is asked for something */
    (poll_stop[t] || poll_handshake[t]);
    poll(t)
#ifndef NO_BLOCKING
  :: enter_native(t);
    leave_native(t);
    poll(t)
#endif
#ifndef NO_LEAVING
  :: enter_native(t);
    LOCK(registry);
    registered[t] = 0;
    UNLOCK(registry);
    goto outside
#endif
  od
}

// One try; claimed says whether it succeeded.
inline claim(t, as) {
#ifdef SERVE_WITHOUT_CAS
  claimed = (state[t] == NATIVE);
  if
  :: claimed -> state[t] = as
  :: else
  fi
#else
  d_step {
    claimed = (state[t] == NATIVE);
    if
    :: claimed -> state[t] = as
    :: else
    fi
  }
#endif
}

inline resume() {
  d_step { moved[0] = 1; moved[T - 1] = 1 };
  d_step { asleep[0] = 0; asleep[T - 1] = 0 }
}

#ifdef NO_SECOND_TEST
#define TESTS_AGAIN false
#else
#define TESTS_AGAIN true
#endif

inline await_answer(t, answers) {
  if
  :: true -> skip /* the spin */
  :: d_step {
      claimed = 0;
      if
      :: state[t] == RUNNING -> state[t] = AWAITED; claimed = 1
      :: state[t] == AWAITED -> claimed = 1
      :: else
      fi
    };
    if
    :: claimed && !(TESTS_AGAIN && answers && answered[t] == number) ->
      d_step {
        if
        :: state[t] == AWAITED -> collector_sleeps_on = t
        :: else
        fi
      };
      collector_sleeps_on == T
    :: else
    fi
  fi;
  claimed = 0
}

proctype collector() {
  byte t;
  bool claimed;
  do
  :: LOCK(registry); /* a stop */
    t = 0;
    do
    :: t < T -> poll_stop[t] = registered[t]; t++
    :: else -> break
    od;
    t = 0;
    do
    :: t < T && registered[t] ->
      claim(t, STOPPED);
      if
      :: claimed -> claimed = 0; t++
      :: else -> await_answer(t, false)
      fi
    :: t < T && !registered[t] -> t++
    :: else -> break
    od;
    skip;
    d_step { in_force = 1; assert(!touching[0] && !touching[T - 1]) };
    d_step { assert(!touching[0] && !touching[T - 1]); in_force = 0 };
    t = 0;
    do
    :: t < T ->
      if
      :: registered[t] -> poll_stop[t] = 0; state[t] = NATIVE
      :: else
      fi;
      t++
    :: else -> break
    od;
    t = 0;
    resume();
    UNLOCK(registry)
  :: LOCK(registry); /* a handshake */
    d_step {
      number = !number;
      runs[0] = !registered[0];
      runs[T - 1] = !registered[T - 1]
    };
    t = 0;
    do
    :: t < T -> poll_handshake[t] = registered[t]; t++
    :: else -> break
    od;
    t = 0;
    do
    :: t < T && registered[t] && answered[t] != number ->
      claim(t, SERVED);
      if
      :: claimed ->
        claimed = 0;
        answer(t);
        state[t] = NATIVE;
        resume()
      :: else -> await_answer(t, true)
      fi
    :: t < T && (!registered[t] || answered[t] == number) -> t++
    :: else -> break
    od;
    t = 0;
    d_step { assert(runs[0] == 1 && runs[T - 1] == 1) };
    UNLOCK(registry)
  :: break /* no more collections */
  od
}

init {
  atomic {
    run owner(0);
#if T > 1
    run owner(1);
#endif
    run collector()
  }
}
