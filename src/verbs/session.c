#include "core/binding.h"
#include "core/session.h"
#include "core/turn.h"
#include "verbs/await.h"
#include "verbs/exclusive.h"
#include "verbs/reap.h"
#include "verbs/tables.h"

struct work {
	struct call *call;
	struct session_start start;
	struct session session;
	struct session_list list;
	struct binding binding;
	struct caller caller;
	char value[ID_MAX + 1]; /* to be bound */
	bool flag;
	bool came; /* by this call: it wasn't live */
};

static const char *
arg(const struct call *call, const char *key)
{
	return json_text(call->args, key, NULL);
}

/* The process named by --pid, which must be there.  None named: the pid stays 0. */
static enum status
named_process(struct call *call, struct process *out, struct buf *why)
{
	int64_t pid = json_whole(call->args, "pid", 0);

	*out = (struct process){0};
	if (pid > 0 && process_read(pid, out, NULL, NULL) != OK)
		return why_not(why, NO_SUCH, "no process %lld runs here", (long long)pid);
	return OK;
}

static enum status
rule_start(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	struct arrived arrived;
	struct session *session = &arrived.session;
	enum status status = OK;

	if (work->start.parent[0] != '\0')
		status = session_load(txn, work->start.parent, &work->session, why);
	if (status == OK)
		status = binding_arrive(txn, &work->start, ARRIVAL_EVENT, &arrived, why);
	if (status != OK)
		return status;
	txn->actor = session->id;
	work->came = arrived.created || !session_is_live(session->state);
	if (!arrived.created) {
		session_move(txn, session, SESSION_STARTS, txn_now(txn), "");
		session->event_ms = txn_now(txn);
		if (work->start.process.pid > 0)
			session->process = work->start.process;
		if (work->start.budget > 0) {
			session->budget = work->start.budget;
			session->budget_given = true;
		}
		session_save(txn, session);
	}
	work->session = *session;
	work->flag = arrived.created;
	session_list_release(&arrived.others);
	return OK;
}

static enum status
rule_turn_away(struct txn *txn, void *data, struct buf *why)
{
	struct session *session = data;
	enum status status = session_load(txn, session->id, session, why);

	txn->actor = session->id;
	if (status == OK && session_move(txn, session, SESSION_ENDS, txn_now(txn), "another has the codebase"))
		session_save(txn, session);
	return status;
}

/* In exclusive mode: one that came for this and doesn't get the codebase has ended. */
static enum status
enter(struct call *call, struct work *work)
{
	struct engine *engine = &call->context->engine;
	struct lease holder;
	enum status status;

	if (!exclusive_is_on(&engine->config))
		return OK;
	status = exclusive_enter(call->context, &work->session,
	                         json_whole(call->args, "wait", exclusive_wait_ms(&engine->config)), &holder, call->why);
	if (status != OK && holder.fence > 0) {
		json_object_set_new(call->result, "resource", json_string(CODEBASE));
		json_object_set_new(call->result, "holder", json_string(holder.actor));
		json_object_set_new(call->result, "since_ms", json_integer(holder.since_ms));
		json_object_set_new(call->result, "until_ms", json_integer(holder.expires_ms));
	}
	if (status != OK && work->came && engine_run(engine, rule_turn_away, &work->session, NULL) != OK)
		return status;
	return status;
}

static enum status
check_start(struct call *call, struct session_start *start)
{
	enum status status = str_check_id("--client", start->client, LABEL_MAX, call->why);

	if (status == OK)
		status = str_check_id("--client-session", start->client_session, ID_MAX, call->why);
	if (status == OK && start->parent[0] != '\0')
		status = str_check_id("--parent", start->parent, ID_SIZE - 1, call->why);
	if (status == OK)
		status = named_process(call, &start->process, call->why);
	return status;
}

static enum status
run_start(struct call *call)
{
	const struct place *place = &call->context->place;
	struct work work = {.call = call,
	                    .start = {.client = arg(call, "client"),
	                              .client_session = arg(call, "client_session"),
	                              .client_version = "",
	                              .parent = json_text(call->args, "parent", ""),
	                              .budget = json_whole(call->args, "budget", 0),
	                              .cwd = call->context->folder,
	                              .worktree = place->worktree,
	                              .branch = place->branch}};
	enum status status = check_start(call, &work.start);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status == OK)
		status = engine_run(&call->context->engine, rule_start, &work, call->why);
	if (status == OK)
		status = enter(call, &work);
	if (status != OK)
		return status;
	json_object_update_new(call->result, session_json(&work.session, context_liveness(call->context, &work.session.process)));
	json_object_set_new(call->result, "created", json_boolean(work.flag));
	return OK;
}

