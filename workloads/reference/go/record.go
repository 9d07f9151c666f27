// SPDX-License-Identifier: MIT

package main

import (
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

const (
	recordSchema    = 1
	contractVersion = 1 // HEAP_CONTRACT_VERSION of allocators/heap_types.h
)

// record mirrors harness/record.md. Maps marshal with sorted keys.
type record struct {
	workload, variant string
	gogc              string // set by --set gogc=, else empty
	params, config    map[string]any
	seed, block       uint64
	status, reason    string
	checksum          string
	start             map[string]any
	stages            []map[string]any
	metrics           map[string]any
	latency           [][2]uint64
	stops             *histogram
	pauseCount        uint64
	pauseTotal        uint64
	series            [][3]uint64
}

// number prints whole values as integers, exactly.
func number(value float64) any {
	if value == math.Trunc(value) && math.Abs(value) < 1<<53 {
		return int64(value)
	}
	return value
}

func (rec *record) gogcText() string {
	if rec.gogc != "" {
		return rec.gogc
	}
	if text := os.Getenv("GOGC"); text != "" {
		return text
	}
	return "100"
}

func (rec *record) toMap() map[string]any {
	m := map[string]any{
		"schema": recordSchema, "workload": rec.workload, "heap": "go", "variant": rec.variant,
		"heap_version":  runtime.Version(),
		"heap_settings": "GOGC=" + rec.gogcText() + " GOMAXPROCS=" + strconv.Itoa(runtime.GOMAXPROCS(0)),
		"params":        rec.params, "config": rec.config, "seed": rec.seed, "block": rec.block,
		"status": rec.status, "contract": contractVersion, "environment": environment(),
	}
	if rec.status != "skipped" {
		m["metrics"], m["stages"], m["forced_pauses_excluded"] = rec.metrics, rec.stages, true
	}
	if rec.status != "ok" {
		m["reason"] = rec.reason
	} else {
		m["checksum"] = rec.checksum
	}
	if rec.start != nil {
		m["start"] = rec.start
	}
	if rec.latency != nil {
		m["latency"] = rec.latency
	}
	if rec.series != nil {
		m["series"] = rec.series
	}
	if rec.stops != nil {
		m["pauses"] = map[string]any{"all": rec.stops.pairs(), "stop": rec.stops.pairs()}
	}
	return m
}

func (rec *record) quantiles(h *histogram, prefix string, names map[string]float64) {
	for name, q := range names {
		rec.metrics[prefix+name+"_ns"] = h.quantile(q)
	}
	rec.metrics[prefix+"max_ns"] = h.max
}

func (rec *record) latencyMetrics(h *histogram) {
	if h.count == 0 {
		return
	}
	rec.latency = h.pairs()
	rec.quantiles(h, "op_", map[string]float64{"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999,
		"p9999": 0.9999})
	rec.metrics["op_count"] = h.count
}

func (rec *record) pauseMetrics() {
	rec.metrics["pause_count"] = rec.pauseCount
	rec.metrics["pause_total_ns"] = rec.pauseTotal
	if rec.stops.count > 0 {
		rec.quantiles(rec.stops, "pause_", map[string]float64{"p50": 0.5, "p99": 0.99})
	}
}

func (rec *record) processMetrics() {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		rec.metrics["user_ns"] = usage.Utime.Nano()
		rec.metrics["sys_ns"] = usage.Stime.Nano()
		rec.metrics["minor_faults_count"] = usage.Minflt
		rec.metrics["major_faults_count"] = usage.Majflt
		rec.metrics["involuntary_switches_count"] = usage.Nivcsw
	}
	if peak, found := procKilobytes("/proc/self/status", "VmHWM:"); found {
		rec.metrics["peak_rss_bytes"] = peak
	}
}

// procKilobytes finds "name   123 kB" in a file of /proc; the value in bytes.
func procKilobytes(path, name string) (uint64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == name {
			value, err := strconv.ParseUint(fields[1], 10, 63)
			return value * 1024, err == nil
		}
	}
	return 0, false
}

func environment() map[string]any {
	e := map[string]any{"cores": runtime.NumCPU(), "compiler": runtime.Version(),
		"build_type": "go build"}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		// As uname prints it, like the other runners.
		machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
		if machine == "" {
			machine = runtime.GOARCH
		}
		e["kernel"] = "Linux " + strings.TrimSpace(string(text)) + " " + machine
	}
	return e
}
