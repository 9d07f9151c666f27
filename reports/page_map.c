// SPDX-License-Identifier: MIT
// A panel is a grid of equal cells in address order, row by row. Cells of one shade become one path
// whose sub-paths are horizontal runs, so that a map of thousands of pages stays small.
#include "reports/figure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/files.h"
#include "reports/number.h"

// Geometry in pixels, and how finely occupancy is shaded.
enum {
  MAP_COLUMNS = 96,   // cells in a row
  MAP_ROWS_MOST = 48, // more cells than this many rows are merged
  MAP_CELL = 5,       // width and height of a cell
  MAP_MARGIN = 20,
  MAP_FRAME = 3,  // from the cells to the line around them
  MAP_TITLE = 44, // two lines of text above a panel
  MAP_LEGEND = 40,
  MAP_SHADES = 8,       // shades of occupancy
  MAP_PAGE_BYTES = 8192 // smallest cell: the page of the non-moving heap
};

// Flags of a page in a record.
enum { MAP_FLAG_RESIDENT = 1, MAP_FLAG_METADATA = 2 };

// What a cell shows. Shades 1..MAP_SHADES are occupancy from nearly empty to full.
enum { CELL_RELEASED = 0, CELL_EMPTY = MAP_SHADES + 1, CELL_METADATA = MAP_SHADES + 2, CELL_KINDS };

typedef struct cell {
  double live, resident, metadata, bytes;
} cell;

typedef struct panel {
  const char *title, *detail;
  unsigned char *kinds; // one of the above per cell
  size_t cells;
} panel;

static const char *const cell_colours[CELL_KINDS] = {"#ffffff", "#dbe9f6", "#bcd7eb", "#94c0df",
                                                     "#63a5d1", "#3c87be", "#1f69a8", "#0f4c8a",
                                                     "#08306b", "#f3d9a4", "#b9b9b9"};

static unsigned char cell_kind(const cell *c) {
  if (c->resident <= 0) return CELL_RELEASED;
  if (c->metadata * 2 > c->resident) return CELL_METADATA;
  if (c->live <= 0) return CELL_EMPTY;
  const double fill = fmin(1, c->live / c->resident);
  const int shade = (int)ceil(fill * MAP_SHADES);
  return (unsigned char)(shade < 1 ? 1 : shade);
}

// Spread the pages over cells of `cell_bytes`: smaller pages share a cell, larger ones cover several.
static void cells_fill(const json_t *pages, double cell_bytes, cell *cells, size_t count) {
  double at = 0;
  size_t i;
  const json_t *page;
  json_array_foreach(pages, i, page) {
    const double live = json_number_value(json_array_get(page, 0));
    const double bytes = json_number_value(json_array_get(page, 1));
    const json_int_t flags = json_integer_value(json_array_get(page, 2));
    for (double done = 0; done < bytes;) {
      const size_t index = (size_t)(at / cell_bytes);
      if (index >= count) return;
      const double part = fmin(bytes - done, (double)(index + 1) * cell_bytes - at);
      cell *c = &cells[index];
      c->bytes += part;
      if (flags & MAP_FLAG_RESIDENT) c->resident += part;
      if (flags & MAP_FLAG_METADATA) c->metadata += part;
      c->live += bytes > 0 ? live * part / bytes : 0;
      at += part;
      done += part;
    }
  }
}

typedef struct map_totals {
  double bytes, last_resident; // whole map, and up to its last resident page
  double live, resident;       // pages for objects
  double metadata;             // resident
} map_totals;

static map_totals pages_total(const json_t *pages) {
  map_totals t = {0};
  size_t i;
  const json_t *page;
  json_array_foreach(pages, i, page) {
    const double bytes = fmax(0, json_number_value(json_array_get(page, 1)));
    t.bytes += bytes;
    const json_int_t flags = json_integer_value(json_array_get(page, 2));
    if (!(flags & MAP_FLAG_RESIDENT)) continue;
    t.last_resident = t.bytes;
    if (flags & MAP_FLAG_METADATA) {
      t.metadata += bytes;
    } else {
      t.resident += bytes;
      t.live += json_number_value(json_array_get(page, 0));
    }
  }
  return t;
}

