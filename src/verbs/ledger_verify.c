#include "core/ledger_anchor.h"
#include "verbs/caller.h"
#include "verbs/ledger_files.h"
#include "verbs/ledger_key.h"
#include "verbs/ledger_mirror.h"
#include "verbs/published.h"
#include "verbs/tables.h"

/* `ledger verify|anchor`: whether a chain is what was appended; and breaks that are on record. */
struct work {
	struct call *call;
	const char *ledger;
	struct ledger_verify verify;
	struct caller caller;
	uint8_t seed[SEED_BYTES];
	struct ledger_appended made;
};

static const char *
arg(const struct work *work, const char *key)
{
	return json_text(work->call->args, key, NULL);
}

static bool
is_digits(const char *text, size_t count)
{
	return strlen(text) == count && strspn(text, "0123456789abcdef") == count;
}

static enum status
check(const struct work *work)
{
	struct buf *why = work->call->why;
	const char *hash = arg(work, "hash"), *key = arg(work, "public_key");
	enum status status = ledger_check_name(work->ledger, why);

	if (status == OK && hash != NULL && !is_digits(hash, DIGEST_SIZE - 1))
		return why_not(why, BAD_INPUT, "--hash: 64 hexadecimal digits, as `ledger head` tells them");
	if (status == OK && hash != NULL && json_whole(work->call->args, "from", 0) < 1)
		return why_not(why, USAGE, "--hash is that of the entry --from names");
	if (status == OK && key != NULL && !is_digits(key, PUBLIC_KEY_SIZE - 1))
		return why_not(why, BAD_INPUT, "--public-key: 64 hexadecimal digits, as `ledger sign` tells them");
	if (status == OK && !work->call->by_hand && (arg(work, "published") != NULL || json_truth(work->call->args, "git_note")))
		return why_not(why, NOT_ALLOWED, "what was published is read on the command line only");
	return status;
}

/* What is known from outside of the store. */
static enum status
know(struct work *work)
{
	struct call *call = work->call;
	const char *file = arg(work, "published"), *from = file != NULL ? file : "the git note";
	struct ledger_head head;
	enum status status;

	if (file == NULL && !json_truth(call->args, "git_note"))
		return OK;
	if (file != NULL && json_truth(call->args, "git_note"))
		return why_not(call->why, USAGE, "either --published F or --git-note");
	status = file != NULL ? published_file(file, work->ledger, &head, call->why)
	                      : published_note(call->context, work->ledger, &head, call->why);
	if (status == OK)
		status = ledger_head_check(&head, work->ledger, work->verify.public_key, from, call->why);
	if (status == OK)
		ledger_verify_know(&work->verify, head.seq, head.hash);
	return status;
}

static enum status
rule_page(struct txn *txn, void *data, struct buf *why)
{
	return ledger_verify_page(txn, &((struct work *)data)->verify, why);
}

static enum status
rule_recorded(struct txn *txn, void *data, struct buf *why)
{
	return ledger_recorded(txn, &((struct work *)data)->verify, why);
}

/* The caller releases work->verify. */
static enum status
verify(struct work *work)
{
	struct call *call = work->call;
	struct engine *engine = &call->context->engine;
	int64_t from = json_whole(call->args, "from", 0);
	enum status status;

	work->ledger = arg(work, "ledger");
	ledger_verify_init(&work->verify, work->ledger, from);
	work->verify.public_key = arg(work, "public_key");
	status = check(work);
	if (status == OK && arg(work, "hash") != NULL)
		ledger_verify_know(&work->verify, from, arg(work, "hash"));
	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status == OK)
		status = know(work);
	while (status == OK && !work->verify.done)
		status = engine_read(engine, rule_page, work, call->why);
	if (status == OK && work->verify.break_count > 0)
		status = engine_read(engine, rule_recorded, work, call->why);
	return status;
}

/* The first that isn't on record; NULL when all are. */
static const struct ledger_break *
first_break(const struct ledger_verify *verify)
{
	for (size_t i = 0; i < verify->break_count; i++)
		if (verify->breaks[i].anchor == 0)
			return &verify->breaks[i];
	return verify->more_breaks ? &verify->breaks[0] : NULL;
}

