// SPDX-License-Identifier: MIT
package heapduel;

import java.util.function.ToLongFunction;

// workloads/bintrees.c on the JVM: many short-lived trees over a long-lived one.
final class BinTrees extends Workload {
  private static final int DEPTH_LOW = 4;

  BinTrees() {
    super("bintrees", "binary-trees: many short-lived trees over a long-lived one",
        Param.number("depth", "depth of the long-lived tree; 2^(depth+1) nodes", 16, DEPTH_LOW,
            26));
  }

  // The first tree is one deeper than the long-lived one, and dead before that is built.
  @Override
  long peakBytes(ToLongFunction<String> value) {
    return Heap.objectBytes(2, 0) << (value.applyAsLong("depth") + 2);
  }

  private record Tree(Tree left, Tree right) {
    static Tree build(int depth) {
      return depth == 0 ? new Tree(null, null) : new Tree(build(depth - 1), build(depth - 1));
    }

    long count() {
      return left == null ? 1 : 1 + left.count() + right.count();
    }
  }

  @Override
  void run(Run run) {
    final int maxDepth = run.count("depth");
    long trees = 0;
    run.timedBegin();
    run.checksumAdd(Tree.build(maxDepth + 1).count());
    final Tree longLived = Tree.build(maxDepth);
    for (int depth = DEPTH_LOW; depth <= maxDepth; depth += 2) {
      final long repeats = 1L << (maxDepth - depth + DEPTH_LOW);
      long nodes = 0;
      for (long i = 0; i < repeats; i++) nodes += Tree.build(depth).count();
      run.checksumAdd(nodes);
      trees += repeats;
    }
    run.timedEnd(trees);
    final long nodes = longLived.count();
    run.checksumAdd(nodes);
    run.stage("end", nodes * 2 * REFERENCE_BYTES);
    run.checksumAdd(longLived.count());
  }
}
