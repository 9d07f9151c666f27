// SPDX-License-Identifier: MIT

package main

import "math/bits"

// The laws of workloads/laws.h: the same generator draws the same sizes and keys.

type sizeLaw struct{ low, high uint64 }

func (g *rng) between(law sizeLaw) uint64 { return law.low + g.below(law.high-law.low+1) }

func (g *rng) zipf(octaves uint64) uint64 {
	for {
		octave := uint64(1) << g.below(octaves)
		rank := octave + g.below(octave)
		if g.below(rank) < octave {
			return rank
		}
	}
}

const (
	logNormalWords = 4
	logNormalUnit  = 56
	logNormalSteps = 256
)

func (g *rng) logNormal(median uint64) uint64 {
	const centre = logNormalWords*32*logNormalUnit + logNormalUnit/2
	const octavesBelow = (centre + logNormalSteps - 1) / logNormalSteps
	var heads uint64
	for word := 0; word < logNormalWords; word++ {
		heads += uint64(bits.OnesCount64(g.next()))
	}
	at := heads*logNormalUnit + g.below(logNormalUnit) + octavesBelow*logNormalSteps - centre
	octave := at / logNormalSteps
	size := median * (logNormalSteps + at%logNormalSteps)
	if octave >= octavesBelow {
		size <<= octave - octavesBelow
	} else {
		size >>= octavesBelow - octave
	}
	if size < logNormalSteps {
		return 1
	}
	return size / logNormalSteps
}
