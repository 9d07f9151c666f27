#!/bin/sh
# SPDX-License-Identifier: MIT
# The lint's own test: for each rule a small tree that breaks it must be reported, at the right line,
# and a near miss must not.
# shellcheck disable=SC2016 # what looks like code here is text of the examples
set -eu

lint=$(CDPATH='' cd -P "$(dirname "$0")" && pwd)/lint.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
passed=0
failed=0

# put FILE LINE...: writes a file of the tree, a line per argument.
put() {
  mkdir -p "$tree/$(dirname "$1")"
  file=$tree/$1
  shift
  printf '%s\n' "$@" >"$file"
}

# many COUNT LINE: the line that often.
many() { awk -v n="$1" -v line="$2" 'BEGIN { while (n-- > 0) print line }'; }

fail() {
  failed=$((failed + 1))
  printf 'FAIL %s\n' "$*"
}

run() {
  status=0
  output=$("$lint" "$1" "$tree" 2>&1) || status=$?
  rm -rf "$tree" && mkdir "$tree"
}

# rejects RULE TEXT: the tree breaks the rule, and the finding contains the text.
rejects() {
  run "$1"
  case $status:$output in
  1:*"$2"*) passed=$((passed + 1)) ;;
  77:*) printf 'skip %s: its tool is not installed\n' "$1" ;;
  *) fail "$1 did not report '$2' (status $status): $output" ;;
  esac
}

# accepts RULE: the tree keeps the rule.
accepts() {
  run "$1"
  case $status in
  0) passed=$((passed + 1)) ;;
  77) printf 'skip %s: its tool is not installed\n' "$1" ;;
  *) fail "$1 reported (status $status): $output" ;;
  esac
}

spdx='// SPDX-License-Identifier: MIT'

put nonmoving/a.c "$spdx" '#include "compact/compact.h"'
rejects includes 'nonmoving/a.c:2: files of nonmoving may not include compact/compact.h'
put allocators/base/a.h '#include <unistd.h>'
rejects includes 'may not include <unistd.h>'
put allocators/runtime/a.h '#include <sys/mman.h> // for the flags'
rejects includes 'may not include <sys/mman.h>'
put workloads/a.c '#include "allocators/os/os.h"'
rejects includes 'may not include allocators/os/os.h'
put harness/a.c '# include "nonmoving/nonmoving.h"'
rejects includes 'may not include nonmoving/nonmoving.h'
put allocators/bdwgc/a.c '#include "allocators/libc/libc_binding.h"'
rejects includes 'may not include allocators/libc/libc_binding.h'
put elsewhere/a.c '#include <stdio.h>'
rejects includes 'says nothing about this folder'
put nonmoving/b.h "$spdx"
put nonmoving/a.c '#include "b.h"' '#include <string.h>' '#include "allocators/os/os.h"'
put allocators/os/b.c '#include <sys/mman.h>'
put allocators/heap.h '#include HEAP_BINDING_H'
accepts includes

put nonmoving/a.c "$(many 601 'int x;')"
rejects lengths 'nonmoving/a.c:601: longer than 600 lines'
put nonmoving/a.c "$(many 600 'int x;')"
accepts lengths

put nonmoving/a.c "$spdx" 'static int nm_long(int a,' '                   int b) {' "$(many 58 '  a += b;')" '}'
rejects functions 'nonmoving/a.c:2: nm_long has 61 lines'
put nonmoving/a.c 'static const int table[] = {' "$(many 90 '  1,')" '};' \
  'struct nm_wide {' "$(many 90 '  int x;')" '};' 'void nm_short(void) {' "$(many 58 '  f();')" '}'
accepts functions

put compact/a.c "$spdx" 'x = atomic_load_explicit(&y, memory_order_relaxed);'
rejects atomics 'compact/a.c:2:'
put tests/unit/os/a.c '__atomic_store_n(&x, 1, __ATOMIC_RELEASE);'
rejects atomics 'tests/unit/os/a.c:1:'
put allocators/base/atomic.h 'memory_order_relaxed'
accepts atomics

put compact/a.c '// A heap.' "$spdx"
rejects spdx 'compact/a.c:1:'
put heapduel '#!/bin/sh' 'echo'
rejects spdx 'heapduel:2:'
put compact/a.c "$spdx"
put heapduel '#!/bin/sh' '# SPDX-License-Identifier: MIT'
accepts spdx

put compact/a.h '// pairs: cp_move. See Note [lost move]'
rejects notes 'compact/a.h:1: Note [lost move] is cited but nowhere defined'
put compact/a.h '// Note [a move]' '// Why.' '// Note [a move]'
rejects notes 'compact/a.h:3: Note [a move] is defined twice, first at compact/a.h:1'
put compact/a.h '// Note [a move]' '// Why.'
put compact/DESIGN.md '## Note [the table]'
put compact/a.c 'int x; // [atomic] Note [a move], and Note [the table]'
accepts notes

put nonmoving/a.h '// Accounting (I-nm-3): used + free == count.'
put nonmoving/a.c '// keeps I-nm-3 and I-nm-4'
rejects invariants 'nonmoving/a.c:1: I-nm-4 is cited but nowhere defined'
put nonmoving/a.h '// Accounting (I-nm-3): used + free == count.'
put nonmoving/a.c '// keeps I-nm-3'
accepts invariants

put docs/a.md '# A' '' 'See [there](../compact/a.h) and [here](missing.md#part).'
put compact/a.h "$spdx"
rejects links 'docs/a.md:3: broken link: missing.md'
put docs/a.md '[there](../compact/a.h), [web](https://example.org/x), [part](#a), `[code](nowhere)`' \
  '```' '[block](nowhere)' '```'
put compact/a.h "$spdx"
accepts links

put compact/a.c "$spdx" '// Declared in compact/gone.h.'
rejects paths 'compact/a.c:2: no such file: compact/gone.h'
put compact/a.c '// Declared in compact/a.c, like tests/unit/<area>/x_test.c and reports/*.md.'
put tests/unit/x "$spdx"
put reports/x "$spdx"
accepts paths

put compact/a.c '// TO''DO: finish' 
rejects words 'compact/a.c:1:'
put docs/a.md 'Look in /home/somebody/heap.'
rejects words 'docs/a.md:1:'
put compact/a.c '// The homework/root of all'
accepts words

put compact/a.h 'typedef struct cp_region {' '  int x;' '} cp_region_t;'
rejects types 'compact/a.h:3:'
put compact/a.h 'struct cp_region_t {' '  int x;' '};'
rejects types 'compact/a.h:1:'
put compact/a.h 'typedef uint32_t cp_index;' 'struct cp_region {' '  size_t x;' '};'
accepts types

put compact/a.c 'int  x ;'
put .clang-format 'BasedOnStyle: LLVM'
rejects format 'compact/a.c:1:'
put compact/a.c 'int x;'
put .clang-format 'BasedOnStyle: LLVM'
accepts format

put tests/a.sh '#!/bin/sh' 'rm $1'
rejects shell 'tests/a.sh:2:'
put tests/a.sh '#!/bin/sh' 'rm "$1"'
accepts shell

run nonsense
[ "$status" -eq 2 ] || fail "an unknown rule ended with status $status"

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
