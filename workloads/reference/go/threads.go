// SPDX-License-Identifier: MIT

package main

import (
	"sync"
	"sync/atomic"
)

// threadsMax is WORKLOAD_THREADS_MAX of workloads/threads.h.
const threadsMax = 64

// apartBytes keeps the data of one goroutine away from that of another: WORKLOAD_APART_BYTES.
const apartBytes = 128

func paramThreads(help string, fallback uint64) param {
	return param{"threads", help, fallback, 1, threadsMax, nil}
}

// runThreads is workload_threads_run: work(i) for each i < count at once, i = 0 on this goroutine, as
// one timed section from the moment that all are ready until the last has returned its operations.
func (r *run) runThreads(count int, work func(index int) uint64) {
	var ready, finished sync.WaitGroup
	var operations uint64
	ready.Add(count - 1)
	finished.Add(count - 1)
	begin := make(chan bool)
	for i := 1; i < count; i++ {
		go func(index int) {
			ready.Done()
			<-begin
			atomic.AddUint64(&operations, work(index))
			finished.Done()
		}(i)
	}
	ready.Wait()
	r.timedBegin()
	close(begin)
	own := work(0)
	finished.Wait()
	r.timedEnd(own + atomic.LoadUint64(&operations))
}

// merge adds what another histogram counted.
func (h *histogram) merge(from *histogram) {
	for i, count := range from.buckets {
		h.buckets[i] += count
	}
	h.count += from.count
	h.sum += from.sum
	if from.max > h.max {
		h.max = from.max
	}
	if from.min < h.min {
		h.min = from.min
	}
}
