// SPDX-License-Identifier: MIT
package heapduel;

// workloads/usage.c: memory in proportion to what is live. The footprint is the committed heap.
final class Density {
  private final Run run;
  private final long startFootprint, startRss;

  Density(Run run) {
    this.run = run;
    startFootprint = Usage.committedBytes();
    startRss = run.usage().rssBytes();
  }

  // Growth above the start; a heap may have released what it began with.
  private static double ratio(long now, long start, long liveBytes) {
    return (double) Math.max(0, now - start) / liveBytes;
  }

  private void moment(String prefix, long liveBytes) {
    run.metric(prefix + "footprint_ratio",
        ratio(Usage.committedBytes(), startFootprint, liveBytes));
    if (startRss != ProcFile.NONE)
      run.metric(prefix + "rss_ratio", ratio(run.usage().rssBytes(), startRss, liveBytes));
  }

  void stage(String name, long liveBytes) {
    moment(name + "_raw_", liveBytes);
    run.stage(name, liveBytes);
    moment(name + "_", liveBytes);
  }
}
