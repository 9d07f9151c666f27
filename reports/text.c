// SPDX-License-Identifier: MIT
#include "reports/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/base/assert.h"

// Blocks of this size keep the number of mallocs small; larger requests get a block of their own.
enum { ARENA_BLOCK_BYTES = 64 << 10, ARENA_ALIGN_BYTES = 16 };

struct arena_block {
  struct arena_block *next;
  size_t used, capacity;
  _Alignas(ARENA_ALIGN_BYTES) char bytes[];
};

void *arena_alloc(arena *a, size_t bytes) {
  HS_REQUIRE(bytes <= SIZE_MAX / 2, "report: a text of %zu bytes is too large", bytes);
  const size_t rounded = (bytes + ARENA_ALIGN_BYTES - 1) & ~(size_t)(ARENA_ALIGN_BYTES - 1);
  struct arena_block *block = a->blocks;
  if (!block || block->capacity - block->used < rounded) {
    const size_t capacity = rounded > ARENA_BLOCK_BYTES ? rounded : ARENA_BLOCK_BYTES;
    block = malloc(sizeof *block + capacity);
    HS_REQUIRE(block, "report: out of memory");
    block->next = a->blocks;
    block->used = 0;
    block->capacity = capacity;
    a->blocks = block;
  }
  void *memory = block->bytes + block->used;
  block->used += rounded;
  return memset(memory, 0, rounded);
}

char *arena_copy(arena *a, const char *string) {
  const size_t bytes = strlen(string) + 1;
  return memcpy(arena_alloc(a, bytes), string, bytes);
}

char *arena_format(arena *a, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  const int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  HS_REQUIRE(length >= 0, "report: bad format '%s'", format);
  char *string = arena_alloc(a, (size_t)length + 1);
  vsnprintf(string, (size_t)length + 1, format, again);
  va_end(again);
  return string;
}

void arena_free(arena *a) {
  while (a->blocks) {
    struct arena_block *block = a->blocks;
    a->blocks = block->next;
    free(block);
  }
}

static void text_reserve(text *t, size_t more) {
  if (t->capacity - t->length > more) return;
  size_t capacity = t->capacity ? t->capacity : 1024;
  while (capacity - t->length <= more) capacity *= 2;
  char *bytes = realloc(t->bytes, capacity);
  HS_REQUIRE(bytes, "report: out of memory");
  t->bytes = bytes;
  t->capacity = capacity;
}

void text_add_bytes(text *t, const char *bytes, size_t count) {
  text_reserve(t, count);
  memcpy(t->bytes + t->length, bytes, count);
  t->length += count;
  t->bytes[t->length] = 0;
}

void text_add(text *t, const char *string) { text_add_bytes(t, string, strlen(string)); }

void text_format(text *t, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  const int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  HS_REQUIRE(length >= 0, "report: bad format '%s'", format);
  text_reserve(t, (size_t)length);
  vsnprintf(t->bytes + t->length, (size_t)length + 1, format, again);
  va_end(again);
  t->length += (size_t)length;
}

void text_cut(text *t, size_t length) {
  HS_REQUIRE(length <= t->length, "report: cut at %zu of %zu bytes", length, t->length);
  t->length = length;
  if (t->bytes) t->bytes[length] = 0;
}

void text_free(text *t) {
  free(t->bytes);
  *t = (text){0};
}

table table_begin(text *out, const char *align, const char *const *heads) {
  const size_t columns = strlen(align);
  for (size_t c = 0; c < columns; c++) text_format(out, "%s %s ", "|", heads[c]);
  text_add(out, "|\n");
  for (size_t c = 0; c < columns; c++)
    text_add(out, align[c] == 'r' ? "|---:" : align[c] == 'c' ? "|:---:" : "|:---");
  text_add(out, "|\n");
  return (table){out, columns, 0};
}

void table_cell(table *t, const char *string) {
  text_add(t->out, "| ");
  for (const char *s = string ? string : REPORT_ABSENT; *s; s++) {
    if (*s == '|')
      text_add(t->out, "\\|");
    else if (*s == '\n' || *s == '\r')
      text_add(t->out, " ");
    else
      text_add_bytes(t->out, s, 1);
  }
  text_add(t->out, " ");
  if (++t->column == t->columns) {
    text_add(t->out, "|\n");
    t->column = 0;
  }
}

void table_end(table *t) {
  while (t->column != 0) table_cell(t, "");
  text_add(t->out, "\n");
}
