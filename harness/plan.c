// SPDX-License-Identifier: MIT
// Note [what is repeated]
//   Byte counts of a deterministic single-threaded workload do not vary from run to run, so rows
//   that exist for them run once. Rows that exist for their times run in every block.
#include "harness/plan.h"

#include <stdlib.h>
#include <string.h>

#include "harness/cli.h"

enum {
  PLAN_TIMED = 1u << 0,  // repeated in every block
  PLAN_MAP = 1u << 1,    // keeps page maps
  PLAN_SERIES = 1u << 2, // samples memory over time
  PLAN_PROCESS = 1u << 3 // timed as a whole process
};

typedef struct plan_row {
  const char *workload;
  const char *rows; // ROWS_... below
  const char *variant;
  const char *sets;  // "name=value name=value"
  const char *quick; // the same for --quick; NULL: not part of it
  unsigned flags;
} plan_row;

// "all": every heap built and the reference rows but the JVM's. "heaps": without these. Else names.
static const char rows_all[] = "all", rows_heaps[] = "heaps", rows_ours[] = "nonmoving,compact",
                  rows_floor[] = "libc", rows_noise[] = "nonmoving", rows_nonmoving[] = "nonmoving",
                  rows_compact[] = "compact", rows_priced[] = "nonmoving,compact,libc",
                  rows_stock[] = "bdwgc,mimalloc";

