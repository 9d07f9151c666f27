// SPDX-License-Identifier: MIT
package heapduel;

// How large objects are on the JVM's heap, and how large the heap may become.
//
// Note [size of the heap]
//   A JVM grows its heap up to -Xmx as it likes, so a generous limit would compare collectors at
//   very different amounts of memory. The limit is therefore the rule that Go and our heaps follow:
//   what is live, and gogc percent of it (default 100, twice what is live). Live is the peak of the
//   workload in the largest layout of these collectors, so that all get the same limit: a header of
//   16 bytes and references of 8, as under ZGC; the others compress references to 4 and have room
//   to spare. --set limit=SIZE states a limit instead; a negative gogc leaves the JVM's own.
final class Heap {
  static final int HEADER_BYTES = 16;
  static final int REFERENCE_BYTES = 8;
  static final int GOGC_DEFAULT = 100;

  // For what does not grow with the program, above all the regions that a collector keeps free for
  // allocation and for copying into: with a few MiB it would have none left.
  private static final long BASE_BYTES = 32L << 20, MIB = 1 << 20;

  private static final int PERCENT = 100;
  private static final int ALIGN_BYTES = 8;

  private Heap() {}

  static long objectBytes(long references, long rawBytes) {
    final long bytes = HEADER_BYTES + references * REFERENCE_BYTES + rawBytes;
    return (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
  }

  // The option that limits the heap for this command line; empty: the JVM's own limit.
  static String limitOption(Workload workload, Options options) {
    final Run run = new Run(options);
    run.setParams(workload, options.sets());
    final Long stated = run.config("limit");
    if (stated != null && stated > 0) return "-Xmx" + stated;
    final Long gogc = run.config("gogc");
    final long percent = PERCENT + (gogc == null ? GOGC_DEFAULT : gogc);
    if (percent < PERCENT) return "";
    final long live = workload.peakBytes(run::value);
    return "-Xmx" + ((BASE_BYTES + live / PERCENT * percent) / MIB + 1) + "m";
  }
}
