// SPDX-License-Identifier: MIT

package main

import "runtime"

// node is 64 bytes: two references and six words, as in workloads/churn.c.
type node struct {
	p, q    *node
	index   uint64
	version uint64
	content [4]uint64
}

const (
	churnWarmupShare = 4
)

// affine is x -> (factor * x + shift) mod 2^n, a bijection because the factor is odd.
type affine struct{ factor, inverse, shift, mask uint64 }

func newAffine(g *rng, mask uint64) affine {
	factor := g.next() | 1
	inverse := factor
	for bits := 3; bits < 64; bits *= 2 {
		inverse *= 2 - factor*inverse
	}
	return affine{factor, inverse, g.next() & mask, mask}
}

func (a *affine) apply(x uint64) uint64  { return (a.factor*x + a.shift) & a.mask }
func (a *affine) invert(y uint64) uint64 { return (a.inverse * (y - a.shift)) & a.mask }

type churn struct {
	table []*node
	p, q  affine
	g     *rng
	reuse bool
}

func (c *churn) build(seed uint64) {
	for i := range c.table {
		n := &node{index: uint64(i)}
		tag := contentTag(seed, 0, uint64(i))
		for w := range n.content {
			n.content[w] = tag + uint64(w)*golden
		}
		c.table[i] = n
	}
	for i, n := range c.table {
		n.p = c.table[c.p.apply(uint64(i))]
		n.q = c.table[c.q.apply(uint64(i))]
	}
}

// step replaces one node; the table first, so that fixed points of P and Q need no special case.
func (c *churn) step() {
	i := c.g.below(uint64(len(c.table)))
	var fresh *node
	if !c.reuse {
		fresh = new(node)
	}
	old := c.table[i]
	if c.reuse {
		fresh = old
	}
	fresh.index, fresh.version, fresh.content = old.index, old.version+1, old.content
	c.table[i] = fresh
	fresh.p = c.table[c.p.apply(i)]
	fresh.q = c.table[c.q.apply(i)]
	c.table[c.p.invert(i)].p = fresh
	c.table[c.q.invert(i)].q = fresh
}

func (c *churn) read(r *run) {
	var versions uint64
	for i, n := range c.table {
		if n.p != c.table[c.p.apply(uint64(i))] || n.q != c.table[c.q.apply(uint64(i))] {
			r.invalid("node %d refers to the wrong node", i)
		}
		tag := contentTag(r.seed, 0, uint64(i))
		words := []uint64{n.index, n.version}
		for w, word := range n.content {
			if word != tag+uint64(w)*golden {
				r.invalid("node %d has wrong content", i)
			}
			words = append(words, word)
		}
		digest := uint64(len(words) * wordBytes)
		for _, word := range words {
			digest = mix64(digest ^ word)
		}
		r.checksumAdd(mix64(digest))
		versions += n.version
	}
	r.checksumAdd(versions)
}

var churnLoad = workload{
	name:    "churn",
	summary: "replace random nodes of a big graph; latency of every operation",
	params: []param{{"n", "log2 of the number of 64-byte nodes", 20, 1, 26, nil},
		{"ops", "operations recorded, after ops/4 of warm-up", 2000000, 1, 1 << 40, nil},
		{"noalloc", "1: reuse the node instead of allocating (floor)", 0, 0, 1, nil}},
	run: func(r *run) {
		count := uint64(1) << r.value("n")
		g := newRng(r.seed)
		c := &churn{g: g, reuse: r.value("noalloc") != 0}
		c.p = newAffine(g, count-1)
		c.q = newAffine(g, count-1)
		c.table = make([]*node, count)
		c.build(r.seed)
		ops := r.value("ops")
		live := count * (pointerBytes + 64)
		r.stage("built", live)
		for op := uint64(0); op < ops/churnWarmupShare; op++ {
			c.step()
		}
		r.timedBegin()
		before := r.now()
		for op := uint64(0); op < ops; op++ {
			c.step()
			now := r.now()
			r.latency.add(uint64(now - before))
			before = now
		}
		r.timedEnd(ops)
		r.stage("end", live)
		c.read(r)
		runtime.KeepAlive(c)
	},
}
