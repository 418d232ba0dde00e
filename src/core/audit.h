/*
 * The trail: one row per change, written in the change's own transaction, never altered.  It tells who, what, before, after,
 * and under which epoch of the instructions.
 */
#ifndef CORE_AUDIT_H
#define CORE_AUDIT_H

#include "base/json.h"
#include "core/engine.h"

/* Queued.  `session` is whose thing changed ("" = nobody's); before and after are short texts or compact JSON, "" = none. */
void audit_add(struct txn *txn, const char *session, const char *kind, const char *subject, const char *before,
               const char *after);

struct audit_query {
	const char *session; /* NULL = any */
	const char *kind;    /* NULL = any; "session." matches all that begin so */
	int64_t since_ms;    /* from this instant on */
	int64_t after_seq;   /* rows after this one */
	int64_t limit;       /* newest that many, given oldest first */
};

/* Adds the rows to `out`, a JSON array the caller owns. */
enum status audit_list(struct txn *txn, const struct audit_query *query, json_t *out, struct buf *why) MUST_CHECK;

#endif
