// SPDX-License-Identifier: MIT
package heapduel;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

// How long the program stood still, from the log that the launcher asks the JVM to write.
//
// Note [source of pauses]
//   The beans of java.lang.management have milliseconds, and for concurrent collectors the duration
//   of whole cycles. The log has each safepoint in nanoseconds, from the request until all threads
//   may go on, with the time of System.nanoTime. All safepoints count, whatever they are for, since
//   the program stands still in each; most are the collector's. ZGC also logs how long a thread
//   waited for memory, a stall. Shenandoah delays threads that allocate too fast without logging
//   it: such delays are in the latencies only. (OpenJDK 17, -Xlog:safepoint and -Xlog:gc.)
final class Pauses {
  private static final Pattern SAFEPOINT =
      Pattern.compile("\\[(\\d+)ns\\].*Safepoint \".*Total: *(\\d+) ns.*");
  private static final Pattern STALL =
      Pattern.compile("\\[(\\d+)ns\\].*Allocation Stall \\(.*\\) (\\d+)\\.(\\d{3})ms");
  private static final long MS_NS = 1_000_000, US_NS = 1_000;

  private final InputStream log; // null: none was asked for
  private final List<long[]> excluded = new ArrayList<>(); // [begin, end] of forced collections
  private final Histogram stops = new Histogram(), stalls = new Histogram();

  // The file is removed at once, so that nothing is left behind however the process ends.
  Pauses(String path) throws IOException {
    log = path == null ? null : Files.newInputStream(Path.of(path));
    if (path != null) Files.delete(Path.of(path));
  }

  void exclude(long beginNs, long endNs) {
    excluded.add(new long[] {beginNs, endNs});
  }

  // Read what was logged from `beginNs` on. Once, at the end.
  void read(long beginNs) throws IOException {
    if (log == null) return;
    final String text = new String(log.readAllBytes(), StandardCharsets.UTF_8);
    text.lines().forEach(line -> {
      final Matcher stop = SAFEPOINT.matcher(line);
      if (stop.matches() && counts(Long.parseLong(stop.group(1)), beginNs))
        stops.add(Long.parseLong(stop.group(2)));
      final Matcher stall = STALL.matcher(line);
      if (stall.matches() && counts(Long.parseLong(stall.group(1)), beginNs))
        stalls.add(Long.parseLong(stall.group(2)) * MS_NS + Long.parseLong(stall.group(3)) * US_NS);
    });
  }

  private boolean counts(long atNs, long beginNs) {
    if (atNs < beginNs) return false;
    for (long[] span : excluded)
      if (atNs >= span[0] && atNs <= span[1]) return false;
    return true;
  }

  // Null when nothing was logged.
  Map<String, Object> histograms() {
    if (log == null) return null;
    final Map<String, Object> kinds = new LinkedHashMap<>();
    kinds.put("all", all().pairs());
    kinds.put("stop", stops.pairs());
    if (stalls.count() > 0) kinds.put("stall", stalls.pairs());
    return kinds;
  }

  private Histogram all() {
    final Histogram all = new Histogram();
    all.addAll(stops);
    all.addAll(stalls);
    return all;
  }

  void metrics(Map<String, Object> metrics) {
    if (log == null) return;
    final Histogram all = all();
    metrics.put("pause_count", all.count());
    metrics.put("pause_total_ns", all.sum());
    if (all.count() == 0) return;
    metrics.put("pause_p50_ns", all.quantile(0.5));
    metrics.put("pause_p99_ns", all.quantile(0.99));
    metrics.put("pause_max_ns", all.max());
  }
}
