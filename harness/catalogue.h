// SPDX-License-Identifier: MIT
// What can be run: the runners beside this program, asked with --list. The command knows no heap and
// no workload by itself, so adding one never changes it.
#ifndef CATALOGUE_H
#define CATALOGUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { CATALOGUE_HEAPS = 32 };

typedef struct catalogue_heap {
  char *name;    // of the row
  char *program; // path of the runner
  char *outline; // path of the runner whose operations are calls, or NULL
  json_t *about; // what --list printed; NULL when it does not answer
} catalogue_heap;

typedef struct run_catalogue {
  catalogue_heap heaps[CATALOGUE_HEAPS];
  size_t count;
} run_catalogue;

// Find and ask the runners in `folder`. False: there is none; prints one line.
bool catalogue_load(run_catalogue *catalogue, const char *folder);
void catalogue_free(run_catalogue *catalogue);

// NULL when unknown.
const catalogue_heap *catalogue_heap_find(const run_catalogue *catalogue, const char *name);
json_t *catalogue_workload(const run_catalogue *catalogue, const char *name); // borrowed

// Whether the row is not a heap behind our contract: real Go, a JVM or the closed form.
bool catalogue_is_reference(const catalogue_heap *heap);

// Whether it is a collector of the JVM. These rows run only where they are asked for: they start
// slowly and take memory of their own beside the heap.
bool catalogue_is_jvm(const catalogue_heap *heap);

// As the finders, but print one line with the nearest name when unknown.
const catalogue_heap *catalogue_heap_need(const run_catalogue *catalogue, const char *name);
json_t *catalogue_workload_need(const run_catalogue *catalogue, const char *name);

// Check "name=value" against the parameters of the workload, then the options of the heaps. Returns
// the same with the value in plain decimal (malloc'ed), or NULL after printing one line.
char *catalogue_setting(json_t *workload, const char *assignment);

#endif
