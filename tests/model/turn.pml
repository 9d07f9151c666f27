// SPDX-License-Identifier: MIT
// The turn of the bitmaps beside the program, Note [bitmap turn] of compact/cp_handle.c: two
// threads that allocate, lose objects, leave and come back as they like, and a collector that
// marks, swaps the bitmaps and runs handshake C, cycle after cycle.
//
// Shown: no entry is handed out while it is a live object's or another thread holds it; after C an
// entry is allocated if it is live or held, and only if it is held or was handed out (nothing
// leaks); no mark bit is left over, for the next cycle, of an entry that was not handed out. And of
// what is counted: no object twice, as marked, as allocated black or as allocated since the turn; and
// after C every live object is.
//
// Stands for: take_word, give_slab, refill_handles, cp_cache_blacken, cp_cache_turn_locked, and
// cp_cache_release with cp_cache_begin_locked (a thread that leaves and comes back),
// cp_slab_take_locked, cp_mark_begin, cp_handle_turn, thread_black and thread_off. SHADE: mark_only as well,
// by which a thread whose barrier is on, so until its answer to C, marks and counts a live object
// when it has no memory to note it. No more states are reached: such an object looks like one
// allocated black. How they are reached is what it adds.
//
// Left out, and why that is sound:
//   marking        any live object that is white gets its mark some time between the answers to B
//                  and the turn, any dead one may: marking.pml.
//   GREY           allocates as OFF does, and shades as BLACK does before the turn.
//   shading with memory   what is noted is marked as anything is that lives, or after the turn by nobody.
//   memory order   words of a slab are its owner's, and pass to another thread under the heap lock;
//                  mark bits are changed by read-modify-write. Critical sections are one step.
//   counts of free entries   only say which slabs are worth a look. Any slab without an owner may
//                            be taken here.
//   regions        given back and taken at the same places as slabs. That dead ones are freed only
//                  if they were not opened since the turn is not modelled.
//
// Bounds: 2 threads, SLABS slabs of one word, WORD entries each.
//
// Rules to leave out, one at a time:
//   REFILL_AS_IS     a thread takes a slab without turning first
//   KEEP_BLACK       entries that were not handed out keep their marks when they are given back
//   TAKE_WHITE       a BLACK thread takes entries without marking them
//   BLACKEN_LATER    entries that a thread holds when it becomes BLACK stay white
//   NO_TURN_IN_C     C turns the barrier off and nothing else
//   NO_OWNER         a slab that a thread holds may be taken by another
//   BLACK_AFTER_TURN   a thread that has turned goes on allocating black. The bitmaps bear it, as it marks
//                    in the one that the next cycle clears; but what it allocates is counted twice
//   SHADE_BY_ROLE    (with SHADE) without memory the mark is looked up in the bitmap that holds marks now, after
//                    the turn too: objects allocated since are not marked in it
//   SHADE_UNCOUNTED  (with SHADE) who marks without memory does not count
#ifndef SLABS
#define SLABS 2
#endif
#define WORD 2
#define FULL 3 /* all entries of a word */
#define NONE SLABS

byte bits[2 * SLABS];       /* the two bitmaps, a word per slab */
bool turn;                  /* of the heap: bits[turn] are allocation bits */
bool marked_turn;           /* the turn at which the marking began */
bool owned[SLABS];
byte live[SLABS], used[SLABS]; /* of the proof: objects; handed out and not freed since */
byte counted[SLABS];           /* of the proof: by this marking, or since its turn */
/* Of each thread. */
byte slab[2] = NONE, handles[2];
bool done[2];               /* the slab's word was taken */
byte blackens[2];           /* entries taken, about to be marked */
bool black[2], thread_turn[2];
bool asked[2], birth_black;
bool asks_black;            /* what is asked: B, else C */

hidden byte i;
byte s;

#define ALLOC(t, s) bits[thread_turn[t] * SLABS + (s)]
#define MARKS(t, s) bits[(1 - thread_turn[t]) * SLABS + (s)]
#ifdef BLACK_AFTER_TURN
#define IS_BLACK(t) (black[t])
#else
#define IS_BLACK(t) (black[t] && thread_turn[t] == marked_turn)
#endif

#define MARKED(s) bits[(1 - marked_turn) * SLABS + (s)]

inline count(s, e) {
  assert(!(counted[s] & (e)));
  counted[s] = counted[s] | (e)
}

inline give_slab(t) {
  if
  :: slab[t] != NONE ->
    ALLOC(t, slab[t]) = ALLOC(t, slab[t]) & ~handles[t];
#ifndef KEEP_BLACK
    if :: IS_BLACK(t) -> MARKS(t, slab[t]) = MARKS(t, slab[t]) & ~handles[t] :: else fi;
#endif
    owned[slab[t]] = 0;
    handles[t] = 0;
    done[t] = 0;
    slab[t] = NONE
  :: else
  fi
}

inline turn_self(t) {
  if
  :: thread_turn[t] != turn -> give_slab(t); thread_turn[t] = turn
  :: else
  fi
}

inline refill(t, new) {
#ifndef REFILL_AS_IS
  turn_self(t);
#endif
  if :: slab[t] != NONE -> owned[slab[t]] = 0 :: else fi;
  owned[new] = 1;
  slab[t] = new;
  done[t] = 0
}

