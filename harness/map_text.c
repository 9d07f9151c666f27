// SPDX-License-Identifier: MIT
#include "harness/map_text.h"

#include "harness/cli.h"

typedef struct map_sum {
  double live_bytes, object_bytes; // of resident pages for objects
  double metadata_bytes;           // of resident pages of metadata
  size_t pages, resident, metadata;
} map_sum;

enum { MAP_FLAG_RESIDENT = 1, MAP_FLAG_METADATA = 2 }; // record.md, "map"

static map_sum map_text_sum(const json_t *pages, size_t first, size_t last) {
  map_sum sum = {0};
  for (size_t i = first; i < last; i++) {
    const json_t *page = json_array_get(pages, i);
    const json_int_t flags = json_integer_value(json_array_get(page, 2));
    const double bytes = json_number_value(json_array_get(page, 1));
    sum.pages++;
    if (!(flags & MAP_FLAG_RESIDENT)) continue;
    sum.resident++;
    if (flags & MAP_FLAG_METADATA) {
      sum.metadata++;
      sum.metadata_bytes += bytes;
    } else {
      sum.live_bytes += json_number_value(json_array_get(page, 0));
      sum.object_bytes += bytes;
    }
  }
  return sum;
}

size_t map_text_pages_per_cell(size_t count) {
  const size_t cells = (size_t)MAP_TEXT_COLUMNS * MAP_TEXT_LINES;
  return count <= cells ? 1 : (count + cells - 1) / cells;
}

const char *map_text_cell(const json_t *pages, size_t first, size_t last) {
  const map_sum sum = map_text_sum(pages, first, last);
  if (sum.resident == 0) return ".";
  if (sum.object_bytes <= 0) return "m";
  const double share = sum.live_bytes / sum.object_bytes;
  if (sum.live_bytes <= 0) return "_";
  if (share <= 0.25) return "░";
  if (share <= 0.5) return "▒";
  if (share <= 0.75) return "▓";
  return "█";
}

void map_text_print(FILE *out, const char *stage, const json_t *pages) {
  const size_t count = json_array_size(pages), per_cell = map_text_pages_per_cell(count);
  const map_sum sum = map_text_sum(pages, 0, count);
  char live[24], objects[24], metadata[24];
  fprintf(out, "\nstage %s: %zu pages, %zu resident", stage, sum.pages, sum.resident);
  if (per_cell > 1) fprintf(out, ", %zu pages per cell", per_cell);
  fprintf(out, "\n%s live in %s of object pages", cli_bytes(sum.live_bytes, live),
          cli_bytes(sum.object_bytes, objects));
  if (sum.metadata > 0) fprintf(out, ", %s of metadata", cli_bytes(sum.metadata_bytes, metadata));
  fputc('\n', out);
  for (size_t cell = 0, at = 0; at < count; cell++, at += per_cell) {
    const size_t last = at + per_cell < count ? at + per_cell : count;
    fprintf(out, "%s%s", cell % MAP_TEXT_COLUMNS == 0 ? "  " : "", map_text_cell(pages, at, last));
    if (cell % MAP_TEXT_COLUMNS == MAP_TEXT_COLUMNS - 1 || last == count) fputc('\n', out);
  }
}

void map_text_print_legend(FILE *out) {
  fputs("\nlive share of a cell:  █ over 3/4   ▓ to 3/4   ▒ to 1/2   ░ to 1/4\n"
        "_ resident without objects   m metadata   . returned to the system\n",
        out);
}
