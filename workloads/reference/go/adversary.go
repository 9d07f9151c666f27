// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"math/bits"
	"runtime"
	"unsafe"
)

// workloads/adversary.c on the Go runtime. The table of live objects is on the heap here, and in the
// start that usage is counted from.

const (
	adversaryRobson = iota
	adversaryStaircase
)

type adversaryObject struct{ bytes, number uint32 }

type adversary struct {
	r                    *run
	memory               *usageProbe
	kind                 uint64
	unit, largest, limit uint64
	slots                []unsafe.Pointer // slots[i] is objects[i]
	objects              []adversaryObject
	count                int
	live, created, read  uint64
	digest               uint64
}

func (a *adversary) fill(bytes uint64) {
	wanted := (a.limit - a.live) / bytes
	for number := uint64(0); number < wanted; number++ {
		raw := make([]byte, bytes)
		contentWrite(raw, contentTag(a.r.seed, bytes, number))
		a.slots[a.count] = unsafe.Pointer(&raw[0])
		a.objects[a.count] = adversaryObject{uint32(bytes), uint32(number)}
		a.count++
	}
	a.live += wanted * bytes
	a.created += wanted
}

func (a *adversary) drop(at int) {
	known := a.objects[at]
	raw := unsafe.Slice((*byte)(a.slots[at]), known.bytes)
	if !contentMatches(raw, contentTag(a.r.seed, uint64(known.bytes), uint64(known.number))) {
		a.r.invalid("object %d of %d bytes has wrong content", known.number, known.bytes)
	}
	if a.kind == adversaryStaircase || uint64(known.bytes) == a.unit {
		a.digest += contentDigest(raw)
	}
	a.read++
	a.live -= uint64(known.bytes)
}

func (a *adversary) thin(keep func(at int) bool) {
	kept := 0
	for i := 0; i < a.count; i++ {
		if !keep(i) {
			a.drop(i)
			continue
		}
		a.slots[kept], a.objects[kept] = a.slots[i], a.objects[i]
		kept++
	}
	for i := kept; i < a.count; i++ {
		a.slots[i] = nil
	}
	a.count = kept
	runtime.GC()
}

func (a *adversary) measure(bytes uint64, bound float64, last bool) {
	name := fmt.Sprintf("size_%05d", bytes)
	a.r.stage(fmt.Sprint(bytes), a.live)
	a.memory.moment(name+"_", a.live)
	a.memory.sample(a.live)
	a.r.metric(name+"_bound_ratio", bound)
	if last {
		a.memory.moment("end_", a.live)
		a.r.metric("end_bound_ratio", bound)
		a.memory.report("steps")
	}
}

func (a *adversary) covers(at int, residue, period uint64) bool {
	return (residue-uint64(uintptr(a.slots[at])))&(period-1) < uint64(a.objects[at].bytes)
}

func (a *adversary) blocked(residue, period uint64) (sum uint64) {
	for i := 0; i < a.count; i++ {
		if a.covers(i, residue, period) {
			sum += period - uint64(a.objects[i].bytes)
		}
	}
	return sum
}

func (a *adversary) robsonBound(log2n int) float64 {
	m, n := float64(a.limit/a.unit), float64(uint64(1)<<log2n)
	return (m*(float64(log2n)/2+1) - n + 1) / m
}

func (a *adversary) robson() {
	residue := uint64(0)
	a.fill(a.unit)
	a.measure(a.unit, a.robsonBound(0), a.unit*2 > a.largest)
	for step := 1; a.unit<<step <= a.largest; step++ {
		period := a.unit << step
		other := residue + period/2
		if a.blocked(other, period) > a.blocked(residue, period) {
			residue = other
		}
		a.thin(func(at int) bool { return a.covers(at, residue, period) })
		a.fill(period)
		a.measure(period, a.robsonBound(step), period*2 > a.largest)
	}
}

