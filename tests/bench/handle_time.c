// SPDX-License-Identifier: MIT
// The time of an access by each of Note [alternatives] in handle_alternatives.h, in the code that a heap
// would inline: base addresses come from a thread's descriptor, slots are atomics, a writer tests for an
// object that moves and for the barrier. Nodes are two references, the node of bintrees; they and their
// entries lie in the order of allocation and are visited in a random one.
#include <stdio.h>
#include <stdlib.h>

#include "allocators/base/assert.h"
#include "allocators/base/atomic.h"
#include "allocators/base/bits.h"
#include "allocators/base/compiler.h"
#include "allocators/base/rng.h"
#include "allocators/os/os.h"
#include "tests/bench/handle_alternatives.h"

enum {
  GRANULE_SHIFT = 3, // log2 bytes
  NODE_REFS = 2,
  NODES_L1 = 1 << 10,      // 16 to 32 KiB with their entries
  NODES_MISSING = 1 << 22, // 32 to 128 MiB
  STEPS = 1 << 20,         // accesses that are timed at once
  ROUNDS_MAX = 101,
};
#define MOVING8 (1ull << 63)
#define MOVING4 (1u << 31)

// What a thread's descriptor and the heap hold.
typedef struct arena {
  char *objects;
  void *table;
  unsigned barrier; // 0
  uint64_t slow;    // times that a slow path was taken: 0
  void *order;      // references to nodes in the order of visits, at most STEPS
  uint64_t *places; // of objects, in granules
  uint64_t cursor;  // of the chase
  size_t node_count, object_bytes, table_bytes;
} arena;

HS_COLD static char *moving_slow(arena *a) {
  a->slow++;
  return a->objects;
}

static inline char *at(const arena *a, uint64_t granules) {
  return a->objects + (granules << GRANULE_SHIFT);
}
static inline uint32_t low_half(const void *entry) {
  return hs_load_acquire((const _Atomic(uint32_t) *)entry);
}
static inline char *at_word(arena *a, const void *entry, uint32_t offset) {
  const uint64_t word = hs_load_acquire((const _Atomic(uint64_t) *)entry);
  if (HS_UNLIKELY(word & MOVING8)) return moving_slow(a);
  return at(a, (uint32_t)word ^ offset);
}
static inline char *at_word4(arena *a, const void *entry) {
  const uint32_t word = low_half(entry);
  if (HS_UNLIKELY(word & MOVING4)) return moving_slow(a);
  return at(a, word);
}
static inline const void *entry_of(const arena *a, uint64_t index) {
  return (const uint64_t *)a->table + index;
}

// Where the object is, for a reader and for a writer; references are `name`_ref.
typedef uint64_t entry8_ref, header_ref, entry4_ref, alias_ref, group_ref, direct_ref;
typedef uint32_t ref32_ref, direct32_ref;
#define READ_entry8(a, ref) at(a, low_half((const void *)(ref)))
#define WRITE_entry8(a, ref) at_word(a, (const void *)(ref), 0)
#define READ_header(a, ref) (READ_entry8(a, ref) + 8)
#define WRITE_header(a, ref) (WRITE_entry8(a, ref) + 8)
#define READ_entry4(a, ref) at(a, low_half((const void *)(ref)) & ~MOVING4)
#define WRITE_entry4(a, ref) at_word4(a, (const void *)(ref))
#define READ_alias(a, ref) READ_entry8(a, ref)
#define WRITE_alias(a, ref) WRITE_entry4(a, ref)
#define READ_ref32(a, ref) at(a, low_half(entry_of(a, ref)))
#define WRITE_ref32(a, ref) at_word(a, entry_of(a, ref), 0)
#define READ_group(a, ref) at(a, low_half(entry_of(a, (uint32_t)(ref))) ^ (uint32_t)((ref) >> 32))
#define WRITE_group(a, ref) at_word(a, entry_of(a, (uint32_t)(ref)), (uint32_t)((ref) >> 32))
#define READ_direct(a, ref) ((void)(a), (char *)(ref))
#define WRITE_direct(a, ref) READ_direct(a, ref)
#define READ_direct32(a, ref) at(a, ref)
#define WRITE_direct32(a, ref) READ_direct32(a, ref)