static const json_t *map_pages(const page_map *p) {
  return json_object_get(json_object_get(p->record, "map"), p->stage);
}

static const char *record_text(const json_t *run, const char *key) {
  const char *value = json_string_value(json_object_get(run, key));
  return value ? value : "";
}

static panel panel_make(arena *memory, const page_map *p, double cell_bytes) {
  const json_t *pages = map_pages(p);
  const map_totals total = pages_total(pages);
  panel out = {0};
  out.cells = (size_t)ceil(total.last_resident / cell_bytes);
  cell *cells = arena_alloc(memory, out.cells * sizeof *cells);
  cells_fill(pages, cell_bytes, cells, out.cells);
  out.kinds = arena_alloc(memory, out.cells + 1);
  for (size_t i = 0; i < out.cells; i++) out.kinds[i] = cell_kind(&cells[i]);
  out.title = p->title ? p->title
                       : arena_format(memory, "%s, %s, stage (%s)", record_text(p->record, "heap"),
                                      record_text(p->record, "workload"), p->stage);
  out.detail = arena_format(memory, "%s MiB resident for %s MiB of objects%s",
                            show_mib(memory, total.resident), show_mib(memory, total.live),
                            total.metadata > 0 ? arena_format(memory, ", and %s MiB of metadata",
                                                              show_mib(memory, total.metadata))
                                               : "");
  return out;
}

// ---- SVG ----------------------------------------------------------------------------------------

static void svg_text(text *svg, double x, double y, const char *style, const char *string) {
  text_format(svg, "<text x=\"%g\" y=\"%g\" %s>", x, y, style);
  for (const char *c = string; *c; c++)
    text_add(svg, *c == '&' ? "&amp;" : *c == '<' ? "&lt;" : (char[2]){*c, 0});
  text_add(svg, "</text>\n");
}

static void svg_panel(text *svg, const panel *p, double left, double top, size_t rows) {
  svg_text(svg, left, top + 16, "font-weight=\"bold\"", p->title);
  svg_text(svg, left, top + 34, "", p->detail);
  top += MAP_TITLE;
  for (unsigned char kind = 1; kind < CELL_KINDS; kind++) {
    bool open = false;
    for (size_t i = 0; i < p->cells;) {
      const size_t row_end = (i / MAP_COLUMNS + 1) * MAP_COLUMNS;
      size_t end = i;
      while (end < p->cells && end < row_end && p->kinds[end] == p->kinds[i]) end++;
      if (p->kinds[i] == kind) {
        if (!open) text_format(svg, "<path fill=\"%s\" d=\"", cell_colours[kind]);
        open = true;
        text_format(svg, "M%g %gh%zuv%dh-%zuz", left + (double)(i % MAP_COLUMNS * MAP_CELL),
                    top + (double)(i / MAP_COLUMNS * MAP_CELL), (end - i) * MAP_CELL, MAP_CELL,
                    (end - i) * MAP_CELL);
      }
      i = end;
    }
    if (open) text_add(svg, "\"/>\n");
  }
  // Last, and with a gap: a full map must not swallow its frame.
  text_format(svg,
              "<rect x=\"%g\" y=\"%g\" width=\"%d\" height=\"%zu\" fill=\"none\" "
              "stroke=\"#666\"/>\n",
              left - MAP_FRAME, top - MAP_FRAME, MAP_COLUMNS * MAP_CELL + 2 * MAP_FRAME,
              rows * MAP_CELL + 2 * MAP_FRAME);
}

static void svg_legend(text *svg, arena *memory, double top, double cell_bytes) {
  double x = MAP_MARGIN;
  // Ends where the shades begin, however wide the reader's font is.
  x += 176;
  svg_text(svg, x - 8, top + 16, "text-anchor=\"end\"", "objects on a page: few");
  for (int shade = 1; shade <= MAP_SHADES; shade++, x += 16)
    text_format(svg, "<rect x=\"%g\" y=\"%g\" width=\"16\" height=\"14\" fill=\"%s\"/>\n", x,
                top + 4, cell_colours[shade]);
  svg_text(svg, x + 6, top + 16, "", "full");
  x += 50;
  static const struct {
    int kind;
    const char *words;
    double width;
  } others[] = {{CELL_EMPTY, "resident, no object", 160},
                {CELL_METADATA, "metadata", 100},
                {CELL_RELEASED, "given back", 110}};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    text_format(
        svg, "<rect x=\"%g\" y=\"%g\" width=\"14\" height=\"14\" fill=\"%s\" stroke=\"#999\"/>\n",
        x, top + 4, cell_colours[others[i].kind]);
    svg_text(svg, x + 20, top + 16, "", others[i].words);
    x += others[i].width;
  }
  svg_text(svg, x, top + 16, "",
           arena_format(memory, "one cell: %s KiB, in address order",
                        show_integer(memory, cell_bytes / 1024)));
}

