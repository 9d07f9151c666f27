// SPDX-License-Identifier: MIT
#include "workloads/cache.h"

#include "allocators/base/assert.h"
#include "allocators/base/bits.h"
#include "workloads/support.h"

// Slots of an entry; a sampled cache has the first alone.
enum { LINK_CHAIN, LINK_OLDER, LINK_NEWER, LINK_COUNT };
// Roots: the table, and the ends of the list.
enum { ROOT_TABLE, ROOT_NEWEST, ROOT_OLDEST };

enum { SAMPLES = 5 }; // entries looked at for one eviction: Redis's default, maxmemory-samples

// Set apart from the seeds of whoever draws keys and sizes.
static const uint64_t cache_stream = 0xcac4e;

static size_t links_of(cache_policy policy) { return policy == CACHE_LRU ? LINK_COUNT : 1; }

uint64_t cache_entry_bytes(cache_policy policy, uint64_t value_bytes) {
  return links_of(policy) * sizeof(heap_ref) + value_bytes;
}

uint64_t cache_live_bytes(const cache *c) {
  return (c->bucket_mask + 1) * sizeof(heap_ref) + c->entry_bytes;
}

cache cache_make(workload_run *run, heap_ref *roots, cache_policy policy, uint64_t capacity_bytes,
                 uint64_t typical_bytes) {
  // About one or two entries in a chain once the cache is full.
  uint64_t buckets = 1;
  while (2 * buckets * typical_bytes <= capacity_bytes) buckets *= 2;
  cache c = {.run = run,
             .t = workload_thread(run),
             .roots = roots,
             .policy = policy,
             .links = links_of(policy),
             .bucket_mask = buckets - 1,
             .seed = workload_seed(run),
             .capacity_bytes = capacity_bytes,
             .tick_puts = 1,
             .rng = hs_rng_seed(workload_seed(run) ^ cache_stream)};
  roots[ROOT_NEWEST] = roots[ROOT_OLDEST] = HEAP_NULL;
  roots[ROOT_TABLE] = workload_new(run, c.t, buckets, 0);
  return c;
}

static size_t bucket_of(const cache *c, uint32_t key) {
  return (size_t)(hs_mix64(key) & c->bucket_mask);
}

static cache_header header_of(const cache *c, heap_ref entry) {
  cache_header header;
  memcpy(&header, heap_read(c->t, entry, c->links), sizeof header);
  return header;
}

static uint64_t tag_of(const cache *c, cache_header header) {
  return content_tag(c->seed, header.key, header.number);
}

// The entry is what was put: no heap lost, mixed up or half copied it.
static void entry_check(const cache *c, heap_ref entry) {
  const cache_header header = header_of(c, entry);
  if (header.number >= c->put_count || header.bytes < sizeof header ||
      header.bytes > c->capacity_bytes)
    workload_invalid(c->run, "an entry of the cache has an impossible header");
  const unsigned char *raw = heap_read(c->t, entry, c->links);
  if (!content_matches(raw + sizeof header, header.bytes - sizeof header, tag_of(c, header)))
    workload_invalid(c->run, "entry %llu of the cache has wrong content",
                     (unsigned long long)header.number);
}

// ---- the list, newest to oldest -----------------------------------------------------------------

static void list_push(cache *c, heap_ref entry) {
  const heap_ref newest = c->roots[ROOT_NEWEST];
  heap_store(c->t, entry, LINK_OLDER, newest);
  heap_store(c->t, entry, LINK_NEWER, HEAP_NULL);
  if (heap_is_null(newest))
    c->roots[ROOT_OLDEST] = entry;
  else
    heap_store(c->t, newest, LINK_NEWER, entry);
  c->roots[ROOT_NEWEST] = entry;
}

static void list_remove(cache *c, heap_ref entry) {
  const heap_ref older = heap_load(c->t, entry, LINK_OLDER);
  const heap_ref newer = heap_load(c->t, entry, LINK_NEWER);
  if (heap_is_null(older))
    c->roots[ROOT_OLDEST] = newer;
  else
    heap_store(c->t, older, LINK_NEWER, newer);
  if (heap_is_null(newer))
    c->roots[ROOT_NEWEST] = older;
  else
    heap_store(c->t, newer, LINK_OLDER, older);
}

