// SPDX-License-Identifier: MIT

package main

import (
	"encoding/binary"
	"sync"
	"unsafe"
)

// workloads/mstress.c on the Go runtime: the same operations in the same order on each thread, the
// same content, the same checksum. Objects without references are pointer-free bytes of which only
// the address is kept, as in seed.go; the table says what a slot holds by its number.

const (
	linkBytes    = 56 // raw bytes of an object with a reference
	linkEvery    = 4
	sizeAlign    = 8
	lockCount    = 256
	slotsPerLock = 8
	threadShift  = 48
	headerBytes  = 3 * wordBytes // id, next id, raw bytes
	sizeMin      = headerBytes + wordBytes
)

type link struct {
	next *link
	raw  [linkBytes]byte
}

// paddedLock has a cache line of its own.
type paddedLock struct {
	sync.Mutex
	_ [64 - unsafe.Sizeof(sync.Mutex{})]byte
}

type tally struct{ count, sum uint64 }

func (t *tally) add(word uint64) { t.count, t.sum = t.count+1, t.sum+word }

func (t *tally) merge(from tally) { t.count, t.sum = t.count+from.count, t.sum+from.sum }

type mstress struct {
	seed, ops, octaves, sizeLow, sizeHigh uint64
	chain                                 int
	reuse                                 bool             // noalloc=1
	table                                 []unsafe.Pointer // *link in every fourth slot, else *byte
	locks                                 [lockCount]paddedLock
}

// stressWorker is one thread at work; apart from those of others.
type stressWorker struct {
	_                [apartBytes]byte
	s                *mstress
	held             *link
	heldID           uint64
	spare            unsafe.Pointer // with noalloc=1: a leaf to write over
	spareLink        *link
	number, sequence uint64
	g                rng
	latency          *histogram
	created, dropped tally
	wrong            string
	_                [apartBytes]byte
}

func (s *mstress) worker(number uint64) *stressWorker {
	return &stressWorker{s: s, number: number, g: *newRng(contentTag(s.seed, number, 0)),
		latency: newHistogram()}
}

func (s *mstress) sizeDraw(g *rng) int {
	octave := s.sizeLow << g.below(s.octaves)
	bytes := octave + g.below(octave)
	if bytes > s.sizeHigh {
		bytes = s.sizeHigh
	}
	return int(bytes / sizeAlign * sizeAlign)
}

// create makes a new object for the slot, which takes over the chain held.
func (w *stressWorker) create(slot int) unsafe.Pointer {
	var object unsafe.Pointer
	var raw []byte
	var nextID uint64
	if slot%linkEvery == 0 {
		fresh := w.spareLink
		if w.spareLink = nil; fresh == nil {
			fresh = new(link)
		}
		object, raw, nextID = unsafe.Pointer(fresh), fresh.raw[:], w.heldID
		fresh.next, w.held, w.heldID = w.held, nil, 0
	} else {
		size := w.s.sizeDraw(&w.g)
		if object = w.spare; object == nil {
			raw = make([]byte, size)
			object = unsafe.Pointer(&raw[0])
		} else {
			raw, w.spare = w.leaf(object), nil
		}
	}
	sequence := w.sequence
	w.sequence++
	tag := contentTag(w.s.seed, w.number, sequence)
	binary.LittleEndian.PutUint64(raw, w.number<<threadShift|(sequence+1))
	binary.LittleEndian.PutUint64(raw[wordBytes:], nextID)
	binary.LittleEndian.PutUint64(raw[2*wordBytes:], uint64(len(raw)))
	contentWrite(raw[headerBytes:], tag)
	w.created.add(tag)
	return object
}

func (w *stressWorker) isWhole(raw []byte) bool {
	id := binary.LittleEndian.Uint64(raw)
	number, sequence := id>>threadShift, id&(1<<threadShift-1)-1
	return binary.LittleEndian.Uint64(raw[2*wordBytes:]) == uint64(len(raw)) &&
		contentMatches(raw[headerBytes:], contentTag(w.s.seed, number, sequence))
}

// leaf is the bytes of an object without references; nil when what it says of its size is impossible.
func (w *stressWorker) leaf(object unsafe.Pointer) []byte {
	bytes := *(*uint64)(unsafe.Add(object, 2*wordBytes))
	if bytes < sizeMin || bytes > w.s.sizeHigh {
		return nil
	}
	return unsafe.Slice((*byte)(object), bytes)
}

func (w *stressWorker) tallyDrop(raw []byte) {
	w.dropped.add(binary.LittleEndian.Uint64(raw[headerBytes:]))
}

func (w *stressWorker) dropLeaf(raw []byte) {
	w.tallyDrop(raw)
	if w.s.reuse && w.spare == nil {
		w.spare = unsafe.Pointer(&raw[0])
	}
}

func (w *stressWorker) dropLink(object *link) {
	w.tallyDrop(object.raw[:])
	if w.s.reuse && w.spareLink == nil {
		object.next = nil
		w.spareLink = object
	}
}

