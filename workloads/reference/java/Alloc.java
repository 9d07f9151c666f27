// SPDX-License-Identifier: MIT
package heapduel;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.ToLongFunction;

// workloads/alloc.c on the JVM: micro-costs of allocation, dereference and store. An object of n
// bytes is an array of n / 8 words, which takes n + 16 bytes.
final class Alloc extends Workload {
  private static final int THREADS_MAX = 64; // WORKLOAD_THREADS_MAX of workloads/threads.h
  private static final int PAIR_UNSCALED = 64, PAIR_MAX_SCALE = 16;
  private static final int STORE_VALUES = 2;

  private record Case(String name, Consumer<Worker> run) {}

  private static final List<Case> CASES = List.of(new Case("imm16", Worker::imm16),
      new Case("pair16", Worker::pair16), new Case("pair64", Worker::pair64),
      new Case("pair256", Worker::pair256), new Case("pair1024", Worker::pair1024),
      new Case("pair8192", Worker::pair8192), new Case("batch16", Worker::batch16),
      new Case("deref", Worker::deref), new Case("load", Worker::load),
      new Case("store", Worker::store));

  private static String[] choices() {
    final List<String> names = new ArrayList<>(List.of("all"));
    for (Case c : CASES) names.add(c.name);
    return names.toArray(new String[0]);
  }

  Alloc() {
    super("alloc", "micro-costs of allocation, dereference and store",
        Param.choice("case", "the case to run", choices()),
        Param.number("ops", "operations of a case; fewer for objects above 64 bytes", 10000000, 1,
            1L << 36),
        Param.number("rounds", "rounds of batch16", 10, 1, 1 << 20),
        Param.number("batch", "log2 of the objects alive together in batch16", 20, 1, 28),
        Param.number("ring", "log2 of the nodes in deref, load and store", 12, 1, 24),
        Param.number("threads", "threads, each doing all operations of a case", 1, 1, THREADS_MAX));
  }

  @Override
  long peakBytes(ToLongFunction<String> value) {
    final long batch = 1L << value.applyAsLong("batch"), ring = 1L << value.applyAsLong("ring");
    final long batchBytes = Heap.objectBytes(batch, 0) + batch * Heap.objectBytes(0, 16);
    final long ringBytes = Heap.objectBytes(ring, 4 * ring) + ring * Heap.objectBytes(1, 8);
    return value.applyAsLong("threads") * Math.max(batchBytes, ringBytes);
  }

  private static final class Node {
    Node next;
    long word;
  }

  // One thread at one case. Each allocation is stored in `sink`, so that the compiler must make it.
  private static final class Worker {
    private final long ops, rounds;
    private final int batch;
    private final int[] order; // of the ring: the successor of each node
    long[] sink;
    long done, elapsedNs, sum;

    Worker(Run run, int[] order) {
      ops = run.value("ops");
      rounds = run.value("rounds");
      batch = 1 << run.count("batch");
      this.order = order;
    }

    private void report(long beginNs, long count, long total) {
      elapsedNs = System.nanoTime() - beginNs;
      done = count;
      sum = total;
    }

    private long pairOps(int bytes) {
      return ops / Math.max(1, Math.min(PAIR_MAX_SCALE, bytes / PAIR_UNSCALED)) + 1;
    }

    void imm16() {
      long total = 0;
      final long begin = System.nanoTime();
      for (long i = 0; i < ops; i++) {
        sink = new long[2];
        sink[0] = i;
        total += sink[0];
      }
      report(begin, ops, total);
    }

    // Five loops instead of one with a length, which must be a constant as it is in C.
    void pair16() {
      final long count = pairOps(16), begin = System.nanoTime();
      long total = 0;
      for (long i = 0; i < count; i++) total += use(new long[2], i);
      report(begin, count, total);
    }

    void pair64() {
      final long count = pairOps(64), begin = System.nanoTime();
      long total = 0;
      for (long i = 0; i < count; i++) total += use(new long[8], i);
      report(begin, count, total);
    }

    void pair256() {
      final long count = pairOps(256), begin = System.nanoTime();
      long total = 0;
      for (long i = 0; i < count; i++) total += use(new long[32], i);
      report(begin, count, total);
    }

    void pair1024() {
      final long count = pairOps(1024), begin = System.nanoTime();
      long total = 0;
      for (long i = 0; i < count; i++) total += use(new long[128], i);
      report(begin, count, total);
    }

    void pair8192() {
      final long count = pairOps(8192), begin = System.nanoTime();
      long total = 0;
      for (long i = 0; i < count; i++) total += use(new long[1024], i);
      report(begin, count, total);
    }

    private long use(long[] fresh, long value) {
      sink = fresh;
      fresh[0] = value;
      return fresh[0] + fresh[fresh.length - 1];
    }

    void batch16() {
      final long[][] table = new long[batch][];
      long total = 0;
      final long begin = System.nanoTime();
      for (long round = 0; round < rounds; round++) {
        for (int i = 0; i < batch; i++) {
          table[i] = new long[2];
          table[i][0] = i;
        }
        total += table[batch - 1][0];
        for (int i = 0; i < batch; i++) table[i] = null;
      }
      report(begin, rounds * batch, total);
    }

    private Node[] ring() {
      final Node[] table = new Node[order.length];
      for (int i = 0; i < table.length; i++) {
        table[i] = new Node();
        table[i].word = i;
      }
      for (int i = 0; i < table.length; i++) table[i].next = table[order[i]];
      return table;
    }

    void deref() {
      Node node = ring()[0];
      final long begin = System.nanoTime();
      for (long i = 0; i < ops; i++) node = node.next;
      report(begin, ops, node.word);
    }

    void load() {
      final Node[] table = ring();
      final int mask = table.length - 1;
      long total = 0;
      final long begin = System.nanoTime();
      for (long i = 0; i < ops; i++) total += table[(int) i & mask].word;
      report(begin, ops, total);
    }

    void store() {
      final Node[] table = ring();
      final int mask = table.length - 1;
      final Node[] values = {table[0], table[1 & mask]};
      final long begin = System.nanoTime();
      for (long i = 0; i < ops; i++)
        table[(int) i & mask].next = values[(int) (i / table.length % STORE_VALUES)];
      report(begin, ops, 0);
      for (Node node : table) sum += node.next.word;
    }
  }

  private static int[] ringOrder(long seed, int ring) {
    final int[] order = new int[ring];
    for (int i = 0; i < ring; i++) order[i] = i;
    final Rng rng = new Rng(seed);
    for (int i = ring - 1; i > 0; i--) {
      final int j = (int) rng.below(i), exchanged = order[i];
      order[i] = order[j];
      order[j] = exchanged;
    }
    return order;
  }

  @Override
  void run(Run run) {
    final long chosen = run.value("case");
    final int[] order = ringOrder(run.seed(), 1 << run.count("ring"));
    for (int i = 0; i < CASES.size(); i++) {
      if (chosen != 0 && chosen != i + 1) continue;
      final Case c = CASES.get(i);
      final Worker[] workers = new Worker[run.count("threads")];
      for (int w = 0; w < workers.length; w++) workers[w] = new Worker(run, order);
      Threads.run(run, workers.length, index -> {
        c.run.accept(workers[index]);
        return workers[index].done;
      });
      long elapsed = 0, done = 0, sum = 0;
      for (Worker worker : workers) {
        elapsed += worker.elapsedNs;
        done += worker.done;
        sum += worker.sum;
      }
      run.metric(c.name + "_ns", (double) elapsed / done);
      run.checksumAdd(sum);
    }
    run.stage("end", 0);
  }
}
