// SPDX-License-Identifier: MIT
// Page maps as text: one character per page, or per few neighbouring pages when there are many.
#ifndef MAP_TEXT_H
#define MAP_TEXT_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

enum {
  MAP_TEXT_COLUMNS = 64, // cells of a line
  MAP_TEXT_LINES = 16    // of a map at most
};

// Neighbouring pages of one cell, so that `count` pages fit.
size_t map_text_pages_per_cell(size_t count);

// The shade of pages [first, last) of a record's map array: "." returned to the OS, "m" metadata,
// else by live bytes over page bytes of the resident object pages: none, up to 1/4, 1/2, 3/4, more.
const char *map_text_cell(const json_t *pages, size_t first, size_t last);

// Draw one stage with its sums.
void map_text_print(FILE *out, const char *stage, const json_t *pages);
void map_text_print_legend(FILE *out);

#endif
