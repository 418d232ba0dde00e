/* What the files of the client `claude` share. */
#ifndef CLIENTS_CLAUDE_H
#define CLIENTS_CLAUDE_H

#include "core/spend.h"

/* More tokens than any model's context holds; a larger count is not one. */
#define CLAUDE_TOKENS_MAX 100000000

/*
 * A count of tokens: a whole number in 0..CLAUDE_TOKENS_MAX.  False, with *out untouched, for anything else, absent and null
 * included.
 */
bool claude_tokens(const json_t *object, const char *key, int64_t *out);

/* See struct client.  A response that is met several times counts once, as its last line says. */
enum status claude_read_transcript(char *text, size_t len, int64_t offset, const char *agent, struct usage_list *usages,
                                   int64_t *broken);

#endif
