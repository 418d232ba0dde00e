/* What the files of redaction share. */
#ifndef BASE_REDACT_PARTS_H
#define BASE_REDACT_PARTS_H

#include "base/redact.h"

struct stretch {
	const char *rule;
	size_t from, to;
};

/* Puts "[redacted:RULE]" where a secret was. */
void redact_mark(const char *rule, struct buf *out);

/* The text without what the built-in rules find. */
void redact_by_rules(const char *text, size_t len, struct buf *out);

/* The rule by which a member of that name is a secret, NULL when it is none. */
const char *redact_member(const char *name);

#endif
