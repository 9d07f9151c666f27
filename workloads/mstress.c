// SPDX-License-Identifier: MIT
// Threads that hand objects to each other. Each operation allocates an object, writes it, exchanges
// it with a random slot of a table that all threads share, and checks what it received: with two
// threads about half of the objects are dropped by a thread that did not allocate them, which is
// what costs an allocator its scaling. The shape is that of mimalloc's mstress (Leijen 2018); ours
// does the same operations on every heap, so that the results can be compared.
//
// Every fourth slot holds objects with a reference. Such an object refers to the chain that its
// thread received last, so that old objects stay reachable through young ones of other threads; a
// chain of the greatest length loses its oldest object, by a store into an old object.
//
// Who holds an object owns it: the thread that allocated it, then the table, then whoever receives
// it, alone. That is what lets heaps without tracing run this. Each object created is dropped exactly
// once or is in the table at the end, so the sum of what was read from all of them does not depend on
// who met whom: it is the checksum, and must equal what was written.
//
// With noalloc=1 a thread writes its next object over the last one that it dropped: everything else is
// done, nothing is allocated. How that scales is what locks and caches allow any heap.
#include "workloads/support.h"
#include "workloads/threads.h"

enum {
  LEAF_REFS = 0,
  LINK_REFS = 1,      // slot 0: the next object of the chain, older
  LINK_BYTES = 56,    // raw bytes of an object with a reference; 64 with it
  LINK_EVERY = 4,     // every fourth slot holds those
  SIZE_ALIGN = 8,     // sizes are multiples of this
  LOCK_COUNT = 256,   // far more than threads, so that a lock is seldom waited for; a power of two
  SLOTS_PER_LOCK = 8, // neighbours on one cache line share a lock
  THREAD_SHIFT = 48,  // an id is thread << THREAD_SHIFT | sequence; thread 0 fills the table
};

// What an object says of itself; its content follows.
typedef struct object_header {
  uint64_t id;
  uint64_t next_id; // of the object that it refers to, or 0
  uint64_t bytes;   // raw bytes of the object
} object_header;

enum {
  MSTRESS_SIZE_MIN = sizeof(object_header) + CONTENT_WORD_BYTES // the header and one word
};

// Count and sum of the first content words of a set of objects, whatever their order.
typedef struct tally {
  uint64_t count, sum;
} tally;

static void tally_add(tally *into, uint64_t word) {
  into->count++;
  into->sum += word;
}

static void tally_merge(tally *into, tally from) {
  into->count += from.count;
  into->sum += from.sum;
}

typedef struct worker_result {
  tally created, dropped;
  const char *wrong;             // NULL, or what it saw
  bool no_memory;                // an allocation failed
  workload_latencies *latencies; // [const] its own
} worker_result;

typedef struct mstress {
  uint64_t seed, ops;                    // [const] operations of each thread
  size_t slots, chain;                   // [const] of the table; objects in the longest chain
  uint64_t size_low, size_high, octaves; // [const] sizes of objects without references
  bool reuse;                            // [const] noalloc=1
  heap_ref table;                        // global root, written before the threads begin
  heap_root table_root;
  workload_lock *locks;
  worker_result results[WORKLOAD_THREADS_MAX];
} mstress;

// One thread at work, on its own stack: shares no cache line with another.
enum {
  ROOT_TABLE,
  ROOT_FRESH, // the object under way
  ROOT_HELD,  // the chain that the next object will refer to
  ROOT_SPARE, // with noalloc=1: an object to write over, without references and with
  ROOT_SPARE_LINK,
  ROOT_COUNT
};
typedef struct worker {
  const mstress *shared;
  heap_thread *t;
  heap_ref *root;    // ROOT_COUNT slots
  uint64_t held_id;  // of the first object of the chain held, or 0
  uint64_t number;   // of the thread, 1-based; 0 fills the table
  uint64_t sequence; // objects created
  hs_rng rng;
  tally created, dropped;
  const char *wrong;
} worker;

static worker worker_make(const mstress *shared, heap_thread *t, uint64_t number, heap_ref *root) {
  root[ROOT_TABLE] = heap_root_load(t, &shared->table);
  return (worker){.shared = shared,
                  .t = t,
                  .root = root,
                  .number = number,
                  .rng = hs_rng_seed(content_tag(shared->seed, number, 0))};
}

// ---- objects ------------------------------------------------------------------------------------

static bool slot_is_linked(size_t slot) { return slot % LINK_EVERY == 0; }

// Each octave from size_low is equally likely, and each size in it: small objects are the rule.
static size_t size_draw(const mstress *shared, hs_rng *rng) {
  const uint64_t octave = shared->size_low << hs_rng_below(rng, shared->octaves);
  const uint64_t bytes = octave + hs_rng_below(rng, octave);
  return (size_t)(hs_min_u64(bytes, shared->size_high) / SIZE_ALIGN * SIZE_ALIGN);
}

