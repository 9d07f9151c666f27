// SPDX-License-Identifier: MIT
#include "harness/record_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/cli.h"
#include "harness/job.h"
#include "harness/record.h"

// ---- reading ------------------------------------------------------------------------------------

// The members without which nothing can be done with a record; NULL when all are there.
static const char *record_file_missing(const json_t *record) {
  static const char *const texts[] = {"workload", "heap", "status"};
  if (!json_is_object(record)) return "a JSON object";
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (!json_is_string(json_object_get(record, texts[i]))) return texts[i];
  const json_t *schema = json_object_get(record, "schema");
  return json_is_integer(schema) && json_integer_value(schema) == RECORD_SCHEMA ? NULL : "schema 1";
}

json_t *record_file_parse(const char *text, size_t bytes, const char *name, char *error,
                          size_t error_bytes) {
  json_t *records = json_array();
  size_t line_number = 0;
  for (size_t at = 0; at < bytes;) {
    const char *newline = memchr(text + at, '\n', bytes - at);
    if (!newline) break; // an interrupted write
    const size_t length = (size_t)(newline - text) - at;
    line_number++;
    if (length > 0) {
      json_error_t problem;
      json_t *record = json_loadb(text + at, length, 0, &problem);
      const char *missing = record ? record_file_missing(record) : NULL;
      if (!record || missing) {
        snprintf(error, error_bytes, "%s:%zu is not a record (%s%s); remove the line or the file",
                 name, line_number, missing ? "no " : problem.text, missing ? missing : "");
        json_decref(record);
        json_decref(records);
        return NULL;
      }
      json_array_append_new(records, record);
    }
    at += length + 1;
  }
  return records;
}

json_t *record_file_read(const char *path, char *error, size_t error_bytes) {
  FILE *file = fopen(path, "rb");
  struct stat about;
  if (!file || fstat(fileno(file), &about) != 0) {
    snprintf(error, error_bytes, "cannot read %s: %s", path, strerror(errno));
    if (file) fclose(file);
    return NULL;
  }
  const size_t bytes = S_ISREG(about.st_mode) ? (size_t)about.st_size : 0;
  char *text = cli_allocate(bytes + 1);
  const size_t got = fread(text, 1, bytes, file);
  json_t *records = NULL;
  if (!S_ISREG(about.st_mode) || got != bytes || ferror(file))
    snprintf(error, error_bytes, "cannot read %s: it is not a readable file of records", path);
  else
    records = record_file_parse(text, got, path, error, error_bytes);
  free(text);
  fclose(file);
  return records;
}

bool record_file_has(const json_t *records, const char *key) {
  size_t index;
  json_t *record;
  json_array_foreach(records, index,
                     record) if (job_is_good(record) && strcmp(job_text(record, "job"), key) == 0) {
    return true;
  }
  return false;
}

// ---- writing ------------------------------------------------------------------------------------

static bool record_file_write_all(int fd, const char *bytes, size_t count) {
  while (count > 0) {
    const ssize_t written = write(fd, bytes, count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes += written;
    count -= (size_t)written;
  }
  return true;
}

// Take off what an interrupted write left after the last newline, so that lines stay whole.
static bool record_file_trim(int fd) {
  off_t end = lseek(fd, 0, SEEK_END);
  char byte = '\n';
  const off_t before = end;
  while (end > 0 && pread(fd, &byte, 1, end - 1) == 1 && byte != '\n') end--;
  return end == before || ftruncate(fd, end) == 0;
}

static bool record_file_write(int fd, const json_t *record) {
  char *line = record_line(record);
  if (!line) {
    errno = ENOMEM;
    return false;
  }
  char *whole = cli_format("%s\n", line);
  const bool good = record_file_write_all(fd, whole, strlen(whole));
  free(whole);
  free(line);
  return good;
}

bool record_file_append(const char *path, const json_t *record) {
  const int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return false;
  bool good = record_file_trim(fd);
  const off_t before = lseek(fd, 0, SEEK_END);
  if (good && !record_file_write(fd, record)) {
    // A full disk takes part of a line: take it back. Nothing else can be done if that fails too,
    // and readers ignore a torn last line.
    const int error = errno;
    const bool taken_back = before >= 0 && ftruncate(fd, before) == 0;
    (void)taken_back;
    errno = error;
    good = false;
  }
  // A pipe or a device has nothing to make durable.
  good = good && (fsync(fd) == 0 || errno == EINVAL || errno == EROFS);
  return close(fd) == 0 && good;
}

bool record_file_replace(const char *path, const json_t *records) {
  char *beside = cli_format("%s.tmp", path);
  const int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  bool good = fd >= 0;
  size_t index;
  json_t *record;
  json_array_foreach(records, index, record) good = good && record_file_write(fd, record);
  good = good && fsync(fd) == 0;
  if (fd >= 0) good = close(fd) == 0 && good;
  good = good && rename(beside, path) == 0;
  if (!good && fd >= 0) {
    const int error = errno;
    unlink(beside);
    errno = error;
  }
  free(beside);
  return good;
}
