// SPDX-License-Identifier: MIT
// contract_<heap> [--stress] [topic ...]: run the topics named, or all. Exit status: 0 all passed, 77
// every test was skipped, 1 otherwise.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/runtime/config.h"
#include "tests/contract/contract.h"

// Under --stress counts shrink by this much: a list of n nodes costs n collections of n objects.
enum { CONTRACT_STRESS_DIVISOR = 200, CONTRACT_STRESS_MINIMUM = 8, CONTRACT_EXIT_SKIPPED = 77 };

bool contract_stress;
static size_t started_count, skipped_count;

heap_config contract_config(void) {
  heap_config config = hs_config_default();
  config.stress = contract_stress;
  return config;
}

size_t contract_count(size_t n) {
  if (!contract_stress) return n;
  const size_t few = n / CONTRACT_STRESS_DIVISOR;
  return few > CONTRACT_STRESS_MINIMUM
             ? few
             : (n < CONTRACT_STRESS_MINIMUM ? n : CONTRACT_STRESS_MINIMUM);
}

int contract_setup(void **state) {
  started_count++;
  contract *c = calloc(1, sizeof *c);
  if (!c) return -1;
  c->config = contract_config();
  *state = c;
  if (heap_create(&c->config, &c->heap) != HEAP_OK) return -1;
  return heap_thread_enter(c->heap, &c->thread) == HEAP_OK ? 0 : -1;
}

int contract_teardown(void **state) {
  contract *c = *state;
  for (size_t i = 0; i < c->owned_count; i++) heap_discard(c->thread, c->owned[i]);
  free(c->owned);
  if (c->thread) heap_thread_leave(c->thread);
  heap_destroy(c->heap);
  free(c);
  return 0;
}

void contract_skip(const char *reason) {
  skipped_count++;
  print_message("skipped: %s\n", reason);
  skip();
  abort(); // skip does not return
}

void contract_needs(unsigned needs) {
  static const struct {
    unsigned bit;
    const char *reason;
  } names[] = {
      {HEAP_CAP_TRACES, "the heap does not trace"},
      {HEAP_CAP_FREES, "discarding does not free on this heap"},
      {HEAP_CAP_WEAK, "the heap has no weak references"},
      {HEAP_CAP_LIMIT, "the heap has no limit"},
      {HEAP_CAP_THREADS, "the heap has one mutator thread"},
      {HEAP_CAP_MAP, "the heap cannot show its pages"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if ((needs & names[i].bit) && !(HEAP_CAPS & names[i].bit)) contract_skip(names[i].reason);
}

// ---- single objects ------------------------------------------------------------------------------

heap_ref contract_new(contract *c, size_t ref_count, size_t byte_count) {
  const heap_ref object = heap_alloc(c->thread, ref_count, byte_count);
  assert_false(heap_is_null(object));
  if (HEAP_CAPS & HEAP_CAP_FREES) {
    if (c->owned_count == c->owned_capacity) {
      c->owned_capacity = c->owned_capacity ? 2 * c->owned_capacity : 64;
      c->owned = realloc(c->owned, c->owned_capacity * sizeof *c->owned);
      assert_non_null(c->owned);
    }
    c->owned[c->owned_count++] = object;
  }
  return object;
}

void contract_drop(contract *c, heap_ref object) {
  for (size_t i = c->owned_count; i > 0; i--) {
    if (c->owned[i - 1].bits != object.bits) continue;
    c->owned[i - 1] = c->owned[--c->owned_count];
    break;
  }
  heap_discard(c->thread, object);
}

static unsigned char pattern_byte(uint64_t key, size_t i) {
  return (unsigned char)(key + i * 31 + (i >> 8));
}

void contract_fill(heap_thread *t, heap_ref object, size_t ref_count, size_t byte_count,
                   uint64_t key) {
  unsigned char *bytes = heap_write(t, object, ref_count);
  for (size_t i = 0; i < byte_count; i++) bytes[i] = pattern_byte(key, i);
}

bool contract_is_filled(heap_thread *t, heap_ref object, size_t ref_count, size_t byte_count,
                        uint64_t key) {
  const unsigned char *bytes = heap_read(t, object, ref_count);
  for (size_t i = 0; i < byte_count; i++)
    if (bytes[i] != pattern_byte(key, i)) return false;
  return true;
}

bool contract_is_zero(heap_thread *t, heap_ref object, size_t ref_count, size_t byte_count) {
  for (size_t i = 0; i < ref_count; i++)
    if (!heap_is_null(heap_load(t, object, i))) return false;
  const unsigned char *bytes = heap_read(t, object, ref_count);
  for (size_t i = 0; i < byte_count; i++)
    if (bytes[i] != 0) return false;
  return true;
}

// ---- lists ---------------------------------------------------------------------------------------

size_t contract_list_push(heap_thread *t, heap_ref *head, size_t n, uint64_t key) {
  HEAP_FRAME(t, frame, 1);
  frame[0] = *head;
  size_t pushed = 0;
  while (pushed < n) {
    const heap_ref node = heap_alloc(t, 1, CONTRACT_NODE_BYTES);
    if (heap_is_null(node)) break;
    uint64_t *words = heap_write(t, node, 1);
    words[0] = key;
    words[1] = heap_is_null(frame[0]) ? 0 : ((const uint64_t *)heap_read(t, frame[0], 1))[1] + 1;
    heap_store(t, node, 0, frame[0]);
    frame[0] = node;
    pushed++;
  }
  *head = frame[0];
  HEAP_FRAME_END(t, frame);
  return pushed;
}

bool contract_list_check(heap_thread *t, heap_ref head, size_t n, uint64_t key) {
  size_t left = n;
  for (heap_ref node = head; !heap_is_null(node); node = heap_load(t, node, 0)) {
    const uint64_t *words = heap_read(t, node, 1);
    if (left == 0 || words[0] != key || words[1] != left - 1) return false;
    left--;
  }
  return left == 0;
}

void contract_list_drop(heap_thread *t, heap_ref *head) {
  heap_ref node = *head;
  while (!heap_is_null(node)) {
    const heap_ref next = heap_load(t, node, 0);
    heap_discard(t, node);
    node = next;
  }
  *head = HEAP_NULL;
}

// ---- command line ----------------------------------------------------------------------------------

typedef struct topic {
  const char *name;
  int (*run)(void);
} topic;

static const topic topics[] = {
#define CONTRACT_ROW(name) {#name, contract_##name},
    CONTRACT_TOPICS(CONTRACT_ROW)
#undef CONTRACT_ROW
};
enum { TOPIC_COUNT = sizeof topics / sizeof *topics };

static int topic_run(const char *name) {
  for (size_t i = 0; i < TOPIC_COUNT; i++)
    if (strcmp(topics[i].name, name) == 0) return topics[i].run();
  fprintf(stderr, "contract: unknown topic '%s'\n", name);
  return 1;
}

int main(int argc, char **argv) {
  int failed = 0, named = 0;
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--stress") == 0) contract_stress = true;
  for (int i = 1; i < argc; i++) {
    if (argv[i][0] == '-') continue;
    failed += topic_run(argv[i]);
    named++;
  }
  for (size_t i = 0; named == 0 && i < TOPIC_COUNT; i++) failed += topics[i].run();
  if (failed) return 1;
  return started_count > 0 && skipped_count == started_count ? CONTRACT_EXIT_SKIPPED : 0;
}
