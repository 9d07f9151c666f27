// SPDX-License-Identifier: MIT
// What would another kind of handle cost? Prints Markdown: bytes per object of the ways in
// Note [alternatives], before and after most objects died, and the time of an access (handle_time.c). No
// collector runs here: the memory is arithmetic, but for what is simulated, the merging of groups and
// how the sizes of our workloads fill slabs of one shape each.
//   handle_alternatives [space | time [rounds] | huge [rounds] | check]
// `check` asserts what does not depend on the machine. Conclusions: compact/DESIGN.md.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/base/assert.h"
#include "allocators/base/bits.h"
#include "allocators/base/rng.h"
#include "nonmoving/nm_sizeclass_rule.h"
#include "tests/bench/handle_alternatives.h"
#include "workloads/laws.h"

enum {
  MASKS = 1 << GROUP_SLOTS,
  GROUPS = 1 << 14, // simulated: steady to 0.2 %
  REFS = 2,         // reference slots of an object
  SEED_STEP = 512,  // the seed keeps each 512th object
};

// ---- groups: greedy merging of eight slots with eight, no two live in the same place --------------

static unsigned permuted(unsigned mask, unsigned x) {
  unsigned out = 0;
  for (unsigned slot = 0; slot < GROUP_SLOTS; slot++) out |= (mask >> slot & 1) << (slot ^ x);
  return out;
}

// Takes the fullest group, then as long as one fits the fullest that does. `counts` is used up.
static size_t merged_blocks(size_t counts[MASKS], unsigned permutations) {
  size_t blocks = 0;
  for (unsigned live = GROUP_SLOTS; live > 0; live--)
    for (unsigned first = 0; first < MASKS; first++)
      while (hs_popcount64(first) == live && counts[first] > 0) {
        unsigned block = first;
        counts[first]--;
        blocks++;
        for (unsigned more = GROUP_SLOTS - live; more > 0; more--)
          for (unsigned mask = 0; mask < MASKS; mask++)
            for (unsigned x = 0; x < permutations; x++)
              if (hs_popcount64(mask) == more && counts[mask] > 0 && !(permuted(mask, x) & block)) {
                block |= permuted(mask, x);
                counts[mask]--;
                x = permutations;                              // on to the next group,
                more = GROUP_SLOTS - hs_popcount64(block) + 1; // which may be as full
                mask = MASKS - 1;
              }
      }
  return blocks;
}

// Live slots over slots of merged blocks. survival 0: slot 0 of each group, as the seed leaves it.
static double occupancy(double survival, unsigned permutations) {
  size_t counts[MASKS] = {0}, live = 0;
  hs_rng rng = hs_rng_seed(1);
  for (int group = 0; group < GROUPS; group++) {
    unsigned mask = survival == 0;
    for (unsigned slot = 0; slot < GROUP_SLOTS; slot++)
      mask |= (unsigned)(hs_rng_unit(&rng) < survival) << slot;
    live += hs_popcount64(mask);
    if (mask != 0) counts[mask]++;
  }
  return (double)live / (double)(GROUP_SLOTS * merged_blocks(counts, permutations));
}

// ---- memory: bytes per object ---------------------------------------------------------------------

static nm_rule_class classes[NM_RULE_MAX_CLASSES];

static const nm_rule_class *class_of(size_t size) {
  const nm_rule_class *c = classes + 1;
  while (c->bytes < size) c++;
  return c;
}

// Where the object lies, header and rounding included; `size` counts REFS references of 8 bytes.
static double slot_bytes(handle_kind k, size_t size) {
  const size_t narrow = hs_align_up(size - REFS * sizeof(uint32_t), 8);
  switch (k) {
  case HEADER:
    return (double)size + 8;
  case REF32:
    return (double)narrow;
  case GROUP:
    return (double)(hs_is_pow2(size) ? size : 2ull << hs_log2_floor(size));
  case DIRECT:
  case DIRECT32: {
    const nm_rule_class *c = class_of(k == DIRECT ? size : narrow);
    return (double)c->pages * NM_RULE_PAGE_BYTES / c->objects;
  }
  default:
    return (double)size;
  }
}

