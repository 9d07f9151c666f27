// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"time"
)

// Enough for a run of minutes at the harness's interval; the series ends there.
const samplerCapacity = 1 << 16

// startSampler records [time_ns, rss_bytes, 0] every sampleMs until the returned function is called.
// It reads one file into a fixed buffer: sampling must not allocate on the heap that it watches.
func startSampler(r *run) (stop func() [][3]uint64) {
	if r.sampleMs == 0 {
		return func() [][3]uint64 { return nil }
	}
	statm, err := os.Open("/proc/self/statm")
	if err != nil {
		return func() [][3]uint64 { return nil }
	}
	done, finished := make(chan bool), make(chan bool)
	series := make([][3]uint64, 0, samplerCapacity)
	go func() {
		defer close(finished)
		ticker := time.NewTicker(time.Duration(r.sampleMs) * time.Millisecond)
		defer ticker.Stop()
		var buffer [128]byte
		for len(series) < samplerCapacity {
			n, _ := statm.ReadAt(buffer[:], 0)
			pages := secondNumber(buffer[:n])
			series = append(series, [3]uint64{uint64(r.now()), pages * uint64(os.Getpagesize()), 0})
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() [][3]uint64 {
		close(done)
		<-finished
		statm.Close()
		return series
	}
}

// secondNumber of "size resident shared ...": the resident pages.
func secondNumber(text []byte) uint64 {
	var value uint64
	field := 0
	for _, c := range text {
		switch {
		case c == ' ':
			if field == 1 {
				return value
			}
			field, value = field+1, 0
		case c >= '0' && c <= '9':
			value = value*10 + uint64(c-'0')
		}
	}
	return 0
}