static void svg_write(text *svg, arena *memory, const panel *panels, size_t count, size_t columns,
                      double cell_bytes) {
  size_t rows = 1;
  for (size_t i = 0; i < count; i++) {
    const size_t needed = (panels[i].cells + MAP_COLUMNS - 1) / MAP_COLUMNS;
    if (needed > rows) rows = needed;
  }
  const double step_x = MAP_COLUMNS * MAP_CELL + MAP_MARGIN;
  const double step_y = (double)(rows * MAP_CELL) + MAP_TITLE + MAP_MARGIN;
  const size_t lines = (count + columns - 1) / columns;
  // The legend needs the width of two panels.
  const double width = MAP_MARGIN + step_x * (double)(columns < 2 ? 2 : columns);
  const double height = MAP_MARGIN + step_y * (double)lines + MAP_LEGEND;
  text_format(svg,
              "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" "
              "viewBox=\"0 0 %g %g\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\" "
              "shape-rendering=\"crispEdges\">\n<title>Page occupancy</title>\n"
              "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
              width, height, width, height);
  for (size_t i = 0; i < count; i++)
    svg_panel(svg, &panels[i], MAP_MARGIN + step_x * (double)(i % columns),
              MAP_MARGIN + step_y * (double)(i / columns), rows);
  svg_legend(svg, memory, MAP_MARGIN + step_y * (double)lines, cell_bytes);
  text_add(svg, "</svg>\n");
}

report_status page_map_write(const page_map *panels, size_t count, size_t columns, const char *path,
                             char *error, size_t error_bytes) {
  double most = 0;
  for (size_t i = 0; i < count; i++) {
    const json_t *pages = map_pages(&panels[i]);
    if (!json_is_array(pages)) {
      snprintf(error, error_bytes, "the record of %s has no page map at stage '%s'; run with --map",
               record_text(panels[i].record, "heap"), panels[i].stage);
      return REPORT_BAD_RECORDS;
    }
    most = fmax(most, pages_total(pages).last_resident);
  }
  double cell_bytes = MAP_PAGE_BYTES;
  while (most / cell_bytes > MAP_COLUMNS * MAP_ROWS_MOST) cell_bytes *= 2;
  arena memory = {0};
  text svg = {0};
  panel *drawn = arena_alloc(&memory, count * sizeof *drawn);
  for (size_t i = 0; i < count; i++) drawn[i] = panel_make(&memory, &panels[i], cell_bytes);
  svg_write(&svg, &memory, drawn, count, columns ? columns : 1, cell_bytes);
  const bool good = file_write(path, svg.bytes, svg.length, error, error_bytes);
  text_free(&svg);
  arena_free(&memory);
  return good ? REPORT_OK : REPORT_CANNOT_WRITE;
}

report_status page_map_write_record(const json_t *run, const char *path, char *error,
                                    size_t error_bytes) {
  enum { PANELS_MOST = 64 };
  page_map panels[PANELS_MOST];
  size_t count = 0, i;
  const json_t *stage;
  json_array_foreach(json_object_get(run, "stages"), i, stage) {
    const char *name = json_string_value(json_object_get(stage, "name"));
    const page_map p = {run, name ? name : "", NULL};
    if (count < PANELS_MOST && json_is_array(map_pages(&p))) panels[count++] = p;
  }
  if (count) return page_map_write(panels, count, 2, path, error, error_bytes);
  snprintf(error, error_bytes, "the record of %s on %s holds no page map; run with --map",
           record_text(run, "workload"), record_text(run, "heap"));
  return REPORT_BAD_RECORDS;
}
