// SPDX-License-Identifier: MIT
// The handle table: slabs of one page, an allocation bit and a mark bit per entry outside of them.
// Threads own a slab and take its free entries a bitmap word at a time, in address order. Freeing is
// a swap: after marking, the mark bits become the allocation bits and no dead entry is visited.
// Refilling takes the lowest slab with enough free entries, so that the top of the table drains.
//
// Note [bitmap turn]
//   The swap needs no stop. The collector swaps the bitmaps' roles under the heap lock and counts the turn.
//   Every thread is BLACK then: entries it holds have both bits, so a thread may go on in the slab that it
//   owns with the bits as they were. It takes a slab or a region only under the lock, and first turns itself
//   when the heap has: gives back what it holds, with the marks of the entries that it did not hand out, and
//   is no longer black. In handshake C every other thread turns.
//   Until then its barrier is on, and it may shade. When there is no memory to note what it shades, it looks at
//   the mark bit and sets it: in the bitmap that was marked in (heap.marks), whatever its role is now.
//   There it finds the bit of everything it can reach.
//   I-cp-16: slabs and regions are taken by threads only that have turned as often as the heap; so no slab is
//            ever used with both bitmaps as allocation bits.
//   Slabs are counted again by whoever looks at them next (I-cp-3), the collector in the end. A region that
//   was opened since the turn may hold objects that nobody counted (I-cp-13), so it is not freed.
//   Checked by tests/model/turn.pml.
#include "compact/cp_internal.h"

// A slab that is nearly full hands out words with a few entries each, which costs a refill per few
// allocations: it is passed over until the table cannot grow. Bounds the loss to 1/8 of the table.
static const uint32_t MIN_FREE_ENTRIES = CP_SLAB_ENTRIES / 8;
// Looked at by a thread that needs a slab, under the lock: some microseconds. When none of them has room the
// table grows by one slab, so by 1/256 of the full ones at most.
static const uint32_t SCAN_SLABS = 256;
// The table is made accessible in steps, to save system calls.
static const size_t COMMIT_BYTES = 1 << 20;
// Slabs given back, or looked at, in one hold of the lock: some 20 us.
static const uint32_t PURGE_SLABS = 64;

static bool bit_is_set(const _Atomic(uint64_t) *words, uint32_t index) {
  return hs_load_relaxed(&words[index / CP_WORD_ENTRIES]) >> (index % CP_WORD_ENTRIES) & 1;
}

static bool table_commit_locked(compact_heap *heap, uint32_t slab) {
  const size_t end = (size_t)(slab + 1) * CP_SLAB_BYTES;
  if (end <= heap->table_committed) return true;
  const size_t limit = (size_t)heap->slab_limit * CP_SLAB_BYTES;
  const size_t to = hs_min_size(hs_align_up(end, COMMIT_BYTES), limit);
  if (hs_os_commit((char *)heap->table + heap->table_committed, to - heap->table_committed) != 0)
    return false;
  heap->table_committed = to;
  return true;
}

bool cp_slab_ready_locked(compact_heap *heap, uint32_t slab) {
  if (slab >= heap->slab_limit) return false;
  if (!cp_side_extend(&heap->slabs, slab + 1) || !cp_side_extend(&heap->alloc_bits, slab + 1) ||
      !cp_side_extend(&heap->mark_bits, slab + 1) || !table_commit_locked(heap, slab))
    return false;
  cp_slab *const s = cp_slab_at(heap, slab);
  if (!(s->flags & CP_SLAB_RESIDENT)) {
    if (!cp_charge(heap, &heap->table_bytes, CP_SLAB_BYTES, false)) return false;
    // In stress mode the page may have been made inaccessible.
    if (cp_is_stress(heap) &&
        hs_os_commit(heap->table + (size_t)slab * CP_SLAB_ENTRIES, CP_SLAB_BYTES) != 0) {
      hs_sub_relaxed(&heap->table_bytes, (uint64_t)CP_SLAB_BYTES);
      return false;
    }
    s->flags |= CP_SLAB_RESIDENT;
  }
  if (slab >= heap->slab_frontier) {
    heap->slab_frontier = slab + 1;
    s->turn = (uint8_t)heap->turn;
  }
  return true;
}

