// SPDX-License-Identifier: MIT
// Concurrent marking, Note [marking] of allocators/runtime/marking.h: two mutators that run any
// program and one collector that runs cycle after cycle. After the sweep of a cycle the model is
// where it began, so what is explored is any number of cycles.
//
// Shown: when a marking is declared complete everything reachable is marked, and still is when
// the bitmaps turn; the sweep frees nothing reachable, from then until the next cycle; no mutator
// ever reads a reference to a freed object; no mark bit is left over for the next cycle; with
// -DWEAK, no weak cell outlives its object.
//
// Stands for: hs_marking_run, terminate and hs_marking_end (collector), answer_grey,
// answer_black, answer_publish and answer_off (answer), hs_shade and hs_barrier_store_slow
// (SHADE, store), the heap's allocation (allocate) and sweep (sweep), hs_thread_attach and
// hs_thread_detach (-DEXIT), hs_weak_get, hs_weak_link, close_weak_cells and clear_weak_cells
// (-DWEAK).
//
// Left out, and why that is sound:
//   handshakes     a mutator answers between two operations, in one step; handshake.pml shows
//                  they arrive. A thread that is served while it blocks is a mutator that answers
//                  and does nothing else.
//   markers        any number of them: the grey references and the unread slots are sets, and any
//                  member may be next. Reading a slot and marking what was found are two steps.
//                  Completion waits until both sets are empty, as is_quiet does.
//   buffers        sets without marked members: to look at a marked reference changes nothing,
//                  and marks only grow. After completion they are ignored, as answer_off drops
//                  them.
//   chunks         -DSPILL: a mutator may publish its buffer at any time, as a full chunk is.
//   spans          each object is its own. `old` says that its bitmap is of this cycle: not swept
//                  yet. Who sweeps does not matter: one sweep and one allocation in a span
//                  exclude each other. An object allocated in a span that is swept already is
//                  never marked.
//   frames         which slot of a frame holds which reference does not matter: they are kept
//                  sorted. To overwrite a frame slot is to drop it and load. Self-references add
//                  nothing: not stored.
//   memory order   sequentially consistent; -DTSO: an own store may be seen late by others (one
//                  at a time per mutator), until a locked operation: an answer, a mark bit.
//                  Weaker orders are covered by the release of a store and the acquire of a
//                  marker's load, not modelled.
//   Mark stacks that overflow, pins and other roots of a heap (a root slot behaves like a pin).
//
// The program: mutators load, store, drop and allocate at will. Two that store the same slot
// synchronise, as heap.h demands; -DRACE lifts that, and then -DEXCHANGE (an atomic exchange of
// the slot whose result is shaded) is what keeps the heap whole.
//
// Bounds: N objects of one slot, R root slots, frames of 2 and F1 slots, store buffers of one.
// Rules to leave out, one at a time:
//   NO_DELETION, NO_INSERTION   halves of the barrier (the second is on in GREY only)
//   NO_RECHECK        complete after the first round, whatever it found
//   ONE_HANDSHAKE     barrier on and frames scanned in one handshake
//   WHITE_ALLOC       a BLACK thread allocates white
//   BLACK_IN_GREY     a GREY thread allocates black: others store into the object without a
//   barrier
//   BLACK_IN_SWEPT    a BLACK thread sets mark bits in a span that is swept already
//   EXIT_DROPS        a thread that leaves forgets its buffer
//   WEAK_UNSHADED, WEAK_UNCOUNTED   what a weak cell gives out is not shaded; does not force a
//   round
#ifndef N
#define N 2 /* objects */
#endif
#ifndef R
#define R 1 /* global root slots */
#endif
#ifndef F1
#define F1 1 /* frame slots of the second mutator, 1 or 2; the first has 2 */
#endif
#define S (R + N)        /* slots: those of the roots, then one of each object */
#define SLOT(o) (R - 1 + (o))
#define ALL ((1 << N) - 1)
#define BIT(o) ((1 << (o)) >> 1) /* objects are 1..N; null, 0, has no bit */

#define OFF 0
#define GREY 1
#define BLACK 2
#define GONE 3

#define ASK_GREY 1
#define ASK_BLACK 2
#define ASK_PUBLISH 3
#define ASK_OFF 4
#define ASK_GREY_BLACK 5

