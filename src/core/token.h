/*
 * A token is a leave to do something once: armed when it is issued, and consumed by exactly one.
 *
 * It has an issuer, a time at which it expires, maybe a scope and the digest of the one action that it allows.  Who consumes it
 * brings the same scope and digest.  Each no is another one, with a word of its own:
 *
 *   HELD         consumed                   already: by whom, when
 *   CONFLICT     expired                    a new one may be issued
 *   NO_SUCH      never_issued               or so long ago that it was forgotten
 *   NOT_ALLOWED  wrong_scope, wrong_digest  of another scope, or for another action; it stays armed
 *
 * Issued again while it is armed it is refused (CONFLICT): else two would believe that they had given one leave each.  Once it is
 * consumed or expired, it can be issued anew, as its next generation.  A store has at most TOKENS_MAX that are armed.
 *
 * Both are audited, also a refused consumption.  Called inside a write transaction; never blocks.  One answer each.
 */
#ifndef CORE_TOKEN_H
#define CORE_TOKEN_H

#include "base/json.h"
#include "base/str.h"
#include "core/engine.h"

#define TOKEN_NAME_MAX 200
#define TOKEN_DIGEST_MAX 128
#define TOKEN_TTL_MAX_MS ((int64_t)7 * 24 * 3600 * 1000)
#define TOKENS_MAX 10000

struct token {
	char name[TOKEN_NAME_MAX + 1];
	int64_t generation; /* 1 for the first; 0 = there is none */
	char issuer[ACTOR_SIZE];
	char session[ID_SIZE]; /* the issuer's; "" = a person's */
	char scope[ID_MAX + 1];
	char digest[TOKEN_DIGEST_MAX + 1]; /* in lower case */
	int64_t issued_ms;
	int64_t expires_ms;
	char consumer[ACTOR_SIZE]; /* "" = nobody */
	int64_t consumed_ms;
};

struct token_ask {
	const char *name;
	const char *scope;   /* "" = any */
	const char *digest;  /* hexadecimal, "" = any action */
	const char *session; /* "" = the actor is a person */
	int64_t ttl_ms;      /* to issue */
};

/* *out is it.  CONFLICT with *out = the one that is armed, BAD_INPUT, HELD when there are too many; with `why`. */
enum status token_issue(struct txn *txn, const struct token_ask *ask, struct token *out, struct buf *why) MUST_CHECK;

/* OK for one, once.  Else as above, with *out = what there is, generation 0 for nothing, and *word.  BAD_INPUT. */
enum status token_consume(struct txn *txn, const struct token_ask *ask, struct token *out, const char **word,
                          struct buf *why) MUST_CHECK;

/* Those that are armed and, with `all`, those consumed or expired that aren't forgotten yet: objects added to `out`. */
enum status token_list(struct txn *txn, bool all, json_t *out, struct buf *why) MUST_CHECK;

/* "armed", "consumed" or "expired". */
const char *token_state(const struct token *token, int64_t now_ms);
json_t *token_json(const struct token *token, int64_t now_ms);

#endif
