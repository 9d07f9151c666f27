// SPDX-License-Identifier: MIT
package heapduel;

// A workload saw wrong data; ends the run.
final class InvalidException extends RuntimeException {
  private static final long serialVersionUID = 1;

  InvalidException(String format, Object... args) {
    super(String.format(format, args));
  }
}
