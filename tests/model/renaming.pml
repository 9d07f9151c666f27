// SPDX-License-Identifier: MIT
// Renaming of handles as part of a marking, Note [twins] of compact/cp_twin.c: two mutators that
// run any program and one collector, which is the marker; one cycle, from before its first
// handshake to the reuse of the old entries.
//
// Shown: heap_same says of any two names that a thread has whether they name one object. An object
// has one twin. When the marking is complete everything reachable is marked, under its new name
// only, and stays so. A thread that has turned its barrier off never comes by an old name again.
// When all have, no slot, root, frame or store on its way holds one, so the old entries may be used
// again. No store of a mutator is lost.
//
// -DWEAK: a cell reads as null, and is cleared, only if its object cannot be reached any more, and its
// object outlives the turn otherwise. -DPIN: a pin has its current name from the moment at which there
// may be two, so whoever unpins finds it, whatever name it has. -DLARGE: the descriptor of a large object
// names a marked entry if the object can be reached, so the sweep frees no other.
//
// Stands for: cp_twin_of and make_twin (RESOLVE), rename_slot (replace) and mark_ref (mark),
// compact_store_slow (begin_store, shade, put), compact_same (SAME), cp_twin_replace_shared and
// cp_twin_replace_frames, give_back_locked (check_names); hs_weak_get with is_marked (weak_get),
// compact_weak_create (TO_WEAK), clear_weak_cells; compact_pin, compact_unpin (TO_PIN, TO_UNPIN),
// cp_pin_rename, shade_roots; cp_large_sweep. Marking itself is that of marking.pml: what that leaves
// out is left out here. Also left out, and why that is sound:
//   allocation     a new object has a name outside of the sources and null slots.
//   pins, weak cells, large objects   each in configurations of its own, see below; elsewhere a pin
//                      or a cell is like a root that is replaced.
//   locations      old and new entry agree while nothing moves, so an access needs no name.
//   ranks          the place of a twin is a function of the entry's (rank_entries), so agents that make
//                  it at once write the same words, and making it is one step, a locked operation.
//
// Bounds: N objects of one slot, the first OLD of them in a source; one root, one cell, one pin; T
// mutators with frames of 2 and 1 slots. -DTSO: an own store may be seen late by others (one at a time per
// mutator), until a locked operation. -DFIXED_ROOT: mutators do not store to the root.
//
// Rules to leave out, one at a time:
//   STORE_AS_IS       a store does not replace the name
//   STORE_IF_TWIN     a store replaces the name only if there is a twin already
//   SAME_BITS         heap_same compares the references as they are
//   SAME_BY_BARRIER   heap_same looks for twins only when its thread's own barrier is on
//   ANNOUNCE_LATE     sources are announced after handshake A, not before
//   NO_FRAMES, NO_ROOTS   frames, global roots keep the names they have
//   SLOT_AS_IS, SLOT_BY_STORE   the marker does not replace a slot; does it by a plain store
//   TWIN_ANYWHERE     a twin takes the next free place, which two agents may do at once
//   MARK_OLD          the marker marks the name that it found
//   REUSE_AT_TURN     old entries are used again before all threads have answered handshake C
//   WEAK_BY_OLD       (-DWEAK) whether a cell's object is marked is read off the name that the cell holds
//   LINK_AS_IS        a new cell gets the name that its thread has
//   PINS_KEEP         (-DPIN) pins that there are already are not renamed
//   ON_AFTER_PINS     sources are announced when pins have been renamed, and their lock is free again
//   HANDLE_AS_IS      (-DLARGE) the descriptor keeps the old name
#ifndef N
#define N 2 /* objects */
#endif
#ifndef OLD
#define OLD 1 /* objects that have a name in S at the beginning: the first ones */
#endif
#ifndef T
#define T 2 /* mutators */
#endif
#ifndef RESERVE
#define RESERVE OLD /* reserved entries, at most 2 */
#endif
#define NAMES (N + RESERVE)    /* 1..OLD in S, ..N elsewhere, the rest are reserved; 0 is null */
#define SLOTS (1 + N)      /* the root, then one of each object */
#define SLOT(name) object[name]
#define BIT(name) ((1 << (name)) >> 1)
#define IN_S(name) ((name) != 0 && (name) <= OLD)

#define OFF 0
#define GREY 1
#define BLACK 2

