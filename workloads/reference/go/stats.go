// SPDX-License-Identifier: MIT

package main

import "runtime"

// measure reads MemStats and the kernel's view. Reading /proc allocates a little on the heap under
// test, so MemStats come first.
func (r *run) measure(name string, live uint64) map[string]any {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	stage := map[string]any{
		"name":                    name,
		"time_ns":                 r.now(),
		"live_bytes":              live,
		"heap_sys_bytes":          m.HeapSys,
		"heap_released_bytes":     m.HeapReleased,
		"heap_idle_bytes":         m.HeapIdle,
		"heap_inuse_bytes":        m.HeapInuse,
		"heap_alloc_bytes":        m.HeapAlloc,
		"heap_objects_count":      m.HeapObjects,
		"heap_usage_bytes":        m.HeapSys - m.HeapReleased,
		"max_fragmentation_bytes": m.HeapInuse - m.HeapAlloc,
		"total_alloc_bytes":       m.TotalAlloc,
		"mallocs_count":           m.Mallocs,
		"frees_count":             m.Frees,
		"next_gc_bytes":           m.NextGC,
		"cycles_count":            uint64(m.NumGC),
		"forced_cycles_count":     uint64(m.NumForcedGC),
		"harness_bytes":           0,
	}
	for key, field := range map[string]string{"rss_bytes": "Rss:", "pss_bytes": "Pss:",
		"lazyfree_bytes": "LazyFree:", "anon_huge_bytes": "AnonHugePages:"} {
		if value, found := procKilobytes("/proc/self/smaps_rollup", field); found {
			stage[key] = value
		}
	}
	return stage
}

// pauseCounter moves the stop-the-world pauses that the runtime reports into the record, except
// those of the collections that the stages force. One entry of PauseNs is one collection: its two
// stops together. The ring holds the last 256 collections: when more happen between two counts, the
// oldest are missing from the distribution, while count and total stay exact.
type pauseCounter struct {
	seen  uint32 // NumGC up to which pauses were counted or skipped
	total uint64 // PauseTotalNs at that moment
}

const pauseRing = 256

func (p *pauseCounter) count(rec *record) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if rec.stops == nil {
		rec.stops = newHistogram()
	}
	rec.pauseCount += uint64(m.NumGC - p.seen)
	rec.pauseTotal += m.PauseTotalNs - p.total
	if m.NumGC-p.seen > pauseRing {
		p.seen = m.NumGC - pauseRing
	}
	for ; p.seen < m.NumGC; p.seen++ {
		rec.stops.add(m.PauseNs[p.seen%pauseRing])
	}
	p.total = m.PauseTotalNs
}

func (p *pauseCounter) skip() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.seen, p.total = m.NumGC, m.PauseTotalNs
}
