// SPDX-License-Identifier: MIT
package heapduel;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

// A parameter of a workload, with the limits of the C workload of the same name. The value of a
// choice is its position.
record Param(String name, String help, long fallback, long low, long high, List<String> choices) {
  static Param number(String name, String help, long fallback, long low, long high) {
    return new Param(name, help, fallback, low, high, List.of());
  }

  static Param choice(String name, String help, String... choices) {
    return new Param(name, help, 0, 0, choices.length - 1, List.of(choices));
  }

  private static final Pattern NUMBER =
      Pattern.compile("(-?[0-9]{1,18})(?:([KMG])(?:iB)?)?", Pattern.CASE_INSENSITIVE);

  // A number with a suffix that the runners take: K, M, G, KiB, ... Null: it is none.
  static Long parseNumber(String text) {
    final Matcher found = NUMBER.matcher(text);
    if (!found.matches()) return null;
    final String suffix = found.group(2);
    final int shift = suffix == null ? 0 : 10 * ("KMG".indexOf(suffix.toUpperCase()) + 1);
    final long number = Long.parseLong(found.group(1));
    return Math.abs(number) > Long.MAX_VALUE >> shift ? null : Long.valueOf(number << shift);
  }

  long parse(String text) {
    if (!choices.isEmpty()) {
      if (!choices.contains(text))
        throw new UsageException("parameter " + name + " cannot be '" + text + "': use one of "
            + String.join("|", choices));
      return choices.indexOf(text);
    }
    final Long value = parseNumber(text);
    if (value == null || value < low || value > high)
      throw new UsageException("parameter " + name + " cannot be '" + text
          + "': use a number from " + low + " to " + high);
    return value;
  }

  // As the record shows it.
  Object shown(long value) {
    return choices.isEmpty() ? (Object) value : choices.get((int) value);
  }

  // As --list prints it.
  Map<String, Object> describe() {
    final Map<String, Object> about = new LinkedHashMap<>();
    about.put("name", name);
    about.put("help", help);
    about.put("default", shown(fallback));
    if (choices.isEmpty()) {
      about.put("min", low);
      about.put("max", high);
    } else {
      about.put("choices", choices);
    }
    return about;
  }
}
