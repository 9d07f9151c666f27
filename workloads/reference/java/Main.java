// SPDX-License-Identifier: MIT
package heapduel;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

// Runs the suite's workloads on a JVM and writes the same records as the runners
// (harness/record.md), so that our moving heap can be held against collectors that move objects in
// production. Standard library only; the command line is that of the runners. The launchers
// (run_jvm.sh.in) choose collector, size of the heap and log.
final class Main {
  private static final int EXIT_USAGE = 2, EXIT_FAILED = 3;

  private static final String USAGE = """
      usage: run_jvm_COLLECTOR --workload NAME [--set NAME=VALUE]... [--seed N] [--block N] \
      [--variant TEXT] [--sample-ms N] [--json FILE]
      Runs one workload once on the JVM and writes one record. The heap may grow to twice what is
      live; --set gogc=PERCENT or --set limit=SIZE say otherwise. JDK_JAVA_OPTIONS is honoured.
      """;

  private Main() {}

  private static void write(String path, String line) throws IOException {
    if (path.equals("-")) {
      System.out.println(line);
      if (System.out.checkError()) throw new IOException("standard output is closed");
    } else {
      Files.writeString(Path.of(path), line + "\n", StandardOpenOption.CREATE,
          StandardOpenOption.APPEND);
    }
  }

  // Whether the record says "ok" or "skipped".
  private static boolean runWorkload(Options options) throws IOException, InterruptedException {
    final Pauses pauses = new Pauses(System.getProperty("heapduel.log"));
    final Workload workload = Workload.find(options.workload());
    final Run run = new Run(options);
    if (workload == null) {
      run.status = "skipped";
      run.reason = "not written for the JVM";
    } else {
      run.setParams(workload, options.sets());
      run.execute(workload, pauses);
    }
    write(options.json(), Json.text(Record.of(run)));
    return run.status.equals("ok") || run.status.equals("skipped");
  }

  private static boolean perform(Options options) throws IOException, InterruptedException {
    switch (options.mode()) {
      case HELP -> System.out.print(USAGE);
      case LIST -> System.out.println(Json.text(Record.list()));
      case HEAP_SIZE -> {
        final Workload workload = Workload.find(options.workload());
        if (workload != null) System.out.println(Heap.limitOption(workload, options));
      }
      default -> {
        return runWorkload(options);
      }
    }
    return true;
  }

  public static void main(String[] args) throws InterruptedException {
    int code = 0;
    try {
      if (!perform(Options.parse(args))) code = EXIT_FAILED;
    } catch (UsageException e) {
      System.err.println("run_" + Record.row() + ": " + e.getMessage());
      code = EXIT_USAGE;
    } catch (IOException e) {
      System.err.println("run_" + Record.row() + ": cannot write or read: " + e.getMessage());
      code = EXIT_FAILED;
    }
    System.exit(code);
  }
}
