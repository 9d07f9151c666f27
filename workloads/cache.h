// SPDX-License-Identifier: MIT
// A cache of a fixed capacity in the heap under test, shared by the workloads that keep one: a hash
// table with chains, and one object per entry that holds its links and, as raw bytes, its value. A put
// first evicts what it displaces, so the cache does not exceed its capacity. Who goes:
//   CACHE_LRU      the least recently used entry: a list through the entries, newest to oldest
//   CACHE_SAMPLED  of a few random entries the one written first, as Redis approximates it; no list. Of
//                  those that are equally old by a coarse clock (tick_puts) a random one.
// A cache that evicts_late takes what is put, and evicts only when it is told: then it may exceed its
// capacity until it is.
// Every value is a function of its number, checked whenever an entry leaves the cache and at the end.
//
// Main thread of a run only. The functions that allocate are safepoints; they say so.
#ifndef WORKLOAD_CACHE_H
#define WORKLOAD_CACHE_H

#include "workloads/workload.h"

typedef enum cache_policy { CACHE_LRU, CACHE_SAMPLED } cache_policy;

// First raw bytes of an entry. Raw bytes are header and content.
typedef struct cache_header {
  uint64_t number; // of the put, from 0: says what the content is
  uint32_t key;
  uint32_t bytes; // raw bytes of the entry
} cache_header;

enum {
  CACHE_VALUE_MIN = sizeof(cache_header), // smallest value, bytes
  CACHE_ROOTS = 3,                        // slots of the caller's frame
};

// I-cache-1: entry_count and entry_bytes are those of the entries in the chains, entry_bytes does not
//            exceed capacity_bytes (but before a late eviction), and the list has the same entries.
//            Checked by cache_read.
typedef struct cache {
  workload_run *run;
  heap_thread *t;
  heap_ref *roots; // CACHE_ROOTS slots
  cache_policy policy;
  size_t links; // reference slots of an entry
  uint64_t bucket_mask;
  uint64_t seed;
  uint64_t capacity_bytes; // of the payload of entries
  uint64_t tick_puts;   // entries of so many puts in a row count as equally old (CACHE_SAMPLED); 1
  bool evicts_late;     // only cache_evict_excess evicts; false
  uint64_t entry_bytes; // payload of the entries that are there
  uint64_t entry_count, put_count;
  uint64_t digest; // of the numbers of the entries that left, in order
  hs_rng rng;      // for random entries
} cache;

// Payload of an entry with a value of that many bytes: its links and the value.
uint64_t cache_entry_bytes(cache_policy policy, uint64_t value_bytes);

// An empty cache. `roots` is a pushed frame of CACHE_ROOTS slots that outlives it; typical_bytes is the
// payload of a usual entry, from which the size of the table follows. Safepoint.
cache cache_make(workload_run *run, heap_ref *roots, cache_policy policy, uint64_t capacity_bytes,
                 uint64_t typical_bytes);

// Bytes reachable: table and entries.
uint64_t cache_live_bytes(const cache *c);

// Write a value of `bytes` raw bytes under `key`, in place of what was there. Safepoint.
// CACHE_VALUE_MIN <= bytes, and its entry fits into the capacity.
void cache_put(cache *c, uint32_t key, uint64_t bytes);

// Evict what exceeds the capacity.
void cache_evict_excess(cache *c);

// Use the entry of `key`, if it is there, or a random one: it becomes the most recent (CACHE_LRU).
bool cache_get(cache *c, uint32_t key);
void cache_touch_random(cache *c);

// Check every entry, the links, and the model (I-cache-1), and add all of it to the checksum.
void cache_read(cache *c);

// Ownership of everything ends, the table's as well.
void cache_drop(cache *c);

#endif