static uint32_t find_used_locked(compact_heap *heap, uint32_t from, uint32_t end,
                                 uint32_t min_free) {
  for (uint32_t slab = from; slab < end; slab++) {
    const cp_slab *const s = cp_slab_at(heap, slab);
    cp_slab_count_locked(heap, slab);
    // An owned slab's count belongs to its owner: do not read it.
    if (!(s->flags & CP_SLAB_OWNED) && s->used + min_free <= CP_SLAB_ENTRIES) return slab;
  }
  return CP_NONE;
}

// The next slab from the cursor on. One call looks at SCAN_SLABS at most, and the next goes on from there.
static uint32_t find_next_locked(compact_heap *heap) {
  const uint32_t from = heap->slab_cursor;
  const uint32_t end = (uint32_t)hs_min_u64((uint64_t)from + SCAN_SLABS, heap->slab_frontier);
  const uint32_t slab = find_used_locked(heap, from, end, MIN_FREE_ENTRIES);
  if (slab == CP_NONE) heap->slab_cursor = hs_max_u64(from, end) & UINT32_MAX;
  return slab;
}

// Stress mode: a slab that is in use, or else the next in turn, so that a page that was made
// inaccessible stays so for long.
static uint32_t find_stress_locked(compact_heap *heap) {
  for (uint32_t slab = heap->slab_cursor; slab < heap->slab_frontier; slab++) {
    const cp_slab *const s = cp_slab_at(heap, slab);
    cp_slab_count_locked(heap, slab);
    if (!(s->flags & CP_SLAB_OWNED) && s->used > 0 && s->used < CP_SLAB_ENTRIES) return slab;
  }
  uint32_t slab = heap->slab_stress;
  for (; slab < heap->slab_frontier; slab++) {
    cp_slab_count_locked(heap, slab);
    if (!(cp_slab_at(heap, slab)->flags & CP_SLAB_OWNED) && cp_slab_at(heap, slab)->used == 0)
      break;
  }
  heap->slab_stress = slab + 1;
  return slab;
}

uint32_t cp_slab_take_locked(compact_heap *heap) {
  uint32_t slab = cp_is_stress(heap) ? find_stress_locked(heap) : find_next_locked(heap);
  const bool fresh = slab == CP_NONE;
  if (fresh) slab = heap->slab_frontier;
  if (cp_slab_ready_locked(heap, slab)) {
    if (!cp_is_stress(heap) && !fresh) heap->slab_cursor = slab + 1;
  } else {
    slab = find_used_locked(heap, 0, heap->slab_frontier, 1);
    if (slab == CP_NONE || !cp_slab_ready_locked(heap, slab)) return CP_NONE;
  }
  cp_slab_at(heap, slab)->flags |= CP_SLAB_OWNED;
  return slab;
}

void cp_slab_give_locked(compact_heap *heap, uint32_t slab) {
  cp_slab_at(heap, slab)->flags &= (uint8_t)~CP_SLAB_OWNED;
  if (slab < heap->slab_cursor) heap->slab_cursor = slab;
}

void cp_slab_count_locked(compact_heap *heap, uint32_t slab) {
  cp_slab *const s = cp_slab_at(heap, slab);
  if (s->turn == (uint8_t)heap->turn || s->flags & CP_SLAB_OWNED) return;
  const cp_bits *const bits = cp_alloc_at(heap, slab);
  uint32_t used = 0;
  for (int i = 0; i < CP_SLAB_WORDS; i++) used += cp_count_bits(hs_load_relaxed(&bits->words[i]));
  s->used = (uint16_t)used;
  s->turn = (uint8_t)heap->turn;
}

// So that a stale handle of a dead object faults at the guard region. Marking is complete. Threads that own
// a slab are about to hand its entries out.
void cp_handle_clear_dead(compact_heap *heap) {
  hs_mutex_lock(&heap->lock);
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++) {
    if (cp_slab_at(heap, slab)->flags & CP_SLAB_OWNED) continue;
    uint32_t index;
    for (cp_walk walk = cp_walk_begin(heap, slab, slab + 1); cp_walk_next(&walk, &index);)
      if (!cp_entry_is_marked(heap, index)) cp_entry_store(heap->table + index, 0);
  }
  hs_mutex_unlock(&heap->lock);
}

void cp_handle_turn(compact_heap *heap) {
  cp_totals *const totals = &heap->totals;
  hs_mutex_lock(&heap->lock);
  cp_side_swap(&heap->alloc_bits, &heap->mark_bits);
  heap->turn++;
  heap->slab_cursor = 0;
  heap->region_cursor = 1;
  totals->turn_bytes = totals->since_bytes;
  totals->turn_objects = totals->since_objects;
  totals->since_bytes = totals->since_objects = 0;
  hs_mutex_unlock(&heap->lock);
}

