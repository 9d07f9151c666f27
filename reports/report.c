// SPDX-License-Identifier: MIT
// The order of the sections, and the files.
#include "reports/report.h"

#include <string.h>

#include "reports/files.h"
#include "reports/report_parts.h"

static void report_sections(report *r) {
  section_summary(r);
  section_compared(r);
  section_reading(r);
  section_seed(r);
  section_steps(r);
  section_maps(r);
  section_pauses(r);
  section_throughput(r);
  section_moving(r);
  section_memory(r);
  section_density(r);
  section_service(r);
  section_times(r);
  section_handles(r);
  section_accounting(r);
  section_losses(r);
  section_method(r);
  section_failures(r);
}

// The folder part of a path; "." when it has none.
static const char *folder_of(arena *memory, const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return ".";
  return slash == path ? "/" : arena_format(memory, "%.*s", (int)(slash - path), path);
}

report_status report_render(const report_options *options, char *error, size_t error_bytes) {
  report r = {.title = options->title ? options->title : "heapduel report"};
  r.memory = &r.set.memory;
  report_status status = REPORT_BAD_RECORDS;
  if (!record_set_read(&r.set, options->records, error, error_bytes)) goto free_set;
  status = REPORT_CANNOT_WRITE;
  r.records_folder = folder_of(r.memory, options->records);
  r.figures = (figures){.folder = arena_format(r.memory, "%s/figures", options->out),
                        .gnuplot = options->gnuplot ? options->gnuplot : "gnuplot",
                        .error = error,
                        .error_bytes = error_bytes};
  if (!folder_create(r.figures.folder, error, error_bytes)) goto free_set;
  report_sections(&r);
  if (r.failed) goto free_text;
  const char *path = arena_format(r.memory, "%s/report.md", options->out);
  if (file_write(path, r.out.bytes, r.out.length, error, error_bytes)) status = REPORT_OK;
free_text:
  text_free(&r.out);
free_set:
  record_set_free(&r.set);
  return status;
}