// chase: follow slot 0, each access waits for the one before. write: store into slot 1 of nodes whose
// references are at hand, accesses overlap. put: for building.
#define ALTERNATIVE(name)                                                                          \
  static HS_NOINLINE void chase_##name(arena *a, size_t steps) {                                   \
    name##_ref ref = (name##_ref)a->cursor;                                                        \
    for (size_t i = 0; i < steps; i++)                                                             \
      ref = hs_load_acquire((_Atomic(name##_ref) *)(void *)READ_##name(a, ref));                   \
    a->cursor = ref;                                                                               \
  }                                                                                                \
  static HS_NOINLINE void write_##name(arena *a, size_t count) {                                   \
    const name##_ref *const order = a->order;                                                      \
    for (size_t i = 0; i < count; i++) {                                                           \
      _Atomic(name##_ref) *const slots = (_Atomic(name##_ref) *)(void *)WRITE_##name(a, order[i]); \
      if (HS_UNLIKELY(a->barrier != 0)) moving_slow(a);                                            \
      hs_store_release(slots + 1, order[i]);                                                       \
    }                                                                                              \
  }                                                                                                \
  static void put_##name(arena *a, char *slot, uint64_t ref) {                                     \
    (void)a, *(name##_ref *)(void *)slot = (name##_ref)ref;                                        \
  }                                                                                                \
  static uint64_t get_##name(const char *slot) { return *(const name##_ref *)(const void *)slot; }
ALTERNATIVE(entry8)
ALTERNATIVE(header)
ALTERNATIVE(entry4)
ALTERNATIVE(alias)
ALTERNATIVE(ref32)
ALTERNATIVE(group)
ALTERNATIVE(direct)
ALTERNATIVE(direct32)

typedef struct code {
  void (*chase)(arena *a, size_t steps);
  void (*write)(arena *a, size_t count);
  void (*put)(arena *a, char *slot, uint64_t ref);
  uint64_t (*get)(const char *slot);
  size_t ref_bytes, header_bytes, entry_bytes, entry_objects;
} code;
#define CODE(name, header, entry, objects)                                                         \
  { chase_##name, write_##name, put_##name, get_##name, sizeof(name##_ref), header, entry, objects }
static const code codes[KINDS] = {CODE(entry8, 0, 8, 1), CODE(header, 8, 8, 1),
                                  CODE(entry4, 0, 4, 1), CODE(alias, 0, 4, 1),
                                  CODE(ref32, 0, 8, 1),  CODE(group, 0, 8, GROUP_SLOTS),
                                  CODE(direct, 0, 0, 1), CODE(direct32, 0, 0, 1)};

static uint64_t reference_to(const arena *a, handle_kind k, size_t i) {
  const uint64_t entry = (uintptr_t)a->table + i * codes[k].entry_bytes;
  const uint64_t node_granules = NODE_REFS; // of a group's slot
  switch (k) {
  case REF32:
    return i;
  case GROUP:
    return i / GROUP_SLOTS | (i % GROUP_SLOTS * node_granules) << 32;
  case DIRECT:
    return (uintptr_t)at(a, a->places[i]);
  case DIRECT32:
    return a->places[i];
  default:
    return entry;
  }
}

static void *map(size_t bytes, int huge_pages) {
  void *start;
  enum { HUGE = 2 << 20 };
  const size_t rounded = hs_align_up(bytes, HUGE);
  HS_REQUIRE(hs_os_map(rounded, HUGE, &start) == 0, "no memory");
  hs_os_huge_pages(start, rounded, huge_pages != 0);
  return start;
}

// Places and entries. A group lies at a multiple of its size, its slots permuted as a merge would.
static void arena_place(arena *a, handle_kind k, hs_rng *rng) {
  const code *const c = &codes[k];
  const size_t stride = (NODE_REFS * c->ref_bytes + c->header_bytes) >> GRANULE_SHIFT;
  uint64_t turn = 0;
  for (size_t i = 0; i < a->node_count; i++) {
    uint64_t place = (i + GROUP_SLOTS) * stride; // the first granules are a guard
    if (k == GROUP) {
      if (i % GROUP_SLOTS == 0) {
        turn = hs_rng_below(rng, GROUP_SLOTS) * stride;
        ((uint64_t *)a->table)[i / GROUP_SLOTS] = place | turn;
      }
      place ^= turn;
    } else if (c->entry_bytes == 8) {
      ((uint64_t *)a->table)[i] = place;
    } else if (c->entry_bytes == 4) {
      ((uint32_t *)a->table)[i] = (uint32_t)place;
    }
    a->places[i] = place;
  }
}

static char *node_at(const arena *a, handle_kind k, size_t i) {
  return at(a, a->places[i]) + codes[k].header_bytes;
}

// All nodes in one random ring through slot 0; the same ring for every alternative.
static arena arena_make(handle_kind k, size_t node_count, int huge_pages) {
  const code *const c = &codes[k];
  hs_rng rng = hs_rng_seed(1);
  arena a = {.node_count = node_count};
  a.object_bytes = (node_count + 2 * GROUP_SLOTS) * (NODE_REFS * c->ref_bytes + c->header_bytes);
  a.table_bytes = node_count / c->entry_objects * c->entry_bytes + 8;
  a.objects = map(a.object_bytes, huge_pages);
  a.table = map(a.table_bytes, huge_pages);
  a.places = calloc(node_count, sizeof *a.places);
  size_t *const ring = calloc(node_count, sizeof *ring);
  const size_t visits = hs_min_size(node_count, STEPS);
  a.order = calloc(visits, c->ref_bytes);
  HS_REQUIRE(a.places && ring && a.order, "no memory");
  hs_rng shuffle = hs_rng_seed(2);
  for (size_t i = 0; i < node_count; i++) ring[i] = i;
  for (size_t i = node_count; i > 1; i--) {
    const size_t j = (size_t)hs_rng_below(&shuffle, i), last = ring[i - 1];
    ring[i - 1] = ring[j];
    ring[j] = last;
  }
  arena_place(&a, k, &rng);
  for (size_t i = 0; i < node_count; i++)
    c->put(&a, node_at(&a, k, ring[i]), reference_to(&a, k, ring[(i + 1) % node_count]));
  for (size_t i = 0; i < visits; i++)
    c->put(&a, (char *)a.order + i * c->ref_bytes, reference_to(&a, k, ring[i]));
  a.cursor = reference_to(&a, k, ring[0]);
  free(ring);
  return a;
}

static void arena_end(arena *a) {
  enum { HUGE = 2 << 20 };
  HS_REQUIRE(a->slow == 0, "nothing moves here");
  hs_os_unmap(a->objects, hs_align_up(a->object_bytes, HUGE));
  hs_os_unmap(a->table, hs_align_up(a->table_bytes, HUGE));
  free(a->places);
  free(a->order);
}

static double time_once(arena *a, handle_kind k, int write) {
  const uint64_t before = hs_os_now_ns();
  const size_t visits = hs_min_size(a->node_count, STEPS);
  if (!write) codes[k].chase(a, STEPS);
  for (size_t done = 0; write && done < STEPS; done += visits) codes[k].write(a, visits);
  return (double)(hs_os_now_ns() - before) / STEPS;
}

static int ascending(const void *x, const void *y) {
  const double a = *(const double *)x, b = *(const double *)y;
  return (a > b) - (a < b);
}

void handle_time_print(int rounds, int huge_pages) {
  static double ns[4][KINDS][ROUNDS_MAX];
  rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
  for (int column = 0; column < 4; column += 2) {
    arena arenas[KINDS];
    for (handle_kind k = 0; k < KINDS; k++)
      arenas[k] = arena_make(k, column ? NODES_MISSING : NODES_L1, huge_pages);
    for (int round = -1; round < rounds; round++) // the first one warms up
      for (int write = 0; write < 2; write++)
        for (handle_kind k = 0; k < KINDS; k++) {
          const double t = time_once(&arenas[k], k, write);
          if (round >= 0) ns[column + write][k][round] = t;
        }
    for (handle_kind k = 0; k < KINDS; k++) arena_end(&arenas[k]);
  }
  printf("\nTime of an access, ns: median (lower to upper quartile) of %d interleaved rounds, "
         "nodes of two "
         "references, %s.\n\n| | read, 2^10 nodes | write, 2^10 | read, 2^22 | write, 2^22 |\n"
         "|---|---:|---:|---:|---:|\n",
         rounds, huge_pages ? "huge pages" : "4 KiB pages");
  for (handle_kind k = 0; k < KINDS; k++) {
    printf("| %s |", handle_kind_names[k]);
    for (int column = 0; column < 4; column++) {
      double *const sorted = ns[column][k];
      qsort(sorted, (size_t)rounds, sizeof *sorted, ascending);
      printf(" %.2f (%.2f-%.2f) |", sorted[rounds / 2], sorted[rounds / 4], sorted[3 * rounds / 4]);
    }
    printf("\n");
  }
}

void handle_time_check(void) {
  for (handle_kind k = 0; k < KINDS; k++) {
    arena a = arena_make(k, NODES_L1, 0);
    const uint64_t start = a.cursor;
    for (size_t step = 1; step <= NODES_L1; step++) {
      codes[k].chase(&a, 1);
      HS_REQUIRE((a.cursor == start) == (step == NODES_L1), "%s: not one ring",
                 handle_kind_names[k]);
    }
    codes[k].write(&a, NODES_L1);
    for (size_t i = 0; i < NODES_L1; i++)
      HS_REQUIRE(codes[k].get(node_at(&a, k, i) + codes[k].ref_bytes) == reference_to(&a, k, i),
                 "%s: node %zu was not written", handle_kind_names[k], i);
    arena_end(&a);
  }
}
