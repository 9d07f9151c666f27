// SPDX-License-Identifier: MIT
package heapduel;

import java.util.Map;
import java.util.TreeMap;

// Writes maps (keys sorted), iterables, numbers, strings and booleans as JSON on one line.
final class Json {
  private static final double EXACT = 1L << 53; // whole doubles below it are printed as integers

  private Json() {}

  static String text(Object value) {
    final StringBuilder out = new StringBuilder();
    write(out, value);
    return out.toString();
  }

  private static void write(StringBuilder out, Object value) {
    if (value instanceof Map<?, ?> map) {
      writeMap(out, map);
    } else if (value instanceof Iterable<?> items) {
      writeItems(out, items);
    } else if (value instanceof String string) {
      writeString(out, string);
    } else if (value instanceof Double number && number == Math.rint(number)
        && Math.abs(number) < EXACT) {
      out.append(number.longValue());
    } else {
      out.append(value); // a number or a boolean
    }
  }

  private static void writeMap(StringBuilder out, Map<?, ?> map) {
    final Map<String, Object> sorted = new TreeMap<>();
    map.forEach((key, item) -> sorted.put((String) key, item));
    String separator = "{";
    for (Map.Entry<String, Object> entry : sorted.entrySet()) {
      out.append(separator);
      writeString(out, entry.getKey());
      out.append(':');
      write(out, entry.getValue());
      separator = ",";
    }
    out.append(sorted.isEmpty() ? "{}" : "}");
  }

  private static void writeItems(StringBuilder out, Iterable<?> items) {
    String separator = "";
    out.append('[');
    for (Object item : items) {
      out.append(separator);
      write(out, item);
      separator = ",";
    }
    out.append(']');
  }

  private static void writeString(StringBuilder out, String text) {
    out.append('"');
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\')
        out.append('\\').append(c);
      else if (c < ' ')
        out.append(String.format("\\u%04x", (int) c));
      else
        out.append(c);
    }
    out.append('"');
  }
}
