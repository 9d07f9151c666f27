// SPDX-License-Identifier: MIT
#include "reports/rows.h"

#include <string.h>

const report_row report_rows[] = {
    {"nonmoving", "#0072B2", 7, "solid", true,
     "ours: Go's layout; precise tracing, objects never move"},
    {"compact", "#D55E00", 5, "solid", true,
     "ours: handles; precise tracing, objects and handles move"},
    {"bdwgc", "#009E73", 9, "(12,5)", false,
     "Boehm-Demers-Weiser collector; conservative tracing, objects never move"},
    {"mimalloc", "#E69F00", 11, "(12,5,3,5)", false,
     "malloc and free; the program states each death"},
    {"libc", "#CC79A7", 13, "(4,4)", false,
     "the C library's malloc and free; the program states each death"},
    {"jemalloc", "#6E6E6E", 4, "(8,4)", false, "malloc and free; the program states each death"},
    {"tcmalloc", "#949494", 6, "(3,3)", false, "malloc and free; the program states each death"},
    {"go", "#56B4E9", 3, "(16,4)", false,
     "the Go runtime itself; precise concurrent tracing, objects never move"},
    {"jvm_g1", "#8C564B", 10, "(8,3,2,3)", false, "OpenJDK's G1: generational, evacuates in stops"},
    {"jvm_shenandoah", "#9467BD", 12, "(6,3)", false,
     "OpenJDK's Shenandoah: evacuates beside the program"},
    {"jvm_zgc", "#17BECF", 14, "(4,2)", false, "OpenJDK's ZGC: relocates beside the program"},
    {"jvm_parallel", "#BCBD22", 15, "(2,2)", false, "OpenJDK's Parallel: compacts in stops"},
    {"model", "#000000", 2, "(2,4)", false,
     "closed form for Go's layout: arithmetic, nothing is run"},
};
const size_t report_row_count = sizeof report_rows / sizeof *report_rows;

static const report_row row_unknown = {"other", "#808080", 1,
                                       "(1,3)", false,     "not known to this report"};

static const report_row row_variants[] = {
    {"nonmoving", "#0072B2", 12, "(2,4)", true,
     "ours: Go's layout; marks with the program stopped"},
    {"compact", "#D55E00", 14, "(2,4)", true, "ours: handles; marks with the program stopped"},
};

size_t report_row_order(const char *heap) {
  size_t i = 0;
  while (i < report_row_count && strcmp(report_rows[i].heap, heap) != 0) i++;
  return i;
}

const report_row *report_row_find(const char *heap) {
  const size_t order = report_row_order(heap);
  return order < report_row_count ? &report_rows[order] : &row_unknown;
}

const report_row *report_row_of_variant(const char *heap, const char *variant) {
  const size_t count = sizeof row_variants / sizeof *row_variants;
  for (size_t i = 0; strcmp(variant, "stw") == 0 && i < count; i++)
    if (strcmp(row_variants[i].heap, heap) == 0) return &row_variants[i];
  return report_row_find(heap);
}
