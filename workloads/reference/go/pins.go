// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"time"
	"unsafe"
)

// workloads/pins.c on the Go runtime, where nothing moves and a reference is all a pin needs to be.

const (
	pinsShare = iota
	pinsStride
)

type pins struct {
	r                           *run
	memory                      *usageProbe
	size, count, step           int
	mode, percent, stride, idle uint64
	slots                       []*byte
	pinned                      []bool
	live                        uint64
	pinnedCount                 int
}

func (p *pins) object(i int) []byte { return unsafe.Slice(p.slots[i], p.size) }

func (p *pins) check() {
	for i := 0; i < p.count; i += p.step {
		if !contentMatches(p.object(i), contentTag(p.r.seed, 0, uint64(i))) {
			p.r.invalid("object %d has wrong content", i)
		}
	}
}

func (p *pins) wants(survivor, i int) bool {
	if p.mode == pinsShare {
		number := uint64(survivor)
		return (number+1)*p.percent/100 > number*p.percent/100
	}
	return i == 0 || uint64(i)*uint64(p.size)/p.stride != uint64(i-p.step)*uint64(p.size)/p.stride
}

func (p *pins) settle(stage string) {
	runtime.GC()
	end := p.r.now() + int64(p.idle)*int64(time.Millisecond)
	for p.r.now() < end {
		runtime.Gosched()
	}
	p.memory.stage(stage, p.live)
	p.check()
}

func pinsRun(r *run) {
	p := &pins{r: r, size: r.count("size"), count: r.count("count"), step: r.count("step"),
		mode: r.value("mode"), percent: r.value("percent"), stride: r.value("stride"),
		idle: r.value("idle_ms")}
	p.slots = make([]*byte, p.count)
	p.pinned = make([]bool, p.count)
	for i := range p.slots { // resident before the start is read, as memory of workload_scratch is
		p.slots[i], p.pinned[i] = nil, false
	}
	p.live = uint64(keptCount(p.count, p.step)) * uint64(p.size)
	p.memory = r.newUsage()
	for i := range p.slots {
		raw := make([]byte, p.size)
		contentWrite(raw, contentTag(r.seed, 0, uint64(i)))
		p.slots[i] = &raw[0]
	}
	p.memory.mark("built", uint64(p.count)*uint64(p.size))
	survivor := 0
	for i := range p.slots {
		if i%p.step != 0 {
			p.slots[i] = nil
			continue
		}
		if p.pinned[i] = p.wants(survivor, i); p.pinned[i] {
			p.pinnedCount++
		}
		survivor++
	}
	p.settle("pinned")
	p.settle("unpinned")
	r.metric("pinned_count", float64(p.pinnedCount))
	r.metric("refused_pins_count", 0)
	for i := 0; i < p.count; i += p.step {
		r.checksumAdd(contentDigest(p.object(i)))
	}
}

var pinsLoad = workload{
	name:    "pins",
	summary: "memory behind a few survivors while some of them are pinned, and after",
	params: []param{
		{"mode", "which survivors are pinned: a share of them, or one in each stride", pinsShare,
			pinsShare, pinsStride, []string{"share", "stride"}},
		{"percent", "mode=share: pinned of the survivors, percent", 10, 0, 50, nil},
		{"stride", "mode=stride: bytes of allocation for each pin", 256 << 10, 64, 1 << 32, nil},
		{"size", "bytes of one object", 1024, 8, 32768, nil},
		{"count", "objects allocated", 65536, 1, 1 << 26, nil},
		{"step", "every step-th object survives", 16, 1, 1 << 26, nil},
		{"idle_ms", "milliseconds that the program waits before it measures, twice", 50, 0, 60000, nil}},
	run: pinsRun,
}