byte slot[S];
byte frame[4]; /* two of each mutator, sorted */
byte live, marked, old = ALL; /* sets of objects: allocated, mark bit, not swept since the turn */
byte buf[2], pool;            /* sets of objects: shaded by each mutator, published */
byte unread;                  /* set of slots that markers have still to read */
byte barrier[2];
bool asked[2], handshaking;
byte ask, birth = OFF;
bool found;                   /* something was marked in this round */
bool marking, turned;         /* from A to completion; from the turn to the end of the sweep */
byte store_to[2], store_value[2]; /* a store under way: slot + 1, value */
#ifdef TSO
byte late_to[2], late_value[2]; /* store buffer: slot + 1, value */
#endif

#ifdef WEAK
byte weak; /* the target of a weak cell */
bool clearing, shaded;
#endif

hidden byte reach, before, i;

#define USED(o) (live & BIT(o))

inline compute_reach() {
  reach = 0;
  i = 0;
  do :: i < R -> reach = reach | BIT(slot[i]); i++ :: else -> break od;
  i = 0;
  do :: i < 4 -> reach = reach | BIT(frame[i]); i++ :: else -> break od;
#ifdef TSO
  reach = reach | BIT(late_value[0]) | BIT(late_value[1]);
#endif
  before = 0;
  do
  :: before != reach ->
    before = reach;
    i = R;
    do
    :: i < S ->
      if
      :: reach & (1 << (i - R)) -> reach = reach | BIT(slot[i])
      :: else
      fi;
      i++
    :: else -> break
    od
  :: else -> break
  od
}

// Nothing counts after completion; GREY threads exist before `marking`.
#define SHADE(m, ref) \
  buf[m] = buf[m] | ((marking || barrier[m] == GREY) -> (BIT(ref) & ~marked) : 0)

#ifdef TSO
#define FLUSH(m) \
  if :: late_to[m] -> slot[late_to[m] - 1] = late_value[m]; late_to[m] = 0; late_value[m] = 0 \
     :: else fi
#define READ(s) ((late_to[me] == (s) + 1) -> late_value[me] : slot[s])
#define IDLE(m) (!store_to[m] && !late_to[m])
#define OTHER_WRITES(s) (store_to[1 - me] == (s) + 1 || late_to[1 - me] == (s) + 1)
#else
#define FLUSH(m) skip
#define READ(s) slot[s]
#define IDLE(m) (!store_to[m])
#define OTHER_WRITES(s) (store_to[1 - me] == (s) + 1)
#endif
#ifdef RACE
#define MAY_WRITE(s) (IDLE(me))
#else
#define MAY_WRITE(s) (IDLE(me) && !OTHER_WRITES(s))
#endif

#define FR(f) frame[me * 2 + (f)]
#define TWO (me == 0 || F1 == 2)
#define READY (!store_to[me] && barrier[me] != GONE)

inline sort() {
  if
  :: FR(0) < FR(1) && TWO -> t = FR(0); FR(0) = FR(1); FR(1) = t; t = 0
  :: else
  fi
}

inline answer() {
  FLUSH(me);
  if
  :: ask == ASK_GREY -> barrier[me] = GREY
  :: ask == ASK_BLACK || ask == ASK_GREY_BLACK ->
    i = 0;
    do
    :: i < 2 -> buf[me] = buf[me] | (BIT(FR(i)) & ~marked); i++
    :: else -> break
    od;
    barrier[me] = BLACK;
    pool = pool | buf[me];
    buf[me] = 0
  :: ask == ASK_PUBLISH ->
    pool = pool | buf[me];
    buf[me] = 0
  :: ask == ASK_OFF ->
    barrier[me] = OFF;
    buf[me] = 0
  fi;
  asked[me] = 0
}

inline load(target, from) {
  t = READ(from);
  assert(t == 0 || USED(t));
  FR(target) = t;
  t = 0;
  sort()
}

inline put(to, value) {
#ifdef TSO
  late_to[me] = to + 1;
  late_value[me] = value
#else
  slot[to] = value
#endif
}

inline store(to, value) {
  t = READ(to);
  assert(t == 0 || USED(t));
  if
  :: barrier[me] == OFF -> t = to; put(t, value)
  :: else ->
#ifndef NO_DELETION
    SHADE(me, t);
#endif
#ifndef NO_INSERTION
    if :: barrier[me] == GREY -> SHADE(me, value) :: else fi;
#endif
#ifdef EXCHANGE
    t = to;
    FLUSH(me);
    slot[t] = value
#else
    i = to;
    store_value[me] = value;
    store_to[me] = i + 1
#endif
  fi;
  t = 0
}

#ifdef WHITE_ALLOC
#define BLACKENS false
#elif defined(BLACK_IN_GREY)
#define BLACKENS (barrier[me] != OFF)
#else
#define BLACKENS (barrier[me] == BLACK)
#endif

