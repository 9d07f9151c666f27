# SPDX-License-Identifier: MIT
# Rule `includes`: every #include of the .c and .h files named on the command line, held against
# include_rules.txt (the first file read). Run from the top folder.
BEGIN {
  split("assert ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign " \
        "stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time " \
        "uchar wchar wctype", names, " ")
  for (i in names) c_header["<" names[i] ".h>"] = 1
}

function below(path, folder) { return path == folder || index(path, folder "/") == 1 }

function folder_of(path) { sub(/\/[^\/]*$/, "", path); return path }

# The rule with the longest left side that holds for a file; "" if there is none.
function rule_of(path,    left, best) {
  for (left in rules)
    if (below(path, left) && length(left) > length(best)) best = left
  return best
}

function allowed(target, left,    n, words, i) {
  n = split(rules[left], words, " ")
  for (i = 1; i <= n; i++) {
    if (words[i] == target) return 1
    if (words[i] == "<c>" && target in c_header) return 1
    if (words[i] == "<system>" && target ~ /^</) return 1
    if (target !~ /^</ && below(target, words[i])) return 1
  }
  return target !~ /^</ && below(folder_of(target), folder_of(FILENAME))
}

function exists(path,    line, found) {
  found = (getline line < path) >= 0
  close(path)
  return found
}

FILENAME == ARGV[1] {
  if (/^[^#]/ && (colon = index($0, ":"))) {
    left = substr($0, 1, colon - 1)
    gsub(/[ \t]/, "", left)
    rules[left] = substr($0, colon + 1)
  }
  next
}

/^[ \t]*#[ \t]*include/ {
  target = $0
  sub(/^[ \t]*#[ \t]*include[ \t]*/, "", target)
  if (target ~ /^"/) {
    sub(/^"/, "", target)
    sub(/".*/, "", target)
    near = folder_of(FILENAME) "/" target
    if (exists(near)) target = near
    else if (target !~ /\//) target = near # generated into the build folder
  } else {
    sub(/[ \t]*\/\/.*/, "", target)
    sub(/>.*/, ">", target)
  }
  left = rule_of(FILENAME)
  if (left == "") print FILENAME ":" FNR ": include_rules.txt says nothing about this folder"
  else if (!allowed(target, left)) print FILENAME ":" FNR ": files of " left " may not include " target
}
