#include "verbs/caller.h"
#include "verbs/ledger_key.h"
#include "verbs/published.h"
#include "verbs/tables.h"

/* `ledger sign|publish`: heads that are signed, and kept elsewhere too. */
struct work {
	struct call *call;
	const char *ledger;
	uint8_t seed[SEED_BYTES];
	struct caller caller;
	struct ledger_head head;
	struct ledger_head before; /* that was published; seq 0 = none */
};

static enum status
rule_sign(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = caller_find(txn, NULL, &work->caller, why);

	if (status != OK)
		return status;
	txn->actor = work->caller.actor;
	return ledger_sign(txn, work->ledger, work->seed, false, &work->head, why);
}

static enum status
begin(struct call *call, struct work *work)
{
	enum status status;

	*work = (struct work){.call = call, .ledger = json_text(call->args, "ledger", "")};
	status = ledger_check_name(work->ledger, call->why);
	return status == OK ? context_open(call->context, false, call->why) : status;
}

/* Before a key is made for it. */
static enum status
rule_known(struct txn *txn, void *data, struct buf *why)
{
	struct ledger ledger;

	return ledger_load(txn, ((const struct work *)data)->ledger, &ledger, why);
}

static enum status
sign(struct work *work)
{
	struct call *call = work->call;
	enum status status = engine_read(&call->context->engine, rule_known, work, call->why);

	if (status == OK)
		status = ledger_key(call->context, work->seed, call->why);
	if (status == OK)
		status = engine_run(&call->context->engine, rule_sign, work, call->why);
	if (status == OK)
		json_object_update_new(call->result, ledger_head_json(&work->head));
	return status;
}

static enum status
run_sign(struct call *call)
{
	struct work work;
	enum status status = begin(call, &work);

	return status == OK ? sign(&work) : status;
}

/* What was published must be of this chain: else publishing would wipe out the proof that it isn't. */
static enum status
rule_before(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	char hash[DIGEST_SIZE];
	enum status status = ledger_hash_at(txn, work->ledger, work->before.seq, hash, why);

	if (status == NO_SUCH || (status == OK && hash[0] != '\0' && !str_equal(hash, work->before.hash)))
		return why_not(why, CONFLICT,
		               "%s: what was published before, entry %lld, isn't in this chain; see `stile ledger verify`, and publish elsewhere",
		               work->ledger, (long long)work->before.seq);
	return status;
}

static enum status
look_before(struct work *work, const char *file)
{
	struct call *call = work->call;
	enum status status = file != NULL ? published_file(file, work->ledger, &work->before, call->why)
	                                  : published_note(call->context, work->ledger, &work->before, call->why);

	if (status == NO_SUCH)
		return why_not(call->why, OK, "%s", "");
	return status == OK ? engine_read(&call->context->engine, rule_before, work, call->why) : status;
}

static enum status
run_publish(struct call *call)
{
	struct work work;
	const char *file = json_text(call->args, "file", NULL);
	enum status status;

	if ((file != NULL) == json_truth(call->args, "git_note"))
		return why_not(call->why, USAGE, "ledger publish: either --file F or --git-note");
	status = begin(call, &work);
	if (status == OK)
		status = look_before(&work, file);
	if (status == OK)
		status = sign(&work);
	if (status == OK)
		status = file != NULL ? publish_file(file, &work.head, call->why) : publish_note(call->context, &work.head, call->why);
	return status == CONFLICT && work.head.seq > 0 ? IO_FAILED : status;
}

#define LEDGER \
	{ \
		"ledger", PARAM_TEXT, "CHAIN", "the ledger", true, true, false \
	}

static const struct param sign_params[] = {LEDGER};
static const struct param publish_params[] = {
	LEDGER,
	{"file", PARAM_TEXT, "F", "into this file, as a whole; keep it where who can change the store can't", false, false, false},
	{"git-note", PARAM_FLAG, NULL, "as a note of the commit that is checked out (refs/notes/stile)", false, false, false},
};

static const struct verb verbs[] = {
	{"ledger sign", "sign the head of a chain (Ed25519), with this store's key, which is made at first", DOES_WRITE, NULL,
     PARAMS(sign_params), run_sign},
	{"ledger publish", "sign the head and put it where a tail that is rewritten later doesn't reach: `verify` compares it",
     DOES_WRITE | DOES_OPEN_PATH | DOES_RUN, NULL, PARAMS(publish_params), run_publish},
};

const struct verb_table verbs_ledger_heads = VERB_TABLE(verbs);
