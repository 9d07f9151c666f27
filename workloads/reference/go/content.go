// SPDX-License-Identifier: MIT

package main

import (
	"encoding/binary"
	"math/bits"
)

// The generator and the object content of allocators/base/rng.h and workloads/support.h: the same
// seed gives the same run and the same checksum.

const golden = 0x9e3779b97f4a7c15

func mix64(x uint64) uint64 {
	x += golden
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

type rng struct{ s [4]uint64 }

func newRng(seed uint64) *rng {
	g := &rng{}
	for i := range g.s {
		g.s[i] = mix64(seed)
		seed += golden
	}
	return g
}

func (g *rng) next() uint64 {
	s := &g.s
	result := bits.RotateLeft64(s[1]*5, 7) * 9
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = bits.RotateLeft64(s[3], 45)
	return result
}

func (g *rng) below(bound uint64) uint64 {
	high, _ := bits.Mul64(g.next(), bound)
	return high
}

func contentTag(seed, batch, index uint64) uint64 { return mix64(mix64(seed+batch) + index) }

const wordBytes = 8

func contentWrite(b []byte, tag uint64) {
	for ; len(b) >= wordBytes; b = b[wordBytes:] {
		binary.LittleEndian.PutUint64(b, tag)
		tag += golden
	}
	for i := range b {
		b[i] = byte(tag >> (8 * i))
	}
}

func contentMatches(b []byte, tag uint64) bool {
	for ; len(b) >= wordBytes; b = b[wordBytes:] {
		if binary.LittleEndian.Uint64(b) != tag {
			return false
		}
		tag += golden
	}
	for i := range b {
		if b[i] != byte(tag>>(8*i)) {
			return false
		}
	}
	return true
}

func contentDigest(b []byte) uint64 {
	digest := uint64(len(b))
	for ; len(b) >= wordBytes; b = b[wordBytes:] {
		digest = mix64(digest ^ binary.LittleEndian.Uint64(b))
	}
	var word uint64
	for i := range b {
		word |= uint64(b[i]) << (8 * i)
	}
	return mix64(digest ^ word)
}
