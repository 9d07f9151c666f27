#!/bin/sh
# SPDX-License-Identifier: MIT
# A runner that does as it is told: for tests of the command. Only shell builtins, so that it also
# runs with an empty PATH. Its heap is named after the file (run_<heap>), its behaviour after the
# workload.
heap=${0##*/run_}
params='{"name":"n","help":"h","default":3,"min":1,"max":10},{"name":"mode","help":"h","default":"none","choices":["none","copy"]}'
workload=''
block=0
n=3
while [ $# -gt 0 ]; do
  case $1 in
  --list)
    list=''
    for name in good crash abort hang garbage empty silent oom skipped liar wait churn seed_array; do
      list="$list${list:+,}{\"name\":\"$name\",\"summary\":\"s\",\"needs\":[],\"params\":[$params]}"
    done
    echo "{\"schema\":1,\"heap\":\"$heap\",\"heap_version\":\"1\",\"capabilities\":[],\"options\":[],\"workloads\":[$list]}"
    exit 0 ;;
  --workload) workload=$2 ;;
  --block) block=$2 ;;
  --set) case $2 in n=*) n=${2#n=} ;; esac ;;
  esac
  shift
done
record() { # status, more members
  echo "{\"schema\":1,\"workload\":\"$workload\",\"heap\":\"$heap\",\"variant\":\"\",\"params\":{\"n\":$n},\"seed\":1,\"block\":$block,\"status\":\"$1\"$2}"
}
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