static size_t spare_root(size_t refs) { return refs == LINK_REFS ? ROOT_SPARE_LINK : ROOT_SPARE; }

// An object to write over: the spare one, whose size is then *bytes, else a new one. Null: no memory.
static heap_ref object_obtain(worker *w, size_t refs, size_t *bytes) {
  heap_ref *const spare = &w->root[spare_root(refs)];
  if (!w->shared->reuse || heap_is_null(*spare)) return heap_alloc(w->t, refs, *bytes);
  const heap_ref object = *spare;
  *spare = HEAP_NULL;
  *bytes = (size_t)((const object_header *)heap_read(w->t, object, refs))->bytes;
  return object;
}

// ROOT_FRESH becomes a new object for `slot`, which takes over the chain held. False: no memory.
static bool object_create(worker *w, size_t slot) {
  const bool linked = slot_is_linked(slot);
  const size_t refs = linked ? LINK_REFS : LEAF_REFS;
  size_t bytes = linked ? LINK_BYTES : size_draw(w->shared, &w->rng);
  const heap_ref fresh = object_obtain(w, refs, &bytes);
  if (HS_UNLIKELY(heap_is_null(fresh))) return false;
  w->root[ROOT_FRESH] = fresh;
  const uint64_t sequence = w->sequence++;
  const uint64_t tag = content_tag(w->shared->seed, w->number, sequence);
  const object_header header = {.id = w->number << THREAD_SHIFT | (sequence + 1),
                                .next_id = linked ? w->held_id : 0,
                                .bytes = bytes};
  unsigned char *raw = heap_write(w->t, fresh, refs);
  memcpy(raw, &header, sizeof header);
  content_write(raw + sizeof header, bytes - sizeof header, tag);
  tally_add(&w->created, tag);
  if (linked && w->held_id != 0) {
    heap_store(w->t, fresh, 0, w->root[ROOT_HELD]);
    w->root[ROOT_HELD] = HEAP_NULL;
    w->held_id = 0;
  }
  return true;
}

// The object is whole: its content is that of the id it bears. No safepoint.
static bool object_is_whole(const worker *w, heap_ref object, size_t refs, object_header *header) {
  const unsigned char *raw = heap_read(w->t, object, refs);
  memcpy(header, raw, sizeof *header);
  const uint64_t number = header->id >> THREAD_SHIFT;
  const uint64_t sequence = (header->id & ((1ull << THREAD_SHIFT) - 1)) - 1;
  const bool size_is_possible =
      refs > 0 ? header->bytes == LINK_BYTES
               : header->bytes >= MSTRESS_SIZE_MIN && header->bytes <= w->shared->size_high;
  return size_is_possible && content_matches(raw + sizeof *header, header->bytes - sizeof *header,
                                             content_tag(w->shared->seed, number, sequence));
}

static void object_drop(worker *w, heap_ref object, size_t refs) {
  uint64_t word;
  memcpy(&word, (const unsigned char *)heap_read(w->t, object, refs) + sizeof(object_header),
         sizeof word);
  tally_add(&w->dropped, word);
  heap_ref *const spare = &w->root[spare_root(refs)];
  if (!w->shared->reuse || !heap_is_null(*spare)) {
    heap_discard(w->t, object);
    return;
  }
  if (refs > 0) heap_store(w->t, object, 0, HEAP_NULL);
  *spare = object;
}

// ---- chains -------------------------------------------------------------------------------------

// A chain that was checked. The references are stale after the next safepoint.
typedef struct chain_view {
  size_t length;
  uint64_t first_id;
  heap_ref last, before_last; // before_last is null in a chain of one
} chain_view;

// Every object of the chain is whole and refers to the one it says. No safepoint.
static bool chain_check(worker *w, heap_ref first, chain_view *view) {
  *view = (chain_view){.length = 1, .last = first, .before_last = HEAP_NULL};
  object_header header;
  if (!object_is_whole(w, first, LINK_REFS, &header)) return false;
  view->first_id = header.id;
  while (header.next_id != 0) {
    const uint64_t wanted = header.next_id;
    const heap_ref next = heap_load(w->t, view->last, 0);
    if (heap_is_null(next) || view->length == w->shared->chain) return false;
    view->before_last = view->last;
    view->last = next;
    view->length++;
    if (!object_is_whole(w, next, LINK_REFS, &header) || header.id != wanted) return false;
  }
  return heap_is_null(heap_load(w->t, view->last, 0));
}

// Cut off the oldest object. The one before it says so: it is ours, nobody else looks at it.
static void chain_cut(worker *w, const chain_view *view) {
  heap_store(w->t, view->before_last, 0, HEAP_NULL);
  object_header *header = heap_write(w->t, view->before_last, LINK_REFS);
  header->next_id = 0;
  object_drop(w, view->last, LINK_REFS);
}

