// SPDX-License-Identifier: MIT
// Pins: a hash table from entry to count under a lock of its own, so that pins nest, any thread may
// unpin, and pinning is not a safepoint. A pinned object is a root and does not move (I-cp-9). Open addressing with linear probing; a removal moves the entries
// behind it back (Knuth 6.4, algorithm R), so there are no tombstones.
#include "compact/cp_internal.h"

static const uint32_t MAX_PINS = CP_PIN_SLOTS / 4 * 3; // distinct objects; keeps probes short
_Static_assert((CP_PIN_SLOTS & (CP_PIN_SLOTS - 1)) == 0, "slots are found by masking");

static size_t home_of(const compact_entry *entry) {
  return (size_t)((uintptr_t)entry / sizeof *entry * 0x9e3779b97f4a7c15ull >> 40) &
         (CP_PIN_SLOTS - 1); // Fibonacci hashing, the upper bits
}

// The slot of the entry, or the free slot where it would go.
static size_t find_slot(const cp_pin *pins, const compact_entry *entry) {
  size_t slot = home_of(entry);
  while (pins[slot].entry && pins[slot].entry != entry) slot = (slot + 1) & (CP_PIN_SLOTS - 1);
  return slot;
}

static bool map_table_locked(compact_heap *heap) {
  if (heap->pins) return true;
  void *memory;
  if (hs_os_map(CP_PIN_SLOTS * sizeof(cp_pin), CP_PAGE_BYTES, &memory) != 0) return false;
  heap->pins = memory;
  return true;
}

static bool pin_add_locked(compact_heap *heap, compact_entry *entry) {
  if (!map_table_locked(heap)) return false;
  cp_pin *const pin = &heap->pins[find_slot(heap->pins, entry)];
  if (!pin->entry) {
    if (heap->pin_count == MAX_PINS) return false;
    pin->entry = entry;
    heap->pin_count++;
  }
  pin->count++;
  return true;
}

void *compact_pin(compact_thread *thread, heap_ref object, size_t ref_count) {
  compact_heap *const heap = thread->heap;
  HS_REQUIRE(!heap_is_null(object), "the null reference was pinned"); // would pass for a free slot
  if (thread->base.barrier != HS_BARRIER_OFF) hs_shade(&thread->base, object.bits); // a root comes
  hs_mutex_lock(&heap->pin_lock);
  object = compact_name_slow(thread, object); // under the lock: Note [twins]
  const bool pinned = pin_add_locked(heap, cp_entry_of(object));
  hs_mutex_unlock(&heap->pin_lock);
  return pinned ? compact_write(thread, object, ref_count)
                : NULL; // in this order: Note [relocation]
}

static void remove_slot_locked(compact_heap *heap, size_t hole) {
  cp_pin *const pins = heap->pins;
  for (size_t slot = hole;;) {
    pins[hole] = (cp_pin){0};
    do {
      slot = (slot + 1) & (CP_PIN_SLOTS - 1);
      if (!pins[slot].entry) return;
      // It stays when its home lies cyclically in (hole, slot].
    } while (((slot - home_of(pins[slot].entry)) & (CP_PIN_SLOTS - 1)) <
             ((slot - hole) & (CP_PIN_SLOTS - 1)));
    pins[hole] = pins[slot];
    hole = slot;
  }
}

void compact_unpin(compact_thread *thread, heap_ref object) {
  compact_heap *const heap = thread->heap;
  if (thread->base.barrier != HS_BARRIER_OFF) hs_shade(&thread->base, object.bits); // a root goes
  hs_mutex_lock(&heap->pin_lock);
  const compact_entry *const entry = cp_entry_of(compact_name_slow(thread, object));
  const size_t slot = heap->pins ? find_slot(heap->pins, entry) : 0;
  HS_REQUIRE(heap->pins && heap->pins[slot].entry == entry && entry,
             "an object was unpinned that is not pinned");
  if (--heap->pins[slot].count == 0) {
    heap->pin_count--;
    remove_slot_locked(heap, slot);
  }
  hs_mutex_unlock(&heap->pin_lock);
}

// See Note [twins].
void cp_pin_rename(compact_heap *heap) {
  hs_mutex_lock(&heap->pin_lock);
  hs_store_release(&heap->twins.on, 1u); // pairs: cp_twin_is_on, compact_same
  for (size_t slot = 0; heap->pin_count > 0 && slot < CP_PIN_SLOTS; slot++) {
    const cp_pin pin = heap->pins[slot];
    if (!pin.entry) continue;
    compact_entry *const name = cp_twin_of(heap, pin.entry);
    if (name == pin.entry) continue;
    heap->pin_count--;
    remove_slot_locked(heap, slot);
    cp_pin *const renamed = &heap->pins[find_slot(heap->pins, name)];
    if (!renamed->entry) heap->pin_count++;
    renamed->entry = name;
    renamed->count += pin.count;
    slot = (size_t)-1; // others have moved: from the start, which is rare
  }
  hs_mutex_unlock(&heap->pin_lock);
}

void cp_pin_visit(compact_heap *heap, cp_pin_fn visit, void *context) {
  hs_mutex_lock(&heap->pin_lock);
  for (size_t slot = 0; heap->pin_count > 0 && slot < CP_PIN_SLOTS; slot++)
    if (heap->pins[slot].entry) visit(context, heap->pins[slot].entry);
  hs_mutex_unlock(&heap->pin_lock);
}

bool cp_pin_is_pinned_stw(const compact_heap *heap, const compact_entry *entry) {
  return heap->pin_count > 0 && heap->pins[find_slot(heap->pins, entry)].entry == entry;
}
