// SPDX-License-Identifier: MIT
// Relocation beside the program, Note [relocation] of compact/cp_relocate.c, on x86-TSO: mutators
// that run any program, each behind a store buffer, and a collector that moves the objects of one
// region to the other, batch after batch, for ever.
//
// Shown: a thread that holds the lock of a word reads what was written last under that lock (no
// lost update, no stale or torn read), through any pointer that it may use: one of heap_read that
// it got since it took the lock, one of heap_write, one of heap_pin. Nobody ever reads or writes
// freed memory. When a move is committed nobody has a pointer for writing or a pin of the source,
// nor a store to it on its way. A region is freed once, empty, and when nobody has a pointer to it.
//
// Stands for: tag, untag, move, copy_source, free_batch and relocate_all (collector),
// compact_address (READ), compact_address_to_write and compact_abort_move (WRITE, ABORT, RELOAD),
// compact_pin (PIN), compact_unpin (UNPIN), cp_pin_visit (visit), a poll (answer),
// hs_blocking_begin and hs_blocking_end.
//
// Left out, and why that is sound:
//   handshakes     a thread answers between two operations, in one step; handshake.pml shows they
//                  arrive. A thread that blocks is answered for at any moment, and its stores may
//                  be on their way then.
//   the collector's store buffer   the bytes of a copy are read by nobody before the commit, a
//                                  locked operation. Tags are locked operations too.
//   critical sections of the pin table   one step each; but what a pin puts into the table, and its
//                                        unlock, are stores on their way when the entry is read.
//   the stop that moves what was aborted for ever: cp_evacuate, nobody runs meanwhile.
//   destinations   the object's own place in the other region. A failed copy leaves poison.
//   marking, allocation, entries that are freed: not beside relocation (I-cp-14).
//
// Bounds: T threads, N objects of W words of one bit, store buffers of two, a lock per word; one
// lock, one raw pointer and one pin per thread. Two writers and a reader; with -DPINS, a writer
// that reads and a thread that pins, reads and blocks. With -DN=2 each of the two has its own
// object. -DSEPARATE: each batch has a second handshake of its own. -DOBSERVED: only what a program
// can see is asserted.
//
// The order in heap_pin. Three orders that are not the code's hold too, because two rules each
// suffice: a pointer for writing is stable until its thread's next safepoint, and pins are
// published before that and visited after it; and who takes the table's lock after the visit sees
// the tag. So -DVISIT_EARLY holds, alone, and so does each of the others, alone:
//   VISIT_EARLY         the table is visited before the handshake
//   PIN_LATE            heap_pin gets the pointer first, then puts the pin into the table
//   PIN_UNFENCED        a pin is put into the table by a plain store, without the lock
// VISIT_EARLY with one of the others fails.
//
// Rules to leave out, one at a time:
//   NO_FIRST_HANDSHAKE, NO_SECOND_HANDSHAKE
//   IGNORE_TAG          a writer does not abort the move
//   ABORT_BY_STORE      a writer takes the tag away by a plain store
//   COMMIT_BY_STORE     the collector tests the tag, then stores the new location
//   KEEP_ACROSS_ACQUIRE a pointer for reading outlives the acquire of a lock
//   KEEP_ACROSS_PIN     a pointer for reading outlives its thread's own pin, hence its writes
//   NO_VISIT            pins are not visited
//   PIN_READS           heap_pin gets the location as a reader does
//   BLOCK_KEEPS         a thread that blocks keeps its raw pointer
//   FREE_OCCUPIED       a region is freed although an object in it was not moved
#ifndef N
#define N 1 /* objects */
#endif
#ifndef W
#define W 2 /* words of an object */
#endif
#define WRITES 1
#define READS 2
#define PINS_TOO 4
#define BLOCKS 8
#ifdef PINS
#define T 2
#else
#define T 3
#endif

// A block is an object's place in a region.
#define BLOCK(region, o) ((region)*N + (o))
#define OBJECT(block) ((block) % N)
#define WORD(block, w) mem[(block)*W + (w)]
#define LOCK_OF(o, w) ((o)*W + (w))
#define POISON 2

bool loc[N], moving[N];  /* entries: region, tag */
byte mem[2 * N * W] = POISON; /* 0, 1 or POISON */
bool latest[N * W];      /* of the proof: the last value written to each word of an object */
bool locked[N * W];      /* locks of words */
byte holds[T];           /* lock + 1 */
byte raw[T];             /* pointer: FOR_READING or FOR_WRITING + block */
byte wish[T];            /* a pointer for writing under way, WISH(...) */
byte pin[T], held[T];    /* object + 1; the address that heap_pin returned, block + 1 */
byte pins[N];            /* the pin table: counts */
bool table_locked;
#ifdef PIN_LATE
bool table_has[T];
#endif
bool asked[T], blocked[T];
byte late[2 * T];        /* store buffers, first entry first; 0 is none */

