// SPDX-License-Identifier: MIT
#include "reports/chart.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "reports/chart_axis.h"
#include "reports/files.h"

// Geometry in pixels of the SVG.
enum {
  CHART_ROOM = 3, // factor by which a logarithmic axis of a scatter goes on at both ends
  CHART_WIDTH = 960,
  CHART_HEIGHT = 440,
  CHART_LEFT = 88,     // tick labels and axis name
  CHART_NAMES = 168,   // names of lines at the right of a panel, or the key
  CHART_GAP = 20,      // right of a panel without names
  CHART_TOP = 44,      // panel title
  CHART_BOTTOM = 62,   // tick labels and axis name
  CHART_NAME_STEP = 17 // distance of two names one above the other
};

// ---- data ---------------------------------------------------------------------------------------

// CSV quoting: labels are ours or heap names, but a quote must not break the file.
static void csv_string(text *csv, const char *string) {
  text_add(csv, "\"");
  for (const char *c = string; *c; c++) text_add_bytes(csv, *c == '"' ? "'" : c, 1);
  text_add(csv, "\"");
}

static void chart_csv(text *csv, const chart *c) {
  text_add(csv, "panel,series,x,y\n");
  for (size_t p = 0; p < c->count; p++) {
    for (size_t s = 0; s < c->panels[p].count; s++) {
      const chart_series *series = &c->panels[p].series[s];
      for (size_t i = 0; i < series->count; i++) {
        csv_string(csv, c->panels[p].title);
        text_add(csv, ",");
        csv_string(csv, series->label);
        text_format(csv, ",%.9g,%.9g\n", series->x[i], series->y[i]);
      }
    }
  }
}

// ---- script -------------------------------------------------------------------------------------

// A file name in gnuplot's single quotes.
static void script_file(text *script, const char *path) {
  text_add(script, "'");
  for (const char *c = path; *c; c++) text_add(script, *c == '\'' ? "''" : (char[2]){*c, 0});
  text_add(script, "'");
}

static void script_head(text *script, const char *svg) {
  text_format(script,
              "set encoding utf8\n"
              "set terminal svg size %d,%d dynamic noenhanced font 'sans-serif,13' "
              "background rgb 'white'\n",
              CHART_WIDTH, CHART_HEIGHT);
  text_add(script, "set output ");
  script_file(script, svg);
  text_add(script, "\nset datafile separator ','\n"
                   "set border 3 lc rgb '#444444'\n"
                   "set tics nomirror out scale 0.6 tc rgb '#222222'\n"
                   "set grid lc rgb '#dddddd' lt 1 lw 0.7\n"
                   "set multiplot\n");
}

typedef struct name_place {
  size_t series;
  double wanted, at; // height in the panel, 0 .. 1
} name_place;

// Move names apart so that none covers another: sort by height, push up, then push back below the
// top edge.
static void names_spread(name_place *names, size_t count, double gap) {
  for (size_t i = 1; i < count; i++)
    for (size_t j = i; j > 0 && names[j].wanted < names[j - 1].wanted; j--) {
      const name_place swap = names[j];
      names[j] = names[j - 1];
      names[j - 1] = swap;
    }
  for (size_t i = 0; i < count; i++) {
    names[i].at = names[i].wanted;
    if (i && names[i].at < names[i - 1].at + gap) names[i].at = names[i - 1].at + gap;
  }
  double ceiling = 1;
  for (size_t i = count; i-- > 0; ceiling = names[i].at - gap)
    if (names[i].at > ceiling) names[i].at = ceiling;
}