inline allocate(f) {
  t = 1;
  do :: USED(t) -> t++ :: else -> break od;
  live = live | BIT(t);
  if
#ifdef BLACK_IN_SWEPT
  :: BLACKENS ->
#else
  :: BLACKENS && (old & BIT(t)) ->
#endif
    marked = marked | BIT(t);
    FLUSH(me)
  :: else ->
    if :: turned -> old = old & ~BIT(t) :: else fi
  fi;
  FR(f) = t;
  t = 0;
  sort()
}

#ifdef WEAK
inline weak_get(f) {
  t = weak;
  if
  :: barrier[me] == OFF
  :: barrier[me] != OFF && (marked & BIT(t)) // needs nothing, and delays nothing
  :: barrier[me] != OFF && !(marked & BIT(t)) && clearing -> t = 0
  :: barrier[me] != OFF && !(marked & BIT(t)) && !clearing ->
#ifndef WEAK_UNSHADED
    SHADE(me, t);
#endif
#ifndef WEAK_UNCOUNTED
    shaded = marking
#endif
  fi;
  assert(t == 0 || USED(t));
  FR(f) = t;
  t = 0;
  sort()
}
#define WEAK_GET(f) \
  :: d_step { READY && FR(f) == 0 && f == TWO && weak != 0 -> weak_get(f) }
#define WEAK_LINK(f) \
  :: d_step { READY && FR(f) != 0 && weak == 0 -> weak = FR(f) }
#endif

#define LOAD_ROOT(r, f) \
  :: d_step { READY && FR(f) == 0 && f == TWO && READ(r) != 0 -> load(f, r) }
#define WALK(f) \
  :: d_step { READY && FR(f) != 0 && READ(SLOT(FR(f))) != 0 -> load(f, SLOT(FR(f))) }
#define LOAD(f, g) \
  :: d_step { READY && FR(f) != 0 && TWO && FR(g) == 0 && READ(SLOT(FR(f))) != 0 -> load(g, SLOT(FR(f))) }
#define STORE_ROOT(r, f) \
  :: d_step { READY && FR(f) != 0 && READ(r) != FR(f) && MAY_WRITE(r) -> store(r, FR(f)) }
#define CLEAR_ROOT(r) \
  :: d_step { READY && READ(r) != 0 && MAY_WRITE(r) -> store(r, 0) }
#define STORE(f, g) \
  :: d_step { READY && FR(f) != 0 && FR(g) != 0 && FR(f) != FR(g) && READ(SLOT(FR(f))) != FR(g) && \
    MAY_WRITE(SLOT(FR(f))) -> store(SLOT(FR(f)), FR(g)) }
#define CLEAR(f) \
  :: d_step { READY && FR(f) != 0 && READ(SLOT(FR(f))) != 0 && MAY_WRITE(SLOT(FR(f))) -> \
    store(SLOT(FR(f)), 0) }
#define DROP(f) \
  :: d_step { READY && FR(f) != 0 -> FR(f) = 0; sort() }
#define ALLOCATE(f) \
  :: d_step { READY && FR(f) == 0 && f == TWO && live != ALL -> allocate(f) }

proctype mutator(byte me) {
  byte t;
  do
  :: d_step {
    store_to[me] ->
    t = store_to[me] - 1;
    put(t, store_value[me]);
    store_to[me] = 0;
    store_value[me] = 0;
    t = 0
  }
  :: d_step { READY && asked[me] -> answer() }
  LOAD_ROOT(0, 0)
  LOAD_ROOT(0, 1)
  STORE_ROOT(0, 0)
  STORE_ROOT(0, 1)
  CLEAR_ROOT(0)
#if R > 1
  LOAD_ROOT(1, 0)
  LOAD_ROOT(1, 1)
  STORE_ROOT(1, 0)
  STORE_ROOT(1, 1)
  CLEAR_ROOT(1)
#endif
  WALK(0)
  WALK(1)
  LOAD(0, 1)
  STORE(0, 1)
  STORE(1, 0)
  CLEAR(0)
  CLEAR(1)
  DROP(0)
  DROP(1)
  ALLOCATE(0)
  ALLOCATE(1)
#ifdef WEAK
  WEAK_GET(0)
  WEAK_GET(1)
  WEAK_LINK(0)
#endif
#ifdef TSO
  :: d_step { late_to[me] -> FLUSH(me) }
#endif
#ifdef SPILL
  :: d_step { buf[me] != 0 -> pool = pool | buf[me]; buf[me] = 0 }
#endif
#ifdef EXIT
  :: d_step {
    READY && !handshaking && FR(0) == 0 ->
    FLUSH(me);
#ifndef EXIT_DROPS
    pool = pool | (marking -> buf[me] : 0);
#endif
    buf[me] = 0;
    barrier[me] = GONE
  }
  :: d_step { barrier[me] == GONE && !handshaking -> barrier[me] = birth }
#endif
  od
}

