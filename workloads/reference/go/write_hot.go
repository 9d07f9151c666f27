// SPDX-License-Identifier: MIT

package main

import (
	"encoding/binary"
	"math"
	"runtime"
	"unsafe"
)

// workloads/write_hot.c on the Go runtime: the same writes, allocations and replacements.

const (
	hotHeaderBytes = 3 * wordBytes // number, writes, raw bytes
	hotSizeMin     = hotHeaderBytes + wordBytes
	hotFragmented  = 1
	hotPhases      = 2
)

var hotPhaseNames = [hotPhases]string{"steady", "fragmented"}

type writeHot struct {
	seed, writes, every, sizeLow, sizeHigh uint64
	perThread, hot                         int
	phase                                  uint64
	table                                  []unsafe.Pointer
	parts                                  []*hotPart
}

// hotPart is one thread's part; apart from those of others.
type hotPart struct {
	_          [apartBytes]byte
	s          *writeHot
	index      int
	g          rng
	hot        []uint32
	expected   []uint64
	isHot      []bool
	number     uint64
	beside     unsafe.Pointer
	begin, end int64
	wrong      string
	_          [apartBytes]byte
}

func (s *writeHot) newPart(index int) *hotPart {
	p := &hotPart{s: s, index: index, hot: make([]uint32, s.hot), expected: make([]uint64, s.hot),
		isHot: make([]bool, s.perThread)}
	g := newRng(contentTag(s.seed, 0, uint64(index)))
	stride := s.perThread / s.hot
	for i := range p.hot {
		at := i*stride + int(g.below(uint64(stride)))
		p.hot[i] = uint32(index*s.perThread + at)
		p.isHot[at] = true
	}
	return p
}

func (p *hotPart) begins() {
	p.g = *newRng(contentTag(p.s.seed, uint64(p.index)+1, p.s.phase<<32))
}

func (p *hotPart) create() unsafe.Pointer {
	drawn := p.s.sizeLow + p.g.below(p.s.sizeHigh-p.s.sizeLow+1)
	raw := make([]byte, drawn/sizeAlign*sizeAlign)
	binary.LittleEndian.PutUint64(raw, p.number)
	binary.LittleEndian.PutUint64(raw[2*wordBytes:], uint64(len(raw)))
	contentWrite(raw[hotHeaderBytes:], contentTag(p.s.seed, uint64(p.index)+1, p.number))
	p.number++
	return unsafe.Pointer(&raw[0])
}

// raw is the bytes of an object; nil when what it says of its size is impossible.
func (s *writeHot) raw(object unsafe.Pointer) []byte {
	bytes := *(*uint64)(unsafe.Add(object, 2*wordBytes))
	if bytes < hotSizeMin || bytes > s.sizeHigh {
		return nil
	}
	return unsafe.Slice((*byte)(object), bytes)
}

func (p *hotPart) isWhole(object unsafe.Pointer, writes uint64) bool {
	raw := p.s.raw(object)
	return raw != nil && binary.LittleEndian.Uint64(raw[wordBytes:]) == writes &&
		contentMatches(raw[hotHeaderBytes:],
			contentTag(p.s.seed, uint64(p.index)+1, binary.LittleEndian.Uint64(raw)))
}

func (p *hotPart) writeOne() {
	at := p.g.below(uint64(p.s.hot))
	*(*uint64)(unsafe.Add(p.s.table[p.hot[at]], wordBytes))++
	p.expected[at]++
}

func (p *hotPart) replaceOne() bool {
	fresh := p.create()
	at := int(p.g.below(uint64(p.s.perThread)))
	for p.isHot[at] {
		at = (at + 1) % p.s.perThread
	}
	slot := &p.s.table[p.index*p.s.perThread+at]
	if !p.isWhole(*slot, 0) {
		p.wrong = "a cold object has wrong content"
		return false
	}
	if p.s.phase == hotFragmented {
		*slot = fresh
	} else {
		p.beside = fresh
	}
	return true
}

