// SPDX-License-Identifier: MIT
// Named-order atomic operations. The only file that spells memory orders, so that searching for
// "release" finds every publication. Prefer acquire/release; a seq_cst use needs a Note.
// Ordered operations are preferred to fences: ThreadSanitizer does not model fences.
#ifndef HS_BASE_ATOMIC_H
#define HS_BASE_ATOMIC_H

#include <stdatomic.h>

#define hs_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define hs_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define hs_load_seq_cst(p) atomic_load_explicit((p), memory_order_seq_cst)
#define hs_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define hs_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define hs_store_seq_cst(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)

#define hs_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define hs_add_seq_cst(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define hs_add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define hs_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define hs_sub_acq_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define hs_or_relaxed(p, v) atomic_fetch_or_explicit((p), (v), memory_order_relaxed)
#define hs_or_acq_rel(p, v) atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define hs_and_acq_rel(p, v) atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)
#define hs_exchange_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)

// Compare and swap: true when *p was *expected and now is desired; otherwise *expected is
// refreshed.
#define hs_cas_acq_rel(p, expected, desired)                                                       \
  atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_acq_rel,        \
                                          memory_order_acquire)
#define hs_cas_relaxed(p, expected, desired)                                                       \
  atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_relaxed,        \
                                          memory_order_relaxed)

// Owner-only counter: one writer, many readers. A plain add published with a relaxed store, so no
// locked instruction is paid; readers see some recent value.
#define hs_owner_add(p, v) hs_store_relaxed((p), hs_load_relaxed(p) + (v))

// Keep the compiler from reordering across this point; costs no instruction.
#define hs_compiler_barrier() atomic_signal_fence(memory_order_seq_cst)

#endif