#define FOR_READING 1
#define FOR_WRITING 8
#define WISH(o, step) (1 + (o)*4 + (step))
#define LOAD 0   /* the word is to be read */
#define EXPECT 1 /* + region: the tag is to be taken from this word */
#define RELOAD 3 /* the location is to be read */
#define WISHED(t) ((wish[t] - 1) / 4)
#define STEP(t) ((wish[t] - 1) % 4)

// Entries of a store buffer.
#define DATA(block, w, value) (1 + ((block)*W + (w)) * 2 + (value))
#define DATA_END 17
#define UNLOCK 20
#define PUBLISH 30
#define UNPUBLISH 40

#define IS_WRITER(t) (raw[t] >= FOR_WRITING)
#define RAW_BLOCK(t) (raw[t] - (IS_WRITER(t) -> FOR_WRITING : FOR_READING))

hidden byte x, y;

#define FIRST(t) late[2 * (t)]
#define SECOND(t) late[2 * (t) + 1]

inline push(t, what) {
  if
  :: FIRST(t) == 0 -> FIRST(t) = what
  :: else -> assert(SECOND(t) == 0); SECOND(t) = what
  fi
}

inline drain_one(t) {
  if
  :: FIRST(t) == 0
  :: FIRST(t) != 0 && FIRST(t) < DATA_END ->
    assert(mem[(FIRST(t) - 1) / 2] != POISON);
    mem[(FIRST(t) - 1) / 2] = (FIRST(t) - 1) % 2
  :: FIRST(t) >= UNLOCK && FIRST(t) < PUBLISH -> locked[FIRST(t) - UNLOCK] = 0
  :: FIRST(t) >= PUBLISH && FIRST(t) < UNPUBLISH -> pins[FIRST(t) - PUBLISH]++; table_locked = 0
  :: FIRST(t) >= UNPUBLISH -> pins[FIRST(t) - UNPUBLISH]--; table_locked = 0
  fi;
  FIRST(t) = SECOND(t);
  SECOND(t) = 0
}

// What a locked operation does first.
inline drain(t) {
  drain_one(t);
  drain_one(t)
}

#define STORED(t, block, w) \
  ((FIRST(t) - 1) / 2 == (block)*W + (w) && FIRST(t) != 0 && FIRST(t) < DATA_END)
#define STORED_SECOND(t, block, w) \
  ((SECOND(t) - 1) / 2 == (block)*W + (w) && SECOND(t) != 0 && SECOND(t) < DATA_END)

// A load of word w through a pointer: the thread's own store, or memory.
inline check_word(t, block, w) {
  x = WORD(block, w);
  if :: STORED(t, block, w) -> x = (FIRST(t) - 1) % 2 :: else fi;
  if :: STORED_SECOND(t, block, w) -> x = (SECOND(t) - 1) % 2 :: else fi;
  assert(x != POISON);
  assert(holds[t] != LOCK_OF(OBJECT(block), w) + 1 || x == latest[LOCK_OF(OBJECT(block), w)]);
  x = 0
}
inline check(t, block) {
  y = block;
  check_word(t, y, 0);
#if W == 2
  check_word(t, y, 1);
#endif
  y = 0
}

#define CAN(what) (can & (what))
#define OWN(o) (N == 1 || (o) == me) /* two objects: each thread works on its own */
#define ROOM (SECOND(me) == 0)

// The address is known: of heap_pin or of heap_write. It may differ from that of an older pointer
// for reading, through which the thread would miss its own writes.
inline arrive(t, o) {
  if
  :: pin[t] == o + 1 && held[t] == 0 ->
    held[t] = 1 + BLOCK(loc[o], o);
#ifndef KEEP_ACROSS_PIN
    if :: raw[t] && OBJECT(RAW_BLOCK(t)) == o && !IS_WRITER(t) -> raw[t] = 0 :: else fi
#endif
  :: else -> raw[t] = FOR_WRITING + BLOCK(loc[o], o)
  fi;
  wish[t] = 0
}

inline load_word(t, o) {
#ifdef IGNORE_TAG
  arrive(t, o)
#else
  if
  :: !moving[o] -> arrive(t, o)
#ifdef PIN_READS
  :: moving[o] && pin[t] == o + 1 && held[t] == 0 -> arrive(t, o)
  :: moving[o] && !(pin[t] == o + 1 && held[t] == 0) -> wish[t] = WISH(o, EXPECT + loc[o])
#else
  :: moving[o] -> wish[t] = WISH(o, EXPECT + loc[o])
#endif
  fi
#endif
}

