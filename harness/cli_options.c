// SPDX-License-Identifier: MIT
#include "harness/cli_options.h"

#include <stdlib.h>
#include <string.h>

#include "allocators/base/compiler.h"
#include "harness/cli.h"

enum { OPTIONS_MOST = 64 }; // of one command, those of its children included

typedef struct option_set {
  const struct argp_option *options[OPTIONS_MOST];
  size_t count;
  const char *command; // "heapduel run"
} option_set;

// What argp adds by itself.
static const struct argp_option options_help = {.name = "help", .key = '?'};
static const struct argp_option options_usage = {.name = "usage", .key = -1};

static void options_add(option_set *set, const struct argp *argp) {
  for (const struct argp_option *at = argp->options; at && at->name; at++)
    if (set->count < OPTIONS_MOST) set->options[set->count++] = at;
  for (const struct argp_child *child = argp->children; child && child->argp; child++)
    options_add(set, child->argp);
}

HS_NORETURN static void options_unknown(const option_set *set, const char *name) {
  const char *names[OPTIONS_MOST];
  for (size_t i = 0; i < set->count; i++) names[i] = set->options[i]->name;
  const char *nearest = cli_nearest(name, names, set->count);
  if (nearest)
    cli_error("there is no option --%s; did you mean --%s? ('%s --help' names all)", name, nearest,
              set->command);
  else
    cli_error("there is no option --%s; '%s --help' names all", name, set->command);
  exit(EXIT_USAGE);
}

// The option of this name, or the only one that begins so.
static const struct argp_option *options_long(const option_set *set, const char *name) {
  const struct argp_option *found = NULL;
  size_t matches = 0;
  for (size_t i = 0; i < set->count; i++) {
    if (strcmp(set->options[i]->name, name) == 0) return set->options[i];
    if (strncmp(set->options[i]->name, name, strlen(name)) != 0) continue;
    found = set->options[i];
    matches++;
  }
  if (matches == 1) return found;
  if (matches == 0) options_unknown(set, name);
  cli_error("--%s may mean several options; '%s --help' names all", name, set->command);
  exit(EXIT_USAGE);
}

HS_NORETURN static void options_need_value(const struct argp_option *option) {
  cli_error("--%s needs a value: --%s=%s", option->name, option->name, option->arg);
  exit(EXIT_USAGE);
}

// Check "--name" or "--name=value"; true when the next argument is its value.
static bool options_check_long(const option_set *set, const char *word) {
  char *name = cli_format("%.*s", (int)strcspn(word, "="), word);
  const bool with_value = strchr(word, '=') != NULL;
  const struct argp_option *option = options_long(set, name);
  free(name);
  if (with_value && !option->arg) {
    cli_error("--%s takes no value", option->name);
    exit(EXIT_USAGE);
  }
  return option->arg && !with_value;
}

// Check "-abc" or "-avalue"; true when the next argument is the value of the last letter.
static bool options_check_short(const option_set *set, const char *letters) {
  for (; *letters; letters++) {
    const struct argp_option *option = NULL;
    for (size_t i = 0; i < set->count; i++)
      if (set->options[i]->key == *letters) option = set->options[i];
    if (!option) {
      cli_error("there is no option -%c; '%s --help' names all", *letters, set->command);
      exit(EXIT_USAGE);
    }
    if (option->arg) return letters[1] == 0;
  }
  return false;
}

void cli_parse(const struct argp *argp, int argc, char **argv, void *input) {
  option_set set = {.options = {&options_help, &options_usage}, .count = 2, .command = argv[0]};
  options_add(&set, argp);
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    const char *word = argv[i];
    if (word[0] != '-' || !word[1]) continue;
    const bool is_long = word[1] == '-';
    const bool needs =
        is_long ? options_check_long(&set, word + 2) : options_check_short(&set, word + 1);
    if (!needs) continue;
    if (++i < argc) continue;
    const size_t length = strlen(word);
    for (size_t k = 0; k < set.count; k++)
      if (is_long ? strncmp(set.options[k]->name, word + 2, length - 2) == 0
                  : set.options[k]->key == word[length - 1])
        options_need_value(set.options[k]);
  }
  argp_parse(argp, argc, argv, 0, NULL, input);
}
