// SPDX-License-Identifier: MIT
// THE CONTRACT. Programs (workloads, contract tests) include this header only. The build chooses a
// heap by defining HEAP_BINDING_H (the heap's inline header) and HEAP_PREFIX (its prefix); each
// operation below is bound to <prefix>_<operation> and its type is checked at compile time.
//
// An object is ref_count reference slots followed by byte_count raw bytes; both are fixed at
// allocation and are known to the program, which passes ref_count again to reach the raw bytes.
// New objects are all zero: null references, zero bytes. No header is visible.
//
// Rules that carry everything:
//   R1  A raw pointer does not survive a safepoint, unless the object is pinned.
//   R2  A reference survives a safepoint only if it is rooted: in a pushed frame, in a global root,
//       or in a slot of a reachable object. A copy in a C variable is stale after a safepoint.
//   R3  Every write of a reference slot goes through heap_store, of a global root slot through
//       heap_root_store. Frame slots are plain C variables of the owning thread.
// Safepoints: heap_alloc, heap_poll, heap_collect, heap_blocking_begin..end, heap_stats_read,
// heap_verify, heap_map, heap_weak_create, heap_thread_leave. Nothing else is one.
//
// Threads: an operation takes the calling thread's own heap_thread. Two threads that access one
// slot, one of them writing, must synchronise as for any C object.
// A thread that entered several heaps answers each one's collector by polling that heap, or by being
// inside a blocking region of it; otherwise a stop of that heap waits for it.
#ifndef HEAP_H
#define HEAP_H

#include "allocators/heap_stats.h"
#include "allocators/heap_types.h"
#include "allocators/runtime/event_log.h"

#if !defined(HEAP_BINDING_H) || !defined(HEAP_PREFIX)
#error "the build must define HEAP_BINDING_H (a header) and HEAP_PREFIX (its prefix)"
#endif
#include HEAP_BINDING_H