// Entry, and bits that say which objects are allocated, marked and, where no entry counts them, hold
// references. Descriptors of slabs, regions and spans are left out: 0.1 % with handles, 2 % without.
static double name_bytes(handle_kind k, size_t size) {
  static const double entry[KINDS] = {8, 8, 4, 4, 8, 8.0 / GROUP_SLOTS, 0, 0};
  const double flags = k == DIRECT ? slot_bytes(k, size) / 64 : slot_bytes(k, size) / 32;
  return entry[k] + 2.0 / 8 + (k >= DIRECT ? flags : 0);
}

// Per live object when a share of them survived and the rest was compacted. Renamed: live entries are
// dense as well; else each page of entries that holds a live one stays, which is all of them here.
static double survivor_bytes(handle_kind k, size_t size, double survival, double group_share,
                             bool renamed) {
  const double slot = slot_bytes(k, size), name = name_bytes(k, size);
  if (k >= DIRECT) return (slot + name) / survival; // each page holds a survivor: not one is free
  const double place = k == GROUP ? slot / group_share : slot;
  if (!renamed) return place + name / survival;
  return place + (k == GROUP ? name / group_share : name);
}

static const size_t sizes[] = {16, 24, 32, 64, 256};
enum { SIZES = sizeof sizes / sizeof sizes[0] };
static const double survivals[] = {0.25, 0.50, 0.75};
enum { SURVIVALS = sizeof survivals / sizeof survivals[0] };

static void space_print(void) {
  printf("\nBytes per object, all live; %d of its words are references.\n\n|  |", REFS);
  for (int i = 0; i < SIZES; i++) printf(" %zu B |", sizes[i]);
  printf("\n|---|---:|---:|---:|---:|---:|\n");
  for (handle_kind k = 0; k < KINDS; k++) {
    if (k == ALIAS) continue; // as entry4
    printf("| %s |", handle_kind_names[k]);
    for (int i = 0; i < SIZES; i++)
      printf(" %.1f |", slot_bytes(k, sizes[i]) + name_bytes(k, sizes[i]));
    printf("\n");
  }
  double share[SURVIVALS];
  for (int s = 0; s < SURVIVALS; s++) share[s] = occupancy(survivals[s], GROUP_SLOTS);
  const double seed_share = occupancy(0, GROUP_SLOTS);
  for (int renamed = 0; renamed < 2; renamed++) {
    printf("\nUseful / total in %% at survival 25 / 50 / 75 %%, compacted, handles %s; last: bytes "
           "per "
           "survivor when each %dth of 16 B survives.\n\n|  |",
           renamed ? "renamed" : "as they were", SEED_STEP);
    for (int i = 0; i < SIZES; i++) printf(" %zu B |", sizes[i]);
    printf(" 1 in %d |\n|---|---:|---:|---:|---:|---:|---:|\n", SEED_STEP);
    for (handle_kind k = 0; k < KINDS; k++) {
      if (k == ALIAS) continue; // as entry4
      printf("| %s |", handle_kind_names[k]);
      for (int i = 0; i < SIZES; i++)
        for (int s = 0; s < SURVIVALS; s++)
          printf(" %.0f %s",
                 100 * (double)sizes[i] /
                     survivor_bytes(k, sizes[i], survivals[s], share[s], renamed),
                 s + 1 < SURVIVALS ? "/" : "|");
      printf(" %.0f |\n", survivor_bytes(k, 16, 1.0 / SEED_STEP, seed_share, renamed));
    }
  }
  printf("\nOccupancy of blocks after merging groups of %d, %%.\n\n", GROUP_SLOTS);
  printf("| survival | XOR placement | in place |\n|---|---:|---:|\n");
  for (int percent = 0; percent <= 75; percent += percent == 0 ? 5 : percent == 5 ? 20 : 25)
    printf("| %d %%%s | %.1f | %.1f |\n", percent, percent ? "" : ": slot 0 of each",
           100 * occupancy(percent / 100.0, GROUP_SLOTS), 100 * occupancy(percent / 100.0, 1));
}

// ---- shapes: slabs of entries of 4 bytes, each for objects of one size ------------------------------

