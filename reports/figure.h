// SPDX-License-Identifier: MIT
// Page occupancy maps drawn as SVG straight from a record's `map` (harness/record.md), for reports
// and for `heapduel map`. One cell per page, or per run of pages when there are many; the darker the
// fuller; released pages stay white; metadata pages are hatched in grey.
#ifndef REPORTS_FIGURE_H
#define REPORTS_FIGURE_H

#include <jansson.h>
#include <stddef.h>

#include "reports/report.h"

typedef struct page_map {
  const json_t *record; // one record, with `map`
  const char *stage;    // a stage of its map
  const char *title;    // above the panel; NULL: "heap, stage (name)"
} page_map;

// Write an SVG of panels, `columns` side by side, to `path` (replaced as a whole). REPORT_BAD_RECORDS
// when a record has no map at that stage, with a line in `error`.
report_status page_map_write(const page_map *panels, size_t count, size_t columns, const char *path,
                             char *error, size_t error_bytes);

// The same for one record: every stage of its map, in the order of its stages, two side by side.
report_status page_map_write_record(const json_t *run, const char *path, char *error,
                                    size_t error_bytes);

#endif