// ---- entries ------------------------------------------------------------------------------------

// An entry of a random chain that is not empty. Of a cache that is not.
static heap_ref entry_random(cache *c) {
  const heap_ref table = c->roots[ROOT_TABLE];
  uint64_t bucket = hs_rng_below(&c->rng, c->bucket_mask + 1);
  while (heap_is_null(heap_load(c->t, table, (size_t)bucket)))
    bucket = (bucket + 1) & c->bucket_mask;
  uint64_t length = 0;
  heap_ref entry = heap_load(c->t, table, (size_t)bucket);
  for (; !heap_is_null(entry); entry = heap_load(c->t, entry, LINK_CHAIN)) length++;
  entry = heap_load(c->t, table, (size_t)bucket);
  for (uint64_t skip = hs_rng_below(&c->rng, length); skip > 0; skip--)
    entry = heap_load(c->t, entry, LINK_CHAIN);
  return entry;
}

// The entry of `key` and the one before it in its chain; null when there is none.
static heap_ref entry_find(const cache *c, uint32_t key, heap_ref *before) {
  *before = HEAP_NULL;
  heap_ref entry = heap_load(c->t, c->roots[ROOT_TABLE], bucket_of(c, key));
  while (!heap_is_null(entry) && header_of(c, entry).key != key) {
    *before = entry;
    entry = heap_load(c->t, entry, LINK_CHAIN);
  }
  return entry;
}

// Out of the chain (`before` precedes it there), out of the list, and gone.
static void entry_remove(cache *c, heap_ref entry, heap_ref before) {
  entry_check(c, entry);
  const cache_header header = header_of(c, entry);
  const heap_ref next = heap_load(c->t, entry, LINK_CHAIN);
  if (heap_is_null(before))
    heap_store(c->t, c->roots[ROOT_TABLE], bucket_of(c, header.key), next);
  else
    heap_store(c->t, before, LINK_CHAIN, next);
  if (c->policy == CACHE_LRU) list_remove(c, entry);
  c->digest = hs_mix64(c->digest ^ header.number);
  c->entry_bytes -= cache_entry_bytes(c->policy, header.bytes);
  c->entry_count--;
  heap_discard(c->t, entry);
}

static heap_ref entry_to_evict(cache *c) {
  if (c->policy == CACHE_LRU) return c->roots[ROOT_OLDEST];
  heap_ref oldest = entry_random(c);
  uint64_t oldest_tick = header_of(c, oldest).number / c->tick_puts;
  for (int sample = 1; sample < SAMPLES; sample++) {
    const heap_ref entry = entry_random(c);
    const uint64_t tick = header_of(c, entry).number / c->tick_puts;
    if (tick >= oldest_tick) continue;
    oldest = entry;
    oldest_tick = tick;
  }
  return oldest;
}

static void evict_one(cache *c) {
  heap_ref before;
  const uint32_t key = header_of(c, entry_to_evict(c)).key;
  const heap_ref entry = entry_find(c, key, &before);
  if (heap_is_null(entry)) workload_invalid(c->run, "key %u is not in its chain", key);
  entry_remove(c, entry, before);
}

void cache_evict_excess(cache *c) {
  while (c->entry_bytes > c->capacity_bytes) evict_one(c);
}

