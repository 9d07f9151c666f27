// SPDX-License-Identifier: MIT

package main

import (
	"encoding/binary"
	"reflect"
	"unsafe"
)

// workloads/cache.c on the Go runtime. An entry is one object as in C, links followed by raw bytes,
// so that both heaps are asked for the same sizes: a struct type of each size is made by reflection.

type cachePolicy int

const (
	cacheLRU cachePolicy = iota
	cacheSampled
)

const (
	linkChain = iota
	linkOlder
	linkNewer
	linkCount
)

const (
	cacheValueMin = 2 * wordBytes // the header: number; key and raw bytes
	cacheSamples  = 5
	cacheStream   = 0xcac4e
)

type cacheEntry = unsafe.Pointer

type cacheHeader struct {
	number     uint64
	key, bytes uint32
}

type cache struct {
	r                    *run
	table                []cacheEntry
	newest, oldest       cacheEntry
	policy               cachePolicy
	links                uint64
	capacity, entryBytes uint64
	entryCount, putCount uint64
	tickPuts             uint64 // as in C
	evictsLate           bool
	digest               uint64
	g                    *rng
	types                map[uint64]reflect.Type // by words of raw bytes
}

func cacheLinks(policy cachePolicy) uint64 {
	if policy == cacheLRU {
		return linkCount
	}
	return 1
}

func cacheEntryBytes(policy cachePolicy, value uint64) uint64 {
	return cacheLinks(policy)*pointerBytes + value
}

func (r *run) newCache(policy cachePolicy, capacity, typical uint64) *cache {
	buckets := uint64(1)
	for 2*buckets*typical <= capacity {
		buckets *= 2
	}
	return &cache{r: r, table: make([]cacheEntry, buckets), policy: policy, links: cacheLinks(policy),
		capacity: capacity, tickPuts: 1, g: newRng(r.seed ^ cacheStream), types: map[uint64]reflect.Type{}}
}

func (c *cache) live() uint64 { return uint64(len(c.table))*pointerBytes + c.entryBytes }

func (c *cache) allocate(bytes uint64) cacheEntry {
	words := (bytes + wordBytes - 1) / wordBytes
	t := c.types[words]
	if t == nil {
		t = reflect.StructOf([]reflect.StructField{
			{Name: "Links", Type: reflect.ArrayOf(int(c.links), reflect.TypeOf(unsafe.Pointer(nil)))},
			{Name: "Raw", Type: reflect.ArrayOf(int(words), reflect.TypeOf(uint64(0)))}})
		c.types[words] = t
	}
	return reflect.New(t).UnsafePointer()
}

func cacheLink(e cacheEntry, slot int) *cacheEntry {
	return (*cacheEntry)(unsafe.Add(e, slot*pointerBytes))
}

func (c *cache) raw(e cacheEntry, bytes uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(e, c.links*pointerBytes)), bytes)
}

func (c *cache) header(e cacheEntry) cacheHeader {
	raw := c.raw(e, cacheValueMin)
	return cacheHeader{binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint32(raw[wordBytes:]),
		binary.LittleEndian.Uint32(raw[wordBytes+4:])}
}

func (c *cache) bucket(key uint32) int { return int(mix64(uint64(key)) & uint64(len(c.table)-1)) }

func (c *cache) tag(h cacheHeader) uint64 { return contentTag(c.r.seed, uint64(h.key), h.number) }

func (c *cache) check(e cacheEntry) cacheHeader {
	h := c.header(e)
	if h.number >= c.putCount || h.bytes < cacheValueMin || uint64(h.bytes) > c.capacity {
		c.r.invalid("an entry of the cache has an impossible header")
	}
	if !contentMatches(c.raw(e, uint64(h.bytes))[cacheValueMin:], c.tag(h)) {
		c.r.invalid("entry %d of the cache has wrong content", h.number)
	}
	return h
}

func (c *cache) listPush(e cacheEntry) {
	*cacheLink(e, linkOlder), *cacheLink(e, linkNewer) = c.newest, nil
	if c.newest == nil {
		c.oldest = e
	} else {
		*cacheLink(c.newest, linkNewer) = e
	}
	c.newest = e
}

func (c *cache) listRemove(e cacheEntry) {
	older, newer := *cacheLink(e, linkOlder), *cacheLink(e, linkNewer)
	if older == nil {
		c.oldest = newer
	} else {
		*cacheLink(older, linkNewer) = newer
	}
	if newer == nil {
		c.newest = older
	} else {
		*cacheLink(newer, linkOlder) = older
	}
}