inline take_word(t) {
  handles[t] = ~ALLOC(t, slab[t]) & FULL;
  ALLOC(t, slab[t]) = FULL;
  done[t] = 1;
#ifndef TAKE_WHITE
  blackens[t] = (IS_BLACK(t) -> handles[t] : 0)
#endif
}

inline hand_out(t, e) {
  assert(!(live[slab[t]] & e));
  handles[t] = handles[t] & ~e;
  live[slab[t]] = live[slab[t]] | e;
  used[slab[t]] = used[slab[t]] | e;
  if :: IS_BLACK(t) -> count(slab[t], e) :: else fi;
  if :: thread_turn[t] != marked_turn -> count(slab[t], e) :: else fi
}

inline answer(t) {
  if
  :: asks_black ->
    black[t] = 1;
#ifndef BLACKEN_LATER
    if
    :: slab[t] != NONE -> MARKS(t, slab[t]) = MARKS(t, slab[t]) | handles[t]
    :: else
    fi
#endif
  :: else ->
#ifndef NO_TURN_IN_C
    turn_self(t);
#endif
    black[t] = 0
  fi;
  asked[t] = 0
}

#ifdef NO_OWNER
#define MAY_TAKE(s) ((s) != slab[me])
#else
#define MAY_TAKE(s) (!owned[s])
#endif
#define SAFE (!blackens[me])
#define REFILL(s) \
  :: d_step { SAFE && handles[me] == 0 && MAY_TAKE(s) && (slab[me] == NONE || done[me]) -> \
    refill(me, s) }
#ifdef SHADE_BY_ROLE
#define SHADED(s) bits[(1 - turn) * SLABS + (s)]
#else
#define SHADED(s) MARKED(s)
#endif
#ifdef SHADE_UNCOUNTED
#define COUNT_SHADED(s, e) skip
#else
#define COUNT_SHADED(s, e) count(s, e)
#endif
#ifdef SHADE
#define MARK_ONLY(s, e) \
  :: d_step { black[me] && live[s] & (e) && !(SHADED(s) & (e)) -> \
    SHADED(s) = SHADED(s) | (e); COUNT_SHADED(s, e) }
#else
#define MARK_ONLY(s, e)
#endif
#define LOSE(s, e) :: d_step { live[s] & (e) -> live[s] = live[s] & ~(e) }

proctype thread(byte me) {
  do
  :: d_step { SAFE && asked[me] -> answer(me) }
  REFILL(0)
#if SLABS == 2
  REFILL(1)
#endif
  :: d_step { SAFE && slab[me] != NONE && !done[me] -> take_word(me) }
  :: d_step { blackens[me] ->
    MARKS(me, slab[me]) = MARKS(me, slab[me]) | blackens[me]; blackens[me] = 0 }
  :: d_step { SAFE && handles[me] & 1 -> hand_out(me, 1) }
  :: d_step { SAFE && handles[me] & 2 -> hand_out(me, 2) }
  MARK_ONLY(0, 1)
  MARK_ONLY(0, 2)
#if SLABS == 2
  MARK_ONLY(1, 1)
  MARK_ONLY(1, 2)
#endif
  :: d_step { SAFE && !asked[me] -> // leaves, and comes back
    give_slab(me);
    thread_turn[me] = turn;
    black[me] = birth_black }
  od
}

proctype program() {
  do
  LOSE(0, 1)
  LOSE(0, 2)
#if SLABS == 2
  LOSE(1, 1)
  LOSE(1, 2)
#endif
  od
}

#define ANSWERED (!asked[0] && !asked[1])
#define MARK(e) \
  if \
  :: d_step { used[s] & (e) -> \
    if \
    :: !(MARKED(s) & (e)) -> MARKED(s) = MARKED(s) | (e); count(s, e) \
    :: else \
    fi } \
  :: d_step { !(live[s] & (e)) } \
  fi

#define HELD(t) (slab[t] == i -> handles[t] : 0)
inline check() {
  i = 0;
  do
  :: i < SLABS ->
    assert((live[i] & ~bits[turn * SLABS + i]) == 0);
    assert((live[i] & ~counted[i]) == 0);
    assert(((HELD(0) | HELD(1)) & ~bits[turn * SLABS + i]) == 0);
    assert((HELD(0) & HELD(1)) == 0 && ((HELD(0) | HELD(1)) & live[i]) == 0);
    assert((bits[turn * SLABS + i] & ~(used[i] | HELD(0) | HELD(1))) == 0);
    i++
  :: else -> break
  od;
  i = 0
}

proctype collector() {
  do
  :: true ->
    d_step {
      i = 0;
      do
      :: i < SLABS -> bits[(1 - turn) * SLABS + i] = 0; counted[i] = 0; i++
      :: else -> break
      od;
      i = 0;
      marked_turn = turn
    };
    d_step { asks_black = 1; birth_black = 1; asked[0] = 1; asked[1] = 1 };
    (ANSWERED);
    s = 0;
    MARK(1);
    MARK(2);
#if SLABS == 2
    s = 1;
    MARK(1);
    MARK(2);
    s = 0;
#endif
    d_step { // the turn
      turn = 1 - turn;
      i = 0;
      do
      :: i < SLABS -> used[i] = used[i] & bits[turn * SLABS + i]; i++
      :: else -> break
      od;
      i = 0
    };
    d_step { asks_black = 0; birth_black = 0; asked[0] = 1; asked[1] = 1 };
    d_step { ANSWERED -> check() }
  od
}

init {
  atomic {
    run thread(0);
    run thread(1);
    run program();
    run collector()
  }
}