func (p *hotPart) run(r *run) uint64 {
	p.begins()
	done := uint64(0)
	p.begin = r.now()
	for done < p.s.writes {
		part := p.s.every
		if part > p.s.writes-done {
			part = p.s.writes - done
		}
		for i := uint64(0); i < part; i++ {
			p.writeOne()
		}
		done += part
		if !p.replaceOne() {
			break
		}
	}
	p.end = r.now()
	p.beside = nil
	return done
}

func (s *writeHot) check(r *run, last bool) uint64 {
	live := uint64(len(s.table)) * pointerBytes
	for index, p := range s.parts {
		nextHot := 0
		for i := 0; i < s.perThread; i++ {
			object, expected := s.table[index*s.perThread+i], uint64(0)
			if p.isHot[i] {
				expected = p.expected[nextHot]
				nextHot++
			}
			if !p.isWhole(object, expected) {
				r.invalid("object %d has wrong content; %d writes were made", index*s.perThread+i, expected)
			}
			live += uint64(len(s.raw(object)))
			if last {
				r.checksumAdd(contentDigest(s.raw(object)))
			}
		}
	}
	return live
}

func (s *writeHot) run(r *run, phase uint64) float64 {
	var before, after runtime.MemStats
	s.phase = phase
	runtime.ReadMemStats(&before)
	r.runThreads(len(s.parts), func(index int) uint64 { return s.parts[index].run(r) })
	runtime.ReadMemStats(&after)
	begin, end := int64(math.MaxInt64), int64(0)
	for i, p := range s.parts {
		if p.wrong != "" {
			r.invalid("thread %d: %s", i, p.wrong)
		}
		if p.begin < begin {
			begin = p.begin
		}
		if p.end > end {
			end = p.end
		}
	}
	name := hotPhaseNames[phase]
	rate := float64(s.writes) * float64(len(s.parts)) / (float64(end-begin) / 1e9)
	r.metric(name+"_writes_per_s", rate)
	r.metric(name+"_cycles_count", float64(after.NumGC-before.NumGC))
	r.stage(name, s.check(r, false))
	return rate
}

func writeHotRun(r *run) {
	s := &writeHot{seed: r.seed, writes: r.value("writes"), every: r.value("every"),
		sizeLow: r.value("size_low"), sizeHigh: r.value("size_high"), perThread: r.count("objects"),
		phase: hotPhases} // neither: the table is filled first
	if s.hot = s.perThread * r.count("share") / 1000; s.hot == 0 {
		s.hot = 1
	}
	s.parts = make([]*hotPart, r.count("threads"))
	s.table = make([]unsafe.Pointer, len(s.parts)*s.perThread)
	for i := range s.parts {
		s.parts[i] = s.newPart(i)
	}
	for i, p := range s.parts {
		p.begins()
		for at := 0; at < s.perThread; at++ {
			s.table[i*s.perThread+at] = p.create()
		}
	}
	steady := s.run(r, 0)
	r.metric("fragmented_to_steady_ratio", s.run(r, hotFragmented)/steady)
	s.check(r, true)
}

var writeHotLoad = workload{
	name:    "write_hot",
	summary: "writes to a few objects while the heap moves everything around them",
	params: []param{paramThreads("threads, each writing objects of its own", 2),
		{"writes", "writes of each thread in each of the two phases", 5000000, 1, 1 << 40, nil},
		{"objects", "objects of each thread", 50000, 2, 1 << 24, nil},
		{"share", "of them written, permille", 10, 1, 500, nil},
		{"every", "writes for each object that is allocated", 16, 1, 1 << 20, nil},
		{"size_low", "smallest object, bytes", 32, hotSizeMin, 256, nil},
		{"size_high", "size that no object exceeds, bytes", 512, 256, 32768, nil}},
	run: writeHotRun,
}