// Each line's name at the right edge, joined to the line's last point by a thin leader.
static void script_names(text *script, const chart_panel *panel, axis_range xr, axis_range yr) {
  arena memory = {0};
  name_place *names = arena_alloc(&memory, panel->count * sizeof *names);
  size_t count = 0;
  for (size_t s = 0; s < panel->count; s++) {
    const chart_series *series = &panel->series[s];
    if (!series->count) continue;
    const double last = series->y[series->count - 1];
    names[count++] = (name_place){s, fmin(1, fmax(0, axis_place(panel->y.kind, yr, last))), 0};
  }
  const double height = CHART_HEIGHT - CHART_TOP - CHART_BOTTOM;
  names_spread(names, count, CHART_NAME_STEP / height);
  for (size_t i = 0; i < count; i++) {
    const chart_series *series = &panel->series[names[i].series];
    const double end = axis_place(panel->x.kind, xr, series->x[series->count - 1]);
    text_format(script,
                "set arrow from graph %.5f, graph %.5f to graph 1.025, graph %.5f nohead lw 0.8 "
                "lc rgb '%s'\n",
                end, names[i].wanted, names[i].at, series->row->colour);
    text_format(script, "set label \"%s\" at graph 1.03, graph %.5f left tc rgb '%s'\n",
                series->label, names[i].at, series->row->colour);
  }
  arena_free(&memory);
}

// Scatter: the name beside the point, on the first side where it covers neither another
// name nor a point.
typedef struct box {
  double left, bottom, right, top;
} box;

static bool box_free(const box *taken, size_t count, double right, box b) {
  if (b.left < 0 || b.right > right || b.bottom < 0 || b.top > 1.02) return false;
  for (size_t i = 0; i < count; i++)
    if (b.left < taken[i].right && taken[i].left < b.right && b.bottom < taken[i].top &&
        taken[i].bottom < b.top)
      return false;
  return true;
}

// Places of a name, the best first: beside the point, then above and below it in the middle, to the
// right and to the left, farther and farther away.
enum { ANNOTATION_LINES = 4, ANNOTATION_PLACES = 2 + 6 * ANNOTATION_LINES };

static box annotation_box(box dot, double width, double line, size_t place) {
  const double x = (dot.left + dot.right) / 2, y = (dot.bottom + dot.top) / 2;
  if (place == 0) return (box){dot.right, y - line / 2, dot.right + width, y + line / 2};
  if (place == 1) return (box){dot.left - width, y - line / 2, dot.left, y + line / 2};
  const size_t lines = (place - 2) / 6, column = (place - 2) % 6 / 2;
  const double left = column == 0 ? x - width / 2 : column == 1 ? dot.right : dot.left - width;
  const double away = (double)lines * line;
  const double bottom = place % 2 == 0 ? dot.top + away : dot.bottom - away - line;
  return (box){left, bottom, left + width, bottom + line};
}

static void script_annotations(text *script, const chart_panel *panel, double width, double right,
                               axis_range xr, axis_range yr) {
  arena memory = {0};
  const double height = CHART_HEIGHT - CHART_TOP - CHART_BOTTOM;
  const double letter = 7.6 / width, line = 16 / height, dot_x = 9 / width, dot_y = 8 / height;
  box *taken = arena_alloc(&memory, 2 * panel->count * sizeof *taken);
  size_t count = 0;
  for (size_t s = 0; s < panel->count; s++) {
    const double x = axis_place(panel->x.kind, xr, panel->series[s].x[0]);
    const double y = axis_place(panel->y.kind, yr, panel->series[s].y[0]);
    taken[count++] = (box){x - dot_x, y - dot_y, x + dot_x, y + dot_y};
  }
  for (size_t s = 0; s < panel->count; s++) {
    const chart_series *series = &panel->series[s];
    const box dot = taken[s];
    const double x = (dot.left + dot.right) / 2;
    const double text_width = letter * (double)strlen(series->label);
    box at = annotation_box(dot, text_width, line, 0);
    for (size_t k = 0; k < ANNOTATION_PLACES && !box_free(taken, count, right, at); k++)
      at = annotation_box(dot, text_width, line, k);
    taken[count++] = at;
    // The box's width is an estimate: the text is anchored where it meets the point.
    const box *b = &at;
    const bool at_left = b->right <= x, at_right = b->left >= x;
    const double y = (dot.bottom + dot.top) / 2;
    // A name that had to go far away is joined to its point.
    if (b->bottom > dot.top + line / 2 || b->top < dot.bottom - line / 2)
      text_format(script,
                  "set arrow from graph %.5f, graph %.5f to graph %.5f, graph %.5f nohead lw 0.6 "
                  "lc rgb '%s'\n",
                  x, y, fmin(fmax(x, b->left), b->right), b->bottom > y ? b->bottom : b->top,
                  series->row->colour);
    text_format(script, "set label \"%s\" at graph %.5f, graph %.5f %s tc rgb '%s'\n",
                series->label,
                at_left    ? b->right - dot_x / 3
                : at_right ? b->left + dot_x / 3
                           : x,
                (b->bottom + b->top) / 2,
                at_left    ? "right"
                : at_right ? "left"
                           : "center",
                series->row->colour);
  }
  arena_free(&memory);
}

