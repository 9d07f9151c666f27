// SPDX-License-Identifier: MIT
package heapduel;

// workloads/cache.c on the JVM, with the exact order of use (LRU). An object with references and a
// variable number of bytes does not exist in Java: an entry is two objects, links and value.
final class Cache {
  // The header of a value: number; key and raw bytes.
  static final int VALUE_MIN_BYTES = 2 * Content.WORD_BYTES;
  static final int LINK_BYTES = 3 * Workload.REFERENCE_BYTES;

  private static final long STREAM = 0xcac4e; // of the generator that picks random entries
  private static final long HALF = 0xffffffffL;

  private static final class Entry {
    Entry chain, older, newer;
    final byte[] value;

    Entry(byte[] value) {
      this.value = value;
    }

    long number() {
      return Content.word(value, 0);
    }

    long key() {
      return Content.word(value, Content.WORD_BYTES) & HALF;
    }
  }

  private final Run run;
  private final Entry[] table;
  private final long capacity;
  private final Rng rng;
  private Entry newest, oldest;
  private long entryBytes, entryCount, putCount, digest;

  Cache(Run run, long capacity, long typicalBytes) {
    this.run = run;
    this.capacity = capacity;
    table = new Entry[bucketCount(capacity, typicalBytes)];
    rng = new Rng(run.seed() ^ STREAM);
  }

  static int bucketCount(long capacity, long typicalBytes) {
    int buckets = 1;
    while (2L * buckets * typicalBytes <= capacity) buckets *= 2;
    return buckets;
  }

  static long payloadBytes(long valueBytes) {
    return LINK_BYTES + valueBytes;
  }

  long capacity() {
    return capacity;
  }

  long entryCount() {
    return entryCount;
  }

  long putCount() {
    return putCount;
  }

  long liveBytes() {
    return (long) table.length * Workload.REFERENCE_BYTES + entryBytes;
  }

  private int bucket(long key) {
    return (int) (Rng.mix64(key) & (table.length - 1));
  }

  private void check(Entry e) {
    final long number = e.number(), bytes = Content.word(e.value, Content.WORD_BYTES) >>> 32;
    if (number >= putCount || bytes != e.value.length)
      throw new InvalidException("an entry of the cache has an impossible header");
    if (!Content.matches(e.value, VALUE_MIN_BYTES, Content.tag(run.seed(), e.key(), number)))
      throw new InvalidException("entry %d of the cache has wrong content", number);
  }

  private void listPush(Entry e) {
    e.older = newest;
    e.newer = null;
    if (newest == null)
      oldest = e;
    else
      newest.newer = e;
    newest = e;
  }

  private void listRemove(Entry e) {
    if (e.older == null)
      oldest = e.newer;
    else
      e.older.newer = e.newer;
    if (e.newer == null)
      newest = e.older;
    else
      e.newer.older = e.older;
  }

  private Entry random() {
    int bucket = (int) rng.below(table.length);
    while (table[bucket] == null) bucket = (bucket + 1) & (table.length - 1);
    long length = 0;
    for (Entry e = table[bucket]; e != null; e = e.chain) length++;
    Entry e = table[bucket];
    for (long skip = rng.below(length); skip > 0; skip--) e = e.chain;
    return e;
  }

  private Entry find(long key) {
    Entry e = table[bucket(key)];
    while (e != null && e.key() != key) e = e.chain;
    return e;
  }

  private void remove(Entry e) {
    check(e);
    final int bucket = bucket(e.key());
    if (table[bucket] == e) {
      table[bucket] = e.chain;
    } else {
      Entry before = table[bucket];
      while (before != null && before.chain != e) before = before.chain;
      if (before == null) throw new InvalidException("key %d is not in its chain", e.key());
      before.chain = e.chain;
    }
    listRemove(e);
    digest = Rng.mix64(digest ^ e.number());
    entryBytes -= payloadBytes(e.value.length);
    entryCount--;
  }

  void put(long key, int bytes) {
    final Entry old = find(key);
    if (old != null) remove(old);
    while (entryBytes + payloadBytes(bytes) > capacity) remove(oldest);
    final long number = putCount++;
    final byte[] value = new byte[bytes];
    Content.setWord(value, 0, number);
    Content.setWord(value, Content.WORD_BYTES, key | (long) bytes << 32);
    Content.write(value, VALUE_MIN_BYTES, Content.tag(run.seed(), key, number));
    final Entry e = new Entry(value);
    final int bucket = bucket(key);
    e.chain = table[bucket];
    table[bucket] = e;
    listPush(e);
    entryBytes += payloadBytes(bytes);
    entryCount++;
  }

  private void touch(Entry e) {
    listRemove(e);
    listPush(e);
  }

  // Whether the key is there; then it was used last.
  boolean get(long key) {
    final Entry e = find(key);
    if (e != null) touch(e);
    return e != null;
  }

  void touchRandom() {
    if (entryCount > 0) touch(random());
  }

  private void readList() {
    Entry newer = null, e = newest;
    long count = 0;
    for (; e != null && count <= entryCount; count++) {
      if (e.newer != newer) throw new InvalidException("the list of the cache is broken");
      run.checksumAdd(e.number());
      newer = e;
      e = e.older;
    }
    if (count != entryCount || newer != oldest)
      throw new InvalidException("the list of the cache is not its entries");
  }

  // Check everything and add it to the checksum.
  void read() {
    long count = 0, bytes = 0;
    for (int bucket = 0; bucket < table.length; bucket++) {
      for (Entry e = table[bucket]; e != null; e = e.chain) {
        check(e);
        if (bucket(e.key()) != bucket)
          throw new InvalidException("key %d is in the wrong chain", e.key());
        run.checksumAdd(Content.digest(e.value));
        bytes += payloadBytes(e.value.length);
        count++;
      }
    }
    if (count != entryCount || bytes != entryBytes || bytes > capacity)
      throw new InvalidException("%d entries of %d bytes should be in the cache, %d of %d are",
          entryCount, entryBytes, count, bytes);
    readList();
    run.checksumAdd(count);
    run.checksumAdd(putCount);
    run.checksumAdd(digest);
  }
}
