// SPDX-License-Identifier: MIT
package heapduel;

import java.lang.management.ManagementFactory;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;

// The record of harness/record.md, and what --list prints.
final class Record {
  private static final int SCHEMA = 1;
  private static final int CONTRACT = 1; // HEAP_CONTRACT_VERSION of allocators/heap_types.h

  private Record() {}

  // The launcher says which row this is.
  static String row() {
    return System.getProperty("heapduel.row", "jvm");
  }

  private static String version() {
    return System.getProperty("java.vm.name") + " " + System.getProperty("java.vm.version");
  }

  // The options of the JVM that matter to its heap, those from the environment included.
  private static String settings() {
    return ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(option -> !option.startsWith("-D") && !option.startsWith("-Xlog"))
        .collect(Collectors.joining(" "));
  }

  private static Map<String, Object> environment() {
    // As uname prints it, like the other runners.
    final String machine = System.getProperty("os.arch").replace("amd64", "x86_64");
    final Map<String, Object> e = new LinkedHashMap<>();
    e.put("cores", Runtime.getRuntime().availableProcessors());
    e.put("compiler", "javac " + System.getProperty("java.version"));
    e.put("build_type", "javac");
    e.put("kernel", "Linux " + System.getProperty("os.version") + " " + machine);
    return e;
  }

  static Map<String, Object> list() {
    final Map<String, Object> about = new LinkedHashMap<>();
    about.put("schema", SCHEMA);
    about.put("contract", CONTRACT);
    about.put("heap", row());
    about.put("heap_version", version());
    about.put("capabilities", List.of("traces", "moves", "weak", "threads"));
    about.put("options", List.of());
    about.put("workloads", Workload.all().stream().map(Workload::describe).toList());
    return about;
  }

  static Map<String, Object> of(Run run) {
    final Map<String, Object> m = new LinkedHashMap<>();
    m.put("schema", SCHEMA);
    m.put("contract", CONTRACT);
    m.put("workload", run.options.workload());
    m.put("heap", row());
    m.put("variant", run.options.variant());
    m.put("heap_version", version());
    m.put("heap_settings", settings());
    m.put("params", run.params);
    m.put("config", run.config);
    m.put("seed", run.options.seed());
    m.put("block", run.options.block());
    m.put("status", run.status);
    m.put("environment", environment());
    if (run.status.equals("ok"))
      m.put("checksum", run.checksum());
    else
      m.put("reason", Objects.requireNonNullElse(run.reason, run.status));
    if (!run.status.equals("skipped")) results(run, m);
    return m;
  }

  private static void results(Run run, Map<String, Object> m) {
    m.put("metrics", run.metrics);
    m.put("stages", run.stages);
    m.put("forced_pauses_excluded", true);
    m.put("start", run.start);
    if (run.latency.count() > 0) m.put("latency", run.latency.pairs());
    if (run.series != null) m.put("series", run.series);
    final Map<String, Object> pauses = run.pauses.histograms();
    if (pauses != null) m.put("pauses", pauses);
  }
}