byte slot[SLOTS];
byte written[SLOTS];      /* of the proof: the object that mutators have stored */
byte frame[4];            /* two of each mutator, sorted */
byte object[NAMES + 1];   /* that an entry stands for; 0: a reserved entry, not taken */
byte forward[OLD + 1];    /* FORWARDED: the twin */
bool known;               /* S is announced */
byte marked, buf[2], pool, unread; /* sets of names; of slots */
byte barrier[2];
bool asked[2];
byte ask;
bool found, marking, ended; /* ended: handshake C has begun */

#ifdef WEAK
byte weak;                /* the target of a cell */
bool clearing, shaded;    /* everything reachable is marked; a cell gave out what was not marked */
#endif
#ifdef PIN
byte pin;                 /* the table: one object, pinned once */
bool pin_lock;
#endif
#ifdef LARGE
byte handle;              /* of the first object's descriptor */
bool swept;
#endif

/* A store under way: slot + 1, value. Or another operation with a name, which is no store. */
#define TO_WEAK (SLOTS + 1)
#define TO_PIN (SLOTS + 2)
#define TO_UNPIN (SLOTS + 3)
#define STORES(m) (store_to[m] != 0 && store_to[m] <= SLOTS)
byte store_to[2], store_value[2];
bool shades[2];           /* it has shaded, and goes on to write; or it holds the lock of pins */
#ifdef TSO
byte late_to[2], late_value[2]; /* store buffers: slot + 1, value */
#endif

hidden byte i, reach, before;

#define RENAMES(m) (known && barrier[m] != OFF)
#define NAME(name) ((IN_S(name) && forward[name]) -> forward[name] : (name))
#ifdef TSO
#define DRAIN(m) \
  if :: late_to[m] -> slot[late_to[m] - 1] = late_value[m]; \
    written[late_to[m] - 1] = object[late_value[m]]; late_to[m] = 0; late_value[m] = 0 \
     :: else fi
#define READ(s) ((late_to[me] == (s) + 1) -> late_value[me] : slot[s])
#define IDLE (!late_to[me])
#define OTHER_WRITES(s) (store_to[1 - me] == (s) + 1 || late_to[1 - me] == (s) + 1)
#else
#define DRAIN(m) skip
#define READ(s) slot[s]
#define IDLE true
#define OTHER_WRITES(s) (store_to[1 - me] == (s) + 1)
#endif
#define SHADE(m, name) \
  buf[m] = buf[m] | ((marking || barrier[m] == GREY) -> (BIT(name) & ~marked) : 0)

#define FR(f) frame[me * 2 + (f)]
#define READY (!store_to[me])

inline sort() {
  if
  :: FR(0) < FR(1) && me == 0 -> t = FR(0); FR(0) = FR(1); FR(1) = t; t = 0
  :: else
  fi
}

// The twin of `name`.
#define RESERVED(t) (object[t] == 0)
inline make_twin(agent, name) {
#ifdef LARGE // in two steps, as the descriptor's word is not the entry's
  taken[agent] = N + 1;
  object[N + 1] = object[name];
#ifndef HANDLE_AS_IS
  assert(!swept || handle == N + 1);
  handle = N + 1
#endif
#elif defined(TWIN_ANYWHERE)
  taken[agent] = (RESERVED(N + 1) -> N + 1 : NAMES);
  assert(RESERVED(taken[agent]));
  object[taken[agent]] = object[name]
#else
  forward[name] = (RESERVED(N + 1) -> N + 1 : NAMES);
  assert(RESERVED(forward[name]));
  object[forward[name]] = object[name]
#endif
}
#ifdef LARGE
byte taken[3];
#define NOT_TAKEN(agent) (taken[agent] == 0)
#define INSTALL(active, v, agent) \
  :: d_step { active && !NOT_TAKEN(agent) -> \
    forward[v] = taken[agent]; v = forward[v]; taken[agent] = 0 }
#elif defined(TWIN_ANYWHERE)
byte taken[3];
#define NOT_TAKEN(agent) (taken[agent] == 0)
#define INSTALL(active, v, agent) \
  :: d_step { active && !NOT_TAKEN(agent) -> \
    assert(!forward[v]); forward[v] = taken[agent]; taken[agent] = 0 }
#else
#define NOT_TAKEN(agent) true
#define INSTALL(active, v, agent)
#endif