static enum status
rule_list(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	const char *slot = arg(work->call, "unbound");
	enum status status = session_list(txn, work->flag, &work->list, why);

	return status == OK && slot != NULL ? binding_keep_unbound(txn, slot, &work->list, why) : status;
}

static enum status
run_list(struct call *call)
{
	struct work work = {.call = call, .flag = json_truth(call->args, "all")};
	json_t *sessions = json_array();
	size_t reaped;
	enum status status = context_open(call->context, false, call->why);

	/* when it can't be done now, what is dead still shows as such by its liveness */
	if (status == OK && reap(call->context, &reaped, NULL, NULL) != OK)
		reaped = 0;
	if (status == OK)
		status = engine_read(&call->context->engine, rule_list, &work, call->why);
	for (size_t i = 0; i < work.list.count; i++)
		json_array_append_new(sessions, session_json(&work.list.items[i], context_liveness(call->context, &work.list.items[i].process)));
	session_list_release(&work.list);
	json_object_set_new(call->result, "sessions", sessions);
	return status;
}

static enum status
rule_find(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	struct caller caller;

	return caller_session(txn, arg(work->call, "session"), &caller, &work->session, why);
}

static enum status
run_show(struct call *call)
{
	struct work work = {.call = call};
	enum status status = context_open(call->context, false, call->why);

	if (status == OK)
		status = engine_read(&call->context->engine, rule_find, &work, call->why);
	if (status == OK)
		json_object_update_new(call->result, session_json(&work.session, context_liveness(call->context, &work.session.process)));
	return status;
}

/* Whose hand it is: not the one that is named, who may know nothing of it.  Its own answer, so that binding stays at three. */
static enum status
rule_who(struct txn *txn, void *data, struct buf *why)
{
	return caller_find(txn, NULL, &((struct work *)data)->caller, why);
}

static enum status
rule_bind(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	struct call *call = work->call;
	struct binding_ask ask = {.session = arg(call, "session"),
	                          .slot = arg(call, "slot"),
	                          .value = work->value,
	                          .rebind = json_truth(call->args, "rebind"),
	                          .distinct = json_truth(call->args, "distinct"),
	                          .placeholder = json_truth(call->args, "placeholder")};

	if (work->caller.actor[0] != '\0')
		txn->actor = work->caller.actor;
	return binding_set(txn, &ask, &work->binding, why);
}

/* The one that is given; or for a provider that never gives one, always the same and nobody else's. */
static enum status
choose_value(struct work *work)
{
	struct call *call = work->call;
	const char *given = arg(call, "value"), *slot = arg(call, "slot");
	bool synthetic = json_truth(call->args, "synthetic"), placeholder = json_truth(call->args, "placeholder");

	if ((given != NULL) == synthetic)
		return why_not(call->why, USAGE, "session bind: either a value or --synthetic");
	if (placeholder && (synthetic || str_equal(slot, SLOT_CONVERSATION) || str_equal(slot, SLOT_RESUME)))
		return why_not(call->why, USAGE, "a placeholder is a given value, and none that a client is resumed by");
	snprintf(work->value, sizeof work->value, synthetic ? "synthetic-%s" : "%s", synthetic ? arg(call, "session") : given);
	return synthetic ? OK : str_check_id("the value", given, ID_MAX, call->why);
}

static enum status
run_bind(struct call *call)
{
	struct work work = {.call = call};
	enum status status = str_check_id("the session's id", arg(call, "session"), ID_SIZE - 1, call->why);

	if (status == OK)
		status = str_check_id("the slot's name", arg(call, "slot"), LABEL_MAX, call->why);
	if (status == OK)
		status = choose_value(&work);
	if (status == OK)
		status = context_open(call->context, false, call->why);
	/* one that can't be told apart is the user's */
	if (status == OK && engine_read(&call->context->engine, rule_who, &work, NULL) != OK)
		work.caller.actor[0] = '\0';
	if (status == OK)
		status = engine_run(&call->context->engine, rule_bind, &work, call->why);
	if (status != OK && status != CONFLICT)
		return status;
	json_object_set_new(call->result, "session", json_string(arg(call, "session")));
	json_object_set_new(call->result, "slot", json_string(arg(call, "slot")));
	/* the loser is told the winner's value */
	if (work.binding.generation > 0) {
		json_object_set_new(call->result, "value", json_string(work.binding.value));
		json_object_set_new(call->result, "generation", json_integer(work.binding.generation));
		json_object_set_new(call->result, "bound_ms", json_integer(work.binding.bound_ms));
	}
	return status;
}

static enum status
rule_bindings(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = rule_find(txn, data, why);
	json_t *bindings = json_array();

	json_object_set_new(work->call->result, "bindings", bindings);
	return status == OK ? binding_list(txn, work->session.id, bindings, why) : status;
}

