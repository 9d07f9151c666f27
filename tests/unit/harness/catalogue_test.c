// SPDX-License-Identifier: MIT
// Settings checked against what a runner says of itself; finding runners in a folder.
#include "harness/catalogue.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "allocators/base/rng.h"
#include "harness/cli.h"

static const char listing[] =
    "{\"heap\":\"x\",\"workloads\":[{\"name\":\"w\",\"params\":["
    "{\"name\":\"n\",\"default\":3,\"min\":1,\"max\":10},"
    "{\"name\":\"mode\",\"default\":\"none\",\"choices\":[\"none\",\"copy\"]}]}]}";

static json_t *sample_workload(json_t *about) {
  return json_array_get(json_object_get(about, "workloads"), 0);
}

// The lines that bad input prints are not of interest here.
static int silence(void **state) {
  (void)state;
  return freopen("/dev/null", "w", stderr) ? 0 : -1;
}

static void test_settings_become_plain_decimal(void **state) {
  (void)state;
  json_t *about = json_loads(listing, 0, NULL);
  static const char *const pairs[][2] = {{"n=7", "n=7"},
                                         {"mode=copy", "mode=copy"},
                                         {"limit=1G", "limit=1G"},
                                         {"gogc=off", "gogc=off"}};
  for (size_t i = 0; i < 4; i++) {
    char *setting = catalogue_setting(sample_workload(about), pairs[i][0]);
    assert_string_equal(setting, pairs[i][1]);
    free(setting);
  }
  json_decref(about);
}

static void test_bad_settings_are_refused(void **state) {
  (void)state;
  json_t *about = json_loads(listing, 0, NULL);
  static const char *const bad[] = {"n=0",   "n=11", "n=", "n=-1", "n=1x", "mode=2",
                                    "mode=", "nn=3", "n",  "=3",   "",     "gogc=fast"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_null(catalogue_setting(sample_workload(about), bad[i]));
  json_decref(about);
}

static void test_mutated_settings_stay_in_range(void **state) {
  (void)state;
  json_t *about = json_loads(listing, 0, NULL);
  hs_rng rng = hs_rng_seed(7);
  for (int round = 0; round < 20000; round++) {
    char text[16] = "n=5";
    for (uint64_t edits = hs_rng_between(&rng, 1, 4); edits > 0; edits--)
      text[hs_rng_below(&rng, sizeof text - 1)] = (char)hs_rng_between(&rng, 1, 126);
    char *setting = catalogue_setting(sample_workload(about), text);
    if (setting && strncmp(setting, "n=", 2) == 0)
      assert_in_range(strtol(setting + 2, NULL, 10), 1, 10);
    free(setting);
  }
  json_decref(about);
}

static void make_runner(const char *folder, const char *name, const char *script) {
  char *path = cli_format("%s/%s", folder, name);
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, script, strlen(script)), (ssize_t)strlen(script));
  close(fd);
  free(path);
}

static void test_runners_are_found_and_asked(void **state) {
  (void)state;
  char folder[] = "/tmp/heapduel-catalogue-XXXXXX";
  assert_non_null(mkdtemp(folder));
  char *script = cli_format("#!/bin/sh\necho '%s'\n", listing);
  make_runner(folder, "run_zeta", script);
  make_runner(folder, "run_libc", script);
  make_runner(folder, "run_libc_outline", script);
  make_runner(folder, "run_jvm_zgc", script);
  make_runner(folder, "run_broken", "#!/bin/sh\necho nonsense\n");
  make_runner(folder, "unrelated", script);
  run_catalogue catalogue;
  assert_true(catalogue_load(&catalogue, folder));
  assert_int_equal(catalogue.count, 4);
  assert_string_equal(catalogue.heaps[0].name, "libc"); // known rows first
  assert_non_null(catalogue.heaps[0].outline);
  assert_null(catalogue_heap_find(&catalogue, "zeta")->outline);
  assert_null(catalogue_heap_find(&catalogue, "broken")->about);
  assert_null(catalogue_heap_find(&catalogue, "unrelated"));
  assert_string_equal(catalogue.heaps[1].name, "jvm_zgc"); // reference rows after heaps
  assert_true(catalogue_is_reference(&catalogue.heaps[1]) && catalogue_is_jvm(&catalogue.heaps[1]));
  assert_false(catalogue_is_reference(&catalogue.heaps[0]));
  assert_non_null(catalogue_workload(&catalogue, "w"));
  assert_null(catalogue_workload_need(&catalogue, "v"));
  assert_null(catalogue_heap_need(&catalogue, "lib"));
  catalogue_free(&catalogue);
  free(script);
  char *clean = cli_format("rm -r %s", folder);
  assert_int_equal(system(clean), 0);
  free(clean);
}

static void test_empty_folder_is_an_error(void **state) {
  (void)state;
  run_catalogue catalogue;
  assert_false(catalogue_load(&catalogue, "/no/such/folder"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_settings_become_plain_decimal),
      cmocka_unit_test(test_bad_settings_are_refused),
      cmocka_unit_test(test_mutated_settings_stay_in_range),
      cmocka_unit_test(test_runners_are_found_and_asked),
      cmocka_unit_test(test_empty_folder_is_an_error),
  };
  return cmocka_run_group_tests(tests, silence, NULL);
}