// check follows a chain: its length, its last object and the one before; length 0 when it is broken.
func (w *stressWorker) check(first *link) (length int, last, before *link) {
	if !w.isWhole(first.raw[:]) {
		return 0, nil, nil
	}
	length, last = 1, first
	for {
		wanted := binary.LittleEndian.Uint64(last.raw[wordBytes:])
		if wanted == 0 {
			break
		}
		next := last.next
		if next == nil || length == w.s.chain || !w.isWhole(next.raw[:]) ||
			binary.LittleEndian.Uint64(next.raw[:]) != wanted {
			return 0, nil, nil
		}
		before, last = last, next
		length++
	}
	if last.next != nil {
		return 0, nil, nil
	}
	return length, last, before
}

func (w *stressWorker) hold(first *link) {
	w.held, w.heldID = first, binary.LittleEndian.Uint64(first.raw[:])
}

func (w *stressWorker) receive(slot int, object unsafe.Pointer) {
	if slot%linkEvery == 0 {
		first := (*link)(object)
		length, last, before := w.check(first)
		switch {
		case length == 0:
			w.wrong = "a chain received from the table is broken"
		case length < w.s.chain:
			w.hold(first)
		case length > 1:
			before.next = nil
			binary.LittleEndian.PutUint64(before.raw[wordBytes:], 0)
			w.dropLink(last)
			w.hold(first)
		default:
			w.dropLink(first)
		}
		return
	}
	if raw := w.leaf(object); raw == nil || !w.isWhole(raw) {
		w.wrong = "an object received from the table has wrong content"
	} else {
		w.dropLeaf(raw)
	}
}

func (w *stressWorker) step() {
	slot := int(w.g.below(uint64(len(w.s.table))))
	fresh := w.create(slot)
	lock := &w.s.locks[slot/slotsPerLock%lockCount]
	lock.Lock()
	received := w.s.table[slot]
	w.s.table[slot] = fresh
	lock.Unlock()
	w.receive(slot, received)
}

func (w *stressWorker) dropChain(first *link) {
	for first != nil {
		next := first.next
		w.dropLink(first)
		first = next
	}
}

func (w *stressWorker) run(r *run) uint64 {
	op, before := uint64(0), r.now()
	for ; op < w.s.ops && w.wrong == ""; op++ {
		w.step()
		now := r.now()
		w.latency.add(uint64(now - before))
		before = now
	}
	w.dropChain(w.held)
	w.held = nil
	return op
}

// checkTable is table_check: the payload that the table keeps alive.
func (w *stressWorker) checkTable(r *run) uint64 {
	live := uint64(len(w.s.table)) * pointerBytes
	for slot, object := range w.s.table {
		if slot%linkEvery == 0 {
			length, _, _ := w.check((*link)(object))
			if length == 0 {
				r.invalid("the chain in slot %d of the table is broken", slot)
			}
			live += uint64(length) * (pointerBytes + linkBytes)
			continue
		}
		raw := w.leaf(object)
		if raw == nil || !w.isWhole(raw) {
			r.invalid("the object in slot %d of the table has wrong content", slot)
		}
		live += uint64(len(raw))
	}
	return live
}

func (w *stressWorker) dropTable() {
	for slot, object := range w.s.table {
		if slot%linkEvery == 0 {
			w.dropChain((*link)(object))
		} else {
			w.dropLeaf(w.leaf(object))
		}
		w.s.table[slot] = nil
	}
}

func mstressRun(r *run) {
	s := &mstress{seed: r.seed, ops: r.value("ops"), chain: r.count("chain"), octaves: 1,
		sizeLow: r.value("size_low"), sizeHigh: r.value("size_high"), reuse: r.value("noalloc") != 0,
		table: make([]unsafe.Pointer, 1<<r.value("slots"))}
	for s.sizeLow<<s.octaves < s.sizeHigh {
		s.octaves++
	}
	table := s.worker(0)
	for slot := range s.table {
		s.table[slot] = table.create(slot)
		table.held, table.heldID = nil, 0
	}
	workers := make([]*stressWorker, r.count("threads"))
	for i := range workers {
		workers[i] = s.worker(uint64(i) + 1)
	}
	r.runThreads(len(workers), func(index int) uint64 { return workers[index].run(r) })
	created := table.created
	for i, w := range workers {
		if w.wrong != "" {
			r.invalid("thread %d: %s", i, w.wrong)
		}
		created.merge(w.created)
		table.dropped.merge(w.dropped)
		r.latency.merge(w.latency)
	}
	r.stage("end", table.checkTable(r))
	table.checkTable(r)
	table.dropTable()
	if table.dropped != created {
		r.invalid("%d objects created, %d found, or others", created.count, table.dropped.count)
	}
	r.checksumAdd(table.dropped.count)
	r.checksumAdd(table.dropped.sum)
}

var mstressLoad = workload{
	name:    "mstress",
	summary: "threads exchange objects through a shared table",
	params: []param{paramThreads("threads, each doing `ops` operations", 2),
		{"ops", "operations of each thread", 1000000, 1, 1 << 40, nil},
		{"slots", "log2 of the slots of the shared table", 16, 1, 26, nil},
		{"chain", "objects in the longest chain", 4, 1, 1024, nil},
		{"size_low", "smallest object without references, bytes", 32, sizeMin, 1024, nil},
		{"size_high", "size that no object exceeds, bytes", 256, 64, 32768, nil},
		{"noalloc", "1: write over dropped objects instead of allocating (floor)", 0, 0, 1, nil}},
	run: mstressRun,
}