static enum status
run_bindings(struct call *call)
{
	struct work work = {.call = call};
	enum status status = context_open(call->context, false, call->why);

	return status == OK ? engine_read(&call->context->engine, rule_bindings, &work, call->why) : status;
}

static enum status
rule_heartbeat(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = rule_find(txn, data, why);

	if (status != OK)
		return status;
	txn->actor = work->session.id;
	work->session.event_ms = txn_now(txn);
	work->session.events++;
	if (!session_is_live(work->session.state))
		session_move(txn, &work->session, SESSION_STARTS, txn_now(txn), "");
	session_save(txn, &work->session);
	if (exclusive_is_on(txn->config))
		status = lease_renew_session(txn, CODEBASE, work->session.id, why);
	/* who doesn't have it has nothing to push on */
	return status == NO_SUCH ? why_not(why, OK, "%s", "") : status;
}

static enum status
rule_end(struct txn *txn, void *data, struct buf *why)
{
	struct work *work = data;
	enum status status = rule_find(txn, data, why);

	if (status != OK)
		return status;
	txn->actor = work->session.id;
	if (work->session.state == SESSION_ENDED)
		return why_not(why, CONFLICT, "session %s has already ended (%s)", work->session.id, work->session.end_reason);
	session_move(txn, &work->session, SESSION_ENDS, txn_now(txn), json_text(work->call->args, "reason", "by hand"));
	session_save(txn, &work->session);
	return lease_end_session(txn, work->session.id, why);
}

static enum status
run_on_session(struct call *call, rule_function *rule)
{
	struct work work = {.call = call};
	enum status status = str_check_text("--reason", json_text(call->args, "reason", ""), LABEL_MAX, call->why);

	if (status == OK)
		status = context_open(call->context, false, call->why);
	if (status == OK)
		status = engine_run(&call->context->engine, rule, &work, call->why);
	if (status == OK)
		json_object_update_new(call->result, session_json(&work.session, context_liveness(call->context, &work.session.process)));
	return status;
}

static enum status
run_heartbeat(struct call *call)
{
	return run_on_session(call, rule_heartbeat);
}

static enum status
run_end(struct call *call)
{
	return run_on_session(call, rule_end);
}

static enum status
rule_exclusive(struct txn *txn, void *data, struct buf *why)
{
	struct call *call = data;
	json_t *found = json_array();
	enum status status = lease_list(txn, CODEBASE, false, found, why);
	const json_t *holder = json_array_get(json_object_get(json_array_get(found, 0), "holders"), 0);

	json_object_set_new(call->result, "mode", json_string(config_get(txn->config, "stile", "exclusive")));
	json_object_set_new(call->result, "holder", json_string(json_text(holder, "holder", "")));
	json_object_set_new(call->result, "since_ms", json_integer(json_whole(holder, "since_ms", 0)));
	json_object_set_new(call->result, "until_ms", json_integer(json_whole(holder, "expires_ms", 0)));
	json_decref(found);
	return status;
}

static enum status
rule_break(struct txn *txn, void *data, struct buf *why)
{
	struct caller caller;
	enum status status = caller_find(txn, NULL, &caller, why);
	size_t count = 0;

	(void)data;
	if (status == OK && !caller.person)
		status = why_not(why, NOT_ALLOWED, "only a person takes the codebase from a session; wait until it has ended");
	if (status != OK)
		return status;
	txn->actor = caller.actor;
	status = lease_break(txn, CODEBASE, 0, &count, why);
	return status == NO_SUCH ? why_not(why, NO_SUCH, "no session has the codebase for itself") : status;
}

static enum status
run_exclusive(struct call *call)
{
	enum status status = context_open(call->context, false, call->why);

	if (status == OK && json_truth(call->args, "break"))
		status = engine_run(&call->context->engine, rule_break, NULL, call->why);
	return status == OK ? engine_read(&call->context->engine, rule_exclusive, call, call->why) : status;
}

static const struct param reap_params[] = {
    {"transcripts", PARAM_FLAG, NULL, "instead: remove Claude's transcripts that no session here was ever given the id of", false, false,
     false},
    {"dir", PARAM_TEXT, "D", "the folder they are in; default: that of this codebase's in Claude's configuration", false, false, false},
    {"older", PARAM_DURATION, "D", "only those not written to for so long; default 1h", false, false, false},
    {"keep", PARAM_TEXT, "FILE", "further ids that are kept, one a line", false, false, true},
    {"dry-run", PARAM_FLAG, NULL, "removes nothing, tells what it would", false, false, false},
};

