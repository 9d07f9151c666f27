// SPDX-License-Identifier: MIT
#include "harness/cli.h"

int command_report(int argc, char **argv) {
  (void)argc, (void)argv;
  return cli_error("not built yet");
}