/* What was found, also beside a no. */
static enum status
tell(struct work *work)
{
	struct call *call = work->call;
	const struct ledger_verify *verify = &work->verify;
	const struct ledger_break *first = first_break(verify);
	json_t *breaks = json_array();
	int64_t recorded = 0;

	json_object_update_new(call->result, ledger_json(&verify->ledger));
	json_object_set_new(call->result, "from", json_integer(verify->first));
	json_object_set_new(call->result, "entries", json_integer(verify->checked));
	for (size_t i = 0; i < verify->break_count; i++) {
		json_array_append_new(breaks, ledger_break_json(&verify->breaks[i]));
		recorded += verify->breaks[i].anchor > 0;
	}
	json_object_set_new(call->result, "on_record", json_integer(recorded));
	json_object_set_new(call->result, "breaks", breaks);
	if (first == NULL)
		return OK;
	json_object_set_new(call->result, "error", json_string("broken"));
	call->why->len = 0;
	ledger_break_describe(verify, first, call->why);
	return CONFLICT;
}

static enum status
run_verify(struct call *call)
{
	struct work work = {.call = call};
	enum status status;

	if (arg(&work, "file") != NULL)
		return ledger_verify_file(call);
	if (arg(&work, "ledger") == NULL)
		return why_not(call->why, USAGE, "ledger verify: CHAIN is missing; see `stile help ledger verify`");
	if (arg(&work, "head") != NULL || arg(&work, "prev_field") != NULL || arg(&work, "hash_field") != NULL)
		return why_not(call->why, USAGE, "--head, --prev-field and --hash-field are about a --file");
	status = verify(&work);
	if (status == OK)
		status = tell(&work);
	ledger_verify_release(&work.verify);
	return status;
}

static enum status
rule_caller(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	return caller_find(txn, arg(work, "session"), &work->caller, why);
}

static enum status
rule_anchor(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;

	txn->actor = work->caller.actor;
	return ledger_anchor(txn, &work->verify, work->caller.session, arg(work, "reason"), work->seed, &work->made, why);
}

static enum status
run_anchor(struct call *call)
{
	struct work work = {.call = call};
	enum status status = str_check_id("--reason", arg(&work, "reason"), LEDGER_REASON_MAX, call->why);

	if (status != OK)
		return status;
	status = verify(&work);
	if (status == OK)
		status = ledger_key(call->context, work.seed, call->why);
	if (status == OK)
		status = engine_read(&call->context->engine, rule_caller, &work, call->why);
	if (status == OK)
		status = engine_run(&call->context->engine, rule_anchor, &work, call->why);
	ledger_verify_release(&work.verify);
	if (status != OK)
		return status;
	json_object_set_new(call->result, "ledger", json_string(work.ledger));
	json_object_set_new(call->result, "seq", json_integer(work.made.seq));
	json_object_set_new(call->result, "hash", json_string(work.made.hash));
	ledger_mirror(call->context, work.ledger, call->result);
	return OK;
}

#define LEDGER(required) \
	{ \
		"ledger", PARAM_TEXT, "CHAIN", "the ledger", true, required, false \
	}

static const struct param verify_params[] = {
	LEDGER(false),
	{"from", PARAM_WHOLE, "SEQ", "from this entry on, which was verified before; default: the first", false, false, false},
	{"hash", PARAM_TEXT, "H", "that this entry had then; with --file, what its first line follows", false, false, false},
	{"published", PARAM_TEXT, "F", "compare it with the head that was published in this file", false, false, false},
	{"git-note", PARAM_FLAG, NULL, "compare it with the head that was published in a note of a commit", false, false, false},
	{"public-key", PARAM_TEXT, "K", "heads must be signed with this one's other half; default: with any", false, false, false},
	{"file", PARAM_TEXT, "FILE", "instead: a file of another system's, each line of which has the SHA-256 of the one before", false,
     false, false},
	{"prev-field", PARAM_TEXT, "NAME", "the field that has it; prev_hash", false, false, false},
	{"hash-field", PARAM_TEXT, "NAME", "a field with the line's own digest, made before it was put in; default: none has", false,
     false, false},
	{"head", PARAM_TEXT, "H", "the digest of a line that must be in the file", false, false, false},
};
static const struct param anchor_params[] = {
	LEDGER(true),
	{"reason", PARAM_TEXT, "T", "why it broke, for people", false, true, false},
	{"session", PARAM_TEXT, "SESSION", "who says so; default: the caller", false, false, false},
};

static const struct verb verbs[] = {
	{"ledger verify", "whether every entry of a chain is what was appended; names the first that isn't, and what is wrong",
     DOES_READ, NULL, PARAMS(verify_params), run_verify},
	{"ledger anchor", "put what is broken on record, with the reason, and go on from there; it stays told", DOES_WRITE, NULL,
     PARAMS(anchor_params), run_anchor},
};

const struct verb_table verbs_ledger_verify = VERB_TABLE(verbs);
