// SPDX-License-Identifier: MIT
package heapduel;

import java.util.ArrayList;
import java.util.List;

// Memory over time, [time_ns, rss_bytes, footprint_bytes] every few milliseconds, in an array that
// is allocated before the run is measured.
final class Sampler extends Thread {
  private static final int CAPACITY = 1 << 16; // minutes at the harness's interval, then no more
  private static final int COLUMNS = 3;

  private final long intervalMs, beginNs;
  private final Usage usage = new Usage();
  private final long[] samples = new long[CAPACITY * COLUMNS];
  private int count;

  private Sampler(long intervalMs, long beginNs) {
    this.intervalMs = intervalMs;
    this.beginNs = beginNs;
    setDaemon(true);
  }

  // Null when none is wanted.
  static Sampler begin(long intervalMs, long beginNs) {
    if (intervalMs == 0) return null;
    final Sampler sampler = new Sampler(intervalMs, beginNs);
    sampler.start();
    return sampler;
  }

  @Override
  public void run() {
    try {
      while (count < CAPACITY) {
        samples[count * COLUMNS] = System.nanoTime() - beginNs;
        samples[count * COLUMNS + 1] = Math.max(0, usage.rssBytes());
        samples[count * COLUMNS + 2] = Usage.committedBytes();
        count++;
        Thread.sleep(intervalMs);
      }
    } catch (InterruptedException e) {
      // the end of the run
    }
  }

  List<List<Long>> end() throws InterruptedException {
    interrupt();
    join();
    final List<List<Long>> series = new ArrayList<>();
    for (int i = 0; i < count * COLUMNS; i += COLUMNS)
      series.add(List.of(samples[i], samples[i + 1], samples[i + 2]));
    return series;
  }
}
