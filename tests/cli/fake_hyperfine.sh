#!/bin/sh
# SPDX-License-Identifier: MIT
# Answers as hyperfine 1.19 does: one result per command that is not an option.
[ "$1" = --version ] && { echo "hyperfine 1.19.0"; exit 0; }
file=''
results=''
for word; do
  case $word in
  --export-json=*) file=${word#--export-json=} ;;
  --*) ;;
  *) results="$results${results:+,}{\"command\":\"c\",\"mean\":0.5,\"stddev\":null,\"median\":0.5,\"user\":0.1,\"system\":0.1,\"min\":0.5,\"max\":0.5,\"times\":[0.5],\"memory_usage_byte\":[1024],\"exit_codes\":[0]}" ;;
  esac
done
[ -n "$FAKE_HYPERFINE_FAILS" ] && { echo "Error: no such command" >&2; exit 1; }
echo "{\"results\":[$results]}" >"$file"
