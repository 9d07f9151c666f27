// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"time"
)

// workloads/redis_frag.c on the Go runtime.

const redisSamplePuts = 2048

const (
	evictCommand = iota
	evictPut
)

type redisFrag struct {
	r      *run
	c      *cache
	memory *usageProbe
}

func (w *redisFrag) fill(name string, count, bytes uint64) {
	w.r.timedBegin()
	before := w.r.now()
	for put := uint64(0); put < count; put++ {
		w.c.put(uint32(w.c.putCount), bytes)
		now := w.r.now()
		w.r.latency.add(uint64(now - before))
		before = now
		if w.c.putCount%redisSamplePuts == 0 {
			w.memory.sample(w.c.live())
			before = w.r.now()
		}
	}
	w.c.evictExcess()
	w.r.timedEnd(count)
	w.memory.mark(name, w.c.live())
}

func (w *redisFrag) idle(milliseconds uint64) {
	end := w.r.now() + int64(milliseconds)*int64(time.Millisecond)
	for w.r.now() < end {
		runtime.Gosched()
	}
	w.memory.mark("idle", w.c.live())
}

var redisFragLoad = workload{
	name:    "redis_frag",
	summary: "a capped store whose values double in size, then idle time",
	params: []param{
		{"capacity", "payload of the store's entries, bytes", 100 << 20, cacheCapacityMin, 1 << 36, nil},
		{"small_count", "keys written first in a round", 700000, 1, 1 << 32, nil},
		{"small_bytes", "their values, bytes", 240, cacheValueMin, cacheValueMax, nil},
		{"large_count", "keys written then", 170000, 1, 1 << 32, nil},
		{"large_bytes", "their values, bytes", 492, cacheValueMin, cacheValueMax, nil},
		{"idle_ms", "time for the heap to itself at the end of a round, ms", 5000, 0, 600000, nil},
		{"rounds", "how often: write both, idle", 2, 1, 1000, nil},
		{"evict", "down to the capacity after each filling, or before each put", evictCommand, evictCommand,
			evictPut, []string{"command", "put"}},
		{"clock_puts", "keys written in a row that count as equally old", 700000, 1, 1 << 32, nil}},
	run: func(r *run) {
		w := &redisFrag{r: r, memory: r.newUsage()}
		w.c = r.newCache(cacheSampled, r.value("capacity"),
			cacheEntryBytes(cacheSampled, r.value("small_bytes")))
		w.c.evictsLate = r.value("evict") == evictCommand
		w.c.tickPuts = r.value("clock_puts")
		w.memory.sample(w.c.live())
		for round := uint64(0); round < r.value("rounds"); round++ {
			w.fill("small", r.value("small_count"), r.value("small_bytes"))
			w.fill("large", r.value("large_count"), r.value("large_bytes"))
			w.idle(r.value("idle_ms"))
		}
		w.memory.report("run")
		w.memory.stage("end", w.c.live())
		w.c.read()
		r.metric("entries_count", float64(w.c.entryCount))
	},
}
