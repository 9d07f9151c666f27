#!/bin/sh
# SPDX-License-Identifier: MIT
# The launcher on machines that are made up: a PATH that holds only stand-ins and the few tools the
# launcher itself uses, so that nothing is installed and nothing is compiled.
# usage: launcher_test.sh LAUNCHER CASE
set -eu
unset CC HEAPDUEL_BUILD_DIR

launcher=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bin=$scratch/bin
top="$scratch/check out"
mkdir "$bin" "$top"
cp "$launcher" "$top/heapduel"
printf 'project(heapduel VERSION 9.8.7 LANGUAGES C)\n' >"$top/CMakeLists.txt"
sh=$(command -v dash || command -v sh)
for tool in sh cat sed grep tail head dirname readlink mkdir rm env sleep touch; do
  ln -s "$(command -v "$tool")" "$bin/$tool"
done

# tool NAME BODY: a stand-in on the made-up machine.
tool() {
  printf '#!%s\n%s\n' "$sh" "$2" >"$bin/$1"
  chmod +x "$bin/$1"
}

# A machine that has everything: cmake "configures", ninja "builds" a program that tells its arguments.
complete_machine() {
  for name in cc hyperfine gnuplot pkg-config cmark-gfm spin; do tool "$name" 'exit 0'; done
  # shellcheck disable=SC2016 # these expand in the stand-ins
  tool cmake 'echo "cmake $*" >>"$CALLS"
while [ "$1" != -B ]; do shift; done
touch "$2/build.ninja"
echo "HS_TESTS:BOOL=OFF" >"$2/CMakeCache.txt"
echo "CMAKE_HOME_DIRECTORY:INTERNAL=$TOP" >>"$2/CMakeCache.txt"'
  # shellcheck disable=SC2016
  tool ninja 'echo "ninja $*" >>"$CALLS"
mkdir -p "$2/bin"
printf "#!/bin/sh\nprintf \"[%%s]\" \"\$@\"\nexit 42\n" >"$2/bin/heapduel"
'"$(command -v chmod)"' +x "$2/bin/heapduel"'
}

user_is() { tool id "echo $1"; }

# Runs the launcher found at $1 on the made-up machine; leaves its status, output and messages.
launch() {
  script=$1
  shift
  status=0
  output=$(PATH=$bin CALLS=$scratch/calls TOP=$(cd -P "$top" && pwd) "$sh" "$script" "$@" 2>"$scratch/err" </dev/null) || status=$?
  messages=$(cat "$scratch/err")
}

fail() {
  printf 'FAIL: %s\nstatus: %s\noutput: %s\nmessages: %s\n' "$*" "$status" "$output" "$messages"
  exit 1
}

expect_status() { [ "$status" -eq "$1" ] || fail "expected status $1"; }
expect_in() { case $2 in *"$1"*) ;; *) fail "expected to see: $1" ;; esac }
expect_not_in() { case $2 in *"$1"*) fail "did not expect to see: $1" ;; esac }
expect_one_line() { [ "$(printf '%s\n' "$1" | grep -c .)" -eq 1 ] || fail "expected one line"; }

case $2 in
help_needs_nothing)
  user_is 1000
  launch "$top/heapduel" --help
  expect_status 0
  expect_in 'usage: ./heapduel' "$output"
  expect_in '  test ' "$output"
  launch "$top/heapduel" --version
  expect_status 0
  expect_in 'heapduel 9.8.7' "$output"
  launch "$top/heapduel"
  expect_status 2
  expect_in 'usage: ./heapduel' "$messages"
  ;;
no_install_prints_the_command)
  user_is 1000
  launch "$top/heapduel" --no-install report
  expect_status 5
  [ "$output" = "sudo apt-get install -y --no-install-recommends gcc libc6-dev cmake ninja-build \
pkg-config libgc-dev libmimalloc-dev libjansson-dev hyperfine gnuplot-nox" ] || fail 'another command'
  user_is 0
  launch "$top/heapduel" --no-install test
  expect_status 5
  expect_in 'gnuplot-nox libcmocka-dev cmark-gfm' "$output"
  expect_not_in sudo "$output"
  ;;
only_what_is_missing_is_named)
  user_is 0
  complete_machine
  rm "$bin/gnuplot"
  # shellcheck disable=SC2016
  tool pkg-config '[ "$2" != bdw-gc ]'
  launch "$top/heapduel" --no-install report
  expect_status 5
  expect_in 'missing packages: libgc-dev gnuplot-nox' "$messages"
  [ "$output" = 'apt-get install -y --no-install-recommends libgc-dev gnuplot-nox' ] || fail 'another command'
  ;;
no_install_runs_when_nothing_is_missing)
  user_is 1000
  complete_machine
  launch "$top/heapduel" --no-install list --heaps
  expect_status 42
  expect_in '[list][--heaps]' "$output"
  ;;
root_installs_then_builds_and_hands_over)
  user_is 0
  complete_machine
  rm "$bin/gnuplot"
  # shellcheck disable=SC2016
  tool apt-get 'echo "apt-get $* ($DEBIAN_FRONTEND)" >>"$CALLS"; ln -s cc "${0%/*}/gnuplot"'
  ln -s "$(command -v ln)" "$bin/ln"
  launch "$top/heapduel" report -o 'a folder'
  expect_status 42
  expect_in '[report][-o][a folder]' "$output"
  calls=$(cat "$scratch/calls")
  expect_in 'install -y --no-install-recommends gnuplot-nox (noninteractive)' "$calls"
  expect_not_in update "$calls"
  expect_in 'cmake -G Ninja' "$calls"
  expect_in '-DCMAKE_BUILD_TYPE=Release -DHS_TESTS=OFF' "$calls"
  rm "$scratch/calls"
  launch "$top/heapduel" list
  expect_status 42
  calls=$(cat "$scratch/calls")
  expect_not_in cmake "$calls"
  expect_not_in apt-get "$calls"
  ;;
