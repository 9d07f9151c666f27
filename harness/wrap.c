// SPDX-License-Identifier: MIT
#include "harness/wrap.h"

#include <string.h>

enum { WRAP_COLUMNS = 80 }; // what every terminal has

void wrap_print(FILE *out, size_t at, size_t indent, const char *text) {
  size_t column = at;
  for (const char *word = text; *word;) {
    const size_t length = strcspn(word, " ");
    const char *space = word == text ? "" : " ";
    if (word != text && column + 1 + length > WRAP_COLUMNS) {
      fprintf(out, "\n%*s", (int)indent, "");
      column = indent;
      space = "";
    }
    fprintf(out, "%s%.*s", space, (int)length, word);
    column += strlen(space) + length;
    word += length;
    while (*word == ' ') word++;
  }
  fputc('\n', out);
}
