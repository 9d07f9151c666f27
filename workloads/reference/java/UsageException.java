// SPDX-License-Identifier: MIT
package heapduel;

// The command line cannot be understood; the message says what to write instead.
final class UsageException extends RuntimeException {
  private static final long serialVersionUID = 1;

  UsageException(String message) {
    super(message);
  }
}
