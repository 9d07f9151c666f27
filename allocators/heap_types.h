// SPDX-License-Identifier: MIT
// Types shared by every heap and by the programs that use one: references, status, capabilities,
// root frames, configuration. Contract version: HEAP_CONTRACT_VERSION, written into each record.
#ifndef HEAP_TYPES_H
#define HEAP_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators/base/compiler.h"

enum { HEAP_CONTRACT_VERSION = 1 };

// How the operations of a binding are declared: inlined into the program, or (outline build) called.
#ifdef HEAP_OUTLINE
#define HEAP_INLINE extern
#else
#define HEAP_INLINE static inline
#endif

// A reference to an object: one word, opaque. An address in a non-moving heap, a handle in a
// compacting one. The null reference is all zero bits, so zeroed memory holds null references.
typedef struct heap_ref {
  uintptr_t bits;
} heap_ref;

#define HEAP_NULL ((heap_ref){0})

static inline bool heap_is_null(heap_ref ref) { return ref.bits == 0; }

typedef enum heap_status {
  HEAP_OK = 0,
  HEAP_NO_MEMORY,   // the OS or the configured limit refused
  HEAP_UNSUPPORTED, // this heap lacks the capability
  HEAP_INVALID,     // a bad argument or configuration value
} heap_status;

// What a heap can do; a workload declares what it needs, the harness skips what cannot run.
typedef enum heap_capability {
  HEAP_CAP_TRACES = 1u << 0,       // finds garbage itself, cycles included
  HEAP_CAP_MOVES = 1u << 1,        // objects change address
  HEAP_CAP_FREES = 1u << 2,        // heap_discard gives memory back
  HEAP_CAP_CONSERVATIVE = 1u << 3, // may retain garbage that looks reachable
  HEAP_CAP_WEAK = 1u << 4,         // weak references
  HEAP_CAP_LIMIT = 1u << 5,        // honours limit_bytes
  HEAP_CAP_THREADS = 1u << 6,      // several mutator threads
  HEAP_CAP_MAP = 1u << 7,          // heap_map draws its pages
  HEAP_CAP_VERIFY = 1u << 8,       // heap_verify checks the whole heap
} heap_capability;

typedef enum heap_collect_kind {
  HEAP_COLLECT_MINOR,   // the cheapest cycle the heap has
  HEAP_COLLECT_FULL,    // everything unreachable is reclaimed; compacting heaps compact
  HEAP_COLLECT_RELEASE, // full, then everything free goes back to the OS (Go debug.FreeOSMemory)
} heap_collect_kind;

// Root frame of the shadow stack: `count` reference slots in the caller's C frame. Pushed and popped
// in LIFO order by one thread. The collector reads and rewrites the slots at safepoints.
typedef struct heap_frame {
  struct heap_frame *previous;
  heap_ref *slots;
  size_t count;
} heap_frame;

// Global root: a range of reference slots outside any C frame. Owned by the caller, linked into the
// heap between heap_root_add and heap_root_remove; slots are read and written through
// heap_root_load / heap_root_store only.
typedef struct heap_root {
  struct heap_root *previous, *next;
  heap_ref *slots;
  size_t count;
} heap_root;

// One page of the heap as `heap_map` shows it.
typedef struct heap_map_page {
  uintptr_t address;
  uint32_t page_bytes; // 4 KiB .. 64 KiB
  uint32_t live_bytes; // bytes of allocated objects on it, <= page_bytes
  bool resident;       // backed by memory (not released)
  bool metadata;       // handle table and the like, not objects
} heap_map_page;
typedef void (*heap_map_fn)(void *context, const heap_map_page *page);

// ---- configuration ------------------------------------------------------------------------------

