// SPDX-License-Identifier: MIT
#include "allocators/runtime/background.h"

static void run(void *context) {
  hs_background *const background = context;
  hs_os_thread_name(background->name);
  for (;;) {
    // Before the work, so that a wake-up during it makes the sleep return at once.
    const uint32_t seen = hs_load_acquire(&background->wake); // pairs: hs_background_wake
    if (hs_load_acquire(&background->stopping)) return;       // pairs: hs_background_stop
    const uint64_t sleep_ns = background->work(background->context);
    if (sleep_ns > 0) (void)hs_os_futex_wait(&background->wake, seen, sleep_ns);
  }
}

int hs_background_start(hs_background *background, const char *name, hs_background_fn work,
                        void *context) {
  *background = (hs_background){.work = work, .context = context, .name = name};
  return hs_os_thread_start(&background->thread, run, background);
}

void hs_background_wake(hs_background *background) {
  hs_add_acq_rel(&background->wake, 1);
  hs_os_futex_wake(&background->wake, 1);
}

void hs_background_stop(hs_background *background) {
  if (background->thread.handle == 0) return;
  hs_store_release(&background->stopping, 1u);
  hs_background_wake(background);
  hs_os_thread_join(&background->thread);
}
