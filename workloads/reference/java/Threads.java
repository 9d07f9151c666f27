// SPDX-License-Identifier: MIT
package heapduel;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntToLongFunction;

// workload_threads_run of workloads/threads.h.
final class Threads {
  private Threads() {}

  // work(i) for each i < count at once, i = 0 on this thread, as one timed section from the moment
  // that all are ready until the last has returned its operations.
  static void run(Run run, int count, IntToLongFunction work) {
    final CountDownLatch ready = new CountDownLatch(count - 1), begin = new CountDownLatch(1);
    final AtomicLong operations = new AtomicLong();
    final AtomicReference<Throwable> failure = new AtomicReference<>();
    final Thread[] threads = new Thread[count - 1];
    for (int i = 0; i < threads.length; i++) {
      final int index = i + 1;
      threads[i] = new Thread(() -> {
        try {
          ready.countDown();
          begin.await();
          operations.addAndGet(work.applyAsLong(index));
        } catch (Throwable e) {
          failure.set(e);
        }
      });
      threads[i].start();
    }
    try {
      ready.await();
      run.timedBegin();
      begin.countDown();
      operations.addAndGet(work.applyAsLong(0));
      for (Thread thread : threads) thread.join();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    run.timedEnd(operations.get());
    if (failure.get() instanceof Error e) throw e;
    if (failure.get() instanceof RuntimeException e) throw e;
  }
}