enum { GRANULES_MAX = 4096, BURST_BYTES = 1 << 20, KEPT_ONE_IN = 1000, VALUE_MAX = 32 << 10 };

// What a workload keeps, by the laws of its source and its default parameters.
typedef struct population {
  const char *name;
  size_t refs;
  size_law raw;    // bytes beside the references
  uint64_t median; // not 0: log-normal around it instead
  bool service;    // `raw` is retained; and one in KEPT_ONE_IN of bursts
} population;
static const population populations[] = {
    {"bintrees", 2, {0, 0}, 0, false},
    {"churn", 2, {48, 48}, 0, false},
    {"service", 1, {32, 128}, 0, true},
    {"sizeshift W8 before", 0, {50, 150}, 0, false},
    {"sizeshift W8 after", 0, {5000, 15000}, 0, false},
    {"lru_cache small", 3, {64, 256}, 0, false},
    {"lru_cache large", 3, {512, 1024}, 0, false},
    {"lru_cache tiny", 3, {16, 64}, 0, false},
    {"lru_cache tiny, lognormal", 3, {0, 0}, 40, false},
};
enum { POPULATIONS = sizeof populations / sizeof populations[0] };

typedef struct census {
  uint64_t counts[GRANULES_MAX]; // by size in granules
  uint64_t objects, bytes;
  uint64_t narrow_bytes; // with references of 32 bits
} census;

static void census_add(census *c, size_t refs, uint64_t raw) {
  const uint64_t granules = hs_max_u64(refs + (raw + 7) / 8, 1);
  c->counts[granules]++;
  c->objects++;
  c->bytes += granules * 8;
  c->narrow_bytes += hs_max_u64((refs * sizeof(uint32_t) + raw + 7) / 8, 1) * 8;
}

static void census_take(census *c, const population *p, uint64_t live_bytes) {
  *c = (census){.objects = 0};
  hs_rng rng = hs_rng_seed(1);
  uint64_t retained = 0; // service: of an entry, 768 bytes; then what is kept of its burst
  while (c->bytes < live_bytes) {
    uint64_t raw = p->median ? law_log_normal(&rng, p->median) : law_uniform(&rng, p->raw);
    if (p->median) raw = hs_min_u64(hs_max_u64(raw, 16), VALUE_MAX);
    if (p->service) raw = raw / 8 * 8;
    if (raw / 8 + p->refs < GRANULES_MAX) census_add(c, p->refs, raw); // else LARGE: as now
    if (!p->service || (retained += raw) < 768) continue;
    retained = 0;
    const uint64_t octave = 32ull << hs_rng_below(&rng, 5),
                   high = octave + hs_rng_below(&rng, octave);
    const size_law burst = {high - high / 4, high};
    for (uint64_t at = hs_rng_below(&rng, KEPT_ONE_IN * high); at < BURST_BYTES;) {
      const uint64_t kept = hs_min_u64(law_uniform(&rng, burst), 1024) / 8 * 8;
      census_add(c, p->refs, kept);
      at += KEPT_ONE_IN * kept;
    }
  }
}

// Entries of a shape get slabs of their own, a set per thread, where that takes less than 8 bytes each.
static double entry_mean_bytes(const census *c, uint64_t slab_bytes, uint64_t threads) {
  double sum = 0;
  for (int granules = 0; granules < GRANULES_MAX; granules++) {
    const uint64_t each = hs_div_up(c->counts[granules], threads);
    const uint64_t slabs = hs_div_up(each, slab_bytes / sizeof(uint32_t)) * slab_bytes * threads;
    sum += (double)hs_min_u64(slabs, 8 * c->counts[granules]);
  }
  return sum / (double)c->objects;
}

// Object and entry, a mean, where only sizes that groups make smaller are grouped.
static double group_mean_bytes(const census *c) {
  uint64_t sum = 0;
  for (uint64_t granules = 1; granules < GRANULES_MAX; granules++) {
    const uint64_t bytes = granules * 8;
    const uint64_t slot = hs_is_pow2(bytes) ? bytes : 2ull << hs_log2_floor(bytes);
    sum += c->counts[granules] * hs_min_u64(slot + 8 / GROUP_SLOTS, bytes + 8);
  }
  return (double)sum / (double)c->objects;
}

