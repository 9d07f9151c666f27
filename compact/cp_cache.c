// SPDX-License-Identifier: MIT
// What each thread holds for itself: an open region with a zeroed chunk in it, and a slab with the
// free entries of one bitmap word. Refilling either is the slow path of allocation; the heap lock is
// taken only for a new region or slab, once per 256 KiB or 512 objects.
#include <string.h>

#include "allocators/base/track.h"
#include "compact/cp_internal.h"

// Objects allocated since the last count: handles taken, and bytes between chunk and next.
void cp_cache_count(compact_thread *thread) {
  thread->alloc_objects += hs_popcount64(thread->handles_taken) - hs_popcount64(thread->handles);
  thread->handles_taken = thread->handles;
  thread->alloc_bytes += (uint64_t)(thread->next - thread->chunk);
  thread->chunk = thread->next;
}

// ---- handles ------------------------------------------------------------------------------------

static void give_slab(compact_thread *thread, bool locked) {
  compact_heap *const heap = thread->heap;
  if (thread->slab == CP_NONE) return;
  if (thread->handles != 0) { // not taken: free again
    cp_alloc_at(heap, thread->slab)->words[thread->slab_word - 1] &= ~thread->handles;
    cp_slab *const s = cp_slab_at(heap, thread->slab);
    s->used = (uint16_t)(s->used - hs_popcount64(thread->handles));
  }
  if (!locked) hs_mutex_lock(&heap->lock);
  cp_slab_give_locked(heap, thread->slab);
  if (!locked) hs_mutex_unlock(&heap->lock);
  // Refilling counted them as taken.
  hs_sub_relaxed(&heap->since_bytes,
                 (uint64_t)hs_popcount64(thread->handles) * sizeof(compact_entry));
  thread->handles = thread->handles_taken = 0;
  thread->slab = CP_NONE;
}

// The next word of the thread's slab with free entries. I-cp-2.
static bool take_word(compact_thread *thread) {
  compact_heap *const heap = thread->heap;
  if (thread->slab == CP_NONE) return false;
  uint64_t *const words = cp_alloc_at(heap, thread->slab)->words;
  while (thread->slab_word < CP_SLAB_WORDS) {
    const uint32_t word = thread->slab_word++;
    const uint64_t free = ~words[word];
    if (free == 0) continue;
    words[word] = ~0ull;
    const unsigned count = hs_popcount64(free);
    cp_slab *const s = cp_slab_at(heap, thread->slab);
    s->used = (uint16_t)(s->used + count);
    thread->handles = thread->handles_taken = free;
    thread->handle_word =
        heap->table + (size_t)thread->slab * CP_SLAB_ENTRIES + word * CP_WORD_ENTRIES;
    hs_add_relaxed(&heap->since_bytes, (uint64_t)count * sizeof(compact_entry));
    return true;
  }
  return false;
}

static bool refill_handles(compact_thread *thread) {
  compact_heap *const heap = thread->heap;
  cp_cache_count(thread);
  while (!take_word(thread)) {
    hs_mutex_lock(&heap->lock);
    if (thread->slab != CP_NONE) cp_slab_at(heap, thread->slab)->flags &= (uint8_t)~CP_SLAB_OWNED;
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
  hs_sub_relaxed(&heap->since_bytes, (uint64_t)(thread->limit - thread->next)); // was not used
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
  if (region->dirty < end) region->dirty = (uint32_t)end;
  thread->next = thread->chunk = start + top;
  thread->limit = start + end;
  hs_add_relaxed(&heap->since_bytes, (uint64_t)(end - top));
  return true;
}

static bool refill_chunk(compact_thread *thread, size_t bytes) {
  compact_heap *const heap = thread->heap;
  // Bytes handed out before and not used are part of the next chunk: do not count them twice.
  hs_sub_relaxed(&heap->since_bytes, (uint64_t)(thread->limit - thread->next));
  close_chunk(thread);
  thread->limit = thread->next;
  if (take_chunk(thread, bytes)) return true;
  hs_mutex_lock(&heap->lock);
  give_region(thread, true);
  thread->region = cp_region_take_locked(heap, false);
  hs_mutex_unlock(&heap->lock);
  if (thread->region == CP_NONE) return false;
  thread->next = thread->limit = thread->chunk =
      cp_region_start(heap, thread->region) + cp_region_at(heap, thread->region)->top;
  return take_chunk(thread, bytes);
}

bool cp_cache_prepare(compact_thread *thread, size_t bytes) {
  if (thread->handles == 0 && !refill_handles(thread)) return false;
  return (size_t)(thread->limit - thread->next) >= bytes || refill_chunk(thread, bytes);
}

// Gives region and slab back, with what is unused of them; the thread's counters go to the heap.
void cp_cache_release(compact_thread *thread, bool locked) {
  compact_heap *const heap = thread->heap;
  if (!locked) hs_mutex_lock(&heap->lock);
  give_region(thread, true);
  give_slab(thread, true);
  heap->totals.alloc_bytes += thread->alloc_bytes;
  heap->totals.alloc_objects += thread->alloc_objects;
  heap->totals.since_bytes += thread->alloc_bytes;
  heap->totals.since_objects += thread->alloc_objects;
  thread->alloc_bytes = thread->alloc_objects = 0;
  if (!locked) hs_mutex_unlock(&heap->lock);
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
  thread->handles &= thread->handles - 1;
  const uint64_t counted = hs_align_up(bytes, CP_GRANULE_BYTES);
  thread->alloc_bytes += counted;
  hs_add_relaxed(&heap->since_bytes, counted);
  return cp_ref_of(entry);
}

heap_ref compact_alloc_slow(compact_thread *thread, size_t ref_count, size_t byte_count) {
  compact_heap *const heap = thread->heap;
  size_t slots_bytes, bytes;
  if (!hs_mul_fits(ref_count, sizeof(heap_ref), &slots_bytes) ||
      !hs_add_fits(slots_bytes, byte_count, &bytes) || bytes > heap->object_bytes)
    return HEAP_NULL;
  hs_poll(&thread->base);
  if (cp_is_stress(heap))
    cp_cycle_run(thread, HEAP_COLLECT_FULL, CP_REASON_DUE);
  else if (cp_cycle_is_due(heap))
    cp_cycle_run(thread, HEAP_COLLECT_MINOR, CP_REASON_DUE);
  heap_ref ref = allocate_try(thread, ref_count, bytes);
  if (heap_is_null(ref)) {
    cp_cycle_run(thread, HEAP_COLLECT_RELEASE, CP_REASON_NO_MEMORY);
    ref = allocate_try(thread, ref_count, bytes);
  }
  // In stress mode every allocation comes here: nothing is kept for the fast path.
  if (cp_is_stress(heap)) cp_cache_release(thread, false);
  return ref;
}
