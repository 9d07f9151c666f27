// SPDX-License-Identifier: MIT
package heapduel;

import java.util.function.ToLongFunction;

// workloads/churn.c on the JVM: replace random nodes of a big graph.
final class Churn extends Workload {
  private static final int WARMUP_SHARE = 4; // ops / 4 operations run before any is recorded
  private static final int NODE_BYTES = 64;

  Churn() {
    super("churn", "replace random nodes of a big graph; latency of every operation",
        Param.number("n", "log2 of the number of 64-byte nodes", 20, 1, 26),
        Param.number("ops", "operations recorded, after ops/4 of warm-up", 2000000, 1, 1L << 40),
        Param.number("noalloc", "1: reuse the node instead of allocating (floor)", 0, 0, 1));
  }

  @Override
  long peakBytes(ToLongFunction<String> value) {
    final long count = 1L << value.applyAsLong("n");
    return count * Heap.objectBytes(2, NODE_BYTES - 2 * REFERENCE_BYTES)
        + Heap.objectBytes(count, 0);
  }

  // Two references and six words, as in C.
  private static final class Node {
    Node p, q;
    long index, version, content0, content1, content2, content3;

    void fill(long tag) {
      content0 = tag;
      content1 = tag + Rng.GOLDEN;
      content2 = tag + 2 * Rng.GOLDEN;
      content3 = tag + 3 * Rng.GOLDEN;
    }

    void succeed(Node old) {
      index = old.index;
      version = old.version + 1;
      content0 = old.content0;
      content1 = old.content1;
      content2 = old.content2;
      content3 = old.content3;
    }

    boolean holds(long tag) {
      return content0 == tag && content1 == tag + Rng.GOLDEN && content2 == tag + 2 * Rng.GOLDEN
          && content3 == tag + 3 * Rng.GOLDEN;
    }

    long digest() {
      long digest = 6 * Content.WORD_BYTES;
      digest = Rng.mix64(digest ^ index);
      digest = Rng.mix64(digest ^ version);
      digest = Rng.mix64(digest ^ content0);
      digest = Rng.mix64(digest ^ content1);
      digest = Rng.mix64(digest ^ content2);
      digest = Rng.mix64(digest ^ content3);
      return Rng.mix64(digest);
    }
  }

  // x -> (factor * x + shift) mod 2^n, a bijection because the factor is odd.
  private static final class Affine {
    private final long factor, inverse, shift, mask;

    Affine(Rng rng, long mask) {
      factor = rng.next() | 1;
      long found = factor;
      for (int bits = 3; bits < Long.SIZE; bits *= 2) found *= 2 - factor * found;
      inverse = found;
      shift = rng.next() & mask;
      this.mask = mask;
    }

    int apply(long x) {
      return (int) ((factor * x + shift) & mask);
    }

    int invert(long y) {
      return (int) ((inverse * (y - shift)) & mask);
    }
  }

  private static final class Graph {
    private final Rng rng;
    private final Affine p, q;
    private final Node[] table;
    private final boolean reuse;

    Graph(long seed, int count, boolean reuse) {
      rng = new Rng(seed);
      p = new Affine(rng, count - 1);
      q = new Affine(rng, count - 1);
      table = new Node[count];
      this.reuse = reuse;
      for (int i = 0; i < count; i++) {
        table[i] = new Node();
        table[i].index = i;
        table[i].fill(Content.tag(seed, 0, i));
      }
      for (int i = 0; i < count; i++) {
        table[i].p = table[p.apply(i)];
        table[i].q = table[q.apply(i)];
      }
    }

    // Replace one node; the table first, so that fixed points of P and Q need no special case.
    void step() {
      final int i = (int) rng.below(table.length);
      final Node allocated = reuse ? null : new Node();
      final Node old = table[i];
      final Node fresh = reuse ? old : allocated;
      fresh.succeed(old);
      table[i] = fresh;
      fresh.p = table[p.apply(i)];
      fresh.q = table[q.apply(i)];
      table[p.invert(i)].p = fresh;
      table[q.invert(i)].q = fresh;
    }

    void read(Run run) {
      long versions = 0;
      for (int i = 0; i < table.length; i++) {
        final Node node = table[i];
        if (node.p != table[p.apply(i)] || node.q != table[q.apply(i)])
          throw new InvalidException("node %d refers to the wrong node", i);
        if (node.index != i || !node.holds(Content.tag(run.seed(), 0, i)))
          throw new InvalidException("node %d has wrong content", i);
        versions += node.version;
        run.checksumAdd(node.digest());
      }
      run.checksumAdd(versions);
    }
  }

  // One clock read per operation: its latency is the difference of successive reads.
  private static void measure(Run run, Graph graph, long ops) {
    long before = System.nanoTime();
    for (long op = 0; op < ops; op++) {
      graph.step();
      final long now = System.nanoTime();
      run.latency.add(now - before);
      before = now;
    }
  }

  @Override
  void run(Run run) {
    final int count = 1 << run.count("n");
    final long ops = run.value("ops"), live = (long) count * (REFERENCE_BYTES + NODE_BYTES);
    final Graph graph = new Graph(run.seed(), count, run.value("noalloc") != 0);
    run.stage("built", live);
    for (long op = 0; op < ops / WARMUP_SHARE; op++) graph.step();
    run.timedBegin();
    measure(run, graph, ops);
    run.timedEnd(ops);
    run.stage("end", live);
    graph.read(run);
  }
}