static void shapes_print(void) {
  enum { SMALL_SLAB = 512, PAGE_SLAB = 4096, THREADS = 8 };
  static const uint64_t live_mib[] = {1, 64};
  static census c;
  printf(
      "\nWhat the workloads keep. entry4: bytes of entry per object, in slabs of so many bytes for "
      "each "
      "shape and thread; rare shapes have entries of 8. Saved: of the bytes of objects and entries "
      "with entry8; entry4 with slabs of %d and one thread.\n\n"
      "| objects | MiB | shapes | mean bytes | slabs of %d | %d threads | slabs of %d | %d threads "
      "| "
      "entry4 saves | ref32 saves | group saves |\n"
      "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
      SMALL_SLAB, PAGE_SLAB, THREADS, SMALL_SLAB, THREADS);
  for (int p = 0; p < POPULATIONS; p++)
    for (int m = 0; m < 2; m++) {
      census_take(&c, &populations[p], live_mib[m] << 20);
      int shapes = 0;
      for (int granules = 0; granules < GRANULES_MAX; granules++) shapes += c.counts[granules] > 0;
      const double mean = (double)c.bytes / (double)c.objects;
      const double narrow = (double)c.narrow_bytes / (double)c.objects;
      const double small = entry_mean_bytes(&c, SMALL_SLAB, 1);
      printf("| %s | %d | %d | %.0f | %.2f | %.2f | %.2f | %.2f | %.1f %% | %.1f %% | %.1f %% |\n",
             populations[p].name, (int)live_mib[m], shapes, mean,
             entry_mean_bytes(&c, PAGE_SLAB, 1), entry_mean_bytes(&c, PAGE_SLAB, THREADS), small,
             entry_mean_bytes(&c, SMALL_SLAB, THREADS), 100 * (8 - small) / (mean + 8),
             100 * (mean - narrow) / (mean + 8),
             100 * (mean + 8 - group_mean_bytes(&c)) / (mean + 8));
    }
}

static bool is_within(double value, double low, double high) {
  return low <= value && value <= high;
}

static void check(void) {
  HS_REQUIRE(occupancy(0, GROUP_SLOTS) == 1, "groups with one live slot fill blocks");
  HS_REQUIRE(occupancy(0, 1) == 1.0 / GROUP_SLOTS, "without permutation they collide");
  static const double low[] = {0.995, 0.995, 0.97, 0.78}, high[] = {1, 1, 1, 0.84};
  static const double survival[] = {0.05, 0.25, 0.50, 0.75};
  for (int i = 0; i < 4; i++) {
    const double placed = occupancy(survival[i], GROUP_SLOTS), in_place = occupancy(survival[i], 1);
    HS_REQUIRE(is_within(placed, low[i], high[i]), "occupancy %f at %f", placed, survival[i]);
    HS_REQUIRE(is_within(in_place, survival[i], placed), "%f in place, %f placed", in_place,
               placed);
  }
  static census c;
  for (int p = 0; p < POPULATIONS; p++) {
    census_take(&c, &populations[p], 16 << 20);
    const double large = entry_mean_bytes(&c, 4096, 1), small = entry_mean_bytes(&c, 512, 1);
    HS_REQUIRE(is_within(small, 4, 8) && is_within(large, small, 8), "%s: %f, %f bytes",
               populations[p].name, small, large);
    const double as_now = (double)c.bytes / (double)c.objects + 8;
    HS_REQUIRE(group_mean_bytes(&c) <= as_now, "%s: groups are a choice", populations[p].name);
  }
  handle_time_check();
}

int main(int argc, char **argv) {
  const char *const what = argc > 1 ? argv[1] : "";
  const int rounds = argc > 2 ? atoi(argv[2]) : 11;
  nm_rule_generate(classes);
  if (strcmp(what, "check") == 0) {
    check();
    return 0;
  }
  if (strcmp(what, "time") != 0 && strcmp(what, "huge") != 0) {
    space_print();
    shapes_print();
  }
  if (strcmp(what, "space") != 0) handle_time_print(rounds, strcmp(what, "huge") == 0);
  return 0;
}
