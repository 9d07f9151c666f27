// SPDX-License-Identifier: MIT
package heapduel;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

// What objects hold, as in workloads/support.h: every byte is written, compared and digested.
final class Content {
  static final int WORD_BYTES = 8;

  private static final VarHandle WORDS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private Content() {}

  static long tag(long seed, long batch, long index) {
    return Rng.mix64(Rng.mix64(seed + batch) + index);
  }

  static long word(byte[] bytes, int at) {
    return (long) WORDS.get(bytes, at);
  }

  static void setWord(byte[] bytes, int at, long value) {
    WORDS.set(bytes, at, value);
  }

  // From `begin` to the end of the array; a rest of less than a word takes the low bytes of one.
  static void write(byte[] bytes, int begin, long tag) {
    int at = begin;
    for (; at + WORD_BYTES <= bytes.length; at += WORD_BYTES) {
      setWord(bytes, at, tag);
      tag += Rng.GOLDEN;
    }
    for (int i = 0; at + i < bytes.length; i++) bytes[at + i] = (byte) (tag >>> (8 * i));
  }

  static boolean matches(byte[] bytes, int begin, long tag) {
    int at = begin;
    for (; at + WORD_BYTES <= bytes.length; at += WORD_BYTES) {
      if (word(bytes, at) != tag) return false;
      tag += Rng.GOLDEN;
    }
    for (int i = 0; at + i < bytes.length; i++)
      if (bytes[at + i] != (byte) (tag >>> (8 * i))) return false;
    return true;
  }

  static long digest(byte[] bytes) {
    long digest = bytes.length, rest = 0;
    int at = 0;
    for (; at + WORD_BYTES <= bytes.length; at += WORD_BYTES)
      digest = Rng.mix64(digest ^ word(bytes, at));
    for (int i = 0; at + i < bytes.length; i++) rest |= (bytes[at + i] & 0xffL) << (8 * i);
    return Rng.mix64(digest ^ rest);
  }
}
