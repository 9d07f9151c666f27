# SPDX-License-Identifier: MIT
# Rule `functions`: a function of more than `limit` lines, from the line of its name to its closing
# brace. Relies on the formatting the suite uses: both stand in the first column.
/^[A-Za-z_]/ { start = FNR; head = "" }
!inside { head = head $0 }
!inside && /\{$/ {
  inside = 1
  is_function = head ~ /\)[^=]*\{$/ && head !~ /^(typedef|struct|union|enum)[^()]*\{$/
  name = head
  sub(/\(.*/, "", name)
  sub(/.*[ *]/, "", name)
}
inside && /^\}/ {
  if (is_function && FNR - start + 1 > limit)
    print FILENAME ":" start ": " name " has " FNR - start + 1 " lines, more than " limit
  inside = 0
}
FNR == 1 && NR > 1 { inside = 0; head = $0 }