user_installs_through_sudo)
  user_is 1000
  complete_machine
  rm "$bin/ninja"
  # shellcheck disable=SC2016
  tool sudo 'echo "sudo $*" >>"$CALLS"; exit 1'
  tool apt-get 'exit 99'
  launch "$top/heapduel" list
  expect_status 5
  expect_in 'sudo env DEBIAN_FRONTEND=noninteractive apt-get' "$(cat "$scratch/calls")"
  rm "$bin/sudo"
  launch "$top/heapduel" list
  expect_status 5
  expect_in 'install them as root: apt-get install' "$messages"
  expect_one_line "$messages"
  ;;
stale_lists_are_renewed)
  user_is 0
  complete_machine
  rm "$bin/hyperfine"
  ln -s "$(command -v ln)" "$bin/ln"
  # shellcheck disable=SC2016
  tool apt-get 'echo "apt-get $*" >>"$CALLS"
case "$*" in
*update*) touch "$CALLS.updated" ;;
*) [ -e "$CALLS.updated" ] || { echo "E: Unable to locate package hyperfine" && exit 100; }
  ln -s cc "${0%/*}/hyperfine" ;;
esac'
  launch "$top/heapduel" list
  expect_status 42
  expect_in update "$(cat "$scratch/calls")"
  ;;
failing_apt_is_one_line)
  user_is 0
  complete_machine
  rm "$bin/hyperfine"
  tool apt-get 'echo "Reading lists"; echo "E: Unable to locate package hyperfine"; exit 100'
  launch "$top/heapduel" list
  expect_status 5
  expect_in 'could not install hyperfine: E: Unable to locate package hyperfine' "$messages"
  expect_not_in 'Reading lists' "$messages"
  [ "$(printf '%s\n' "$messages" | grep -c .)" -eq 2 ] || fail 'expected what is installed, and the failure'
  ;;
useless_install_is_noticed)
  user_is 0
  complete_machine
  rm "$bin/hyperfine"
  tool apt-get 'exit 0'
  launch "$top/heapduel" list
  expect_status 5
  expect_in 'not usable: hyperfine' "$messages"
  ;;
without_apt_it_names_the_packages)
  user_is 0
  launch "$top/heapduel" list
  expect_status 5
  expect_in 'there is no apt-get here' "$messages"
  expect_in 'libmimalloc-dev' "$messages"
  expect_one_line "$messages"
  ;;
symbolic_links_lead_home)
  user_is 1000
  complete_machine
  mkdir "$scratch/else where"
  ln -s "../check out/heapduel" "$scratch/else where/first"
  ln -s "$scratch/else where/first" "$scratch/second"
  cd /
  launch "$scratch/second" run x
  expect_status 42
  expect_in '[run][x]' "$output"
  [ -f "$top/build/build.ninja" ] || fail 'the build is not in the checkout'
  ;;
a_failed_build_shows_its_error)
  user_is 1000
  complete_machine
  tool ninja 'echo "[1/2] a.c"; echo "a.c:3: error: expected ;"; exit 1'
  launch "$top/heapduel" list
  expect_status 3
  expect_in 'a.c:3: error: expected ;' "$messages"
  expect_in 'build.log' "$messages"
  ;;
a_moved_checkout_is_configured_again)
  user_is 1000
  complete_machine
  launch "$top/heapduel" list
  mv "$top" "$scratch/moved"
  top=$scratch/moved
  rm "$scratch/calls"
  launch "$top/heapduel" list
  expect_status 42
  expect_in "cmake -G Ninja -S $(cd -P "$top" && pwd) " "$(cat "$scratch/calls")"
  ;;
an_unwritable_build_folder_is_named)
  user_is 1000
  complete_machine
  printf 'a file\n' >"$scratch/file"
  HEAPDUEL_BUILD_DIR=$scratch/file/build
  export HEAPDUEL_BUILD_DIR
  launch "$top/heapduel" list
  expect_status 5
  expect_in "cannot write to $scratch/file/build: set HEAPDUEL_BUILD_DIR" "$messages"
  expect_one_line "$messages"
  ;;
tests_are_counted)
  user_is 1000
  complete_machine
  # shellcheck disable=SC2016
  tool ctest 'while [ "$1" != --output-junit ]; do shift; done
printf "<testsuite name=\"x\"\n\ttests=\"7\"\n\tfailures=\"1\"\n\tdisabled=\"0\"\n\tskipped=\"2\"\n>\n" >"$2"
shift 2; echo "ctest[$*]"; exit 8'
  tool getconf 'echo 2'
  launch "$top/heapduel" test -L unit
  expect_status 3
  expect_in 'ctest[-L unit]' "$output"
  expect_in '4 passed, 1 failed, 2 skipped' "$output"
  expect_in '-DHS_TESTS=ON' "$(cat "$scratch/calls")"
  ;;
*) echo "no such case: $2" && exit 2 ;;
esac
