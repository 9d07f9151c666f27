// SPDX-License-Identifier: MIT
// Compaction beside the program. A batch of sources is emptied like this, and nobody is stopped:
//   tag      every entry of the batch becomes MOVING
//   shake    every thread answers a handshake: from here on nobody writes to a tagged object
//   unpin    pinned objects lose the tag
//   copy     each object that still has the tag; its entry changes by compare-and-swap
//   shake    every thread answers again: nobody reads the old copies
//   free     sources that are empty
// The second handshake is the first one of the next batch.
//
// Note [relocation]
//   A writer that finds MOVING takes the tag away by compare-and-swap before it writes, which makes the
//   collector's own fail and the copy worthless: writers abort a move and never wait. Readers look at the
//   location only. (Abort by the writer: Staccato, McCloskey, Bacon, Cheng and Grove, 2008; CHICKEN,
//   Pizlo, Petrank and Steensgaard, PLDI 2008. Here the word that both switch is the handle.)
//   I-cp-14: only the collector sets MOVING, and only between two cycles' markings, on entries of objects
//            in sources; when it has left a batch no entry of the batch is MOVING.
//   I-cp-15: a source is freed after a handshake that began after its last object was moved.
//   No lost update: a pointer for writing that a thread got before its answer to the first handshake died
//   with it; one that it gets later was got after it saw the tag, or a location that was committed. So the
//   compare-and-swap commits only if nobody has written since the copying began, nor will.
//   Fresh reads: a thread that learned of a write by synchronisation loads the location after it, and the
//   writer had seen that location or had aborted the move. A pointer for reading may be of the old copy, which
//   is intact until its thread answers the second handshake; hence the rule that it dies at the thread's next
//   acquire operation, and when the thread gets a pointer for writing, which may be to the new one.
//   Pins: a pin is put into the table, then its thread acts as a writer. If it did so before its answer to
//   the first handshake the collector finds it in the table; if later, it has seen the tag.
//   A thread in a blocking region holds no pointer that is not pinned, and is answered for.
//   Checked by tests/model/relocation.pml.
#include "allocators/base/track.h"
#include "compact/cp_internal.h"

// Live bytes of a batch: two handshakes are paid per batch, its copies are the reserve that compaction
// needs, and the longer an object is tagged the likelier is it that somebody writes to it.
static const uint32_t BATCH_BYTES = 512 << 10;

// An object that stays costs the pages it lies on, one mostly. That is put up with while it is below 1/32 of
// the live bytes: then no stop is worth it.
static const uint64_t TOLERATED_FRACTION = 32;

typedef struct batch {
  uint32_t begin, end; // regions of the map; the sources among them
} batch;

typedef struct relocation {
  compact_heap *heap;
  cp_back_map *map;
  cp_destination to;
  bool full; // no memory for a destination: nothing else is moved
  cp_moves *moves;
} relocation;

static bool is_in_batch(const relocation *r, uint32_t region) {
  const cp_region *const source = cp_region_at(r->heap, region);
  return source->source && cp_region_has_movable(source);
}

// The next sources, BATCH_BYTES of them or one.
static batch next_batch(relocation *r) {
  batch b = {r->map->next, r->map->next};
  uint32_t bytes = 0;
  for (; b.end < r->map->end && bytes < BATCH_BYTES; b.end++)
    if (is_in_batch(r, b.end)) bytes += cp_region_at(r->heap, b.end)->live_bytes;
  r->map->next = b.end;
  return b;
}

static compact_entry *entry_of(const relocation *r, const cp_region *source, uint32_t i) {
  return r->heap->table + r->map->entries[source->list + i];
}

static void tag(const relocation *r, batch b) {
  for (uint32_t region = b.begin; region < b.end; region++) {
    if (!is_in_batch(r, region)) continue;
    const cp_region *const source = cp_region_at(r->heap, region);
    for (uint32_t i = 0; i < source->live_count; i++)
      hs_or_relaxed(&entry_of(r, source, i)->word, COMPACT_MOVING); // published by the handshake
  }
}

static void untag(void *context, compact_entry *entry) {
  (void)context;
  hs_and_acq_rel(&entry->word, ~COMPACT_MOVING);
}

static void answer(void *context, hs_thread *thread) { (void)context, (void)thread; }

// ---- copying ------------------------------------------------------------------------------------

// A writer may have taken the tag away and be writing: then what is copied is thrown away.
HS_NO_RACE_CHECK static void copy_racing(char *to, const char *from, uint32_t bytes) {
  _Atomic(uint64_t) *const t = (_Atomic(uint64_t) *)(void *)to;
  const _Atomic(uint64_t) *const f = (const _Atomic(uint64_t) *)(const void *)from;
  for (uint32_t i = 0; i < bytes / CP_GRANULE_BYTES; i++)
    hs_store_relaxed(&t[i], hs_load_relaxed(&f[i]));
}

typedef enum outcome { MOVED, ABORTED, NO_ROOM } outcome;

