#include "verbs/turn.h"

#include "verbs/tables.h"

_Static_assert(BODY_MAX == TURN_TEXT_MAX, "a question and an answer are bodies");

static const char *
arg(const struct call *call, const char *key)
{
	return json_text(call->args, key, NULL);
}

const char *
turn_slot(const struct call *call)
{
	return json_text(call->args, "slot", SLOT_RESUME);
}

void
turn_work_init(struct turn_work *work, struct call *call)
{
	*work = (struct turn_work){.call = call, .hold = {.anchor = {.fd = -1}}};
}

/* --session, which gets --key as another name; --key alone; or the caller's own. */
static enum status
rule_find(struct txn *txn, void *data, struct buf *why)
{
	struct turn_work *work = data;
	const char *session = arg(work->call, "session"), *key = arg(work->call, "key");
	enum status status = OK;

	if (session == NULL && key != NULL) {
		status = turn_key_find(txn, key, work->session, why);
		session = work->session;
	}
	if (status == OK)
		status = caller_session(txn, session, &work->caller, NULL, why);
	if (status != OK)
		return status;
	snprintf(work->session, sizeof work->session, "%s", work->caller.session);
	txn->actor = work->caller.actor;
	return key != NULL && arg(work->call, "session") != NULL ? turn_key_set(txn, key, work->session, why) : OK;
}

enum status
turn_find(struct turn_work *work)
{
	struct call *call = work->call;
	struct engine *engine = &call->context->engine;
	bool names = arg(call, "key") != NULL && arg(call, "session") != NULL;
	enum status status = str_check_id("the slot", turn_slot(call), LABEL_MAX, call->why);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status == OK)
		status = names ? engine_run(engine, rule_find, work, call->why) : engine_read(engine, rule_find, work, call->why);
	if (status == OK)
		turn_resource(work->session, work->resource);
	return status;
}

static enum status
rule_open(struct txn *txn, void *data, struct buf *why)
{
	struct turn_work *work = data;

	txn->actor = work->hold.caller.actor;
	return turn_open(txn, work->session, turn_slot(work->call), work->hold.leases[0].fence, work->question, &work->turn, why);
}

static void
tell_busy(json_t *result, enum status status, const struct lease *other, struct buf *why)
{
	if (status != HELD && status != BUSY)
		return;
	buf_text(why, ", after 5 s");
	json_object_set_new(result, "retry_ms", json_integer(TURN_RETRY_MS));
	if (other->fence == 0)
		return;
	json_object_set_new(result, "resource", json_string(other->resource));
	json_object_set_new(result, "holder", json_string(other->actor));
	json_object_set_new(result, "since_ms", json_integer(other->since_ms));
	json_object_set_new(result, "until_ms", json_integer(other->expires_ms));
}

static enum status
find_process(const struct call *call, struct process *out)
{
	int64_t pid = json_whole(call->args, "pid", 0);

	if (!json_is_integer(json_object_get(call->args, "pid")) || (pid > 0 && process_read(pid, out, NULL, NULL) == OK))
		return OK;
	return why_not(call->why, BAD_INPUT, "--pid %lld: there is no such process here", (long long)pid);
}

enum status
turn_take(struct turn_work *work, int64_t ttl_ms, bool stays)
{
	struct call *call = work->call;
	struct lease_ask ask = {.resource = work->resource,
	                        .ttl_ms = json_whole(call->args, "ttl", ttl_ms),
	                        .max_ms = json_whole(call->args, "max", 0)};
	struct lease other = {0};
	enum status status = find_process(call, &ask.process);

	if (status != OK)
		return status;
	hold_init(&work->hold, call->context, work->session, NULL);
	/* who acts for a session begins its turns for many callers at once */
	work->hold.apart = true;
	status = hold_take(&work->hold, &ask, 1, json_whole(call->args, "wait", HOLD_WAIT_MS), stays, &other, call->why);
	tell_busy(call->result, status, &other, call->why);
	if (status == OK) {
		status = engine_run(&call->context->engine, rule_open, work, call->why);
		if (status != OK)
			status = hold_back_out(&work->hold, status, call->why);
	}
	return status;
}

