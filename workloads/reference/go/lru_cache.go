// SPDX-License-Identifier: MIT

package main

// workloads/lru_cache.c on the Go runtime.

const (
	keysZipf         = 1
	sizesLogNormal   = 1
	lruTypicalBytes  = 64
	cacheValueMax    = 32 << 10
	cacheCapacityMin = 1 << 16
)

var lruPhases = []struct {
	name   string
	values sizeLaw
}{{"small", sizeLaw{64, 256}}, {"large", sizeLaw{512, 1024}}, {"tiny", sizeLaw{16, 64}}}

type lruCache struct {
	r                        *run
	c                        *cache
	g                        *rng
	zipf, logNormal          bool
	octaves, turnover, touch uint64
	hits, gets               uint64
}

func (w *lruCache) key() uint32 {
	if w.zipf {
		return uint32(w.g.zipf(w.octaves))
	}
	return uint32(w.c.putCount)
}

func (w *lruCache) size(law sizeLaw) uint64 {
	if !w.logNormal {
		return w.g.between(law)
	}
	bytes := w.g.logNormal((law.low + law.high) / 2)
	switch {
	case bytes < cacheValueMin:
		return cacheValueMin
	case bytes > cacheValueMax:
		return cacheValueMax
	}
	return bytes
}

func (w *lruCache) touchOne() {
	if !w.zipf {
		w.c.touchRandom()
		return
	}
	w.gets++
	if w.c.get(uint32(w.g.zipf(w.octaves))) {
		w.hits++
	}
}

func (w *lruCache) phase(law sizeLaw) (puts uint64) {
	before := w.r.now()
	for written := uint64(0); written < w.turnover*w.c.capacity; puts++ {
		key := w.key()
		bytes := w.size(law)
		w.c.put(key, bytes)
		for i := uint64(0); i < w.touch; i++ {
			w.touchOne()
		}
		written += cacheEntryBytes(cacheLRU, bytes)
		now := w.r.now()
		w.r.latency.add(uint64(now - before))
		before = now
	}
	return puts
}

var lruCacheLoad = workload{
	name:    "lru_cache",
	summary: "a full cache whose values change size: small, large, tiny",
	params: []param{
		{"capacity", "payload of the cache's entries, bytes", 100 << 20, cacheCapacityMin, 1 << 36, nil},
		{"turnover", "capacities written in each phase", 4, 1, 1000, nil},
		{"touches", "entries touched after each put", 1, 0, 1000, nil},
		{"keys", "new with each put, or Zipf's", 0, 0, 1, []string{"fresh", "zipf"}},
		{"key_octaves", "log2 of the number of Zipf keys", 22, 1, 32, nil},
		{"sizes", "law of the sizes of values in a phase", 0, 0, 1, []string{"uniform", "lognormal"}}},
	run: func(r *run) {
		memory := r.newUsage()
		w := &lruCache{r: r, g: newRng(r.seed), zipf: r.value("keys") == keysZipf,
			logNormal: r.value("sizes") == sizesLogNormal, octaves: r.value("key_octaves"),
			turnover: r.value("turnover"), touch: r.value("touches")}
		w.c = r.newCache(cacheLRU, r.value("capacity"), lruTypicalBytes)
		for _, phase := range lruPhases {
			r.timedBegin()
			puts := w.phase(phase.values)
			r.timedEnd(puts)
			memory.stage(phase.name, w.c.live())
		}
		w.c.read()
		r.metric("entries_count", float64(w.c.entryCount))
		if w.gets > 0 {
			r.metric("hit_ratio", float64(w.hits)/float64(w.gets))
		}
	},
}