func (c *cache) random() cacheEntry {
	buckets := uint64(len(c.table))
	bucket := c.g.below(buckets)
	for c.table[bucket] == nil {
		bucket = (bucket + 1) & (buckets - 1)
	}
	length := uint64(0)
	for e := c.table[bucket]; e != nil; e = *cacheLink(e, linkChain) {
		length++
	}
	e := c.table[bucket]
	for skip := c.g.below(length); skip > 0; skip-- {
		e = *cacheLink(e, linkChain)
	}
	return e
}

func (c *cache) find(key uint32) (e, before cacheEntry) {
	for e = c.table[c.bucket(key)]; e != nil && c.header(e).key != key; e = *cacheLink(e, linkChain) {
		before = e
	}
	return e, before
}

func (c *cache) remove(e, before cacheEntry) {
	h := c.check(e)
	if before == nil {
		c.table[c.bucket(h.key)] = *cacheLink(e, linkChain)
	} else {
		*cacheLink(before, linkChain) = *cacheLink(e, linkChain)
	}
	if c.policy == cacheLRU {
		c.listRemove(e)
	}
	c.digest = mix64(c.digest ^ h.number)
	c.entryBytes -= cacheEntryBytes(c.policy, uint64(h.bytes))
	c.entryCount--
}

func (c *cache) toEvict() cacheEntry {
	if c.policy == cacheLRU {
		return c.oldest
	}
	oldest := c.random()
	oldestTick := c.header(oldest).number / c.tickPuts
	for sample := 1; sample < cacheSamples; sample++ {
		e := c.random()
		if tick := c.header(e).number / c.tickPuts; tick < oldestTick {
			oldest, oldestTick = e, tick
		}
	}
	return oldest
}

func (c *cache) evict() {
	key := c.header(c.toEvict()).key
	e, before := c.find(key)
	if e == nil {
		c.r.invalid("key %d is not in its chain", key)
	}
	c.remove(e, before)
}

func (c *cache) evictExcess() {
	for c.entryBytes > c.capacity {
		c.evict()
	}
}

func (c *cache) put(key uint32, bytes uint64) {
	payload := cacheEntryBytes(c.policy, bytes)
	if old, before := c.find(key); old != nil {
		c.remove(old, before)
	}
	for !c.evictsLate && c.entryBytes+payload > c.capacity {
		c.evict()
	}
	h := cacheHeader{c.putCount, key, uint32(bytes)}
	c.putCount++
	e := c.allocate(bytes)
	raw := c.raw(e, bytes)
	binary.LittleEndian.PutUint64(raw, h.number)
	binary.LittleEndian.PutUint32(raw[wordBytes:], h.key)
	binary.LittleEndian.PutUint32(raw[wordBytes+4:], h.bytes)
	contentWrite(raw[cacheValueMin:], c.tag(h))
	bucket := c.bucket(key)
	*cacheLink(e, linkChain) = c.table[bucket]
	c.table[bucket] = e
	if c.policy == cacheLRU {
		c.listPush(e)
	}
	c.entryBytes += payload
	c.entryCount++
}

func (c *cache) touch(e cacheEntry) {
	if c.policy == cacheLRU {
		c.listRemove(e)
		c.listPush(e)
	}
}

func (c *cache) get(key uint32) bool {
	e, _ := c.find(key)
	if e != nil {
		c.touch(e)
	}
	return e != nil
}

func (c *cache) touchRandom() {
	if c.entryCount > 0 {
		c.touch(c.random())
	}
}

func (c *cache) readList() {
	var newer cacheEntry
	e, count := c.newest, uint64(0)
	for ; e != nil && count <= c.entryCount; count++ {
		if *cacheLink(e, linkNewer) != newer {
			c.r.invalid("the list of the cache is broken")
		}
		c.r.checksumAdd(c.header(e).number)
		newer, e = e, *cacheLink(e, linkOlder)
	}
	if count != c.entryCount || newer != c.oldest {
		c.r.invalid("the list of the cache is not its entries")
	}
}

func (c *cache) read() {
	var count, bytes uint64
	for bucket, e := range c.table {
		for ; e != nil; e = *cacheLink(e, linkChain) {
			h := c.check(e)
			if c.bucket(h.key) != bucket {
				c.r.invalid("key %d is in the wrong chain", h.key)
			}
			c.r.checksumAdd(contentDigest(c.raw(e, uint64(h.bytes))))
			bytes += cacheEntryBytes(c.policy, uint64(h.bytes))
			count++
		}
	}
	if count != c.entryCount || bytes != c.entryBytes || bytes > c.capacity {
		c.r.invalid("%d entries of %d bytes should be in the cache, %d of %d are", c.entryCount,
			c.entryBytes, count, bytes)
	}
	if c.policy == cacheLRU {
		c.readList()
	}
	c.r.checksumAdd(count)
	c.r.checksumAdd(c.putCount)
	c.r.checksumAdd(c.digest)
}
