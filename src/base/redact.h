/*
 * Secrets are taken out of what agents say and do before any of it is kept: what is found becomes "[redacted:RULE]".
 *
 * The built-in rules (redact_rules.c, docs/observe.md) take a time linear in a text's length.  Patterns of the user's own are
 * POSIX extended regular expressions, each tried within a line, on what the built-in rules left.
 *
 * No secret can be told from any other word by its looks alone: a list is a help, no proof.
 */
#ifndef BASE_REDACT_H
#define BASE_REDACT_H

#include "base/json.h"

#define REDACT_PATTERNS_MAX 100

struct redactor {
	struct redact_pattern *own;
	size_t count;
};

void redactor_init(struct redactor *redactor); /* the built-in rules alone; allocates nothing */
void redactor_release(struct redactor *redactor);

/*
 * One more pattern; what it finds becomes "[redacted:NAME]".  BAD_CONFIG with `why`, which never has the pattern itself, for one
 * that can't be compiled, that finds nothing at all everywhere ("x*"), or that is one too many; NO_MEMORY.
 */
enum status redactor_add(struct redactor *redactor, const char *name, const char *pattern, struct buf *why) MUST_CHECK;

/* Adds the text, valid UTF-8 of any bytes, without its secrets; valid UTF-8 again. */
void redact_text(const struct redactor *redactor, const char *text, size_t len, struct buf *out);

/*
 * Adds the JSON of `value` with every text in it redacted, names of members too.  A text or number whose member's name says that
 * it is a secret goes whole.
 */
void redact_json(const struct redactor *redactor, const json_t *value, struct buf *out);

/* The name and the beginning of the n-th built-in rule, NULL past the last. */
const char *redact_rule(size_t n, const char **begins);

#endif
