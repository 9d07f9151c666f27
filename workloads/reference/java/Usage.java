// SPDX-License-Identifier: MIT
package heapduel;

import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.management.MemoryType;
import java.util.Map;

// What the process and the JVM's heap use.
//
// Note [one page seen several times]
//   ZGC without generations (all there is in Java 17) maps its heap three times, so that a page
//   counts up to three times in RSS. The heap is shared memory then, and what it has committed is
//   in memory: RSS is computed as private pages, pages of files and the smaller of shared pages and
//   committed heap. The kernel's peak cannot be corrected like that: private and file pages at the
//   end and the peak of the committed heap take its place.
final class Usage {
  private static final byte[] ANONYMOUS = ProcFile.name("RssAnon:");
  private static final byte[] FILES = ProcFile.name("RssFile:");
  private static final byte[] SHARED = ProcFile.name("RssShmem:");
  private static final byte[] PEAK = ProcFile.name("VmHWM:");

  // Of utime and stime in /proc/self/stat: the unit is USER_HZ, 100 on all of Java's platforms.
  private static final long TICK_NS = 10_000_000;
  // Fields after the name of the program.
  private static final int MINOR_FAULTS = 7, MAJOR_FAULTS = 9, USER_TICKS = 11, SYSTEM_TICKS = 12;

  private final ProcFile status = new ProcFile("/proc/self/status");
  private final ProcFile stat = new ProcFile("/proc/self/stat");
  private final ProcFile rollup = new ProcFile("/proc/self/smaps_rollup");

  // What the heap has taken from the system and not returned.
  static long committedBytes() {
    return Runtime.getRuntime().totalMemory();
  }

  static long usedBytes() {
    return committedBytes() - Runtime.getRuntime().freeMemory();
  }

  // NONE when unknown.
  long rssBytes() {
    status.refresh();
    final long anonymous = status.bytes(ANONYMOUS);
    if (anonymous == ProcFile.NONE) return ProcFile.NONE;
    return anonymous + status.bytes(FILES) + Math.min(status.bytes(SHARED), committedBytes());
  }

  private long peakRssBytes() {
    status.refresh();
    if (status.bytes(SHARED) <= 0) return status.bytes(PEAK);
    long committed = 0;
    for (MemoryPoolMXBean pool : ManagementFactory.getMemoryPoolMXBeans())
      if (pool.getType() == MemoryType.HEAP) committed += pool.getPeakUsage().getCommitted();
    return status.bytes(ANONYMOUS) + status.bytes(FILES) + committed;
  }

  // User and system time of all threads, in steps of 10 ms: Java offers nothing finer.
  long cpuNs() {
    final String[] fields = stat.refresh().fieldsAfterName();
    return ticks(fields, USER_TICKS) + ticks(fields, SYSTEM_TICKS);
  }

  private static long ticks(String[] fields, int index) {
    return Long.parseLong(fields[index]) * TICK_NS;
  }

  // The metrics of the whole process.
  void processMetrics(Map<String, Object> metrics) {
    final String[] fields = stat.refresh().fieldsAfterName();
    metrics.put("user_ns", ticks(fields, USER_TICKS));
    metrics.put("sys_ns", ticks(fields, SYSTEM_TICKS));
    metrics.put("minor_faults_count", Long.valueOf(fields[MINOR_FAULTS]));
    metrics.put("major_faults_count", Long.valueOf(fields[MAJOR_FAULTS]));
    put(metrics, "peak_rss_bytes", peakRssBytes());
  }

  private static void put(Map<String, Object> numbers, String name, long value) {
    if (value != ProcFile.NONE) numbers.put(name, value);
  }

  // The numbers of a stage, except its name and time.
  void stageNumbers(Map<String, Object> stage) {
    stage.put("heap_usage_bytes", committedBytes());
    stage.put("heap_alloc_bytes", usedBytes());
    put(stage, "rss_bytes", rssBytes());
    rollup.refresh();
    put(stage, "pss_bytes", rollup.bytes(ProcFile.name("Pss:")));
    put(stage, "lazyfree_bytes", rollup.bytes(ProcFile.name("LazyFree:")));
    put(stage, "anon_huge_bytes", rollup.bytes(ProcFile.name("AnonHugePages:")));
  }
}
