// SPDX-License-Identifier: MIT
// The command end to end, against runners that crash, hang and lie on purpose: exit codes, one clear
// line per mistake, finished results kept. HEAPDUEL is the program, FAKES the folder of the scripts.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/child.h"
#include "harness/cli.h"
#include "harness/record_file.h"

static char folder[] = "/tmp/heapduel-command-XXXXXX"; // holds the program and fake runners

typedef struct answer {
  int code;
  char *text; // both streams
} answer;

// Run a shell script; $D is the folder, $H the program in it.
static answer shell(const char *script) {
  char *whole =
      cli_format("D=%s; H=$D/heapduel; export FAKE_FIFO=$D/fifo; exec 2>&1\n%s", folder, script);
  char *const argv[] = {"/bin/sh", "-c", whole, NULL};
  const child_request request = {.argv = argv, .timeout_ms = 60000}; // a hang fails, not blocks
  child_result result;
  child_run(&request, &result);
  assert_false(result.timed_out);
  free(whole);
  return (answer){result.exit_code, result.output};
}

static void expect(const char *script, int code, const char *needle) {
  answer got = shell(script);
  if (got.code != code || !strstr(got.text, needle))
    fail_msg("%s\nexit code %d, wanted %d and '%s' in:\n%s", script, got.code, code, needle,
             got.text);
  free(got.text);
}

// As expect, and the whole answer is that one line.
static void expect_line(const char *script, int code, const char *needle) {
  expect(script, code, needle);
  answer got = shell(script);
  const char *newline = strchr(got.text, '\n');
  if (!newline || newline[1]) fail_msg("%s\nis not one line:\n%s", script, got.text);
  free(got.text);
}

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  char *script = cli_format("D=%s; cp \"$HEAPDUEL\" $D/heapduel && for h in first second; do "
                            "cp \"$FAKES/fake_runner.sh\" $D/run_$h && chmod +x $D/run_$h || "
                            "exit 1; done; mkdir $D/tools && cp \"$FAKES/fake_hyperfine.sh\" "
                            "$D/tools/hyperfine && chmod +x $D/tools/hyperfine && "
                            "mkfifo $D/fifo $D/fifo.never",
                            folder);
  const int code = system(script);
  free(script);
  return code;
}

static int tear_down(void **state) {
  (void)state;
  char *script = cli_format("rm -rf %s", folder);
  const int code = system(script);
  free(script);
  return code;
}

// ---- usage --------------------------------------------------------------------------------------

static void test_help_and_version(void **state) {
  (void)state;
  expect("$H --help", 0, "usage: heapduel COMMAND");
  expect("$H --version", 0, "heapduel 0.");
  expect("$H", 2, "usage: heapduel COMMAND");
  static const char *const commands[] = {"report", "run", "list", "map", "time", "doctor"};
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    char *script = cli_format("$H %s --help", commands[i]);
    expect(script, 0, "Usage: ");
    free(script);
  }
}

