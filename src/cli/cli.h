/* The command line: finds the verb, turns words into its parameters, and prints its document as text or JSON. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "verbs/rows.h"

/* Runs `stile <words...>`; the exit status.  `context` has its opener and program set. */
int cli_run(struct context *context, int count, char **words);

/* Whether it is a verb that runs the words after `--`. */
bool cli_takes_command(const struct verb *verb);

/* Whether --json is among the words. */
bool cli_wants_json(int count, char **words);

/*
 * Reads the words after the verb's name into `args` (an empty object).  *command: the words after `--` of a verb that takes one,
 * NULL for none; they end with a NULL as argv does.  *json: --json was there, told in any case.  USAGE, BAD_INPUT.
 */
enum status cli_parse(const struct verb *verb, int count, char **words, json_t *args, char *const **command, bool *json,
                      struct buf *why) MUST_CHECK;

/* The document as text for people. */
void cli_print(const struct verb *verb, const json_t *result, struct buf *out);

/* The same of a long list. */
void cli_print_rows(const struct verb *verb, const struct rows *rows, struct buf *out);

/* `stile help`, `stile help VERB`, `stile help --scdoc`, `stile help --states`; the exit status. */
int cli_help(int count, char **words);

/* `stile completions bash|zsh|fish`: that shell's script on stdout; the exit status. */
int cli_completions(int count, char **words);

#endif