inline answer() {
  DRAIN(me);
  if
  :: ask == GREY -> barrier[me] = GREY
  :: ask == BLACK ->
    buf[me] = buf[me] | ((BIT(FR(0)) | BIT(FR(1))) & ~marked);
    barrier[me] = BLACK;
    pool = pool | buf[me];
    buf[me] = 0
  :: ask == 3 -> // publish
    pool = pool | buf[me];
    buf[me] = 0
  :: ask == OFF ->
#ifndef NO_FRAMES
    assert(!IN_S(FR(0)) || forward[FR(0)]);
    assert(!IN_S(FR(1)) || forward[FR(1)]);
    FR(0) = NAME(FR(0));
    FR(1) = NAME(FR(1));
    sort();
#endif
    barrier[me] = OFF;
    buf[me] = 0
  fi;
  asked[me] = 0
}

#define TURNED_OFF(m) (ended && barrier[m] == OFF)

inline load(target, from) {
  t = READ(from);
  assert(object[slot[from]] == written[from]);
  assert(!TURNED_OFF(me) || !IN_S(t));
  FR(target) = t;
  t = 0;
  sort()
}

#ifdef SAME_BITS
#define SAME(a, b) ((a) == (b))
#elif defined(SAME_BY_BARRIER)
#define SAME(a, b) ((a) == (b) || (RENAMES(me) && NAME(a) == NAME(b)))
#else
#define SAME(a, b) ((a) == (b) || (known && NAME(a) == NAME(b)))
#endif

#define VALUE store_value[me]
#ifdef STORE_AS_IS
#define KEEPS(v) true
#elif defined(STORE_IF_TWIN)
#define KEEPS(v) (!RENAMES(me) || !IN_S(v) || !forward[v])
#else
#define KEEPS(v) (!RENAMES(me) || !IN_S(v))
#endif

inline put() {
#ifdef TSO
  late_to[me] = store_to[me];
  late_value[me] = VALUE;
#else
  slot[store_to[me] - 1] = VALUE;
  written[store_to[me] - 1] = object[VALUE];
#endif
  store_to[me] = 0;
  VALUE = 0;
  shades[me] = 0
}
inline shade() {
  t = READ(store_to[me] - 1);
  SHADE(me, t);
  if :: barrier[me] == GREY -> SHADE(me, VALUE) :: else fi;
  shades[me] = 1;
  t = 0
}
// A name to be replaced takes more steps.
inline begin_store() {
  if
  :: !KEEPS(VALUE)
  :: KEEPS(VALUE) && barrier[me] == OFF -> put()
  :: KEEPS(VALUE) && barrier[me] != OFF -> shade()
  fi
}

inline compute_reach() { // of objects
  reach = BIT(object[slot[0]]);
#ifdef PIN
  reach = reach | BIT(object[pin]);
#endif
  i = 0;
  do :: i < 4 -> reach = reach | BIT(object[frame[i]]); i++ :: else -> break od;
#ifdef TSO
  reach = reach | BIT(object[late_value[0]]) | BIT(object[late_value[1]]);
#endif
  reach = reach | BIT(object[store_value[0]]) | BIT(object[store_value[1]]);
  before = 0;
  do
  :: before != reach ->
    before = reach;
    i = 1;
    do
    :: i <= N ->
      if :: reach & BIT(i) -> reach = reach | BIT(object[slot[i]]) :: else fi;
      i++
    :: else -> break
    od
  :: else -> break
  od
}

#ifdef WEAK
#ifdef WEAK_BY_OLD
#define CELL_NAME(name) (name)
#else
#define CELL_NAME(name) NAME(name)
#endif
#define CELL_DIES (weak != 0 && !(marked & BIT(CELL_NAME(weak))))
inline check_cell_dies() {
  compute_reach();
  assert(!(reach & BIT(object[weak])))
}
inline weak_get(f) { // under the lock of cells, or while no cell changes
  t = weak;
  if
  :: barrier[me] == OFF -> assert(!TURNED_OFF(me) || !IN_S(t))
  :: barrier[me] != OFF && !CELL_DIES
  :: barrier[me] != OFF && CELL_DIES && clearing -> check_cell_dies(); t = 0
  :: barrier[me] != OFF && CELL_DIES && !clearing -> SHADE(me, t); shaded = marking
  fi;
  FR(f) = t;
  t = 0;
  sort()
}
#ifdef LINK_AS_IS
#define LINKS true
#else
#define LINKS KEEPS(VALUE)
#endif
#define END_OPERATION store_to[me] = 0; VALUE = 0; shades[me] = 0
#define WEAK_GET(f) \
  :: d_step { READY && FR(f) == 0 && f == (me == 0) && weak != 0 -> weak_get(f) }
