// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"unsafe"
)

// The programs of "Memory Fragmentation in Go", for any count, size and step. An object of n bytes
// is what make([]byte, n) allocates: n pointer-free bytes, of which only the address is kept.

const pointerBytes = 8

func paramCount() param {
	return param{"count", "objects allocated", 1 << 20, 1, 1 << 28, nil}
}
func paramSize() param {
	return param{"size", "bytes of one object, pointer-free", 16, 1, 1 << 28, nil}
}
func paramStep() param {
	return param{"step", "every step-th object is kept", 512, 1, 1 << 28, nil}
}

type batch struct {
	number      uint64
	count, size int
}

func (r *run) batch() batch { return batch{0, r.count("count"), r.count("size")} }

func object(p *byte, size int) []byte { return unsafe.Slice(p, size) }

func keptCount(count, step int) int { return (count-1)/step + 1 }

func liveBytes(count, size int) uint64 { return uint64(count) * uint64(pointerBytes+size) }

func allocate(r *run, b batch) []*byte {
	table := make([]*byte, b.count)
	for i := range table {
		p := &make([]byte, b.size)[0]
		contentWrite(object(p, b.size), contentTag(r.seed, b.number, uint64(i)))
		table[i] = p
	}
	return table
}

// keep returns every step-th entry in an array of its own.
func keep(table []*byte, step int) []*byte {
	kept := make([]*byte, keptCount(len(table), step))
	for i := range kept {
		kept[i] = table[i*step]
	}
	return kept
}

func (r *run) readObject(b []byte, of batch, index int) {
	if !contentMatches(b, contentTag(r.seed, of.number, uint64(index))) {
		r.invalid("object %d of batch %d has wrong content", index, of.number)
	}
	r.checksumAdd(contentDigest(b))
}

func (r *run) readTable(table []*byte, of batch, step int) {
	for i, p := range table {
		r.readObject(object(p, of.size), of, i*step)
	}
}

var seedArray = workload{
	name:    "seed_array",
	summary: "seed example 1: one array of values, one element kept",
	params:  []param{paramCount(), paramSize()},
	run: func(r *run) {
		b := r.batch()
		bytes := uint64(b.count) * uint64(b.size)
		r.stage("1", 0)
		array := make([]byte, b.count*b.size)
		for i := 0; i < b.count; i++ {
			contentWrite(array[i*b.size:(i+1)*b.size], contentTag(r.seed, b.number, uint64(i)))
		}
		r.stage("2", bytes)
		element := &array[0] // an interior pointer holds the whole array
		array = nil
		r.stage("3", bytes)
		all := object(element, b.count*b.size)
		for i := 0; i < b.count; i++ {
			r.readObject(all[i*b.size:(i+1)*b.size], b, i)
		}
		runtime.KeepAlive(element)
		element, all = nil, nil
		r.stage("4", 0)
	},
}

var seedPointers = workload{
	name:    "seed_pointers",
	summary: "seed example 2: separate objects behind an array of pointers, one kept",
	params:  []param{paramCount(), paramSize()},
	run: func(r *run) {
		b := r.batch()
		r.stage("1", 0)
		table := allocate(r, b)
		r.stage("2", liveBytes(b.count, b.size))
		r.readTable(table, b, 1)
		kept := table[0]
		table = nil
		r.stage("3", uint64(b.size))
		r.readObject(object(kept, b.size), b, 0)
		runtime.KeepAlive(kept)
	},
}

var seedPathological = workload{
	name:    "seed_pathological",
	summary: "seed example 3: every 512th object kept, then larger objects allocated",
	params: []param{paramCount(), paramSize(), paramStep(),
		{"next_count", "objects allocated after the drop", 1 << 19, 1, 1 << 28, nil},
		{"next_size", "bytes of one of those", 32, 1, 1 << 28, nil}},
	run: func(r *run) {
		first := r.batch()
		second := batch{1, r.count("next_count"), r.count("next_size")}
		step := r.count("step")
		r.stage("1", 0)
		table := allocate(r, first)
		r.stage("2", liveBytes(first.count, first.size))
		r.readTable(table, first, 1)
		kept := keep(table, step)
		table = nil
		live := liveBytes(len(kept), first.size)
		r.stage("3", live)
		r.readTable(kept, first, step)
		next := allocate(r, second)
		r.stage("4", live+liveBytes(second.count, second.size))
		r.readTable(kept, first, step)
		r.readTable(next, second, 1)
		runtime.KeepAlive(kept)
		runtime.KeepAlive(next)
	},
}

var seedStep = workload{
	name:    "seed_step",
	summary: "seed step table: every step-th of many equal objects kept",
	params:  []param{paramCount(), paramSize(), paramStep()},
	run: func(r *run) {
		b, step := r.batch(), r.count("step")
		r.stage("baseline", 0)
		table := allocate(r, b)
		kept := keep(table, step)
		table = nil
		r.stage("kept", liveBytes(len(kept), b.size))
		r.readTable(kept, b, step)
		runtime.KeepAlive(kept)
	},
}

var seedCopy = workload{
	name:    "seed_copy",
	summary: "seed remedy: example 3, then the program copies every survivor itself",
	params:  []param{paramCount(), paramSize(), paramStep()},
	run: func(r *run) {
		b, step := r.batch(), r.count("step")
		r.stage("1", 0)
		table := allocate(r, b)
		r.stage("2", liveBytes(b.count, b.size))
		kept := keep(table, step)
		table = nil
		live := liveBytes(len(kept), b.size)
		r.stage("3", live)
		for i, old := range kept {
			p := &make([]byte, b.size)[0]
			copy(object(p, b.size), object(old, b.size))
			kept[i] = p
		}
		r.stage("4", live)
		r.readTable(kept, b, step)
		runtime.KeepAlive(kept)
	},
}