static void chain_drop(worker *w, heap_ref object) {
  while (!heap_is_null(object)) {
    const heap_ref next = heap_load(w->t, object, 0);
    object_drop(w, object, LINK_REFS);
    object = next;
  }
}

static void spares_discard(worker *w) {
  heap_discard(w->t, w->root[ROOT_SPARE]);
  heap_discard(w->t, w->root[ROOT_SPARE_LINK]);
}

// ---- one operation ------------------------------------------------------------------------------

// What a slot held, whose owner is now the calling thread, is checked and dropped; of a chain all
// but the oldest object stays for the next object of this thread to refer to. No safepoint.
static void receive(worker *w, size_t slot, heap_ref object) {
  if (slot_is_linked(slot)) {
    chain_view view;
    if (HS_UNLIKELY(!chain_check(w, object, &view))) {
      w->wrong = "a chain received from the table is broken";
    } else if (view.length < w->shared->chain) {
      w->root[ROOT_HELD] = object;
      w->held_id = view.first_id;
    } else if (view.length > 1) {
      chain_cut(w, &view);
      w->root[ROOT_HELD] = object;
      w->held_id = view.first_id;
    } else {
      object_drop(w, object, LINK_REFS);
    }
    return;
  }
  object_header header;
  if (HS_UNLIKELY(!object_is_whole(w, object, LEAF_REFS, &header)))
    w->wrong = "an object received from the table has wrong content";
  else
    object_drop(w, object, LEAF_REFS);
}

static bool worker_step(worker *w) {
  const size_t slot = (size_t)hs_rng_below(&w->rng, w->shared->slots);
  if (HS_UNLIKELY(!object_create(w, slot))) return false;
  workload_lock *lock = &w->shared->locks[slot / SLOTS_PER_LOCK % LOCK_COUNT];
  workload_lock_take(lock, w->t);
  const heap_ref table = w->root[ROOT_TABLE];
  const heap_ref received = heap_load(w->t, table, slot);
  heap_store(w->t, table, slot, w->root[ROOT_FRESH]);
  workload_lock_drop(lock);
  w->root[ROOT_FRESH] = HEAP_NULL;
  receive(w, slot, received);
  return true;
}

// All operations of one thread. One clock read each: the latency of an operation is the difference
// of successive reads.
static uint64_t worker_run(void *context, size_t index, heap_thread *t) {
  mstress *shared = context;
  worker_result *result = &shared->results[index];
  workload_latencies *latencies = result->latencies;
  HEAP_FRAME(t, root, ROOT_COUNT);
  worker w = worker_make(shared, t, index + 1, root);
  uint64_t op = 0, before = workload_now_ns();
  for (; op < shared->ops && !w.wrong; op++) {
    if (HS_UNLIKELY(!worker_step(&w))) {
      result->no_memory = true;
      break;
    }
    const uint64_t now = workload_now_ns();
    workload_latencies_add(latencies, now - before);
    before = now;
  }
  chain_drop(&w, root[ROOT_HELD]);
  spares_discard(&w);
  result->created = w.created;
  result->dropped = w.dropped;
  result->wrong = w.wrong;
  HEAP_FRAME_END(t, root);
  return op;
}

// ---- before and after ---------------------------------------------------------------------------

// Every slot holds an object before the first operation, so that each exchange receives one.
static tally table_fill(workload_run *run, mstress *shared) {
  heap_thread *t = workload_thread(run);
  HEAP_FRAME(t, root, ROOT_COUNT);
  worker w = worker_make(shared, t, 0, root);
  for (size_t slot = 0; slot < shared->slots; slot++) {
    if (!object_create(&w, slot)) workload_out_of_memory(run);
    heap_store(t, root[ROOT_TABLE], slot, root[ROOT_FRESH]);
    root[ROOT_FRESH] = HEAP_NULL;
  }
  HEAP_FRAME_END(t, root);
  return w.created;
}

// Check the whole table; the payload that it keeps alive.
static uint64_t table_check(workload_run *run, worker *w) {
  uint64_t live_bytes = w->shared->slots * sizeof(heap_ref);
  for (size_t slot = 0; slot < w->shared->slots; slot++) {
    const heap_ref object = heap_load(w->t, w->root[ROOT_TABLE], slot);
    if (heap_is_null(object)) workload_invalid(run, "slot %zu of the table is empty", slot);
    if (slot_is_linked(slot)) {
      chain_view view;
      if (!chain_check(w, object, &view))
        workload_invalid(run, "the chain in slot %zu of the table is broken", slot);
      live_bytes += view.length * (LINK_REFS * sizeof(heap_ref) + LINK_BYTES);
    } else {
      object_header header;
      if (!object_is_whole(w, object, LEAF_REFS, &header))
        workload_invalid(run, "the object in slot %zu of the table has wrong content", slot);
      live_bytes += header.bytes;
    }
  }
  return live_bytes;
}

