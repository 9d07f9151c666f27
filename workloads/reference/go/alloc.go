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

// allocWorker is one thread at one case; apart from those of others.
type allocWorker struct {
	_ [apartBytes]byte

	// Each allocation is stored in one of these, so that none stays on the stack.
	sink16   *words2
	sink64   *words8
	sink256  *words32
	sink1024 *words128
	sink8192 *words1024

	r       *run
	ops     uint64
	round   uint64
	batch   uint64
	ring    uint64
	order   []uint32 // of the ring: the successor of each node
	done    uint64
	elapsed int64
	sum     uint64

	_ [apartBytes]byte
}

func (a *allocWorker) report(begin int64, ops uint64) {
	a.elapsed = a.r.now() - begin
	a.done = ops
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

func (a *allocWorker) imm16() {
	var sum uint64
	begin := a.r.now()
	for i := uint64(0); i < a.ops; i++ {
		a.sink16 = new(words2)
		a.sink16[0] = i
		sum += a.sink16[0]
	}
	a.report(begin, a.ops)
	a.sum = sum
}

// A generic function would go through a dictionary; five short loops keep the allocation a direct
// call with a constant size, as in the C workload.
func (a *allocWorker) pair16() {
	ops, sum := pairOps(a.ops, 16), uint64(0)
	begin := a.r.now()
	for i := uint64(0); i < ops; i++ {
		p := new(words2)
		a.sink16 = p
		p[0] = i
		sum += p[0] + p[len(p)-1]
	}
	a.report(begin, ops)
	a.sum = sum
}

func (a *allocWorker) pair64() {
	ops, sum := pairOps(a.ops, 64), uint64(0)
	begin := a.r.now()
	for i := uint64(0); i < ops; i++ {
		p := new(words8)
		a.sink64 = p
		p[0] = i
		sum += p[0] + p[len(p)-1]
	}
	a.report(begin, ops)
	a.sum = sum
}

func (a *allocWorker) pair256() {
	ops, sum := pairOps(a.ops, 256), uint64(0)
	begin := a.r.now()
	for i := uint64(0); i < ops; i++ {
		p := new(words32)
		a.sink256 = p
		p[0] = i
		sum += p[0] + p[len(p)-1]
	}
	a.report(begin, ops)
	a.sum = sum
}

func (a *allocWorker) pair1024() {
	ops, sum := pairOps(a.ops, 1024), uint64(0)
	begin := a.r.now()
	for i := uint64(0); i < ops; i++ {
		p := new(words128)
		a.sink1024 = p
		p[0] = i
		sum += p[0] + p[len(p)-1]
	}
	a.report(begin, ops)
	a.sum = sum
}

func (a *allocWorker) pair8192() {
	ops, sum := pairOps(a.ops, 8192), uint64(0)
	begin := a.r.now()
	for i := uint64(0); i < ops; i++ {
		p := new(words1024)
		a.sink8192 = p
		p[0] = i
		sum += p[0] + p[len(p)-1]
	}
	a.report(begin, ops)
	a.sum = sum
}

func (a *allocWorker) batch16() {
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
	a.report(begin, a.round*a.batch)
	a.sum = sum
	runtime.KeepAlive(table)
}

func ringOrder(seed, ring uint64) []uint32 {
	order := make([]uint32, ring)
	for i := range order {
		order[i] = uint32(i)
	}
	g := newRng(seed)
	for i := ring - 1; i > 0; i-- {
		j := g.below(i)
		order[i], order[j] = order[j], order[i]
	}
	return order
}

func (a *allocWorker) ringBuild() []*ringNode {
	table := make([]*ringNode, a.ring)
	for i := range table {
		table[i] = &ringNode{word: uint64(i)}
	}
	for i, n := range table {
		n.next = table[a.order[i]]
	}
	return table
}

func (a *allocWorker) deref() {
	table := a.ringBuild()
	n := table[0]
	begin := a.r.now()
	for i := uint64(0); i < a.ops; i++ {
		n = n.next
	}
	a.report(begin, a.ops)
	a.sum = n.word
}

func (a *allocWorker) load() {
	table := a.ringBuild()
	mask := a.ring - 1
	var sum uint64
	begin := a.r.now()
	for i := uint64(0); i < a.ops; i++ {
		sum += table[i&mask].word
	}
	a.report(begin, a.ops)
	a.sum = sum
}

func (a *allocWorker) store() {
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
	a.report(begin, a.ops)
	var sum uint64
	for _, n := range table {
		sum += n.next.word
	}
	a.sum = sum
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
		{"ring", "log2 of the nodes in deref, load and store", 12, 1, 24, nil},
		paramThreads("threads, each doing all operations of a case", 1)},
	run: allocRun,
}

var allocCases = []struct {
	metric string
	run    func(*allocWorker)
}{{"imm16_ns", (*allocWorker).imm16}, {"pair16_ns", (*allocWorker).pair16},
	{"pair64_ns", (*allocWorker).pair64}, {"pair256_ns", (*allocWorker).pair256},
	{"pair1024_ns", (*allocWorker).pair1024}, {"pair8192_ns", (*allocWorker).pair8192},
	{"batch16_ns", (*allocWorker).batch16}, {"deref_ns", (*allocWorker).deref},
	{"load_ns", (*allocWorker).load}, {"store_ns", (*allocWorker).store}}

func allocRun(r *run) {
	chosen, ring := r.value("case"), uint64(1)<<r.value("ring")
	order := ringOrder(r.seed, ring)
	for i, c := range allocCases {
		if chosen != allocChoiceAll && chosen != uint64(i+1) {
			continue
		}
		workers := make([]*allocWorker, r.count("threads"))
		for i := range workers {
			workers[i] = &allocWorker{r: r, ops: r.value("ops"), round: r.value("rounds"),
				batch: 1 << r.value("batch"), ring: ring, order: order}
		}
		r.runThreads(len(workers), func(index int) uint64 {
			c.run(workers[index])
			return workers[index].done
		})
		var elapsed int64
		var done, sum uint64
		for _, w := range workers {
			elapsed, done, sum = elapsed+w.elapsed, done+w.done, sum+w.sum
		}
		r.metric(c.metric, float64(elapsed)/float64(done))
		r.checksumAdd(sum)
	}
	r.stage("end", 0)
}