static const plan_row plan_rows[] = {
    // The seed's three examples, its remedy, and its step table.
    {"seed_array", rows_all, "", "", "", 0},
    {"seed_pointers", rows_all, "", "", "", 0},
    {"seed_pathological", rows_all, "", "", "", PLAN_MAP | PLAN_SERIES | PLAN_PROCESS},
    {"seed_copy", rows_all, "", "", "", 0},
    {"seed_step", rows_all, "", "step=128", "step=128", 0},
    {"seed_step", rows_all, "", "step=256", "step=256", 0},
    {"seed_step", rows_all, "", "step=512", "step=512", 0},
    {"seed_step", rows_all, "", "step=1024", "step=1024", 0},
    {"seed_step", rows_all, "", "step=2048", "step=2048", 0},
    // What the options of the heap that does not move objects save where it fragments most.
    {"seed_pathological", rows_nonmoving, "subpage_release", "subpage_release=1",
     "subpage_release=1", 0},
    {"seed_pathological", rows_nonmoving, "fullest_first", "fullest_first=1", "fullest_first=1", 0},
    {"seed_pathological", rows_nonmoving, "huge_pages", "huge_pages=1", "huge_pages=1", 0},
    // What our two heaps do unasked, in idle time before the stage that asks them.
    {"seed_pathological", rows_ours, "idle", "idle_ms=2000", NULL, 0},
    // What the fair settings of the foreign allocators change, in memory and in time.
    {"seed_pathological", rows_stock, "stock", "", "", 0},
    {"churn", rows_stock, "stock", "n=18 ops=900000", "n=16 ops=300000", PLAN_TIMED},
    {"alloc", rows_stock, "stock", "ops=1500000 rounds=4", "ops=600000 rounds=2", PLAN_TIMED},
    // Times and pauses. The operations of churn replace all nodes several times, so that a collector
    // whose heap may double collects several times while they are timed. noalloc=1 is the floor of machine and clock: the heap does not matter there.
    {"churn", rows_all, "", "n=18 ops=900000", "n=16 ops=300000", PLAN_TIMED | PLAN_SERIES},
    {"churn", rows_floor, "", "n=18 ops=900000 noalloc=1", "n=16 ops=300000 noalloc=1", PLAN_TIMED},
    {"bintrees", rows_all, "", "depth=16", "depth=13", PLAN_TIMED | PLAN_PROCESS},
    {"alloc", rows_all, "", "ops=1500000 rounds=4", "ops=600000 rounds=2", PLAN_TIMED},
    {"alloc", rows_ours, "outline", "ops=1500000 rounds=4", "ops=600000 rounds=2", PLAN_TIMED},
    // One thread and two at the same work: alloc on objects of their own, mstress on shared ones. One
    // case of alloc and short runs, so that they do not take the time of the blocks above.
    {"alloc", rows_all, "", "case=pair64 ops=1000000 threads=1", "case=pair64 ops=500000 threads=1",
     PLAN_TIMED},
    {"alloc", rows_all, "", "case=pair64 ops=1000000 threads=2", "case=pair64 ops=500000 threads=2",
     PLAN_TIMED},
    {"mstress", rows_all, "", "ops=200000 slots=14 threads=1", "ops=100000 slots=14 threads=1",
     PLAN_TIMED},
    {"mstress", rows_all, "", "ops=200000 slots=14 threads=2", "ops=100000 slots=14 threads=2",
     PLAN_TIMED},
    // The same two heaps with the program stopped while they mark: what marking beside it changes.
    {"churn", rows_ours, "stw", "n=18 ops=900000", "n=16 ops=300000", PLAN_TIMED},
    {"bintrees", rows_ours, "stw", "depth=16", "depth=13", PLAN_TIMED},
    // One row twice: what differs between them is noise, so a smaller difference between two heaps
    // says nothing.
    {"bintrees", rows_noise, "again", "depth=16", "depth=13", PLAN_TIMED},
    {"churn", rows_noise, "again", "n=18 ops=900000", "n=16 ops=300000", PLAN_TIMED},
    // What moving objects costs and gives by the way it is done; the plain rows of compact move beside
    // the program. write_hot stresses exactly that, and deref is what a reference costs at any time:
    // libc is the floor of both, what their access patterns cost by themselves.
    {"churn", rows_compact, "compaction_off", "n=18 ops=900000 compaction=off",
     "n=16 ops=300000 compaction=off", PLAN_TIMED},
    {"churn", rows_compact, "compaction_stw", "n=18 ops=900000 compaction=stw",
     "n=16 ops=300000 compaction=stw", PLAN_TIMED},
    {"churn", rows_compact, "compaction_incremental", "n=18 ops=900000 compaction=incremental",
     "n=16 ops=300000 compaction=incremental", PLAN_TIMED},
    {"write_hot", rows_priced, "", "writes=1000000", "writes=400000", PLAN_TIMED},
    {"write_hot", rows_compact, "compaction_off", "writes=1000000 compaction=off", NULL,
     PLAN_TIMED},
    {"write_hot", rows_compact, "compaction_stw", "writes=1000000 compaction=stw", NULL,
     PLAN_TIMED},
    {"write_hot", rows_compact, "compaction_incremental", "writes=1000000 compaction=incremental",
     NULL, PLAN_TIMED},
    {"deref", rows_priced, "", "n=16 steps=131072", "n=13 steps=65536", PLAN_TIMED},
    {"deref", rows_compact, "placement_traversal", "n=16 steps=131072 placement=traversal", NULL,
     PLAN_TIMED},
    // Memory for each live byte, small enough that one run of each heap does not cost a block. Idle
    // time is the same for every heap, though few use it: longer than twice what compact waits.
    {"sizeshift", rows_all, "", "live=8388608 law=W8", "live=2097152 law=W8", 0},
    {"lru_cache", rows_all, "", "capacity=8388608 turnover=2", NULL, 0},
    {"redis_frag", rows_all, "",
     "capacity=16777216 small_count=120000 large_count=28000 idle_ms=1500 rounds=1 "
     "clock_puts=120000",
     NULL, 0},
    {"adversary", rows_all, "", "kind=robson live=2097152", "kind=robson live=1048576", 0},
    {"adversary", rows_all, "", "kind=staircase live=2097152", NULL, 0},
    {"pins", rows_all, "", "mode=share percent=10", NULL, 0},
    // The long-running service, and what its author can do about fragmentation.
    {"service", rows_all, "", "mitigation=none entries=500", "mitigation=none entries=200",
     PLAN_TIMED | PLAN_SERIES},
    {"service", rows_ours, "", "mitigation=copy entries=500", "mitigation=copy entries=200",
     PLAN_SERIES},
    {"service", rows_ours, "", "mitigation=pool entries=500", "mitigation=pool entries=200",
     PLAN_SERIES},
    {"service", rows_ours, "", "mitigation=array entries=500", "mitigation=array entries=200",
     PLAN_SERIES},
    {"service", rows_ours, "", "mitigation=separate entries=500", "mitigation=separate entries=200",
     PLAN_SERIES},
};
enum { PLAN_ROWS = sizeof plan_rows / sizeof plan_rows[0] };

enum { PLAN_SAMPLE_MS = 10 }; // finer than a figure shows, and 100 reads per second cost nothing

plan_limits plan_limits_of(bool quick) {
  // Below the promised minute and three minutes, so that a slow disk does not break the promise.
  if (quick)
    return (plan_limits){.budget_s = 50,
                         .reserve_s = 8,
                         .process_s = 6,
                         .blocks = 3,
                         .timeout_ms = 20000,
                         .process_runs = 3};
  return (plan_limits){.budget_s = 160,
                       .reserve_s = 12,
                       .process_s = 20,
                       .blocks = 10,
                       .timeout_ms = 45000,
                       .process_runs = 10};
}

static bool plan_sets(const run_job *job, const char *setting) {
  for (size_t i = 0; i < job->set_count; i++)
    if (strcmp(job->sets[i], setting) == 0) return true;
  return false;
}

