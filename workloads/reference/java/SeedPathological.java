// SPDX-License-Identifier: MIT
package heapduel;

import java.util.function.ToLongFunction;

// Example 3 of the seed on the JVM. An object of n bytes is an array of n bytes.
final class SeedPathological extends Workload {
  private static final long MOST = 1L << 28;

  SeedPathological() {
    super("seed_pathological",
        "seed example 3: every 512th object kept, then larger objects allocated",
        Param.number("count", "objects allocated", 1 << 20, 1, MOST),
        Param.number("size", "bytes of one object, pointer-free", 16, 1, MOST),
        Param.number("step", "every step-th object is kept", 512, 1, MOST),
        Param.number("next_count", "objects allocated after the drop", 1 << 19, 1, MOST),
        Param.number("next_size", "bytes of one of those", 32, 1, MOST));
  }

  private static int keptCount(long count, long step) {
    return (int) ((count - 1) / step + 1);
  }

  private static long batchBytes(long count, long size) {
    return Heap.objectBytes(count, 0) + count * Heap.objectBytes(0, size);
  }

  // All of the first batch and the table of survivors, or the survivors and the second batch.
  @Override
  long peakBytes(ToLongFunction<String> value) {
    final long count = value.applyAsLong("count"), size = value.applyAsLong("size");
    final long kept = keptCount(count, value.applyAsLong("step"));
    final long later = batchBytes(kept, size)
        + batchBytes(value.applyAsLong("next_count"), value.applyAsLong("next_size"));
    return Math.max(batchBytes(count, size) + Heap.objectBytes(kept, 0), later);
  }

  private record Batch(long number, int count, int size) {
    byte[][] allocate(Run run) {
      final byte[][] table = new byte[count][];
      for (int i = 0; i < count; i++) {
        table[i] = new byte[size];
        Content.write(table[i], 0, Content.tag(run.seed(), number, i));
      }
      return table;
    }

    void read(Run run, byte[][] table, int step) {
      for (int i = 0; i < table.length; i++) {
        final long index = (long) i * step;
        if (!Content.matches(table[i], 0, Content.tag(run.seed(), number, index)))
          throw new InvalidException("object %d of batch %d has wrong content", index, number);
        run.checksumAdd(Content.digest(table[i]));
      }
    }
  }

  private static long liveBytes(long count, long size) {
    return count * (REFERENCE_BYTES + size);
  }

  // A method of its own: the table of all objects is unreachable when it returns.
  private static byte[][] firstHalf(Run run, Batch batch, int step) {
    final byte[][] table = batch.allocate(run);
    run.stage("2", liveBytes(batch.count, batch.size));
    batch.read(run, table, 1);
    final byte[][] kept = new byte[keptCount(batch.count, step)][];
    for (int i = 0; i < kept.length; i++) kept[i] = table[i * step];
    return kept;
  }

  @Override
  void run(Run run) {
    final Batch first = new Batch(0, run.count("count"), run.count("size"));
    final Batch second = new Batch(1, run.count("next_count"), run.count("next_size"));
    final int step = run.count("step");
    run.stage("1", 0);
    final byte[][] kept = firstHalf(run, first, step);
    final long live = liveBytes(kept.length, first.size);
    run.stage("3", live);
    first.read(run, kept, step);
    final byte[][] next = second.allocate(run);
    run.stage("4", live + liveBytes(second.count, second.size));
    first.read(run, kept, step);
    second.read(run, next, 1);
  }
}