// sizeClass is a class of Go: slots of slot bytes in a span.
type sizeClass struct{ slot, span, slots uint64 }

func classSpan(size uint64) uint64 {
	const page = 8192
	span := uint64(page)
	for span%size > span/8 {
		span += page
	}
	return span
}

// goClasses is the rule by which Go's authors generate the size classes (mksizeclasses), as in
// workloads/reference/model/size_classes.c.
func goClasses() (classes []sizeClass) {
	for step, size := uint64(8), uint64(8); size <= 32768; size += step {
		if size&(size-1) == 0 {
			switch {
			case size >= 2048:
				step = 256
			case size >= 128:
				step = size / 8
			case size >= 32:
				step = 16
			}
		}
		span := classSpan(size)
		c := sizeClass{size, span, span / size}
		if last := len(classes) - 1; last >= 0 && classes[last].span == span &&
			classes[last].slots == c.slots {
			classes[last] = c
		} else {
			classes = append(classes, c)
		}
	}
	for i := range classes {
		c := &classes[i]
		if grown := c.span / c.slots / 128 * 128; grown > c.slot {
			c.slot = grown
		}
	}
	return classes
}

// classOf is model_layout_of for objects without pointers.
func classOf(classes []sizeClass, size uint64) sizeClass {
	if size < 16 {
		return sizeClass{16, classSpan(16), classSpan(16) / 16} // tiny objects share blocks of this size
	}
	for _, c := range classes {
		if c.slot >= size {
			return c
		}
	}
	span := (size + 8191) / 8192 * 8192
	return sizeClass{span, span, 1}
}

func (a *adversary) staircase() {
	classes := goClasses()
	bound, left, octave := 0.0, 1.0, a.unit
	class := classOf(classes, a.unit)
	for {
		first := a.count
		a.fill(class.slot)
		bound += left * float64(class.span) / float64(class.slots*class.slot)
		left *= 1 - 1/float64(class.slots)
		next := classOf(classes, class.slot+1)
		last := next.slot > a.largest || left <= 0
		if class.slot >= octave || last {
			a.measure(class.slot, bound, last)
			for octave <= class.slot {
				octave *= 2
			}
		}
		if last {
			return
		}
		slots := int(class.slots)
		a.thin(func(at int) bool { return at < first || (at-first)%slots == 0 })
		class = next
	}
}

func adversaryRun(r *run) {
	a := &adversary{r: r, kind: r.value("kind"), largest: r.value("largest"), limit: r.value("live"),
		unit: uint64(1) << (bits.Len64(r.value("unit")) - 1)}
	capacity := a.limit / a.unit
	if a.largest > a.limit {
		a.largest = a.limit // what fits at all
	}
	a.slots = make([]unsafe.Pointer, capacity)
	a.objects = make([]adversaryObject, capacity)
	for i := range a.objects { // resident before the start is read, as memory of workload_scratch is
		a.objects[i], a.slots[i] = adversaryObject{}, nil
	}
	a.memory = r.newUsage()
	if a.kind == adversaryRobson {
		a.robson()
	} else {
		a.staircase()
	}
	a.thin(func(int) bool { return false })
	if a.read != a.created {
		r.invalid("%d objects created, %d found", a.created, a.read)
	}
	r.checksumAdd(a.digest)
}

var adversaryLoad = workload{
	name:    "adversary",
	summary: "keeps what wastes most memory, against the bounds of theory",
	params: []param{
		{"kind", "robson: keep what blocks most addresses; staircase: one object of each span",
			adversaryRobson, adversaryRobson, adversaryStaircase, []string{"robson", "staircase"}},
		{"live", "largest live payload, bytes (M)", 8 << 20, 4096, 1 << 34, nil},
		{"unit", "smallest object, bytes; the power of two below", 16, 8, 4096, nil},
		{"largest", "largest object, bytes (n)", 32768, 8, 1 << 18, nil}},
	run: adversaryRun,
}