// X(field, option name, default, minimum, maximum, words, help). Every value is a number; `words` names
// the values 0, 1, ... of a choice ("a|b"), or the bits of a set ("a,b"; empty: "none"); "" is a plain
// number or switch. Parsed by hs_config_set (runtime/config.h).
#define HEAP_CONFIG_LIST(X)                                                                        \
  X(gogc_percent, "gogc", 100, -1, 100000, "",                                                     \
    "heap growth, percent of live bytes, before a collection; -1 is off (GOGC)")                   \
  X(memory_limit_bytes, "memory_limit", 0, 0, INT64_MAX, "",                                       \
    "soft limit of the footprint in bytes, kept by collecting earlier; 0 is none (GOMEMLIMIT)")    \
  X(limit_bytes, "limit", 0, 0, INT64_MAX, "", "hard limit of the heap in bytes; 0 is none")       \
  X(min_heap_bytes, "min_heap", 4 << 20, 0, INT64_MAX, "",                                         \
    "no automatic collection below this heap size at gogc=100, bytes (Go: 4 MiB)")                 \
  X(gc, "gc", HEAP_GC_CONCURRENT, 0, 1, "stw|concurrent",                                          \
    "mark with the program stopped, or beside it")                                                 \
  X(workers, "workers", 0, 0, 64, "",                                                              \
    "background threads that mark; 0 is a quarter of the cores, at least 1")                       \
  X(release_free, "madv_free", 0, 0, 1, "", "return memory with MADV_FREE, not MADV_DONTNEED")     \
  X(scavenge, "scavenge", 1, 0, 1, "", "return free memory in the background")                     \
  X(huge_pages, "huge_pages", 0, 0, 1, "", "ask for transparent huge pages behind objects")        \
  X(fullest_first, "fullest_first", 0, 0, 1, "",                                                   \
    "nonmoving heap: allocate from the fullest span of a class first")                             \
  X(subpage_release, "subpage_release", 0, 0, 1, "",                                               \
    "nonmoving heap: return unused OS pages inside spans in a forced release")                     \
  X(trace, "trace", 0, 0, 15, "gc,scav,pacer,compact",                                             \
    "lines on standard error, the first three in Go's formats")                                    \
  X(stress, "stress", 0, 0, 1, "", "collect, move and verify at every safepoint that allocates")   \
  X(verify, "verify", 0, 0, 1, "", "verify the whole heap after each collection")                  \
  X(stock, "stock", 0, 0, 1, "", "foreign allocators: keep the library's own default settings")    \
  X(compaction, "compaction", HEAP_COMPACTION_CONCURRENT, 0, 3, "off|stw|incremental|concurrent",  \
    "compacting heap: move objects never, in one stop, in short stops, beside the program")        \
  X(placement, "placement", HEAP_PLACEMENT_ALLOCATION, 0, 1, "allocation|traversal",               \
    "compacting heap: order of objects after a full collection: their age's, or along references") \
  X(pause_budget_us, "pause_budget_us", 100, 1, 1000000, "",                                       \
    "compacting heap: longest short stop for moving objects, microseconds")                        \
  X(compaction_cpu_percent, "compaction_cpu", 5, 0, 100, "",                                       \
    "compacting heap: percent of all cores' time for density, while memory is ample or idle")      \
  X(idle_ms, "idle_ms", 500, 0, 1000000, "",                                                       \
    "compacting heap: compact when nothing was allocated for 1 to 2 times as long; 0 is never")    \
  X(renaming, "renaming", 1, 0, 1, "", "compacting heap: rename handles, to make their table dense")

enum { HEAP_GC_STW = 0, HEAP_GC_CONCURRENT = 1 }; // heap_config.gc
enum { // heap_config.compaction; the last two act like STW where gc=stw
  HEAP_COMPACTION_OFF = 0,
  HEAP_COMPACTION_STW = 1,
  HEAP_COMPACTION_INCREMENTAL = 2,
  HEAP_COMPACTION_CONCURRENT = 3,
};
enum { HEAP_PLACEMENT_ALLOCATION = 0, HEAP_PLACEMENT_TRAVERSAL = 1 }; // heap_config.placement
enum {
  HEAP_TRACE_GC = 1 << 0,
  HEAP_TRACE_SCAV = 1 << 1,
  HEAP_TRACE_PACER = 1 << 2,
  HEAP_TRACE_COMPACT = 1 << 3
}; // .trace

typedef struct heap_config {
#define HEAP_CONFIG_FIELD(field, name, fallback, low, high, words, help) int64_t field;
  HEAP_CONFIG_LIST(HEAP_CONFIG_FIELD)
#undef HEAP_CONFIG_FIELD
} heap_config;

// What a record says of a heap besides its numbers. Static storage, or owned by the heap.
typedef struct heap_identity {
  const char *version;  // of the heap or of the library actually mapped
  const char *settings; // how it was configured, "name=value name=value"
} heap_identity;

#endif
