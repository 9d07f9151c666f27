#!/bin/sh
# SPDX-License-Identifier: MIT
# Explores every state of one configuration of a model: check.sh MODEL holds|fails [-DNAME[=VALUE]...]
# "holds" passes when the exploration is complete and found no error. "fails", for a negative control,
# passes only when it found one: a violated assertion or a deadlock, not a compiler's error or a lack
# of memory. Exit status 77: spin is not installed.
set -eu

[ $# -ge 2 ] || { echo "usage: check.sh MODEL holds|fails [-DNAME...]" >&2 && exit 2; }
model=$(CDPATH='' cd -P "$(dirname "$1")" && pwd)/$(basename "$1")
expected=$2
shift 2
command -v spin >/dev/null || exit 77

MEMORY_MIB=2000  # an exploration that needs more is too large for a test
DEPTH=4000000    # steps; longer than the longest path of any configuration, 27 bytes each

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
spin -a "$@" "$model" >spin.out 2>&1 || { cat spin.out && exit 2; }
"${CC:-cc}" -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=$MEMORY_MIB -o pan pan.c
./pan -m$DEPTH -w22 >pan.out 2>&1 || true

complain() {
  echo "check.sh: $*"
  cat pan.out
  exit 1
}

if grep -qE 'max search depth too small|out of memory|Search not completed' pan.out; then
  complete=no
else
  complete=yes
fi
case $expected in
holds)
  [ $complete = yes ] || complain "the exploration is not complete"
  grep -q 'errors: 0$' pan.out || complain "the model does not hold"
  grep -E 'states, stored' pan.out
  ;;
fails)
  grep -E '^pan:1: (assertion violated|invalid end state)' pan.out ||
    complain "the negative control was not caught"
  ;;
*) complain "neither holds nor fails: $expected" ;;
esac