#define ANSWERED (!asked[0] && !asked[1])

inline ask_all(what, birth_state) {
  d_step {
    ask = what;
    birth = birth_state;
    handshaking = 1;
    asked[0] = (barrier[0] != GONE);
    asked[1] = (barrier[1] != GONE)
  }
}

// Steps of any marker: look at a reference, or read a slot of a marked object.
inline mark(o) {
  pool = pool & ~BIT(o);
  buf[0] = buf[0] & ~BIT(o);
  buf[1] = buf[1] & ~BIT(o);
  marked = marked | BIT(o);
  unread = unread | (1 << SLOT(o));
  found = 1
}
#define MARK(o) :: d_step { pool & BIT(o) -> mark(o) }
#define SCAN(s) \
  :: d_step { unread & (1 << (s)) -> \
    unread = unread & ~(1 << (s)); \
    pool = pool | (BIT(slot[s]) & ~marked) }
#define SWEEP(o) :: d_step { old & BIT(o) -> sweep(o) }

inline sweep(o) {
  if
  :: (old & live & BIT(o)) && !(marked & BIT(o)) ->
    compute_reach();
    assert(!(reach & BIT(o)));
#ifdef WEAK
    assert(weak != o);
#endif
    live = live & ~BIT(o);
    slot[SLOT(o)] = 0
  :: else
  fi;
  old = old & ~BIT(o);
  marked = marked & ~BIT(o)
}

#if N == 2
#define EACH_OBJECT(X) X(1) X(2)
#define EACH_FIELD(X) X(R) X(R + 1)
#elif N == 3
#define EACH_OBJECT(X) X(1) X(2) X(3)
#define EACH_FIELD(X) X(R) X(R + 1) X(R + 2)
#elif N == 4
#define EACH_OBJECT(X) X(1) X(2) X(3) X(4)
#define EACH_FIELD(X) X(R) X(R + 1) X(R + 2) X(R + 3)
#endif
#if R == 1
#define EACH_ROOT(X) X(0)
#else
#define EACH_ROOT(X) X(0) X(1)
#endif
#define MARKER EACH_OBJECT(MARK) EACH_ROOT(SCAN) EACH_FIELD(SCAN)
#define SWEEPER EACH_OBJECT(SWEEP)
#define DRAINED (pool == 0 && unread == 0)

proctype collector() {
  do
  :: true ->
#ifdef ONE_HANDSHAKE
    ask_all(ASK_GREY_BLACK, BLACK);
    marking = 1;
#else
    ask_all(ASK_GREY, GREY);
    d_step { ANSWERED -> handshaking = 0 };
    d_step { ask = ASK_BLACK; marking = 1 };
    ask_all(ASK_BLACK, BLACK);
#endif
    do
    :: d_step { ANSWERED -> handshaking = 0; unread = unread | ((1 << R) - 1) }; break
    MARKER
    od;
    do
    :: DRAINED -> break
    MARKER
    od;
    do
    :: true ->
      found = 0;
#ifdef WEAK
      shaded = 0;
#endif
      ask_all(ASK_PUBLISH, BLACK);
      do
      :: d_step { ANSWERED -> handshaking = 0 }; break
      MARKER
      od;
      do
      :: DRAINED -> break
      MARKER
      od;
#ifdef NO_RECHECK
      break
#else
#ifdef WEAK
      if
      :: d_step { !found && !shaded -> clearing = 1 }; break
      :: d_step { found || shaded }
      fi
#else
      if
      :: !found -> break
      :: else
      fi
#endif
#endif
    od;
    skip;
    d_step {
      marking = 0;
      found = 0;
      compute_reach();
      assert((reach & ~marked) == 0);
      pool = 0;
      buf[0] = 0;
      buf[1] = 0
    };
#ifdef WEAK
    d_step {
      if
      :: !(marked & BIT(weak)) -> weak = 0
      :: else
      fi
    };
    clearing = 0;
#endif
    d_step {
      compute_reach();
      assert((reach & ~marked) == 0);
      turned = 1
    };
    ask_all(ASK_OFF, OFF);
    do
    :: d_step { ANSWERED -> handshaking = 0 }; break
    SWEEPER
    od;
    do
    :: d_step { old == 0 -> assert(marked == 0); old = ALL; turned = 0; ask = 0 }; break
    SWEEPER
    od
  od
}

init {
  atomic {
    run mutator(0);
    run mutator(1);
    run collector()
  }
}
