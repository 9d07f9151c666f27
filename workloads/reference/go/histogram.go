// SPDX-License-Identifier: MIT

package main

import "math/bits"

// histogram is allocators/runtime/histogram.h: exact below 64 ns, then 64 linear sub-buckets per
// octave up to 2^42 ns.
type histogram struct {
	count, sum, min, max uint64
	buckets              []uint64
}

const (
	histogramSubBits = 6
	histogramMaxBits = 42
	histogramBuckets = (histogramMaxBits - histogramSubBits + 1) << histogramSubBits
)

func newHistogram() *histogram {
	return &histogram{min: ^uint64(0), buckets: make([]uint64, histogramBuckets)}
}

func histogramIndex(value uint64) int {
	if value < 1<<histogramSubBits {
		return int(value)
	}
	octave := bits.Len64(value) - 1
	if octave >= histogramMaxBits {
		return histogramBuckets - 1
	}
	shift := octave - histogramSubBits
	return (shift+1)<<histogramSubBits + int(value>>shift) - 1<<histogramSubBits
}

func histogramLow(index int) uint64 {
	if index < 1<<histogramSubBits {
		return uint64(index)
	}
	shift := index>>histogramSubBits - 1
	return uint64(index&(1<<histogramSubBits-1)+1<<histogramSubBits) << shift
}

func (h *histogram) add(value uint64) {
	h.buckets[histogramIndex(value)]++
	h.count++
	h.sum += value
	if value > h.max {
		h.max = value
	}
	if value < h.min {
		h.min = value
	}
}

// quantile is the upper edge of the bucket that holds the value, never above the maximum.
func (h *histogram) quantile(q float64) uint64 {
	wanted := uint64(q * float64(h.count))
	if float64(wanted) < q*float64(h.count) || wanted == 0 {
		wanted++
	}
	var seen uint64
	for i, count := range h.buckets {
		if seen += count; seen >= wanted && i+1 < histogramBuckets {
			if edge := histogramLow(i+1) - 1; edge < h.max {
				return edge
			}
			break
		}
	}
	return h.max
}

func (h *histogram) pairs() [][2]uint64 {
	pairs := [][2]uint64{}
	for i, count := range h.buckets {
		if count > 0 {
			pairs = append(pairs, [2]uint64{histogramLow(i), count})
		}
	}
	return pairs
}