static enum status
rule_close(struct txn *txn, void *data, struct buf *why)
{
	struct turn_work *work = data;

	txn->actor = work->caller.actor;
	return turn_close(txn, &work->end, why);
}

enum status
turn_finish(struct turn_work *work, struct buf *why)
{
	return engine_run(&work->call->context->engine, rule_close, work, why);
}

static enum status
run_begin(struct call *call)
{
	struct turn_work work;
	enum status status;

	turn_work_init(&work, call);
	work.question = arg(call, "message");
	status = turn_find(&work);
	if (status == OK)
		status = turn_take(&work, HOLD_STEP_TTL_MS, false);
	if (status == OK) {
		json_object_update_new(call->result, lease_json(&work.hold.leases[0]));
		json_object_set_new(call->result, "session", json_string(work.session));
		json_object_set_new(call->result, "turn", json_string(work.turn.id));
		json_object_set_new(call->result, "slot", json_string(work.turn.slot));
		json_object_set_new(call->result, "resume", work.turn.resume[0] == '\0' ? json_null() : json_string(work.turn.resume));
	}
	return status;
}

static enum status
run_end(struct call *call)
{
	struct turn_work work;
	const char *bind = arg(call, "bind");
	enum status status = OK;

	turn_work_init(&work, call);
	if (json_truth(call->args, "failed") && bind != NULL)
		status = why_not(call->why, USAGE, "either --bind or --failed");
	if (status == OK && bind != NULL)
		status = str_check_id("the id", bind, ID_MAX, call->why);
	if (status == OK)
		status = turn_find(&work);
	work.end = (struct turn_end){.session = work.session,
	                             .fence = json_whole(call->args, "fence", 0),
	                             .slot = turn_slot(call),
	                             .bind = bind,
	                             .answer = arg(call, "answer"),
	                             .failed = json_truth(call->args, "failed")};
	if (status == OK)
		status = turn_finish(&work, call->why);
	if (status == OK)
		json_object_set_new(call->result, "session", json_string(work.session));
	return status;
}

static enum status
rule_renew(struct txn *txn, void *data, struct buf *why)
{
	struct turn_work *work = data;
	const json_t *args = work->call->args;

	txn->actor = work->caller.actor;
	return lease_renew(txn, work->resource, json_whole(args, "fence", 0), json_whole(args, "ttl", 0), &work->hold.leases[0],
	                   why);
}

static enum status
run_renew(struct call *call)
{
	struct turn_work work;
	enum status status;

	turn_work_init(&work, call);
	status = turn_find(&work);
	if (status == OK)
		status = engine_run(&call->context->engine, rule_renew, &work, call->why);
	if (status == OK)
		json_object_update_new(call->result, lease_json(&work.hold.leases[0]));
	return status;
}

static enum status
rule_list(struct txn *txn, void *data, struct buf *why)
{
	struct call *call = data;
	json_t *turns = json_array(), *one;
	size_t i;
	enum status status;

	json_object_set_new(call->result, "turns", turns);
	status = lease_list(txn, "turn/", json_truth(call->args, "all"), turns, why);
	json_array_foreach(turns, i, one)
		json_object_set_new(one, "session", json_string(json_text(one, "resource", "") + strlen("turn/")));
	return status;
}

static enum status
run_list(struct call *call)
{
	enum status status = context_open(call->context, false, call->why);

	return status == OK ? engine_read(&call->context->engine, rule_list, call, call->why) : status;
}

static enum status
rule_log(struct txn *txn, void *data, struct buf *why)
{
	struct turn_work *work = data;
	json_t *messages = json_array();

	json_object_set_new(work->call->result, "messages", messages);
	return turn_log(txn, work->session, messages, why);
}

static enum status
run_log(struct call *call)
{
	struct turn_work work;
	enum status status;

	turn_work_init(&work, call);
	status = turn_find(&work);
	if (status == OK)
		status = engine_read(&call->context->engine, rule_log, &work, call->why);
	return status;
}