static outcome move(relocation *r, cp_region *source, compact_entry *entry) {
  compact_heap *const heap = r->heap;
  uint64_t word = hs_load_acquire(&entry->word);
  if (!(word & COMPACT_MOVING)) return ABORTED;
  const uint32_t bytes = cp_entry_bytes(word);
  char *const copy = cp_destination_room(&r->to, bytes);
  if (!copy) return NO_ROOM;
  copy_racing(copy, heap->objects + cp_entry_offset(word), bytes);
  const uint64_t moved = cp_entry_place(word & ~COMPACT_MOVING, (size_t)(copy - heap->objects));
  if (!hs_cas_acq_rel(&entry->word, &word, moved)) { // pairs: compact_write, compact_read
    cp_destination_undo(&r->to, bytes);
    return ABORTED;
  }
  cp_destination_count(&r->to, source, bytes);
  r->moves->bytes += bytes;
  return MOVED;
}

// What stays is gathered at the beginning of the source's part of the map.
static void copy_source(relocation *r, cp_region *source) {
  uint32_t *const entries = r->map->entries + source->list;
  const uint32_t count = source->live_count;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < count; i++) {
    cp_evacuate_prefetch(r->heap, entries + i, count - i);
    compact_entry *const entry = r->heap->table + entries[i];
    const outcome result = r->full ? NO_ROOM : move(r, source, entry);
    if (result == MOVED) continue;
    if (result == NO_ROOM) {
      r->full = true;
      untag(NULL, entry);
    } else {
      r->moves->aborted_count++;
    }
    entries[kept++] = entries[i];
  }
  HS_ASSERT(kept == source->live_count);
}

static void copy(relocation *r, batch b) {
  for (uint32_t region = b.begin; region < b.end; region++)
    if (is_in_batch(r, region)) copy_source(r, cp_region_at(r->heap, region));
}

// ---- the whole ----------------------------------------------------------------------------------

// After a handshake. A source with objects left stays one, for another try.
static void free_batch(relocation *r, batch b) {
  for (uint32_t region = b.begin; region < b.end; region++) {
    const cp_region *const source = cp_region_at(r->heap, region);
    if (source->source && !cp_region_has_movable(source))
      cp_evacuate_finish(r->heap, r->map, region);
  }
}

// One try at every source.
static void relocate_all(relocation *r) {
  compact_heap *const heap = r->heap;
  batch before = {0};
  for (bool more = true; more;) {
    cp_evacuate_count_pins(heap, r->map->end); // pins come and go
    const batch now = next_batch(r);
    more = now.begin < now.end && !r->full;
    if (more) tag(r, now);
    hs_world_handshake(&heap->world, heap->course.self, answer, NULL);
    if (before.begin < before.end) free_batch(r, before);
    if (!more) break;
    cp_pin_visit(heap, untag, NULL);
    copy(r, now);
    before = now;
    cp_peak_note(heap);
  }
}

static uint64_t movable_left(const compact_heap *heap, const cp_back_map *map) {
  uint64_t count = 0;
  for (uint32_t region = 1; region < map->end; region++) {
    const cp_region *const r = cp_region_at(heap, region);
    if (r->source && cp_region_has_movable(r)) count += r->live_count - r->pinned;
  }
  return count;
}

bool cp_relocate(compact_heap *heap, cp_back_map *map, cp_effort effort, cp_moves *moves) {
  relocation r = {
      .heap = heap, .map = map, .to = cp_destination_none(heap, effort), .moves = moves};
  for (uint32_t region = 1; !map->entries && region < map->end; region++) // no memory for the map
    if (cp_region_at(heap, region)->source) cp_evacuate_finish(heap, map, region);
  // The second try is for objects that were written just then; what is always written fails again.
  for (int tries = 0; tries < 2 && !r.full && movable_left(heap, map) > 0; tries++) {
    map->next = 1;
    hs_mutex_lock(&heap->lock);
    heap->region_cursor = 1;
    hs_mutex_unlock(&heap->lock);
    relocate_all(&r);
  }
  cp_destination_close(&r.to);
  map->next = 1;
  return movable_left(heap, map) * CP_PAGE_BYTES <= heap->totals.live_bytes / TOLERATED_FRACTION;
}

void cp_relocate_give_up(compact_heap *heap, cp_back_map *map) {
  for (uint32_t region = 1; region < map->end; region++)
    if (cp_region_at(heap, region)->source) cp_evacuate_finish(heap, map, region);
  map->next = map->end;
  cp_back_map_destroy(heap, map);
}

// ---- mutators -----------------------------------------------------------------------------------

HS_COLD char *compact_write_slow(const compact_thread *thread, compact_entry *entry) {
  uint64_t word = hs_load_relaxed(&entry->word);
  while (word & COMPACT_MOVING && // another writer, or the collector's commit, may be faster
         !hs_cas_acq_rel(&entry->word, &word, word & ~COMPACT_MOVING)) {
  }
  return thread->objects +
         ((size_t)(uint32_t)hs_load_acquire(&entry->half.location) << COMPACT_GRANULE_SHIFT);
}
