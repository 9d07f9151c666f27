// SPDX-License-Identifier: MIT
// What each thread holds for itself: an open region with a zeroed chunk in it, and a slab with the
// free entries of one bitmap word. Refilling either is the slow path of allocation; the heap lock is
// taken only for a new region or slab, once per 256 KiB or 512 objects.
//
// Note [charging by the chunk]
//   since_bytes only paces the collector, and it is one cache line for all threads. So a thread adds up what it
//   takes and gives back, entries and bytes (uncharged_bytes), and adds the sum to since_bytes when it takes a
//   chunk or a large object, or gives back what it holds. What it has not charged yet is entries of a chunk's
//   objects, as many bytes as the chunk has at most.
#include <string.h>

#include "allocators/base/track.h"
#include "compact/cp_internal.h"

// Objects allocated since the last count, all in the open region: handles taken, and bytes between chunk
// and next. black: markers do not see them, so they are counted here (I-cp-13).
static void count(compact_thread *thread, bool black) {
  compact_heap *const heap = thread->heap;
  const uint64_t objects = cp_count_bits(thread->handles_taken & ~thread->handles);
  const uint64_t bytes = (uint64_t)(thread->next - thread->chunk);
  thread->handles_taken = thread->handles;
  thread->chunk = thread->next;
  thread->alloc_objects += objects;
  thread->alloc_bytes += bytes;
  if (!black || objects == 0) return;
  hs_add_relaxed(&cp_region_at(heap, thread->region)->live, CP_LIVE(bytes, objects));
  hs_add_relaxed(&heap->black_bytes, bytes);
  hs_add_relaxed(&heap->black_count, objects);
}

static bool has_turned(const compact_thread *thread) {
  return thread->turn != thread->heap->marked_turn;
}

static bool is_black(const compact_thread *thread) {
  return thread->base.barrier == HS_BARRIER_BLACK && !has_turned(thread);
}

void cp_cache_count(compact_thread *thread) { count(thread, is_black(thread)); }

// What was allocated until now is white; what is left of the handles will be black.
void cp_cache_blacken(compact_thread *thread) {
  count(thread, false);
  if (thread->handles != 0) cp_mark_set_black(thread, thread->handle_word, thread->handles);
}

static void charge(compact_thread *thread) {
  if (thread->uncharged_bytes != 0)
    hs_add_relaxed(&thread->heap->since_bytes,
                   (uint64_t)thread->uncharged_bytes); // may be negative
  thread->uncharged_bytes = 0;
}

// ---- handles ------------------------------------------------------------------------------------

// I-cp-3 holds again. Not at each word: descriptors of neighbours, which other threads own, share a cache line.
static void let_slab_go_locked(compact_thread *thread) {
  cp_slab *const s = cp_slab_at(thread->heap, thread->slab);
  s->used = (uint16_t)(s->used + thread->slab_taken);
  thread->slab_taken = 0;
}

static void give_slab(compact_thread *thread, bool locked) {
  compact_heap *const heap = thread->heap;
  if (thread->slab == CP_NONE) return;
  if (thread->handles != 0) { // not taken: free again
    _Atomic(uint64_t) *const word = &thread->alloc_bits[thread->slab].words[thread->slab_word - 1];
    hs_store_relaxed(word, hs_load_relaxed(word) & ~thread->handles);
    if (is_black(thread)) cp_mark_set_white(thread, thread->handle_word, thread->handles);
    thread->slab_taken -= hs_popcount64(thread->handles);
  }
  if (!locked) hs_mutex_lock(&heap->lock);
  let_slab_go_locked(thread);
  cp_slab_give_locked(heap, thread->slab);
  if (!locked) hs_mutex_unlock(&heap->lock);
  // Refilling counted them as taken.
  thread->uncharged_bytes -= (int64_t)(hs_popcount64(thread->handles) * sizeof(compact_entry));
  thread->handles = thread->handles_taken = 0;
  thread->slab = CP_NONE;
}

// The next word of the thread's slab with free entries. I-cp-2.
static bool take_word(compact_thread *thread) {
  compact_heap *const heap = thread->heap;
  if (thread->slab == CP_NONE) return false;
  _Atomic(uint64_t) *const words = thread->alloc_bits[thread->slab].words;
  while (thread->slab_word < CP_SLAB_WORDS) {
    const uint32_t word = thread->slab_word++;
    const uint64_t free = ~hs_load_relaxed(&words[word]);
    if (free == 0) continue;
    hs_store_relaxed(&words[word], ~0ull);
    const unsigned entries = cp_count_bits(free);
    thread->slab_taken += entries;
    thread->handles = thread->handles_taken = free;
    thread->handle_word =
        heap->table + (size_t)thread->slab * CP_SLAB_ENTRIES + word * CP_WORD_ENTRIES;
    if (is_black(thread)) cp_mark_set_black(thread, thread->handle_word, free);
    thread->uncharged_bytes += (int64_t)(entries * sizeof(compact_entry));
    return true;
  }
  return false;
}