#define WHOSE \
	{"session", PARAM_TEXT, "SESSION", "whose turn; default: the caller's own", false, false, false}, \
	{ \
		"key", PARAM_TEXT, "NAME", "another system's name for it; given with --session it becomes one", false, false, false \
	}
#define SLOT \
	{ \
		"slot", PARAM_TEXT, "SLOT", "of the id to resume by; default: resume", false, false, false \
	}
#define FENCE \
	{ \
		"fence", PARAM_WHOLE, "F", "of the turn, as it was begun", false, true, false \
	}
#define WAIT \
	{ \
		"wait", PARAM_DURATION, "D", "for the turns before; default 30s, 0s = not at all", false, false, false \
	}
#define MAX \
	{ \
		"max", PARAM_SPAN, "D", "ends after D in all, renewed or not", false, false, false \
	}

static const struct param run_params[] = {
	WHOSE,
	SLOT,
	WAIT,
	MAX,
	{"ttl", PARAM_SPAN, "D", "how long it is held without a sign of life; default 30s, renewed at a third", false, false,
     false},
	{"message", PARAM_BODY, "TEXT", "the question, up to 1 MiB; default: the command's last word", false, false, false},
	{"id-file", PARAM_TEXT, "F", "where the command leaves the id to resume by; default: found in what it prints", false, false,
     false},
	{"status", PARAM_WHOLE, "N", "ends with N instead of 121 to 124 when stile refuses or fails", false, false, false},
	{"command", PARAM_COMMAND, "CMD...",
     "run without a shell; {resume} in a word is the id, and without one the word is left out", true, true, false},
};
static const struct param begin_params[] = {
	WHOSE,
	SLOT,
	WAIT,
	MAX,
	{"ttl", PARAM_SPAN, "D", "how long it is held unless it is renewed; default 10m", false, false, false},
	{"pid", PARAM_WHOLE, "PID", "the process that holds it: free when that is gone; default: the session's agent", false, false,
     false},
	{"message", PARAM_BODY, "TEXT", "the question, up to 1 MiB, kept whatever becomes of the turn", false, false, false},
};
static const struct param end_params[] = {
	WHOSE,
	FENCE,
	SLOT,
	{"bind", PARAM_TEXT, "ID", "to resume by from now on", false, false, false},
	{"answer", PARAM_BODY, "TEXT", "the answer, up to 1 MiB", false, false, false},
	{"failed", PARAM_FLAG, NULL, "there is no answer", false, false, false},
};
static const struct param renew_params[] = {
	WHOSE,
	FENCE,
	{"ttl", PARAM_SPAN, "D", "from now on; default: as before", false, false, false},
};
static const struct param list_params[] = {
	{"all", PARAM_FLAG, NULL, "also sessions that nobody has or wants a turn of", false, false, false},
};
static const struct param log_params[] = {WHOSE};

static const struct verb verbs[] = {
	{"turn run", "run an agent's command as one turn of a session: one at a time, resumed where the last one ended",
     DOES_WRITE | DOES_RUN | DOES_OPEN_PATH, NULL, PARAMS(run_params), turn_run},
	{"turn begin", "take a session's turn; answers with its fence and the id to resume by", DOES_WRITE, NULL,
     PARAMS(begin_params), run_begin},
	{"turn end", "end a turn: bind its id, keep its answer, let the next begin", DOES_WRITE, NULL, PARAMS(end_params), run_end},
	{"turn renew", "hold a turn for longer", DOES_WRITE, NULL, PARAMS(renew_params), run_renew},
	{"turn list", "which sessions are in a turn, since when, and who waits", DOES_READ,
     "session fence holders waiters waits holds", PARAMS(list_params), run_list},
	{"turn log", "what was asked and answered in a session, in order", DOES_READ, "role turn text", PARAMS(log_params),
     run_log},
};

const struct verb_table verbs_turn = VERB_TABLE(verbs);
