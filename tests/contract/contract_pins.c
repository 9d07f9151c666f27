// SPDX-License-Identifier: MIT
// Pins: the address stands still and the object lives until the last unpin.
#include "tests/contract/contract.h"

// Garbage around what lives, then a collection: a moving heap wants to move.
static void disturb(contract *c) {
  HEAP_FRAME(c->thread, f, 1);
  assert_int_equal(contract_list_push(c->thread, &f[0], contract_count(20000), 1),
                   contract_count(20000));
  contract_list_drop(c->thread, &f[0]);
  heap_collect(c->thread, HEAP_COLLECT_FULL);
  HEAP_FRAME_END(c->thread, f);
}

static void test_a_pinned_object_stands_still(void **state) {
  contract *c = *state;
  static const size_t sizes[] = {8, 24, 100, 1024, 9000, 40000, 1 << 20};
  enum { COUNT = sizeof sizes / sizeof *sizes };
  void *addresses[COUNT];
  HEAP_FRAME(c->thread, f, COUNT);
  for (size_t i = 0; i < COUNT; i++) {
    f[i] = contract_new(c, i % 3, sizes[i]);
    contract_fill(c->thread, f[i], i % 3, sizes[i], i);
  }
  for (size_t i = 0; i < COUNT; i++) {
    addresses[i] = heap_pin(c->thread, f[i], i % 3);
    assert_non_null(addresses[i]);
  }
  for (int round = 0; round < 3; round++) {
    disturb(c);
    for (size_t i = 0; i < COUNT; i++) {
      assert_ptr_equal(addresses[i], heap_read(c->thread, f[i], i % 3));
      assert_true(contract_is_filled(c->thread, f[i], i % 3, sizes[i], i));
    }
  }
  for (size_t i = 0; i < COUNT; i++) heap_unpin(c->thread, f[i]);
  disturb(c);
  for (size_t i = 0; i < COUNT; i++)
    assert_true(contract_is_filled(c->thread, f[i], i % 3, sizes[i], i));
  HEAP_FRAME_END(c->thread, f);
}

static void test_pins_nest(void **state) {
  contract *c = *state;
  HEAP_FRAME(c->thread, f, 2);
  f[0] = contract_new(c, 0, 32);
  f[1] = contract_new(c, 0, 32);
  void *address = heap_pin(c->thread, f[0], 0);
  assert_non_null(heap_pin(c->thread, f[1], 0));
  assert_ptr_equal(heap_pin(c->thread, f[0], 0), address);
  heap_unpin(c->thread, f[0]);
  heap_unpin(c->thread, f[1]);
  disturb(c);
  assert_ptr_equal(heap_read(c->thread, f[0], 0), address); // one pin is left
  heap_unpin(c->thread, f[0]);
  HEAP_FRAME_END(c->thread, f);
}

static void test_a_pin_keeps_alive(void **state) {
  contract *c = *state;
  enum { BYTES = 48 };
  unsigned char *address;
  heap_ref object; // not rooted: only the pin holds it; valid because the pin does
  HEAP_FRAME(c->thread, f, 1);
  f[0] = contract_new(c, 0, BYTES);
  contract_fill(c->thread, f[0], 0, BYTES, 77);
  address = heap_pin(c->thread, f[0], 0);
  object = f[0];
  f[0] = HEAP_NULL;
  disturb(c);
  disturb(c);
  const unsigned char first = address[0];
  f[0] = contract_new(c, 0, BYTES);
  contract_fill(c->thread, f[0], 0, BYTES, 77);
  assert_int_equal(first, *(const unsigned char *)heap_read(c->thread, f[0], 0));
  assert_memory_equal(address, heap_read(c->thread, f[0], 0), BYTES);
  if (!(HEAP_CAPS & HEAP_CAP_MOVES)) heap_unpin(c->thread, object);
  HEAP_FRAME_END(c->thread, f);
}

static void test_many_pins_or_a_clear_refusal(void **state) {
  contract *c = *state;
  const size_t n = contract_count(5000);
  HEAP_FRAME(c->thread, f, 1);
  f[0] = contract_new(c, n, 0);
  size_t pinned = 0;
  for (size_t i = 0; i < n; i++) {
    const heap_ref object = contract_new(c, 0, 16);
    contract_fill(c->thread, object, 0, 16, i);
    heap_store(c->thread, f[0], i, object);
  }
  while (pinned < n && heap_pin(c->thread, heap_load(c->thread, f[0], pinned), 0)) pinned++;
  assert_true(pinned >= (n < 64 ? n : 64)); // fewer would be of no use
  disturb(c);
  for (size_t i = 0; i < n; i++)
    assert_true(contract_is_filled(c->thread, heap_load(c->thread, f[0], i), 0, 16, i));
  for (size_t i = 0; i < pinned; i++) heap_unpin(c->thread, heap_load(c->thread, f[0], i));
  disturb(c);
  void *again = heap_pin(c->thread, heap_load(c->thread, f[0], 0), 0);
  assert_non_null(again); // the table has room again
  heap_unpin(c->thread, heap_load(c->thread, f[0], 0));
  HEAP_FRAME_END(c->thread, f);
}

int contract_pins(void) {
  const struct CMUnitTest tests[] = {
      CONTRACT_TEST(test_a_pinned_object_stands_still),
      CONTRACT_TEST(test_pins_nest),
      CONTRACT_TEST(test_a_pin_keeps_alive),
      CONTRACT_TEST(test_many_pins_or_a_clear_refusal),
  };
  return cmocka_run_group_tests_name("contract pins " HEAP_NAME, tests, NULL, NULL);
}
