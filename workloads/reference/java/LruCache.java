// SPDX-License-Identifier: MIT
package heapduel;

import java.util.List;
import java.util.function.ToLongFunction;

// workloads/lru_cache.c on the JVM: a full cache whose values change size.
final class LruCache extends Workload {
  private static final int TYPICAL_BYTES = 64;
  private static final long VALUE_MAX_BYTES = 32 << 10;

  private record Phase(String name, long low, long high) {}

  private static final List<Phase> PHASES = List.of(
      new Phase("small", 64, 256), new Phase("large", 512, 1024), new Phase("tiny", 16, 64));

  LruCache() {
    super("lru_cache", "a full cache whose values change size: small, large, tiny",
        Param.number("capacity", "payload of the cache's entries, bytes", 100 << 20, 1 << 16,
            1L << 36),
        Param.number("turnover", "capacities written in each phase", 4, 1, 1000),
        Param.number("touches", "entries touched after each put", 1, 0, 1000),
        Param.choice("keys", "new with each put, or Zipf's", "fresh", "zipf"),
        Param.number("key_octaves", "log2 of the number of Zipf keys", 22, 1, 32),
        Param.choice("sizes", "law of the sizes of values in a phase", "uniform", "lognormal"));
  }

  // The last phase has the smallest values, so the most headers for the same payload.
  @Override
  long peakBytes(ToLongFunction<String> value) {
    final long capacity = value.applyAsLong("capacity");
    final Phase tiny = PHASES.get(PHASES.size() - 1);
    final long middle = (tiny.low + tiny.high) / 2;
    final long entry = Heap.objectBytes(4, 0) + Heap.objectBytes(0, middle);
    return capacity / Cache.payloadBytes(middle) * entry
        + Heap.objectBytes(Cache.bucketCount(capacity, TYPICAL_BYTES), 0);
  }

  private static final class Load {
    private final Run run;
    private final Rng rng;
    private final Cache cache;
    private final boolean zipf, logNormal;
    private final long octaves, turnover, touches;
    private long hits, gets;

    Load(Run run) {
      this.run = run;
      rng = new Rng(run.seed());
      cache = new Cache(run, run.value("capacity"), TYPICAL_BYTES);
      zipf = run.value("keys") != 0;
      logNormal = run.value("sizes") != 0;
      octaves = run.value("key_octaves");
      turnover = run.value("turnover");
      touches = run.value("touches");
    }

    private int size(Phase phase) {
      if (!logNormal) return (int) rng.between(phase.low, phase.high);
      final long bytes = rng.logNormal((phase.low + phase.high) / 2);
      return (int) Math.max(Cache.VALUE_MIN_BYTES, Math.min(VALUE_MAX_BYTES, bytes));
    }

    private void touchOne() {
      if (!zipf) {
        cache.touchRandom();
        return;
      }
      gets++;
      if (cache.get(rng.zipf(octaves))) hits++;
    }

    long phase(Phase phase) {
      long puts = 0, before = System.nanoTime();
      for (long written = 0; written < turnover * cache.capacity(); puts++) {
        final long key = zipf ? rng.zipf(octaves) : cache.putCount();
        final int bytes = size(phase);
        cache.put(key, bytes);
        for (long i = 0; i < touches; i++) touchOne();
        written += Cache.payloadBytes(bytes);
        final long now = System.nanoTime();
        run.latency.add(now - before);
        before = now;
      }
      return puts;
    }
  }

  @Override
  void run(Run run) {
    final Density density = new Density(run);
    final Load load = new Load(run);
    for (Phase phase : PHASES) {
      run.timedBegin();
      run.timedEnd(load.phase(phase));
      density.stage(phase.name, load.cache.liveBytes());
    }
    load.cache.read();
    run.metric("entries_count", load.cache.entryCount());
    if (load.gets > 0) run.metric("hit_ratio", (double) load.hits / load.gets);
  }
}
