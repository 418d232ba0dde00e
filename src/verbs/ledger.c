#include "core/ledger.h"
#include "verbs/caller.h"
#include "verbs/ledger_mirror.h"
#include "verbs/lease_ask.h"
#include "verbs/tables.h"

#define LIST_DEFAULT 1000

/* `ledger append|list|head`: chains of entries that prove what was appended. */
struct work {
	struct call *call;
	struct caller caller;
	struct ledger_append ask;
	struct ledger_appended made;
	char lock[RESOURCE_MAX + 1]; /* that --lock names, "" = none */
	int64_t fence;
	struct ledger ledger;
};

static const char *
arg(const struct work *work, const char *key)
{
	return json_text(work->call->args, key, NULL);
}

static enum status
rule_caller(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	return caller_find(txn, arg(work, "session"), &work->caller, why);
}

static enum status
rule_append(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	struct lease lease;
	/* with a fence, who asks is known before: the entry's own transaction waits for what it needs and nothing else */
	enum status status = work->lock[0] == '\0' ? rule_caller(txn, work, why) : OK;

	if (status != OK)
		return status;
	txn->actor = work->caller.actor;
	work->ask.session = work->caller.session;
	if (work->lock[0] != '\0')
		status = lease_check(txn, work->lock, work->fence, &lease, why);
	return status == OK ? ledger_append(txn, &work->ask, &work->made, why) : status;
}

static enum status
read_append(struct work *work)
{
	struct call *call = work->call;
	const json_t *body = json_object_get(call->args, "body");

	if (body == NULL)
		return why_not(call->why, USAGE, "ledger append: the body is missing");
	work->ask = (struct ledger_append){.ledger = arg(work, "ledger"),
	                                   .key = json_text(call->args, "key", ""),
	                                   .kind = "",
	                                   .body = json_string_value(body),
	                                   .size = json_string_length(body)};
	return ask_fence(call, work->lock, &work->fence, call->why);
}

static enum status
run_append(struct call *call)
{
	struct work work = {.call = call};
	enum status status = read_append(&work);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status == OK && work.lock[0] != '\0')
		status = engine_read(&call->context->engine, rule_caller, &work, call->why);
	if (status == OK)
		status = engine_run(&call->context->engine, rule_append, &work, call->why);
	if (status < OK || work.made.seq == 0)
		return status;
	json_object_set_new(call->result, "ledger", json_string(work.ask.ledger));
	json_object_set_new(call->result, "seq", json_integer(work.made.seq));
	json_object_set_new(call->result, "at_ms", json_integer(work.made.at_ms));
	json_object_set_new(call->result, "prev", json_string(work.made.prev));
	json_object_set_new(call->result, "hash", json_string(work.made.hash));
	json_object_set_new(call->result, "created", json_boolean(!work.made.again));
	if (status == OK)
		ledger_mirror(call->context, work.ask.ledger, call->result);
	return status;
}

static enum status
rule_list(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	const json_t *args = work->call->args;
	json_t *entries = json_array();
	struct db_rows rows;
	enum status status = ledger_load(txn, arg(work, "ledger"), &work->ledger, why);

	json_object_set_new(work->call->result, "entries", entries);
	if (status == OK)
		status = ledger_page(txn, &work->ledger, json_whole(args, "from", 1), json_whole(args, "max", LIST_DEFAULT), &rows, why);
	if (status != OK)
		return status;
	for (size_t i = 0; i < rows.count; i++) {
		struct ledger_entry entry;

		ledger_entry_of(&rows, i, &entry);
		json_array_append_new(entries, ledger_entry_json(&entry));
	}
	db_rows_release(&rows);
	return OK;
}

static enum status
run_list(struct call *call)
{
	struct work work = {.call = call};
	enum status status = ledger_check_name(arg(&work, "ledger"), call->why);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	return status == OK ? engine_read(&call->context->engine, rule_list, &work, call->why) : status;
}

static enum status
rule_head(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	json_t *ledgers;

	if (arg(work, "ledger") != NULL)
		return ledger_load(txn, arg(work, "ledger"), &work->ledger, why);
	ledgers = json_array();
	json_object_set_new(work->call->result, "ledgers", ledgers);
	return ledger_all(txn, ledgers, why);
}

static enum status
run_head(struct call *call)
{
	struct work work = {.call = call};
	enum status status = arg(&work, "ledger") == NULL ? OK : ledger_check_name(arg(&work, "ledger"), call->why);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status == OK)
		status = engine_read(&call->context->engine, rule_head, &work, call->why);
	if (status == OK && arg(&work, "ledger") != NULL)
		json_object_update_new(call->result, ledger_json(&work.ledger));
	return status;
}

#define LEDGER(required) \
	{ \
		"ledger", PARAM_TEXT, "CHAIN", "the ledger", true, required, false \
	}

static const struct param append_params[] = {
	LEDGER(true),
	{"body", PARAM_PAYLOAD, "TEXT", "what is appended, UTF-8 of at most 1 MiB, kept to the byte; default: stdin", false, false,
     false},
	{"key", PARAM_TEXT, "K", "appended once: again with the same body it is no entry more, with another it is refused", false,
     false, false},
	{"lock", PARAM_TEXT, "NAME", "only if the caller holds this lock, or task/NAME, with that fence as it is appended", false, false,
     false},
	{"fence", PARAM_WHOLE, "F", "the lock's", false, false, false},
	{"session", PARAM_TEXT, "SESSION", "who appends; default: the caller", false, false, false},
};
static const struct param list_params[] = {
	LEDGER(true),
	{"from", PARAM_WHOLE, "SEQ", "from this entry on; default: the first", false, false, false},
	{"max", PARAM_WHOLE, "N", "at most so many, up to 1000 at a time, fewer where bodies are large", false, false, false},
};
static const struct param head_params[] = {LEDGER(false)};

static const struct verb verbs[] = {
	{"ledger append", "add an entry to a chain, each carrying the hash of the one before it; the chain is made by its first",
     DOES_WRITE, NULL, PARAMS(append_params), run_append},
	{"ledger list", "entries of a chain, oldest first", DOES_READ, "seq at_ms actor key body", PARAMS(list_params), run_list},
	{"ledger head", "the newest entry of a chain and its hash; without CHAIN, of all", DOES_READ, "ledger seq hash",
     PARAMS(head_params), run_head},
};

const struct verb_table verbs_ledger = VERB_TABLE(verbs);