static void table_drop(worker *w) {
  for (size_t slot = 0; slot < w->shared->slots; slot++) {
    const heap_ref object = heap_load(w->t, w->root[ROOT_TABLE], slot);
    heap_store(w->t, w->root[ROOT_TABLE], slot, HEAP_NULL);
    if (slot_is_linked(slot))
      chain_drop(w, object);
    else
      object_drop(w, object, LEAF_REFS);
  }
}

// Merge what the threads counted, and end the run if one of them failed.
static void results_merge(workload_run *run, const mstress *shared, size_t threads, tally *created,
                          tally *dropped) {
  for (size_t i = 0; i < threads; i++) {
    const worker_result *result = &shared->results[i];
    if (result->wrong) workload_invalid(run, "thread %zu: %s", i, result->wrong);
    if (result->no_memory) workload_out_of_memory(run);
    tally_merge(created, result->created);
    tally_merge(dropped, result->dropped);
    workload_latencies_record(run, result->latencies);
  }
}

// Stage "end" with the table full, then everything is dropped: what was read is what was written.
static void mstress_end(workload_run *run, mstress *shared, tally created, tally dropped) {
  heap_thread *t = workload_thread(run);
  HEAP_FRAME(t, root, ROOT_COUNT);
  worker w = worker_make(shared, t, 0, root);
  workload_stage(run, "end", table_check(run, &w));
  table_check(run, &w);
  table_drop(&w);
  spares_discard(&w);
  tally_merge(&dropped, w.dropped);
  if (dropped.count != created.count || dropped.sum != created.sum)
    workload_invalid(run, "%llu objects created, %llu found, or others",
                     (unsigned long long)created.count, (unsigned long long)dropped.count);
  workload_checksum_add(run, dropped.count);
  workload_checksum_add(run, dropped.sum);
  HEAP_FRAME_END(t, root);
}

static void mstress_run(workload_run *run) {
  heap_thread *t = workload_thread(run);
  const size_t threads = (size_t)workload_param_value(run, "threads");
  mstress shared = {.seed = workload_seed(run),
                    .ops = workload_param_value(run, "ops"),
                    .slots = (size_t)1 << workload_param_value(run, "slots"),
                    .chain = (size_t)workload_param_value(run, "chain"),
                    .size_low = workload_param_value(run, "size_low"),
                    .size_high = workload_param_value(run, "size_high"),
                    .octaves = 1,
                    .reuse = workload_param_value(run, "noalloc") != 0};
  while (shared.size_low << shared.octaves < shared.size_high) shared.octaves++;
  const size_t lock_bytes = LOCK_COUNT * sizeof *shared.locks;
  const size_t latency_bytes = sizeof *shared.results[0].latencies;
  shared.locks = workload_scratch(run, lock_bytes);
  for (size_t i = 0; i < threads; i++)
    shared.results[i].latencies = workload_scratch(run, latency_bytes);
  heap_root_add(t, &shared.table_root, &shared.table, 1);
  heap_root_store(t, &shared.table, workload_new(run, t, shared.slots, 0));

  tally created = table_fill(run, &shared), dropped = {.count = 0};
  workload_threads_run(run, threads, worker_run, &shared);
  results_merge(run, &shared, threads, &created, &dropped);
  mstress_end(run, &shared, created, dropped);

  heap_discard(t, heap_root_load(t, &shared.table));
  heap_root_remove(t, &shared.table_root);
  for (size_t i = 0; i < threads; i++)
    workload_scratch_free(run, shared.results[i].latencies, latency_bytes);
  workload_scratch_free(run, shared.locks, lock_bytes);
}

static const workload_param mstress_params[] = {
    {"threads", "threads, each doing `ops` operations", 2, 1, WORKLOAD_THREADS_MAX, NULL},
    {"ops", "operations of each thread", 1000000, 1, 1ull << 40, NULL},
    {"slots", "log2 of the slots of the shared table", 16, 1, 26, NULL},
    {"chain", "objects in the longest chain", 4, 1, 1024, NULL},
    {"size_low", "smallest object without references, bytes", 32, MSTRESS_SIZE_MIN, 1024, NULL},
    {"size_high", "size that no object exceeds, bytes", 256, 64, 32768, NULL},
    {"noalloc", "1: write over dropped objects instead of allocating (floor)", 0, 0, 1, NULL},
};

const workload workload_mstress = {
    .name = "mstress",
    .summary = "threads exchange objects through a shared table",
    .needs = HEAP_CAP_THREADS,
    .params = mstress_params,
    .param_count = sizeof mstress_params / sizeof mstress_params[0],
    .run = mstress_run,
};
