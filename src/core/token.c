#include "core/token.h"

#include "core/audit.h"

#define COLUMNS "token, generation, issuer, session, scope, digest, issued_ms, expires_ms, consumer, consumed_ms"

static void
copy(char *out, size_t size, const struct db_rows *rows, size_t row, size_t column)
{
	snprintf(out, size, "%s", db_text(rows, row, column));
}

static void
from_row(const struct db_rows *rows, size_t row, struct token *out)
{
	*out = (struct token){.generation = db_int(rows, row, 1),
	                      .issued_ms = db_int(rows, row, 6),
	                      .expires_ms = db_int(rows, row, 7),
	                      .consumed_ms = db_int(rows, row, 9)};
	copy(out->name, sizeof out->name, rows, row, 0);
	copy(out->issuer, sizeof out->issuer, rows, row, 2);
	copy(out->session, sizeof out->session, rows, row, 3);
	copy(out->scope, sizeof out->scope, rows, row, 4);
	copy(out->digest, sizeof out->digest, rows, row, 5);
	copy(out->consumer, sizeof out->consumer, rows, row, 8);
}

const char *
token_state(const struct token *token, int64_t now_ms)
{
	if (token->consumer[0] != '\0')
		return "consumed";
	return token->expires_ms <= now_ms ? "expired" : "armed";
}

json_t *
token_json(const struct token *token, int64_t now_ms)
{
	json_t *object = json_pack("{ss ss sI ss ss ss sI sI}", "token", token->name, "state", token_state(token, now_ms),
	                           "generation", (json_int_t)token->generation, "issuer", token->issuer, "scope", token->scope,
	                           "digest", token->digest, "issued_ms", (json_int_t)token->issued_ms, "expires_ms",
	                           (json_int_t)token->expires_ms);

	if (token->consumer[0] != '\0') {
		json_object_set_new(object, "consumer", json_string(token->consumer));
		json_object_set_new(object, "consumed_ms", json_integer(token->consumed_ms));
	}
	return object;
}

/* A digest is told in either case, and kept in lower. */
static enum status
read_digest(const char *text, char out[TOKEN_DIGEST_MAX + 1], struct buf *why)
{
	size_t len = strlen(text);

	if (len > TOKEN_DIGEST_MAX || (len > 0 && len < 8) || strspn(text, "0123456789abcdefABCDEF") != len)
		return why_not(why, BAD_INPUT, "the digest: 8 to %d hexadecimal digits", TOKEN_DIGEST_MAX);
	for (size_t i = 0; i <= len; i++)
		out[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);
	return OK;
}

static enum status
check(const struct token_ask *ask, char digest[TOKEN_DIGEST_MAX + 1], struct buf *why)
{
	enum status status = str_check_id("the token's name", ask->name, TOKEN_NAME_MAX, why);

	if (status == OK && strstr(ask->name, "..") != NULL)
		status = why_not(why, BAD_INPUT, "the token's name: \"..\" can't be in it");
	if (status == OK)
		status = str_check_text("the token's scope", ask->scope, ID_MAX, why);
	return status == OK ? read_digest(ask->digest, digest, why) : status;
}

/* The token, generation 0 when there is none; and how many others are armed. */
static enum status
load(struct txn *txn, const char *name, struct token *out, int64_t *armed, struct buf *why)
{
	struct db_rows rows;
	enum status status =
		db_ask(txn->db, &rows, why,
	           "SELECT " COLUMNS
	           ", (SELECT count(*) FROM token o WHERE o.project = $1 AND o.expires_ms > $2 AND o.consumer = '')"
	           " FROM (SELECT 1 AS one) AS it LEFT JOIN token ON project = $1 AND token = $3",
	           DB_TEXT(txn->project), DB_INT(txn_now(txn)), DB_TEXT(name));

	if (status != OK)
		return status;
	from_row(&rows, 0, out);
	*armed = db_int(&rows, 0, 10);
	db_rows_release(&rows);
	return OK;
}

static enum status
still_armed(const struct token *token, struct buf *why)
{
	char at[40], until[40];

	str_instant(at, sizeof at, token->issued_ms);
	str_instant(until, sizeof until, token->expires_ms);
	return why_not(why, CONFLICT, "the token %s is armed already: issued by %s at %s, until %s; let it be consumed or expire",
	               token->name, token->issuer, at, until);
}

static void
save_issued(struct txn *txn, const struct token *token)
{
	db_run(txn->db,
	       "INSERT INTO token (project, token, generation, issuer, session, scope, digest, issued_ms, expires_ms, consumer,"
	       " consumed_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 0)"
	       " ON CONFLICT (project, token) DO UPDATE SET generation = excluded.generation, issuer = excluded.issuer,"
	       " session = excluded.session, scope = excluded.scope, digest = excluded.digest, issued_ms = excluded.issued_ms,"
	       " expires_ms = excluded.expires_ms, consumer = '', consumed_ms = 0",
	       DB_TEXT(txn->project), DB_TEXT(token->name), DB_INT(token->generation), DB_TEXT(token->issuer),
	       DB_TEXT(token->session), DB_TEXT(token->scope), DB_TEXT(token->digest), DB_INT(token->issued_ms),
	       DB_INT(token->expires_ms));
}

