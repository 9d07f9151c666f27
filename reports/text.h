// SPDX-License-Identifier: MIT
// Memory and text of a report: an arena that lives as long as one rendering, a growing text, and
// Markdown tables written cell by cell. Out of memory ends the process with one line: a report is
// made after the measurements are safe on disk.
#ifndef REPORTS_TEXT_H
#define REPORTS_TEXT_H

#include <stddef.h>

#include "allocators/base/compiler.h"

// Everything allocated from an arena is freed by arena_free, nothing before.
typedef struct arena {
  struct arena_block *blocks;
} arena;

void *arena_alloc(arena *a, size_t bytes); // zeroed, aligned to 16
char *arena_copy(arena *a, const char *string);
char *arena_format(arena *a, const char *format, ...) HS_PRINTF(2, 3);
void arena_free(arena *a);

// A growing string, always terminated. Zero-initialise; free with text_free.
typedef struct text {
  char *bytes; // NULL while empty
  size_t length, capacity;
} text;

void text_add(text *t, const char *string);
void text_add_bytes(text *t, const char *bytes, size_t count);
void text_format(text *t, const char *format, ...) HS_PRINTF(2, 3);
void text_cut(text *t, size_t length); // back to an earlier length
void text_free(text *t);

// A Markdown table, written at once: `align` has one letter per column, 'l', 'r' or 'c'; heads has
// as many strings. Cells are then added left to right, row by row; `|` and newlines are escaped.
typedef struct table {
  text *out;
  size_t columns, column;
} table;

table table_begin(text *out, const char *align, const char *const *heads);
void table_cell(table *t, const char *string); // NULL writes the mark for "not measured"
void table_end(table *t);                      // completes an unfinished row, blank line

// "not measured" as it appears in every table.
#define REPORT_ABSENT "–"

#endif