#define WEAK_CREATE(f) \
  :: d_step { READY && FR(f) != 0 && IDLE && weak == 0 && store_to[1 - me] != TO_WEAK -> \
    VALUE = FR(f); store_to[me] = TO_WEAK }
#define WEAK_STEPS \
  WEAK_GET(0) WEAK_GET(1) WEAK_CREATE(0) WEAK_CREATE(1) \
  :: d_step { READY && weak != 0 -> weak = 0 } /* destroyed */ \
  :: d_step { store_to[me] == TO_WEAK && LINKS -> weak = VALUE; END_OPERATION }
#else
#define WEAK_STEPS
#endif

#ifdef PIN
#define END_OPERATION store_to[me] = 0; VALUE = 0; shades[me] = 0
#define OTHER_PINS (store_to[1 - me] >= TO_PIN)
#define PINS(v) (!known || !IN_S(v)) /* whatever the thread's barrier */
#define BEGIN_PIN(f, to) \
    if :: barrier[me] != OFF -> SHADE(me, FR(f)) :: else fi; VALUE = FR(f); store_to[me] = to
#define PIN_AT(f) \
  :: d_step { READY && FR(f) != 0 && pin == 0 && !OTHER_PINS -> BEGIN_PIN(f, TO_PIN) }
#define UNPIN_AT(f) \
  :: d_step { READY && FR(f) != 0 && pin != 0 && object[FR(f)] == object[pin] && !OTHER_PINS -> \
    BEGIN_PIN(f, TO_UNPIN) }
#define PINNING (store_to[me] >= TO_PIN && shades[me])
#define PIN_STEPS \
  PIN_AT(0) PIN_AT(1) UNPIN_AT(0) UNPIN_AT(1) \
  :: d_step { store_to[me] >= TO_PIN && !shades[me] && !pin_lock -> pin_lock = 1; shades[me] = 1 } \
  RESOLVE(PINNING && !PINS(VALUE), VALUE, me) \
  :: d_step { PINNING && NOT_TAKEN(me) && PINS(VALUE) -> \
    assert(store_to[me] == TO_PIN || pin == VALUE); /* else: not pinned */ \
    pin = (store_to[me] == TO_PIN -> VALUE : 0); pin_lock = 0; END_OPERATION }
#else
#define PIN_STEPS
#endif

#define LOAD_ROOT(f) \
  :: d_step { READY && FR(f) == 0 && f == (me == 0) && READ(0) != 0 -> load(f, 0) }
#define WALK(f) \
  :: d_step { READY && FR(f) != 0 && READ(SLOT(FR(f))) != 0 -> load(f, SLOT(FR(f))) }
#define LOAD(f, g) \
  :: d_step { READY && FR(f) != 0 && me == 0 && FR(g) == 0 && READ(SLOT(FR(f))) != 0 -> \
    load(g, SLOT(FR(f))) }
#define BEGIN(to, value) i = (to) + 1; VALUE = value; store_to[me] = i; begin_store()
#define STORE_ROOT(f) \
  :: d_step { READY && FR(f) != 0 && IDLE && !OTHER_WRITES(0) -> BEGIN(0, FR(f)) }
#define CLEAR_ROOT \
  :: d_step { READY && READ(0) != 0 && IDLE && !OTHER_WRITES(0) -> BEGIN(0, 0) }
#define STORE(f, g) \
  :: d_step { READY && FR(f) != 0 && FR(g) != 0 && IDLE && !OTHER_WRITES(SLOT(FR(f))) -> \
    BEGIN(SLOT(FR(f)), FR(g)) }
#define CLEAR(f) \
  :: d_step { READY && FR(f) != 0 && READ(SLOT(FR(f))) != 0 && IDLE && \
    !OTHER_WRITES(SLOT(FR(f))) -> BEGIN(SLOT(FR(f)), 0) }
#define DROP(f) :: d_step { READY && FR(f) != 0 -> FR(f) = 0; sort() }