static bool refill_handles(compact_thread *thread) {
  compact_heap *const heap = thread->heap;
  cp_cache_count(thread);
  while (!take_word(thread)) {
    hs_mutex_lock(&heap->lock);
    cp_cache_turn_locked(thread);
    if (thread->slab != CP_NONE) {
      let_slab_go_locked(thread);
      cp_slab_at(heap, thread->slab)->flags &= (uint8_t)~CP_SLAB_OWNED;
    }
    const uint32_t slab = cp_slab_take_locked(heap);
    hs_mutex_unlock(&heap->lock);
    thread->slab = slab;
    thread->slab_word = 0;
    if (slab == CP_NONE) return false;
  }
  return true;
}

// ---- object memory ------------------------------------------------------------------------------

static void close_chunk(compact_thread *thread) {
  cp_cache_count(thread);
  if (thread->region == CP_NONE) return;
  compact_heap *const heap = thread->heap;
  cp_region_at(heap, thread->region)->top =
      (uint32_t)(thread->next - cp_region_start(heap, thread->region));
}

static void give_region(compact_thread *thread, bool locked) {
  compact_heap *const heap = thread->heap;
  close_chunk(thread);
  thread->uncharged_bytes -= thread->limit - thread->next; // was not used
  if (thread->region != CP_NONE) {
    if (!locked) hs_mutex_lock(&heap->lock);
    cp_region_give_locked(heap, thread->region);
    if (!locked) hs_mutex_unlock(&heap->lock);
  }
  thread->region = CP_NONE;
  thread->next = thread->limit = thread->chunk = thread->objects;
}

// A chunk at the top of the open region for at least `bytes`; charged and zeroed. The rest of the
// current chunk becomes its beginning.
static bool take_chunk(compact_thread *thread, size_t bytes) {
  compact_heap *const heap = thread->heap;
  if (thread->region == CP_NONE) return false;
  cp_region *const region = cp_region_at(heap, thread->region);
  const uint32_t top = region->top;
  size_t end = hs_min_size(top + (size_t)CP_CHUNK_BYTES, CP_REGION_BYTES);
  if (top + bytes > end) return false;
  if (!cp_region_charge(heap, region, (uint32_t)end, true)) {
    end = top + bytes; // close to the limit: only what is needed
    if (!cp_region_charge(heap, region, (uint32_t)end, true)) return false;
  }
  char *const start = cp_region_start(heap, thread->region);
  hs_track_live(start + top, end - top);
  if (region->dirty > top) memset(start + top, 0, hs_min_size(region->dirty, end) - top);
  const size_t fresh = hs_align_up(hs_max_size(region->dirty, top), CP_PAGE_BYTES);
  // Not page by page at the first touch of each; and not by reads, which a barrier's look at a new slot is, and
  // which would bring in the zero page, to be replaced everywhere at the first write.
  if (fresh < end) hs_os_populate(start + fresh, hs_align_up(end - fresh, CP_PAGE_BYTES));
  if (region->dirty < end) region->dirty = (uint32_t)end;
  thread->next = thread->chunk = start + top;
  thread->limit = start + end;
  thread->uncharged_bytes += (int64_t)(end - top);
  charge(thread);
  return true;
}

static bool refill_chunk(compact_thread *thread, size_t bytes) {
  compact_heap *const heap = thread->heap;
  // Bytes handed out before and not used are part of the next chunk: do not count them twice.
  thread->uncharged_bytes -= thread->limit - thread->next;
  close_chunk(thread);
  thread->limit = thread->next;
  if (take_chunk(thread, bytes)) return true;
  hs_mutex_lock(&heap->lock);
  cp_cache_turn_locked(thread);
  give_region(thread, true);
  thread->region = cp_region_take_locked(heap, false);
  hs_mutex_unlock(&heap->lock);
  if (thread->region == CP_NONE) return false;
  thread->next = thread->limit = thread->chunk =
      cp_region_start(heap, thread->region) + cp_region_at(heap, thread->region)->top;
  return take_chunk(thread, bytes);
}

bool cp_cache_prepare(compact_thread *thread, size_t bytes) {
  do {
    if (thread->handles == 0 && !refill_handles(thread)) return false;
    if ((size_t)(thread->limit - thread->next) < bytes && !refill_chunk(thread, bytes))
      return false;
  } while (thread->handles == 0); // the thread has turned, and given them back
  return true;
}