void cp_handle_count(compact_heap *heap) {
  hs_mutex_lock(&heap->lock);
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++) {
    cp_slab_count_locked(heap, slab);
    if (slab % PURGE_SLABS != PURGE_SLABS - 1) continue;
    hs_mutex_unlock(&heap->lock);
    hs_mutex_lock(&heap->lock);
  }
  hs_mutex_unlock(&heap->lock);
}

static bool is_purgeable_locked(const compact_heap *heap, uint32_t slab) {
  if (slab >= heap->slab_frontier) return false;
  const cp_slab *const s = cp_slab_at(heap, slab);
  return s->flags == CP_SLAB_RESIDENT && s->turn == (uint8_t)heap->turn &&
         s->used == 0; // the count of an owned one is not ours to read
}

// Empty resident slabs [from, to), neighbours in one call. They are the collector's meanwhile, so that nobody has to
// wait for the system call.
static void purge_run_locked(compact_heap *heap, uint32_t from, uint32_t to, bool protect) {
  compact_entry *const start = heap->table + (size_t)from * CP_SLAB_ENTRIES;
  const size_t bytes = (size_t)(to - from) * CP_SLAB_BYTES;
  for (uint32_t slab = from; slab < to; slab++) cp_slab_at(heap, slab)->flags |= CP_SLAB_OWNED;
  hs_mutex_unlock(&heap->lock);
  // Entries of free slabs are never read, so old contents are harmless and FREE would do; the table
  // is small beside the objects, and its pages should be gone from RSS: always DONTNEED.
  const int error =
      protect ? hs_os_decommit(start, bytes) : hs_os_purge(start, bytes, HS_OS_PURGE_DONTNEED);
  hs_mutex_lock(&heap->lock);
  for (uint32_t slab = to; slab-- > from;) {
    cp_slab_give_locked(heap, slab);
    if (error == 0)
      cp_slab_at(heap, slab)->flags &= (uint8_t)~CP_SLAB_RESIDENT; // else still charged
  }
  if (error != 0) return;
  hs_sub_relaxed(&heap->table_bytes, (uint64_t)bytes);
  heap->totals.scavenged_bytes += bytes;
}

uint64_t cp_slab_free_bytes(compact_heap *heap) {
  uint64_t bytes = 0;
  hs_mutex_lock(&heap->lock);
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++)
    if (is_purgeable_locked(heap, slab)) bytes += CP_SLAB_BYTES;
  hs_mutex_unlock(&heap->lock);
  return bytes;
}

void cp_slab_purge(compact_heap *heap, uint64_t keep_bytes, bool protect) {
  uint64_t kept = 0;
  hs_mutex_lock(&heap->lock);
  for (uint32_t slab = 0; slab < heap->slab_frontier; slab++) {
    if (slab % SCAN_SLABS == 0) { // others may be waiting
      hs_mutex_unlock(&heap->lock);
      hs_mutex_lock(&heap->lock);
    }
    if (!is_purgeable_locked(heap, slab)) continue;
    if (kept < keep_bytes) {
      kept += CP_SLAB_BYTES;
      continue;
    }
    uint32_t end = slab + 1;
    while (end - slab < PURGE_SLABS && is_purgeable_locked(heap, end)) end++;
    purge_run_locked(heap, slab, end, protect);
    slab = end - 1;
  }
  hs_mutex_unlock(&heap->lock);
}

bool cp_entry_is_allocated(const compact_heap *heap, heap_ref ref) {
  const uintptr_t offset = ref.bits - (uintptr_t)heap->table;
  if (offset % sizeof(compact_entry) != 0) return false;
  const uintptr_t index = offset / sizeof(compact_entry);
  // Not the frontier, which a marker may not read: the bitmap reaches as far, but for its last page.
  if (index / CP_SLAB_ENTRIES >= cp_side_bytes(&heap->alloc_bits) / sizeof(cp_bits)) return false;
  return bit_is_set(cp_alloc_at(heap, 0)->words, (uint32_t)index) ||
         hs_load_relaxed(&cp_slab_at(heap, (uint32_t)(index / CP_SLAB_ENTRIES))->role) ==
             CP_ROLE_TARGET; // a twin, which is marked only
}

bool cp_entry_is_marked(const compact_heap *heap, uint32_t index) {
  return bit_is_set(heap->marks, index);
}