void cache_put(cache *c, uint32_t key, uint64_t bytes) {
  const uint64_t payload = cache_entry_bytes(c->policy, bytes);
  HS_REQUIRE(bytes >= CACHE_VALUE_MIN && payload <= c->capacity_bytes, "a value of %llu bytes",
             (unsigned long long)bytes);
  heap_ref before;
  const heap_ref old = entry_find(c, key, &before);
  if (!heap_is_null(old)) entry_remove(c, old, before);
  while (!c->evicts_late && c->entry_bytes + payload > c->capacity_bytes) evict_one(c);

  const heap_ref entry = workload_new(c->run, c->t, c->links, (size_t)bytes);
  const cache_header header = {c->put_count++, key, (uint32_t)bytes};
  unsigned char *raw = heap_write(c->t, entry, c->links);
  memcpy(raw, &header, sizeof header);
  content_write(raw + sizeof header, (size_t)bytes - sizeof header, tag_of(c, header));
  const heap_ref table = c->roots[ROOT_TABLE];
  heap_store(c->t, entry, LINK_CHAIN, heap_load(c->t, table, bucket_of(c, key)));
  heap_store(c->t, table, bucket_of(c, key), entry);
  if (c->policy == CACHE_LRU) list_push(c, entry);
  c->entry_bytes += payload;
  c->entry_count++;
}

static void entry_touch(cache *c, heap_ref entry) {
  if (c->policy != CACHE_LRU) return;
  list_remove(c, entry);
  list_push(c, entry);
}

bool cache_get(cache *c, uint32_t key) {
  heap_ref before;
  const heap_ref entry = entry_find(c, key, &before);
  if (heap_is_null(entry)) return false;
  entry_touch(c, entry);
  return true;
}

void cache_touch_random(cache *c) {
  if (c->entry_count > 0) entry_touch(c, entry_random(c));
}

// ---- the end ------------------------------------------------------------------------------------

// The list has every entry once, in an order that both directions agree on.
static void list_read(const cache *c) {
  heap_ref newer = HEAP_NULL, entry = c->roots[ROOT_NEWEST];
  uint64_t count = 0;
  for (; !heap_is_null(entry) && count <= c->entry_count; count++) {
    if (!heap_same(c->t, heap_load(c->t, entry, LINK_NEWER), newer))
      workload_invalid(c->run, "the list of the cache is broken");
    workload_checksum_add(c->run, header_of(c, entry).number);
    newer = entry;
    entry = heap_load(c->t, entry, LINK_OLDER);
  }
  if (count != c->entry_count || !heap_same(c->t, newer, c->roots[ROOT_OLDEST]))
    workload_invalid(c->run, "the list of the cache is not its entries");
}

void cache_read(cache *c) {
  uint64_t count = 0, bytes = 0;
  for (size_t bucket = 0; bucket <= c->bucket_mask; bucket++) {
    heap_ref entry = heap_load(c->t, c->roots[ROOT_TABLE], bucket);
    for (; !heap_is_null(entry); entry = heap_load(c->t, entry, LINK_CHAIN)) {
      entry_check(c, entry);
      const cache_header header = header_of(c, entry);
      if (bucket_of(c, header.key) != bucket)
        workload_invalid(c->run, "key %u is in the wrong chain", header.key);
      workload_checksum_add(c->run, content_digest(heap_read(c->t, entry, c->links), header.bytes));
      bytes += cache_entry_bytes(c->policy, header.bytes);
      count++;
    }
  }
  if (count != c->entry_count || bytes != c->entry_bytes || bytes > c->capacity_bytes)
    workload_invalid(c->run, "%llu entries of %llu bytes should be in the cache, %llu of %llu are",
                     (unsigned long long)c->entry_count, (unsigned long long)c->entry_bytes,
                     (unsigned long long)count, (unsigned long long)bytes);
  if (c->policy == CACHE_LRU) list_read(c);
  workload_checksum_add(c->run, count);
  workload_checksum_add(c->run, c->put_count);
  workload_checksum_add(c->run, c->digest);
}

void cache_drop(cache *c) {
  for (size_t bucket = 0; bucket <= c->bucket_mask; bucket++) {
    heap_ref entry = heap_load(c->t, c->roots[ROOT_TABLE], bucket);
    while (!heap_is_null(entry)) {
      const heap_ref next = heap_load(c->t, entry, LINK_CHAIN);
      heap_discard(c->t, entry);
      entry = next;
    }
  }
  heap_discard(c->t, c->roots[ROOT_TABLE]);
  c->roots[ROOT_TABLE] = c->roots[ROOT_NEWEST] = c->roots[ROOT_OLDEST] = HEAP_NULL;
}