static const char *style_words(series_style style) {
  switch (style) {
  case SERIES_POINTS:
    return "points";
  case SERIES_LINE_POINTS:
    return "linespoints";
  case SERIES_STEPS:
    return "steps";
  case SERIES_LINE:
    break;
  }
  return "lines";
}

static void script_series(text *script, const chart_series *series, const char *csv, size_t first,
                          bool titled) {
  script_file(script, csv);
  text_format(script, " skip 1 every ::%zu::%zu using 3:4 with %s lc rgb '%s'", first,
              first + series->count - 1, style_words(series->style), series->row->colour);
  if (series->style != SERIES_POINTS) text_format(script, " lw 2.2 dt %s", series->row->dash);
  if (series->style == SERIES_POINTS || series->style == SERIES_LINE_POINTS)
    text_format(script, " pt %d ps 1.1", series->row->marker);
  if (titled)
    text_format(script, " title \"%s\"", series->label);
  else
    text_add(script, " notitle");
}

static size_t panel_points(const chart_panel *panel) {
  size_t count = 0;
  for (size_t s = 0; s < panel->count; s++) count += panel->series[s].count;
  return count;
}

// `first` is the index of the panel's first point in the CSV.
static void script_panel(text *script, const chart *c, size_t p, const char *csv, size_t first) {
  const chart_panel *panel = &c->panels[p];
  const bool last = p + 1 == c->count;
  const double names = c->direct ? CHART_NAMES * (double)c->count : CHART_NAMES;
  const double gaps = c->direct ? 0 : CHART_GAP * (double)(c->count - 1);
  const double width =
      (CHART_WIDTH - CHART_LEFT * (double)c->count - names - gaps) / (double)c->count;
  const double stride = CHART_LEFT + width + (c->direct ? CHART_NAMES : CHART_GAP);
  const double left = CHART_LEFT + stride * (double)p;
  text_format(script,
              "reset\nset datafile separator ','\nset border 3 lc rgb '#444444'\n"
              "set tics nomirror out scale 0.6 tc rgb '#222222'\n"
              "set grid lc rgb '#dddddd' lt 1 lw 0.7\n"
              "set lmargin at screen %.5f\nset rmargin at screen %.5f\n"
              "set bmargin at screen %.5f\nset tmargin at screen %.5f\n",
              left / CHART_WIDTH, (left + width) / CHART_WIDTH, (double)CHART_BOTTOM / CHART_HEIGHT,
              1 - (double)CHART_TOP / CHART_HEIGHT);
  text_format(script, "set title \"%s\"\nset origin 0,0\nset size 1,1\n", panel->title);
  axis_range xr = axis_fit(panel, false);
  const axis_range yr = axis_fit(panel, true);
  // Names stand beside the points: leave room for them between the outermost points and the edges.
  if (c->annotate) xr = axis_widen(panel->x.kind, xr, CHART_ROOM);
  axis_script(script, 'x', panel->x, xr);
  axis_script(script, 'y', panel->y, yr);
  if (c->direct) script_names(script, panel, xr, yr);
  // Names may leave the last panel to the right, where nothing else stands.
  const double right = last ? 1 + CHART_NAMES / width : 1;
  if (c->annotate) script_annotations(script, panel, width, right, xr, yr);
  const bool key = !c->direct && !c->annotate && last;
  if (key)
    text_format(script, "set key at screen %.5f, screen %.5f left top Left reverse samplen 2.2\n",
                (left + width + 4) / CHART_WIDTH, 1 - (double)CHART_TOP / CHART_HEIGHT);
  text_add(script, "plot ");
  bool written = false;
  for (size_t s = 0; s < panel->count; s++) {
    if (!panel->series[s].count) continue;
    if (written) text_add(script, ", \\\n  ");
    script_series(script, &panel->series[s], csv, first, key);
    first += panel->series[s].count;
    written = true;
  }
  // A row without points in this panel still belongs to the key of the figure.
  text_add(script, written ? "\n" : "NaN notitle\n");
}

