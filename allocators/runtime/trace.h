// SPDX-License-Identifier: MIT
// What a collector says of itself while the program runs (heap option trace): lines in the formats
// of Go's GODEBUG=gctrace=1, scavtrace=1 and gcpacertrace=1, so that tools that read those read
// ours. Go 1.23, runtime/mgc.go, mgcscavenge.go, mgcpacer.go, mgcsweep.go; the gc line has been the
// same since 1.18, the scavenger's since 1.21.
//
// The format functions are pure: no clock, no heap. A heap fills the struct when the event is over
// and emits the line:
//   char line[HS_TRACE_LINE_BYTES];
//   hs_trace_emit(line, hs_trace_gc_format(&gc, line, sizeof line));
// Sizes are printed in whole MB or KiB (powers of 1024) and percentages in whole numbers, both
// truncated; a duration in ms with two significant digits and at most three decimals ("0.052",
// "1.1", "12"), truncated, "0" below 1 us.
#ifndef HS_RUNTIME_TRACE_H
#define HS_RUNTIME_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Room for the longest line of any kind, its newline and a terminator: 20 digits for each number.
enum { HS_TRACE_LINE_BYTES = 512 };

// Phases of a cycle that a gc line gives elapsed time for. In gc=concurrent nothing stops: the first is
// preparation, the handshakes that begin and end marking lie in the second, the third is the turn and
// the handshake after it. In gc=stw all three lie in one stop.
typedef enum hs_trace_clock {
  HS_TRACE_CLOCK_START,  // from the request of the cycle until marking begins
  HS_TRACE_CLOCK_MARK,   // marking
  HS_TRACE_CLOCK_FINISH, // from the end of marking until the program runs with the cycle over
  HS_TRACE_CLOCKS
} hs_trace_clock;

// Processor time of a cycle by who spent it. Where threads wait for a phase (a stop), it is the phase's
// elapsed time by the number of processors, as in Go.
typedef enum hs_trace_cpu {
  HS_TRACE_CPU_START,
  HS_TRACE_CPU_ASSIST, // mutators that mark to pay for what they allocate
  HS_TRACE_CPU_WORKER, // background threads (Go: dedicated and fractional workers)
  HS_TRACE_CPU_IDLE,   // marking on otherwise idle processors; 0 where the heap has none such
  HS_TRACE_CPU_FINISH,
  HS_TRACE_CPUS
} hs_trace_cpu;

// gc 7 @0.215s 10%: 0.048+16+0.084 ms clock, 0.096+0.053/9.0/11+0.16 ms cpu, 53->55->15 MB,
//   62 MB goal, 0 MB stacks, 0 MB globals, 2 P (forced)
typedef struct hs_trace_gc {
  uint64_t cycle;      // 1 is the first
  uint64_t at_ns;      // from the heap's creation to the begin of the cycle
  double cpu_fraction; // of the processor time that was available since creation, 0 .. 1
  uint64_t clock_ns[HS_TRACE_CLOCKS];
  uint64_t cpu_ns[HS_TRACE_CPUS];
  uint64_t live_start_bytes; // allocated, swept or not, when the cycle began
  uint64_t live_end_bytes;   // the same when marking ended
  uint64_t marked_bytes;     // found live
  uint64_t goal_bytes;       // that live_end_bytes should not have exceeded
  uint64_t stack_bytes;      // slots of all root frames
  uint64_t global_bytes;     // slots of all global roots
  uint32_t procs;            // processors the program may use
  bool forced;               // asked for by the program, not by the pacer
} hs_trace_gc;

// scav 128 KiB work (bg), 64 KiB work (eager), 2640 KiB now, 76% util (forced)
typedef struct hs_trace_scav {
  uint64_t background_bytes; // released since the last line by the background scavenger
  uint64_t eager_bytes;      // the same by allocation and by forced releases
  uint64_t released_bytes;   // in released state now
  uint64_t in_use_bytes;     // in spans or regions that hold objects
  uint64_t retained_bytes;   // mapped and not released; 0 prints as 0% util
  bool forced;               // by HEAP_COLLECT_RELEASE
  bool controller_reset; // the background scavenger's pacing started over; not shown when forced
} hs_trace_scav;

// pacer: assist ratio=+1.707221e+000 (scan 19 MB in 27->32 MB) workers=0++2.500000e-001
// When a cycle begins.
typedef struct hs_trace_pacer_begin {
  double assist_ratio; // bytes to mark per byte allocated
  uint64_t scan_bytes; // expected work
  uint64_t live_bytes, goal_bytes;
  uint64_t dedicated_count;   // workers that only mark
  double fractional_fraction; // of a processor that marks besides, 0 .. 1
} hs_trace_pacer_begin;

// pacer: 26% CPU (25 exp.) for 12073848+2824+221552 B work (8652344 B exp.) in 28862697 B ->
//   34345136 B (∆goal 412360, cons/mark +7.934450e-001)
// When marking ends.
typedef struct hs_trace_pacer_end {
  double cpu_fraction, goal_fraction; // of the processors that marked, and that should have
  uint64_t heap_work_bytes, stack_work_bytes, global_work_bytes;
  uint64_t expected_work_bytes;
  uint64_t trigger_bytes, live_bytes, goal_bytes;
  double cons_mark; // the estimate this cycle was paced with: bytes allocated per byte marked
  bool controller_reset;
} hs_trace_pacer_end;

// pacer: sweep done at heap size 34MB; allocated 3MB during sweep; swept 1024 pages at
//   +1.220703e-004 pages/byte
typedef struct hs_trace_pacer_sweep {
  uint64_t live_bytes;      // when the last page was swept
  uint64_t allocated_bytes; // since sweeping began
  uint64_t swept_page_count;
  double pages_per_byte; // rate of proportional sweeping; 0 where sweeping is not paced
} hs_trace_pacer_sweep;

// Write the line, newline included, into out[0 .. bytes) and terminate it. Returns its length; a line
// longer than `bytes` is cut, and none is longer than HS_TRACE_LINE_BYTES - 1. Any thread.
size_t hs_trace_gc_format(const hs_trace_gc *trace, char *out, size_t bytes);
size_t hs_trace_scav_format(const hs_trace_scav *trace, char *out, size_t bytes);
size_t hs_trace_pacer_begin_format(const hs_trace_pacer_begin *trace, char *out, size_t bytes);
size_t hs_trace_pacer_end_format(const hs_trace_pacer_end *trace, char *out, size_t bytes);
size_t hs_trace_pacer_sweep_format(const hs_trace_pacer_sweep *trace, char *out, size_t bytes);

// Put a formatted line on standard error as one write, so that lines of several threads and heaps do
// not mix. Does not allocate. Any thread; preferably one that holds up nobody.
void hs_trace_emit(const char *line, size_t length);

#endif
