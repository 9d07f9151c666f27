// SPDX-License-Identifier: MIT
#include "harness/sampler.h"

#include <errno.h>

int sampler_init(run_sampler *sampler, run_memory *memory, uint64_t period_ns) {
  sampler->samples = run_memory_map(memory, SAMPLER_CAPACITY * sizeof *sampler->samples);
  sampler->period_ns = period_ns;
  sampler->count = 0;
  return sampler->samples ? 0 : -ENOMEM;
}

void sampler_add(run_sampler *sampler, sampler_sample sample) {
  if (sampler->count == SAMPLER_CAPACITY) {
    for (size_t i = 0; i < SAMPLER_CAPACITY / 2; i++) sampler->samples[i] = sampler->samples[2 * i];
    sampler->count = SAMPLER_CAPACITY / 2;
    sampler->period_ns *= 2;
  }
  sampler->samples[sampler->count++] = sample;
}

static void sampler_run(void *argument) {
  run_sampler *self = argument;
  hs_os_thread_name("hd-sampler");
  uint64_t next_ns = self->origin_ns;
  while (!hs_load_acquire(&self->stopping)) { // pairs: sampler_stop
    const uint64_t now_ns = hs_os_now_ns();
    if (now_ns < next_ns) {
      (void)hs_os_futex_wait(&self->stopping, 0, next_ns - now_ns); // the loop looks again
      continue;
    }
    sampler_add(self, (sampler_sample){now_ns - self->origin_ns, hs_os_rss_bytes(),
                                       self->footprint(self->context)});
    // A late sample does not cause a burst of make-up samples.
    while (next_ns <= now_ns) next_ns += self->period_ns;
  }
}

int sampler_start(run_sampler *sampler, sampler_footprint_fn footprint, void *context,
                  uint64_t origin_ns) {
  sampler->footprint = footprint;
  sampler->context = context;
  sampler->origin_ns = origin_ns;
  hs_store_relaxed(&sampler->stopping, 0); // the thread starts afterwards
  return hs_os_thread_start(&sampler->thread, sampler_run, sampler);
}

void sampler_stop(run_sampler *sampler) {
  if (!sampler->thread.handle) return;
  hs_store_release(&sampler->stopping, 1); // pairs: sampler_run
  hs_os_futex_wake(&sampler->stopping, UINT32_MAX);
  hs_os_thread_join(&sampler->thread);
}
