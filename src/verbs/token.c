#include "core/token.h"
#include "verbs/caller.h"
#include "verbs/tables.h"

#define TTL_MS 600000

/* `token issue|consume|list`: leaves to do something once. */
struct work {
	struct call *call;
	struct token_ask ask;
	struct token token;
	const char *word;
	int64_t now_ms;
	struct caller caller;
};

static enum status
find_actor(struct txn *txn, struct work *work, struct buf *why)
{
	const json_t *args = work->call->args;
	enum status status = caller_find(txn, json_text(args, "session", NULL), &work->caller, why);

	if (status != OK)
		return status;
	txn->actor = work->caller.actor;
	work->now_ms = txn_now(txn);
	work->ask = (struct token_ask){.name = json_text(args, "name", ""),
	                               .scope = json_text(args, "scope", ""),
	                               .digest = json_text(args, "digest", ""),
	                               .session = work->caller.session,
	                               .ttl_ms = json_whole(args, "ttl", TTL_MS)};
	return OK;
}

static enum status
rule_issue(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_actor(txn, work, why);

	return status == OK ? token_issue(txn, &work->ask, &work->token, why) : status;
}

static enum status
rule_consume(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = find_actor(txn, work, why);

	return status == OK ? token_consume(txn, &work->ask, &work->token, &work->word, why) : status;
}

/* The token as it is, also beside a no; with `reason`, a word that scripts can tell the noes apart by. */
static enum status
run_change(struct call *call, rule_function *rule)
{
	struct work work = {.call = call};
	enum status status = context_open(call->context, false, call->why);

	if (status != OK)
		return status;
	status = engine_run(&call->context->engine, rule, &work, call->why);
	if (status < OK && status != NOT_ALLOWED)
		return status;
	if (work.token.generation > 0)
		json_object_update_new(call->result, token_json(&work.token, work.now_ms));
	if (status != OK && work.word != NULL)
		json_object_set_new(call->result, "reason", json_string(work.word));
	return status;
}

static enum status
run_issue(struct call *call)
{
	return run_change(call, rule_issue);
}

static enum status
run_consume(struct call *call)
{
	return run_change(call, rule_consume);
}

static enum status
rule_list(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	json_t *tokens = json_array();

	json_object_set_new(work->call->result, "tokens", tokens);
	return token_list(txn, json_truth(work->call->args, "all"), tokens, why);
}

static enum status
run_list(struct call *call)
{
	struct work work = {.call = call};
	enum status status = context_open(call->context, false, call->why);

	return status == OK ? engine_read(&call->context->engine, rule_list, &work, call->why) : status;
}

#define NAME \
	{ \
		"name", PARAM_TEXT, "NAME", "the token", true, true, false \
	}
#define SESSION \
	{ \
		"session", PARAM_TEXT, "SESSION", "who asks; default: the caller", false, false, false \
	}

static const struct param issue_params[] = {
	NAME,
	{"ttl", PARAM_SPAN, "D", "how long it can be consumed, at most 7d; default 10m", false, false, false},
	{"scope", PARAM_TEXT, "X", "what it is for: only who names the same consumes it", false, false, false},
	{"digest", PARAM_TEXT, "H", "of the one action that it allows, in hexadecimal digits", false, false, false},
	SESSION,
};
static const struct param consume_params[] = {
	NAME,
	{"scope", PARAM_TEXT, "X", "what it is to be used for", false, false, false},
	{"digest", PARAM_TEXT, "H", "of the action that is to be done", false, false, false},
	SESSION,
};
static const struct param list_params[] = {
	{"all", PARAM_FLAG, NULL, "also those that were consumed or expired", false, false, false},
};

static const struct verb verbs[] = {
	{"token issue", "give leave to do something once; refused while the token is armed", DOES_WRITE, NULL, PARAMS(issue_params),
     run_issue},
	{"token consume",
     "use that leave up: one does; others are told by whom it was and when, or that it expired or is for something else",
     DOES_WRITE, NULL, PARAMS(consume_params), run_consume},
	{"token list", "which are armed, by whom, until when, for what", DOES_READ,
     "token state issuer scope issued_ms expires_ms consumer consumed_ms", PARAMS(list_params), run_list},
};

const struct verb_table verbs_token = VERB_TABLE(verbs);