#define RESOLVE(active, v, agent) \
  :: d_step { active && NOT_TAKEN(agent) && IN_S(v) && forward[v] -> v = forward[v] } \
  :: d_step { active && NOT_TAKEN(agent) && IN_S(v) && !forward[v] -> \
    LOCKED_OP; make_twin(agent, v) } \
  INSTALL(active, v, agent)

#ifdef LINK_AS_IS
#define RESOLVES (STORES(me) && !shades[me] && !KEEPS(VALUE))
#else
#define RESOLVES (store_to[me] && store_to[me] <= TO_WEAK && !shades[me] && !KEEPS(VALUE))
#endif
#define LOCKED_OP DRAIN(me)

proctype mutator(byte me) {
  byte t;
end:
  do
  :: d_step { READY && asked[me] -> answer() }
  LOAD_ROOT(0)
  LOAD_ROOT(1)
#ifndef FIXED_ROOT
  STORE_ROOT(0)
  STORE_ROOT(1)
  CLEAR_ROOT
#endif
  WALK(0)
  WALK(1)
  LOAD(0, 1)
  LOAD(1, 0)
  STORE(0, 1)
  STORE(1, 0)
#if N == 1
  STORE(0, 0)
#endif
  CLEAR(0)
  CLEAR(1)
  DROP(0)
  DROP(1)
  RESOLVE(RESOLVES, VALUE, me)
  :: d_step { STORES(me) && !shades[me] && NOT_TAKEN(me) && KEEPS(VALUE) -> begin_store() }
  :: d_step { STORES(me) && shades[me] -> put() }
  WEAK_STEPS
  PIN_STEPS
#ifdef TSO
  :: d_step { late_to[me] -> DRAIN(me) }
#endif
  :: d_step { READY && FR(0) != 0 && FR(1) != 0 ->
    assert(SAME(FR(0), FR(1)) == (object[FR(0)] == object[FR(1)])) }
  od
}
#undef LOCKED_OP
#define LOCKED_OP skip

#define ANSWERED (!asked[0] && !asked[1])
inline ask_all(what) {
  d_step { ask = what; asked[0] = 1; asked[1] = (T == 2) }
}

// ---- marker: one reference in hand, and the slot that it came from + 1 ----
byte v, from;
inline replace() { // compare-and-swap with the old name
#ifdef SLOT_BY_STORE
  slot[from - 1] = v;
#else
  if
  :: IN_S(slot[from - 1]) && NAME(slot[from - 1]) == v -> slot[from - 1] = v
  :: else
  fi;
#endif
  from = 0
}
inline mark() {
  if
  :: !(marked & BIT(v)) ->
    marked = marked | BIT(v);
    unread = unread | (1 << SLOT(v));
    found = 1
  :: else
  fi;
  pool = pool & ~BIT(v);
  buf[0] = buf[0] & ~BIT(v);
  buf[1] = buf[1] & ~BIT(v);
  v = 0;
  from = 0
}
#define LOOK(name) \
  :: d_step { v == 0 && pool & BIT(name) -> pool = pool & ~BIT(name); v = name }
#define VISIT(s) \
  :: d_step { v == 0 && unread & (1 << (s)) -> unread = unread & ~(1 << (s)); v = slot[s]; \
    from = ((s) != 0 && IN_S(v) -> (s) + 1 : 0) }
#if NAMES == 2
#define LOOKS LOOK(1) LOOK(2)
#elif NAMES == 3
#define LOOKS LOOK(1) LOOK(2) LOOK(3)
#elif NAMES == 4
#define LOOKS LOOK(1) LOOK(2) LOOK(3) LOOK(4)
#endif
#if N == 1
#define VISITS VISIT(0) VISIT(1)
#elif N == 2
#define VISITS VISIT(0) VISIT(1) VISIT(2)
#endif
#ifdef MARK_OLD
#define MARKER LOOKS VISITS :: d_step { v != 0 -> mark() }
#elif defined(SLOT_AS_IS)
#define MARKER LOOKS VISITS RESOLVE(v != 0, v, 2) \
  :: d_step { v != 0 && NOT_TAKEN(2) && !IN_S(v) -> mark() }
