// SPDX-License-Identifier: MIT

package main

import (
	"encoding/binary"
	"math"
	"runtime"
)

// workloads/deref.c on the Go runtime.

const derefRawBytes = 56 // with the reference: 64, a cache line

type derefNode struct {
	next *derefNode
	raw  [derefRawBytes]byte
}

type deref struct {
	r            *run
	nodes        []*derefNode
	order        []uint32
	laps, rounds uint64
}

func (d *deref) build(gap uint64) {
	var garbage *derefNode
	for i := range d.nodes {
		d.nodes[i] = new(derefNode)
		contentWrite(d.nodes[i].raw[:], contentTag(d.r.seed, gap, uint64(i)))
		for g := uint64(0); g < gap; g++ {
			garbage = &derefNode{next: garbage}
			contentWrite(garbage.raw[:], 0)
		}
	}
	runtime.KeepAlive(garbage)
}

func (d *deref) drop(gap uint64) {
	for i, n := range d.nodes {
		if !contentMatches(n.raw[:], contentTag(d.r.seed, gap, uint64(i))) {
			d.r.invalid("node %d has wrong content", i)
		}
		d.nodes[i] = nil
	}
}

func (d *deref) position(shuffled bool, i int) *derefNode {
	if shuffled {
		i = int(d.order[i])
	}
	return d.nodes[i]
}

func (d *deref) link(shuffled bool) {
	for i := range d.nodes {
		d.position(shuffled, i).next = d.position(shuffled, (i+1)%len(d.nodes))
	}
}

func derefSteps(n *derefNode, steps uint64) (*derefNode, uint64) {
	sum := uint64(0)
	for ; steps > 0; steps-- {
		n = n.next
		sum += binary.LittleEndian.Uint64(n.raw[:])
	}
	return n, sum
}

func (d *deref) walk(name string, shuffled bool) {
	best := int64(math.MaxInt64)
	count := uint64(len(d.nodes))
	d.link(shuffled)
	first := d.position(shuffled, 0)
	n, lap := derefSteps(first, count)
	for round := uint64(0); round < d.rounds; round++ {
		begin := d.r.now()
		end, sum := derefSteps(n, count*d.laps)
		if spent := d.r.now() - begin; spent < best {
			best = spent
		}
		if n = end; sum != lap*d.laps {
			d.r.invalid("two walks around %s differ", name)
		}
	}
	if n != first {
		d.r.invalid("the ring %s does not close", name)
	}
	d.r.metric(name, float64(best)/float64(count*d.laps))
	d.r.checksumAdd(lap)
}

func (d *deref) shuffle() {
	g := newRng(d.r.seed)
	for i := range d.order {
		d.order[i] = uint32(i)
	}
	for i := len(d.order) - 1; i > 0; i-- {
		j := g.below(uint64(i) + 1)
		d.order[i], d.order[j] = d.order[j], d.order[i]
	}
}

var derefLoad = workload{
	name:    "deref",
	summary: "ns to follow a reference, by order, density and after compaction",
	params: []param{{"n", "log2 of the number of 64-byte nodes in the ring", 16, 1, 24, nil},
		{"steps", "steps of a measured walk, rounded up to whole rings", 1 << 19, 1, 1 << 32, nil},
		{"rounds", "measured walks, of which the fastest counts", 3, 1, 1000, nil},
		{"gap", "objects between two nodes that are dropped: the sparse and compacted cases", 6, 0, 255,
			nil}},
	run: func(r *run) {
		count := uint64(1) << r.value("n")
		d := &deref{r: r, nodes: make([]*derefNode, count), order: make([]uint32, count),
			laps: (r.value("steps") + count - 1) / count, rounds: r.value("rounds")}
		gap, live := r.value("gap"), count*(pointerBytes+derefRawBytes)
		d.shuffle()
		d.build(0)
		r.stage("dense", live)
		d.walk("dense_sequential_ns", false)
		d.walk("dense_shuffled_ns", true)
		d.drop(0)
		d.build(gap)
		d.walk("sparse_sequential_ns", false)
		d.walk("sparse_shuffled_ns", true)
		runtime.GC()
		d.walk("compacted_sequential_ns", false)
		d.walk("compacted_shuffled_ns", true)
		r.stage("compacted", live)
		d.drop(gap)
	},
}
