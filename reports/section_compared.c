// SPDX-License-Identifier: MIT
// What was compared, and how to read the numbers.
#include <string.h>

#include "reports/report_parts.h"

// Distinct values of a string key over the records of a row, joined by "; ".
static const char *distinct(report *r, const char *label, const char *key) {
  const char *seen[8];
  size_t count = 0;
  for (size_t i = 0; i < r->set.count; i++) {
    const record *run = &r->set.records[i];
    const char *value = json_string_value(json_object_get(run->json, key));
    if (!value || !*value || strcmp(run->label, label) != 0) continue;
    size_t s = 0;
    while (s < count && strcmp(seen[s], value) != 0) s++;
    if (s == count && count < sizeof seen / sizeof *seen) seen[count++] = value;
  }
  text joined = {0};
  for (size_t s = 0; s < count; s++) {
    if (s) text_add(&joined, "; ");
    text_add(&joined, seen[s]);
  }
  const char *copy = joined.bytes ? arena_copy(r->memory, joined.bytes) : NULL;
  text_free(&joined);
  return copy;
}

static void compared_row(report *r, table *t, const group *g) {
  size_t runs = 0, ok = 0;
  for (size_t i = 0; i < r->set.count; i++) {
    if (strcmp(r->set.records[i].label, group_label(g)) != 0) continue;
    runs++;
    ok += record_ok(&r->set.records[i]);
  }
  table_cell(t, group_label(g));
  table_cell(t, report_row_find(group_heap(g))->nature);
  table_cell(t, distinct(r, group_label(g), "heap_version"));
  table_cell(t, distinct(r, group_label(g), "heap_settings"));
  table_cell(t, arena_format(r->memory, "%zu of %zu", ok, runs));
}

// One group per label, in table order.
static size_t labels_collect(report *r, const group **found) {
  size_t count = 0;
  for (size_t i = 0; i < r->set.group_count; i++) {
    const group *g = &r->set.groups[i];
    size_t j = 0;
    while (j < count && strcmp(group_label(found[j]), group_label(g)) != 0) j++;
    if (j < count) continue;
    const size_t order = report_row_order(group_heap(g));
    for (j = count++; j > 0; j--) {
      const size_t other = report_row_order(group_heap(found[j - 1]));
      const bool before = order < other ||
                          (order == other && strcmp(group_label(g), group_label(found[j - 1])) < 0);
      if (!before) break;
      found[j] = found[j - 1];
    }
    found[j] = g;
  }
  return count;
}

void section_compared(report *r) {
  static const char *const heads[] = {"row", "what it is", "version", "settings", "runs completed"};
  text_add(&r->out, "## What was compared\n\n");
  const group **labels = arena_alloc(r->memory, r->set.group_count * sizeof *labels);
  const size_t count = labels_collect(r, labels);
  table t = table_begin(&r->out, "llllr", heads);
  for (size_t i = 0; i < count; i++) compared_row(r, &t, labels[i]);
  table_end(&t);
  text_add(
      &r->out,
      "The version is that of the library actually mapped into the process. Each foreign "
      "allocator runs at its fair best; its settings as shipped are a variant `stock`. "
      "`outline` is the same heap with operations called instead of inlined, `stw` the same "
      "heap with `gc=stw`: it marks with the program stopped, where the plain row marks "
      "beside it. `compaction_off`, `compaction_stw` and `compaction_incremental` are `compact` "
      "with objects moved never, in one stop, or in short stops, where the plain row moves "
      "them beside the program. Three variants of `nonmoving` turn one option on each: "
      "`subpage_release` gives back unused pages of the operating system inside spans that "
      "still hold an object; `fullest_first` allocates from the fullest span of a size "
      "class, so that others can empty; `huge_pages` asks for 2 MiB pages, which makes "
      "access faster and giving back coarser. `idle` is the same heap left alone for a while "
      "before it is measured, `again` the same row once more: what differs is noise.\n\n");
}

void section_reading(report *r) {
  text_add(
      &r->out,
      "## How to read the numbers\n\n"
      "- **MiB** is 2^20 bytes. Memory is measured at named *stages*, after a full collection and "
      "after everything free was given back to the operating system.\n"
      "- **heap_usage** = heap_sys - heap_released, **max_fragmentation** = heap_inuse - "
      "heap_alloc: "
      "the seed's two quantities, with Go's definitions.\n"
      "- **footprint** = heap_usage + metadata: everything the heap owns, its handle table "
      "included. It is the number by which the two heaps are compared.\n"
      "- **RSS** is what the kernel says of the process. It needs no cooperation, so every row has "
      "it. *Above start* subtracts the process's RSS after the heap was created and before the "
      "program allocated.\n"
      "- **pause** is every delay that a collector admits to imposing on the program: stops, "
      "handshakes, stalls, assists. Heaps without a collector log have none.\n"
      "- **operation latency** is what the program's own clock saw around each operation. It "
      "includes pauses, slow allocation paths, cache misses and the host's noise: it stands beside "
      "every pause figure, because stop windows alone mislead.\n"
      "- **MMU**(w) is the smallest share of any window of length w that was left to the program.\n"
      "- Numbers are medians over runs. Brackets hold the smallest and largest run below six runs "
      "(no distribution-free 95 % interval of a median exists there), and the 95 % "
      "order-statistic interval from six runs on. Ratios are formed within a block (one round in "
      "which every row ran once) and then summarised. No run is dropped.\n"
      "- " REPORT_ABSENT " means not measured. It never means zero.\n\n");
}