// The thread's counters go to the heap: to what was allocated before the turn, or since.
static void hand_in_counts_locked(compact_thread *thread) {
  cp_totals *const totals = &thread->heap->totals;
  const bool now = thread->turn == thread->heap->turn;
  totals->alloc_bytes += thread->alloc_bytes;
  totals->alloc_objects += thread->alloc_objects;
  *(now ? &totals->since_bytes : &totals->turn_bytes) += thread->alloc_bytes;
  *(now ? &totals->since_objects : &totals->turn_objects) += thread->alloc_objects;
  thread->alloc_bytes = thread->alloc_objects = 0;
}

// Gives region and slab back, with what is unused of them.
void cp_cache_release(compact_thread *thread, bool locked) {
  compact_heap *const heap = thread->heap;
  if (!locked) hs_mutex_lock(&heap->lock);
  give_region(thread, true);
  give_slab(thread, true);
  charge(thread);
  hand_in_counts_locked(thread);
  if (!locked) hs_mutex_unlock(&heap->lock);
}

void cp_cache_begin_locked(compact_thread *thread) {
  compact_heap *const heap = thread->heap;
  thread->turn = heap->turn;
  thread->alloc_bits = cp_alloc_at(heap, 0);
  thread->mark_bits = cp_mark_at(heap, 0);
}

void cp_cache_turn_locked(compact_thread *thread) {
  if (thread->turn == thread->heap->turn) return;
  cp_cache_release(thread, true);
  cp_cache_begin_locked(thread);
}

void cp_cache_release_all_stw(compact_heap *heap) {
  HS_WORLD_EACH_THREAD(&heap->world, thread) cp_cache_release((compact_thread *)thread, true);
}

// ---- the slow path of allocation ----------------------------------------------------------------

// One try; no safepoint. The entry of a large object is taken as compact_alloc would.
static heap_ref allocate_try(compact_thread *thread, size_t ref_count, size_t bytes) {
  compact_heap *const heap = thread->heap;
  const bool large = bytes > COMPACT_SMALL_BYTES;
  if (!cp_cache_prepare(thread, large ? 0 : hs_max_size(hs_align_up(bytes, 8), 8)))
    return HEAP_NULL;
  if (!large) return compact_alloc(thread, ref_count, bytes - ref_count * sizeof(heap_ref));
  compact_entry *const entry = thread->handle_word + hs_ctz64(thread->handles);
  if (!cp_large_alloc(heap, ref_count, bytes, entry)) return HEAP_NULL;
  cp_cache_count(thread); // what is small, as it belongs to a region
  thread->handles &= thread->handles - 1;
  thread->handles_taken = thread->handles;
  const uint64_t counted = hs_align_up(bytes, CP_GRANULE_BYTES);
  thread->alloc_bytes += counted;
  thread->alloc_objects++;
  if (is_black(thread)) {
    hs_add_relaxed(&heap->black_bytes, counted);
    hs_add_relaxed(&heap->black_count, (uint64_t)1);
  }
  thread->uncharged_bytes += (int64_t)counted;
  charge(thread);
  return cp_ref_of(entry);
}

// What the refill for an allocation will take, about: the pace is kept by it.
static size_t bytes_wanted(const compact_thread *thread, size_t bytes) {
  if (bytes > COMPACT_SMALL_BYTES) return bytes;
  const size_t handles = thread->handles == 0 ? CP_WORD_ENTRIES * sizeof(compact_entry) : 0;
  return handles + ((size_t)(thread->limit - thread->next) < bytes ? CP_CHUNK_BYTES : 0);
}

heap_ref compact_alloc_slow(compact_thread *thread, size_t ref_count, size_t byte_count) {
  compact_heap *const heap = thread->heap;
  size_t slots_bytes, bytes;
  if (!hs_mul_fits(ref_count, sizeof(heap_ref), &slots_bytes) ||
      !hs_add_fits(slots_bytes, byte_count, &bytes) || bytes > heap->object_bytes)
    return HEAP_NULL;
  hs_poll(&thread->base);
  if (cp_is_stress(heap))
    (void)cp_cycle_run(heap, thread, HEAP_COLLECT_FULL, CP_REASON_DUE);
  else
    cp_pace_step(thread, bytes_wanted(thread, bytes));
  heap_ref ref = allocate_try(thread, ref_count, bytes);
  for (bool own = false; heap_is_null(ref) && !own;) {
    own = cp_cycle_run(heap, thread, HEAP_COLLECT_RELEASE, CP_REASON_NO_MEMORY);
    ref = allocate_try(thread, ref_count, bytes);
  }
  cp_idle_notice(
      heap); // after since_bytes was added to, or the collector might go to rest unnoticed
  // In stress mode every allocation comes here: nothing is kept for the fast path.
  if (cp_is_stress(heap)) cp_cache_release(thread, false);
  return ref;
}