double plan_cost(const run_job *job) {
  static const struct {
    const char *workload, *setting; // NULL: any; the first that fits counts
    double seconds;                 // measured on 2 cores of an AMD EPYC, libc and bdwgc averaged
  } costs[] = {{"churn", NULL, 0.6},
               {"bintrees", NULL, 0.35},
               {"alloc", "case=pair64", 0.05},
               {"alloc", NULL, 0.35},
               {"service", NULL, 1.0},
               {"write_hot", NULL, 0.3},
               {"deref", NULL, 0.25},
               {"sizeshift", NULL, 0.2},
               {"lru_cache", NULL, 0.45},
               {"redis_frag", NULL, 1.8},
               {"seed_pathological", "idle_ms=2000", 2.1}};
  for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++)
    if (strcmp(job->workload, costs[i].workload) == 0 &&
        (!costs[i].setting || plan_sets(job, costs[i].setting)))
      return costs[i].seconds;
  return 0.15;
}

// ---- expansion ----------------------------------------------------------------------------------

// Whether comma-separated `names` holds `name`.
static bool plan_names(const char *names, const char *name) {
  const size_t length = strlen(name);
  for (const char *at = names; *at;) {
    const size_t part = strcspn(at, ",");
    if (part == length && strncmp(at, name, length) == 0) return true;
    at += part + (at[part] == ',');
  }
  return false;
}

static bool plan_wants(const plan_row *row, const catalogue_heap *heap) {
  if (row->rows == rows_all) return !catalogue_is_jvm(heap);
  if (row->rows == rows_heaps) return !catalogue_is_reference(heap);
  return plan_names(row->rows, heap->name);
}

static bool plan_knows(const catalogue_heap *heap, const char *workload) {
  size_t index;
  json_t *known;
  json_array_foreach(json_object_get(heap->about, "workloads"), index, known) {
    if (strcmp(job_text(known, "name"), workload) == 0) return true;
  }
  return false;
}

// Split "a=1 b=2" into the settings of a job; the pieces are malloc'ed.
static void plan_split(const char *sets, run_job *job) {
  while (*sets) {
    const size_t length = strcspn(sets, " ");
    if (length > 0 && job->set_count < JOB_SETS)
      job->sets[job->set_count++] = cli_format("%.*s", (int)length, sets);
    sets += length + (sets[length] == ' ');
  }
}

static void plan_add(const plan_row *row, const catalogue_heap *heap, bool quick, uint64_t seed,
                     uint64_t block, job_list *out) {
  if (!plan_wants(row, heap) || !plan_knows(heap, row->workload)) return;
  if (strcmp(row->variant, "outline") == 0 && !heap->outline) return;
  run_job job = {.workload = row->workload,
                 .heap = heap->name,
                 .variant = row->variant,
                 .seed = seed,
                 .block = block,
                 .sample_ms = row->flags & PLAN_SERIES ? PLAN_SAMPLE_MS : 0,
                 .timeout_ms = plan_limits_of(quick).timeout_ms,
                 .map = row->flags & PLAN_MAP};
  plan_split(quick ? row->quick : row->sets, &job);
  job_list_add(out, &job); // copies
  for (size_t i = 0; i < job.set_count; i++) free((char *)job.sets[i]);
}

static void plan_expand(const run_catalogue *catalogue, bool quick, uint64_t seed, uint64_t block,
                        unsigned flags, job_list *out) {
  for (size_t r = 0; r < PLAN_ROWS; r++) {
    const plan_row *row = &plan_rows[r];
    if ((row->flags & flags) != flags || (quick && !row->quick)) continue;
    for (size_t h = 0; h < catalogue->count; h++)
      plan_add(row, &catalogue->heaps[h], quick, seed, block, out);
  }
}

void plan_block(const run_catalogue *catalogue, bool quick, uint64_t seed, uint64_t block,
                job_list *out) {
  plan_expand(catalogue, quick, seed, block, block == 0 ? 0 : PLAN_TIMED, out);
}

void plan_processes(const run_catalogue *catalogue, bool quick, uint64_t seed, job_list *out) {
  job_list all = {.jobs = NULL};
  plan_expand(catalogue, quick, seed, 0, PLAN_PROCESS, &all);
  for (size_t i = 0; i < all.count; i++) {
    run_job *job = &all.jobs[i];
    const catalogue_heap *heap = catalogue_heap_find(catalogue, job->heap);
    // The closed form runs nothing, so its time says nothing.
    if (strcmp(job->heap, "model") == 0 || job->variant[0] || !heap) continue;
    job->map = false;
    job->sample_ms = 0;
    job_list_add(out, job);
  }
  job_list_free(&all);
}