#else
#define MARKER LOOKS VISITS RESOLVE(v != 0, v, 2) \
  :: d_step { v != 0 && NOT_TAKEN(2) && !IN_S(v) && from != 0 -> replace() } \
  :: d_step { v != 0 && NOT_TAKEN(2) && !IN_S(v) && from == 0 -> mark() }
#endif
#define DRAINED (pool == 0 && unread == 0 && v == 0)

inline check_marked() {
  compute_reach();
#ifdef PIN
  assert(!IN_S(pin));
#endif
  i = 1;
  do
  :: i <= N ->
    assert(!(reach & BIT(i)) || (marked & BIT(NAME(i))));
    assert(!IN_S(i) || !(marked & BIT(i)));
    assert(!(reach & BIT(i)) || !IN_S(i) || forward[i]);
    i++
  :: else -> break
  od
}

// No name is left of an entry that is to be used again.
inline check_names() {
  compute_reach();
#ifdef WEAK
  assert(!IN_S(weak) && (weak == 0 || (marked & BIT(weak))));
#endif
#ifdef PIN
  assert(!IN_S(pin));
#endif
  i = 0;
  do :: i < 4 -> assert(!IN_S(frame[i])); i++ :: else -> break od;
  i = 0;
  do
#ifdef TSO
  :: i < 2 -> assert(!IN_S(late_value[i]) && !IN_S(store_value[i])); i++
#else
  :: i < 2 -> assert(!IN_S(store_value[i])); i++
#endif
  :: else -> break
  od;
  assert(!IN_S(slot[0]));
  i = 1;
  do
  :: i <= N -> assert(!(reach & BIT(i)) || !IN_S(slot[i])); i++
  :: else -> break
  od;
}

#ifdef PIN
inline rename_pin() { // under the lock
  v = pin;
  do
  RESOLVE(IN_S(v), v, 2)
  :: d_step { !IN_S(v) -> pin = v; v = 0 }; break
  od
}
#endif

proctype collector() {
#ifdef PIN
  d_step { !pin_lock -> pin_lock = 1 };
#endif
#if !defined(ANNOUNCE_LATE) && !defined(ON_AFTER_PINS)
  known = 1;
#endif
#ifdef PIN
#ifndef PINS_KEEP
  rename_pin();
#endif
  pin_lock = 0;
  known = 1;
#endif
  ask_all(GREY);
  (ANSWERED);
  d_step { known = 1; marking = 1 };
  ask_all(BLACK);
  do
  :: d_step { ANSWERED -> unread = unread | 1 }; break
  MARKER
  od;
#ifdef PIN
  do
  :: d_step { !pin_lock -> pool = pool | (BIT(pin) & ~marked) }; break
  MARKER
  od;
#endif
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
    ask_all(3);
    do
    :: ANSWERED -> break
    MARKER
    od;
    do
    :: DRAINED -> break
    MARKER
    od;
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
  od;
  skip;
  d_step { marking = 0; check_marked(); pool = 0; buf[0] = 0; buf[1] = 0 };
#ifdef WEAK
  d_step {
    if :: CELL_DIES -> check_cell_dies(); weak = 0 :: else fi;
    clearing = 0
  };
#endif
#ifndef NO_ROOTS
  v = slot[0];
  d_step {
    if :: IN_S(v) && slot[0] == v -> slot[0] = NAME(v) :: else fi;
    v = 0
  };
#endif
#ifdef WEAK
  d_step { weak = NAME(weak) };
#endif
#ifdef LARGE
  d_step { compute_reach(); assert(!(reach & BIT(1)) || (marked & BIT(handle))); swept = 1 };
#endif
  d_step { check_marked(); ended = 1 };
#ifdef REUSE_AT_TURN
  d_step { check_names() };
#endif
  ask_all(OFF);
  d_step { ANSWERED -> check_names() }
}

init {
  atomic {
    i = 1;
    do :: i <= N -> object[i] = i; i++ :: else -> break od;
    i = 0;
#ifdef FIXED_ROOT
    slot[0] = N;
    written[0] = N;
#endif
#ifdef WEAK
    weak = 1;
#endif
#ifdef PIN
    pin = 1;
#endif
#ifdef LARGE
    handle = 1;
#endif
    frame[0] = N;
    frame[1] = (N > 1 -> 1 : 0);
    run mutator(0);
#if T == 2
    frame[2] = 1;
    run mutator(1);
#endif
    run collector()
  }
}