#define HEAP_BIND(operation) HS_CONCAT(HS_CONCAT(HEAP_PREFIX, _), operation)
#define HEAP_CHECK(operation, ...)                                                                 \
  _Static_assert(_Generic(&HEAP_BIND(operation), __VA_ARGS__ : 1, default : 0),                    \
                 "binding does not match the contract: " #operation)

typedef HEAP_BIND(heap) heap;
typedef HEAP_BIND(thread) heap_thread;

// Capability bits of the bound heap (heap_capability), a constant expression.
enum { HEAP_CAPS = HEAP_BIND(caps) };

// ---- life-cycle ---------------------------------------------------------------------------------

// Create a heap. Nothing is collected or returned to the OS unless the config says so. On failure
// *out is unchanged and nothing is left mapped. Any thread.
#define heap_create HEAP_BIND(create)
HEAP_CHECK(create, heap_status (*)(const heap_config *, heap **));

// Destroy a heap and all its objects. Every thread must have left; accepts NULL.
#define heap_destroy HEAP_BIND(destroy)
HEAP_CHECK(destroy, void (*)(heap *));

// Register the calling thread; *out is used by this thread only, until heap_thread_leave.
#define heap_thread_enter HEAP_BIND(thread_enter)
HEAP_CHECK(thread_enter, heap_status (*)(heap *, heap_thread **));
#define heap_thread_leave HEAP_BIND(thread_leave)
HEAP_CHECK(thread_leave, void (*)(heap_thread *));

// ---- allocation ---------------------------------------------------------------------------------

// A new zeroed object of ref_count slots and byte_count raw bytes, or the null reference when the
// memory cannot be had even after a full collection (also when the sizes overflow). Safepoint.
// An object of 0 slots and 0 bytes is valid and distinct. Raw bytes are aligned to 8.
#define heap_alloc HEAP_BIND(alloc)
HEAP_CHECK(alloc, heap_ref (*)(heap_thread *, size_t, size_t));

// Ownership ends: frees at once where HEAP_CAP_FREES, otherwise does nothing. The reference must not
// be used again on any heap. Null is accepted. Not a safepoint.
#define heap_discard HEAP_BIND(discard)
HEAP_CHECK(discard, void (*)(heap_thread *, heap_ref));

// ---- access -------------------------------------------------------------------------------------

// Read and write reference slot `slot` of an object; slot < ref_count (checked in debug builds).
#define heap_load HEAP_BIND(load)
HEAP_CHECK(load, heap_ref (*)(heap_thread *, heap_ref, size_t));
#define heap_store HEAP_BIND(store)
HEAP_CHECK(store, void (*)(heap_thread *, heap_ref, size_t, heap_ref));

// Address of the raw bytes of an object that was allocated with ref_count slots, for reading, or for
// reading and writing. R1. In a concurrent moving heap a pointer from heap_read also dies at the
// thread's next acquire operation, and when it gets one for writing to the same object (heap_write,
// heap_pin); one from heap_write lives until its next safepoint.
#define heap_read HEAP_BIND(read)
HEAP_CHECK(read, const void *(*)(heap_thread *, heap_ref, size_t));
#define heap_write HEAP_BIND(write)
HEAP_CHECK(write, void *(*)(heap_thread *, heap_ref, size_t));

// Whether two references name one object. Reference bits must not be compared in any other way.
#define heap_same HEAP_BIND(same)
HEAP_CHECK(same, bool (*)(heap_thread *, heap_ref, heap_ref));

// ---- roots --------------------------------------------------------------------------------------

// Push a frame over `count` slots (set to null here); pop it in LIFO order. Not safepoints.
// The slots and the frame are C variables that live until the pop; use HEAP_FRAME below.
#define heap_frame_push HEAP_BIND(frame_push)
HEAP_CHECK(frame_push, void (*)(heap_thread *, heap_frame *, heap_ref *, size_t));
#define heap_frame_pop HEAP_BIND(frame_pop)
HEAP_CHECK(frame_pop, void (*)(heap_thread *, heap_frame *));

// Declares `heap_ref name[count]` and pushes a frame over it; HEAP_FRAME_END(thread, name) pops it.
#define HEAP_FRAME(thread, name, count)                                                            \
  heap_ref name[count];                                                                            \
  heap_frame HS_CONCAT(name, _frame);                                                              \
  heap_frame_push((thread), &HS_CONCAT(name, _frame), name, (count))
#define HEAP_FRAME_END(thread, name) heap_frame_pop((thread), &HS_CONCAT(name, _frame))

// Link and unlink a range of `count` global slots (set to null by add). Not safepoints.
#define heap_root_add HEAP_BIND(root_add)
HEAP_CHECK(root_add, void (*)(heap_thread *, heap_root *, heap_ref *, size_t));
#define heap_root_remove HEAP_BIND(root_remove)
HEAP_CHECK(root_remove, void (*)(heap_thread *, heap_root *));
#define heap_root_load HEAP_BIND(root_load)
HEAP_CHECK(root_load, heap_ref (*)(heap_thread *, const heap_ref *));
#define heap_root_store HEAP_BIND(root_store)
HEAP_CHECK(root_store, void (*)(heap_thread *, heap_ref *, heap_ref));

// ---- safepoints ---------------------------------------------------------------------------------

// Answer the collector if it waits. Costs one load and one branch otherwise.
#define heap_poll HEAP_BIND(poll)
HEAP_CHECK(poll, void (*)(heap_thread *));

// Bracket code that may block or run long without polling; no heap operation in between. The
// collector does not wait for a thread inside.
#define heap_blocking_begin HEAP_BIND(blocking_begin)
HEAP_CHECK(blocking_begin, void (*)(heap_thread *));
#define heap_blocking_end HEAP_BIND(blocking_end)
HEAP_CHECK(blocking_end, void (*)(heap_thread *));

// Run a collection now; returns when it is complete. On a heap without HEAP_CAP_TRACES only
// HEAP_COLLECT_RELEASE does something: it purges the allocator's caches.
#define heap_collect HEAP_BIND(collect)
HEAP_CHECK(collect, void (*)(heap_thread *, heap_collect_kind));

// ---- pins and weak references -------------------------------------------------------------------

// The object does not move between pin and the matching unpin (pins nest) and is kept alive; returns
// the address of its first raw byte for an object of ref_count slots, or NULL when the pin table is
// full. Not safepoints. R2 holds for the reference of a pinned object too: keep it in a root or a slot.
#define heap_pin HEAP_BIND(pin)
HEAP_CHECK(pin, void *(*)(heap_thread *, heap_ref, size_t));
#define heap_unpin HEAP_BIND(unpin)
HEAP_CHECK(unpin, void (*)(heap_thread *, heap_ref));

// A cell that refers to an object without keeping it alive; reads as null once a collection found it
// dead. A heap that packs small pointer-free objects into one block (tiny allocator) may find such
// an object dead only when its whole block is. Creation is a safepoint (the object must be rooted).
// Cells belong to the heap until destroyed. HEAP_UNSUPPORTED without HEAP_CAP_WEAK.
typedef HEAP_BIND(weak) heap_weak;
#define heap_weak_create HEAP_BIND(weak_create)
HEAP_CHECK(weak_create, heap_status (*)(heap_thread *, heap_ref, heap_weak **));
#define heap_weak_get HEAP_BIND(weak_get)
HEAP_CHECK(weak_get, heap_ref (*)(heap_thread *, heap_weak *));
#define heap_weak_destroy HEAP_BIND(weak_destroy)
HEAP_CHECK(weak_destroy, void (*)(heap_thread *, heap_weak *));

// ---- observation --------------------------------------------------------------------------------

// Exact statistics at this instant; stops the world and flushes thread caches where needed (Go
// ReadMemStats). Absent numbers are absent.
#define heap_stats_read HEAP_BIND(stats_read)
HEAP_CHECK(stats_read, void (*)(heap_thread *, heap_stats *));

// Approximate footprint in bytes without stopping anybody, for a sampling thread that is not
// registered with the heap; 0 when the heap cannot tell.
#define heap_footprint HEAP_BIND(footprint)
HEAP_CHECK(footprint, uint64_t (*)(heap *));

// Check every invariant of the heap; true when all hold. Prints what is wrong on standard error.
#define heap_verify HEAP_BIND(verify)
HEAP_CHECK(verify, bool (*)(heap_thread *));

// Visit the pages of the heap in address order. False without HEAP_CAP_MAP.
#define heap_map HEAP_BIND(map)
HEAP_CHECK(map, bool (*)(heap_thread *, heap_map_fn, void *));

// Delays and phases so far; NULL when the heap keeps none. Lives as long as the heap.
#define heap_events HEAP_BIND(events)
HEAP_CHECK(events, const hs_event_log *(*)(heap *));

// Version and settings, for the record. The strings live as long as the heap.
#define heap_identify HEAP_BIND(identify)
HEAP_CHECK(identify, heap_identity (*)(heap *));

#endif
