// SPDX-License-Identifier: MIT
package heapduel;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToLongFunction;

// A workload: the counterpart of the C workload of the same name.
abstract class Workload {
  static final int REFERENCE_BYTES = 8; // of the C workloads, in live_bytes; the JVM's may be 4

  final String name, summary;
  final List<Param> params;

  Workload(String name, String summary, Param... params) {
    this.name = name;
    this.summary = summary;
    this.params = List.of(params);
  }

  abstract void run(Run run);

  // The most that the program can reach at one moment, in bytes on the JVM's heap: see Heap.
  // `value` gives the parameters.
  abstract long peakBytes(ToLongFunction<String> value);

  static List<Workload> all() {
    return List.of(new SeedPathological(), new Churn(), new BinTrees(), new Alloc(),
        new LruCache());
  }

  // Null: there is none.
  static Workload find(String name) {
    return all().stream().filter(w -> w.name.equals(name)).findFirst().orElse(null);
  }

  // As --list prints it.
  Map<String, Object> describe() {
    final Map<String, Object> about = new LinkedHashMap<>();
    about.put("name", name);
    about.put("summary", summary);
    about.put("needs", List.of());
    about.put("params", params.stream().map(Param::describe).toList());
    return about;
  }
}
