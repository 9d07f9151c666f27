// SPDX-License-Identifier: MIT
// The rows of every table and the lines of every figure: one fixed order, colour, marker and dash
// per heap, in all reports of all years. Colours are Okabe and Ito's, told apart by colour-blind
// readers; marker and dash repeat the distinction without colour.
#ifndef REPORTS_ROWS_H
#define REPORTS_ROWS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct report_row {
  const char *heap;
  const char *colour; // #rrggbb
  int marker;         // gnuplot point type
  const char *dash;   // gnuplot dash specification
  bool ours;          // one of the two heaps under study
  const char *nature; // one line: what kind of memory manager this is
} report_row;

// Known heaps in table order.
extern const report_row report_rows[];
extern const size_t report_row_count;

// The row of a heap; an unknown name gets the shared grey row. Never NULL.
const report_row *report_row_find(const char *heap);

// The row of a variant that is drawn beside its heap: the heap's colour with an open marker and a
// sparser dash. For other variants the row of the heap. Never NULL.
const report_row *report_row_of_variant(const char *heap, const char *variant);

// Position in table order; unknown heaps come last.
size_t report_row_order(const char *heap);

#endif
