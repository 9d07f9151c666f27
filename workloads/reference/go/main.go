// SPDX-License-Identifier: MIT

// Command run_go runs the suite's workloads on the real Go runtime and writes the same records as
// the runners (harness/record.md). It exists so that the nonmoving heap can be held against the
// heap it imitates. Standard library only; the command line is that of the runners.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

type options struct {
	workload string
	sets     []string
	seed     uint64
	block    uint64
	sampleMs uint64
	variant  string
	json     string
}

const usage = `usage: run_go --workload NAME [--set NAME=VALUE]... [--seed N] [--block N] [--variant TEXT] [--sample-ms N] [--json FILE]
Runs one workload once on the Go runtime and writes one record; GOGC and GOMAXPROCS are honoured.
`

const (
	exitOK     = 0
	exitUsage  = 2
	exitFailed = 3
)

func fail(code int, format string, args ...any) {
	fmt.Fprintf(os.Stderr, "run_go: "+format+"\n", args...)
	os.Exit(code)
}

func parseUint(name, text string) uint64 {
	value, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		fail(exitUsage, "--%s needs a number, not '%s'", name, text)
	}
	return value
}

// parseOptions accepts "--name value" and "--name=value". Options that only make sense for the
// other runners are accepted, so that the harness may pass one command line to all of them.
func parseOptions(args []string) options {
	o := options{seed: 1, json: "-"}
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "--") {
			fail(exitUsage, "unexpected argument '%s'", args[i])
		}
		name, value, inline := strings.Cut(args[i][2:], "=")
		switch name {
		case "map":
			continue
		case "list":
			printList()
			os.Exit(exitOK)
		case "help":
			fmt.Print(usage)
			os.Exit(exitOK)
		}
		if !inline {
			if i++; i == len(args) {
				fail(exitUsage, "--%s needs a value", name)
			}
			value = args[i]
		}
		switch name {
		case "workload":
			o.workload = value
		case "set":
			o.sets = append(o.sets, value)
		case "seed":
			o.seed = parseUint(name, value)
		case "block":
			o.block = parseUint(name, value)
		case "sample-ms":
			o.sampleMs = parseUint(name, value)
		case "variant":
			o.variant = value
		case "json":
			o.json = value
		}
	}
	if o.workload == "" {
		fail(exitUsage, "--workload NAME is missing; --list names them")
	}
	return o
}

func writeRecord(path string, r *record) error {
	line, err := json.Marshal(r.toMap())
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if path == "-" {
		_, err = os.Stdout.Write(line)
		return err
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	if _, err = file.Write(line); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

func main() {
	o := parseOptions(os.Args[1:])
	w := findWorkload(o.workload)
	r := newRun(o)
	if w == nil {
		r.rec.status, r.rec.reason = "skipped", "not written for the Go runtime"
	} else {
		r.setParams(w, o.sets)
		r.execute(w)
	}
	if err := writeRecord(o.json, &r.rec); err != nil {
		fail(exitFailed, "cannot write the record to %s: %v", o.json, err)
	}
	if r.rec.status != "ok" && r.rec.status != "skipped" {
		os.Exit(exitFailed)
	}
}
