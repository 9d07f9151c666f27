// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"os"
	"runtime"
)

// describe is one parameter as the runners' --list prints it.
func (p *param) describe() map[string]any {
	m := map[string]any{"name": p.name, "help": p.help}
	if p.choices != nil {
		m["choices"], m["default"] = p.choices, p.choices[p.fallback]
	} else {
		m["default"], m["min"], m["max"] = p.fallback, p.low, p.high
	}
	return m
}

// printList writes what this program is and can do as one JSON object, like the runners.
func printList() {
	loads := []any{}
	for _, w := range workloads() {
		params := []any{}
		for i := range w.params {
			params = append(params, w.params[i].describe())
		}
		loads = append(loads, map[string]any{"name": w.name, "summary": w.summary, "needs": []any{},
			"params": params})
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"schema": recordSchema, "contract": contractVersion, "heap": "go",
		"heap_version": runtime.Version(), "capabilities": []string{"traces", "weak", "threads"},
		"options": []any{}, "workloads": loads})
}