inline abort(t, o) {
  drain(t);
#ifdef ABORT_BY_STORE
  loc[o] = STEP(t) - EXPECT;
  moving[o] = 0;
  wish[t] = WISH(o, RELOAD)
#else
  if
  :: moving[o] && loc[o] == STEP(t) - EXPECT -> moving[o] = 0; wish[t] = WISH(o, RELOAD)
  :: moving[o] && loc[o] != STEP(t) - EXPECT -> wish[t] = WISH(o, EXPECT + loc[o])
  :: !moving[o] -> wish[t] = WISH(o, RELOAD)
  fi
#endif
}

inline write_word(t, block) {
  y = holds[t] - 1;
  latest[y] = !latest[y];
  push(t, DATA(block, y % W, latest[y]));
  y = 0
}

inline acquire(t, l) {
  drain(t);
  locked[l] = 1;
  holds[t] = l + 1;
#ifndef KEEP_ACROSS_ACQUIRE
  if :: !IS_WRITER(t) -> raw[t] = 0 :: else fi
#endif
}

#define READ(o) \
  :: d_step { READY && raw[me] == 0 && CAN(READS) && OWN(o) -> \
    raw[me] = FOR_READING + BLOCK(loc[o], o) }
#define WRITE(o) \
  :: d_step { READY && raw[me] == 0 && CAN(WRITES) && OWN(o) -> load_word(me, o) }
#define LOCK(l) \
  :: d_step { wish[me] == 0 && holds[me] == 0 && !locked[l] && OWN(l / W) -> acquire(me, l) }
#define OF_LOCK(block) (OBJECT(block) == (holds[me] - 1) / W)
#ifdef PIN_UNFENCED
#define PIN_LOCK ROOM
#define PIN_DRAIN skip
#else
#define PIN_LOCK !table_locked
#define PIN_DRAIN drain(me); table_locked = 1
#endif
#ifdef PIN_LATE
#define PIN(o) \
  :: d_step { READY && CAN(PINS_TOO) && OWN(o) && pin[me] == 0 -> \
    pin[me] = o + 1; load_word(me, o) }
#define IN_TABLE table_has[me]
#else
#define PIN(o) \
  :: d_step { READY && CAN(PINS_TOO) && OWN(o) && pin[me] == 0 && PIN_LOCK -> \
    pin[me] = o + 1; wish[me] = WISH(o, LOAD); publish(me) }
#define IN_TABLE true
#endif
#define READY (wish[me] == 0 && !blocked[me] && (held[me] == 0 || IN_TABLE))

inline publish(t) {
  PIN_DRAIN;
  push(t, PUBLISH + pin[t] - 1)
}

inline unpublish(t) {
  PIN_DRAIN;
  push(t, UNPUBLISH + pin[t] - 1);
  pin[t] = 0;
  held[t] = 0;
#ifdef PIN_LATE
  table_has[t] = 0
#endif
}

#if N == 1
#define EACH_OBJECT(X) X(0)
#else
#define EACH_OBJECT(X) X(0) X(1)
#endif
#if N * W == 1
#define EACH_LOCK(X) X(0)
#elif N * W == 2
#define EACH_LOCK(X) X(0) X(1)
#else
#define EACH_LOCK(X) X(0) X(1) X(2) X(3)
#endif

proctype mutator(byte me; byte can) {
  do
  :: d_step { FIRST(me) != 0 -> drain_one(me) }
  :: d_step { READY && asked[me] -> drain(me); raw[me] = 0; asked[me] = 0 }
  EACH_OBJECT(READ)
  EACH_OBJECT(WRITE)
  EACH_OBJECT(PIN)
  :: d_step { READY && held[me] != 0 && PIN_LOCK -> unpublish(me) }
#ifdef PIN_LATE
  :: d_step { held[me] != 0 && !IN_TABLE && PIN_LOCK -> publish(me); table_has[me] = 1 }
#endif
  :: d_step { wish[me] != 0 && STEP(me) == LOAD -> load_word(me, WISHED(me)) }
  :: d_step { wish[me] != 0 && STEP(me) != LOAD && STEP(me) != RELOAD -> abort(me, WISHED(me)) }
  :: d_step { wish[me] != 0 && STEP(me) == RELOAD -> x = WISHED(me); arrive(me, x); x = 0 }
  :: d_step { READY && raw[me] != 0 -> raw[me] = 0 }
  EACH_LOCK(LOCK)
  :: d_step { holds[me] != 0 && ROOM -> push(me, UNLOCK + holds[me] - 1); holds[me] = 0 }
  :: d_step { IS_WRITER(me) && holds[me] != 0 && OF_LOCK(RAW_BLOCK(me)) && ROOM ->
    write_word(me, RAW_BLOCK(me)) }
  :: d_step { held[me] != 0 && holds[me] != 0 && OF_LOCK(held[me] - 1) && ROOM ->
    write_word(me, held[me] - 1) }
  :: d_step { raw[me] != 0 -> check(me, RAW_BLOCK(me)) }
  :: d_step { held[me] != 0 -> check(me, held[me] - 1) }
  :: d_step { READY && CAN(BLOCKS) ->
    drain(me);
#ifndef BLOCK_KEEPS
    raw[me] = 0;
#endif
    blocked[me] = 1 }
  :: d_step { blocked[me] -> drain(me); blocked[me] = 0 }
  :: d_step { blocked[me] && asked[me] -> asked[me] = 0 } // the collector answers
  od
}

