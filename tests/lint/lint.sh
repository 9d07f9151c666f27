#!/bin/sh
# SPDX-License-Identifier: MIT
# One house rule over the whole tree: lint.sh RULE FOLDER. Prints a line per finding and exits 1 if
# there is one; 77 if the tool that a rule needs is not installed. Rules: see the functions rule_*.
set -eu

[ $# -eq 2 ] || { echo "usage: lint.sh RULE FOLDER" >&2 && exit 2; }
rule=$1
here=$(CDPATH='' cd -P "$(dirname "$0")" && pwd)
cd "$2"

FILE_LINES=600
FUNCTION_LINES=60
FORMATTER_MAJOR=14 # other versions of clang-format lay out some constructs differently

# Files whose names match one of the given patterns, a line each, below the top folder; not what is
# built or generated.
files() {
  expression=
  for pattern in "$@"; do
    expression="$expression${expression:+ -o }-name $pattern"
  done
  set -f
  # shellcheck disable=SC2086 # the expression is words on purpose
  find . \( -name .git -o -name 'build*' -o -name 'out*' \) -prune -o \
    -type f \( $expression \) -print | sed 's|^\./||' | sort
  set +f
}

c_files() { files '*.c' '*.h'; }
shell_files() { files '*.sh' heapduel run | grep -v '^workloads/'; }
text_files() {
  files '*.c' '*.h' '*.md' '*.sh' '*.awk' '*.cmake' '*.go' '*.java' CMakeLists.txt heapduel run
}
cited_files() { files '*.c' '*.h' '*.md' '*.go' '*.java'; }

# Names on standard input, given to a command as arguments (none of them has a space).
each() { xargs -r "$@"; }

rule_includes() { c_files | each awk -f "$here/includes.awk" "$here/include_rules.txt"; }

rule_lengths() {
  { c_files && files '*.sh' '*.awk' '*.java' heapduel; } | each awk -v limit=$FILE_LINES '
    FNR == limit + 1 { print FILENAME ":" FNR ": longer than " limit " lines" }'
}

rule_functions() { c_files | each awk -v limit=$FUNCTION_LINES -f "$here/functions.awk"; }

# Memory orders are spelled in base/atomic.h alone; everybody else uses its named operations.
rule_atomics() {
  c_files | grep -v '^allocators/base/atomic.h$' |
    each grep -nE 'memory_order|__ATOMIC_[A-Z]|atomic_thread_fence|__sync_[a-z]' /dev/null
}

rule_spdx() {
  files '*.c' '*.h' '*.sh' '*.awk' '*.cmake' '*.go' '*.java' '*.txt' heapduel run | each awk '
    FNR == 1 { shebang = /^#!/ }
    FNR == 1 + shebang && !/SPDX-License-Identifier: MIT/ {
      print FILENAME ":" FNR ": the first line must be SPDX-License-Identifier: MIT" }'
}

rule_notes() { cited_files | each awk -v rule=notes -f "$here/references.awk"; }
rule_invariants() { cited_files | each awk -v rule=invariants -f "$here/references.awk"; }

# Relative links of Markdown files. A link to a folder or a heading of another file counts if the
# folder or file is there.
# shellcheck disable=SC2016 # $ belongs to awk
rule_links() {
  files '*.md' | each awk '
    FNR == 1 { code = 0; folder = FILENAME; if (!sub(/\/[^\/]*$/, "", folder)) folder = "." }
    /^ *```/ { code = !code; next }
    code { next }
    {
      rest = $0
      gsub(/`[^`]*`/, "", rest) # inline code holds no links
      while (match(rest, /\]\([^) ]+/)) {
        target = substr(rest, RSTART + 2, RLENGTH - 2)
        rest = substr(rest, RSTART + RLENGTH)
        if (target ~ /^(https?:\/\/|mailto:|#)/) continue
        sub(/#.*/, "", target)
        print FILENAME ":" FNR ":" folder "/" target
      }
    }' | while IFS=: read -r file line target; do
    [ -e "$target" ] || echo "$file:$line: broken link: ${target#"$(dirname "$file")"/}"
  done
}

# Paths that start with a folder of the project must lead somewhere. A name with a placeholder
# (<heap>, *, foo) is prose.
rule_paths() {
  text_files | each grep -noE \
    '(^|[ `(])(allocators|nonmoving|compact|workloads|harness|reports|tests)/[A-Za-z0-9_./-]+[*<{$]?' \
    /dev/null | sed 's/[:]\([0-9]*\):[ `(]*/:\1:/' | while IFS=: read -r file line path; do
    case $path in *'*' | *'<' | *'{' | *'$' | *foo*) continue ;; esac
    path=${path%.}
    [ -e "$path" ] || [ -e "$(dirname "$file")/$path" ] || echo "$file:$line: no such file: $path"
  done
}

# Work is finished or it is not there; and nothing knows the machine it was written on. The words are
# spelled so that this line is not itself a finding.
rule_words() {
  text_files | each grep -nwE 'TO''DO|FIX''ME|XX''X|HA''CK' /dev/null || true
  text_files | each grep -nE '(^|[ "`(=])/(work|home|root|Users)/[a-z]' /dev/null || true
}

# Types are named without the suffix that POSIX reserves.
rule_types() {
  c_files | each grep -nE \
    '^(typedef .*[ *)][a-z0-9_]+_t(\[[^]]*\])?;|\} ?[a-z0-9_]+_t;|(struct|union|enum) [a-z0-9_]+_t \{)' \
    /dev/null
}

rule_format() {
  for formatter in clang-format-$FORMATTER_MAJOR clang-format ''; do
    [ -n "$formatter" ] || exit 77
    "$formatter" --version 2>/dev/null | grep -q "version $FORMATTER_MAJOR\." && break
  done
  c_files | each "$formatter" --dry-run --style=file 2>&1 | grep 'warning:' |
    sed 's/:[0-9]*: warning: .*/: not formatted as .clang-format says/' | sort -u
}

rule_shell() {
  command -v shellcheck >/dev/null || exit 77
  shell_files | each shellcheck -f gcc
}

skip_accepted() {
  awk -v rule="$rule" 'FILENAME == ARGV[1] { if ($1 == rule) accepted[$2] = 1; next }
    { path = $0; sub(/:.*/, "", path); if (!(path in accepted)) print }' "$here/exceptions.txt" -
}

case $(type "rule_$rule" 2>/dev/null) in
*function*) ;;
*) echo "lint.sh: no such rule: $rule" >&2 && exit 2 ;;
esac
output=$(mktemp)
trap 'rm -f "$output"' EXIT
status=0
("rule_$rule") >"$output" || status=$?
[ "$status" -ne 77 ] || exit 77
findings=$(skip_accepted <"$output")
[ -z "$findings" ] || { printf '%s\n' "$findings" && exit 1; }
