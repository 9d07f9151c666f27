// SPDX-License-Identifier: MIT
// Records as tables for a terminal.
#ifndef TABLE_H
#define TABLE_H

#include <jansson.h>
#include <stdio.h>

// A table with cells of any text; the first column is left-aligned, the others right-aligned.
enum { TABLE_COLUMNS = 16, TABLE_CELL_BYTES = 48 };
typedef struct text_table {
  size_t columns, rows, capacity;
  char (*cells)[TABLE_COLUMNS][TABLE_CELL_BYTES];
} text_table;

void table_row(text_table *table, const char *const *cells, size_t count);
void table_print(FILE *out, const text_table *table);
void table_free(text_table *table);

// What `heapduel run` prints: one line of times per record, and memory at the stages.
void table_print_records(FILE *out, const json_t *records);

#endif