static void test_mistakes_are_one_line_with_advice(void **state) {
  (void)state;
  static const struct {
    const char *script, *needle;
  } cases[] = {
      {"$H rnu", "did you mean run?"},
      {"$H frobnicate", "heapduel --help"},
      {"$H run", "which workload?"},
      {"$H run goood", "did you mean good?"},
      {"$H run mandelbrot", "heapduel list"},
      {"$H run good --heap frist", "did you mean first?"},
      {"$H run good --heap ,", "names no heap"},
      {"$H run good --set n=11", "from 1 to 10"},
      {"$H run good --set n=x", "from 1 to 10"},
      {"$H run good --set mode=fast", "none, copy"},
      {"$H run good --set size=3", "it has n, mode"},
      {"$H run good --set n", "name=value"},
      {"$H run good --set gogc=fast", "gogc"},
      {"$H run good --blocks 0", "--blocks cannot be '0'"},
      {"$H run good --timeout x", "--timeout cannot be 'x'"},
      {"$H run good --limit much", "limit"},
      {"$H run good --json $D/none/file --heap first >/dev/null", "none/file"},
      {"$H run good --fast", "there is no option --fast"},
      {"$H run good --heaps first", "did you mean --heap?"},
      {"$H run good -q", "there is no option -q"},
      {"$H run good --heap", "--heap needs a value: --heap=A,B"},
      {"$H run good -H", "--heap needs a value"},
      {"$H run good --map=3", "--map takes no value"},
      {"$H map good --se x", "may mean several"},
      {"$H run good better", "'better' is too much"},
      {"$H map good better", "'better' is too much"},
      {"$H time good better", "'better' is too much"},
      {"$H --bogus", "heapduel --help"},
      {"$H list surplus", "'surplus' is too much"},
      {"$H doctor surplus", "'surplus' is too much"},
      {"$H report surplus", "-o DIR"},
      {"$H map", "which workload?"},
      {"$H map good --heap first", "cannot draw"},
      {"$H time", "which workload?"},
      {"$H report --resume", "-o DIR"},
      {"$H report -o /proc/none", "cannot write to folder"},
      {"$H report -o $D/heapduel", "cannot write to folder"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    expect_line(cases[i].script, 2, cases[i].needle);
}

static void test_no_runners_is_a_clear_error(void **state) {
  (void)state;
  expect_line("mkdir -p $D/lonely && cp $H $D/lonely/heapduel && $D/lonely/heapduel list", 2,
              "build the whole project");
}

// A redirection to a full disk must not look like success.
static void test_lost_output_is_an_error(void **state) {
  (void)state;
  static const char *const commands[] = {"--help",
                                         "--version",
                                         "list",
                                         "list --json",
                                         "doctor",
                                         "run good --heap first",
                                         "run good --heap first --json -"};
  expect("$H run good --heap first --json $D/full.jsonl", 0, "first");
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    char *script = cli_format("PATH=$D/gone $H %s 2>&1 >/dev/full", commands[i]);
    expect_line(script, 2, "cannot write");
    free(script);
  }
  expect("$H report --records $D/full.jsonl -o $D/full 2>&1 >/dev/full", 2, "cannot write");
}

static void test_json_to_a_full_disk_keeps_the_table(void **state) {
  (void)state;
  expect("$H run good --heap first --json /dev/full", 2, "cannot write /dev/full: No space left");
  expect("$H run good --heap first --json /dev/full 2>/dev/null", 2, "first");
}

// A reader that closes early ends the command without a word, as everywhere.
static void test_closed_pipe_is_quiet(void **state) {
  (void)state;
  expect_line("$H list | { read -r line; echo \"$line\"; }", 0, "Workloads");
  expect_line("$H list | :; echo done", 0, "done");
}

// ---- run ----------------------------------------------------------------------------------------

static void test_run_prints_a_table_or_records(void **state) {
  (void)state;
  expect("$H run good", 0, "second");
  answer got = shell("$H run good --heap second,first --json - 2>/dev/null");
  char error[512];
  json_t *records = record_file_parse(got.text, strlen(got.text), "-", error, sizeof error);
  assert_int_equal(json_array_size(records), 2);
  json_decref(records);
  free(got.text);
  expect("$H list --json", 0, "\"name\":\"second\"");
  expect("$H list", 0, "mode");
}

static void test_list_names_the_values_of_options(void **state) {
  (void)state;
  expect("$H list", 0, "marks; stw|concurrent, default concurrent\n");
  expect("$H list", 0, "lines; some of gc,scav, or none (default)\n");
  expect("$H list", 0, "grows; -1..1000, default 100\n");
  expect("$H list", 0, "ends; default 0\n"); // "up to 9223372036854775807" says nothing
  expect("$H list --json", 0, "\"words\":\"stw|concurrent\"");
}

static void test_failures_become_rows_and_exit_code_3(void **state) {
  (void)state;
  static const struct {
    const char *workload, *status, *reason;
  } cases[] = {{"crash", "crashed", "signal 11"},
               {"abort", "crashed", "signal 6: the heap is broken: slot 7"},
               {"garbage", "invalid", "without a record"},
               {"empty", "invalid", "without a record"},
               {"silent", "crashed", "exit code 3"},
               {"oom", "oom", "out of memory"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char *script = cli_format("$H run %s --heap first --json -", cases[i].workload);
    char *status = cli_format("\"status\":\"%s\"", cases[i].status);
    expect(script, 3, status);
    expect(script, 3, cases[i].reason);
    free(status);
    free(script);
  }
}

static void test_synthesised_rows_state_every_parameter(void **state) {
  (void)state;
  expect("$H run crash --heap first --set n=5 --json -", 3, "\"mode\":\"none\",\"n\":5");
}

static void test_timeout_is_a_row(void **state) {
  (void)state;
  expect("$H run hang --heap first --timeout 1 --json -", 3, "\"status\":\"timeout\"");
}

static void test_skipped_is_no_failure(void **state) {
  (void)state;
  expect("$H run skipped --heap first", 0, "needs tracing");
}

static void test_checksums_must_agree(void **state) {
  (void)state;
  expect("$H run liar --json /dev/null", 3, "checksums disagree");
  expect("$H run liar --heap first --json /dev/null", 0, "");
}

static void test_records_are_appended(void **state) {
  (void)state;
  expect("$H run good --blocks 3 --json $D/all.jsonl && wc -l <$D/all.jsonl", 0, "6\n");
  expect("$H run good --blocks 3", 0, "median [range]");
  expect("$H run good --blocks 3", 0, "the ratio to first");
  expect("$H run good | grep -c median", 1, "0\n"); // of one run there is none
  expect("$H run good --json $D/all.jsonl && wc -l <$D/all.jsonl", 0, "8\n");
}

static void test_trace_lines_are_shown(void **state) {
  (void)state;
  expect("$H run good --trace gc", 0, "heapduel: good on second (trace=gc)\ngc 1 of second\n");
  expect("$H run good --trace gc", 0, "gc 1 of first\n");
  expect("HEAPDUEL_TRACE=gc $H run good", 0, "gc 1 of first\n");
  expect("$H run good --trace=none", 0, "first"); // and then silent:
  expect_line("HEAPDUEL_TRACE=gc $H run good --heap first --set trace=none >/dev/null; echo end", 0,
              "end");
  expect_line("HEAPDUEL_TRACE=all $H run good", 2, "gc,scav,pacer");
  expect_line("$H run good --trace all", 2, "gc,scav,pacer");
}

// Commands that measure by default do not trace because a variable is set.
static void test_other_commands_do_not_trace(void **state) {
  (void)state;
  expect("export PATH=$D/tools:$PATH HEAPDUEL_TRACE=gc; "
         "$H report --quick --blocks 1 -o $D/untraced >/dev/null && echo report || "
         "grep -h traced $D/untraced/records.jsonl",
         0, "report\n");
  expect("export HEAPDUEL_TRACE=gc; $D/run_first --workload good --block 0", 3, "nobody asked");
}

static void test_timelines_of_all_runs_are_one_file(void **state) {
  (void)state;
  expect("$H run good --blocks 2 --timeline $D/time.json >/dev/null && cat $D/time.json; "
         "[ ! -e $D/time.json.part ]",
         0, "\"dropped_events\":8");
  expect("grep -o '\"pid\":[0-9]' $D/time.json | tr '\\n' ' '", 0,
         "\"pid\":1 \"pid\":2 \"pid\":3 \"pid\":4");
  expect("$H run crash --heap first --timeline $D/none.json", 3, "crashed");
  expect("cat $D/none.json", 0, "traceEvents"); // what there is
  expect_line("$H run good --timeline $D/none/time.json", 2, "none/time.json: No such file");
}

static void test_short_options_of_the_heap(void **state) {
  (void)state;
  expect("$H run good --heap first --gogc off --memory-limit 64M --limit 1G --trace scav", 0,
         "heapduel: good on first (gogc=off limit=1G memory_limit=64M trace=scav)\n");
  expect_line("$H run good --gogc fast", 2, "or off");
  expect_line("$H run good --memory-limit much", 2, "memory_limit");
  answer many = shell("$H run good $(printf -- '--gogc 5 %.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13)");
  assert_int_equal(many.code, 2);
  assert_non_null(strstr(many.text, "more than 12 --set options"));
  free(many.text);
}

static void test_interrupt_keeps_what_finished(void **state) {
  (void)state;
  // The job says through a pipe that it runs; then the command is interrupted.
  expect("$H run wait --heap first,second --blocks 2 --json $D/part.jsonl & pid=$!\n"
         "read -r line <$D/fifo; kill -INT $pid; wait $pid; code=$?\n"
         "[ ! -f $D/part.jsonl ] || [ -z \"$(tail -c 1 $D/part.jsonl | tr -d '\\n')\" ] || exit 1\n"
         "exit $code",
         130, "");
}

// ---- time ---------------------------------------------------------------------------------------

static void test_hyperfine_is_optional_and_checked(void **state) {
  (void)state;
  expect_line("PATH=/nowhere $H time good --heap first", 2, "apt-get install hyperfine");
  expect("PATH=$D/tools $H time good", 0, "500.00 ms");
  expect("PATH=$D/tools $H time good --json -", 0, "hyperfine 1.19.0");
  expect_line("FAKE_HYPERFINE_FAILS=1 PATH=$D/tools $H time good", 2, "Error: no such command");
}

// ---- doctor -------------------------------------------------------------------------------------

// What a reference row of the JVM needs is said where it is missing; built, it runs when asked for.
static void test_the_jvm_runs_on_demand(void **state) {
  (void)state;
  expect("$H doctor", 0, "apt-get install default-jdk-headless");
  expect("mkdir $D/jvm && cp -p $H $D/run_first $D/jvm && cp -p $D/run_first $D/jvm/run_jvm_g1 && "
         "$D/jvm/heapduel doctor",
         0, "ok    jvm_g1");
  expect("$D/jvm/heapduel doctor | grep -c jdk", 1, "0");
  expect("$D/jvm/heapduel run good | grep -c jvm_g1", 1, "0");
  expect("$D/jvm/heapduel run good --heap all", 0, "jvm_g1");
  expect("$D/jvm/heapduel run good --heap first,jvm_g1 --json - | grep -c '\"heap\":\"jvm_g1\"'", 0,
         "1");
}

static void test_doctor_is_strict_on_demand(void **state) {
  (void)state;
  // The required runners are not in the folder of the fakes.
  expect("$H doctor", 0, "BAD   nonmoving");
  expect("$H doctor --strict", 5, "BAD   nonmoving");
  expect("PATH=$D/gone $H doctor", 0, "apt-get install gnuplot");
}

// ---- report -------------------------------------------------------------------------------------

static void test_report_never_overwrites(void **state) {
  (void)state;
  expect("mkdir -p $D/r1 && echo '{}' >$D/r1/records.jsonl && $H report --quick -o $D/r1", 2,
         "--resume");
  expect("cat $D/r1/records.jsonl", 0, "{}\n");
}

static void test_resume_refuses_corrupt_records(void **state) {
  (void)state;
  expect_line("mkdir -p $D/r2 && echo 'x' >$D/r2/records.jsonl && $H report --resume -o $D/r2", 2,
              "r2/records.jsonl:1 is not a record");
  expect("cat $D/r2/records.jsonl", 0, "x\n");
}

static void test_interrupted_report_can_go_on(void **state) {
  (void)state;
  // One finished row is on file: it is not run again, the others are added.
  expect("mkdir -p $D/r3; PATH=/nowhere:$PATH\n"
         "$H run seed_array --heap first --json $D/r3/records.jsonl >/dev/null\n"
         "PATH=/nowhere $H report --quick --blocks 2 --resume -o $D/r3 >/dev/null\n"
         "grep -c '\"workload\":\"seed_array\"' $D/r3/records.jsonl; "
         "grep -c '\"workload\":\"churn\"' $D/r3/records.jsonl",
         0, "2\n4\n");
}

static void test_resume_goes_on_with_the_stored_plan(void **state) {
  (void)state;
  // The folder knows that it holds a quick report of one block: --resume alone goes on with that.
  expect("PATH=$D/tools:$PATH\n"
         "FAKE_WAIT=1 $H report --quick --blocks 1 --seed 7 -o $D/r7 & pid=$!\n"
         "read -r line <$D/fifo; kill -INT $pid; wait $pid",
         130, "heapduel report --resume -o");
  expect("cat $D/r7/plan.json", 0, "{\"blocks\":1,\"quick\":true,\"seed\":7}\n");
  expect_line("$H report --resume --seed 8 -o $D/r7", 2, "leave out --seed");
  expect("PATH=$D/tools:$PATH\n$H report --resume -o $D/r7 >/dev/null 2>&1 || exit 1\n"
         "ls $D/r7",
         0, "report.md");
  expect("grep -c 'churn|.*|n=16 ops=300000|7|0' "
         "$D/r7/records.jsonl",
         0, "2\n");
}

static void test_resume_refuses_another_plan(void **state) {
  (void)state;
  expect_line("mkdir -p $D/r8 && echo '{\"blocks\":0,\"quick\":false,\"seed\":1}' "
              ">$D/r8/plan.json && $H report --resume --quick -o $D/r8",
              2, "holds a full report");
  expect_line("echo '{' >$D/r8/plan.json && $H report --resume -o $D/r8", 2, "cannot be read");
  expect_line("ls $D/r8/report.md", 2, "No such file");
}

static void test_interrupted_report_keeps_whole_lines(void **state) {
  (void)state;
  expect("PATH=$D/tools:$PATH\n"
         "FAKE_WAIT=1 $H report --quick --blocks 1 -o $D/r6 & pid=$!\n"
         "read -r line <$D/fifo; kill -INT $pid; wait $pid",
         130, "heapduel report --resume -o");
  expect("touch $D/r6/records.jsonl; PATH=$D/tools:$PATH\n"
         "$H report --quick --blocks 1 --resume -o $D/r6 >/dev/null 2>&1 || exit 1\n"
         "sort $D/r6/records.jsonl | uniq -d | wc -l; grep -c churn $D/r6/records.jsonl; "
         "grep -c process_time $D/r6/records.jsonl; ls $D/r6",
         0, "report.md");
}

static void test_records_are_rendered_again(void **state) {
  (void)state;
  expect("$H run good --json $D/good.jsonl >/dev/null; mkdir -p $D/gone\n"
         "PATH=$D/gone $H report --records $D/good.jsonl -o $D/r4 && ls $D/r4",
         0, "report.md");
  expect("PATH=$D/gone $H report --records $D/good.jsonl -o $D/r4", 0,
         "no figures: gnuplot is missing; apt-get install gnuplot-nox");
  expect("cd $D && $H report --records good.jsonl && ls out/report-1", 0, "report.md");
  expect("cd $D && $H report --records good.jsonl", 0, "out/report-2/report.md");
}

static void test_bad_records_leave_no_report(void **state) {
  (void)state;
  expect_line("$H report --records $D/none.jsonl -o $D/r5", 2, "none.jsonl");
  expect_line("echo '{\"schema\":1}' >$D/bad.jsonl; $H report --records $D/bad.jsonl -o $D/r5", 2,
              "bad.jsonl:1");
  expect_line("ls $D/r5/report.md", 2, "No such file");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_help_and_version),
      cmocka_unit_test(test_mistakes_are_one_line_with_advice),
      cmocka_unit_test(test_no_runners_is_a_clear_error),
      cmocka_unit_test(test_lost_output_is_an_error),
      cmocka_unit_test(test_json_to_a_full_disk_keeps_the_table),
      cmocka_unit_test(test_closed_pipe_is_quiet),
      cmocka_unit_test(test_run_prints_a_table_or_records),
      cmocka_unit_test(test_list_names_the_values_of_options),
      cmocka_unit_test(test_failures_become_rows_and_exit_code_3),
      cmocka_unit_test(test_synthesised_rows_state_every_parameter),
      cmocka_unit_test(test_timeout_is_a_row),
      cmocka_unit_test(test_skipped_is_no_failure),
      cmocka_unit_test(test_checksums_must_agree),
      cmocka_unit_test(test_records_are_appended),
      cmocka_unit_test(test_trace_lines_are_shown),
      cmocka_unit_test(test_other_commands_do_not_trace),
      cmocka_unit_test(test_timelines_of_all_runs_are_one_file),
      cmocka_unit_test(test_short_options_of_the_heap),
      cmocka_unit_test(test_interrupt_keeps_what_finished),
      cmocka_unit_test(test_hyperfine_is_optional_and_checked),
      cmocka_unit_test(test_doctor_is_strict_on_demand),
      cmocka_unit_test(test_the_jvm_runs_on_demand),
      cmocka_unit_test(test_report_never_overwrites),
      cmocka_unit_test(test_resume_refuses_corrupt_records),
      cmocka_unit_test(test_interrupted_report_can_go_on),
      cmocka_unit_test(test_resume_goes_on_with_the_stored_plan),
      cmocka_unit_test(test_resume_refuses_another_plan),
      cmocka_unit_test(test_interrupted_report_keeps_whole_lines),
      cmocka_unit_test(test_records_are_rendered_again),
      cmocka_unit_test(test_bad_records_leave_no_report),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
