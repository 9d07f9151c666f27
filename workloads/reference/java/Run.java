// SPDX-License-Identifier: MIT
package heapduel;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

// One run of one workload: the services of workloads/workload.h, and what the record will hold.
final class Run {
  // Shenandoah returns memory after a forced collection, but in a thread of its own.
  private static final long SETTLE_MS = 50;
  private static final int FORCED_COLLECTIONS = 2; // the second frees what the first one found late

  final Options options;
  final Map<String, Object> params = new LinkedHashMap<>(), config = new LinkedHashMap<>();
  final Map<String, Object> metrics = new LinkedHashMap<>();
  final List<Map<String, Object>> stages = new ArrayList<>();
  final Histogram latency = new Histogram();
  Map<String, Object> start;
  String status = "ok", reason = "";
  List<List<Long>> series;
  Pauses pauses;
  private final Map<String, Long> values = new HashMap<>();
  private final Usage usage = new Usage();
  private long beginNs, checksum;

  private boolean timed;
  private long sectionWallNs, sectionCpuNs; // when the section began
  private long stageWallNs, stageCpuNs; // of the stages in the section
  private long timedWallNs, timedCpuNs, operations;

  Run(Options options) {
    this.options = options;
  }

  // Take the defaults, then the settings. A name that the workload does not have is an option of
  // some other heap: kept in the record's config; Heap understands gogc and limit.
  void setParams(Workload workload, List<String> sets) {
    for (Param param : workload.params) values.put(param.name(), param.fallback());
    for (String set : sets) {
      final int equals = set.indexOf('=');
      if (equals < 1) throw new UsageException("'" + set + "' is not of the form name=value");
      final String name = set.substring(0, equals), text = set.substring(equals + 1);
      final Param param = workload.params.stream().filter(p -> p.name().equals(name)).findFirst()
          .orElse(null);
      if (param != null) {
        values.put(name, param.parse(text));
        continue;
      }
      final Long number = Param.parseNumber(text);
      if (number == null)
        throw new UsageException("option " + name + " cannot be '" + text + "': use a number");
      config.put(name, number);
    }
    for (Param param : workload.params)
      params.put(param.name(), param.shown(values.get(param.name())));
  }

  Long config(String name) {
    return (Long) config.get(name);
  }

  long value(String name) {
    return values.get(name);
  }

  int count(String name) {
    return Math.toIntExact(value(name));
  }

  long seed() {
    return options.seed();
  }

  long now() {
    return System.nanoTime() - beginNs;
  }

  void checksumAdd(long value) {
    checksum = Rng.mix64(checksum ^ value);
  }

  String checksum() {
    return String.format("%016x", checksum);
  }

  void metric(String name, double value) {
    metrics.put(name, value);
  }

  Usage usage() {
    return usage;
  }

  private Map<String, Object> measure(String name, long liveBytes) {
    final Map<String, Object> stage = new LinkedHashMap<>();
    stage.put("name", name);
    stage.put("time_ns", now());
    stage.put("live_bytes", liveBytes);
    usage.stageNumbers(stage);
    return stage;
  }

  // Measure after full collections, and give the collector time to return what it wants to.
  void stage(String name, long liveBytes) {
    final long wall = now(), cpu = usage.cpuNs();
    for (int i = 0; i < FORCED_COLLECTIONS; i++) System.gc();
    try {
      Thread.sleep(SETTLE_MS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    stages.add(measure(name, liveBytes));
    pauses.exclude(beginNs + wall, System.nanoTime());
    stageWallNs += now() - wall;
    stageCpuNs += usage.cpuNs() - cpu;
  }

  void timedBegin() {
    timed = true;
    stageWallNs = stageCpuNs = 0;
    sectionCpuNs = usage.cpuNs();
    sectionWallNs = now();
  }

  void timedEnd(long done) {
    timedWallNs += now() - sectionWallNs - stageWallNs;
    timedCpuNs += usage.cpuNs() - sectionCpuNs - stageCpuNs;
    operations += done;
  }

  // A workload without timed sections is timed as a whole.
  private void runTimed(Workload workload) {
    final long wall = now(), cpu = usage.cpuNs();
    workload.run(this);
    if (timed) return;
    timedWallNs = now() - wall - stageWallNs;
    timedCpuNs = usage.cpuNs() - cpu - stageCpuNs;
  }

  void execute(Workload workload, Pauses log) throws IOException, InterruptedException {
    pauses = log;
    beginNs = System.nanoTime();
    final Sampler sampler = Sampler.begin(options.sampleMs(), beginNs);
    start = measure("start", 0);
    try {
      runTimed(workload);
    } catch (InvalidException e) {
      status = "invalid";
      reason = e.getMessage();
    } catch (OutOfMemoryError e) {
      status = "oom";
      reason = e.getMessage();
    }
    metric("wall_ns", now());
    if (sampler != null) series = sampler.end();
    finish();
  }

  private void finish() throws IOException {
    metric("timed_wall_ns", timedWallNs);
    if (timedCpuNs > 0) metric("timed_cpu_ns", timedCpuNs); // else less than a step of its clock
    if (operations > 0 && timedWallNs > 0) {
      metric("ops_count", operations);
      metric("ops_per_s", operations * 1e9 / timedWallNs);
      metric("ns_per_op", (double) timedWallNs / operations);
    }
    if (latency.count() > 0) {
      metric("op_p50_ns", latency.quantile(0.5));
      metric("op_p90_ns", latency.quantile(0.9));
      metric("op_p99_ns", latency.quantile(0.99));
      metric("op_p999_ns", latency.quantile(0.999));
      metric("op_p9999_ns", latency.quantile(0.9999));
      metric("op_max_ns", latency.max());
      metric("op_count", latency.count());
    }
    usage.processMetrics(metrics);
    pauses.read(beginNs);
    pauses.metrics(metrics);
  }
}
