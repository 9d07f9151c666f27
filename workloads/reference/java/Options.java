// SPDX-License-Identifier: MIT
package heapduel;

import java.util.ArrayList;
import java.util.List;

// The command line of a runner. Options that only make sense for other runners are accepted, so
// that the harness may pass one command line to all of them.
record Options(
    Mode mode, String workload, List<String> sets, long seed, long block, long sampleMs,
    String variant, String json) {

  enum Mode { RUN, LIST, HELP, HEAP_SIZE }

  static Options parse(String[] args) {
    Mode mode = Mode.RUN;
    String workload = null, variant = "", json = "-";
    final List<String> sets = new ArrayList<>();
    long seed = 1, block = 0, sampleMs = 0;
    for (int i = 0; i < args.length; i++) {
      if (!args[i].startsWith("--"))
        throw new UsageException("unexpected argument '" + args[i] + "'");
      final int equals = args[i].indexOf('=');
      final String name = equals < 0 ? args[i].substring(2) : args[i].substring(2, equals);
      switch (name) {
        case "map" -> { continue; }
        case "list" -> { mode = Mode.LIST; continue; }
        case "help" -> { mode = Mode.HELP; continue; }
        case "heap-size" -> { mode = Mode.HEAP_SIZE; continue; }
        default -> { }
      }
      if (equals < 0 && ++i == args.length)
        throw new UsageException("--" + name + " needs a value");
      final String value = equals < 0 ? args[i] : args[i].substring(equals + 1);
      switch (name) {
        case "workload" -> workload = value;
        case "set" -> sets.add(value);
        case "seed" -> seed = number(name, value);
        case "block" -> block = number(name, value);
        case "sample-ms" -> sampleMs = number(name, value);
        case "variant" -> variant = value;
        case "json" -> json = value;
        default -> { }
      }
    }
    if (workload == null && mode != Mode.LIST && mode != Mode.HELP)
      throw new UsageException("--workload NAME is missing; --list names them");
    return new Options(mode, workload, sets, seed, block, sampleMs, variant, json);
  }

  private static long number(String name, String text) {
    try {
      final long value = Long.parseLong(text);
      if (value >= 0) return value;
    } catch (NumberFormatException e) {
      // said below
    }
    throw new UsageException("--" + name + " needs a number, not '" + text + "'");
  }
}
