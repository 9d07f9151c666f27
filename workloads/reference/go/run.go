// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// param is a parameter of a workload, with the limits of the C workload of the same name.
type param struct {
	name, help          string
	fallback, low, high uint64
	choices             []string // nil for numbers
}

type workload struct {
	name, summary string
	params        []param
	run           func(*run)
}

// run is one run of one workload: the services of workloads/workload.h.
type run struct {
	rec      record
	w        *workload
	values   map[string]uint64
	seed     uint64
	sampleMs uint64 // 0: no series
	begin    time.Time
	sum      uint64
	latency  *histogram

	timed                  bool
	sectionWall, stageWall int64
	sectionCPU, stageCPU   int64
	timedWall, timedCPU    int64
	operations             uint64
	pauses                 pauseCounter
}

func workloads() []*workload {
	return []*workload{&seedArray, &seedPointers, &seedPathological, &seedStep, &seedCopy, &churnLoad,
		&bintrees, &allocLoad, &mstressLoad, &sizeShiftLoad, &lruCacheLoad, &redisFragLoad,
		&adversaryLoad, &derefLoad, &pinsLoad, &writeHotLoad}
}

func findWorkload(name string) *workload {
	for _, w := range workloads() {
		if w.name == name {
			return w
		}
	}
	return nil
}

func newRun(o options) *run {
	r := &run{seed: o.seed, sampleMs: o.sampleMs, values: map[string]uint64{}, latency: newHistogram()}
	r.rec = record{workload: o.workload, variant: o.variant, seed: o.seed, block: o.block,
		status: "ok", params: map[string]any{}, config: map[string]any{}, metrics: map[string]any{}}
	return r
}

// setParams takes the defaults, then the --set options. A name that the workload does not have is an
// option of some other heap: kept in the record's config, gogc being the one that Go understands.
func (r *run) setParams(w *workload, sets []string) {
	r.w = w
	for _, p := range w.params {
		r.values[p.name] = p.fallback
	}
	for _, set := range sets {
		name, text, found := strings.Cut(set, "=")
		if !found || name == "" {
			fail(exitUsage, "'%s' is not of the form name=value", set)
		}
		if p := w.param(name); p != nil {
			r.values[name] = p.parse(text)
			continue
		}
		value, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			fail(exitUsage, "option %s cannot be '%s': use a number", name, text)
		}
		r.rec.config[name] = value
		if name == "gogc" {
			debug.SetGCPercent(int(value))
			r.rec.gogc = text
		}
	}
	for _, p := range w.params {
		if p.choices != nil {
			r.rec.params[p.name] = p.choices[r.values[p.name]]
		} else {
			r.rec.params[p.name] = r.values[p.name]
		}
	}
}

func (w *workload) param(name string) *param {
	for i := range w.params {
		if w.params[i].name == name {
			return &w.params[i]
		}
	}
	return nil
}

var suffixShifts = map[string]uint{"": 0, "K": 10, "KiB": 10, "M": 20, "MiB": 20, "G": 30, "GiB": 30}

// parseNumber takes the suffixes that the runners take.
func parseNumber(text string) (uint64, bool) {
	digits := strings.TrimRight(text, "kmgKMGiB")
	suffix := text[len(digits):]
	if suffix != "" {
		suffix = strings.ToUpper(suffix[:1]) + suffix[1:]
	}
	shift, known := suffixShifts[suffix]
	value, err := strconv.ParseUint(digits, 10, 63)
	if !known || err != nil || value > math.MaxInt64>>shift {
		return 0, false
	}
	return value << shift, true
}

func (p *param) parse(text string) uint64 {
	for i, choice := range p.choices {
		if choice == text {
			return uint64(i)
		}
	}
	if p.choices != nil {
		fail(exitUsage, "parameter %s cannot be '%s': use one of %s", p.name, text,
			strings.Join(p.choices, "|"))
	}
	value, known := parseNumber(text)
	if !known || value < p.low || value > p.high {
		fail(exitUsage, "parameter %s cannot be '%s': use a number from %d to %d", p.name, text, p.low,
			p.high)
	}
	return value
}

func (r *run) value(name string) uint64 {
	value, found := r.values[name]
	if !found {
		panic("no parameter " + name)
	}
	return value
}

func (r *run) count(name string) int { return int(r.value(name)) }

// invalid ends the run: the workload saw wrong data.
type invalid string

func (r *run) invalid(format string, args ...any) { panic(invalid(fmt.Sprintf(format, args...))) }

func (r *run) checksumAdd(value uint64) { r.sum = mix64(r.sum ^ value) }

func (r *run) metric(name string, value float64) { r.rec.metrics[name] = number(value) }

func cpuNow() int64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func (r *run) now() int64 { return int64(time.Since(r.begin)) }

// stage measures after a full collection and release. debug.FreeOSMemory forces a collection
// itself; the one before it lets finalizers and sweeping of the first settle, as the seed does.
func (r *run) stage(name string, live uint64) {
	wall, cpu := r.now(), cpuNow()
	r.pauses.count(&r.rec)
	runtime.GC()
	debug.FreeOSMemory()
	r.rec.stages = append(r.rec.stages, r.measure(name, live))
	r.pauses.skip()
	r.stageWall += r.now() - wall
	r.stageCPU += cpuNow() - cpu
}

func (r *run) timedBegin() {
	r.timed = true
	r.stageWall, r.stageCPU = 0, 0
	r.sectionCPU, r.sectionWall = cpuNow(), r.now()
}

func (r *run) timedEnd(operations uint64) {
	r.timedWall += r.now() - r.sectionWall - r.stageWall
	r.timedCPU += cpuNow() - r.sectionCPU - r.stageCPU
	r.operations += operations
}

func (r *run) execute(w *workload) {
	r.begin = time.Now()
	stop := startSampler(r) // before the start is measured: its buffer is on this heap
	r.rec.start = r.measure("start", 0)
	r.pauses.skip()
	func() {
		defer func() {
			if problem := recover(); problem != nil {
				text, known := problem.(invalid)
				if !known {
					panic(problem)
				}
				r.rec.status, r.rec.reason = "invalid", string(text)
			}
		}()
		begin, cpu := r.now(), cpuNow()
		w.run(r)
		if !r.timed {
			r.timedWall = r.now() - begin - r.stageWall
			r.timedCPU = cpuNow() - cpu - r.stageCPU
		}
	}()
	r.metric("wall_ns", float64(r.now()))
	r.rec.series = stop()
	r.finish()
}

func (r *run) finish() {
	r.metric("timed_wall_ns", float64(r.timedWall))
	r.metric("timed_cpu_ns", float64(r.timedCPU))
	if r.operations > 0 && r.timedWall > 0 {
		operations := float64(r.operations)
		r.metric("ops_count", operations)
		r.metric("ops_per_s", operations/float64(r.timedWall)*1e9)
		r.metric("ns_per_op", float64(r.timedWall)/operations)
	}
	r.pauses.count(&r.rec)
	r.rec.pauseMetrics()
	r.rec.latencyMetrics(r.latency)
	r.rec.processMetrics()
	if r.rec.status == "ok" {
		r.rec.checksum = fmt.Sprintf("%016x", r.sum)
	}
}
