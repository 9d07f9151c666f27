// SPDX-License-Identifier: MIT
package heapduel;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;

// A small file of /proc, read again at each refresh into a buffer of its own: a reading allocates
// nothing on the heap that is watched. One thread at a time.
final class ProcFile {
  static final long NONE = -1;

  private static final int CAPACITY = 8192; // status is about 1500 bytes

  private final byte[] text = new byte[CAPACITY];
  private final RandomAccessFile file;
  private int length;

  // A file that cannot be opened reads as empty.
  ProcFile(String path) {
    RandomAccessFile opened = null;
    try {
      opened = new RandomAccessFile(path, "r");
    } catch (IOException e) {
      // an old kernel, or no right to read it: its numbers are absent from the record
    }
    file = opened;
  }

  ProcFile refresh() {
    length = 0;
    try {
      if (file == null) return this;
      file.seek(0);
      length = Math.max(0, file.read(text));
    } catch (IOException e) {
      length = 0;
    }
    return this;
  }

  static byte[] name(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  // The number in the line that begins with `name`, or NONE.
  long number(byte[] name) {
    for (int at = 0; at < length; at++) {
      if (begins(at, name)) return digits(at + name.length);
      while (at < length && text[at] != '\n') at++;
    }
    return NONE;
  }

  // The same in bytes, of a line "name   123 kB".
  long bytes(byte[] name) {
    final long kilobytes = number(name);
    return kilobytes == NONE ? NONE : kilobytes * 1024;
  }

  // The numbers after the last ')', which ends the name of the program in /proc/self/stat.
  String[] fieldsAfterName() {
    final String line = new String(text, 0, length, StandardCharsets.US_ASCII);
    return line.substring(line.lastIndexOf(')') + 1).trim().split(" ");
  }

  private boolean begins(int at, byte[] name) {
    if (at + name.length > length) return false;
    for (int i = 0; i < name.length; i++)
      if (text[at + i] != name[i]) return false;
    return true;
  }

  private long digits(int at) {
    while (at < length && text[at] == ' ' || at < length && text[at] == '\t') at++;
    if (at == length || text[at] < '0' || text[at] > '9') return NONE;
    long value = 0;
    for (; at < length && text[at] >= '0' && text[at] <= '9'; at++)
      value = value * 10 + text[at] - '0';
    return value;
  }
}