// ---- drawing ------------------------------------------------------------------------------------

// Replace the text between two tags: gnuplot writes its own name and version there.
static void svg_replace(text *svg, const char *open, const char *close, const char *with) {
  char *start = svg->bytes ? strstr(svg->bytes, open) : NULL;
  char *end = start ? strstr(start, close) : NULL;
  if (!end) return;
  text changed = {0};
  text_add_bytes(&changed, svg->bytes, (size_t)(start - svg->bytes) + strlen(open));
  for (const char *c = with; *c; c++)
    text_add(&changed, *c == '&' ? "&amp;" : *c == '<' ? "&lt;" : (char[2]){*c, 0});
  text_add(&changed, end);
  text_free(svg);
  *svg = changed;
}

static chart_result chart_draw(figures *out, const chart *c, arena *memory, const char *csv) {
  const char *raw = arena_format(memory, "%s/%s.svg.raw", out->folder, c->name);
  const char *script_path = arena_format(memory, "%s/%s.gnuplot", out->folder, c->name);
  text script = {0}, svg = {0};
  script_head(&script, raw);
  size_t first = 0;
  for (size_t p = 0; p < c->count; p++) {
    script_panel(&script, c, p, csv, first);
    first += panel_points(&c->panels[p]);
  }
  text_add(&script, "unset multiplot\nunset output\n");
  chart_result result = CHART_CANNOT_WRITE;
  if (file_write(script_path, script.bytes, script.length, out->error, out->error_bytes)) {
    const char *const arguments[] = {"gnuplot", "-d", script_path, NULL};
    result = CHART_NO_PEN;
    if (program_run(out->gnuplot, arguments) == 0 && file_read(raw, &svg) && svg.length) {
      svg_replace(&svg, "<title>", "</title>", c->title);
      svg_replace(&svg, "<desc>", "</desc>", "Drawn from the CSV file of the same name.");
      const char *path = arena_format(memory, "%s/%s.svg", out->folder, c->name);
      result = file_write(path, svg.bytes, svg.length, out->error, out->error_bytes)
                   ? CHART_DRAWN
                   : CHART_CANNOT_WRITE;
    }
    unlink(script_path);
    unlink(raw);
  }
  text_free(&script);
  text_free(&svg);
  out->broken = result == CHART_NO_PEN;
  return result;
}

chart_result chart_write(figures *out, const chart *c) {
  arena memory = {0};
  const char *csv_path = arena_format(&memory, "%s/%s.csv", out->folder, c->name);
  text csv = {0};
  chart_csv(&csv, c);
  chart_result result = CHART_CANNOT_WRITE;
  if (file_write(csv_path, csv.bytes, csv.length, out->error, out->error_bytes))
    result = out->broken ? CHART_NO_PEN : chart_draw(out, c, &memory, csv_path);
  text_free(&csv);
  arena_free(&memory);
  return result;
}
