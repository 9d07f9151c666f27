// SPDX-License-Identifier: MIT

package main

import (
	"encoding/binary"
	"runtime"
	"unsafe"
)

// workloads/sizeshift.c on the Go runtime: an object is pointer-free bytes of which the table keeps
// the address.

var sizeShifts = []struct {
	before, after sizeLaw
	deleted       uint64 // percent
}{
	{sizeLaw{100, 100}, sizeLaw{100, 100}, 0}, {sizeLaw{100, 100}, sizeLaw{130, 130}, 0},
	{sizeLaw{100, 100}, sizeLaw{130, 130}, 90}, {sizeLaw{100, 150}, sizeLaw{200, 250}, 0},
	{sizeLaw{100, 150}, sizeLaw{200, 250}, 90}, {sizeLaw{100, 200}, sizeLaw{1000, 2000}, 50},
	{sizeLaw{1000, 2000}, sizeLaw{1500, 2500}, 90}, {sizeLaw{50, 150}, sizeLaw{5000, 15000}, 90}}

const (
	shiftLeast          = 50
	shiftChunk          = 512
	shiftSamplesPerLive = 64
	shiftLiveMin        = 1 << 16
	shiftHeader         = 2 * wordBytes // number, bytes
)

type sizeShift struct {
	r                   *run
	memory              *usageProbe
	g                   *rng
	table               []*[shiftChunk]*byte
	liveCap, bytes      uint64
	count, next, digest uint64
}

func (s *sizeShift) live() uint64 {
	chunks := (s.count + shiftChunk - 1) / shiftChunk
	return s.bytes + (uint64(len(s.table))+chunks*shiftChunk)*pointerBytes
}

func (s *sizeShift) slot(index uint64) **byte { return &s.table[index/shiftChunk][index%shiftChunk] }

// check is object_check; the bytes of the object.
func (s *sizeShift) check(p *byte) (number uint64, raw []byte) {
	raw = unsafe.Slice(p, shiftHeader)
	number = binary.LittleEndian.Uint64(raw)
	bytes := binary.LittleEndian.Uint64(raw[wordBytes:])
	if number < s.next && bytes >= shiftHeader && bytes <= s.liveCap {
		raw = unsafe.Slice(p, bytes)
		if contentMatches(raw[shiftHeader:], contentTag(s.r.seed, 0, number)) {
			return number, raw
		}
	}
	s.r.invalid("object %d has wrong content", number)
	return 0, nil
}

func (s *sizeShift) deleteRandom() {
	index := s.g.below(s.count)
	number, raw := s.check(*s.slot(index))
	s.digest = mix64(s.digest ^ number)
	s.bytes -= uint64(len(raw))
	s.count--
	last := s.slot(s.count)
	*s.slot(index) = *last
	*last = nil
	if s.count%shiftChunk == 0 {
		s.table[s.count/shiftChunk] = nil
	}
}

func (s *sizeShift) allocate(bytes uint64) {
	raw := make([]byte, bytes)
	binary.LittleEndian.PutUint64(raw, s.next)
	binary.LittleEndian.PutUint64(raw[wordBytes:], bytes)
	contentWrite(raw[shiftHeader:], contentTag(s.r.seed, 0, s.next))
	s.next++
	if s.count%shiftChunk == 0 {
		s.table[s.count/shiftChunk] = new([shiftChunk]*byte)
	}
	*s.slot(s.count) = &raw[0]
	s.count++
	s.bytes += bytes
}

func (s *sizeShift) allocateLaw(law sizeLaw, total uint64) (objects uint64) {
	sampleBytes := s.liveCap / shiftSamplesPerLive
	next := sampleBytes
	for allocated := uint64(0); allocated < total; objects++ {
		bytes := s.g.between(law)
		for s.bytes+bytes > s.liveCap {
			s.deleteRandom()
		}
		s.allocate(bytes)
		if allocated += bytes; allocated >= next {
			s.memory.sample(s.live())
			next += sampleBytes
		}
	}
	return objects
}

func (s *sizeShift) phaseEnd(name string, forced bool) {
	if forced {
		s.memory.stage(name, s.live())
	} else {
		s.memory.mark(name, s.live())
	}
}

func (s *sizeShift) read() {
	var bytes uint64
	for i := uint64(0); i < s.count; i++ {
		_, raw := s.check(*s.slot(i))
		s.r.checksumAdd(contentDigest(raw))
		bytes += uint64(len(raw))
	}
	if bytes != s.bytes {
		s.r.invalid("%d bytes of objects should be live, %d are", s.bytes, bytes)
	}
	s.r.checksumAdd(s.count)
	s.r.checksumAdd(s.next)
	s.r.checksumAdd(s.digest)
}

var sizeShiftLoad = workload{
	name:    "sizeshift",
	summary: "objects change size under a cap on what is live",
	params: []param{
		{"law", "the change of sizes", 7, 0, 7,
			[]string{"W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8"}},
		{"live", "bytes of live objects at most", 32 << 20, shiftLiveMin, 1 << 36, nil},
		{"turnover", "allocated before the change, and again after it, in multiples of live", 5, 1, 1000,
			nil},
		{"forced", "1: a stage at the end of each phase, which collects; 0: at the last one's alone", 1,
			0, 1, nil}},
	run: func(r *run) {
		shift := sizeShifts[r.value("law")]
		forced := r.value("forced") != 0
		s := &sizeShift{r: r, memory: r.newUsage(), g: newRng(r.seed), liveCap: r.value("live")}
		half := s.liveCap * r.value("turnover")
		s.table = make([]*[shiftChunk]*byte, s.liveCap/shiftLeast/shiftChunk+1)
		r.timedBegin()
		objects := s.allocateLaw(shift.before, half)
		s.memory.report("before")
		s.phaseEnd("before", forced)
		for kept := s.count * (100 - shift.deleted) / 100; s.count > kept; {
			s.deleteRandom()
		}
		s.phaseEnd("deleted", forced)
		objects += s.allocateLaw(shift.after, half)
		r.timedEnd(objects)
		s.memory.report("after")
		s.memory.stage("after", s.live())
		s.read()
		r.metric("objects_count", float64(s.count))
		runtime.KeepAlive(s)
	},
}
