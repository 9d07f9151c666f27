#!/bin/sh
# SPDX-License-Identifier: MIT
# A runner that does as it is told: for tests of the command. Only shell builtins, so that it also
# runs with an empty PATH. Its heap is named after the file (run_<heap>), its behaviour after the
# workload.
heap=${0##*/run_}
params='{"name":"n","help":"h","default":3,"min":1,"max":10},{"name":"mode","help":"h","default":"none","choices":["none","copy"]}'
options='{"name":"gc","help":"marks","words":"stw|concurrent","default":1,"min":0,"max":1},{"name":"trace","help":"lines","words":"gc,scav","default":0,"min":0,"max":3},{"name":"gogc","help":"grows","words":"","default":100,"min":-1,"max":1000},{"name":"limit","help":"ends","words":"","default":0,"min":0,"max":9223372036854775807}'
workload=''
block=0
n=3
traced=''
while [ $# -gt 0 ]; do
  case $1 in
  --list)
    list=''
    for name in good crash abort hang garbage empty silent oom skipped liar wait churn seed_array; do
      list="$list${list:+,}{\"name\":\"$name\",\"summary\":\"s\",\"needs\":[],\"params\":[$params]}"
    done
    echo "{\"schema\":1,\"heap\":\"$heap\",\"heap_version\":\"1\",\"capabilities\":[],\"options\":[$options],\"workloads\":[$list]}"
    exit 0 ;;
  --workload) workload=$2 ;;
  --block) block=$2 ;;
  --set)
    case $2 in
    n=*) n=${2#n=} ;;
    trace=gc) traced=yes; echo "gc 1 of $heap" >&2 ;;
    trace=*) traced=yes ;;
    esac ;;
  --timeline) echo '{"otherData":{"dropped_events":2},"traceEvents":[{"name":"mark","ph":"X","pid":1}]}' >"$2" ;;
  esac
  shift
done
record() { # status, more members
  echo "{\"schema\":1,\"workload\":\"$workload\",\"heap\":\"$heap\",\"variant\":\"\",\"params\":{\"n\":$n},\"seed\":1,\"block\":$block,\"status\":\"$1\"$2}"
}
if [ -n "$HEAPDUEL_TRACE" ] && [ -z "$traced" ]; then
  echo 'traced, but nobody asked for it' >&2
  exit 3
fi
if [ "$workload" = churn ] && [ -n "$FAKE_WAIT" ]; then
  echo running >"$FAKE_FIFO"
  read -r _ <"$FAKE_FIFO.never"
fi
case $workload in
good | churn | seed_array) record ok ',"checksum":"00000000000000aa"' ;;
crash) kill -SEGV $$ ;;
abort) echo "the heap is broken: slot 7" >&2; kill -ABRT $$ ;;
hang) while :; do read -r _ <"$FAKE_FIFO"; done ;;
garbage) echo 'not { json' ;;
empty) ;;
silent) exit 3 ;;
oom) record oom ',"reason":"out of memory"'; exit 3 ;;
skipped) record skipped ',"reason":"needs tracing"' ;;
liar) record ok ",\"checksum\":\"$heap\"" ;;
wait) # says on the first pipe that it runs, then waits on the second until it is killed
  if [ "$heap" = second ] || [ "$block" != 0 ]; then
    echo running >"$FAKE_FIFO"
    read -r _ <"$FAKE_FIFO.never"
  fi
  record ok ',"checksum":"00000000000000aa"' ;;
esac
