// SPDX-License-Identifier: MIT
package heapduel;

// The generator of allocators/base/rng.h and the laws of workloads/laws.h: the same seed draws the
// same numbers, sizes and keys. A long holds an unsigned 64-bit number.
final class Rng {
  static final long GOLDEN = 0x9e3779b97f4a7c15L;

  private long s0, s1, s2, s3;

  Rng(long seed) {
    s0 = mix64(seed);
    s1 = mix64(seed + GOLDEN);
    s2 = mix64(seed + 2 * GOLDEN);
    s3 = mix64(seed + 3 * GOLDEN);
  }

  static long mix64(long x) {
    x += GOLDEN;
    x = (x ^ (x >>> 30)) * 0xbf58476d1ce4e5b9L;
    x = (x ^ (x >>> 27)) * 0x94d049bb133111ebL;
    return x ^ (x >>> 31);
  }

  long next() {
    final long result = Long.rotateLeft(s1 * 5, 7) * 9;
    final long t = s1 << 17;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = Long.rotateLeft(s3, 45);
    return result;
  }

  // The upper half of the 128-bit product; bound is below 2^63, so only the number can look
  // negative.
  long below(long bound) {
    final long number = next();
    return Math.multiplyHigh(number, bound) + ((number >> 63) & bound);
  }

  long between(long low, long high) {
    return low + below(high - low + 1);
  }

  // Rank 1, 2, ... below 2^octaves with probability 1 / rank.
  long zipf(long octaves) {
    for (;;) {
      final long octave = 1L << below(octaves);
      final long rank = octave + below(octave);
      if (below(rank) < octave) return rank;
    }
  }

  private static final int LOG_NORMAL_WORDS = 4;
  private static final int LOG_NORMAL_UNIT = 56;
  private static final int LOG_NORMAL_STEPS = 256;

  // Half the bits of four words are ones; their number is nearly normal, and so is the logarithm.
  long logNormal(long median) {
    final long centre = LOG_NORMAL_WORDS * 32 * LOG_NORMAL_UNIT + LOG_NORMAL_UNIT / 2;
    final long octavesBelow = (centre + LOG_NORMAL_STEPS - 1) / LOG_NORMAL_STEPS;
    long heads = 0;
    for (int word = 0; word < LOG_NORMAL_WORDS; word++) heads += Long.bitCount(next());
    final long at =
        heads * LOG_NORMAL_UNIT + below(LOG_NORMAL_UNIT) + octavesBelow * LOG_NORMAL_STEPS - centre;
    final long octave = at / LOG_NORMAL_STEPS;
    long size = median * (LOG_NORMAL_STEPS + at % LOG_NORMAL_STEPS);
    size = octave >= octavesBelow ? size << (octave - octavesBelow)
        : size >> (octavesBelow - octave);
    return size < LOG_NORMAL_STEPS ? 1 : size / LOG_NORMAL_STEPS;
  }
}