enum status
token_issue(struct txn *txn, const struct token_ask *ask, struct token *out, struct buf *why)
{
	char digest[TOKEN_DIGEST_MAX + 1];
	int64_t armed, generation;
	enum status status = check(ask, digest, why);

	if (status == OK && (ask->ttl_ms < 1 || ask->ttl_ms > TOKEN_TTL_MAX_MS))
		status = why_not(why, BAD_INPUT, "a token is good for 1 ms to 7 d");
	if (status == OK)
		status = load(txn, ask->name, out, &armed, why);
	if (status != OK)
		return status;
	if (out->generation > 0 && str_equal(token_state(out, txn_now(txn)), "armed"))
		return still_armed(out, why);
	if (armed >= TOKENS_MAX)
		return why_not(why, HELD, "%d tokens are armed, which is the most there can be; let some be consumed or expire",
		               TOKENS_MAX);
	generation = out->generation + 1;
	*out = (struct token){.generation = generation, .issued_ms = txn_now(txn), .expires_ms = txn_now(txn) + ask->ttl_ms};
	snprintf(out->name, sizeof out->name, "%s", ask->name);
	snprintf(out->issuer, sizeof out->issuer, "%s", txn->actor);
	snprintf(out->session, sizeof out->session, "%s", ask->session);
	snprintf(out->scope, sizeof out->scope, "%s", ask->scope);
	snprintf(out->digest, sizeof out->digest, "%s", digest);
	save_issued(txn, out);
	audit_add(txn, ask->session, "token.issued", out->name, "", out->scope);
	return OK;
}

static const char *
refusal(const struct txn *txn, const struct token_ask *ask, const char *digest, const struct token *token)
{
	if (token->generation == 0)
		return "never_issued";
	if (token->consumer[0] != '\0')
		return "consumed";
	if (token->expires_ms <= txn_now(txn))
		return "expired";
	if (token->scope[0] != '\0' && strcmp(token->scope, ask->scope) != 0)
		return "wrong_scope";
	if (token->digest[0] != '\0' && strcmp(token->digest, digest) != 0)
		return "wrong_digest";
	return NULL;
}

static enum status
explain(const char *word, const struct token_ask *ask, const struct token *token, struct buf *why)
{
	char at[40];

	if (str_equal(word, "never_issued"))
		return why_not(why, NO_SUCH, "the token %s was never issued", ask->name);
	if (str_equal(word, "consumed")) {
		str_instant(at, sizeof at, token->consumed_ms);
		return why_not(why, HELD, "the token %s is consumed already: by %s at %s", token->name, token->consumer, at);
	}
	if (str_equal(word, "expired")) {
		str_instant(at, sizeof at, token->expires_ms);
		return why_not(why, CONFLICT, "the token %s expired at %s; have it issued anew by %s", token->name, at, token->issuer);
	}
	if (str_equal(word, "wrong_scope"))
		return why_not(why, NOT_ALLOWED, "the token %s is of another scope: %s", token->name, token->scope);
	return why_not(why, NOT_ALLOWED, "the token %s allows another action: its digest is %s", token->name, token->digest);
}

enum status
token_consume(struct txn *txn, const struct token_ask *ask, struct token *out, const char **word, struct buf *why)
{
	char digest[TOKEN_DIGEST_MAX + 1];
	int64_t armed;
	enum status status = check(ask, digest, why);

	if (status == OK)
		status = load(txn, ask->name, out, &armed, why);
	if (status != OK)
		return status;
	*word = refusal(txn, ask, digest, out);
	if (*word != NULL && out->generation > 0) {
		audit_add(txn, ask->session, "token.refused", out->name, out->issuer, *word);
		txn->keep = true;
	}
	if (*word != NULL)
		return explain(*word, ask, out, why);
	snprintf(out->consumer, sizeof out->consumer, "%s", txn->actor);
	out->consumed_ms = txn_now(txn);
	db_run(txn->db, "UPDATE token SET consumer = $1, consumed_ms = $2 WHERE project = $3 AND token = $4",
	       DB_TEXT(out->consumer), DB_INT(out->consumed_ms), DB_TEXT(txn->project), DB_TEXT(out->name));
	audit_add(txn, ask->session, "token.consumed", out->name, out->issuer, digest);
	return OK;
}

enum status
token_list(struct txn *txn, bool all, json_t *out, struct buf *why)
{
	struct db_rows rows;
	enum status status = db_ask(txn->db, &rows, why,
	                            "SELECT " COLUMNS " FROM token WHERE project = $1 AND ($2 = 1 OR (consumer = '' AND"
	                            " expires_ms > $3)) ORDER BY issued_ms, token LIMIT $4",
	                            DB_TEXT(txn->project), DB_INT(all), DB_INT(txn_now(txn)), DB_INT(TOKENS_MAX));

	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++) {
		struct token token;

		from_row(&rows, i, &token);
		json_array_append_new(out, token_json(&token, txn_now(txn)));
	}
	db_rows_release(&rows);
	return OK;
}