static enum status
run_reap(struct call *call)
{
	json_t *lost;
	size_t count;
	enum status status;

	if (json_truth(call->args, "transcripts") && !call->by_hand)
		return why_not(call->why, USAGE, "transcripts are removed from the command line only");
	if (json_truth(call->args, "transcripts"))
		return reap_transcripts(call);
	for (size_t i = 1; i < sizeof reap_params / sizeof *reap_params; i++) {
		char key[LABEL_MAX + 1];

		param_key(&reap_params[i], key);
		if (json_object_get(call->args, key) != NULL)
			return why_not(call->why, USAGE, "--%s goes with --transcripts", reap_params[i].name);
	}
	lost = json_array();
	json_object_set_new(call->result, "lost", lost);
	status = context_open(call->context, false, call->why);
	return status == OK ? reap(call->context, &count, lost, call->why) : status;
}

static const struct param start_params[] = {
    {"client", PARAM_TEXT, "CLIENT", "what runs it: claude, codex, a script's name", false, true, false},
    {"client-session", PARAM_TEXT, "ID", "the id that the client gave it", false, true, false},
    {"parent", PARAM_TEXT, "SESSION", "the session that started it", false, false, false},
    {"budget", PARAM_WHOLE, "TOKENS", "size of its context", false, false, false},
    {"pid", PARAM_WHOLE, "PID", "the agent's process: when it is gone the session is lost", false, false, false},
    {"wait", PARAM_DURATION, "D", "in exclusive mode, for the codebase; default: as configured", false, false, false},
};
static const struct param exclusive_params[] = {
    {"break", PARAM_FLAG, NULL, "take it from the session that has it, as a person who knows", false, false, false},
};
static const struct param list_params[] = {
    {"all", PARAM_FLAG, NULL, "ended and lost ones too", false, false, false},
    {"unbound", PARAM_TEXT, "SLOT", "only those whose slot has no id yet, or one that stands for it", false, false, false},
};
static const struct param one_params[] = {
    {"session", PARAM_TEXT, "SESSION", "which; default: the caller's own", true, false, false},
};
static const struct param bind_params[] = {
    {"session", PARAM_TEXT, "SESSION", "whose id it is", true, true, false},
    {"slot", PARAM_TEXT, "SLOT", "what kind of id: conversation, resume, memory, ...", true, true, false},
    {"value", PARAM_TEXT, "VALUE", "the id", true, false, false},
    {"rebind", PARAM_FLAG, NULL, "a bound slot gets it as its next generation", false, false, false},
    {"distinct", PARAM_FLAG, NULL, "the slot never takes a client's own id, from now on", false, false, false},
    {"synthetic", PARAM_FLAG, NULL, "instead of a value: one made for this session, for who never gives an id", false, false, false},
    {"placeholder", PARAM_FLAG, NULL, "it stands for an id that isn't known yet: what is bound next takes its place, without a trace",
     false, false, false},
};
static const struct param end_params[] = {
    {"session", PARAM_TEXT, "SESSION", "which; default: the caller's own", true, false, false},
    {"reason", PARAM_TEXT, "TEXT", "why", false, false, false},
};

static const struct param await_params[] = {
    {"session", PARAM_TEXT, "SESSION", "the session", true, true, false},
    {"slot", PARAM_TEXT, "SLOT", "the slot", true, true, false},
    {"wait", PARAM_DURATION, "D", "at most so long; default: not at all, and answered with when to try again", false, false, false},
    {"tries", PARAM_WHOLE, "N", "so many tries, 100 ms after the first and each time twice as long, woken at once when it is bound", false,
     false, false},
};

static const struct verb verbs[] = {
    {"session start", "start a session, or find the one that this client id already has", DOES_WRITE, NULL, PARAMS(start_params),
     run_start},
    {"session list", "the sessions that live here", DOES_READ, "session client state liveness events pid worktree branch cwd",
     PARAMS(list_params), run_list},
    {"session show", "one session", DOES_READ, NULL, PARAMS(one_params), run_show},
    {"session bind", "bind an id that others gave a session; the first one wins", DOES_WRITE, NULL, PARAMS(bind_params), run_bind},
    {"session await", "wait until a slot of a session is bound", DOES_READ | DOES_WRITE, NULL, PARAMS(await_params), await_run},
    {"session bindings", "every id a session was given, in generations", DOES_READ, "slot generation value bound_by",
     PARAMS(one_params), run_bindings},
    {"session heartbeat", "a sign of life", DOES_WRITE, NULL, PARAMS(one_params), run_heartbeat},
    {"session end", "end a session; a later event of it reopens it", DOES_WRITE, NULL, PARAMS(end_params), run_end},
    {"session exclusive", "in exclusive mode: which session has the codebase for itself, since when and until when", DOES_WRITE,
     NULL, PARAMS(exclusive_params), run_exclusive},
    {"session reap", "mark sessions whose process is gone as lost; or remove transcripts that are nobody's",
     DOES_WRITE, NULL, PARAMS(reap_params), run_reap},
};

const struct verb_table verbs_session = VERB_TABLE(verbs);
