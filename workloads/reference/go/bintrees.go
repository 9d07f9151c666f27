// SPDX-License-Identifier: MIT

package main

import "runtime"

type tree struct{ left, right *tree }

const bintreesDepthLow = 4

func treeBuild(depth uint64) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{treeBuild(depth - 1), treeBuild(depth - 1)}
}

func (t *tree) count() uint64 {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

var bintrees = workload{
	name:    "bintrees",
	summary: "binary-trees: many short-lived trees over a long-lived one",
	params: []param{{"depth", "depth of the long-lived tree; 2^(depth+1) nodes", 16,
		bintreesDepthLow, 26, nil}},
	run: func(r *run) {
		maxDepth := r.value("depth")
		var trees uint64
		r.timedBegin()
		r.checksumAdd(treeBuild(maxDepth + 1).count())
		long := treeBuild(maxDepth)
		for depth := uint64(bintreesDepthLow); depth <= maxDepth; depth += 2 {
			repeats := uint64(1) << (maxDepth - depth + bintreesDepthLow)
			var nodes uint64
			for i := uint64(0); i < repeats; i++ {
				nodes += treeBuild(depth).count()
			}
			r.checksumAdd(nodes)
			trees += repeats
		}
		r.timedEnd(trees)
		nodes := long.count()
		r.checksumAdd(nodes)
		r.stage("end", nodes*2*pointerBytes)
		r.checksumAdd(long.count())
		runtime.KeepAlive(long)
	},
}
