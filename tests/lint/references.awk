# SPDX-License-Identifier: MIT
# Rules `notes` and `invariants` (variable `rule`): what comments and documents cite must exist.
# A note is defined by a line that holds nothing else: "// Note [name]" or "## Note [name]".
# An invariant (I-nm-3) is defined where it is stated: in a header or a design document.
function cite(name) {
  if (!(name in cited)) cited[name] = FILENAME ":" FNR
}

rule == "notes" {
  if ($0 ~ /^[ \t]*(\/\/|#+)[ \t]*Note \[[^]]*\][ \t]*$/) {
    match($0, /Note \[[^]]*\]/)
    name = substr($0, RSTART, RLENGTH)
    if (name in defined) print FILENAME ":" FNR ": " name " is defined twice, first at " defined[name]
    else defined[name] = FILENAME ":" FNR
    next
  }
  rest = $0
  while (match(rest, /Note \[[a-z][^]]*\]/)) {
    cite(substr(rest, RSTART, RLENGTH))
    rest = substr(rest, RSTART + RLENGTH)
  }
}

rule == "invariants" {
  rest = $0
  while (match(rest, /I-[a-z]+-[0-9]+/)) {
    name = substr(rest, RSTART, RLENGTH)
    if (FILENAME ~ /\.h$/ || FILENAME ~ /DESIGN\.md$/) defined[name] = FILENAME ":" FNR
    else cite(name)
    rest = substr(rest, RSTART + RLENGTH)
  }
}

END {
  for (name in cited)
    if (!(name in defined)) print cited[name] ": " name " is cited but nowhere defined"
}
