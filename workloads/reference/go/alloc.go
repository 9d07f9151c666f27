// SPDX-License-Identifier: MIT

package main

import "runtime"

const (
	pairUnscaled   = 64
	pairMaxScale   = 16
	storeValues    = 2
	allocChoiceAll = 0
)

type (
	words2    [2]uint64
	words8    [8]uint64
	words32   [32]uint64
	words128  [128]uint64
	words1024 [1024]uint64
	ringNode  struct {
		next *ringNode
		word uint64
	}
)

// The global that each allocation is stored in, so that none stays on the stack.
var (
	sink16   *words2
	sink64   *words8
	sink256  *words32
	sink1024 *words128
	sink8192 *words1024
)

type allocRun struct {
	r     *run
	ops   uint64
	round uint64
	batch uint64
	ring  uint64
	done  uint64
}

func (a *allocRun) report(metric string, begin int64, ops uint64) {
	a.r.metric(metric, float64(a.r.now()-begin)/float64(ops))
	a.done += ops
}

func pairOps(ops uint64, bytes uint64) uint64 {
	scale := bytes / pairUnscaled
	if scale < 1 {
		scale = 1
	}
	if scale > pairMaxScale {
		scale = pairMaxScale
	}
	return ops/scale + 1
}

func (a *allocRun) imm16() {
	var sum uint64
	begin := a.r.now()
	for i := uint64(0); i < a.ops; i++ {
		sink16 = new(words2)
		sink16[0] = i
		sum += sink16[0]
	}
	a.report("imm16_ns", begin, a.ops)
	a.r.checksumAdd(sum)
}

// A generic function would go through a dictionary; five short loops keep the allocation a direct
// call with a constant size, as in the C workload.
func (a *allocRun) pair16() {
	ops, sum := pairOps(a.ops, 16), uint64(0)
	begin := a.r.now()
	for i := uint64(0); i < ops; i++ {
		p := new(words2)
		sink16 = p
		p[0] = i
		sum += p[0] + p[len(p)-1]
	}
	a.report("pair16_ns", begin, ops)
	a.r.checksumAdd(sum)
}

func (a *allocRun) pair64() {
	ops, sum := pairOps(a.ops, 64), uint64(0)
	begin := a.r.now()
	for i := uint64(0); i < ops; i++ {
		p := new(words8)
		sink64 = p
		p[0] = i
		sum += p[0] + p[len(p)-1]
	}
	a.report("pair64_ns", begin, ops)
	a.r.checksumAdd(sum)
}

func (a *allocRun) pair256() {
	ops, sum := pairOps(a.ops, 256), uint64(0)
	begin := a.r.now()
	for i := uint64(0); i < ops; i++ {
		p := new(words32)
		sink256 = p
		p[0] = i
		sum += p[0] + p[len(p)-1]
	}
	a.report("pair256_ns", begin, ops)
	a.r.checksumAdd(sum)
}

func (a *allocRun) pair1024() {
	ops, sum := pairOps(a.ops, 1024), uint64(0)
	begin := a.r.now()
	for i := uint64(0); i < ops; i++ {
		p := new(words128)
		sink1024 = p
		p[0] = i
		sum += p[0] + p[len(p)-1]
	}
	a.report("pair1024_ns", begin, ops)
	a.r.checksumAdd(sum)
}

func (a *allocRun) pair8192() {
	ops, sum := pairOps(a.ops, 8192), uint64(0)
	begin := a.r.now()
	for i := uint64(0); i < ops; i++ {
		p := new(words1024)
		sink8192 = p
		p[0] = i
		sum += p[0] + p[len(p)-1]
	}
	a.report("pair8192_ns", begin, ops)
	a.r.checksumAdd(sum)
}

func (a *allocRun) batch16() {
	table := make([]*words2, a.batch)
	var sum uint64
	begin := a.r.now()
	for round := uint64(0); round < a.round; round++ {
		for i := range table {
			p := new(words2)
			p[0] = uint64(i)
			table[i] = p
		}
		sum += table[a.batch-1][0]
		for i := range table {
			table[i] = nil
		}
	}
	a.report("batch16_ns", begin, a.round*a.batch)
	a.r.checksumAdd(sum)
	runtime.KeepAlive(table)
}

func (a *allocRun) ringBuild() []*ringNode {
	table := make([]*ringNode, a.ring)
	order := make([]uint32, a.ring)
	for i := range table {
		table[i] = &ringNode{word: uint64(i)}
		order[i] = uint32(i)
	}
	g := newRng(a.r.seed)
	for i := a.ring - 1; i > 0; i-- {
		j := g.below(i)
		order[i], order[j] = order[j], order[i]
	}
	for i, n := range table {
		n.next = table[order[i]]
	}
	return table
}

func (a *allocRun) deref() {
	table := a.ringBuild()
	n := table[0]
	begin := a.r.now()
	for i := uint64(0); i < a.ops; i++ {
		n = n.next
	}
	a.report("deref_ns", begin, a.ops)
	a.r.checksumAdd(n.word)
}

func (a *allocRun) load() {
	table := a.ringBuild()
	mask := a.ring - 1
	var sum uint64
	begin := a.r.now()
	for i := uint64(0); i < a.ops; i++ {
		sum += table[i&mask].word
	}
	a.report("load_ns", begin, a.ops)
	a.r.checksumAdd(sum)
}

func (a *allocRun) store() {
	table := a.ringBuild()
	mask := a.ring - 1
	var values [storeValues]*ringNode
	for v := range values {
		values[v] = table[uint64(v)&mask]
	}
	begin := a.r.now()
	for i := uint64(0); i < a.ops; i++ {
		table[i&mask].next = values[(i/a.ring)%storeValues]
	}
	a.report("store_ns", begin, a.ops)
	var sum uint64
	for _, n := range table {
		sum += n.next.word
	}
	a.r.checksumAdd(sum)
}

var allocChoices = []string{"all", "imm16", "pair16", "pair64", "pair256", "pair1024", "pair8192",
	"batch16", "deref", "load", "store"}

var allocLoad = workload{
	name:    "alloc",
	summary: "micro-costs of allocation, dereference and store",
	params: []param{{"case", "the case to run", 0, 0, 10, allocChoices},
		{"ops", "operations of a case; fewer for objects above 64 bytes", 10000000, 1, 1 << 36, nil},
		{"rounds", "rounds of batch16", 10, 1, 1 << 20, nil},
		{"batch", "log2 of the objects alive together in batch16", 20, 1, 28, nil},
		{"ring", "log2 of the nodes in deref, load and store", 12, 1, 24, nil}},
	run: func(r *run) {
		a := &allocRun{r: r, ops: r.value("ops"), round: r.value("rounds"),
			batch: 1 << r.value("batch"), ring: 1 << r.value("ring")}
		cases := []func(){a.imm16, a.pair16, a.pair64, a.pair256, a.pair1024, a.pair8192, a.batch16,
			a.deref, a.load, a.store}
		chosen := r.value("case")
		r.timedBegin()
		for i, run := range cases {
			if chosen == allocChoiceAll || chosen == uint64(i+1) {
				run()
			}
		}
		r.timedEnd(a.done)
		r.stage("end", 0)
	},
}
