// SPDX-License-Identifier: MIT
// A binding that is right except for the operation that BREAK_<operation> names. Everything else is
// the libc adapter's, under the prefix `broken`.
#ifndef BROKEN_BINDING_H
#define BROKEN_BINDING_H

#include "allocators/libc/libc_binding.h"

enum { broken_caps = libc_caps };
typedef libc_heap broken_heap;
typedef libc_thread broken_thread;
typedef libc_weak broken_weak;

#define broken_create libc_create
#define broken_destroy libc_destroy
#define broken_thread_enter libc_thread_enter
#define broken_thread_leave libc_thread_leave
#define broken_discard libc_discard
#define broken_read libc_read
#define broken_write libc_write
#define broken_same libc_same
#define broken_frame_push libc_frame_push
#define broken_frame_pop libc_frame_pop
#define broken_root_add libc_root_add
#define broken_root_remove libc_root_remove
#define broken_root_load libc_root_load
#define broken_root_store libc_root_store
#define broken_poll libc_poll
#define broken_blocking_begin libc_blocking_begin
#define broken_blocking_end libc_blocking_end
#define broken_collect libc_collect
#define broken_unpin libc_unpin
#define broken_weak_create libc_weak_create
#define broken_weak_get libc_weak_get
#define broken_weak_destroy libc_weak_destroy
#define broken_stats_read libc_stats_read
#define broken_footprint libc_footprint
#define broken_verify libc_verify
#define broken_map libc_map
#define broken_events libc_events
#define broken_identify libc_identify

// A parameter of another type: the mistake that implicit conversion would hide.
#ifdef BREAK_alloc
heap_ref broken_alloc(libc_thread *thread, size_t ref_count, int byte_count);
#else
#define broken_alloc libc_alloc
#endif

// Parameters in another order.
#ifdef BREAK_store
void broken_store(libc_thread *thread, heap_ref object, heap_ref value, size_t slot);
#else
#define broken_store libc_store
#endif

// Another result.
#ifdef BREAK_load
void *broken_load(libc_thread *thread, heap_ref object, size_t slot);
#else
#define broken_load libc_load
#endif

// A parameter too few.
#ifdef BREAK_pin
void *broken_pin(libc_thread *thread, heap_ref object);
#elif !defined(BREAK_missing) // or the whole operation forgotten
#define broken_pin libc_pin
#endif

#endif
