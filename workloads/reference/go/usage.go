// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"runtime"
)

// usageProbe is workloads/usage.c: memory in proportion to what is live. The footprint is what the seed
// calls heap usage, HeapSys - HeapReleased. A reading allocates nothing.
type usageProbe struct {
	r                          *run
	statm                      *os.File
	stats                      runtime.MemStats
	text                       [128]byte
	startFootprint, startRSS   uint64
	peakFootprint, peakRSS     uint64
	footprintRatios, rssRatios float64
	samples                    float64
}

func (r *run) newUsage() *usageProbe {
	u := &usageProbe{r: r}
	u.statm, _ = os.Open("/proc/self/statm") // without it the RSS reads as zero
	u.startFootprint, u.startRSS = u.now()
	return u
}

func (u *usageProbe) now() (footprint, rss uint64) {
	runtime.ReadMemStats(&u.stats)
	if u.statm != nil {
		n, _ := u.statm.ReadAt(u.text[:], 0)
		rss = secondNumber(u.text[:n]) * uint64(os.Getpagesize())
	}
	return u.stats.HeapSys - u.stats.HeapReleased, rss
}

func above(value, start uint64) uint64 {
	if value < start {
		return 0
	}
	return value - start
}

func (u *usageProbe) growth() (footprint, rss uint64) {
	footprint, rss = u.now()
	return above(footprint, u.startFootprint), above(rss, u.startRSS)
}

func (u *usageProbe) moment(prefix string, live uint64) {
	footprint, rss := u.growth()
	u.r.metric(prefix+"footprint_ratio", float64(footprint)/float64(live))
	u.r.metric(prefix+"rss_ratio", float64(rss)/float64(live))
}

func (u *usageProbe) mark(name string, live uint64) { u.moment(name+"_raw_", live) }

func (u *usageProbe) stage(name string, live uint64) {
	u.mark(name, live)
	u.r.stage(name, live)
	u.moment(name+"_", live)
}

func (u *usageProbe) sample(live uint64) {
	footprint, rss := u.growth()
	if footprint > u.peakFootprint {
		u.peakFootprint = footprint
	}
	if rss > u.peakRSS {
		u.peakRSS = rss
	}
	u.footprintRatios += float64(footprint) / float64(live)
	u.rssRatios += float64(rss) / float64(live)
	u.samples++
}

func (u *usageProbe) report(name string) {
	u.r.metric(name+"_mean_footprint_ratio", u.footprintRatios/u.samples)
	u.r.metric(name+"_mean_rss_ratio", u.rssRatios/u.samples)
	u.r.metric(name+"_peak_footprint_bytes", float64(u.peakFootprint))
	u.r.metric(name+"_peak_rss_bytes", float64(u.peakRSS))
	u.peakFootprint, u.peakRSS = 0, 0
	u.footprintRatios, u.rssRatios, u.samples = 0, 0, 0
}
