// SPDX-License-Identifier: MIT
#include "tests/stress/model.h"

#include <string.h>

void model_init(model *m) {
  memset(m, 0, sizeof *m);
  m->next_free = 1;
  m->next_serial = 1;
}

uint32_t model_add(model *m, uint32_t ref_count, uint32_t byte_count) {
  for (uint32_t tries = 1; tries < MODEL_OBJECTS; tries++) {
    const uint32_t index = m->next_free;
    m->next_free = index + 1 < MODEL_OBJECTS ? index + 1 : 1;
    if (m->objects[index].live) continue;
    m->objects[index] = (model_object){.live = true,
                                       .ref_count = ref_count,
                                       .byte_count = byte_count,
                                       .serial = m->next_serial,
                                       .key = m->next_serial};
    m->next_serial++;
    m->live_count++;
    return index;
  }
  return 0;
}

void model_reach(model *m) {
  uint32_t count = 0;
  memset(m->reached, 0, sizeof m->reached);
  m->reached[0] = true;
  for (uint32_t i = 0; i < MODEL_ROOTS; i++) {
    if (m->reached[m->roots[i]]) continue;
    m->reached[m->roots[i]] = true;
    m->pending[count++] = m->roots[i];
  }
  while (count > 0) {
    const model_object *object = &m->objects[m->pending[--count]];
    for (uint32_t i = 0; i < object->ref_count; i++) {
      const uint32_t next = object->slots[i];
      if (m->reached[next]) continue;
      m->reached[next] = true;
      m->pending[count++] = next;
    }
  }
}

void model_sweep(model *m, model_dead_fn dead, void *context) {
  model_reach(m);
  for (uint32_t i = 1; i < MODEL_OBJECTS; i++) {
    if (!m->objects[i].live || m->reached[i]) continue;
    dead(context, &m->objects[i]);
    m->objects[i].live = false;
    m->live_count--;
  }
}

bool model_has(const model *m, uint32_t index, uint64_t serial) {
  return m->objects[index].live && m->objects[index].serial == serial;
}
