// SPDX-License-Identifier: MIT
// Note [bdwgc settings]
//   Fair best: pointers to the start of objects only (with interior pointers 16 bytes take 32; they
//   stay recognised on stacks), and marker threads, which a program that makes its threads outside
//   the library otherwise never gets. Stock: the library's defaults; its single marker is what a
//   program without threads has. The size of the mark stack, whose overflow makes long pauses on
//   large heaps, cannot be set by a program.
// Note [bdwgc pauses]
//   A stop window runs from the decision to stop to the last thread restarted. It is logged after
//   the restart: a thread that reads the log may be stopped while it holds the log's lock. Time
//   waited for the library's allocation lock while another thread collects or sweeps is not
//   reported by the library; it shows in operation latencies.
#include "allocators/bdwgc/bdwgc_collector.h"

bdwgc_collector bdwgc_shared;

static void GC_CALLBACK on_collection_event(GC_EventType event) {
  bdwgc_collector *shared = &bdwgc_shared;
  if (event == GC_EVENT_PRE_STOP_WORLD) {
    shared->stop_ns = hs_os_now_ns();
  } else if (event == GC_EVENT_POST_STOP_WORLD) {
    shared->stopped_ns = hs_os_now_ns();
  } else if (event == GC_EVENT_POST_START_WORLD) {
    hs_event_log_add(&shared->log, HS_EVENT_STOP, 0, shared->stop_ns, hs_os_now_ns(),
                     shared->stopped_ns - shared->stop_ns);
  }
}

static void library_start(bool stock) {
  if (stock) {
    GC_set_markers_count(1);
  } else {
    GC_set_all_interior_pointers(0);
  }
  GC_INIT();
  GC_set_warn_proc(GC_ignore_warn_proc); // out of memory is reported by a null reference
  GC_allow_register_threads();           // also starts the marker threads
}

// The library's limit is one for the process: the sum, or none when a heap has none.
static void limit_apply_locked(void) {
  GC_set_max_heap_size(bdwgc_shared.unlimited_count > 0 ? 0 : bdwgc_shared.limit_bytes);
}

heap_status bdwgc_collector_join(const heap_config *config) {
  bdwgc_collector *shared = &bdwgc_shared;
  heap_status status = HEAP_OK;
  hs_mutex_lock(&shared->lock);
  if (shared->started && shared->stock != (config->stock != 0)) {
    status = HEAP_UNSUPPORTED;
    goto done;
  }
  if (!shared->started) {
    library_start(config->stock != 0);
    shared->stock = config->stock != 0;
    shared->started = true;
  }
  if (shared->heap_count++ == 0) {
    if (hs_event_log_init(&shared->log, BDWGC_EVENT_CAPACITY) != 0)
      hs_event_log_init(&shared->log, 0); // histograms only
    GC_set_on_collection_event(on_collection_event);
  }
  if (config->limit_bytes > 0) {
    shared->limit_bytes += (uint64_t)config->limit_bytes;
  } else {
    shared->unlimited_count++;
  }
  limit_apply_locked();
done:
  hs_mutex_unlock(&shared->lock);
  return status;
}

void bdwgc_collector_leave(const heap_config *config) {
  bdwgc_collector *shared = &bdwgc_shared;
  hs_mutex_lock(&shared->lock);
  if (config->limit_bytes > 0) {
    shared->limit_bytes -= (uint64_t)config->limit_bytes;
  } else {
    shared->unlimited_count--;
  }
  limit_apply_locked();
  if (--shared->heap_count == 0) {
    GC_set_on_collection_event(0);
    hs_event_log_destroy(&shared->log);
  }
  hs_mutex_unlock(&shared->lock);
}