byte source, garbage; /* the region to empty; the one to free after a handshake, + 1 */

inline handshake() {
  d_step { x = 0; do :: x < T -> asked[x] = 1; x++ :: else -> break od; x = 0 };
  d_step { !asked[0] && !asked[1] && !asked[T - 1] }
}

inline unused_by(t, block) {
  assert(FIRST(t) == 0 || FIRST(t) >= DATA_END || (FIRST(t) - 1) / (2 * W) != block);
  assert(SECOND(t) == 0 || SECOND(t) >= DATA_END || (SECOND(t) - 1) / (2 * W) != block);
  assert(raw[t] != FOR_WRITING + block && held[t] != 1 + block)
}

inline check_commit(o) {
#ifdef OBSERVED
  skip
#else
  x = 0;
  do
  :: x < T -> unused_by(x, BLOCK(source, o)); x++
  :: else -> break
  od;
  x = 0
#endif
}

inline free_block(block) {
  assert(WORD(block, 0) != POISON);
#ifndef OBSERVED
  x = 0;
  do
  :: x < T -> unused_by(x, block); assert(raw[x] != FOR_READING + (block)); x++
  :: else -> break
  od;
  x = 0;
#endif
  WORD(block, 0) = POISON;
  WORD(block, W - 1) = POISON
}

inline free_region() {
  d_step {
    if
    :: garbage ->
      free_block(BLOCK(garbage - 1, 0));
#if N == 2
      free_block(BLOCK(garbage - 1, 1));
#endif
      garbage = 0
    :: else
    fi
  }
}

inline tag(o) {
  d_step { if :: loc[o] == source -> moving[o] = 1 :: else fi }
}

inline visit() {
#ifdef NO_VISIT
  skip
#else
  d_step {
#ifndef PIN_UNFENCED
    !table_locked;
#endif
    if :: pins[0] -> moving[0] = 0 :: else fi;
#if N == 2
    if :: pins[1] -> moving[1] = 0 :: else fi
#endif
  }
#endif
}

inline move(o) {
  if
  :: moving[o] ->
    WORD(BLOCK(1 - source, o), 0) = WORD(BLOCK(source, o), 0);
#if W == 2
    WORD(BLOCK(1 - source, o), 1) = WORD(BLOCK(source, o), 1);
#endif
#ifdef COMMIT_BY_STORE
    if
    :: moving[o] -> loc[o] = 1 - source; moving[o] = 0
    :: else
    fi
#else
    d_step {
      if
      :: moving[o] -> check_commit(o); loc[o] = 1 - source; moving[o] = 0
      :: else -> WORD(BLOCK(1 - source, o), 0) = POISON; WORD(BLOCK(1 - source, o), W - 1) = POISON
      fi
    }
#endif
  :: else
  fi
}

proctype collector() {
  do
  :: true ->
    tag(0);
#if N == 2
    tag(1);
#endif
#ifdef VISIT_EARLY
    visit();
#endif
#ifndef NO_FIRST_HANDSHAKE
    handshake();
#endif
    free_region();
#ifndef VISIT_EARLY
    visit();
#endif
    move(0);
#if N == 2
    move(1);
#endif
#ifdef FREE_OCCUPIED
#define EMPTIED (loc[0] != source || loc[N - 1] != source)
#else
#define EMPTIED (loc[0] != source && loc[N - 1] != source)
#endif
    d_step { if :: EMPTIED -> garbage = source + 1; source = 1 - source :: else fi };
#if defined(SEPARATE) || defined(NO_FIRST_HANDSHAKE)
    handshake();
    free_region();
#endif
#ifdef NO_SECOND_HANDSHAKE
    free_region();
#endif
  od
}

init {
  atomic {
    x = 0;
    do :: x < N * W -> mem[x] = 0; x++ :: else -> break od;
    x = 0;
#ifdef PINS
    run mutator(0, WRITES | READS);
    run mutator(1, READS | PINS_TOO | BLOCKS);
#else
    run mutator(0, WRITES);
    run mutator(1, WRITES);
    run mutator(2, READS);
#endif
    run collector()
  }
}
